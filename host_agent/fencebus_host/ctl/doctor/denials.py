"""Looks for what SELinux and AppArmor denied to the daemon, or to QEMU at its sockets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from fencebus_host.ctl.doctor.findings import Finding, good, odd

LOGS = ("var/log/audit/audit.log", "var/log/kern.log", "var/log/syslog")
TAIL = 1 << 20
"""Bytes of each log's end that are read."""
_SUBJECTS = ("fence_virtd", "fencebus", "libvirt-", "svirt", "virtd_t", "qemu")
_MARKS = {
    "apparmor": 'apparmor="DENIED"',
    "selinux": "avc:  denied",
}
_FIX = {
    "apparmor": "aa-status; put the guests' sockets below /var/lib/libvirt/qemu, which libvirt's profiles allow",
    "selinux": "ausearch -m avc -ts recent | audit2why; put the guests' sockets below /var/lib/libvirt/qemu",
}


def check_denials(root: Path = Path("/")) -> Iterator[Finding]:
    """One finding for each of the two that denied something that concerns us."""
    lines = [line for name in LOGS for line in _tail(root / name)]
    found = list(denials(lines))
    yield from found or [good("denials", "neither SELinux nor AppArmor logged a denial that concerns fencing")]


def denials(lines: Iterable[str]) -> Iterator[Finding]:
    """What the lines of a log say."""
    seen = list(lines)
    for module, mark in _MARKS.items():
        ours = [line for line in seen if mark in line and any(subject in line for subject in _SUBJECTS)]
        if ours:
            text = f"{module} denied {len(ours)} times; the last: {ours[-1].strip()[-300:]}"
            yield odd(f"denied-by-{module}", text, _FIX[module])


def _tail(file: Path) -> list[str]:
    try:
        with file.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - TAIL))
            return stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
