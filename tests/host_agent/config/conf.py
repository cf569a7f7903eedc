"""Builds configuration texts for tests, and loads them from a file as an administrator would leave it."""

from __future__ import annotations

from pathlib import Path

from fencebus_host.config import Config, ConfigError, Problem, load


def written(folder: Path, text: str | bytes) -> Path:
    """A configuration file with `text`, readable by its owner alone."""
    path = folder / "fence_virt.conf"
    path.touch(mode=0o600)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def loaded(folder: Path, text: str | bytes) -> Config:
    """The settings in `text`."""
    return load(written(folder, text))


def refused(folder: Path, text: str | bytes) -> tuple[Problem, ...]:
    """All problems of a `text` that must not be accepted."""
    try:
        config = loaded(folder, text)
    except ConfigError as error:
        return error.problems
    raise AssertionError(f"accepted: {config}")


def tcp(key: Path, more: str = "", daemon: str = "", rest: str = "", kind: str = "tcp") -> str:
    """A file with one tcp listener, or one of another `kind`."""
    return (
        f'fence_virtd {{ listener = "{kind}"; backend = "libvirt"; {daemon} }}\n'
        f'listeners {{ {kind} {{ key_file = "{key}"; {more} }} }}\n{rest}'
    )


def multicast(key: Path, more: str = "") -> str:
    """A file with one multicast listener."""
    return tcp(key, more, kind="multicast")


def codes(problems: tuple[Problem, ...]) -> list[str]:
    """The problems' codes, in their order."""
    return [problem.code for problem in problems]
