"""Descriptions of QMF classes: their maps, their hashes, and those that stand in the schema XML."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from hypothesis import given

from fencebus_schemas.amqp010 import Map, Value
from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf2_classes import (
    CLASSES,
    DOMAIN,
    DOMAIN_LIFECYCLE,
    FENCE_COMPLETED,
    FENCE_CONTROL,
    FENCE_RECORD,
    FENCE_REQUESTED,
    NODE,
    OWNERSHIP_CHANGED,
    class_named,
)
from fencebus_schemas.qmf2_data import Kind, SchemaId, Severity
from fencebus_schemas.qmf2_schema import Access, ClassSchema, Field, Method, Type
from fencebus_schemas.qmf2_xml import read_schema
from tests.schemas.qmf_strategies import schemas

SMALL = """<schema package="p.q">
  <class name="Thing" desc="d">
    <property name="key" type="sstr" access="RC" index="y" desc="what it is"/>
    <property name="owner" type="objId" references="Thing" optional="y"/>
    <statistic name="load" type="uint32" unit="percent"/>
    <method name="kick" desc="m"><arg name="hard" type="bool" dir="I"/><arg name="said" type="lstr" dir="O"/></method>
  </class>
  <eventArguments><arg name="a" type="sstr"/><arg name="b" type="uint64"/></eventArguments>
  <event name="kicked" sev="crit" args="b, a"/>
</schema>"""


def test_the_xml_is_read_as_qmfs_own_generators_read_it() -> None:
    thing, kicked = read_schema(SMALL)
    key, owner, load = thing.properties
    assert key == Field("key", Type.SHORT_STRING, "what it is", access=Access.RC, index=True)
    assert owner == Field("owner", Type.REFERENCE, optional=True)
    assert load == Field("load", Type.UINT32, unit="percent", statistic=True)
    said = Field("said", Type.LONG_STRING, direction="O")
    assert thing.methods == (Method("kick", "m", (Field("hard", Type.BOOL), said)),)
    assert [one.name for one in thing.methods[0].inputs] == ["hard"]
    assert (kicked.id.kind, kicked.severity) == (Kind.EVENT, Severity.CRITICAL)
    assert kicked.properties == (Field("b", Type.UINT64), Field("a", Type.SHORT_STRING))


def test_the_map_of_version_2_has_lists_of_properties_and_methods() -> None:
    thing, kicked = read_schema(SMALL)
    told = thing.to_map()
    assert told["_schema_id"] == {
        "_package_name": "p.q",
        "_class_name": "Thing",
        "_type": "_data",
        "_hash": thing.id.hash,
    }
    assert told["_properties"] == [
        {
            "_name": "key",
            "_type": "TYPE_STRING",
            "_access": "RC",
            "_dir": "I",
            "_desc": "what it is",
            "_index": True,
        },
        {"_name": "owner", "_type": "TYPE_MAP", "_access": "RO", "_dir": "I", "_subtype": "reference"},
        {"_name": "load", "_type": "TYPE_INT", "_access": "RO", "_dir": "I", "_unit": "percent"},
    ]
    assert kicked.to_map()["_default_severity"] == 2


def test_whatever_changes_in_a_class_changes_its_hash_and_nothing_else_does() -> None:
    thing, _ = read_schema(SMALL)
    assert thing.hashed() == thing
    key, *others = thing.properties
    keys = (
        replace(key, type=Type.LONG_STRING),
        replace(key, desc="D"),
        replace(key, unit="u"),
        replace(key, access=Access.RO),
        replace(key, index=False),
        replace(key, optional=True),
        replace(key, statistic=True),
    )
    changed = (
        replace(thing, desc="D"),
        replace(thing, id=replace(thing.id, package="p")),
        replace(thing, methods=()),
        *(replace(thing, properties=(one, *others)) for one in keys),
    )
    hashes = {one.hashed().id.hash for one in (thing, *changed)}
    assert len(hashes) == len(changed) + 1


@given(schemas)
def test_a_class_comes_back_as_it_was(described: ClassSchema) -> None:
    assert ClassSchema.from_map(described.to_map()) == described


@pytest.mark.parametrize(
    "wrong",
    (
        {"_properties": [{}]},
        {"_properties": [{"_type": "TYPE_WORD", "_name": "x"}]},
        {"_properties": [{"_type": "TYPE_INT"}]},
        {"_properties": [{"_type": "TYPE_INT", "_name": "x", "_access": "WO"}]},
        {"_properties": [7]},
        {"_methods": [{"_name": 7}]},
        {"_default_severity": 8},
    ),
)
def test_what_describes_no_class_is_refused(wrong: Map) -> None:
    with pytest.raises(WireError):
        ClassSchema.from_map(wrong)


@pytest.mark.parametrize(
    ("value", "fits"),
    (
        (True, {Type.BOOL}),
        (7, {Type.INT8, Type.UINT64, Type.TIME, Type.DOUBLE}),
        (0.5, {Type.DOUBLE, Type.FLOAT}),
        ("x", {Type.SHORT_STRING, Type.LONG_STRING}),
        (uuid.UUID(int=1), {Type.UUID}),
        ({}, {Type.MAP, Type.REFERENCE}),
        ([], {Type.LIST}),
        (None, set()),
    ),
)
def test_a_type_accepts_values_of_its_general_sort(value: Value, fits: set[Type]) -> None:
    asked = {
        Type.BOOL,
        Type.INT8,
        Type.UINT64,
        Type.TIME,
        Type.DOUBLE,
        Type.FLOAT,
        Type.SHORT_STRING,
        Type.LONG_STRING,
        Type.UUID,
        Type.MAP,
        Type.REFERENCE,
        Type.LIST,
    }
    expected = fits | ({Type.FLOAT} if Type.INT8 in fits else set())
    assert {one for one in asked if one.accepts(value)} == expected


def test_a_domain_is_what_old_consoles_know_and_more_that_is_optional() -> None:
    names = [one.name for one in DOMAIN.properties if not one.statistic]
    assert names[:7] == ["uuid", "name", "id", "node", "state", "numVcpus", "active"]
    assert all(one.optional for one in DOMAIN.properties[7:] if not one.statistic)
    assert {one.name: one.type for one in DOMAIN.properties}["uuid"] is Type.SHORT_STRING
    methods = ["create", "destroy", "shutdown", "reboot", "suspend", "resume", "getXMLDesc"]
    assert [one.name for one in DOMAIN.methods] == methods
    assert not any(one.inputs for one in DOMAIN.methods)
    assert NODE.methods == ()


def test_all_classes_are_found_by_name_and_have_a_hash_each() -> None:
    named = (NODE, DOMAIN, FENCE_CONTROL, FENCE_RECORD)
    events = (DOMAIN_LIFECYCLE, FENCE_REQUESTED, FENCE_COMPLETED, OWNERSHIP_CHANGED)
    assert named + events == CLASSES
    assert {one.id.kind for one in events} == {Kind.EVENT}
    assert len({one.id.hash for one in CLASSES} - {None}) == len(CLASSES)
    assert FENCE_CONTROL.method("fence") is not None
    assert FENCE_CONTROL.method("migrate") is None
    with pytest.raises(KeyError):
        class_named("org.libvirt", "domain")


def test_a_class_without_a_hash_is_one_that_a_query_asks_for() -> None:
    assert SchemaId("org.libvirt", "Domain").to_map() == {
        "_package_name": "org.libvirt",
        "_class_name": "Domain",
        "_type": "_data",
    }
