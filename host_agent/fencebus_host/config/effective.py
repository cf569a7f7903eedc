"""Turns checked settings back into the file that says all of them, defaults included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path

from fencebus_host.config import bus_keys, fence_agent_keys, host_keys, ovirt_keys
from fencebus_host.config import key_table as keys
from fencebus_host.config.backends import ManagerSettings, OvirtSettings
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.fence_agent_settings import AgentSettings, FenceAgentSettings, MappedVm
from fencebus_host.config.host_settings import HostAgentSettings
from fencebus_host.config.key import Key, KnownBy, Section
from fencebus_host.config.model import BackendSettings, Config, DaemonSettings, Group, ListenerSettings, SerialSettings
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.config.problems import Where
from fencebus_host.config.tree import Item

NOWHERE = Where("effective")

# Keys that take several values, whose settings are named for that.
_FIELDS = {"key_file": "key_files"}
_LINE: tuple[Key[object], ...] = (keys.DEVICE, keys.PARAMS, keys.LINE_VM)
Settings = (
    DaemonSettings | ListenerSettings | BackendSettings | ManagerSettings | AgentSettings | MappedVm | HostAgentSettings
)
_SECTIONS = {section.path: section for section in keys.SECTIONS}
# What these say stands in other keys of the result.
_OLD_NAMES = (keys.WAIT_FOR_BACKEND.name, keys.OLD_NAME_MODE.name, keys.HOST_SHORT.name)


def effective(config: Config) -> tuple[Item, ...]:
    """The items of a file that gives the same settings as ``config``, whatever the defaults; but for passwords, which
    are not shown.
    """
    listeners = tuple(_listener(one) for one in config.listeners)
    parts = parts_of(config.backend)
    own = [part.libvirt for part in parts if isinstance(part, QmfSettings)]
    found = [
        _section("fence_virtd", _daemon(config)),
        _section("listeners", listeners),
        _section("backends", [_backend(part) for part in (*parts, *own)]),
    ]
    if config.groups is not None:
        found.append(_section("groups", [_group(group) for group in config.groups]))
    if config.hosts:
        found.append(_section("hosts", [_host(name, config) for name in config.hosts]))
    return tuple(found)


def shown(value: object) -> tuple[str, ...]:
    """How the file writes a setting: no text for none, several where a key is numbered or repeats."""
    if value is None:
        return ()
    if isinstance(value, bool):
        return ("1" if value else "0",)
    if isinstance(value, float):
        return (f"{value:g}",)
    if isinstance(value, Enum):
        return (str(value.value),)
    if isinstance(value, tuple):
        return tuple(str(part) for part in value)
    return (str(value),)


def _daemon(config: Config) -> Iterator[Item]:
    yield _key("listener", ", ".join(listener.name for listener in config.listeners))
    yield _key("backend", config.backend.kind)
    for key in keys.DAEMON.keys:
        if key.known_by is not KnownBy.C_ONLY and key.name not in ("listener", "backend", *_OLD_NAMES):
            yield from _plain(key, config.daemon)


def _listener(settings: ListenerSettings) -> Item:
    section = _SECTIONS[f"listeners/{settings.kind}"]
    return Item(settings.kind, NOWHERE, settings.instance or None, tuple(_keys(section, settings)))


def _backend(settings: BackendSettings) -> Item:
    if isinstance(settings, OvirtSettings):
        return _section(settings.kind, [_manager(each) for each in settings.managers])
    if isinstance(settings, FenceAgentSettings):
        return _section(settings.kind, _agents(settings))
    return _section(settings.kind, _keys(_SECTIONS[f"backends/{settings.kind}"], settings))


def _manager(settings: ManagerSettings) -> Item:
    keys_of_it = [item for key in ovirt_keys.MANAGER.keys for item in _plain(key, settings)]
    return Item("manager", NOWHERE, settings.name, tuple(keys_of_it))


def _agents(settings: FenceAgentSettings) -> Iterator[Item]:
    """One agent without a name is described by the section itself."""
    for each in settings.agents:
        name = each.name.partition(":")[2]
        yield from [Item("manager", NOWHERE, name, tuple(_agent(each)))] if name else _agent(each)


def _agent(settings: AgentSettings) -> Iterator[Item]:
    for key in fence_agent_keys.FENCE_AGENT.keys:
        yield from _plain(key, settings)
    for vm in settings.vms:
        yield _section("vm", [item for key in fence_agent_keys.FENCE_AGENT_VM.keys for item in _plain(key, vm)])


def _keys(section: Section, settings: ListenerSettings | BackendSettings) -> Iterator[Item]:
    for key in section.keys:
        if key is bus_keys.URL and isinstance(settings, QmfSettings):
            yield _key(key.name, bus_keys.without_password(settings.url))
        elif key.known_by is not KnownBy.C_ONLY and key not in bus_keys.BROKER:
            yield from _line(key, settings) if key in _LINE else _plain(key, settings)


def _line(key: Key[object], settings: ListenerSettings | BackendSettings) -> Iterator[Item]:
    """The keys of a serial port of the host itself, which are settings only together."""
    tty = settings.tty if isinstance(settings, SerialSettings) else None
    if tty is not None:
        texts: dict[Key[object], str] = {
            keys.DEVICE: str(tty.device),
            keys.LINE_VM: tty.vm,
            keys.PARAMS: f"{tty.speed},{tty.data_bits}{tty.parity}{tty.stop_bits}",
        }
        yield _key(key.name, texts[key])


def _plain(key: Key[object], settings: Settings) -> Iterator[Item]:
    field = f"{key.name}s" if key.numbered else _FIELDS.get(key.name, key.name)
    texts = shown(getattr(settings, field))
    if key.numbered:
        yield from (_key(f"{key.name}{number or ''}", text) for number, text in enumerate(texts))
    elif any(texts):
        yield _key(key.name, ", ".join(texts))


def _host(name: str, config: Config) -> Item:
    agents = (agent for agent in config.host_agents if agent.name == name)
    told = [item for agent in agents for key in host_keys.HOST_KEYS for item in _plain(key, agent)]
    return _section("host", [_key("name", name), *told])


def _group(group: Group) -> Item:
    named = [_key("name", group.name)] if group.name else []
    members = [_key("uuid", text) for text in group.uuids] + [_key("ip", text) for text in group.ips]
    return _section("group", [*named, *members])


def _section(name: str, children: Iterable[Item]) -> Item:
    return Item(name, NOWHERE, children=tuple(children))


def _key(name: str, value: str | Path) -> Item:
    return Item(name, NOWHERE, str(value))
