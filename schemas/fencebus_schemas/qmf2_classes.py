"""Decides which QMF classes there are: those of the schema XML in ``data``, the one source of them (docs/qmf.md).

Read when this module is imported, from files that are part of the package.
"""

from __future__ import annotations

from pathlib import Path

from fencebus_schemas.qmf2_schema import ClassSchema
from fencebus_schemas.qmf2_xml import read_schema

LIBVIRT, FENCEBUS = "org.libvirt", "org.fencebus"
_DATA = Path(__file__).parent / "data"

CLASSES: tuple[ClassSchema, ...] = tuple(
    described
    for package in (LIBVIRT, FENCEBUS)
    for described in read_schema((_DATA / f"{package}.xml").read_text(encoding="utf-8"))
)
"""All of them, each with its hash."""


def class_named(package: str, name: str) -> ClassSchema:
    """One of our classes.  Raises KeyError."""
    return _BY_NAME[package, name]


_BY_NAME = {(one.id.package, one.id.class_name): one for one in CLASSES}

NODE, DOMAIN = class_named(LIBVIRT, "Node"), class_named(LIBVIRT, "Domain")
FENCE_CONTROL, FENCE_RECORD = class_named(FENCEBUS, "FenceControl"), class_named(FENCEBUS, "FenceRecord")
DOMAIN_LIFECYCLE = class_named(FENCEBUS, "domainLifecycle")
FENCE_REQUESTED, FENCE_COMPLETED = class_named(FENCEBUS, "fenceRequested"), class_named(FENCEBUS, "fenceCompleted")
OWNERSHIP_CHANGED = class_named(FENCEBUS, "ownershipChanged")
