"""The part of the table of keys that concerns fence agents, and how their values are read."""

from __future__ import annotations

import re
from pathlib import Path

from fencebus_host.config import values
from fencebus_host.config.fence_agent_settings import DEFAULT_FOLDER
from fencebus_host.config.key import Key, KnownBy, Section
from fencebus_host.config.values import BadValueError
from fencebus_schemas.model import Uuid, as_uuid

_AGENT = re.compile(r"fence_[A-Za-z0-9_]{1,60}")
OURS = KnownBy.OURS


def agent_name(value: str) -> str:
    """A fence agent's file name: no path, so that `agent_dir` is the one folder that matters."""
    if not _AGENT.fullmatch(value):
        raise BadValueError(f'must be the file name of a fence agent, such as "fence_pve", not "{value}"')
    return value


def uuid(value: str) -> Uuid:
    """A VM's UUID in its canonical layout."""
    found = as_uuid(value)
    if found is None:
        raise BadValueError(f'must be a UUID, not "{value}"')
    return found


AGENT: Key[str | None] = Key("agent", agent_name, None, "none; required", "The agent's file name: `fence_pve`.", OURS)
AGENT_DIR = Key(
    "agent_dir",
    values.absolute_path,
    DEFAULT_FOLDER,
    str(DEFAULT_FOLDER),
    "The folder in which the agent lies; only root may write there.",
    OURS,
)
USER: Key[str | None] = Key(
    "user",
    values.text,
    None,
    "none; required where `fence_virtd` runs as root",
    "The system user as which the agent runs: one of its own is best, `root` only if it must be.",
    OURS,
)
OPTIONS_FILE: Key[Path | None] = Key(
    "options_file",
    values.absolute_path,
    None,
    "none",
    "A file that only root may read, with the agent's own `key=value` lines: address, user, password.",
    OURS,
)
AT_MOST = Key("at_most", values.whole_number(1, 64), 4, "4", "Runs of the agent at once.", OURS)
LIST_SECONDS = Key("list_seconds", values.seconds, 60.0, "60", "Seconds for which the agent's list counts.", OURS)
VM_NAME: Key[str | None] = Key("name", values.text, None, "none; required", "The VM's name, as guests write it.", OURS)
VM_PLUG: Key[str | None] = Key("plug", values.text, None, "the name", "What the agent calls it.", OURS)
VM_UUID: Key[Uuid | None] = Key("uuid", uuid, None, "one made from the plug", "The VM's UUID.", OURS)

_KEYS: tuple[Key[object], ...] = (AGENT, AGENT_DIR, USER, OPTIONS_FILE, AT_MOST, LIST_SECONDS)
_ONE = 'One of several agents: `manager = "pve" { ... }`. What it leaves out is taken from the section around it.'
_VM = "One VM. If there are any, only these can be fenced; else the agent's list is asked."
FENCE_AGENT = Section(
    "backends/fence_agent", "VMs that a fence agent reaches at their manager.", _KEYS, OURS, ("vm", "manager")
)
FENCE_AGENT_MANAGER = Section("backends/fence_agent/manager", _ONE, _KEYS, OURS, ("vm",))
FENCE_AGENT_VM = Section("backends/fence_agent/vm", _VM, (VM_NAME, VM_PLUG, VM_UUID), OURS)
