"""Runs the real client as a guest would, and the administrator's program; shows what they say, checks how they end."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the client and the exit status that it must have."""

    explanation: str
    arguments: tuple[str, ...]
    status: int = 0


def run(step: Step, folder: Path, port: int) -> bool:
    """Show a step, have the client take it, show what it says; true if its exit status is as expected."""
    shown = ("fence_virt", "-T", "127.0.0.1", "-p", str(port), "-k", "key", *step.arguments)
    print(f"# {step.explanation}\n$ {' '.join(shown)}")
    started = time.monotonic()
    ended = subprocess.run(
        [str(program(shown[0])), *shown[1:]], cwd=folder, capture_output=True, text=True, timeout=40, check=False
    )
    milliseconds = (time.monotonic() - started) * 1000
    print(ended.stdout + ended.stderr, end="")
    as_expected = ended.returncode == step.status
    print(f"exit status {ended.returncode}, {milliseconds:.0f} ms{'' if as_expected else '  <-- NOT as expected'}\n")
    return as_expected


def show_owners(host: Path, when: str) -> bool:
    """Show who has which VM, as the host whose folder this is knows it; true if it could be asked."""
    print(f"# Which host has which VM, {when} the fence?\n$ fence_virtctl owners")
    command = [sys.executable, "-m", "fencebus_host.ctl", "owners", "-f", str(host / "conf")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    print(ended.stdout + ended.stderr)
    return ended.returncode == 0


def said(folder: Path, port: int, *arguments: str) -> str:
    """What the client prints, shown to nobody."""
    command = [str(program("fence_virt")), "-T", "127.0.0.1", "-p", str(port), "-k", "key", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=40, check=False).stdout


def program(name: str) -> Path:
    """The program that was installed beside this interpreter; from an editable installation, the checkout's."""
    installed = Path(sys.executable).parent / name
    return installed if installed.exists() else Path(__file__).parents[3] / "guest_client" / "bin" / name


def free_port() -> int:
    """A TCP port of the loopback interface that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write(path: Path, data: bytes) -> None:
    """A file that nobody else can read."""
    path.touch(mode=0o600)
    path.write_bytes(data)
