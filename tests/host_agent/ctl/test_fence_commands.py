"""What an administrator does and sees of fences, at a real daemon: fence, rehearse, explain, history, events, pause."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import jsonschema
import pytest

from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.history_command import since_when
from fencebus_host.ctl.status_print import FORMATS
from fencebus_schemas.model import Action
from fencebus_schemas.status_schema import ROOTS, schema_of
from fencebus_schemas.xvm import REPLY_FAILURE
from tests.daemon_process import DaemonProcess, uuid_of
from tests.host_agent.ctl.calls import Called, call, ended_by_ctrl_c, started
from tests.host_agent.ctl.watched import watched

Printed = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    """One for all tests here; each uses VMs of its own."""
    with watched(tmp_path_factory.mktemp("watched")) as running:
        yield running


FORMS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("owners",),
    ("history",),
    ("explain", "node59"),
    ("fence", "node59", "--action", "on", "--yes"),
    ("fence", "node59", "--dry-run"),
    ("test-fence", "node58"),
    ("host", "list"),
)


@pytest.mark.parametrize("words", FORMS, ids=" ".join)
def test_whatever_is_told_is_told_in_every_format(words: tuple[str, ...], ctl: Ctl) -> None:
    if words[0] in ("explain", "history"):
        ctl("fence", "node59", "--action", "on", "--yes")
    told = {form: call(ctl.capsys, *words, "-f", ctl.daemon.config_file, "--format", form).out for form in FORMATS}
    assert json.loads(told["json"])
    assert ET.fromstring(told["xml"].encode()).tag
    assert told["html"].startswith("<!DOCTYPE html>")
    assert told["html"].rstrip().endswith("</html>")
    head, *rows = (line.split("\t") for line in told["tsv"].splitlines())
    assert rows
    assert {len(row) for row in rows} == {len(head)}
    assert told["text"] or words == ("host", "list"), "a host that is alone says so on the other stream"


def test_the_page_of_owners_has_the_picture_and_a_page_is_not_followed(ctl: Ctl) -> None:
    page = ctl("owners", "node1", "--format", "html").out
    assert "<svg" in page
    assert "host1" in page
    assert ">node1<" in page
    followed = ctl("history", "--follow", "--format", "html")
    assert (followed.status, "fence_virtctl web" in followed.err) == (ExitCode.USAGE, True)
    events = ctl("events", "--format", "xml", "-n", "3").out.splitlines()
    assert {ET.fromstring(line).tag for line in events} == {"event"}


@pytest.fixture
def ctl(capsys: Printed, daemon: DaemonProcess) -> Ctl:
    """Calls a command at that daemon."""
    return Ctl(capsys, daemon)


class Ctl:
    """fence_virtctl, asking one daemon."""

    def __init__(self, capsys: Printed, daemon: DaemonProcess) -> None:
        self.capsys, self.daemon = capsys, daemon

    def __call__(self, command: str, *options: str, answers: str = "") -> Called:
        return call(self.capsys, command, "-f", self.daemon.config_file, *options, answers=answers)

    def json(self, command: str, *options: str) -> dict[str, object]:
        """The JSON that a command prints; it fits its schema, if there is one."""
        found = json.loads(self(command, *options, "--format", "json").out)
        assert isinstance(found, dict)
        if command in ROOTS:
            jsonschema.validate(found, schema_of(ROOTS[command]))
        return found


def test_a_fence_kills_and_says_so_and_a_second_finds_it_off(ctl: Ctl) -> None:
    first = ctl("fence", "node1", "--yes")
    assert (first.status, first.out) == (ExitCode.OK, "off of node1: proven-off\n")
    assert ctl("fence", "node1", "--action", "on", "--yes").out == "on of node1: started\n"
    assert ctl.json("fence", uuid_of("node1"), "--action", "reboot", "--yes")["reason"] == "rebooted"
    assert ctl.daemon.ask(Action.STATUS, "node1").code == 0
    assert re.search(r"listener tcp: works, asked \d+ s ago$", ctl("status").out, re.MULTILINE)


def test_a_fence_that_fails_has_a_status_of_its_own_and_says_where_to_read_on(ctl: Ctl) -> None:
    found = ctl("fence", "nobody", "--yes")
    assert found.status == ExitCode.NOT_FENCED
    assert "unknown-vm" in found.out
    assert "fence_virtctl explain " in found.err


def test_nothing_is_fenced_unless_somebody_means_it(ctl: Ctl) -> None:
    assert ctl("fence", "node2", answers="n\n").status == ExitCode.DECLINED
    unanswered = ctl("fence", "node2")
    assert (unanswered.status, unanswered.err.splitlines()[-1]) == (ExitCode.DECLINED, "nothing was done")
    assert ctl("status", "node2", "--format", "tsv").out.splitlines()[1].split("\t")[2] == "running"
    assert ctl("fence", "node2", answers="y\n").status == ExitCode.OK


def test_whoever_leaves_a_fence_is_told_where_its_end_stands(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("fencebus_host.ctl.fence_commands.asked", interrupted)
    left = ctl("fence", "node2", "--yes")
    assert (left.status, "`fence_virtctl history` says" in left.err) == (ExitCode.FAILED, True)


def test_a_name_mistyped_at_the_prompt_is_no_warning_and_a_guests_is(ctl: Ctl) -> None:
    assert ctl("fence", "nosuch1", "--yes").status == ExitCode.NOT_FENCED
    assert "nosuch1" not in " ".join(problem_texts(ctl))
    assert ctl.daemon.ask(Action.OFF, "nosuch2").code == REPLY_FAILURE
    assert "the last off of nosuch2 failed" in " ".join(problem_texts(ctl))


def problem_texts(ctl: Ctl) -> list[str]:
    found = json.loads(ctl("status", "--format", "json").out)["problems"]
    return [one["text"] for one in found]


def test_a_dry_run_says_what_would_be_done_and_by_whom_and_does_nothing(ctl: Ctl) -> None:
    found = ctl("fence", "node3", "--dry-run")
    assert found.status == ExitCode.OK, found
    assert "node3 is running on host1 test://" in found.out
    assert "it would be ended and its end proven by host1" in found.out
    assert ctl("fence", "node3", "--dry-run", "--action", "on").status == ExitCode.OK
    assert ctl("status", "node3", "--format", "tsv").out.splitlines()[1].split("\t")[2] == "running"
    assert ctl.json("history", "--vm", "node3")["fences"] == []
    lost = ctl("fence", "nobody", "--dry-run")
    assert lost.status == ExitCode.NOT_FENCED
    assert "no VM has the name or UUID 'nobody'" in " ".join(lost.out.split())


def test_a_rehearsal_asks_the_listeners_too_and_looks_with_a_guests_eyes(ctl: Ctl) -> None:
    found = ctl.json("test-fence", "node4", "--from", "node5")
    jsonschema.validate(found, schema_of(ROOTS["rehearsal"]))
    assert found["ok"] is True
    steps = found["steps"]
    assert isinstance(steps, list)
    assert [step["name"] for step in steps] == ["way", "gate", "target", "policy", "hosts", "plan"]
    assert ctl("test-fence", "node4", "--from", "nobody").status == ExitCode.FAILED
    assert ET.fromstring(ctl("test-fence", "node4", "--format", "xml").out.encode()).findtext("ok") == "true"


def test_history_has_each_fence_newest_first_and_chooses_among_them(ctl: Ctl) -> None:
    for action in ("off", "on"):
        ctl("fence", "node6", "--action", action, "--yes")
    ctl("fence", "no-such-vm", "--yes")
    rows = [line.split("\t") for line in ctl("history", "--format", "tsv").out.splitlines()]
    assert [row[2:4] for row in rows[1:4]] == [["off", "no-such-vm"], ["on", "node6"], ["off", "node6"]]
    assert rows[1][6:8] == ["no", "unknown-vm"]
    assert len(ctl("history", "--vm", uuid_of("node6"), "--format", "tsv").out.splitlines()) == 3
    failed = ctl.json("history", "--failed", "-n", "1")["fences"]
    assert isinstance(failed, list)
    assert [one["target"] for one in failed] == ["no-such-vm"]
    assert ctl.json("history", "--since", "2099-01-01")["fences"] == []
    assert ET.fromstring(ctl("history", "--format", "xml").out.encode()).findtext("fences/item/reason")
    assert "no-such-vm" in ctl("history", "--since", "1h").out
    assert ctl("history", "--vm", "never-fenced").out == "no such power action\n"
    assert ctl("history", "--since", "yesterday").status == ExitCode.USAGE


def test_a_time_is_a_span_or_a_date() -> None:
    assert since_when("90min", 10_000) == 10_000 - 5400
    assert since_when("2026-01-31T12:00", 0) == time.mktime((2026, 1, 31, 12, 0, 0, 0, 0, -1))
    assert since_when("", 0) is None
    with pytest.raises(click.BadParameter):
        since_when("5 parsecs", 0)


def test_explain_names_the_rule_that_decided_and_what_was_missing(ctl: Ctl) -> None:
    ctl("fence", "missing-vm", "--yes")
    found = ctl.json("explain", "missing-vm")
    assert found["decided_by"] == "target_is_known"
    assert found["agrees"] is True
    assert "target_is_known" in ctl("explain", "missing-vm").out


def test_explain_replays_a_success_by_the_beginning_of_its_id_and_shows_what_was_seen(ctl: Ctl) -> None:
    ctl("fence", "node7", "--yes")
    fences = ctl.json("history", "--vm", "node7")["fences"]
    assert isinstance(fences, list)
    found = ctl.json("explain", fences[0]["id"][:8])
    assert (found["decided_by"], found["agrees"], found["missing"]) == ("", True, [])
    rules = found["rules"]
    assert isinstance(rules, list)
    assert {rule["rule"] for rule in rules} >= {"s1_observed_after_the_request", "s4_off_is_proven"}
    text = ctl("explain", "node7").out
    assert "it was running and is off (proof: hypervisor's word" in text
    assert ET.fromstring(ctl("explain", "node7", "--format", "xml").out.encode()).tag == "explain"
    assert ctl("explain", "nothing-such").status == ExitCode.FAILED


def test_events_are_shown_and_followed(ctl: Ctl) -> None:
    file = ctl.daemon.config_file
    with started("events", "-f", file, "--follow", "--format", "json", "-n", "100") as following:
        assert following.stdout is not None
        ctl.daemon.process.wait_until(lambda: followed(ctl), what="being followed")
        ctl("fence", "node8", "--yes")
        kinds: list[str] = []
        while not {"fence-finished", "vm-changed"} <= set(kinds):  # in whichever order they come
            event = json.loads(following.stdout.readline())
            jsonschema.validate(event, schema_of(ROOTS["event"]))
            kinds += [event["kind"]] if event["name"] == "node8" else []
        assert ended_by_ctrl_c(following) == 0
    assert kinds[0] == "fence-accepted"
    assert "off of node8 done after" in ctl("events").out
    assert "fence-finished" in ctl("events", "--format", "tsv", "-n", "5").out


def test_history_goes_on_with_each_fence_as_it_is_answered(ctl: Ctl) -> None:
    file = ctl.daemon.config_file
    with started("history", "-f", file, "--follow", "--format", "tsv", "-n", "1") as following:
        assert following.stdout is not None
        ctl.daemon.process.wait_until(lambda: followed(ctl), what="being followed")
        ctl("fence", "node13", "--yes")
        while "node13" not in (line := following.stdout.readline()) or "pending" in line:
            assert line
        assert ended_by_ctrl_c(following) == 0
    assert line.split("\t")[7] == "proven-off"


def followed(ctl: Ctl) -> bool:
    """Whether somebody has a connection to the control socket open."""
    path = f"{ctl.daemon.state_dir}/control.sock"
    sockets = Path("/proc/net/unix").read_text().splitlines()
    return sum(line.endswith(path) for line in sockets) > 1


def test_a_pause_refuses_with_its_reason_is_shouted_and_survives_a_restart(ctl: Ctl) -> None:
    daemon = ctl.daemon
    try:
        assert "until `fence_virtctl resume`" in ctl("pause", "switch upgrade").out
        found = ctl("fence", "node9", "--yes")
        assert (found.status, "switch upgrade" in found.out) == (ExitCode.NOT_FENCED, True)
        assert daemon.ask(Action.REBOOT, "node9").code == 1
        assert daemon.ask(Action.STATUS, "node9").code == 0
        shown = ctl("status")
        assert shown.status == ExitCode.BROKEN
        assert "fencing is paused (switch upgrade)" in shown.out
        assert "FAILS" in ctl("test-fence", "node9").out
        daemon.process.stop()
        daemon.process.start()
        daemon.process.wait_until(lambda: ctl("status").status != ExitCode.NO_DAEMON, what="answering again")
        assert ctl("status").status == ExitCode.BROKEN
    finally:
        resumed = ctl("resume")
    assert resumed.out.startswith("fencing goes on; it was paused for ")
    assert ctl("resume").status == ExitCode.FAILED
    assert ctl("fence", "node9", "--yes").status == ExitCode.OK


def test_a_pause_ends_by_itself(ctl: Ctl) -> None:
    assert "until 20" in ctl("pause", "--for", "1s").out
    ctl.daemon.process.wait_until(lambda: ctl("status").status != ExitCode.BROKEN, what="the end of the pause")
    assert ctl("fence", "node10", "--yes").status == ExitCode.OK


def test_owners_are_a_tree_and_a_graph(ctl: Ctl) -> None:
    ctl("fence", "node11", "--yes")
    ctl.daemon.process.wait_until(lambda: "off everywhere" in ctl("owners", "node11").out, what="seeing it off")
    tree = ctl("owners", "node11", "node12").out
    assert [line.strip("│├└─ ") for line in tree.splitlines()][1:] == [
        "host1 here",
        "node12 running",
        "off everywhere",
        "node11",
    ]
    dot = ctl("owners", "--dot").out
    edges = re.findall(r'^  "host1" -> "[-0-9a-f]{36}" \[label="running"\];$', dot, re.MULTILINE)
    assert len(edges) >= 40
    assert dot.startswith("digraph owners {")
    assert dot.endswith("}\n")


def test_history_and_explanations_are_read_from_the_disk_where_no_daemon_answers(
    capsys: Printed, tmp_path: Path
) -> None:
    with watched(tmp_path) as daemon:
        ctl = Ctl(capsys, daemon)
        ctl("fence", "node1", "--yes")
    shown = ctl("history")
    assert "proven-off" in shown.out
    assert "this is what it has written down" in shown.err
    assert "s4_off_is_proven" in ctl("explain", "node1").out
    assert ctl("explain", "node2").status == ExitCode.FAILED
    assert ctl("fence", "node1", "--yes").status == ExitCode.NO_DAEMON
