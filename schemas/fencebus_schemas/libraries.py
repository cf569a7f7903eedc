"""Decides what to tell somebody to install where a library is not, which only some parts of fencebus need."""

from __future__ import annotations

import sys
from importlib.util import find_spec

DEBIAN_AND_EXTRA = {
    "aiohttp": ("python3-aiohttp", "ovirt"),
    "amqp": ("python3-kombu", "rabbitmq"),
    "kombu": ("python3-kombu", "rabbitmq"),
    "proton": ("python3-qpid-proton", "qmf"),
}
"""By the library's name: Debian's package, and the extra that brings it by pip."""


def is_there(library: str) -> bool:
    """True if it can be imported.  One that was imported is not looked for: kombu, once it is, cannot be found."""
    if library in sys.modules:
        return sys.modules[library] is not None
    return find_spec(library) is not None


def library_of(error: ImportError) -> str:
    """The library that is not there; empty if it is none that may be missing, and the error so a defect."""
    name = (error.name or "").partition(".")[0]
    return name if name in DEBIAN_AND_EXTRA else ""


def to_install(library: str, extra: str = "") -> str:
    """The commands that bring it; ``extra`` is another one of pip's than the usual."""
    package, usual = DEBIAN_AND_EXTRA[library]
    return f"Debian: apt-get install {package}; else: pip install 'fencebus[{extra or usual}]'"
