"""Hypothesis strategies for configurations: trees, and texts from the sensible to the hopeless."""

from __future__ import annotations

from hypothesis import strategies as st

from fencebus_host.config.key_table import BACKEND_SECTIONS, LISTENER_SECTIONS, SECTIONS, TOP_LEVEL
from fencebus_host.config.problems import Where
from fencebus_host.config.tree import Item, render

WORDS = sorted(
    {"group", "host", *TOP_LEVEL, *(section.name for section in SECTIONS)}
    | {key.name for section in SECTIONS for key in section.keys}
)
"""Every name that means something somewhere."""
_NUMBERS = ["0", "1", "-1", "1229", "65536", "99999999999999999999", "1e9", "0.5", "nan", "²"]
_WORDS = [
    "none",
    "sha1",
    "sha256",
    "sha512",
    "md5",
    "ipv4",
    "IPV6",
    "auto",
    "yes",
    "exit",
    "uuid",
    "serial",
    "localhost",
]
_ADDRESSES = ["225.0.0.12", "ff05::3:1", "127.0.0.1", "::1", "fe80::1%lo", "999.1.1.1", "10.0.0.0/8"]
_KINDS = ["tcp", "multicast", "multicast,tcp", "multicast:br1", "br1", "libvirt", "cpg", "null"]
_OTHERS = ["", " ", "\n", "\udce9", "/", "/nonexistent/key", "a,b", ","]
TELLING = (*_NUMBERS, *_WORDS, *_ADDRESSES, *_KINDS, *_OTHERS)
"""Values at which something is decided."""

_PLACE = Where("f", 1)
_NAME_TEXT = st.text(
    st.characters(exclude_characters=' \t\r\n{};="#', exclude_categories=["Cs"]), min_size=1, max_size=12
)
_VALUE_TEXT = st.text(st.characters(exclude_characters='"\r', exclude_categories=["Cs"]), max_size=30)


def names() -> st.SearchStrategy[str]:
    """Names of items: known ones, in any case, and any others."""
    return st.sampled_from(WORDS) | st.sampled_from(WORDS).map(str.upper) | _NAME_TEXT


def item_values() -> st.SearchStrategy[str]:
    """What may stand between quotes."""
    return st.sampled_from([value for value in TELLING if value.isprintable()]) | _VALUE_TEXT


def _entry() -> st.SearchStrategy[Item]:
    return st.builds(Item, names(), st.just(_PLACE), item_values())


def _section(inner: st.SearchStrategy[Item]) -> st.SearchStrategy[Item]:
    children = st.lists(inner, max_size=6).map(tuple)
    return st.builds(Item, names(), st.just(_PLACE), st.none() | item_values(), children)


def trees() -> st.SearchStrategy[tuple[Item, ...]]:
    """Trees of items that a text can say."""
    return st.lists(st.recursive(_entry(), _section, max_leaves=20), min_size=1, max_size=5).map(tuple)


def _known_section(path: str, keys: list[str]) -> st.SearchStrategy[Item]:
    entries = st.builds(Item, st.sampled_from(keys), st.just(_PLACE), st.sampled_from(TELLING) | item_values())
    inner = st.lists(entries, max_size=6).map(tuple)
    name = path.rpartition("/")[2]
    section = st.builds(Item, st.just(name), st.just(_PLACE), st.none() | st.just("br1"), inner)
    outer = path.rpartition("/")[0]
    if not outer:
        return section
    return st.lists(section, max_size=3).map(lambda items: Item(outer, _PLACE, None, tuple(items)))


def plausible_trees() -> st.SearchStrategy[tuple[Item, ...]]:
    """Trees whose sections and keys are all known, so that values and their combinations get tried."""
    sections = [_known_section(section.path, [key.name for key in section.keys]) for section in SECTIONS]
    return st.lists(st.one_of(sections), min_size=1, max_size=6).map(tuple)


def texts() -> st.SearchStrategy[str]:
    """Configuration texts: right ones, damaged ones, and soup of the right letters."""
    good = (plausible_trees() | trees()).map(render)
    soup = st.lists(
        st.sampled_from(['"', "{", "}", ";", "=", "#", "\n", "\r\n", " ", *WORDS, *TELLING]), max_size=60
    ).map("".join)
    return good | soup | st.text(max_size=200) | st.builds(_damaged, good, st.integers(0), st.sampled_from('"{};=#\n'))


def _damaged(text: str, position: int, sign: str) -> str:
    at = position % (len(text) + 1)
    return text[:at] + sign + text[at + 1 :]


KINDS = tuple(section.name for section in (*LISTENER_SECTIONS, *BACKEND_SECTIONS))
"""All listeners and backends."""
