"""The one exchange of QMF version 1: the vectors that real consoles write and read."""

from __future__ import annotations

import contextlib
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_schemas.errors import WireError
from fencebus_schemas.qmf1 import SchemaRequest, pack_schema
from fencebus_schemas.qmf2_classes import DOMAIN, FENCE_COMPLETED
from fencebus_schemas.qmf2_data import SchemaId
from fencebus_schemas.qmf2_schema import Access, ClassSchema, Field, Method, Type
from tests.schemas.qmf1_reader import read_answer
from tests.schemas.qmf_strategies import schemas, words

HASH = uuid.UUID(bytes=bytes(range(16)))
REQUEST = bytes.fromhex("414d3253000000070b6f72672e6c69627669727406446f6d61696e" + HASH.hex)
ANSWER = bytes.fromhex(
    "414d327300000007010b6f72672e6c69627669727406446f6d61696e" + HASH.hex + "000100000001"
    "0000003300000005046e616d659500046e616d650474797065020606616363657373020105696e6465780201"
    "086f7074696f6e616c0200"
    "0000001e00000002046e616d6595000764657374726f7908617267436f756e740200"
)
SMALL = ClassSchema(
    SchemaId("org.libvirt", "Domain", hash=HASH),
    (Field("name", Type.SHORT_STRING, access=Access.RC, index=True),),
    (Method("destroy"),),
)


def test_a_consoles_request_is_read() -> None:
    request = SchemaRequest(7, SchemaId("org.libvirt", "Domain", hash=HASH))
    assert SchemaRequest.unpack(REQUEST) == request
    assert request.pack() == REQUEST


def test_our_answer_says_what_the_answer_that_a_console_understood_says() -> None:
    assert len(ANSWER) == 139
    theirs, ours = read_answer(ANSWER), read_answer(pack_schema(7, SMALL))
    assert ours.methods[0][0].pop("desc") == ""
    assert ours == theirs


def test_statistics_methods_and_arguments_are_told_apart() -> None:
    told = read_answer(pack_schema(1, DOMAIN))
    assert (told.kind, told.package, told.name, told.hash) == (1, "org.libvirt", "Domain", DOMAIN.id.hash)
    assert [item["name"] for item in told.statistics] == ["maximumMemory", "memory", "cpuTime"]
    assert told.statistics[0]["unit"] == "KiB"
    by_name = {item["name"]: item for item in told.properties}
    assert (by_name["node"]["type"], by_name["uuid"]["type"], by_name["lastFenceTime"]["type"]) == (10, 6, 8)
    assert (by_name["ownerHost"]["optional"], by_name["uuid"]["optional"], by_name["uuid"]["index"]) == (1, 0, 1)
    arguments = {str(method["name"]): arguments for method, arguments in told.methods}
    assert [(one["name"], one["dir"]) for one in arguments["getXMLDesc"]] == [("description", "O")]


def test_an_event_is_its_arguments() -> None:
    told = read_answer(pack_schema(2, FENCE_COMPLETED))
    assert (told.kind, told.name) == (2, "fenceCompleted")
    assert [item["name"] for item in told.properties][:2] == ["requestId", "target"]
    assert "access" not in told.properties[0]


@given(schemas)
def test_every_class_can_be_told(described: ClassSchema) -> None:
    told = read_answer(pack_schema(9, described))
    assert (told.package, told.name) == (described.id.package, described.id.class_name)
    assert [item["name"] for item in told.properties] == [field.name for field in described.properties]


@given(st.integers(0, 2**32 - 1), words, words, st.uuids())
def test_a_request_comes_back_as_it_was(sequence: int, package: str, name: str, hash_id: uuid.UUID) -> None:
    request = SchemaRequest(sequence, SchemaId(package, name, hash=hash_id))
    assert SchemaRequest.unpack(request.pack()) == request


@pytest.mark.parametrize("length", range(len(REQUEST)))
def test_a_request_that_ends_early_is_refused(length: int) -> None:
    with pytest.raises(WireError):
        SchemaRequest.unpack(REQUEST[:length])


def test_what_is_longer_than_it_says_is_refused() -> None:
    with pytest.raises(WireError, match="length"):
        SchemaRequest.unpack(REQUEST + b"\0")
    with pytest.raises(WireError, match="length"):
        SchemaRequest(1, SchemaId("x" * 256, "y")).pack()


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(WireError):
        SchemaRequest.unpack(b"AM2S" + data)
