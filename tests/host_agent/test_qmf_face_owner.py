"""Which host shows a VM, for every mixture of what hosts say of it; and when it has changed hands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.effects import HostPicture, MemberSeen, VmChanged
from fencebus_host.qmf_face_owner import Passage, Passages, is_shown_here, vms_of
from fencebus_schemas.model import HostId, Incarnation, Uuid, VmRecord, VmState

VM = Uuid("00000001-0000-4000-8000-000000000000")
HOSTS = [HostId("hosta"), HostId("hostb"), HostId("hostc")]
HERE = Incarnation("boot", "machine", "1")


@dataclass
class Words:
    """What every host says of one VM, and who was the last to have it."""

    states: dict[HostId, VmState]
    last: HostId | None = None
    silent: tuple[str, ...] = ()

    def known(self, vm: Uuid) -> Sequence[VmRecord]:
        return [said(host, state) for host, state in self.states.items()]

    def claimants(self, vm: Uuid) -> Sequence[VmRecord]:
        return [record for record in self.known(vm) if record.state.is_claim]

    def last_owner(self, vm: Uuid) -> HostId | None:
        return self.last

    def unread(self, now: float) -> Sequence[str]:
        return self.silent

    def everything(self) -> Iterable[VmRecord]:
        return self.known(VM)

    def shown_by(self) -> list[HostId]:
        """The hosts that show it."""
        return [record.host for record in self.known(VM) if is_shown_here(record, self, 0.0)]


def said(host: HostId, state: VmState = VmState.RUNNING) -> VmRecord:
    return VmRecord(VM, "vm1", state, host, HERE)


words = st.builds(
    Words,
    st.dictionaries(st.sampled_from(HOSTS), st.sampled_from(VmState), min_size=1),
    st.none() | st.sampled_from(HOSTS),
    st.sampled_from([(), ("hostc",)]),
)


@given(words)
def test_one_host_shows_a_vm_unless_two_claim_to_own_it(said_of_it: Words) -> None:
    owners = [host for host, state in said_of_it.states.items() if state.is_claim and state is not VmState.INCOMING]
    shown = said_of_it.shown_by()
    if owners:
        assert shown == owners
    else:
        incoming = [host for host, state in said_of_it.states.items() if state is VmState.INCOMING]
        assert len(shown) <= 1
        assert shown == incoming if len(incoming) == 1 else set(shown) <= set(said_of_it.states)


@given(words)
def test_nobodys_memory_stands_beside_a_vm_that_lives(said_of_it: Words) -> None:
    if any(state.is_claim for state in said_of_it.states.values()):
        assert all(said_of_it.states[host].is_claim for host in said_of_it.shown_by())


def test_what_is_off_is_shown_by_the_last_owner_alone() -> None:
    off = dict.fromkeys(HOSTS, VmState.OFF)
    assert Words(off, HostId("hostb")).shown_by() == ["hostb"]
    assert Words(off, HostId("elsewhere")).shown_by() == []


def test_what_nobody_saw_live_is_shown_by_the_first_host_once_all_have_spoken() -> None:
    off = {HostId("hostb"): VmState.OFF, HostId("hosta"): VmState.OFF}
    assert Words(off).shown_by() == ["hosta"]
    assert Words(off, silent=("hostc",)).shown_by() == []


def changed(host: str, state: VmState = VmState.RUNNING, gone: bool = False) -> VmChanged:
    return VmChanged(HostId(host), 1, said(HostId(host), state), gone)


def test_a_vm_changes_hands_when_another_host_says_that_it_has_its_life() -> None:
    passages = Passages(Words({HostId("hosta"): VmState.RUNNING}, HostId("hosta")))
    assert passages.take(changed("hosta")) == []
    assert passages.take(changed("hostb", VmState.INCOMING)) == []
    assert passages.take(changed("hosta", VmState.OFF)) == []
    expected = Passage(VM, "vm1", HostId("hosta"), HostId("hostb"))
    assert passages.take(changed("hostb")) == [expected]
    assert passages.take(changed("hostb")) == []


def test_an_inventory_may_tell_it_too_and_other_records_tell_nothing() -> None:
    passages = Passages(Words({HostId("hosta"): VmState.RUNNING}, HostId("hosta")))
    picture = HostPicture(HostId("hostb"), HERE, 1, (said(HostId("hostb")),))
    assert [one.new for one in passages.take(picture)] == ["hostb"]
    assert passages.take(MemberSeen(HostId("hostb"))) == []
    assert passages.take(changed("hosta", gone=True)) == []


def test_the_first_owner_is_no_change() -> None:
    assert Passages(Words({})).take(changed("hosta")) == []


@pytest.mark.parametrize(
    ("kept", "vms"),
    (
        (changed("hosta"), [VM]),
        (HostPicture(HostId("hosta"), HERE, 1, (said(HostId("hosta")),)), [VM]),
        (MemberSeen(HostId("hosta")), []),
    ),
)
def test_a_record_names_its_vms(kept: VmChanged | HostPicture | MemberSeen, vms: list[Uuid]) -> None:
    assert list(vms_of(kept)) == vms
