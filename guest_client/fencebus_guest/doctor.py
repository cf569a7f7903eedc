"""Decides what keeps this guest from being able to fence: ordered checks, each with its fix. For --doctor alone.

The checks ask the daemon for nothing but `monitor` and `list`; no machine is touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

from fencebus_schemas.digest import HASH_NONE
from fencebus_schemas.fingerprint import fingerprint
from fencebus_schemas.frozen import Frozen
from fencebus_schemas.xvm import ACTION_LIST, ACTION_MONITOR, REPLY_LIST, REPLY_SUCCESS

from . import main as client
from .addresses import local_addresses
from .failures import NoAnswer, UsageError, words
from .multicast import open_listener
from .options import FENCE_XVM
from .report import Report
from .request import group_of, read_key
from .way import way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .answers import Answer
    from .settings import Settings

OK, WARNING, ERROR = "OK", "WARNING", "ERROR"
EXIT = {OK: 0, WARNING: 5, ERROR: 6}
"""The numbers of `fence_virtctl doctor` on the host; they never change."""
LOGS = ("/var/log/audit/audit.log", "/var/log/kern.log", "/var/log/syslog", "/var/log/messages")
DENIED = ("avc:  denied", 'apparmor="DENIED"')
TAIL = 1 << 20
"""Bytes of each log's end that are read."""
PATIENCE = 10
"""Seconds for one answer: who waits at a terminal is not Pacemaker."""


class Finding(Frozen):
    """One thing that was looked at: how bad it is, a stable code, what is so, and what to do about it."""

    __slots__ = ("code", "fix", "level", "text")
    code: str
    fix: str
    level: str
    text: str

    def __init__(self, level: str, code: str, text: str, fix: str = "") -> None:
        self._fill(code, fix, level, text)


def examine(program: str, settings: Settings) -> Report:
    """Look at everything and return what to print, with the exit status of the worst finding."""
    settings.timeout = min(settings.timeout, PATIENCE)
    found = list(_findings(program, settings))
    levels = [finding.level for finding in found]
    worst = ERROR if ERROR in levels else WARNING if WARNING in levels else OK
    return Report(EXIT[worst], _as_json(found, worst) if settings.json else _as_text(found))


def _findings(program: str, settings: Settings) -> Iterator[Finding]:
    yield Finding(OK, "way", way(program, settings))
    over_network = program == FENCE_XVM or bool(settings.ipaddr or settings.vsock)
    keys = list(check_key(settings)) if over_network else []
    yield from keys
    if program == FENCE_XVM:
        yield from check_callback(settings)
        yield from check_firewalld(settings.ipport)
    if all(one.level != ERROR for one in keys):  # without a key there is nothing to be asked with
        yield from check_answers(program, settings)
    yield from check_denials()


def check_key(settings: Settings) -> Iterator[Finding]:
    """Whether the key is there and private; its fingerprint is to be compared with the host's."""
    if settings.hash == HASH_NONE and settings.auth == HASH_NONE:
        yield Finding(WARNING, "no-authentication", "without hash and auth anybody can answer", "leave out -c and -C")
        return
    try:
        key = read_key(settings)
        mode = os.stat(settings.key_file).st_mode
    except (NoAnswer, OSError) as error:
        yield Finding(ERROR, "key", str(error), "copy the host's key, readable by root alone")
        return
    if mode & 0o077:
        text = f"others than its owner may use the key {settings.key_file}"
        yield Finding(WARNING, "key-readable", text, f"chmod 600 {settings.key_file}")
    text = f"{settings.key_file} has the fingerprint {fingerprint(key)}; compare: fence_virtctl doctor on the host"
    yield Finding(OK, "key", text)


def check_callback(settings: Settings) -> Iterator[Finding]:
    """Whether the daemon could call back: an address to ask from, and a port that is free."""
    try:
        family, group = group_of(settings)
        addresses = [one.text for one in local_addresses(family)]
    except (UsageError, OSError) as error:
        yield Finding(ERROR, "group", str(error), "see -a and -i")
        return
    beyond = [text for text in addresses if not text.startswith("127.") and text != "::1"]
    if beyond:
        yield Finding(OK, "address", f"asks {group} from {', '.join(beyond)}")
    else:
        fix = "bring the guest's network up: ip address"
        yield Finding(WARNING, "address", "there is no address but loopback: no host can call back", fix)
    try:
        open_listener(family, settings.ipport).close()
        yield Finding(OK, "port", f"TCP port {settings.ipport} is free for the call-back")
    except OSError as error:
        text = f"cannot listen on TCP port {settings.ipport} for the call-back: {words(error)}"
        yield Finding(ERROR, "port", text, f"ss -ltnp | grep {settings.ipport}")


def check_firewalld(port: int) -> Iterator[Finding]:
    """Whether firewalld, where it runs, lets the call-back in."""
    if _firewalld("--state") is None:
        yield Finding(OK, "firewalld", f"firewalld does not run; another firewall must let TCP {port} in")
    elif _firewalld(f"--query-port={port}/tcp") is None:
        fix = f"firewall-cmd --permanent --add-port={port}/tcp && firewall-cmd --reload"
        yield Finding(ERROR, "firewalld", f"firewalld's default zone rejects the call-back to TCP {port}", fix)
    else:
        yield Finding(OK, "firewalld", f"firewalld's default zone lets TCP {port} in")


def check_answers(program: str, settings: Settings) -> Iterator[Finding]:
    """A round trip that changes nothing, and what this guest may fence."""
    try:
        answer = _ask(program, settings, ACTION_MONITOR)
    except NoAnswer as error:
        yield Finding(ERROR, "answer", error.cause, f"{error.remedy}; on the host: fence_virtctl doctor")
        return
    if answer.code != REPLY_SUCCESS:
        fix = "fence_virtctl doctor on the host"
        yield Finding(ERROR, "answer", f"fence_virtd answers, and says that it does not work ({answer.code})", fix)
        return
    yield Finding(OK, "answer", "fence_virtd answers and works")
    yield from _visible(program, settings)


def check_denials() -> Iterator[Finding]:
    """Whether SELinux or AppArmor denied the client something when Pacemaker, not a person at a terminal, ran it."""
    found = [line for log in LOGS for line in _tail(log) if any(mark in line for mark in DENIED) and "fence" in line]
    if found:
        fix = "ausearch -m avc -ts recent | audit2why; with SELinux often: setsebool -P fenced_can_network_connect on"
        text = f"denied {len(found)} times to a fence agent; the last: {found[-1].strip()[-300:]}"
        yield Finding(WARNING, "denied", text, fix)
    else:
        yield Finding(OK, "denials", "neither SELinux nor AppArmor logged a denial to a fence agent")


def _tail(log: str) -> list[str]:
    try:
        with open(log, "rb") as stream:
            stream.seek(max(0, os.stat(log).st_size - TAIL))
            return stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []


def _visible(program: str, settings: Settings) -> Iterator[Finding]:
    try:
        answer = _ask(program, settings, ACTION_LIST)
    except NoAnswer as error:
        yield Finding(WARNING, "list", f"{error.cause}; to an old fence_xvmd it means nothing", error.remedy)
        return
    names = [record.name for record in answer.records] if answer.code == REPLY_LIST else []
    if names:
        yield Finding(OK, "list", f"this guest may fence: {', '.join(names)}")
    else:
        fix = "see the groups in the host's /etc/fence_virt.conf, and virsh list on the host"
        yield Finding(WARNING, "list", "this guest may fence no VM at all", fix)


def _ask(program: str, settings: Settings, code: int) -> Answer:
    settings.action = "monitor" if code == ACTION_MONITOR else "list"
    return client.ask(program, settings)


def _firewalld(option: str) -> str | None:
    program = shutil.which("firewall-cmd", path="/usr/bin:/bin:/usr/sbin:/sbin")
    if program is None:
        return None
    try:
        done = subprocess.run([program, option], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _as_text(found: list[Finding]) -> str:
    lines = [
        f"{one.level:8} {one.code}: {one.text}\n" + (f"         fix: {one.fix}\n" if one.fix else "") for one in found
    ]
    return "".join(lines)


def _as_json(found: list[Finding], worst: str) -> str:
    rows = [{"level": one.level, "code": one.code, "text": one.text, "fix": one.fix} for one in found]
    return json.dumps({"version": 1, "worst": worst, "findings": rows}, indent=2) + "\n"
