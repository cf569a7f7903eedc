"""Decides which groups and hosts there are, from the sections `groups` and `hosts`."""

from __future__ import annotations

from fencebus_host.config import key_table as keys
from fencebus_host.config.host_section import host_agent
from fencebus_host.config.host_settings import HostAgentSettings
from fencebus_host.config.model import Group
from fencebus_host.config.problems import Problems
from fencebus_host.config.section import Reading, children, unknown
from fencebus_host.config.tree import Item
from fencebus_host.config.values import is_source


def groups(section: Item | None, problems: Problems) -> tuple[Group, ...] | None:
    """The groups; ``None`` without a section.

    C drops all groups, and with them the check, if the last group is empty (facts 3.8). Here an empty group matches
    nobody, and an empty section lets nobody fence anybody.
    """
    if section is None:
        return None
    items = children(section, problems)
    unknown(items, ["group"], "unknown-section", problems)
    found = tuple(_group(item, problems) for item in items if item.called("group"))
    if not found:
        message = "there is no group: nobody may fence anybody"
        problems.warning(section.where, "no-group", message, "remove `groups` to let everybody fence everybody")
    return found


def hosts(section: Item | None, problems: Problems) -> dict[str, HostAgentSettings | None]:
    """The ids of the hosts, each once, in the order of the file, with the fence agent of each that has one."""
    items = children(section, problems)
    unknown(items, ["host"], "unknown-section", problems)
    found: dict[str, HostAgentSettings | None] = {}
    lines: dict[str, int] = {}
    for item in items:
        reading = Reading(item, keys.HOST, problems) if item.called("host") else None
        name = _host(item, reading) if reading is not None else None
        if reading is None or name is None:
            continue
        if name in found:
            message = f"the host `{name}` is listed already in line {lines[name]}"
            problems.warning(item.where, "repeated-host", message)
        lines.setdefault(name, item.where.line)
        found[name] = host_agent(name, reading) or found.get(name)
    return found


def _group(item: Item, problems: Problems) -> Group:
    reading = Reading(item, keys.GROUP, problems)
    uuids = tuple(text for text, _ in reading.all(keys.GROUP_UUID) if text)
    ips = tuple(text for text, _ in reading.all(keys.GROUP_IP) if text)
    name = reading.get(keys.GROUP_NAME) or (item.value or "")
    if not uuids:
        message = f"group `{name}` names no VM: it lets nobody fence anybody"
        problems.warning(item.where, "empty-group", message, 'add uuid = "...";')
    for text, where in reading.all(keys.GROUP_IP):
        if not is_source(text):
            message = f'`ip = "{text}"` is no address, network or CID: it matches nobody'
            problems.warning(where, "bad-source", message)
    return Group(name, uuids, ips, item.where)


def _host(item: Item, reading: Reading) -> str | None:
    name = reading.get(keys.HOST_ID)
    if name is None and not any(child.called("name") for child in item.children or ()):
        reading.problems.error(item.where, "missing-name", "a host needs a name", 'host { name = "..."; }')
    return name
