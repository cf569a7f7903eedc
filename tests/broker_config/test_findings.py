"""What is said about each thing that can be wrong with a broker, and what to do about it."""

from __future__ import annotations

import socket
import ssl

import pytest

from fencebus_broker.findings import Finding, Step, explained
from fencebus_schemas.bus_url import Broker

PLACE = Broker("amqps", "b1", 5671, "fencebus", "host1", "secret")


class Said(Exception):
    """As the library tells what a broker said."""

    def __init__(self, reply_code: int) -> None:
        super().__init__(f"code {reply_code}")
        self.reply_code = reply_code


def badly_signed(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("step", "error", "remedy"),
    (
        (Step.CONNECT, socket.gaierror(-2, "unknown"), "No address is known for b1"),
        (Step.CONNECT, ConnectionRefusedError(), "Nobody listens on port 5671"),
        (Step.CONNECT, TimeoutError(), "firewall"),
        (Step.CONNECT, OSError("no route"), "Look at the network"),
        (Step.ENCRYPT, badly_signed(62), "for another name than b1"),
        (Step.ENCRYPT, badly_signed(64), "for another name than b1"),
        (Step.ENCRYPT, badly_signed(20), "name the CA with --ca"),
        (Step.ENCRYPT, ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "does not speak TLS on this port"),
        (Step.ENCRYPT, ConnectionResetError(), "may want a certificate"),
        (Step.LOG_IN, Said(403), "does not know user host1, or the password"),
        (Step.LOG_IN, Said(530), "The virtual host fencebus is not there"),
        (Step.LOG_IN, ssl.SSLError(1, "alert"), "name one with --cert and --key"),
        (Step.LOG_IN, ConnectionResetError(), "broke the connection off"),
        (Step.LOG_IN, TimeoutError(), "does not answer"),
        (Step.EXCHANGES, Said(530), "may not enter it"),
        (Step.EXCHANGES, Said(404), "import the definitions"),
        (Step.QUEUE, Said(403), "User host1 may not do that"),
        (Step.ROUND_TRIP, TimeoutError(), "The broker's own log"),
    ),
)
def test_each_failure_has_a_remedy(step: Step, error: Exception, remedy: str) -> None:
    found = explained(PLACE, step, error)
    assert not found.good
    assert remedy in found.remedy
    assert str(found).startswith(f"FAIL  amqps://host1@b1:5671/fencebus -- {step.name.lower().replace('_', ' ')}: ")
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("user", "remedy"), (("host1", "its plugin rabbitmq_amqp1_0, qpidd its module"), ("", "name a user and a password"))
)
def test_who_is_cut_off_in_amqp_1_0_is_told_what_that_needs(user: str, remedy: str) -> None:
    place = Broker("amqp1", "b1", 5672, "/", user, "secret")
    assert remedy in explained(place, Step.LOG_IN, ConnectionResetError()).remedy
    wrong = explained(place, Step.ENCRYPT, ssl.SSLError(1, "WRONG_VERSION_NUMBER")).remedy
    assert "amqp1s:// is for port 5671, amqp1:// for 5672" in wrong
    assert "wants a certificate" in explained(place, Step.LOG_IN, OSError("[SSL: ALERT] certificate required")).remedy


def test_what_is_well_is_said_in_one_line() -> None:
    assert str(Finding(PLACE, Step.CONNECT, "as 192.0.2.1")) == (
        "ok    amqps://host1@b1:5671/fencebus connects: as 192.0.2.1"
    )
    assert str(Finding(PLACE, Step.QUEUE)) == "ok    amqps://host1@b1:5671/fencebus gives a queue, and binds it"
