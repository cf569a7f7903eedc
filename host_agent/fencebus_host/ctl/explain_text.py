"""Converts explanations and rehearsals to what people read on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from fencebus_host.ctl.status_text import table
from fencebus_schemas.status import Claim, Explanation, FinishedFence, Rehearsal, RuleStatus, SeenStatus
from fencebus_schemas.status_tables import clock

GOOD, BAD = "green", "bold red"


def explanation_text(found: Explanation) -> RenderableType:
    """All of it: the outcome, the evidence, the rules."""
    pieces: list[RenderableType] = [outcome_line(found.fence), _asked_line(found.fence)]
    if found.note:
        pieces.append(Text(f"note: {found.note}", "yellow"))
    if not found.agrees:
        pieces.append(Text("note: on this evidence the rules of this version would decide otherwise", "yellow"))
    if found.decided_by:
        pieces.append(Text.assemble("decided by ", (found.decided_by, "bold")))
    pieces += _list("what was missing:", found.missing)
    pieces += _list("who had it before anything was done:", map(_claim, found.claims))
    pieces += _list("what was seen:", map(_seen, found.fence.observations))
    if found.rules:
        pieces += ["", "what each rule says of that:", _rules(found.rules)]
    return Group(*pieces)


def outcome_line(fence: FinishedFence) -> Text:
    """What came of a power action."""
    line = Text(f"{fence.action} of {fence.target}: ")
    line.append(fence.reason, GOOD if fence.ok else BAD)
    return line.append(f": {fence.text}") if fence.text else line


def _asked_line(fence: FinishedFence) -> Text:
    who = f"{fence.source} ({fence.by})" if fence.by else fence.source
    asked = f"request {fence.id}, asked by {who} via {fence.via}, answered {clock(fence.at)}"
    return Text(f"{asked} after {fence.seconds:.2f} s", "dim")


def _list(title: str, items: Iterable[str]) -> list[RenderableType]:
    found = [item for item in items if item]
    return [title, *(Padding(Text(item), (0, 0, 0, 2)) for item in found)] if found else []


def _claim(claim: Claim) -> str:
    return f"{claim.host} {claim.hypervisor}: {claim.state}".replace(" :", ":")


def _seen(seen: SeenStatus) -> str:
    life = f", its life {seen.life} ended" if seen.life else ""
    flight = ", migration in flight" if seen.in_flight else ""
    detail = f": {seen.detail}" if seen.detail else ""
    place = f"{seen.host} {seen.hypervisor}".strip()
    return f"{place}: it was {seen.was} and is {seen.state} (proof: {seen.proof}{life}{flight}){detail}"


def _rules(rules: Iterable[RuleStatus]) -> RenderableType:
    made = table("", "RULE", "SAYS")
    for rule in rules:
        mark = Text("objects" if rule.objects else "ok", BAD if rule.objects else GOOD)
        says = Text(rule.text if rule.objects else rule.says, "" if rule.objects else "dim")
        made.add_row(mark, rule.rule, says)
    return made


def rehearsal_text(found: Rehearsal) -> RenderableType:
    """Each step, and whether it would go well."""
    made = table("", "STEP", "FOUND")
    for step in found.steps:
        made.add_row(Text("ok" if step.ok else "FAILS", GOOD if step.ok else BAD), step.name, Text(step.text))
    word = ("would go well", GOOD) if found.ok else ("would fail", BAD)
    return Group(made, Text.assemble(f"{found.action} of {found.target} ", word, "; nothing was done"))
