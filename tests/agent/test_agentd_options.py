"""The command line of fencebus-agentd."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_agent.agentd_options import BUS_VARIABLE, OPTIONS, Answer, Errand, UsageError, read
from fencebus_schemas import __version__
from fencebus_schemas.bus_url import Tls

BUS = "amqp://a:b@broker,amqp://a:b@other"


def errand(*arguments: str, **environment: str) -> Errand:
    asked = read(arguments, environment)
    assert isinstance(asked, Errand)
    return asked


def test_only_a_bus_has_to_be_named() -> None:
    asked = errand("--bus", BUS, "--name", "hosta")
    assert asked == Errand(BUS, "qemu:///system", "hosta", "default", Path("/var/lib/fencebus"), Tls(), False)


def test_a_bus_with_a_password_may_stand_in_the_environment() -> None:
    assert errand("-n", "hosta", **{BUS_VARIABLE: BUS}).bus == BUS
    assert errand("-n", "hosta", "-b", "amqp://x", **{BUS_VARIABLE: BUS}).bus == "amqp://x"


def test_every_option_is_read() -> None:
    words = [
        "-b",
        BUS,
        "-u",
        "test:///default",
        "-n",
        "h",
        "-q",
        "red",
        "-s",
        "/s",
        "-d",
        "-A",
        "1",
        "-C",
        "2",
        "-K",
        "3",
    ]
    assert errand(*words) == Errand(BUS, "test:///default", "h", "red", Path("/s"), Tls("1", "2", "3"), True)


def test_the_name_is_the_systems_up_to_its_first_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "host7.example.org")
    assert errand("-b", BUS).host == "host7"


@pytest.mark.parametrize(
    ("arguments", "said"),
    (
        ((), "no bus"),
        (("-b", "foo://x"), "it has to begin with one of"),
        (("-b", "amqp://x,amqp1://y"), "a list has to be of one kind"),
        (("-b", BUS, "-n", "a.b"), "'a.b' is no name"),
        (("-b", BUS, "-n", "a", "-q", "a b"), "'a b' is no name"),
        (("-b", BUS, "--nme", "a"), "unrecognized arguments"),
        (("-b",), "expected one argument"),
    ),
)
def test_a_mistake_is_said_and_quotes_no_password(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError) as error:
        read(arguments, {})
    assert str(error.value).startswith("fencebus-agentd: ")
    assert said in str(error.value)
    assert "a:b" not in str(error.value)


def test_help_names_every_option_and_the_version_is_the_projects() -> None:
    told = read(["--help"], {})
    assert isinstance(told, Answer)
    assert all(f"--{option.name}" in told.text for option in OPTIONS)
    assert read(["-V"], {}) == Answer(f"fencebus-agentd (fencebus) {__version__}\n")
