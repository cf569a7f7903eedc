"""Converts the option table of fencebus-agentd to fencebus-agentd(8)."""

from __future__ import annotations

import roff
from daemon_pages import sentence

from fencebus_agent.agentd_options import BUS_VARIABLE, OPTIONS, PROGRAM, Option
from fencebus_schemas import __version__

ABOUT = """\
fencebus-agentd shows the virtual machines of one host to the consoles of the Qpid Management Framework: it is an agent
on the cluster's bus, with a Domain for each virtual machine that lives here. Nobody can command it: every method is
refused, and libvirt is only read.

Where fence_virtd runs with the backend qmf, it is such an agent itself, and this program is not wanted.
"""
ENVIRONMENT = (
    (BUS_VARIABLE, "The bus, where --bus does not name one: a password in it stands in no list of processes."),
)
SIGNALS = (("SIGTERM, SIGINT", "End."),)


def page() -> str:
    """Return fencebus-agentd(8), in roff."""
    return (
        roff.page(PROGRAM, 8, "shows virtual machines to QMF consoles", __version__)
        + roff.heading("SYNOPSIS")
        + f"\\fB{PROGRAM}\\fR [options]\n"
        + roff.heading("DESCRIPTION")
        + roff.paragraphs(*ABOUT.split("\n\n"))
        + roff.heading("OPTIONS")
        + "".join(roff.tagged(_shown(option), sentence(option.text)) for option in OPTIONS)
        + roff.heading("ENVIRONMENT")
        + "".join(roff.tagged(*each) for each in ENVIRONMENT)
        + roff.heading("SIGNALS")
        + "".join(roff.tagged(*each) for each in SIGNALS)
        + roff.see_also("fence_virtd(8)")
    )


def _shown(option: Option) -> str:
    takes = f" {option.metavar}" if option.metavar else ""
    return f"-{option.letter}{takes}, --{option.name}{takes}"
