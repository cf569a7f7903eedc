"""Events and records have the values that their classes describe."""

from __future__ import annotations

import pytest

from fencebus_agent import qmf_reports
from fencebus_agent.hypervisor import DomainEvent
from fencebus_schemas.amqp010 import Map
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action, FenceOutcome, FenceRequest, HostId, Reason, RequestId, Source, Uuid
from fencebus_schemas.qmf2_classes import (
    DOMAIN_LIFECYCLE,
    FENCE_COMPLETED,
    FENCE_RECORD,
    FENCE_REQUESTED,
    NODE,
    OWNERSHIP_CHANGED,
)
from fencebus_schemas.qmf2_data import Severity
from fencebus_schemas.qmf2_schema import ClassSchema

VM, HOST = Uuid("11111111-1111-1111-1111-111111111111"), HostId("hosta")
REQUEST = FenceRequest(RequestId("r1"), Action.OFF, "vm7", Source("192.0.2.7"), "tcp", Deadline.after(25.0), 1.0)
FAILED = FenceOutcome(REQUEST.id, False, Reason.HOST_SILENT, (), "hostb is silent")


@pytest.mark.parametrize(
    ("described", "values"),
    (
        (NODE, qmf_reports.node_values(HOST, "qemu:///system")),
        (DOMAIN_LIFECYCLE, qmf_reports.lifecycle_values(DomainEvent(VM, "started"), "vm7", HOST)),
        (FENCE_REQUESTED, qmf_reports.requested_values(REQUEST, HOST)),
        (FENCE_COMPLETED, qmf_reports.completed_values(REQUEST, FAILED, HOST)),
        (FENCE_RECORD, qmf_reports.record_values(REQUEST, FAILED, 1, 2)),
        (OWNERSHIP_CHANGED, qmf_reports.ownership_values(VM, "vm7", None, HOST)),
    ),
)
def test_the_values_are_those_that_the_class_describes(described: ClassSchema, values: Map) -> None:
    types = {one.name: one.type for one in described.properties}
    assert {one.name for one in described.properties if not one.optional} == set(values)
    assert all(types[name].accepts(value) for name, value in values.items())


def test_an_outcome_is_told_with_its_reason_and_in_words() -> None:
    values = qmf_reports.completed_values(REQUEST, FAILED, HOST)
    assert (values["ok"], values["reason"], values["text"]) == (False, "host-silent", "hostb is silent")
    assert (values["action"], values["target"], values["requestId"]) == ("off", "vm7", "r1")


def test_a_failed_fence_is_an_error() -> None:
    assert qmf_reports.completed_severity(FAILED) is Severity.ERROR


def test_nobody_is_the_empty_name() -> None:
    assert qmf_reports.ownership_values(VM, "vm7", HOST, None)["newHost"] == ""
