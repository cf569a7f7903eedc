"""Decides what happens when a test's component is missing: a skip on a laptop, a failure where CI=true.

A test says what it needs (`require_program("fence_virtd", package="fence-virtd")`) and gets it, or does not run on.
Nothing is ever replaced by an imitation because the real thing is not installed.
"""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent

# Debian keeps daemons in sbin, which is not on an ordinary user's PATH.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def in_ci() -> bool:
    """Return whether a missing component must fail the run."""
    return os.environ.get("CI", "").lower() in {"true", "1", "yes"}


def missing(what: str, remedy: str) -> NoReturn:
    """End the test: `what` is not here, `remedy` says how to get it. Skips on a laptop, fails where CI=true."""
    text = f"{what} is missing: {remedy}"
    if in_ci():
        pytest.fail(text, pytrace=False)
    pytest.skip(text)


def require_program(name: str, package: str) -> Path:
    """Return the full path of program `name`, which Debian's `package` brings."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *SBIN]))
    if found is None:
        missing(f"the program {name}", f"apt-get install {package}")
    return Path(found)


def require_file(path: str | Path, package: str) -> Path:
    """Return `path`, a file or folder that Debian's `package` brings."""
    if not Path(path).exists():
        missing(str(path), f"apt-get install {package}")
    return Path(path)


def require_module(name: str, extra: str) -> ModuleType:
    """Return the imported Python module `name`, which the extra `extra` of fencebus brings."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing(f"the Python module {name}", f"pip install 'fencebus[{extra}]'")


def require_root() -> None:
    """Go on only as root (network namespaces, libvirtd, pid files)."""
    if os.geteuid() != 0:
        missing("the right to act as root", "run the tests as root or through sudo")


def require_captures() -> Path:
    """Return the folder with captures of the C programs: FENCEBUS_CAPTURES, tests/captures or ../shared/captures."""
    named = os.environ.get("FENCEBUS_CAPTURES")
    places = [Path(named)] if named else [CHECKOUT / "tests" / "captures", CHECKOUT.parent / "shared" / "captures"]
    for place in places:
        if place.is_dir():
            return place
    missing("the folder of captures", "set FENCEBUS_CAPTURES")
