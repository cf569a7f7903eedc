"""Provides the released qpid-python and qpid-tools, installed for a Python 2.7 of this machine.

They run on nothing newer.  What pip installs is kept in the user's cache folder, and is nobody's but theirs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.components import missing

RELEASES = ("qpid-python==1.36.0.post1", "qpid-tools==1.36.0.post1")
"""Of 2017; there are no later ones."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "fencebus" / "qpid-1.36.0"
INSTALL_SECONDS = 120
"""On a machine under load; where nothing answers, pip gives up after a few."""

OPTIONS = (
    *("--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--no-cache-dir"),
    *("--timeout", "10", "--retries", "2"),
)
REMEDY = "pip for Python 2.7, and a registry"


@dataclass(frozen=True, slots=True)
class Released:
    """Where they are."""

    python: Path
    folder: Path

    def program(self, name: str) -> Path:
        """One of the released programs."""
        return self.folder / "bin" / name

    @property
    def environment(self) -> dict[str, str]:
        """In which they run."""
        return {"PATH": os.defpath, "PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C"}


@cache
def require_released() -> Released:
    """Return them; end the test if there is no Python 2.7, or pip cannot install them."""
    python = _python2()
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with (CACHE.parent / "qpid.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not CACHE.is_dir():
            _install(python)
    return Released(python, CACHE)


def _install(python: Path) -> None:
    fresh = CACHE.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        done = subprocess.run(
            [python, "-m", "pip", "install", *OPTIONS, "--target", fresh, *RELEASES],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired:
        missing(f"{' and '.join(RELEASES)} (not within {INSTALL_SECONDS} s)", REMEDY)
    if done.returncode:
        missing(f"{' and '.join(RELEASES)} ({done.stderr.strip()[-200:]})", REMEDY)
    fresh.rename(CACHE)


def _python2() -> Path:
    """FENCEBUS_PYTHON2, or python2.7 on PATH or below pyenv's folder."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    named, found = os.environ.get("FENCEBUS_PYTHON2"), shutil.which("python2.7")
    places = [Path(one) for one in (named, found) if one] + sorted(pyenv.glob("2.7*/bin/python2.7"))
    for place in places:
        # pyenv's own python2.7 is there also where it would only say that no version is chosen.
        if subprocess.run([place, "-m", "pip", "--version"], capture_output=True).returncode == 0:
            return place
    return missing("Python 2.7 with pip", "set FENCEBUS_PYTHON2, or install one with pyenv")
