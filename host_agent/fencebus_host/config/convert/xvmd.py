"""Turns the options of a fence_xvmd (cluster-2, cluster-3) into our configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from fencebus_host.config.convert.conversion import Conversion, Remark, SourceError, Weight
from fencebus_host.config.convert.made import key, section
from fencebus_host.config.problems import Where, did_you_mean
from fencebus_host.config.tree import Item

ATTRIBUTES = (
    "debug",
    "ip_family",
    "multicast_address",
    "port",
    "interface",
    "auth",
    "hash",
    "key_file",
    "uri",
    "use_uuid",
    "log_facility",
    "log_level",
)
"""What fence_xvmd read from ``/cluster/fence_xvmd/@...``; its manual page names ``family``, which it never read."""
_FLAGS = {"f": "foreground", "d": "debug", "L": "local", "X": "without_cluster_conf", "u": "use_uuid"}
_VALUES = {
    "i": "ip_family",
    "a": "multicast_address",
    "p": "port",
    "I": "interface",
    "C": "auth",
    "c": "hash",
    "U": "uri",
    "k": "key_file",
}
_LISTENER_KEYS = {"port": "port", "interface": "interface", "auth": "auth", "hash": "hash", "key_file": "key_file"}
_MEANT = {"family": "ip_family", "multicast_interface": "interface"}
"""Attributes that man pages and guides had."""
_TRUE = ("1", "yes", "on", "true")


@dataclass(frozen=True, slots=True)
class Xvmd:
    """What one fence_xvmd was told: names as in cluster.conf, and the flags of its command line."""

    settings: tuple[tuple[str, str], ...] = ()
    where: Where | None = None
    unread: tuple[str, ...] = ()
    """Attributes of <fence_xvmd/> that fence_xvmd never looked at, its flags among them."""

    def get(self, name: str) -> str | None:
        """The text of a setting; ``None`` if it was not given."""
        return dict(self.settings).get(name)

    def has(self, name: str) -> bool:
        """Whether a switch is on."""
        return (self.get(name) or "").lower() in _TRUE

    def overridden_by(self, other: Xvmd) -> Xvmd:
        """Both together: cluster.conf counts before the command line, as in fence_xvmd."""
        return Xvmd(
            tuple({**dict(self.settings), **dict(other.settings)}.items()), other.where or self.where, other.unread
        )


def read_command_line(words: Sequence[str]) -> Xvmd:
    """The options of a fence_xvmd command line, with or without the program's name; SourceError for an unknown one."""
    left = list(words[1:] if words and PurePath(words[0]).name == "fence_xvmd" else words)
    found: dict[str, str] = {}
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word in ("-", "--"):
            raise SourceError("fence_xvmd", f"`{word}` belongs to no option")
        _letters(word[1:], left, found)
    return Xvmd(tuple(found.items()))


def _letters(letters: str, left: list[str], found: dict[str, str]) -> None:
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _FLAGS:
            found[_FLAGS[letter]] = str(int(found.get(_FLAGS[letter], "0")) + 1) if letter == "d" else "1"
        elif letter in _VALUES:
            if not letters and not left:
                raise SourceError("fence_xvmd", f"-{letter} needs a value")
            found[_VALUES[letter]] = letters or left.pop(0)
            return
        else:
            raise SourceError("fence_xvmd", f"it had no option -{letter}")


def convert(xvmd: Xvmd, hosts: Iterable[str] = ()) -> Conversion:
    """Our configuration for what this fence_xvmd did; ``hosts`` are the nodes of its cluster."""
    local = xvmd.has("local")
    backend = "libvirt" if local else "cpg"
    items = [
        section("fence_virtd", [key("listener", "multicast"), key("backend", backend), *_daemon(xvmd)]),
        section("listeners", [section("multicast", _listener(xvmd))]),
        section("backends", [section(backend, _backend(xvmd, local))]),
    ]
    members = [] if local else [section("host", [key("name", name)]) for name in dict.fromkeys(map(_short, hosts))]
    if members:
        items.append(section("hosts", members))
    return Conversion(tuple(items), (*_remarks(xvmd, local), *_host_remarks(members)))


def _daemon(xvmd: Xvmd) -> list[Item]:
    found = [key("debug", xvmd.get("debug") or "")] if (xvmd.get("debug") or "").isdigit() else []
    return [*found, *([key("foreground", "1")] if xvmd.has("foreground") else [])]


def _listener(xvmd: Xvmd) -> list[Item]:
    found = []
    family, address = (xvmd.get("ip_family") or "").lower(), xvmd.get("multicast_address")
    if family in ("ipv4", "ipv6"):
        found.append(key("family", family))
    if address:
        found.append(key("address", address))
    return found + [key(ours, xvmd.get(theirs) or "") for theirs, ours in _LISTENER_KEYS.items() if xvmd.get(theirs)]


def _backend(xvmd: Xvmd, local: bool) -> list[Item]:
    uri = [key("uri", xvmd.get("uri") or "qemu:///system")]
    return uri if local or not xvmd.has("use_uuid") else [*uri, key("name_mode", "uuid")]


def _short(name: str) -> str:
    return name.split(".", 1)[0]


def _remarks(xvmd: Xvmd, local: bool) -> Iterable[Remark]:
    say = _Sayer(xvmd.where)
    if xvmd.get("port"):
        yield say.kept(f"`port` was the IP port, and stays it: listeners/multicast/port = {xvmd.get('port')}")
    for name in ("log_facility", "log_level"):
        if xvmd.get(name):
            yield say.dropped(f"`{name}`: fence_virtd logs to the system's log; `debug` sets how much")
    for name in xvmd.unread:
        meant = f"did you mean `{_MEANT[name]}`?" if name in _MEANT else did_you_mean(name, ATTRIBUTES)
        yield say.dropped(f"`{name}` was never read by fence_xvmd ({meant})")
    yield from _senseless(xvmd, say)
    if xvmd.has("use_uuid"):
        yield say.changed("`use_uuid`: a target is taken for a UUID if it looks like one, whatever the guest says")
    yield from _behaviour(say, local)


def _senseless(xvmd: Xvmd, say: _Sayer) -> Iterable[Remark]:
    if not (xvmd.get("debug") or "0").isdigit():
        yield say.dropped(f"`debug = {xvmd.get('debug')}` is no number")
    family = (xvmd.get("ip_family") or "auto").lower()
    if family not in ("ipv4", "ipv6", "auto"):
        yield say.decide(f"`ip_family = {family}` is none: the address says which it is")


def _behaviour(say: _Sayer, local: bool) -> Iterable[Remark]:
    yield say.changed("the guests may now ask for on, status, monitor and list besides off and reboot")
    yield say.changed("off of a VM that nobody knows was a success (exit 0), and is a failure now: unknown is not off")
    if not local:
        yield say.changed(
            "a host that left the cluster counted as dead, and its VMs as fenced; now the host must be proven fenced"
        )
        yield say.changed("the OpenAIS checkpoint is a corosync group now: all hosts need corosync, none needs cman")


def _host_remarks(members: Sequence[Item]) -> Iterable[Remark]:
    if members:
        names = ", ".join(member.children[0].value or "" for member in members if member.children)
        text = f"hosts are {names}, from <clusternodes>: each one's host name, or its `host_name`, must be that"
        yield Remark(Weight.DECIDE, text)


@dataclass(frozen=True, slots=True)
class _Sayer:
    """Makes remarks about one place."""

    where: Where | None

    def kept(self, text: str) -> Remark:
        return Remark(Weight.KEPT, text, self.where)

    def changed(self, text: str) -> Remark:
        return Remark(Weight.CHANGED, text, self.where)

    def decide(self, text: str) -> Remark:
        return Remark(Weight.DECIDE, text, self.where)

    def dropped(self, text: str) -> Remark:
        return Remark(Weight.DROPPED, text, self.where)
