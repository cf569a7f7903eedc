"""Turns checked settings into what is shown of them: every key with its value, and fingerprints instead of keys."""

from __future__ import annotations

import json
from collections.abc import Iterable

from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.effective import effective
from fencebus_host.config.model import ClusterSettings, Config, KeyedSettings
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.config.tree import Item, render
from fencebus_schemas.fingerprint import fingerprint

Node = dict[str, object]


def fingerprints(config: Config) -> tuple[tuple[str, str, str], ...]:
    """(listener, key file, fingerprint) of every key that is read; the fingerprint is empty if there is no key."""
    return tuple(
        (listener.name, str(file), fingerprint(key) if key else "")
        for listener in config.listeners
        if isinstance(listener, KeyedSettings) and listener.uses_key
        for file, key in zip(listener.key_files, listener.keys or (b"",) * len(listener.key_files), strict=True)
    )


def hosts_keys(config: Config) -> tuple[tuple[str, str], ...]:
    """(key file, fingerprint) of every key that this host shares with other hosts."""
    return tuple(
        (str(file), fingerprint(key))
        for part in parts_of(config.backend)
        if isinstance(part, (QmfSettings, ClusterSettings))
        for file, key in zip(part.key_files, part.keys, strict=False)  # none where files are left alone
    )


def as_text(config: Config) -> str:
    """The settings in the grammar of the file, and below them where they come from and which keys they use."""
    lines = [f"# read from {config.file}" if config.file else "# no file: the defaults", render(effective(config))]
    lines += [f"# key of {name}: {file}, {_print(found)}" for name, file, found in fingerprints(config)]
    lines += [f"# the hosts' key: {file}, fingerprint {found}" for file, found in hosts_keys(config)]
    lines += [f"# warning: {problem}" for problem in config.warnings]
    if config.groups is None:
        lines.append("# no groups: every guest that has the key may fence every VM")
    return "\n".join(lines)


def as_json(config: Config) -> str:
    """The same for programs; ``version`` changes when a name in it changes its meaning."""
    content: Node = {
        "version": 1,
        "file": str(config.file) if config.file else None,
        "settings": _nodes(effective(config)),
        "keys": [{"listener": name, "file": file, "fingerprint": found} for name, file, found in fingerprints(config)],
        "hosts_keys": [{"file": file, "fingerprint": found} for file, found in hosts_keys(config)],
        "warnings": [str(problem) for problem in config.warnings],
    }
    return json.dumps(content, indent=2)


def _print(found: str) -> str:
    return f"fingerprint {found}" if found else "which is not there: the listener waits for one"


def _nodes(items: Iterable[Item]) -> list[Node]:
    return [_node(item) for item in items]


def _node(item: Item) -> Node:
    found: Node = {"name": item.name}
    if item.value is not None:
        found["value"] = item.value
    if item.children is not None:
        found["items"] = _nodes(item.children)
    return found
