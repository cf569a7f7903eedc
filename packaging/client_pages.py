"""Converts the guest client's option table to the man pages fence_virt(8) and fence_xvm(8)."""

from __future__ import annotations

import roff

from fencebus_guest import options
from fencebus_guest.help import NOTE
from fencebus_schemas import __version__

MEANING = "switches off another virtual machine, through its host"
USE = {
    options.FENCE_XVM: "It sends its request to a multicast group; the host that has the target calls back over TCP.",
    options.FENCE_VIRT: "It sends its request over TCP (`-T`), vsock (`-S`), a serial line (`-D`), or else over a VM"
    " channel.",
}
ABOUT = (
    "{program} is a fence agent: Pacemaker runs it in a node of a cluster of virtual machines to have another node"
    " switched off. fence_virtd on the host carries the request out, and success is reported only once the target is"
    " proven dead."
)
INPUT = (
    "Without any option, lines of the form `name=value` are read from standard input. The names are those of the long"
    " options, with `_` for `-`; lines with a `#` in front and names that cluster managers pass along are skipped."
)
STATUSES = (
    ("0", "Done. For `status`: the machine is on."),
    ("1", "Failed, or nothing was asked at all. The state of the target is unknown."),
    ("2", "For `status`: the machine is off."),
    ("3", "This guest may not do that to that target."),
    ("255", "A serial line or VM channel gave no answer."),
)
EXAMPLES = {
    options.FENCE_XVM: ("fence_xvm -o list", "fence_xvm -o off -n node2"),
    options.FENCE_VIRT: ("fence_virt -T 192.0.2.1 -o list", "fence_virt -D /dev/ttyS1 -o status -n node2"),
}


def shown(option: options.Option) -> str:
    """Return an option as its entry's tag: both forms and what its value is."""
    takes = f" {option.metavar}" if option.metavar else ""
    short = f"-{option.letter}{takes}"
    return f"{short}, --{(option.name or option.setting).replace('_', '-')}{takes}"


def page(program: str) -> str:
    """Return the page of `program`, in roff."""
    known = [option for option in options.options_of(program) if not option.hidden and option.letter != "?"]
    other = next(name for name in options.LETTERS if name != program)
    return (
        roff.page(program, 8, MEANING, __version__)
        + roff.heading("SYNOPSIS")
        + f"\\fB{roff.escaped(program)}\\fR [options]\n"
        + roff.heading("DESCRIPTION")
        + roff.paragraphs(f"{ABOUT.format(program=program)} {USE[program]}", INPUT, NOTE)
        + roff.heading("OPTIONS")
        + "".join(roff.tagged(shown(option), option.text) for option in known)
        + "".join(roff.tagged(", ".join(names), f"{text}.") for names, text in options.BEYOND_C)
        + roff.heading("EXIT STATUS")
        + "".join(roff.tagged(*status) for status in STATUSES)
        + roff.heading("EXAMPLES")
        + roff.example(EXAMPLES[program])
        + roff.see_also(f"{other}(8)", "fence_virtd(8)")
    )
