"""Tells which clauses of the rules objected or decided something in a run, so that a table can show that each of them
did under each fault.  It listens at the real functions; no machine knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from types import ModuleType

from fencebus_agent.hypervisor import DomainEvent
from fencebus_host import denial, host_death, permission, verdict
from fencebus_host.denial import Word
from fencebus_host.federation import coordinator, member, rules, start_course
from fencebus_host.federation.guards import Guards
from fencebus_host.federation.machine import Federation
from fencebus_host.federation.member import Member
from fencebus_host.federation.rounds import Rounds, claimed_mark
from fencebus_host.federation.tokens import Tokens
from fencebus_host.ledger import Admission, Ledger, Step
from fencebus_host.objection import Objection
from fencebus_host.routers.federated.echoes import Echoes, Meaning
from fencebus_schemas.model import FenceOutcome, Reason, VmState
from fencebus_schemas.peer import FenceAnswer, GuardAnswer, StartAnswer
from tests.sim.daemon import Daemon
from tests.sim.driver import Driver

Arguments = tuple[object, ...]
Spoke = Callable[[Arguments, object], bool]
"""Whether a call and its result mean that the clause objected or decided."""
Called = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Post:
    """A function at which a clause can be heard."""

    clause: str
    where: type | ModuleType
    name: str
    spoke: Spoke


def _objected(_arguments: Arguments, result: object) -> bool:
    return result is not None


def _no(_arguments: Arguments, result: object) -> bool:
    return result is None or result is False


def _yes(_arguments: Arguments, result: object) -> bool:
    return bool(result)


def _refused(_arguments: Arguments, result: object) -> bool:
    return isinstance(result, Objection)


def _reason(*reasons: Reason) -> Spoke:
    return lambda _arguments, result: result in reasons


def _outcome(*reasons: Reason) -> Spoke:
    return lambda _arguments, result: isinstance(result, FenceOutcome) and result.reason in reasons


def _of_no_course(arguments: Arguments, _result: object) -> bool:
    machine, answer = arguments[0], arguments[1]
    assert isinstance(machine, Federation)
    assert isinstance(answer, GuardAnswer | FenceAnswer | StartAnswer)
    return answer.request not in machine._courses


def _is_news(_arguments: Arguments, result: object) -> bool:
    return result is Meaning.NEWS


def _saved(arguments: Arguments, _result: object) -> bool:
    answer = arguments[1]
    return isinstance(answer, GuardAnswer) and answer.sight is not None and answer.sight.state is VmState.SAVED


def _in_flight(arguments: Arguments, _result: object) -> bool:
    answer = arguments[1]
    return isinstance(answer, GuardAnswer) and answer.sight is not None and answer.sight.in_flight


def _left(arguments: Arguments, _result: object) -> bool:
    kept, answer = arguments[0], arguments[1]
    assert isinstance(kept, Rounds)
    assert isinstance(answer, GuardAnswer)
    return answer.sight is not None and claimed_mark(kept._claims.get(answer.sender)) in answer.sight.left


def _departed(arguments: Arguments, _result: object) -> bool:
    kept, word = arguments[0], arguments[1]
    assert isinstance(kept, Rounds)
    assert isinstance(word, Word)
    return word.host in kept._claims


def _belated(arguments: Arguments, _result: object) -> bool:
    kept, late = arguments[0], arguments[1]
    assert isinstance(kept, Rounds)
    assert isinstance(late, Word)
    return late.host in kept._claims and late.at < kept._claims[late.host].at


def _awaited(arguments: Arguments, _result: object) -> bool:
    waiting, event = arguments[0], arguments[1]
    assert isinstance(waiting, Echoes)
    assert isinstance(event, DomainEvent)
    return event.vm in waiting._awaited


BEFOREHAND = (_left, _belated, _awaited)
"""What the call may change is looked at before it, too."""


def _told(_arguments: Arguments, _result: object) -> bool:
    return True


def _guarded(arguments: Arguments, _result: object) -> bool:
    guards, vm = arguments[0], arguments[1]
    assert isinstance(guards, Guards)
    return vm in guards._held


def _remembered(arguments: Arguments, result: object) -> bool:
    guards = arguments[0]
    assert isinstance(guards, Guards)
    assert isinstance(result, list)
    return any(held.request not in guards._held.get(held.vm, {}) for held in result)


def _waits(_arguments: Arguments, result: object) -> bool:
    return isinstance(result, Admission) and result.step is Step.WAIT


def _some_deeds(arguments: Arguments, _result: object) -> bool:
    return bool(arguments[1])


def _not_written(arguments: Arguments, _result: object) -> bool:
    return not arguments[3]


def _young(arguments: Arguments, result: object) -> bool:
    return arguments[0] is not None and not result


POSTS = (
    Post("S1 an answer is of this very request", Federation, "_answered", _of_no_course),
    Post("S2 every member denies", denial, "s2_every_member_denies", _objected),
    Post("S2 each denies twice", denial, "s2_every_member_denies_again", _objected),
    Post("S2 under an unbroken guard", Rounds, "_is_broken", _yes),
    Post("S2 a saved life is a life", Rounds, "heard", _saved),
    Post("S2 the members are known", denial, "s2_members_are_known", _objected),
    Post("S2 a name is one machine's", denial, "s2_names_are_unique", _objected),
    Post("S2 every member answers", denial, "s2_every_member_answers", _objected),
    Post("S2 a part without a quorum believes its own eyes alone", verdict, "s2_quorum_or_own_eyes", _objected),
    Post("S2 a part without a quorum concludes nothing", denial, "s2_quorum_stands", _objected),
    Post("S2 what nobody heard breaks a guard", Daemon, "_missed", _told),
    Post("S2 a kill's echo is its end, and one only", Echoes, "heard", _is_news),
    Post("S2 a kill's echo comes soon", Echoes, "is_echo", _awaited),
    Post("S2 somebody knows it", denial, "s2_somebody_knows_it", _objected),
    Post("S2 somebody saw it end", denial, "s2_somebody_saw_it_end", _objected),
    Post("S2 nobody saw it leave", denial, "s2_nobody_saw_it_leave", _objected),
    Post("S3 claims are a set", denial, "s3_no_other_claim", _objected),
    Post("S3 no claim by the time of the start", verdict, "s3_nobody_claims_it_at_its_start", _objected),
    Post("S3 a claim ends with the life that was claimed", Rounds, "heard", _left),
    Post("S3 a late denial takes no younger claim back", Rounds, "_part", _belated),
    Post("S3 what was known of and has left is a claim", Rounds, "_claim_of_the_departed", _departed),
    Post("S4 a deed outlives the daemon", Member, "remember", _some_deeds),
    Post("S4 what is not on the disk is a failure", Member, "_written", _not_written),
    Post("S5 a reboot starts only what ran", verdict, "is_to_be_started", _no),
    Post(
        "S5 a failed start takes nothing from an off", verdict, "decide_reboot", _outcome(Reason.REBOOTED_NOT_STARTED)
    ),
    Post("S7 the owner does nothing twice", Member, "_done", _objected),
    Post("S7 a deed answers only where nothing turned up", member, "_stands", _objected),
    Post("S7 an outcome spreads", Federation, "recall", _objected),
    Post("S7 nobody joins once something was seen", Ledger, "admit", _waits),
    Post("S8 an ambiguous name fails", verdict, "s8_one_target", _objected),
    Post("S8 a name waits for all members", verdict, "s8_name_is_resolved", _objected),
    Post("S9 every request ends at its deadline", coordinator.Course, "_is_late", _yes),
    Post("S12 commands are fresh by the receiver's clock", Tokens, "accept", _no),
    Post("S12 nothing late directly before the act", rules, "s12_in_time", _objected),
    Post("S12 no life younger than the request", rules, "s12_is_old", _young),
    Post("S12 nothing for who has left", permission, "s12_s16_may_act", _reason(Reason.REQUESTER_GONE)),
    Post("S13 somebody says that it is dead", host_death, "s13_somebody_says_that_it_is_dead", _objected),
    Post("S13 a proof is of the incarnation that died", host_death, "s13_of_the_incarnation_that_died", _objected),
    Post("S13 the next sign of life ends a proof", host_death, "s13_nothing_heard_since", _objected),
    Post("S13 a past reboot proves nothing", host_death, "s13_asked_since_the_request", _objected),
    Post("S13 what was saved there outlives the host", host_death, "s13_last_state_there_was_plain", _objected),
    Post("S13 who lives denies once more after a proof", denial, "s13_denied_since_the_proofs", _objected),
    Post("S14 in flight is no proof", Rounds, "heard", _in_flight),
    Post("S14 what nobody heard may have been a migration", Driver, "_missed_since", _yes),
    Post("S14 what happens breaks a guard", Guards, "touched", _guarded),
    Post("S15 two rounds before a start", verdict, "s15_nobody_else_has_it", _objected),
    Post("S15 the start claim is exclusive", Guards, "install", _no),
    Post("S15 one place to start", start_course, "s15_candidate", _refused),
    Post("S16 a request dies with its source", rules, "s16_source_is_condemned", _objected),
    Post("S16 the smaller id wins", rules, "s16_loses_the_tie", _objected),
    Post("S16 a host knows its guests' requests", rules, "s16_knows_its_guests", _objected),
    Post("S16 no later life takes a request up", rules, "s16_asked_by_the_life_here", _no),
    Post("S16 a rival is remembered after its guard", Guards, "asked_by", _remembered),
)
CLAUSES = tuple(post.clause for post in POSTS)

LISTS: tuple[tuple[ModuleType, str], ...] = (
    (denial, "RULES"),
    (host_death, "CLAUSES"),
    (verdict, "DOOR_RULES"),
    (verdict, "FEDERATED_OFF_RULES"),
    (verdict, "FEDERATED_ON_RULES"),
)
"""Where rules are called by their place in a tuple."""


class Witness:
    """What was heard since it was last asked."""

    def __init__(self) -> None:
        self._heard: set[str] = set()

    def take(self) -> set[str]:
        """The clauses that spoke; from here on it hears anew."""
        heard, self._heard = self._heard, set()
        return heard

    def beside(self, post: Post, real: Called) -> Called:
        """The real function, overheard."""

        @wraps(real)
        def overheard(*arguments: object, **named: object) -> object:
            spoke_before = post.spoke in BEFOREHAND and post.spoke(arguments, None)
            result = real(*arguments, **named)
            if post.clause not in self._heard and (spoke_before or post.spoke(arguments, result)):
                self._heard.add(post.clause)
            return result

        return overheard


@contextmanager
def listening() -> Iterator[Witness]:
    """Listen at all posts for a while."""
    witness = Witness()
    before: list[tuple[type | ModuleType, str, object]] = [(where, name, vars(where)[name]) for where, name in LISTS]
    for post in POSTS:
        real = vars(post.where)[post.name]
        before.append((post.where, post.name, real))
        _instead(post, real, witness.beside(post, real))
    try:
        yield witness
    finally:
        for where, name, was in reversed(before):
            setattr(where, name, was)


def _instead(post: Post, real: Called, overheard: Called) -> None:
    setattr(post.where, post.name, overheard)
    for where, name in LISTS:
        setattr(where, name, tuple(overheard if rule is real else rule for rule in vars(where)[name]))
