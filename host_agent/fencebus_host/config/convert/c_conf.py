"""Turns a configuration of the C fence_virtd into one of ours that does the same, and says what cannot be the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fencebus_host.config import key_table as keys
from fencebus_host.config.convert.c_value import as_c_read_it
from fencebus_host.config.convert.conversion import Conversion, Remark, SourceError, Weight
from fencebus_host.config.convert.made import key, section
from fencebus_host.config.convert.removed_backends import replace_backend
from fencebus_host.config.grammar import parse
from fencebus_host.config.key import KnownBy, Section
from fencebus_host.config.problems import Problems, Where, did_you_mean
from fencebus_host.config.tree import Item

_LISTENERS = {each.name: each for each in keys.LISTENER_SECTIONS}
_BACKENDS = {each.name: each for each in keys.BACKEND_SECTIONS}
_AUTH_IS_HASH = ("tcp", "vsock")
_MEMBERS = ("uuid", "ip")


def convert(text: str, source: str) -> Conversion:
    """Our configuration for C's ``text``; SourceError with all mistakes of syntax."""
    problems = Problems()
    items = parse(text, source, problems)
    if problems.has_errors:
        raise SourceError(source, "\n".join(["it cannot be read", *map(str, problems.in_order())]))
    return _Converter().convert(items)


class _Converter:
    """Goes through one file."""

    def __init__(self) -> None:
        self._remarks: list[Remark] = []

    def convert(self, items: Sequence[Item]) -> Conversion:
        top = {name: self._last(items, name) for name in keys.TOP_LEVEL}
        self._tell_unknown(items, keys.TOP_LEVEL)
        daemon = self._keys(top["fence_virtd"], keys.DAEMON)
        backends = self._sections(top["backends"], _BACKENDS)
        asked = next((item.value or "" for item in daemon if item.called("backend")), "")
        replaced = replace_backend(asked, daemon, backends)
        self._remarks += replaced.remarks
        listeners = [self._listener(item) for item in self._sections(top["listeners"], _LISTENERS)]
        found = [section("fence_virtd", replaced.daemon), section("listeners", listeners)]
        found.append(section("backends", replaced.backends))
        if top["groups"] is not None:
            found += self._groups(top["groups"])
        return Conversion(tuple(found), tuple(self._remarks))

    def _sections(self, parent: Item | None, tables: dict[str, Section]) -> list[Item]:
        items = parent.children or () if parent else ()
        self._tell_unknown(items, tables)
        found = {name: self._last(items, name) for name in tables}
        return [section(name, self._keys(item, tables[name])) for name, item in found.items() if item is not None]

    def _keys(self, item: Item | None, table: Section) -> list[Item]:
        items = item.children or () if item else ()
        self._tell_unknown([child for child in items if not any(known.matches(child.name) for known in table.keys)], ())
        found = []
        for name in dict.fromkeys(child.name.lower() for child in items):
            last = self._last(items, name)
            found += self._key(last, table) if last is not None else []
        return found

    def _key(self, item: Item, table: Section) -> list[Item]:
        known = next((one for one in table.keys if one.matches(item.name)), None)
        if known is None or item.value is None:
            return []
        if known.known_by is KnownBy.C_ONLY:
            self._say(Weight.DROPPED, item.where, f"`{item.name}` has no effect here: {known.meaning}")
            return []
        value = as_c_read_it(known, item.value)
        if value is None:
            text = f'`{item.name} = "{item.value}"` is no value that means anything; the default is taken'
            self._say(Weight.DECIDE, item.where, text)
            return []
        if value != item.value:
            self._say(Weight.KEPT, item.where, f'`{item.name} = "{item.value}"`: C read it as "{value}"')
        return [key(item.name.lower(), value)]

    def _listener(self, listener: Item) -> Item:
        """On tcp and vsock C stores ``auth`` as ``hash`` (tcp.c, vsock.c); what it did is kept, not what was meant."""
        children = listener.children or ()
        auth = next((item for item in children if item.called("auth")), None)
        if listener.name not in _AUTH_IS_HASH or auth is None:
            return listener
        text = (
            f'listeners/{listener.name}: C took `auth = "{auth.value}"` as the weakest hash, and made every challenge'
            " with sha256; the new file says so"
        )
        self._remarks.append(Remark(Weight.CHANGED, text))
        others = [item for item in children if item.name not in ("auth", "hash")]
        return section(listener.name, [*others, key("hash", auth.value or ""), key("auth", "sha256")])

    def _groups(self, item: Item) -> list[Item]:
        groups = [child for child in item.children or () if child.called("group")]
        self._tell_unknown(item.children or (), ("group",))
        if groups and not _has_members(groups[-1]):
            # static_map.c stops at a group without members, reading from the end of the file: then there are none.
            text = (
                "C ignored every group, because the last one is empty: everybody might fence everybody."
                " Here the groups count"
            )
            self._say(Weight.DECIDE, groups[-1].where, text)
        if not groups:
            self._say(Weight.CHANGED, item.where, "a `groups` without groups meant no check in C; it is left out")
            return []
        return [section("groups", [section("group", self._group(group)) for group in groups])]

    def _group(self, group: Item) -> Iterable[Item]:
        self._tell_unknown(group.children or (), [each.name for each in keys.GROUP.keys])
        for child in group.children or ():
            if child.value is not None and child.name.lower() in ("name", *_MEMBERS):
                yield key(child.name.lower(), child.value)

    def _last(self, items: Iterable[Item], name: str) -> Item | None:
        found = [item for item in items if item.called(name)]
        for item in found[:-1]:
            text = f"`{item.name}` is left out: C took the later one, in line {found[-1].where.line}"
            self._say(Weight.DROPPED, item.where, text)
        return found[-1] if found else None

    def _tell_unknown(self, items: Iterable[Item], known: Iterable[str]) -> None:
        names = [name.lower() for name in known]
        for item in items:
            if item.name.lower() not in names:
                hint = did_you_mean(item.name, names) if names else ""
                text = f"`{item.name}` means nothing; C ignored it" + (f" ({hint})" if "did you" in hint else "")
                self._say(Weight.DROPPED, item.where, text)

    def _say(self, weight: Weight, where: Where, text: str) -> None:
        self._remarks.append(Remark(weight, text, where))


def _has_members(group: Item) -> bool:
    return any(child.name.lower() in _MEMBERS for child in group.children or ())
