"""Decides when a file may be written: never over another one without a preview and a yes, and never half."""

from __future__ import annotations

import os
import tempfile
from difflib import unified_diff
from itertools import chain, count
from pathlib import Path

import click

from fencebus_host.config.regular_file import is_absent


def write_after_preview(file: Path, text: str, yes: bool) -> bool:
    """Show what changes in ``file``, ask unless ``yes``, write; whether it was written.

    What was there before is kept beside it. The new file can be read by its owner alone.
    """
    old = None if is_absent(file) else file.read_text("utf-8", "surrogateescape")
    if old == text:
        click.echo(f"{file}: is so already")
        return True
    click.echo(preview(file, old, text), nl=False)
    if not yes and not click.confirm(f"Write {file}?", default=False):
        return False
    if old is not None:
        click.echo(f"kept the old one as {_keep(file)}")
    replace_file(file, text.encode("utf-8", "surrogateescape"))
    click.echo(f"wrote {file}")
    return True


def why_not_writable(file: Path) -> str:
    """Why ``file`` could not be written later, and what to do; empty if it could.  Asked before anybody is."""
    if file.is_dir():
        return f"{file} is a folder: name a file, such as {file / 'fence_virt.conf'}"
    folder = next(each for each in file.absolute().parents if each.exists())
    if os.access(folder, os.W_OK | os.X_OK):
        return ""
    return f"{file} cannot be written by this user: run it as root, or write elsewhere with -f FILE"


def preview(file: Path, old: str | None, new: str) -> str:
    """A diff if there is a file already, else the new text between two lines."""
    if old is None:
        return f"=== {file} ===\n{new}=== end ===\n"
    lines = unified_diff(old.splitlines(True), new.splitlines(True), str(file), f"{file} (new)")
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def replace_file(file: Path, content: bytes) -> None:
    """Put ``content`` at ``file`` in one step, mode 0600: whoever reads it meanwhile gets the old or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _keep(file: Path) -> Path:
    names = chain([f"{file.name}.bak"], (f"{file.name}.bak{number}" for number in count(1)))
    kept = next(file.with_name(name) for name in names if is_absent(file.with_name(name)))
    replace_file(kept, file.read_bytes())
    return kept
