"""Converts an agent's metadata into what it can do, and decides whether it can be a router.  Pure."""

from __future__ import annotations

import difflib
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass

from fencebus_host.routers.fence_agent.contract import Verb
from fencebus_schemas.errors import FencebusError

MOST_BYTES = 1 << 20
NEEDED = frozenset({Verb.ON.value, Verb.OFF.value, Verb.STATUS.value})


class MetadataError(FencebusError):
    """What the agent printed is not the metadata of a fence agent."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an agent says of itself."""

    parameters: frozenset[str]
    """Names with ``_``; an agent takes ``-`` in its place as well."""
    actions: frozenset[str]

    @property
    def plug_key(self) -> str:
        """What the agent calls a plug."""
        return "plug" if "plug" in self.parameters else "port"

    @property
    def names_vms(self) -> bool:
        """Whether the agent can be told which VM is meant."""
        return bool(self.parameters & {"plug", "port"})

    @property
    def lists(self) -> Verb | None:
        """The better of the two lists that the agent has."""
        return next((verb for verb in (Verb.LIST_STATUS, Verb.LIST) if verb.value in self.actions), None)


def read_metadata(text: str) -> Metadata:
    """Raises MetadataError.  The text is our own program's, and yet it is bounded and may not declare entities."""
    if len(text) > MOST_BYTES or "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise MetadataError("its metadata is too long, or has a document type")
    try:
        root = ET.fromstring(text[text.find("<") :])
    except (ET.ParseError, ValueError) as error:
        raise MetadataError(f"its metadata cannot be read: {error}") from error
    names = frozenset(each.get("name", "").replace("-", "_") for each in root.iter("parameter"))
    actions = frozenset(each.get("name", "") for each in root.iter("action"))
    if not names or not actions:
        raise MetadataError("its metadata names no parameter, or no action")
    return Metadata(names, actions)


def why_unfit(metadata: Metadata) -> str:
    """Why an agent cannot be a router; empty if it can.  Agents of fabrics and single machines cannot."""
    missing = NEEDED - metadata.actions
    if missing:
        return f"it has no action {', '.join(sorted(missing))}"
    if not metadata.names_vms:
        return "it cannot be told which VM is meant (no parameter `plug`)"
    return ""


def unknown_keys(metadata: Metadata, keys: Iterable[str]) -> list[str]:
    """What is wrong with each option that the agent would ignore without a failure: mostly a slip of the pen."""
    wrong = [key for key in keys if key.replace("-", "_") not in metadata.parameters]
    return [f"`{key}`{_near(key, metadata.parameters)}" for key in wrong]


def _near(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, sorted(known), n=1)
    return f" (did you mean `{near[0]}`?)" if near else ""
