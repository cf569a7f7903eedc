"""Decides which listeners run and with which settings, from `listener` and the section `listeners`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fencebus_host.config import key_table as keys
from fencebus_host.config.listener_settings import BUILDERS, Frame
from fencebus_host.config.model import ListenerSettings
from fencebus_host.config.problems import Problems, Where, did_you_mean
from fencebus_host.config.section import Reading, children
from fencebus_host.config.tree import Item

DEFAULT_KINDS = ("tcp", "multicast", "vsock", "serial")


def listeners(
    asked: tuple[str, ...],
    where: Where,
    section: Item | None,
    request_timeout: float,
    problems: Problems,
    read_keys: bool = True,
) -> tuple[ListenerSettings, ...]:
    """The listeners that ``asked`` (the value of ``listener``, empty if there is none) selects, checked."""
    items = _instances(children(section, problems), problems)
    chosen = asked or tuple(item.name.lower() for item in items if item.name.lower() in BUILDERS) or DEFAULT_KINDS
    _check_selection(chosen, items, where, problems)
    found: dict[str, ListenerSettings] = {}
    for item in (*items, *_without_section(chosen, items, where)):
        used = _selected(item, chosen)
        # Where the sections decide what runs, a misspelt one must not mean that the default ones run instead (S10).
        sink = problems if used or not (asked or item.name.lower() in BUILDERS) else Problems()
        named = bool(asked) or item in items
        settings = _build(item, Frame(_instance(item), item.where, request_timeout, used and read_keys, named), sink)
        if settings is not None and used:
            found[settings.name] = settings
        if sink is not problems:
            problems.take_as_warnings(sink)  # C never looks into the section of a listener that does not run
    return tuple(found.values())


def _build(item: Item, frame: Frame, problems: Problems) -> ListenerSettings | None:
    kind = item.name.lower()
    if kind not in BUILDERS:
        hint = did_you_mean(kind, BUILDERS)
        problems.error(item.where, "unknown-listener", f"there is no listener `{item.name}`", hint)
        return None
    section, build = BUILDERS[kind]
    reading = Reading(item, section, problems)
    timeout = reading.get(keys.LISTENER_TIMEOUT) or frame.request_timeout
    return build(reading, replace(frame, request_timeout=timeout), problems)


def _instances(items: tuple[Item, ...], problems: Problems) -> tuple[Item, ...]:
    """The sections that count: of those with the same kind and instance the last one, as in C."""
    last = {_label(item): item for item in items if item.name}
    for item in items:
        if item.name and last[_label(item)] is not item:
            line = last[_label(item)].where.line
            message = f"this section `{_label(item)}` is ignored: another one follows in line {line}"
            hint = f'name it to run both: {item.name} = "second" {{ ... }}'
            problems.warning(item.where, "ignored-section", message, hint)
    return tuple(last.values())


def _instance(item: Item) -> str:
    return (item.value or "").strip()


def _label(item: Item) -> str:
    instance = _instance(item)
    return f"{item.name.lower()}:{instance}" if instance else item.name.lower()


def _selected(item: Item, chosen: Iterable[str]) -> bool:
    return any(word in (item.name.lower(), _label(item).lower()) for word in chosen)


def _without_section(chosen: tuple[str, ...], items: tuple[Item, ...], where: Where) -> tuple[Item, ...]:
    """Sections that nobody wrote, for the kinds that are chosen and have none: all their defaults count."""
    missing = dict.fromkeys(word for word in chosen if word in BUILDERS)
    return tuple(
        Item(word, where, children=()) for word in missing if not any(item.name.lower() == word for item in items)
    )


def _check_selection(chosen: tuple[str, ...], items: tuple[Item, ...], where: Where, problems: Problems) -> None:
    known = {*BUILDERS, *(_label(item).lower() for item in items if item.name.lower() in BUILDERS)}
    for word in chosen:
        if word not in known:
            problems.error(where, "unknown-listener", f"there is no listener `{word}`", did_you_mean(word, known))
