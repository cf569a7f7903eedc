"""Converts a daemon's state to a picture of owners: hosts, and beside each the VMs that it claims, as SVG in a page.

A mark is a sign, a word and a frame; colour only adds to them.  The picture brings no styles: ``STYLE`` goes into the
page's own, so that a content security policy can name it, and takes the page's colours where it has some.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape

from fencebus_schemas.status import HostState, HostStatus, Status, VmStatus
from fencebus_schemas.status_tables import age, many, visible

DRAWN = 300
"""VMs, and hosts, at most: a picture of more is none."""
NAMED = 20
"""Names in the description, which is read aloud as one sentence."""
COLUMNS = 3
WIDTH, HEIGHT, BRANCH, STEP, GAP, TOP = 250, 40, 40, 12, 22, 30
"""Of a box; from a host to its VMs; between boxes; between hosts; of the line above all, in pixels."""
WHOLE = WIDTH + BRANCH + COLUMNS * (WIDTH + STEP)

STYLE = (
    ".owners{overflow-x:auto}.owners svg svg{overflow:hidden}.owners text{fill:var(--ink,CanvasText)}"
    f".owners>svg{{display:block;width:100%;min-width:{WHOLE * 3 // 4}px;max-width:{WHOLE}px;height:auto;"
    "font:12px system-ui,sans-serif}.owners .called{font-size:13px;font-weight:600}"
    ".owners rect{fill:var(--card,Canvas);stroke:var(--soft,light-dark(#59656c,#98a4ab))}"
    ".owners path{fill:none;stroke:var(--soft,light-dark(#59656c,#98a4ab))}"
    ".owners .moving rect{stroke-width:2;stroke-dasharray:2 3}"
    ".owners .stale rect,.owners .stale path{stroke:var(--warn,light-dark(#8a4b00,#fcd34d));stroke-dasharray:6 4}"
    ".owners .stale rect{stroke-width:2}.owners .stale .said{fill:var(--warn,light-dark(#8a4b00,#fcd34d))}"
    ".owners .bad rect{stroke:var(--bad,light-dark(#a3122b,#fda4af));stroke-width:4}"
    ".owners .bad .said{fill:var(--bad,light-dark(#a3122b,#fda4af));font-weight:600}"
)

HOSTS = {
    HostState.HERE: ("\u25c6", "here", "good"),
    HostState.HEARD: ("\u25cf", "heard", "good"),
    HostState.SILENT: ("\u25b2", "silent", "stale"),
    HostState.UNHEARD: ("\u25b2", "not heard yet", "stale"),
    HostState.CONFLICT: ("\u2716", "two machines", "bad"),
}
STATES = {"running": "\u25cf", "paused": "\u2016", "incoming": "\u21e3", "saved": "\u25a3", "off": "\u25cb"}
TROUBLES = {"conflict": "\u2716 conflict", "incoming": "\u21e3 migrating", "unknown": "? unknown"}


@dataclass(frozen=True)
class Leaf:
    """A VM, as one host tells of it."""

    vm: VmStatus
    state: str
    stale: bool = False
    """The host has been silent since."""

    @property
    def words(self) -> list[str]:
        """Its state there, then its marks."""
        # A silent owner is marked where it is, not at every host that claims the VM.
        marks = [each for each in self.vm.troubles if each not in (self.state, "silent-owner")]
        told = [f"{STATES.get(self.state, '?')} {self.state}"]
        told += [TROUBLES.get(each, f"\u25b2 {each}") for each in marks]
        return [*told, "\u25b2 as last heard"] if self.stale else told

    @property
    def look(self) -> str:
        """Its frame: thick where somebody is needed, broken where it may have changed, dotted on its way."""
        is_bad = "conflict" in self.vm.troubles or "unknown" in (self.state, *self.vm.troubles)
        looks = {"bad": is_bad, "stale": self.stale, "moving": "incoming" in (self.state, *self.vm.troubles)}
        return " ".join(look for look, holds in looks.items() if holds) or "good"

    @property
    def is_marked(self) -> bool:
        """Whether there is anything odd about it."""
        return self.look != "good" or bool(self.vm.troubles)


@dataclass(frozen=True)
class Branch:
    """A host and what it claims."""

    name: str
    word: str
    look: str
    leaves: tuple[Leaf, ...]

    @property
    def rows(self) -> int:
        """How many rows of boxes it takes."""
        return max(1, -(-len(self.leaves) // COLUMNS))


def owners_svg(status: Status) -> str:
    """The picture: an element for HTML that is XML as well; every text in it is escaped."""
    branches = _branches(status)
    drawn, note = _within_limits(branches)
    shown = "" if len(status.vms) == status.vms_known else f"{len(status.vms)} of "
    caption = f"{many(len(status.hosts), 'host')}, {shown}{many(status.vms_known, 'VM')}{note}"
    body, top = [], TOP
    for branch in drawn:
        body.append(_branch(branch, top))
        top += branch.rows * (HEIGHT + STEP) - STEP + GAP
    return (
        f'<div class="owners" tabindex="0"><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WHOLE} {top}"'
        ' role="img" aria-labelledby="owners-title owners-desc">'
        f'<title id="owners-title">{_text(f"Who has what, as {status.host} knows")}</title>'
        f'<desc id="owners-desc">{_text(caption + _told(branches))}</desc>'
        f'<text x="2" y="16">{_text(caption)}</text>{"".join(body)}</svg></div>'
    )


# -- what is there ----------


def _branches(status: Status) -> list[Branch]:
    """The hosts in order, then who is no member, then what no host claims."""
    on: dict[str, list[Leaf]] = {host.name: [] for host in status.hosts}
    nowhere: list[Leaf] = []
    for vm in status.vms:
        places = list(_places(vm))
        for host, leaf in places:
            on.setdefault(host, []).append(leaf)
        if not places:
            nowhere.append(Leaf(vm, vm.state))
    hosts = {host.name: host for host in status.hosts}
    branches = [_of_host(name, hosts.get(name), leaves) for name, leaves in on.items()]
    if nowhere:
        branches.append(Branch("on no host", many(len(nowhere), "VM"), "good", tuple(nowhere)))
    return branches


def _places(vm: VmStatus) -> Iterator[tuple[str, Leaf]]:
    """Where it is drawn: at each host that says it has it; at its owner, if nothing else is told."""
    for claim in vm.claims:
        if claim.state != "off":
            is_mute = claim.silent or (claim.host == vm.owner and "silent-owner" in vm.troubles)
            yield claim.host, Leaf(vm, claim.state, is_mute)
    if vm.owner and not vm.claims and vm.state != "off":
        yield vm.owner, Leaf(vm, vm.state, "silent-owner" in vm.troubles)


def _of_host(name: str, host: HostStatus | None, leaves: Sequence[Leaf]) -> Branch:
    count = many(len(leaves), "VM")
    if host is None:
        return Branch(name, f"\u2716 {count}, no member", "bad", tuple(leaves))
    sign, word, look = HOSTS[host.state]
    if host.proof:
        word += f", dead says {host.proof}"
    elif look == "stale" and host.heard_ago is not None:
        word += f" for {age(host.heard_ago)}"
    return Branch(name, f"{sign} {count}, {word}", look, tuple(leaves))


def _within_limits(branches: list[Branch]) -> tuple[list[Branch], str]:
    """What is drawn, and what has to be said of the rest."""
    note = ""
    if _boxes(branches) > DRAWN:
        branches = [replace(each, leaves=tuple(leaf for leaf in each.leaves if leaf.is_marked)) for each in branches]
        note = f"; more than {DRAWN}: only VMs with marks are drawn, hosts have counts"
    if _boxes(branches) > DRAWN:
        branches = [replace(each, leaves=()) for each in branches]
        note = f"; more than {DRAWN} with marks: no VM is drawn, hosts have counts"
    if len(branches) > DRAWN:
        note += f"; {many(len(branches) - DRAWN, 'more host')} not drawn"
        branches = sorted(branches, key=lambda each: each.look == "good")[:DRAWN]
    return branches, note


def _boxes(branches: Iterable[Branch]) -> int:
    return sum(len(each.leaves) for each in branches)


def _told(branches: Iterable[Branch]) -> str:
    """What is marked, in words."""
    marked: dict[str, str] = {}
    for branch in branches:
        if branch.look != "good":
            marked[branch.name] = f"{branch.name}: {branch.word}"
        marked.update(
            {leaf.vm.uuid: f"{leaf.vm.name}: {', '.join(leaf.words)}" for leaf in branch.leaves if leaf.is_marked}
        )
    told = list(marked.values())
    more = f"; and {len(told) - NAMED} more" if len(told) > NAMED else ""
    return ". Marked: " + "; ".join(told[:NAMED]) + more if told else ". Nothing is marked"


# -- how it is drawn ----------


def _branch(branch: Branch, top: int) -> str:
    """A host, the lines to its VMs, and those."""
    lines, boxes = "", [_box(0, top, branch.look, branch.name, branch.word)]
    stem = WIDTH + BRANCH // 2
    for number, leaf in enumerate(branch.leaves):
        row, column = divmod(number, COLUMNS)
        left, upper = WIDTH + BRANCH + column * (WIDTH + STEP), top + row * (HEIGHT + STEP)
        middle = upper + HEIGHT // 2
        if row == column == 0:
            lines = f"M{WIDTH - 2},{middle}"
        elif column == 0:
            lines += f"M{stem},{middle - HEIGHT - STEP}V{middle}"
        # Boxes stand on the line of their row, and hide it.
        lines += f"H{left + 2}"
        boxes.append(_box(left, upper, leaf.look, leaf.vm.name, ", ".join(leaf.words), leaf.vm.uuid))
    path = f'<g class="{branch.look}"><path d="{lines}"/></g>' if lines else ""
    return path + "".join(boxes)


def _box(left: int, top: int, look: str, name: str, word: str, more: str = "") -> str:
    """Two lines in a frame, cut off at it; whoever points at it reads them whole."""
    corner = 0 if "bad" in look else 7
    whole = "\n".join(_text(each) for each in (name, word, more) if each)
    return (
        f'<svg x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}"><g class="{look}"><title>{whole}</title>'
        f'<rect x="2" y="2" width="{WIDTH - 4}" height="{HEIGHT - 4}" rx="{corner}"/>'
        f'<text class="called" x="10" y="17">{_text(name, 32)}</text>'
        f'<text class="said" x="10" y="32">{_text(word, 42)}</text></g></svg>'
    )


def _text(text: str, most: int | None = None) -> str:
    """As markup holds it; longer than so many signs it ends in dots."""
    shown = visible(text)
    if most is not None and len(shown) > most:
        shown = shown[: most - 1] + "\u2026"
    return escape(shown)
