"""Converts the daemon's option table and its table of keys to fence_virtd(8) and fence_virt.conf(5)."""

from __future__ import annotations

import roff

from fencebus_host.config.command_line import OPTIONS, Option
from fencebus_host.config.key import Key, KnownBy, Section
from fencebus_host.config.key_table import SECTIONS
from fencebus_schemas import __version__

ABOUT = """\
fence_virtd runs on a host of virtual machines. It receives the requests of `fence_virt` and `fence_xvm` in the guests
over multicast, TCP, vsock, serial lines and VM channels, has the target killed, proves that it is dead, and answers.
It never reports a machine as fenced that may still run.

Without a configuration file it serves the guests of libvirt's qemu:///system over vsock, serial lines and VM
channels; TCP and multicast need a key.
"""
SIGNALS = (
    ("SIGHUP", "Read the configuration and the keys again. If the new file has errors, the old settings stay."),
    ("SIGTERM, SIGINT", "End, once the requests in hand are answered."),
)
FILES = (
    ("/etc/fence_virt.conf", "The configuration; see `fence_virt.conf`(5)."),
    ("/etc/cluster/fence_xvm.key", "The key that host and guests share, unless the configuration names another."),
    ("/etc/default/fence_virtd", "FENCE_VIRTD_ARGS: further options for the daemon that systemd starts."),
    ("/var/lib/fencebus", "The daemon's state."),
)
GRAMMAR = """\
The file is made of sections, `name { ... }`, and keys, `key = "value";`. Values stand in double quotes, numbers too.
A `#` begins a comment. Names are the same in upper and lower case. Of a key that occurs twice the last one counts,
unless it says that any number do.

An unknown section, key or word is an error, and the daemon does not start; all errors are reported at once, each with
file and line. `fence_virtctl config check` reports them without starting anything.
"""
EXAMPLE = (
    "fence_virtd {",
    '    listener = "multicast, tcp";',
    '    backend = "libvirt";',
    "}",
    "listeners {",
    '    multicast { interface = "virbr0"; }',
    '    tcp { address = "192.0.2.1"; }',
    "}",
    'backends { libvirt { uri = "qemu:///system"; } }',
)


def shown(option: Option) -> str:
    """Return an option as its entry's tag: both forms and what its value is."""
    takes = f" {option.metavar}" if option.metavar else ""
    return f"-{option.letter}{takes}, --{option.name}{takes}"


def sentence(text: str) -> str:
    """Return a line of the help as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."


def daemon() -> str:
    """Return fence_virtd(8), in roff."""
    return (
        roff.page("fence_virtd", 8, "receives the fence requests of virtual machines", __version__)
        + roff.heading("SYNOPSIS")
        + "\\fBfence_virtd\\fR [options]\n"
        + roff.heading("DESCRIPTION")
        + roff.paragraphs(*ABOUT.split("\n\n"))
        + roff.heading("OPTIONS")
        + "".join(roff.tagged(shown(option), sentence(option.text)) for option in OPTIONS)
        + roff.heading("SIGNALS")
        + "".join(roff.tagged(*each) for each in SIGNALS)
        + roff.heading("FILES")
        + "".join(roff.tagged(*each) for each in FILES)
        + roff.see_also("fence_virt.conf(5)", "fence_virt(8)", "fence_xvm(8)")
    )


def configuration() -> str:
    """Return fence_virt.conf(5), in roff."""
    return (
        roff.page("fence_virt.conf", 5, "configuration of fence_virtd", __version__)
        + roff.heading("DESCRIPTION")
        + roff.paragraphs(*GRAMMAR.split("\n\n"))
        + roff.heading("SECTIONS AND KEYS")
        + "".join(_section(section) for section in SECTIONS)
        + roff.heading("EXAMPLE")
        + roff.example(EXAMPLE)
        + roff.see_also("fence_virtd(8)")
    )


def _section(section: Section) -> str:
    head = roff.subheading(section.path.replace("/", " { ") + " { ... }" + " }" * section.path.count("/"))
    return head + roff.paragraphs(section.meaning) + "".join(_key(key) for key in section.keys)


def _key(key: Key[object]) -> str:
    default = f" Default: {key.shown}." if key.shown else ""
    known = {KnownBy.OURS: " The C daemon does not know it.", KnownBy.C_ONLY: " Without effect in fencebus."}
    return roff.tagged(key.name, f"{key.meaning}{default}{known.get(key.known_by, '')}")
