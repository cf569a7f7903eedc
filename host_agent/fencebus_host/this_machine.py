"""Decides by which incarnation this start of the daemon goes: which machine, which boot, which start."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

from fencebus_schemas.model import Incarnation

log = logging.getLogger(__name__)

MACHINE_IDS = ("etc/machine-id", "var/lib/dbus/machine-id")
NO_ID = ("", "uninitialized")
"""What stands there in an image of which no machine has been made yet (machine-id(5))."""


def this_incarnation(root: Path = Path("/")) -> Incarnation:
    """This start of this machine's daemon.

    One that nobody has given an id is another machine at each start.  Its boot id would not do: containers share their
    kernel's, and two of one name would be taken for one.
    """
    boot = (root / "proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    places = (root / each for each in MACHINE_IDS)
    named = (each.read_text("ascii", "replace").strip() for each in places if each.exists())
    machine = next((each for each in named if each not in NO_ID), None)
    if machine is None:
        machine = secrets.token_hex(16)
        log.warning(
            "this machine has no id (systemd-machine-id-setup gives it one): for a minute after each start of the "
            "daemon other hosts take it for two machines of one name"
        )
    return Incarnation(boot, machine, secrets.token_hex(8))
