"""Puts this process into a network of its own: a loopback that carries multicast, and ports that nobody else uses.

C's client sends one datagram for each address of the machine; here that is the loopback's alone, so that nothing
leaves the machine, and what else runs there is not in the way.
"""

from __future__ import annotations

import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)


def enter() -> None:
    """Enter a new network namespace; raises OSError without the right to."""
    if _libc.unshare(CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"no network namespace: {os.strerror(number)}")
    subprocess.run(["ip", "link", "set", "lo", "up", "multicast", "on"], check=True)
    subprocess.run(["ip", "route", "add", "224.0.0.0/4", "dev", "lo"], check=True)
