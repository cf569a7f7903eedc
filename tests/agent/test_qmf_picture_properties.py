"""Whatever an agent does, whatever is lost and however late: in the end the picture is what the agent has."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fencebus_agent.qmf_objects import QmfObjects
from fencebus_agent.qmf_picture import Picture
from fencebus_schemas.qmf2_agent import AgentAttributes
from fencebus_schemas.qmf2_classes import DOMAIN, NODE
from fencebus_schemas.qmf2_data import Data
from fencebus_schemas.qmf2_names import AgentName
from fencebus_schemas.qmf2_schema import ClassSchema

NAME = AgentName("fencebus", "libvirt-qmf", "hosta")
AGENT = str(NAME)
KEYS = st.sampled_from(["1", "2", "3"])
STATES = st.sampled_from(["running", "paused", "shutoff"])
CLASSES = (DOMAIN, NODE)


class AgentAndPicture(RuleBasedStateMachine):
    """One agent, one console, and a network between them that loses indications and delays answers."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.epoch = 1, 1
        self.objects, self.picture = QmfObjects(AGENT), Picture({})
        self.asking: dict[ClassSchema, list[Data]] = {}
        self.is_asking = False
        self.heartbeat()

    # ---- the agent

    @rule(key=KEYS, state=STATES, described=st.sampled_from(CLASSES))
    def change(self, key: str, state: str, described: ClassSchema) -> None:
        self.now += 1
        self.objects.put(described, key, {"uuid": key, "state": state, "ownerHost": "hosta"}, self.now)

    @rule(key=KEYS, described=st.sampled_from(CLASSES))
    def remove(self, key: str, described: ClassSchema) -> None:
        self.now += 1
        self.objects.remove(described, key, self.now)

    @rule()
    def restart(self) -> None:
        self.epoch += 1
        self.objects = QmfObjects(AGENT)
        self.heartbeat()

    # ---- the network

    @rule()
    def heartbeat(self) -> None:
        self.picture.heard(AGENT, AgentAttributes(NAME, self.now, 60, self.epoch), "", 0.0)

    @rule(is_lost=st.booleans())
    def indicate(self, is_lost: bool) -> None:
        changes = self.objects.take_changes()
        if not is_lost:
            self.picture.told(AGENT, changes, "", 0.0)

    # ---- the console asks, and answers come late

    @rule()
    def begin(self) -> None:
        self.picture.begin(AGENT)
        self.asking, self.is_asking = {}, True

    @precondition(lambda self: self.is_asking)
    @rule(described=st.sampled_from(CLASSES))
    def agent_answers(self, described: ClassSchema) -> None:
        self.asking[described] = self.objects.of(described.id)

    @precondition(lambda self: self.is_asking and len(self.asking) == len(CLASSES))
    @rule()
    def answers_arrive(self) -> None:
        came = [self.picture.answered(AGENT, one.id, found) for one, found in self.asking.items()]
        if all(came):
            self.picture.finish(AGENT)
        self.asking, self.is_asking = {}, False

    # ---- what must hold

    @invariant()
    def nothing_that_is_told_to_be_gone_is_there(self) -> None:
        assert not [one for described in CLASSES for one in self.picture.objects(described.id) if one.deleted]

    @invariant()
    def once_asked_in_peace_the_picture_is_what_the_agent_has(self) -> None:
        if self.is_asking:
            return
        self.picture.told(AGENT, self.objects.take_changes(), "", 0.0)
        self.picture.begin(AGENT)
        for described in CLASSES:
            assert self.picture.answered(AGENT, described.id, self.objects.of(described.id))
        assert self.picture.finish(AGENT)
        for described in CLASSES:
            has = {one.id.name: one.values for one in self.objects.of(described.id)}
            assert {one.id.name: one.values for one in self.picture.objects(described.id)} == has


class WithoutPeace(AgentAndPicture):
    """The same; only at the end is asked in peace."""

    def teardown(self) -> None:
        self.is_asking = False
        AgentAndPicture.once_asked_in_peace_the_picture_is_what_the_agent_has(self)

    @invariant()
    def once_asked_in_peace_the_picture_is_what_the_agent_has(self) -> None:
        """Not before the end."""


TestInPeace = AgentAndPicture.TestCase
TestInPeace.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestWithoutPeace = WithoutPeace.TestCase
TestWithoutPeace.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
