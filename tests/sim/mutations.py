"""The clauses of the protocol, each with a way to switch it off: the simulation must find a counter-example then."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from fencebus_agent import death
from fencebus_agent.hypervisor import DomainEvent
from fencebus_host import denial, federated_rules, host_death, ledger, permission, verdict
from fencebus_host.denial import Word
from fencebus_host.federation import member, rounds, rules
from fencebus_host.federation.guards import Guards
from fencebus_host.federation.member import Member
from fencebus_host.federation.rounds import Rounds
from fencebus_host.federation.tokens import Fresh, Tokens
from fencebus_host.ledger import Ledger
from fencebus_host.ownership import Ownership
from fencebus_host.routers.federated import echoes
from fencebus_host.routers.federated.echoes import Echoes
from fencebus_schemas.model import Action, FenceRequest, Observation, Sight, VmState
from fencebus_schemas.peer import Quote
from tests.sim import daemon, desk, driver, rare_worlds, requesting, worlds
from tests.sim.generating import Mode
from tests.sim.worlds import World

Change = tuple[object, str, object]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A clause, and what is put in its place."""

    rule: str
    clause: str
    changes: tuple[Change, ...]
    residue: bool = False
    """What breaks is outside the promise without the clause, too: residues count."""
    world: World | None = None
    """Where it bites, if the default world masks it."""
    modes: tuple[Mode, ...] = (Mode.DEFAULT, Mode.DENSE)
    """The worlds, if none was made for it."""
    beside: Mutation | None = None
    """Another clause that would catch what this one lets through: it is off with this one, and without."""

    def __str__(self) -> str:
        return f"{self.rule} {self.clause}"

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Switch the clause off for a while, and what masks it."""
        with self.only_beside(), _instead(self.changes):
            yield

    @contextmanager
    def only_beside(self) -> Iterator[None]:
        """Switch off what masks the clause, but not the clause."""
        with _instead(self.beside.changes if self.beside is not None else ()):
            yield


@contextmanager
def _instead(changes: tuple[Change, ...]) -> Iterator[None]:
    before = [(where, name, vars(where)[name]) for where, name, _ in changes]
    for where, name, instead in changes:
        setattr(where, name, instead)
    try:
        yield
    finally:
        for where, name, was in before:
            setattr(where, name, was)


def _without(*names: str) -> tuple[Change, ...]:
    """The rules of denial and verdict without these."""
    tuples = (
        (denial, "RULES"),
        (verdict, "FEDERATED_OFF_RULES"),
        (verdict, "FEDERATED_ON_RULES"),
        (verdict, "DOOR_RULES"),
    )
    return tuple(
        (where, name, tuple(rule for rule in vars(where)[name] if rule.__name__ not in names)) for where, name in tuples
    )


def _nothing(*_args: object) -> None:
    return None


def _true(*_args: object) -> bool:
    return True


def _false(*_args: object) -> bool:
    return False


def _accept(self: Tokens, quote: Quote, now: float) -> Fresh | None:
    """Whatever comes is taken for fresh: the sender's own words about its age count."""
    return Fresh(now + quote.patience, now - max(quote.age, 0.0))


def _denies(self: Sight) -> bool:
    return self.state in (VmState.OFF, VmState.SAVED) and not self.in_flight


def _claims(self: VmState) -> bool:
    return self in (VmState.RUNNING, VmState.PAUSED, VmState.INCOMING)


def _plain(seen: Observation) -> bool:
    return seen.ended is not None or seen.migration_in_flight


def _anybody(self: Rounds, members: object) -> bool:
    return all(self._denies(word) for word in self._words.values()) and bool(self._words)


def _by_target(request: FenceRequest) -> str:
    return f"{request.target}/{request.action.name}"


def _joins(action: Action, running: ledger._Entry) -> bool:
    return action is running.request.action


def _forgetful(self: Guards, draw: Callable[[], str], memory: float) -> None:
    _guards_init(self, draw, 0.0)


_guards_init = Guards.__init__


def _part(self: Rounds, late: Word) -> None:
    """Whatever a member denies, it has taken back what it claimed."""
    claim = self._claims.get(late.host)
    if claim is not None:
        self._parted.add(late.host)
        if rounds.claimed_mark(claim) not in late.sight.left:
            del self._claims[late.host]


def _resounds(self: Echoes, event: DomainEvent, now: float) -> bool:
    """For a while after a kill, whatever is heard of the VM is taken for its echo."""
    return now < self._awaited.get(event.vm, -math.inf)


EVERY_ECHO = Mutation(
    "S2",
    "a kill's echo is its end, and one only",
    ((Echoes, "is_echo", _resounds),),
    world=rare_worlds.echoing,
)


OWN_LIFE = Mutation(
    "S3",
    "a claim ends with the life that was claimed",
    ((rounds, "claimed_mark", lambda _claim: ""),),
    world=rare_worlds.attested,
)


def _death(clause: str, *names: str, world: World | None = None, beside: Mutation | None = None) -> Mutation:
    """A clause about proofs that a host is dead; the first of ``names``, the others are off beside it."""
    clauses = tuple(each for each in host_death.CLAUSES if each.__name__ not in names)
    assert len(clauses) == len(host_death.CLAUSES) - len(names)
    changes: tuple[Change, ...] = ((host_death, "CLAUSES", clauses),)
    return Mutation("S13", clause, changes, world=world, modes=(Mode.DEADLY,), beside=beside)


PAST_REBOOT = _death("a past reboot proves nothing", "s13_asked_since_the_request", world=rare_worlds.returned)
SIGN_OF_LIFE = _death("the next sign of life ends a proof", "s13_nothing_heard_since", world=rare_worlds.silenced)

MUTATIONS = (
    Mutation(
        "S1",
        "an answer is of this very request",
        ((desk, "digest_of", _by_target), (requesting, "digest_of", _by_target)),
    ),
    Mutation(
        "S2",
        "every member denies",
        (*_without("s2_every_member_denies", "s2_every_member_denies_again"), (Rounds, "is_clean", _anybody)),
    ),
    Mutation(
        "S2",
        "each denies twice",
        _without("s2_every_member_denies_again", "s2_guards_are_unbroken"),
        world=worlds.crossing,
    ),
    Mutation(
        "S2",
        "under an unbroken guard",
        (*_without("s2_guards_are_unbroken"), (Rounds, "_is_broken", _false)),
        world=rare_worlds.dodging,
    ),
    Mutation(
        "S2",
        "a saved life is a life",
        ((Sight, "denies", property(_denies)), (VmState, "is_claim", property(_claims))),
        world=worlds.saving,
    ),
    Mutation("S2", "the members are known", _without("s2_members_are_known"), world=worlds.alone),
    Mutation(
        "S2",
        "a name is one machine's",
        (*_without("s2_names_are_unique"), (Ownership, "conflicts", lambda _self, _now: frozenset())),
        world=worlds.twins,
    ),
    Mutation(
        "S2",
        "a part without a quorum believes its own eyes alone",
        _without("s2_quorum_or_own_eyes"),
        residue=True,
        world=rare_worlds.parted,
    ),
    Mutation(
        "S2", "a part without a quorum concludes nothing", _without("s2_quorum_stands"), world=rare_worlds.refounded
    ),
    Mutation(
        "S2",
        "what nobody heard breaks a guard",
        ((daemon.Daemon, "_missed", _nothing),),
        world=rare_worlds.unheard,
    ),
    EVERY_ECHO,
    Mutation(
        "S2",
        "a kill's echo comes soon",
        ((echoes, "ECHO_SECONDS", math.inf),),
        world=rare_worlds.resounding,
        beside=EVERY_ECHO,
    ),
    Mutation("S2", "somebody saw it end", _without("s2_somebody_saw_it_end"), residue=True),
    Mutation("S2", "nobody saw it leave", _without("s2_nobody_saw_it_leave"), residue=True),
    Mutation("S3", "claims are a set", _without("s3_no_other_claim", "s3_nobody_else_claims_it"), world=worlds.copies),
    Mutation(
        "S3",
        "no claim by the time of the start",
        ((verdict, "s3_nobody_claims_it_at_its_start", _nothing),),
        world=worlds.copies,
    ),
    OWN_LIFE,
    Mutation(
        "S3",
        "a late denial takes no younger claim back",
        ((Rounds, "_part", _part),),
        world=rare_worlds.belated,
    ),
    Mutation(
        "S3",
        "what was known of and has left is a claim",
        ((Rounds, "_claim_of_the_departed", _nothing),),
        world=rare_worlds.parting,
    ),
    Mutation("S4", "a deed outlives the daemon", ((Member, "remember", _nothing),), world=worlds.repeated),
    Mutation("S7", "the owner does nothing twice", ((Member, "_done", _nothing),), world=worlds.repeated),
    Mutation(
        "S7",
        "a deed answers only where nothing turned up",
        ((member, "_stands", lambda done, _result: done),),
        world=rare_worlds.attested,
        beside=OWN_LIFE,
    ),
    Mutation(
        "S7",
        "nobody joins once something was seen",
        ((ledger, "_may_join", _joins), *_without("s7_brought_for_this_request")),
        world=worlds.regained,
    ),
    Mutation("S8", "an ambiguous name fails", _without("s8_one_target", "s8_name_is_resolved")),
    Mutation("S8", "a name waits for all members", _without("s8_name_is_resolved"), world=worlds.homonyms),
    Mutation("S12", "commands are fresh by the receiver's clock", ((Tokens, "accept", _accept),), world=worlds.held),
    Mutation(
        "S12",
        "nothing late directly before the act",
        ((rules, "s12_in_time", _nothing), (permission, "s12_s16_may_act", _nothing)),
        world=worlds.held,
    ),
    Mutation("S12", "no life younger than the request", ((rules, "s12_is_old", _true),)),
    _death(
        "somebody says that it is dead",
        "s13_somebody_says_that_it_is_dead",
        "s13_asked_since_the_request",
        beside=PAST_REBOOT,
    ),
    SIGN_OF_LIFE,
    PAST_REBOOT,
    _death("what was saved there outlives the host", "s13_last_state_there_was_plain"),
    Mutation(
        "S13",
        "who lives denies once more after a proof",
        _without("s13_denied_since_the_proofs"),
        world=rare_worlds.revenant,
    ),
    Mutation("S12", "nothing for who has left", ((permission, "s12_s16_may_act", _nothing),), world=worlds.held),
    Mutation(
        "S14",
        "in flight is no proof",
        ((death.Look, "in_flight", property(_false)), (federated_rules, "is_plain_end", _plain)),
    ),
    Mutation(
        "S14",
        "what nobody heard may have been a migration",
        ((driver.Driver, "_missed_since", _false),),
        world=rare_worlds.hushed,
    ),
    Mutation(
        "S14",
        "what happens breaks a guard",
        ((Guards, "touched", _nothing),),
        world=rare_worlds.visiting,
    ),
    Mutation("S15", "two rounds before a start", ((denial, "missing", _nothing),)),
    Mutation(
        "S15",
        "the start claim is exclusive",
        (
            (rules, "s15_claim_stands", _nothing),
            (Guards, "install", lambda self, message, until, now: self._renewed(message, until, now)),
        ),
        world=rare_worlds.candidates,
    ),
    Mutation(
        "S16",
        "a request dies with its source",
        (
            (rules, "s16_source_is_condemned", lambda _source, _condemned: None),
            (Ledger, "_is_condemned", _false),
            (Ledger, "_condemn_requests_of", _nothing),
        ),
    ),
    Mutation("S16", "the smaller id wins", ((rules, "s16_loses_the_tie", _nothing),)),
    Mutation(
        "S16",
        "a host knows its guests' requests",
        ((rules, "s16_knows_its_guests", _nothing),),
        world=rare_worlds.restarting,
    ),
    Mutation(
        "S16",
        "no later life takes a request up",
        ((rules, "s16_asked_by_the_life_here", _true),),
        world=worlds.shooting,
    ),
    Mutation(
        "S16",
        "a rival is remembered after its guard",
        ((Guards, "__init__", _forgetful),),
        world=rare_worlds.lapsed,
    ),
)
