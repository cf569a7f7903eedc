"""Whether this host answers a guest's multicast."""

from __future__ import annotations

import pytest

from fencebus_host.config.model import LocalGuestsOnly
from fencebus_host.locality import GuestLocator, Located, Origin, answers
from tests.host_agent.evidence import OTHER, VM

MAC = "52:54:00:00:00:01"
SECOND = "52:54:00:00:00:02"


def located(own: bool = False, macs: tuple[str, ...] = (), guests: tuple[tuple[str, str], ...] = ()) -> Located:
    known = [(mac, VM if vm == "vm" else OTHER) for mac, vm in guests]
    return GuestLocator(lambda _address: own, lambda _address: macs, lambda: known).locate("192.0.2.1")


@pytest.mark.parametrize(
    ("place", "expected"),
    (
        (located(own=True, macs=(MAC,), guests=((MAC, "vm"),)), Located(Origin.THIS_HOST)),
        (located(), Located(Origin.UNRESOLVED)),
        (located(guests=((MAC, "vm"),)), Located(Origin.UNRESOLVED)),
        (located(macs=(MAC,)), Located(Origin.ELSEWHERE)),
        (located(macs=(MAC,), guests=((SECOND, "vm"),)), Located(Origin.ELSEWHERE)),
        (located(macs=(MAC,), guests=((MAC, "vm"), (SECOND, "other"))), Located(Origin.OWN_GUEST, VM)),
        (located(macs=(MAC,), guests=((MAC, "vm"), (MAC, "vm"))), Located(Origin.OWN_GUEST, VM)),
        (located(macs=(MAC, SECOND), guests=((MAC, "vm"), (SECOND, "vm"))), Located(Origin.OWN_GUEST, VM)),
        (located(macs=(MAC,), guests=((MAC, "vm"), (MAC, "other"))), Located(Origin.OWN_GUEST, None)),
    ),
)
def test_an_address_belongs_to_the_host_or_to_the_guest_that_has_its_mac(place: Located, expected: Located) -> None:
    assert place == expected


@pytest.mark.parametrize("lives_here", (True, False))
@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize("mode", LocalGuestsOnly)
def test_who_is_answered_in_which_mode(mode: LocalGuestsOnly, origin: Origin, lives_here: bool) -> None:
    is_own = origin in (Origin.THIS_HOST, Origin.OWN_GUEST)
    expected = {
        LocalGuestsOnly.NO: True,
        LocalGuestsOnly.YES: is_own,
        LocalGuestsOnly.AUTO: is_own or lives_here,
    }
    assert answers(mode, origin, lives_here) is expected[mode]
