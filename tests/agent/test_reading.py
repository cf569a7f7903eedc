"""What libvirt's numbers and XML mean."""

from __future__ import annotations

from pathlib import Path

import libvirt
import pytest

from fencebus_agent.death import Job, Power
from fencebus_agent.libvirt_driver.events import read_job_completed, read_lifecycle
from fencebus_agent.libvirt_driver.processes import finder_for
from fencebus_agent.libvirt_driver.reading import job_of, power_of, read_facts
from fencebus_agent.roster import Turn


@pytest.mark.parametrize(
    ("state", "reason", "power"),
    (
        ("RUNNING", "RUNNING_BOOTED", Power.RUNNING),
        ("RUNNING", "RUNNING_MIGRATED", Power.RUNNING),
        ("RUNNING", "RUNNING_UNPAUSED", Power.RUNNING),
        ("RUNNING", "RUNNING_POSTCOPY", Power.UNSETTLED),
        ("RUNNING", "RUNNING_POSTCOPY_FAILED", Power.UNSETTLED),
        ("BLOCKED", "RUNNING_UNKNOWN", Power.RUNNING),
        ("PAUSED", "PAUSED_USER", Power.PAUSED),
        ("PAUSED", "PAUSED_IOERROR", Power.PAUSED),
        ("PAUSED", "PAUSED_MIGRATION", Power.OUTGOING),
        ("PAUSED", "PAUSED_POSTCOPY", Power.OUTGOING),
        ("PAUSED", "PAUSED_POSTCOPY_FAILED", Power.OUTGOING),
        ("PAUSED", "PAUSED_STARTING_UP", Power.INCOMING),
        ("PAUSED", "PAUSED_UNKNOWN", Power.UNSETTLED),
        ("PMSUSPENDED", "RUNNING_UNKNOWN", Power.PAUSED),
        ("SHUTDOWN", "RUNNING_UNKNOWN", Power.ENDING),
        ("CRASHED", "RUNNING_UNKNOWN", Power.ENDING),
        ("SHUTOFF", "SHUTOFF_UNKNOWN", Power.OFF),
        ("SHUTOFF", "SHUTOFF_DESTROYED", Power.OFF),
        ("SHUTOFF", "SHUTOFF_CRASHED", Power.OFF),
        ("SHUTOFF", "SHUTOFF_SAVED", Power.OFF),
        ("SHUTOFF", "SHUTOFF_MIGRATED", Power.LEFT),
        ("NOSTATE", "RUNNING_UNKNOWN", Power.UNSETTLED),
    ),
)
def test_state_and_reason_make_a_condition(state: str, reason: str, power: Power) -> None:
    assert power_of(getattr(libvirt, f"VIR_DOMAIN_{state}"), getattr(libvirt, f"VIR_DOMAIN_{reason}")) is power


def test_a_state_of_a_newer_libvirt_is_not_plain() -> None:
    assert power_of(99, 0) is Power.UNSETTLED


@pytest.mark.parametrize(
    ("kind", "operation", "job"),
    (
        (0, 0, Job.NONE),
        (2, 5, Job.MIGRATION),
        (2, 4, Job.MIGRATION),
        (1, 2, Job.STAYS),
        (1, 6, Job.STAYS),
        (1, 99, Job.MIGRATION),
    ),
)
def test_a_job_that_is_not_known_to_stay_counts_as_a_migration(kind: int, operation: int, job: Job) -> None:
    assert job_of(kind, operation) is job


def test_the_facts_of_an_xml() -> None:
    nics = "<interface><mac address='52:54:00:AA:00:01'/></interface><interface/><interface><mac/></interface>"
    uuid = "6695EB01-f6a4-8304-79aa-97f2502e193f"
    facts = read_facts(f"<domain><name>vm1</name><uuid>{uuid}</uuid><devices>{nics}</devices></domain>")
    assert (facts.uuid, facts.name) == ("6695eb01-f6a4-8304-79aa-97f2502e193f", "vm1")
    assert facts.macs == ("52:54:00:aa:00:01",)


@pytest.mark.parametrize(
    ("event", "detail", "kind", "turn"),
    (
        ("STARTED", 0, "started", Turn.STARTED),
        ("STARTED", 1, "started", Turn.ARRIVING),
        ("SUSPENDED", 0, "suspended", Turn.CHANGED),
        ("SUSPENDED", 1, "suspended", Turn.LEAVING),
        ("SUSPENDED", 7, "suspended", Turn.LEAVING),
        ("RESUMED", 1, "resumed", Turn.RESUMED),
        ("STOPPED", 1, "stopped", Turn.ENDED),
        ("STOPPED", 3, "stopped", Turn.LEAVING),
        ("DEFINED", 0, "defined", Turn.CHANGED),
        ("UNDEFINED", 0, "undefined", Turn.CHANGED),
    ),
)
def test_lifecycle_events(event: str, detail: int, kind: str, turn: Turn) -> None:
    meaning = read_lifecycle(getattr(libvirt, f"VIR_DOMAIN_EVENT_{event}"), detail)
    assert (meaning.kind, meaning.turn) == (kind, turn)
    assert meaning.detail == ("migration" if turn in (Turn.ARRIVING, Turn.LEAVING) else "")


def test_an_event_of_a_newer_libvirt_is_a_change() -> None:
    assert read_lifecycle(99, 0).turn is Turn.CHANGED


def test_a_finished_migration_says_that_the_vm_has_left() -> None:
    assert read_job_completed(libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT).turn is Turn.LEAVING
    assert read_job_completed(libvirt.VIR_DOMAIN_JOB_OPERATION_SAVE).turn is Turn.CHANGED


@pytest.mark.parametrize(
    "uri",
    ("test:///default", "qemu+ssh://other/system", "qemu+tcp://192.0.2.1/system", "xen:///system", "lxc:///system"),
)
def test_where_no_process_can_be_watched_there_is_no_finder(uri: str) -> None:
    assert finder_for(uri) is None


@pytest.mark.parametrize(
    ("uri", "folder"),
    (
        ("qemu:///system", "/run/libvirt/qemu"),
        ("qemu+tcp://localhost/system", "/run/libvirt/qemu"),
        ("qemu+unix:///system?socket=/x/libvirt-sock", "/x/qemu"),
    ),
)
def test_pid_files_lie_beside_the_socket(uri: str, folder: str) -> None:
    finder = finder_for(uri)
    assert finder is not None
    assert finder._folder == Path(folder)
    other = finder_for(uri, Path("/y"))
    assert other is not None
    assert other._folder == Path("/y")
