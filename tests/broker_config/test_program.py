"""The program as it is typed: what it writes, what it finds at real brokers, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rabbitmq import SHUT, STRANGER, RabbitMq
from tests.rabbitmq_rendered import Brokers


def run(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """The program, with something on its standard input."""
    argv = [sys.executable, "-m", "fencebus_broker", *map(str, arguments)]
    return subprocess.run(argv, input=given, capture_output=True, text=True, timeout=100, env={**os.environ})


class TestRendering:
    """Without a broker."""

    def test_it_writes_below_the_folder_and_says_where_to_read_on(self, tmp_path: Path) -> None:
        done = run("render", "--broker", "rabbitmq", "--hosts", "a,b,c", "--out", tmp_path / "site")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].endswith(f"{tmp_path}/site/README says what goes where")
        again = run("render", "--broker", "rabbitmq", "--hosts", "a,b", "--out", tmp_path / "site")
        assert again.returncode == 1
        assert "--replace writes over them" in again.stderr
        replaced = run("render", "--broker", "rabbitmq", "--hosts", "a,b", "--out", tmp_path / "site", "--replace")
        assert replaced.returncode == 0, replaced.stderr

    def test_what_cannot_be_set_up_is_said_in_full(self, tmp_path: Path) -> None:
        done = run("render", "--broker", "rabbitmq", "--hosts", "a.b,c!", "--out", tmp_path)
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 3
        assert list(tmp_path.iterdir()) == []

    def test_a_wrong_command_line_is_exit_status_2(self) -> None:
        assert run("render", "--broker", "postfix").returncode == 2
        assert run("unknown").returncode == 2

    @pytest.mark.parametrize("arguments", (("--help",), ("render", "--help"), ("check", "-h"), ("--version",)))
    def test_it_tells_what_it_can(self, arguments: tuple[str, ...]) -> None:
        done = run(*arguments)
        assert done.returncode == 0
        assert "fencebus_broker" in done.stdout


@pytest.mark.xdist_group("federated-brokers")
@pytest.mark.timeout(240)
class TestCheckingAFederation:
    """Rendered brokers, with all that protects them."""

    def test_all_is_well_for_a_host_at_both_brokers_and_between_them(self, federation: Brokers) -> None:
        done = run("check", "-", "--credentials", federation.papers("host1"), given=federation.url("host1"))
        assert done.returncode == 0, done.stdout
        lines = done.stdout.splitlines()
        assert len(lines) == 2 * 7
        assert all(line.startswith("ok ") for line in lines)
        assert "vouches for user host1" in done.stdout
        assert done.stdout.count("passes on to the others: 1 of 1") == 2

    def test_all_is_well_for_a_host_on_amqp_1_0_too(self, federation: Brokers) -> None:
        host = "host4"
        done = run("check", "-", "--credentials", federation.papers(host), given=federation.url(host))
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        assert len(lines) == 2 * 7
        assert all(line.startswith("ok    amqp1s://") for line in lines)
        assert done.stdout.count("vouches for nobody on AMQP 1.0") == 2
        assert done.stdout.count("passes on to the others: 1 of 1") == 2
        assert done.stderr == ""

    def test_a_watcher_is_told_that_it_may_only_look(self, federation: Brokers) -> None:
        done = run("check", "-", "--credentials", federation.papers("watcher"), given=federation.url("watcher"))
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("may not send to others") == 2

    def test_a_cut_link_is_found_though_each_broker_is_well_by_itself(self, federation: Brokers) -> None:
        federation.links.shut(True)
        try:
            done = run("check", "-", "--credentials", federation.papers("host1"), given=federation.url("host1"))
        finally:
            federation.links.shut(False)
        assert done.returncode == 1
        assert "passes on: nothing arrives at" in done.stdout
        assert "the federation's links" in done.stdout

    def test_without_papers_it_says_which_are_missing(self, federation: Brokers) -> None:
        url, papers = federation.url("host1", 0), federation.papers("host1")
        assert "name the CA with --ca" in run("check", "-", given=url).stdout
        done = run("check", "-", "--ca", papers / "ca.pem", given=url)
        assert done.returncode == 1
        assert "certificate" in done.stdout.splitlines()[-1]


@pytest.mark.xdist_group("rabbitmq")
@pytest.mark.timeout(180)
class TestCheckingAnyRabbitMq:
    """A broker that was set up by hand."""

    def test_each_step_that_fails_is_explained(self, rabbitmq: RabbitMq) -> None:
        for url, said in (
            (rabbitmq.url("a", "wrong"), "password is another one"),
            (rabbitmq.url("a", vhost=f"/{SHUT}"), "may not enter it"),
            (rabbitmq.url("a", vhost="/nowhere"), "is not there"),
            (rabbitmq.url(STRANGER), "may not enter it"),
            (rabbitmq.url("a", port=1), "Nobody listens on port 1 there"),
        ):
            done = run("check", url)
            assert done.returncode == 1, done.stdout
            assert said in done.stdout, done.stdout
            assert ":wrong@" not in done.stdout

    def test_exchanges_that_nobody_has_made_are_missed(self, rabbitmq: RabbitMq) -> None:
        done = run("check", rabbitmq.url("a"), "--domain", "unheard-of")
        assert done.returncode == 1
        assert "The exchanges are missing" in done.stdout

    def test_a_url_of_no_broker_is_refused(self) -> None:
        done = run("check", "peers://b1")
        assert done.returncode == 1
        assert "amqp1:// and amqp1s:// can be checked" in done.stderr
