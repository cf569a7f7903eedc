"""Turns key files into keys, and says what is wrong with a file; never changes one."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

from fencebus_host.config.problems import Problems, Where
from fencebus_host.config.regular_file import is_absent, read_regular

KEY_SIZE = 4096
"""Bytes of a key file that count (C: MAX_KEY_LEN); what follows is ignored."""


def with_keys(files: tuple[Path, ...], where: Where, may_be_missing: bool, problems: Problems) -> tuple[bytes, ...]:
    """The keys in ``files``, in their order; empty if one cannot be used, which is reported.

    ``may_be_missing``: nobody named the file, so that to have none is a state and not a mistake.
    """
    if may_be_missing and all(is_absent(file) for file in files):
        return ()
    found = [_read_key(file, where, problems) for file in files]
    keys = tuple(key for key in found if key is not None)
    return keys if len(keys) == len(files) else ()


def making(file: Path) -> str:
    """What to do where there is no key in ``file``, with a command that makes a key which nobody else can read."""
    command = f"(umask 077 && dd if=/dev/urandom of={shlex.quote(str(file))} bs={KEY_SIZE} count=1)"
    return f"copy the key that the others have, or make one: mkdir -p {shlex.quote(str(file.parent))} && {command}"


def check_mode(mode: int, file: Path, where: Where, code: str, problems: Problems) -> None:
    """Warn if others than the owner may read or write ``file`` (C: chmods it to 0600 unasked)."""
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        problems.warning(where, f"{code}-writable", f"others than its owner may write {file}", f"chmod 600 {file}")
    elif mode & (stat.S_IRGRP | stat.S_IROTH):
        problems.warning(where, f"{code}-readable", f"others than its owner may read {file}", f"chmod 600 {file}")


def _read_key(file: Path, where: Where, problems: Problems) -> bytes | None:
    try:
        key, status = read_regular(file, KEY_SIZE)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = making(file) if isinstance(error, FileNotFoundError) else ""
        problems.error(where, "bad-key", f"cannot read the key {file}: {reason}", hint)
        return None
    if not key:
        problems.error(where, "bad-key", f"the key {file} is empty", making(file))
        return None
    check_mode(status.st_mode, file, where, "key", problems)
    if not file.is_absolute():
        message = f"{file} counts from the folder in which the daemon is started; a reload may not find it"
        problems.warning(where, "relative-path", message, f"write {file.absolute()}")
    if status.st_size > KEY_SIZE:
        problems.warning(where, "long-key", f"only the first {KEY_SIZE} bytes of the key {file} count")
    return key
