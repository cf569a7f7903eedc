"""Every action, between every pair of C's and our programs: a cluster sees the same, save for what is documented."""

from __future__ import annotations

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.programs import Answer, Make, Plan, Site, Transport, client_program, run, site
from tests.interop.worlds import ALPHA, BETA, EVERY_KIND, PAULA, TRANS, write_world

FAILED = (1, "")
DONE = (0, "")
ON = (0, "Status: ON\n")
OFF = (2, "Status: OFF\n")

Told = tuple[int, str]


@dataclass(frozen=True)
class Step:
    """One call of a client; ``ours`` is what our daemon makes of it where docs/differences.md says so."""

    name: str
    arguments: tuple[str, ...]
    c: Told | None
    """What C's programs say; ``None`` for what is compared in another way."""
    ours: Told | None = None

    def expected(self, daemon: Make) -> Told | None:
        return self.c if daemon is Make.C or self.ours is None else self.ours


def act(action: str, target: str, c: Told, ours: Told | None = None) -> Step:
    return Step(f"{action} {target}", ("-o", action, "-n", target), c, ours)


def listed(**states: str) -> Told:
    lines = (f"{vm.name:<32} {vm.uuid} {states[vm.name]}\n" for vm in EVERY_KIND if vm.name in states)
    return 0, "".join(lines)


STEPS = (
    Step(
        "list",
        ("-o", "list"),
        listed(alpha="on", beta="off", paula="off", trans="on"),
        ours=listed(alpha="on", beta="off", paula="on", trans="on"),
    ),
    Step("monitor", ("-o", "monitor"), DONE),
    act("null", "alpha", FAILED),
    act("validate-all", "alpha", DONE),
    Step("validate-all", ("-o", "validate-all"), FAILED),
    Step("no target", ("-o", "off"), FAILED),
    Step("no such action", ("-o", "devstatus", "-n", "alpha"), FAILED),
    act("status", "alpha", ON),
    act("status", "beta", OFF),
    act("status", "paula", ON),
    act("status", "trans", ON),
    act("off", "alpha", DONE),
    act("status", "alpha", OFF),
    Step("off again", ("-o", "off", "-n", "alpha"), DONE),
    act("on", "alpha", DONE),
    Step("on again", ("-o", "ON", "-n", "alpha"), DONE),
    act("status", "alpha", ON),
    act("reboot", "alpha", DONE),
    Step("reboot is the default", ("-n", "alpha"), DONE),
    act("STATUS", "alpha", ON),
    act("reboot", "beta", DONE),
    Step("a machine that was off stays off", ("-o", "status", "-n", "beta"), OFF),
    Step("by the old option", ("-o", "on", "-H", "beta"), DONE),
    act("off", BETA.uuid, DONE),
    act("status", BETA.uuid.upper(), OFF),
    act("on", BETA.uuid, DONE),
    act("status", "beta", ON),
    act("off", "trans", DONE),
    Step("off of a transient machine again", ("-o", "off", "-n", "trans"), FAILED, ours=DONE),
    act("status", "trans", OFF),
    act("on", "trans", FAILED, ours=DONE),
    Step("status of the transient machine then", ("-o", "status", "-n", "trans"), OFF, ours=ON),
    act("off", "nobody", FAILED),
    act("on", "nobody", FAILED),
    act("reboot", "nobody", FAILED),
    act("status", "nobody", OFF, ours=FAILED),
    act("status", "ALPHA", OFF, ours=FAILED),
    act("off", "0e0e0e0e-0000-4000-8000-000000000000", FAILED),
    Step(
        "list-status",
        ("-o", "list-status"),
        listed(alpha="on", beta="on", paula="off"),
        ours=listed(alpha="on", beta="on", paula="on", trans="on"),
    ),
    Step("metadata", ("-o", "metadata"), None),
)
"""In this order: each step meets what the ones before it have left."""

Transcript = list[Answer]
Pair = tuple[Make, Make, Transport]
"""Client, daemon, and what lies between them."""


def play(folder: Path, client: Make, daemon: Make, transport: Transport) -> Transcript:
    """Go through all steps with a new daemon."""
    folder.mkdir()
    plan = Plan((write_world(folder / "world.xml", EVERY_KIND),), transport)
    with site(daemon, plan, folder / "site") as place:
        return [place.ask(client, *step.arguments) for step in STEPS]


@pytest.fixture(scope="module")
def transcripts(tmp_path_factory: pytest.TempPathFactory) -> dict[Pair, Transcript]:
    """What each combination makes of all steps; at the same time, as they do little but wait for C's reboot."""
    folder = tmp_path_factory.mktemp("pairs")
    pairs = list(itertools.product(Make, Make, Transport))
    with ThreadPoolExecutor(4) as pool:
        played = pool.map(lambda number: play(folder / str(number), *pairs[number]), range(len(pairs)))
        return dict(zip(pairs, played, strict=True))


def told(answer: Answer) -> Told:
    """What a cluster sees of an answer.  C 4.12 prints its error texts on stdout, later versions and ours on stderr."""
    return answer.status, answer.out if answer.status in (0, 2) else ""


@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
@pytest.mark.parametrize("daemon", Make, ids=lambda make: f"{make.value} daemon")
@pytest.mark.parametrize("client", Make, ids=lambda make: f"{make.value} client")
def test_a_pair_of_programs_does_what_is_written_for_every_action(
    transcripts: dict[Pair, Transcript], client: Make, daemon: Make, transport: Transport
) -> None:
    transcript = transcripts[client, daemon, transport]
    wrong = [
        (number, step.name, told(answer), answer.err)
        for number, (step, answer) in enumerate(zip(STEPS, transcript, strict=True))
        if step.expected(daemon) not in (None, told(answer))
    ]
    assert wrong == []


@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
@pytest.mark.parametrize("daemon", Make, ids=lambda make: f"{make.value} daemon")
def test_both_clients_tell_the_same_of_one_daemon(
    transcripts: dict[Pair, Transcript], daemon: Make, transport: Transport
) -> None:
    by_c, by_ours = (transcripts[client, daemon, transport] for client in Make)
    compared = [number for number, step in enumerate(STEPS) if step.c is not None]
    assert [told(by_ours[number]) for number in compared] == [told(by_c[number]) for number in compared]


@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
def test_both_clients_have_the_same_metadata(transcripts: dict[Pair, Transcript], transport: Transport) -> None:
    texts = [transcripts[client, Make.C, transport][-1].out for client in Make]
    names = [set(re.findall(r'<(?:parameter|action) name="[^"]*"', text)) for text in texts]
    assert names[0] == names[1]
    assert len(names[0]) > 20


@pytest.mark.parametrize("daemon", Make, ids=lambda make: f"{make.value} daemon")
@pytest.mark.parametrize("client", Make, ids=lambda make: f"{make.value} client")
def test_the_cluster_s_way_of_asking_by_standard_input_works_with_every_pair(
    tmp_path: Path, client: Make, daemon: Make
) -> None:
    plan = Plan((write_world(tmp_path / "world.xml", EVERY_KIND),))
    with site(daemon, plan, tmp_path / "site") as place:

        def ask(*lines: str) -> Answer:
            text = "\n".join([f"key_file={place.folder}/key", "ipaddr=127.0.0.1", *lines, ""])
            return run_bare(place, client, text)

        assert ask("action=status", "plug=alpha").told == ON
        assert ask("option=off", "port=alpha").told == DONE
        assert ask("action=status", "domain=alpha").told == OFF
        assert ask("action=on", f"plug={ALPHA.uuid}", "nodename=somebody", "# a comment", "").told == DONE


def run_bare(place: Site, client: Make, stdin: str) -> Answer:
    return run([*place.network.prefix, str(client_program(client, "fence_virt"))], stdin)


def test_every_kind_of_machine_is_met() -> None:
    texts = " ".join(" ".join(step.arguments) for step in STEPS)
    assert all(vm.name in texts for vm in (ALPHA, BETA, PAULA, TRANS))
