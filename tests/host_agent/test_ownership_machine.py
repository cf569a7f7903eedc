"""Hosts that lose, delay, double and mix up what they tell each other: what holds meanwhile, what they come to."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fencebus_host.effects import HostPicture, Kept, MemberSeen, VmChanged
from fencebus_host.ownership import Heard, Ownership, Past
from fencebus_schemas.model import HostId, Uuid, VmRecord, VmState
from fencebus_schemas.peer import EVERYONE, Forgotten, Message
from tests.host_agent.federated_words import hear, host, record, settle, vm_number

NAMES = tuple(HostId(letter) for letter in "abcd")
VMS = tuple(vm_number(number) for number in range(3))

names = st.sampled_from(NAMES)
states = st.sampled_from(VmState)
vms = st.sampled_from(VMS)


class Federation(RuleBasedStateMachine):
    """Each rule is something that a host, its daemon, an operator or the carrier does."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.hosts = {name: host(name) for name in NAMES}
        self.starts = dict.fromkeys(NAMES, 1)
        self.disks: dict[HostId, list[Kept]] = {name: [] for name in NAMES}
        self.truth: dict[HostId, dict[Uuid, VmRecord]] = {name: {} for name in NAMES}
        self.air: list[Message] = []
        self.had = {name: frozenset((name,)) for name in NAMES}
        self.taken_out: set[HostId] = set()

    def told(self, name: HostId, heard: Heard) -> None:
        self.air += heard.replies
        self.disks[name] += heard.keep

    @rule(name=names, vm=vms, state=states, gone=st.booleans())
    def a_vm_changes(self, name: HostId, vm: Uuid, state: VmState, gone: bool) -> None:
        now = record(name, vm, state, name=f"vm {vm[-1]}")
        if gone:
            self.truth[name].pop(vm, None)
        else:
            self.truth[name][vm] = now
        self.told(name, self.hosts[name].own_change(now, gone, self.now))

    @rule(name=names)
    def a_host_reads_all_anew(self, name: HostId) -> None:
        self.told(name, self.hosts[name].own_inventory(list(self.truth[name].values()), self.now))

    @rule(name=names)
    def a_host_announces_itself(self, name: HostId) -> None:
        self.air.append(self.hosts[name].announce("token"))

    @rule(at=st.integers(0, 1000), lost=st.booleans(), kept=st.booleans())
    def a_message_arrives(self, at: int, lost: bool, kept: bool) -> None:
        if not self.air:
            return
        at %= len(self.air)
        message = self.air[at] if kept else self.air.pop(at)
        if not lost:
            self.deliver(message)

    @rule(name=names)
    def a_daemon_starts_again(self, name: HostId) -> None:
        self.starts[name] += 1
        self.hosts[name] = host(name, past=self.past(name), start=self.starts[name])
        self.told(name, self.hosts[name].own_inventory(list(self.truth[name].values()), self.now))

    @rule(name=names, gone=names)
    def an_operator_forgets_a_host(self, name: HostId, gone: HostId) -> None:
        heard = self.hosts[name].forget(gone, self.now)
        if heard.keep:
            self.taken_out.add(gone)
        self.told(name, heard)

    @rule(seconds=st.sampled_from((0.1, 1.0, 20.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    def deliver(self, message: Message) -> None:
        for name in NAMES:
            if name != message.sender and message.to in (name, EVERYONE):
                self.told(name, hear(self.hosts[name], message, self.now))

    def past(self, name: HostId) -> Past:
        """What the disk would give back."""
        members: list[HostId] = [each.host for each in self.disks[name] if isinstance(each, MemberSeen)]
        forgotten = [each for each in self.disks[name] if isinstance(each, Forgotten)]
        pictures: dict[HostId, HostPicture] = {}
        for each in self.disks[name]:
            if isinstance(each, HostPicture):
                pictures[each.host] = each
            elif isinstance(each, VmChanged):
                before = pictures.get(each.host) or HostPicture(each.host, each.record.incarnation, -2, ())
                others = tuple(one for one in before.records if one.uuid != each.record.uuid)
                records = others if each.gone else (*others, each.record)
                pictures[each.host] = HostPicture(each.host, before.incarnation, each.generation, records)
        return Past(tuple(members), tuple(forgotten), tuple(pictures.values()))

    @invariant()
    def nobody_ceases_to_be_a_member_but_by_an_operator(self) -> None:
        for name, ownership in self.hosts.items():
            assert self.had[name] - ownership.members <= self.taken_out
            assert name in ownership.members
            self.had[name] = ownership.members

    @invariant()
    def who_has_something_is_a_member(self) -> None:
        for ownership in self.hosts.values():
            assert {each.host for each in ownership.everything()} <= ownership.members

    @invariant()
    def each_knows_what_it_has_itself(self) -> None:
        for name, ownership in self.hosts.items():
            own = {each.uuid: each.state for each in ownership.everything() if each.host == name}
            assert own == {vm: each.state for vm, each in self.truth[name].items()}

    def teardown(self) -> None:
        """Once nothing is lost any more, all come to know the same, and it is true."""
        hosts = list(self.hosts.values())
        self.now += 100.0
        settle(hosts, self.now)
        for one in hosts:
            assert one.members == frozenset(NAMES)
            assert one.members_digest == hosts[0].members_digest
            told = {(each.host, each.uuid, each.state) for each in one.everything()}
            assert told == {(each.host, vm, each.state) for name in NAMES for vm, each in self.truth[name].items()}
            assert quiet(one, hosts, self.now + 50.0)


def quiet(one: Ownership, hosts: list[Ownership], now: float) -> bool:
    """Nobody has anything to ask of ``one`` any more."""
    return all(not each.announce_heard(one.announce("t"), now).replies for each in hosts)


TestFederation = Federation.TestCase
TestFederation.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
