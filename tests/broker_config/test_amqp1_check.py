"""`fencebus_broker check` in AMQP 1.0: a real RabbitMQ with its plugin, and a real qpidd where there is one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fencebus_agent.amqp1_profile import Qpidd, RabbitMq3
from fencebus_broker import probe_amqp1
from fencebus_broker.amqp1_reasons import refused, shut_out, vouching
from fencebus_broker.findings import Step
from fencebus_schemas.bus_url import Broker, Tls
from tests.amqp1_site import make_exchanges, url
from tests.broker_config.test_program import run
from tests.qpidd import OPERATOR, WATCHER, RenderedQpidd, rendered_qpidd, require_qpidd, running_qpidd
from tests.rabbitmq import BOUNDED, SHUT, STRANGER, RabbitMq

GUESS = ", before it let us in: the user or the password may be wrong"


def lines_of(*arguments: str | Path, given: str = "") -> tuple[int, list[str], str]:
    """The exit status, what was found in short, and all of it."""
    done = run("check", *arguments, given=given)
    assert done.stderr == ""
    return done.returncode, [line.partition(" ")[0] for line in done.stdout.splitlines()], done.stdout


@pytest.mark.xdist_group("rabbitmq")
@pytest.mark.timeout(180)
class TestRabbitMq:
    """Its plugin."""

    async def test_two_connections_are_well_and_hear_each_other(self, rabbitmq: RabbitMq) -> None:
        await make_exchanges(rabbitmq)
        status, findings, text = lines_of(f"{url(rabbitmq)},{url(rabbitmq, 'b')}")
        assert (status, findings) == (0, ["ok"] * 12), text
        assert "lets this user in: RabbitMQ 3." in text
        assert text.count("RabbitMQ 3 vouches for nobody on AMQP 1.0") == 2
        assert text.count("passes on to the others: 1 of 1") == 2

    async def test_each_step_that_fails_is_explained(self, rabbitmq: RabbitMq) -> None:
        await make_exchanges(rabbitmq)
        secure = f"amqp1s://a:a@localhost:{rabbitmq.tls_port}"
        cases = (
            ((url(rabbitmq, "a", "wrong"),), "-- log in", "password is another one"),
            ((f"{url(rabbitmq)}/{SHUT}",), "-- exchanges", f"virtual host {SHUT} is not there, or a may not enter it"),
            ((url(rabbitmq, STRANGER),), "-- exchanges", "may not enter it"),
            ((url(rabbitmq), "--domain", "unheard-of"), "-- exchanges", "The exchanges are missing"),
            ((url(rabbitmq, BOUNDED),), "-- queue", "User bounded may not do that"),
            ((url(rabbitmq, port=1),), "-- connect", "Nobody listens on port 1 there"),
            ((secure,), "-- encrypt", "name the CA with --ca"),
            ((f"amqp1s://a:a@localhost:{rabbitmq.port}",), "-- encrypt", "amqp1:// for 5672"),
            ((f"amqp1://localhost:{rabbitmq.port}",), "-- log in", "name a user and a password"),
        )
        with ThreadPoolExecutor(3) as several:  # a wrong password is answered after 3 s
            found = list(several.map(lambda case: lines_of(*case[0]), cases))
        for (_, step, said), (status, findings, text) in zip(cases, found, strict=True):
            assert status == 1, text
            assert findings.count("FAIL") == 1, text
            assert step in text, text
            assert said in text, text
            assert ":wrong@" not in text


@pytest.fixture(scope="module")
def qpidd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RenderedQpidd]:
    """One on rendered settings."""
    with rendered_qpidd(tmp_path_factory.mktemp("site")) as broker:
        yield broker


@pytest.mark.xdist_group("qpidd")
class TestQpidd:
    """With all that protects it, and with nothing."""

    def test_all_is_well_for_a_host_and_it_is_vouched_for(self, qpidd: RenderedQpidd) -> None:
        papers = qpidd.papers("host1")
        status, findings, text = lines_of("-", "--credentials", papers, given=qpidd.url("host1"))
        assert (status, findings) == (0, ["ok"] * 6), text
        assert "the broker vouches for user host1" in text

    @pytest.mark.parametrize("user", (WATCHER, OPERATOR))
    def test_a_console_is_told_that_it_may_not_send_to_hosts(self, qpidd: RenderedQpidd, user: str) -> None:
        status, _, text = lines_of("-", "--credentials", qpidd.papers(user), given=qpidd.url(user))
        assert status == 0, text
        assert "may not send to others" in text

    def test_each_step_that_fails_is_explained(self, qpidd: RenderedQpidd) -> None:
        papers, place = qpidd.papers("host1"), qpidd.url("host1")
        wrong = place.replace(qpidd.password("host1"), "wrong")
        for arguments, given, said in (
            (("--ca", papers / "ca.pem"), place, "wants a certificate of this site's CA"),
            (("--credentials", papers), wrong, "password is another one"),
            (("--credentials", papers, "--domain", "blue"), place, "User host1 may not do that"),
        ):
            status, findings, text = lines_of("-", *arguments, given=given)
            assert (status, findings.count("FAIL")) == (1, 1), text
            assert said in text

    def test_one_that_asks_nobody_is_said_to_vouch_for_nobody_and_makes_exchanges(self, tmp_path: Path) -> None:
        with running_qpidd(require_qpidd(), tmp_path) as place:
            status, findings, text = lines_of(f"amqp1://host1:x@{place}", "--domain", "blue")
        assert (status, findings) == (0, ["ok"] * 5), text
        assert "has the exchanges: qmf.blue.topic, qmf.blue.direct" in text
        assert "vouches for nobody, as it compares no user ids" in text


class TestReasons:
    """Pure."""

    @pytest.mark.parametrize(
        ("reason", "code", "bare"),
        (
            (f"the other side closed the connection{GUESS}", 403, "the other side closed the connection"),
            (
                f"what came cannot be understood: amqp:unauthorized-access: Authentication failed [mech=PLAIN]{GUESS}",
                403,
                "amqp:unauthorized-access: Authentication failed [mech=PLAIN]",
            ),
            ("amqp:not-allowed: vhost", 530, "amqp:not-allowed: vhost"),
            ("a broker of no known kind: it calls itself ''", 0, "a broker of no known kind: it calls itself ''"),
        ),
    )
    def test_a_login_that_fails_is_told_apart(self, reason: str, code: int, bare: str) -> None:
        error = shut_out(reason, named=True)
        assert (error.reply_code, str(error)) == (code, bare)
        assert shut_out("the other side closed the connection", named=False).reply_code == 0

    def test_what_is_refused_later_has_the_number_of_amqp_0_9_1(self) -> None:
        assert refused("amqp:not-found: no exchange").reply_code == 404
        assert refused("amqp:unauthorized-access: ACL denied").reply_code == 403
        assert refused("amqp:unauthorized-access: Access for user 'a' was refused").reply_code == 530
        assert refused("anything").reply_code == 0

    def test_who_is_vouched_for_is_said_for_people(self) -> None:
        assert vouching("a", Qpidd()) == "the broker vouches for user a"
        assert "compares no user ids" in vouching("", Qpidd())
        assert vouching("", RabbitMq3()) == "RabbitMQ 3 vouches for nobody on AMQP 1.0"


def test_what_takes_connections_and_says_nothing_is_told_from_what_hangs_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe_amqp1, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = Broker("amqp1", "127.0.0.1", silent.getsockname()[1], "/", "a", "a")
        findings = list(probe_amqp1.probe([place], Tls(), "default"))
    assert [finding.good for finding in findings] == [True, False]
    assert findings[-1].step is Step.LOG_IN
    assert findings[-1].detail == "no answer within 0.2 s"
    assert "does not answer" in findings[-1].remedy
