"""What a bus refuses before it is sent."""

from __future__ import annotations

import pytest

from fencebus_agent.bus import Address, BusMessage, BusRefused
from fencebus_agent.flaws import SIGNED, UNSIGNED, flaw, refuse_flawed

TO = Address("qmf.default.topic", "agent.ind")


@pytest.mark.parametrize("beyond", (SIGNED, UNSIGNED), ids=("AMQP 0-9-1", "AMQP 1.0"))
@pytest.mark.parametrize(
    ("to", "message", "said"),
    (
        (TO, BusMessage(headers=(("n", 2**63 - 1), ("m", -(2**63)), ("yes", True))), None),
        (Address("x", "k" * 255), BusMessage(), None),
        (Address("x", "k" * 256), BusMessage(), "more than 255 bytes"),
        (Address("x", "é" * 128), BusMessage(), "more than 255 bytes"),
        (TO, BusMessage(correlation_id="c" * 256), "more than 255 bytes"),
        (TO, BusMessage(correlation_id="é" * 128), "more than 255 bytes"),
        (TO, BusMessage(reply_to=Address("x" * 128, "y" * 128)), "more than 255 bytes"),
        (TO, BusMessage(headers=(("h" * 256, 1),)), "header's name"),
        (TO, BusMessage(headers=(("n", 2**64),)), "64 bits"),
        (TO, BusMessage(headers=(("n", -(2**63) - 1),)), "64 bits"),
    ),
)
def test_what_the_protocol_has_no_room_for_is_told_before_it_is_sent(
    to: Address, message: BusMessage, said: str | None, beyond: int
) -> None:
    found = flaw(to, message, beyond)
    assert (found is None) if said is None else (found is not None and said in found)


def test_amqp_1_0_has_room_for_unsigned_numbers_and_0_9_1_has_not() -> None:
    for number in (2**63, 2**64 - 1):
        message = BusMessage(headers=(("n", number),))
        assert flaw(TO, message, UNSIGNED) is None
        assert flaw(TO, message, SIGNED) == "a number of more than 64 bits"


def test_a_client_speaks_for_nobody_but_the_user_as_whom_it_logs_in_everywhere() -> None:
    refuse_flawed("bus", TO, BusMessage(), ("a", "b"), SIGNED)
    refuse_flawed("bus", TO, BusMessage(user_id="a"), ("a", "a"), SIGNED)
    for users in (("a", "b"), ("b",)):
        with pytest.raises(BusRefused, match="bus: no message can be sent in the name of 'a'"):
            refuse_flawed("bus", TO, BusMessage(user_id="a"), users, SIGNED)


def test_a_flawed_message_is_refused_in_the_name_of_the_bus() -> None:
    with pytest.raises(BusRefused, match="bus: a routing key"):
        refuse_flawed("bus", Address("x", "k" * 256), BusMessage(), (), SIGNED)
