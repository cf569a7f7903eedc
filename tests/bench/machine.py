"""Tells on what was measured: processors, system, versions; no names of machines or folders."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

PACKAGES = ("fence-virtd", "libvirt-daemon", "qemu-system-x86")


def description(runs: int) -> str:
    """One paragraph of Markdown."""
    load = os.getloadavg()[0]
    kernel = platform.release().partition("-")[0]
    versions = ", ".join(f"{name} {_version_of(name)}" for name in PACKAGES)
    return (
        f"Measured on {time.strftime('%Y-%m-%d')} with {runs} rounds: {os.cpu_count()} processors "
        f"({_processor()}), {_system()}, Linux {kernel}, Python {platform.python_version()}, {versions}, "
        f"libvirt-python {metadata.version('libvirt-python')}; "
        f"load before the start {load:.1f}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _system() -> str:
    release = platform.freedesktop_os_release()
    return f"{release.get('NAME', 'Linux')} {release.get('VERSION_ID', '')}".strip()


def _version_of(package: str) -> str:
    return _first_line(["dpkg-query", "--show", "--showformat", "${Version}", package])


def _first_line(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True)
    return done.stdout.partition("\n")[0] or "(version unknown)"
