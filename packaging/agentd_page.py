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
SERVICE = """\
`systemctl enable --now fencebus-agentd` runs it as a user of its own, which may look at libvirt and do nothing else.
The bus stands in `/etc/default/fencebus-agentd` (`/etc/sysconfig/fencebus-agentd` on RPM systems), which nobody but
root has to read; further options may stand there, too:
"""
DEFAULTS = ("FENCEBUS_BUS=amqps://hosta:PASSWORD@broker/fencebus", "FENCEBUS_AGENTD_ARGS=--name hosta")
PAPERS = """\
That user cannot read root's private keys. Where the broker wants a certificate, systemd hands the files over, by a
drop-in (`systemctl edit fencebus-agentd`):
"""
DROP_IN = (
    "[Service]",
    "LoadCredential=ca.pem:/etc/fencebus/ca.pem",
    "LoadCredential=cert.pem:/etc/fencebus/hosta.pem",
    "LoadCredential=key.pem:/etc/fencebus/hosta.key",
    "ExecStart=",
    "ExecStart=/usr/sbin/fencebus-agentd -s ${STATE_DIRECTORY} -A %d/ca.pem -C %d/cert.pem -K %d/key.pem \\",
    "    $FENCEBUS_AGENTD_ARGS",
)
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
        + roff.heading("AS A SERVICE")
        + roff.paragraphs(SERVICE)
        + roff.example(DEFAULTS)
        + ".PP\n"
        + roff.paragraphs(PAPERS)
        + roff.example(DROP_IN)
        + roff.heading("SIGNALS")
        + "".join(roff.tagged(*each) for each in SIGNALS)
        + roff.see_also("fence_virtd(8)")
    )


def _shown(option: Option) -> str:
    takes = f" {option.metavar}" if option.metavar else ""
    return f"-{option.letter}{takes}, --{option.name}{takes}"
