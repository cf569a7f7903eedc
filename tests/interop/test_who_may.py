"""Groups, keys, hashes and the handshake's digests, between every pair of programs: who is let in, who is not."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.interop.programs import KEY, Make, Plan, Site, Transport, both, site
from tests.interop.worlds import ALPHA, BETA, EVERY_KIND, PAULA, write_world

DIGESTS = ("none", "sha1", "sha256", "sha512")
PAIRS = tuple(itertools.product(Make, Make))
QUICKLY = ("-t", "1", "-r", "5")
"""By multicast a request that is dropped is not answered at all."""
UNHEARD = b"somebody else's key".ljust(64, b".")


def pair_name(pair: tuple[Make, Make]) -> str:
    return f"{pair[0].value} client and {pair[1].value} daemon"


def asked(place: Site, client: Make, *arguments: str) -> tuple[int, str]:
    quickly = QUICKLY if place.plan.transport is Transport.MULTICAST else ("-t", "1")
    answer = place.ask(client, *arguments, *quickly)
    return answer.status, answer.out if answer.status in (0, 2) else ""


ALLOWED = {
    "by UUID and by name": f'group {{ uuid = "{ALPHA.uuid}"; uuid = "alpha"; ip = "127.0.0.1"; }}',
    "in the second of two": 'group { uuid = "beta"; ip = "10.9.9.9"; } group { uuid = "alpha"; ip = "127.0.0.1"; }',
    "with other machines": 'group { uuid = "paula"; uuid = "ALPHA"; ip = "10.9.9.9"; ip = "127.0.0.1"; }',
}
FOREIGN = 'groups { group { uuid = "alpha"; ip = "10.9.9.9"; } }'


@pytest.mark.parametrize("groups", ALLOWED.values(), ids=ALLOWED)
@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
def test_a_group_admits_its_members_to_its_machines_and_to_no_others(
    tmp_path: Path, transport: Transport, groups: str
) -> None:
    world = write_world(tmp_path / "world.xml", EVERY_KIND)
    plan = Plan((world,), transport, groups=f"groups {{ {groups} }}")
    with both(plan, tmp_path / "site") as sites:
        for daemon, client in itertools.product(Make, Make):
            place = sites[daemon]
            assert asked(place, client, "-o", "status", "-n", "alpha") == (0, "Status: ON\n")
            assert asked(place, client, "-o", "off", "-n", "alpha") == (0, "")
            assert asked(place, client, "-o", "on", "-n", "alpha") == (0, "")
            for action in ("status", "off", "on", "reboot"):
                assert asked(place, client, "-o", action, "-n", "beta") == (3, ""), (daemon, client, action)
            status, listing = asked(place, client, "-o", "list")
            assert status == 0
            assert "alpha" in listing
            assert "beta" not in listing
            assert asked(place, client, "-o", "monitor") == (0, "")


@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
def test_a_source_that_is_in_no_group_may_nothing_and_sees_nothing(tmp_path: Path, transport: Transport) -> None:
    plan = Plan((write_world(tmp_path / "world.xml", EVERY_KIND),), transport, groups=FOREIGN)
    with both(plan, tmp_path / "site") as sites:
        for daemon, client in itertools.product(Make, Make):
            for action, name in itertools.product(("status", "off", "on", "reboot"), ("alpha", BETA.uuid, PAULA.name)):
                assert asked(sites[daemon], client, "-o", action, "-n", name) == (3, ""), (daemon, client, action)
            assert asked(sites[daemon], client, "-o", "list") == (0, "")


@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
def test_a_wrong_key_gets_nothing_done(tmp_path: Path, transport: Transport) -> None:
    def attempt(pair: tuple[Make, Make], listener: str, *arguments: str) -> tuple[int, str]:
        client, daemon = pair
        folder = tmp_path / f"{client.name}{daemon.name}{listener[:4]}"
        folder.mkdir()
        wrong = folder / "wrong"
        wrong.write_bytes(UNHEARD)
        plan = Plan((write_world(folder / "world.xml", EVERY_KIND),), transport, listener)
        with site(daemon, plan, folder / "site") as place:
            found = asked(place, client, "-k", str(wrong), "-o", "off", "-n", "alpha", *arguments)
            assert asked(place, client, "-o", "status", "-n", "alpha") == (0, "Status: ON\n")
            return found

    signed = [(pair, "") for pair in PAIRS]
    # Without a signature the wrong key shows in the handshake.
    unsigned = [(pair, 'hash = "none";', "-c", "none") for pair in PAIRS]
    with ThreadPoolExecutor(len(PAIRS)) as pool:
        found = list(pool.map(lambda arguments: attempt(*arguments), [*signed, *unsigned]))
    assert found == [(1, "")] * len(found)


def test_a_request_is_let_in_if_its_hash_is_as_strong_as_the_daemon_demands(tmp_path: Path) -> None:
    def admitted(minimum: str) -> dict[tuple[Make, Make, str], int]:
        folder = tmp_path / minimum
        folder.mkdir()
        plan = Plan((write_world(folder / "w.xml", EVERY_KIND),), Transport.TCP, f'hash = "{minimum}";')
        found = {}
        with both(plan, folder / "site") as sites:
            for daemon, client, digest in itertools.product(Make, Make, DIGESTS):
                found[(daemon, client, digest)] = asked(sites[daemon], client, "-o", "monitor", "-c", digest)[0]
        return found

    with ThreadPoolExecutor(len(DIGESTS)) as pool:
        results = dict(zip(DIGESTS, pool.map(admitted, DIGESTS), strict=True))
    for minimum, found in results.items():
        for (daemon, client, digest), status in found.items():
            strong = DIGESTS.index(digest) >= DIGESTS.index(minimum)
            assert status == (0 if strong else 1), (minimum, digest, client, daemon)


def test_a_datagram_whose_hash_is_too_weak_is_not_answered(tmp_path: Path) -> None:
    plan = Plan((write_world(tmp_path / "w.xml", EVERY_KIND),), Transport.MULTICAST, 'hash = "sha256";')
    with both(plan, tmp_path / "site") as sites:

        def ask_each(place: Site) -> None:
            for client in Make:
                assert asked(place, client, "-o", "off", "-n", "alpha", "-c", "sha1") == (1, "")
                assert asked(place, client, "-o", "status", "-n", "alpha", "-c", "sha512")[0] == 0

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(ask_each, sites.values()))


@pytest.mark.parametrize("transport", Transport, ids=lambda transport: transport.value)
def test_both_sides_must_use_the_same_digest_in_the_handshake(tmp_path: Path, transport: Transport) -> None:
    # C's tcp listener has no auth of its own: it is sha256 there, whatever the file says (docs/differences.md).
    digests = DIGESTS if transport is Transport.MULTICAST else ("sha256",)

    def answered(digest: str) -> dict[tuple[Make, Make, str], int]:
        folder = tmp_path / digest
        folder.mkdir()
        plan = Plan((write_world(folder / "w.xml", EVERY_KIND),), transport, f'auth = "{digest}";')
        found = {}
        with both(plan, folder / "site") as sites:
            for daemon, client in itertools.product(Make, Make):
                found[(daemon, client, digest)] = asked(sites[daemon], client, "-o", "monitor", "-C", digest)[0]
            for daemon, client in itertools.product(Make, Make):
                other = "sha512" if digest == "sha1" else "sha1"
                # A C daemon waits for the handshake of this one for ten seconds: it is asked once, and last.
                if daemon is Make.OURS or client is Make.C:
                    found[(daemon, client, other)] = asked(sites[daemon], client, "-o", "monitor", "-C", other)[0]
        return found

    with ThreadPoolExecutor(len(digests)) as pool:
        results = dict(zip(digests, pool.map(answered, digests), strict=True))
    for demanded, found in results.items():
        for (daemon, client, digest), status in found.items():
            assert status == (0 if digest == demanded else 1), (demanded, digest, client, daemon)


@pytest.mark.parametrize("digest", DIGESTS)
def test_our_tcp_listener_takes_every_digest_from_both_clients(tmp_path: Path, digest: str) -> None:
    listener = f'hash = "{digest}"; auth = "{digest}";'
    plan = Plan((write_world(tmp_path / "world.xml", EVERY_KIND),), Transport.TCP, listener, key=KEY)
    with site(Make.OURS, plan, tmp_path / "site") as place:
        for client in Make:
            assert asked(place, client, "-c", digest, "-C", digest, "-o", "off", "-n", "alpha") == (0, "")
            assert asked(place, client, "-c", digest, "-C", digest, "-o", "status", "-n", "alpha")[0] == 2
