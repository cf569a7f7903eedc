"""Decides what a rehearsal tells of a power action, step by step, from one look and each host's word of now.  Pure.

What a host says now counts for nothing in a fence, where each is asked anew; it tells whom a fence would find.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from fencebus_host import permission
from fencebus_host.ports import HostWord
from fencebus_host.service import Look
from fencebus_schemas.model import Action, FenceRequest, Reason, Sight, VmState
from fencebus_schemas.status import Step

WILL = {
    Action.OFF: "would be ended and its end proven",
    Action.REBOOT: "would be ended, its end proven, and it would be started again",
    Action.ON: "would be started, if every member denies that it has it",
}
MOST_NAMED = 8
"""Hosts that are named in one step; of more it is told how many they are."""


def steps(request: FenceRequest, look: Look, words: Sequence[HostWord], mute: Collection[str]) -> Iterator[Step]:
    """All that comes after the gate; ``words`` are empty where no other host is asked, ``mute`` hosts are silent."""
    yield from _found(look)
    yield from _of_hosts(request, words) if words else _of_silence(look, mute)
    if look.objection is None and look.permitted:
        yield from _plan_of_hosts(request, look, words) if words else _plan(request, look)


def _found(look: Look) -> Iterator[Step]:
    places = ", ".join(
        f"{record.name} is {record.state.value} on {record.host} {record.hypervisor}".rstrip()
        for record in look.found.records
    )
    yield Step("target", look.objection is None, look.objection.text if look.objection else places)
    word = "allowed" if look.permitted else "no group of the configuration allows this source to act on this VM"
    yield Step("policy", look.permitted, word)


# -- where only this host is asked ----------


def _of_silence(look: Look, mute: Collection[str]) -> Iterator[Step]:
    """Who is silent can neither be asked to kill nor deny."""
    owners = {record.host for record in look.found.records if record.state.is_claim}
    if not mute:
        yield Step("hosts", True, "no host is silent")
    elif owners and not owners & set(mute):
        needed = f"not needed for a plain kill on {_named(owners)}"
        yield Step("hosts", True, f"silent: {_named(mute)}; {needed}")
    else:
        yield Step("hosts", False, f"silent: {_named(mute)}; {NEEDED}")


NEEDED = "its denial, or a proof that it is dead, would be needed (S2, S13)"


def _plan(request: FenceRequest, look: Look) -> Iterator[Step]:
    records = look.found.records
    alive = {record.host for record in records if record.state.is_claim}
    if request.action is Action.ON and alive:
        yield Step("plan", True, f"it is on already, on {_named(alive)}: nothing would be started")
    elif request.action is Action.ON or alive:
        where = _named(alive or {record.host for record in records})
        yield Step("plan", True, f"it {WILL[request.action]} by {where}")
    else:
        unknown = any(record.state is VmState.UNKNOWN for record in records)
        yield Step("plan", not unknown, "nobody can say where it runs" if unknown else NOTHING_TO_END)


NOTHING_TO_END = "it is off: nothing would be ended"


# -- where every host has been asked ----------


def _of_hosts(request: FenceRequest, words: Sequence[HostWord]) -> Iterator[Step]:
    """What each says that has it or cannot deny that it has, and how many deny."""
    plain = _dies_plainly(request, words)
    for word in words:
        if word.sight is not None and not word.sight.denies:
            claims = word.sight.state.is_claim
            yield Step("host", word.refusal is None and (claims or plain), _said(word, word.sight))
    denying = [word.host for word in words if word.sight is not None and word.sight.denies]
    if denying:
        yield Step("hosts", True, f"asked now, no life of it there: {_named(denying)}")
    if silent := [word.host for word in words if word.sight is None]:
        needed = "not needed for a plain kill" if plain else NEEDED
        yield Step("hosts", plain, f"no answer: {_named(silent)}; {needed}")


def _said(word: HostWord, sight: Sight) -> str:
    text = f"{word.host}, asked now: it is {sight.state.value} there"
    if sight.in_flight:
        text += ", and a migration may be under way: only denials of all hosts in two rounds would decide (S14)"
    if word.refusal is not None:
        text += f"; it would refuse: {_refused(word.refusal)}"
    return f"{text}: {sight.detail}" if sight.detail else text


def _refused(reason: Reason) -> str:
    return "denied (S6)" if reason is Reason.DENIED else permission.refused(reason).text


def _plan_of_hosts(request: FenceRequest, look: Look, words: Sequence[HostWord]) -> Iterator[Step]:
    owners = _owners(words)
    doubtful = not all(word.sight is not None and (word.sight.denies or word in owners) for word in words)
    if request.action is Action.ON:
        yield from _start_of_hosts(look, owners, doubtful)
    elif owners and _dies_plainly(request, words):
        yield Step("plan", True, f"it {WILL[request.action]} by {_named(word.host for word in owners)}")
    elif owners:
        where = _named(word.host for word in owners)
        yield Step("plan", not doubtful, f"{where} would be told to end it, and every host would have to deny it then")
    else:
        yield Step("plan", not doubtful, "nobody can say where it runs" if doubtful else NOTHING_TO_END)


def _start_of_hosts(look: Look, owners: Sequence[HostWord], doubtful: bool) -> Iterator[Step]:
    if owners:
        where = _named(word.host for word in owners)
        yield Step("plan", True, f"it is on already, on {where}: nothing would be started")
    else:
        where = _named({record.host for record in look.found.records})
        yield Step("plan", not doubtful, f"it {WILL[Action.ON]} by {where}")


def _owners(words: Sequence[HostWord]) -> list[HostWord]:
    return [word for word in words if word.sight is not None and word.sight.state.is_claim]


def _dies_plainly(request: FenceRequest, words: Sequence[HostWord]) -> bool:
    """Whether a kill by those who have it would be enough: no other host's word is needed then (design 5)."""
    owners = [(word.sight, word.refusal) for word in _owners(words)]
    return request.action.kills and bool(owners) and all(_is_plain(sight) and not no for sight, no in owners)


def _is_plain(sight: Sight | None) -> bool:
    return sight is not None and sight.state in (VmState.RUNNING, VmState.PAUSED) and not sight.in_flight


def _named(hosts: Collection[str] | Iterator[str]) -> str:
    names = sorted(hosts)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
