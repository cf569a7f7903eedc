"""Converts fencebus_broker's commands to the man page fencebus_broker(8), and its completion files."""

from __future__ import annotations

import completions
import ctl_page
import roff

from fencebus_broker.program import PROGRAM, commands

MEANING = "makes settings for message brokers, and looks what a broker lets hosts do"
TEXT = """
Hosts that fence each other's virtual machines over a message bus need a broker. **fencebus_broker** writes what brokers
and hosts need for this, with users and rights, certificates, a cluster or a federation; and it goes to brokers
as a host does, and says what is wrong.
"""
CONTROL = ("fence_virtctl", "_FENCE_VIRTCTL_COMPLETE")


def page() -> str:
    """Return fencebus_broker(8), in roff."""
    return ctl_page.click_page(PROGRAM, MEANING, commands, TEXT) + roff.see_also("fence_virtd(8)", "fence_virtctl(8)")


def bash() -> str:
    """Return the completion file for bash: click answers on its own what fits."""
    return _ours(completions.BASH_CLICK)


def zsh() -> str:
    """Return the completion file for zsh."""
    return _ours(completions.ZSH_CLICK)


def _ours(text: str) -> str:
    name, variable = CONTROL
    return text.replace(variable, f"_{PROGRAM.upper()}_COMPLETE").replace(name, PROGRAM)
