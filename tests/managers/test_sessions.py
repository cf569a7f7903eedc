"""Logging in, staying logged in, and believing a manager: one login for all, renewed once; a CA pinned on first use."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_agent.hypervisor import HypervisorError
from fencebus_host.config.backends import ApiVersion, Credentials
from fencebus_host.routers.ovirt import session
from fencebus_host.routers.ovirt.trust import pin_file
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import VmState
from tests.managers.certificates import Certificates, made
from tests.managers.faults import Wrong
from tests.managers.fencing import off
from tests.managers.site import NODE1, PASSWORD, PLAIN_USER, router_to, settings, world
from tests.managers.stand_in import StandIn
from tests.managers.world import Vm

soon = Deadline.after


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Those of somebody else."""
    return made(tmp_path_factory.mktemp("others"))


async def test_a_hundred_requests_at_once_log_in_once(either: StandIn, tmp_path: Path) -> None:
    async with router_to(tmp_path, settings(either)) as router:
        found = await asyncio.gather(*(router.find(NODE1, soon(20)) for _ in range(100)))
    assert {len(each.records) for each in found} == {1}
    assert len(either.asked("oauth/token")) == 1


async def test_a_login_is_given_back_in_the_end(engine: StandIn, tmp_path: Path) -> None:
    async with router_to(tmp_path, settings(engine)) as router:
        await router.check(soon(30))
        assert len(engine.tokens) == 1
    assert len(engine.tokens) == 0


async def test_a_long_list_is_read_whole(engine: StandIn, tmp_path: Path) -> None:
    engine.world.add(*(Vm(f"10000000-0000-0000-0000-{n:012d}", f"vm{n}") for n in range(1000)))
    async with router_to(tmp_path, settings(engine)) as router:
        assert len(await router.list(soon(30))) == 1003


async def test_v3_keeps_the_session_by_its_cookie(old_engine: StandIn, tmp_path: Path) -> None:
    async with router_to(tmp_path, settings(old_engine)) as router:
        for _ in range(3):
            await router.find(NODE1, soon(30))
    assert len(old_engine.sessions) == 1
    assert ["cookie" in said for said in old_engine.headers[2:]] == [True] * 3


async def test_a_login_that_has_ended_is_renewed_once(either: StandIn, tmp_path: Path) -> None:
    async with router_to(tmp_path, settings(either)) as router:
        await router.find(NODE1, soon(30))
        either.expire()
        (seen,) = (await off(router)).observations
    assert seen.state is VmState.OFF
    assert len(either.asked("oauth/token")) <= 2


async def test_a_manager_that_forgets_every_login_at_once_is_not_asked_for_ever(
    engine: StandIn, tmp_path: Path
) -> None:
    async with router_to(tmp_path, settings(engine)) as router:
        await router.check(soon(30))
        engine.requests.clear()
        engine.forgets = True
        found = await router.find(NODE1, soon(2))
    assert "does not accept the account" in found.silent[0]
    assert len(engine.requests) <= 4


async def test_a_wrong_password_fails_at_once_and_is_not_tried_again_lest_the_account_gets_locked(
    either: StandIn, tmp_path: Path
) -> None:
    wrong = replace(settings(either), credentials=Credentials("admin@internal", "wrong"))
    async with router_to(tmp_path, wrong) as router:
        with pytest.raises(HypervisorError, match="does not accept the account"):
            await router.check(soon(30))
        asked = len(either.requests)
        with pytest.raises(HypervisorError, match="not tried again for"):
            await router.check(soon(30))
        found = await router.find(NODE1, soon(30))
        with pytest.raises(HypervisorError):
            await router.list(soon(30))
    assert len(either.requests) == asked
    assert "wrong" not in found.silent[0]


async def test_a_password_that_was_mended_is_tried_after_a_while(
    engine: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOGIN_AGAIN", 0.1)
    engine.world.accounts["admin@internal"].password = "another"
    async with router_to(tmp_path, settings(engine)) as router:
        with pytest.raises(HypervisorError):
            await router.check(soon(30))
        engine.world.accounts["admin@internal"].password = PASSWORD
        await asyncio.sleep(0.15)
        await router.check(soon(30))


async def test_neither_the_password_nor_a_token_is_ever_logged(
    either: StandIn, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with router_to(tmp_path, settings(either)) as router:
        await off(router)
        said = [repr(engine._session._login) for engine in router._engines.values()]
    for secret in (PASSWORD, *either.tokens, *either.sessions):
        assert secret not in caplog.text
        assert all(secret not in each for each in said)


# -- versions ----------


@pytest.mark.parametrize(
    ("versions", "wanted", "spoken"),
    (
        ((4,), ApiVersion.AUTO, "4"),
        ((4,), ApiVersion.V4, "4"),
        ((3,), ApiVersion.AUTO, "3"),
        ((3,), ApiVersion.V3, "3"),
        ((4, 3), ApiVersion.AUTO, "4"),
        ((4, 3), ApiVersion.V3, "3"),
    ),
)
async def test_the_version_is_the_configured_one_or_the_managers(
    certificates: Certificates,
    tmp_path: Path,
    versions: tuple[int, ...],
    wanted: ApiVersion,
    spoken: str,
) -> None:
    async with StandIn(world(), certificates, versions=versions) as stand_in:
        async with router_to(tmp_path, replace(settings(stand_in), api_version=wanted)) as router:
            assert (await router.find("node1", soon(30))).records[0].state is VmState.RUNNING
        assert stand_in.headers[-1].get("version", spoken) == spoken


@pytest.mark.parametrize(("versions", "wanted"), (((4,), ApiVersion.V3), ((3,), ApiVersion.V4)))
async def test_a_version_that_the_manager_does_not_speak_is_said_so(
    certificates: Certificates, tmp_path: Path, versions: tuple[int, ...], wanted: ApiVersion
) -> None:
    async with StandIn(world(), certificates, versions=versions) as stand_in:
        asked = replace(settings(stand_in), api_version=wanted)
        async with router_to(tmp_path, asked) as router:
            with pytest.raises(HypervisorError):
                await router.check(soon(1))


@pytest.mark.parametrize("path", ("", "/ovirt-engine", "/ovirt-engine/api", "/ovirt-engine/api/"))
async def test_the_address_may_end_anywhere_on_the_way_to_the_api(engine: StandIn, tmp_path: Path, path: str) -> None:
    async with router_to(tmp_path, replace(settings(engine), url=(engine.url + path).rstrip("/"))) as router:
        await router.check(soon(30))


async def test_rhev_m_of_old_has_its_api_elsewhere(old_engine: StandIn, tmp_path: Path) -> None:
    old_engine.traps.add(Wrong.STARTING, "/ovirt-engine")
    async with router_to(tmp_path, settings(old_engine)) as router:
        assert (await router.find(NODE1, soon(30))).records
    assert f"GET /api/vms/{NODE1}" in old_engine.requests


async def test_an_address_that_is_no_managers_is_said_so(engine: StandIn, tmp_path: Path) -> None:
    engine.traps.add(Wrong.STARTING)
    async with router_to(tmp_path, settings(engine)) as router:
        with pytest.raises(HypervisorError, match="there is no API at"):
            await router.check(soon(30))


async def test_a_users_account_at_v3_needs_the_filter_to_search(old_engine: StandIn, tmp_path: Path) -> None:
    plain = settings(old_engine, user=PLAIN_USER)
    async with router_to(tmp_path, plain) as router:
        found = await router.find("node1", soon(30))
        assert found.objection is not None
        assert "lacks the permission" in found.objection.text
    async with router_to(tmp_path, replace(plain, filter=True)) as router:
        assert (await router.find("node1", soon(30))).records


async def test_a_users_account_at_v4_needs_nothing(engine: StandIn, tmp_path: Path) -> None:
    engine.world.vms[NODE1].visible_to = frozenset({"admin@internal"})
    async with router_to(tmp_path, settings(engine, user=PLAIN_USER)) as router:
        (seen,) = (await off(router, "node2")).observations
        hidden = await router.find(NODE1, soon(30))
    assert seen.state is VmState.OFF
    assert (hidden.records, hidden.silent) == ((), ())


# -- trust ----------


async def test_a_manager_with_another_ca_is_not_told_the_password(
    engine: StandIn, others: Certificates, tmp_path: Path
) -> None:
    async with router_to(tmp_path, replace(settings(engine), ca_file=others.ca)) as router:
        with pytest.raises(HypervisorError, match="certificate is not believed"):
            await router.check(soon(30))
    assert engine.requests == []


async def test_a_manager_under_another_name_is_not_believed(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    certificates = made(tmp_path_factory.mktemp("named"), name="192.0.2.1")
    async with StandIn(world(), certificates) as stand_in, router_to(tmp_path, settings(stand_in)) as router:
        with pytest.raises(HypervisorError, match="certificate is not believed"):
            await router.check(soon(30))


async def test_a_ca_file_that_is_missing_is_said_so_and_read_when_it_is_there(engine: StandIn, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    async with router_to(tmp_path, replace(settings(engine), ca_file=file)) as router:
        with pytest.raises(HypervisorError, match="cannot use the certificates"):
            await router.check(soon(30))
        file.write_bytes(engine.certificates.ca.read_bytes())
        await router.check(soon(30))


async def test_without_a_file_the_managers_ca_is_pinned_on_first_use_and_its_fingerprint_printed(
    engine: StandIn, others: Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pinned = replace(settings(engine), ca_file=None)
    async with router_to(tmp_path, pinned) as router:
        await router.check(soon(30))
    pretty = ":".join(engine.certificates.fingerprint.upper()[at : at + 2] for at in range(0, 64, 2))
    assert pretty in caplog.text
    assert pin_file(pinned, tmp_path).read_text("ascii").startswith("-----BEGIN CERTIFICATE-----")
    # From then on nobody else is believed, and nothing is fetched.
    asked = len(engine.requests)
    async with router_to(tmp_path, pinned) as router:
        await router.check(soon(30))
    assert len(engine.asked("pki-resource")) == 1
    assert asked < len(engine.requests)
    await engine.shut()
    async with StandIn(world(), others, port=engine.port) as impostor, router_to(tmp_path, pinned) as router:
        with pytest.raises(HypervisorError, match="certificate is not believed"):
            await router.check(soon(30))
        assert impostor.requests == []


@pytest.mark.parametrize("right", (True, False))
async def test_a_configured_fingerprint_decides_what_is_pinned(engine: StandIn, tmp_path: Path, right: bool) -> None:
    fingerprint = engine.certificates.fingerprint if right else "00" * 32
    pinned = replace(settings(engine), ca_file=None, fingerprint=fingerprint)
    async with router_to(tmp_path, pinned) as router:
        if right:
            await router.check(soon(30))
        else:
            with pytest.raises(HypervisorError, match="not the configured one"):
                await router.check(soon(30))
    assert pin_file(pinned, tmp_path).exists() is right
    assert bool(engine.asked("oauth/token")) is right


@pytest.mark.parametrize("wrong", (Wrong.STARTING, Wrong.GARBAGE, Wrong.REDIRECT))
async def test_a_manager_that_does_not_give_its_ca_needs_a_file(engine: StandIn, tmp_path: Path, wrong: Wrong) -> None:
    engine.traps.add(wrong, "pki-resource|ca.crt")
    async with router_to(tmp_path, replace(settings(engine), ca_file=None)) as router:
        with pytest.raises(HypervisorError, match="set ca_file"):
            await router.check(soon(30))
