"""What the daemons say about a machine, and about all of them: where C's answer misleads and ours does not."""

from __future__ import annotations

from pathlib import Path

from fencebus_schemas.model import Action
from fencebus_schemas.xvm import REPLY_LIST
from tests.differences.peers import addressed
from tests.interop.programs import Make, Plan, Site, both
from tests.interop.worlds import ALPHA, BETA, PAULA, TRANS, Vm, write_world
from tests.protocol_client import Secret, connect, signed

ON, OFF = (0, "Status: ON\n"), (2, "Status: OFF\n")
DONE = (0, "")
C, OURS = Make.C, Make.OURS


def plan_of(folder: Path, *vms: Vm) -> Plan:
    return Plan((write_world(folder / "world.xml", vms),))


def names_in_list(place: Site) -> list[str]:
    return [line.split()[0] for line in place.ask(C, "-o", "list").out.splitlines()]


def test_a_status_for_an_unknown_machine_is_an_error_and_not_off(tmp_path: Path) -> None:
    with both(plan_of(tmp_path, ALPHA), tmp_path / "site") as sites:
        for name in ("nobody", "Alpha", "0e0e0e0e-0000-4000-8000-000000000000"):
            assert sites[C].act(C, "status", name).told == OFF
            assert sites[OURS].act(C, "status", name).status == 1
        assert sites[C].act(C, "status", "alpha").told == sites[OURS].act(C, "status", "alpha").told == ON


def test_list_and_status_agree_on_a_paused_machine(tmp_path: Path) -> None:
    with both(plan_of(tmp_path, PAULA), tmp_path / "site") as sites:
        for make, in_list in ((C, "off"), (OURS, "on")):
            assert sites[make].act(C, "status", "paula").told == ON
            assert sites[make].ask(C, "-o", "list").out.split()[-1] == in_list


def test_names_of_63_and_more_bytes_do_not_corrupt_a_list(tmp_path: Path) -> None:
    long = (Vm("b" * 63), Vm("c" * 64), Vm("d" * 70))
    with both(plan_of(tmp_path, ALPHA, *long), tmp_path / "site") as sites:
        broken, whole = (sites[make].ask(C, "-o", "list").out.splitlines() for make in (C, OURS))
    assert len(broken) == len(whole) == 4
    # Without a NUL the client prints on, into the UUID.
    assert all(vm.uuid in line.split()[0] for vm, line in zip(long, broken[1:], strict=True))
    assert [line.split() for line in whole[1:]] == [[vm.name[:63], vm.uuid, "on"] for vm in long]


def test_a_list_of_several_hypervisors_is_complete(tmp_path: Path) -> None:
    uris = write_world(tmp_path / "one.xml", (ALPHA, BETA)), write_world(tmp_path / "two.xml", (TRANS,))
    with both(Plan(uris), tmp_path / "site") as sites:
        assert names_in_list(sites[C]) != ["alpha", "beta", "trans"]
        assert names_in_list(sites[OURS]) == ["alpha", "beta", "trans"]


def test_a_list_carries_no_bytes_of_the_daemon_s_memory(tmp_path: Path) -> None:
    with both(plan_of(tmp_path, ALPHA, BETA, TRANS), tmp_path / "site") as sites:
        stray = {make: stray_bytes(place) for make, place in sites.items()}
    assert stray[C] != 0
    assert stray[OURS] == 0


def stray_bytes(place: Site) -> int:
    """How many bytes of a list's records are neither text nor state nor zero."""
    secret = Secret(place.plan.key)
    with addressed(place) as where, connect(where, secret) as peer:
        peer.send(signed(secret, Action.LIST))
        peer.handshake()
        assert peer.receive(1)[0] == REPLY_LIST
        records = [peer.receive(130) for _ in range(4)]
    assert records[-1] == bytes(130)
    return sum(len(record) - record.count(0) - len(texts(record)) - 1 for record in records[:-1])


def texts(record: bytes) -> bytes:
    return record[:64].split(b"\0")[0] + record[64:128].split(b"\0")[0]


def test_a_transient_machine_is_known_after_its_off_and_can_be_started_again(tmp_path: Path) -> None:
    with both(plan_of(tmp_path, TRANS), tmp_path / "site") as sites:
        assert all(place.act(C, "off", "trans").told == DONE for place in sites.values())
        assert [sites[C].act(C, action, "trans").status for action in ("off", "on", "status")] == [1, 1, 2]
        assert [sites[OURS].act(C, action, "trans").status for action in ("off", "on", "status")] == [0, 0, 0]


def test_a_machine_in_a_group_may_be_named_by_name_and_by_uuid(tmp_path: Path) -> None:
    for number, (entry, other) in enumerate(((ALPHA.name, ALPHA.uuid), (ALPHA.uuid, ALPHA.name))):
        world = write_world(tmp_path / "world.xml", (ALPHA, BETA))
        groups = f'groups {{ group {{ uuid = "{entry}"; ip = "127.0.0.1"; }} }}'
        with both(Plan((world,), groups=groups), tmp_path / f"site{number}") as sites:
            for make, place in sites.items():
                assert place.act(C, "status", entry).told == ON
                assert place.act(C, "status", other).status == (3 if make is C else 0)
                assert place.act(C, "status", "beta").status == 3


def test_a_group_may_name_a_network(tmp_path: Path) -> None:
    world = write_world(tmp_path / "world.xml", (ALPHA, BETA))
    groups = 'groups { group { uuid = "alpha"; ip = "127.0.0.0/8"; } }'
    with both(Plan((world,), groups=groups), tmp_path / "site") as sites:
        assert sites[C].act(C, "status", "alpha").status == 3
        assert sites[OURS].act(C, "status", "alpha").told == ON
        assert sites[OURS].act(C, "status", "beta").status == 3


def test_an_empty_group_does_not_switch_the_access_check_off(tmp_path: Path) -> None:
    world = write_world(tmp_path / "world.xml", (ALPHA, BETA))
    groups = 'groups { group { uuid = "alpha"; ip = "10.9.9.9"; } group { name = "to be filled"; } }'
    with both(Plan((world,), groups=groups), tmp_path / "site") as sites:
        assert sites[C].act(C, "off", "beta").told == DONE
        assert sites[OURS].act(C, "off", "beta").status == 3
        assert names_in_list(sites[C]) == ["alpha", "beta"]
        assert names_in_list(sites[OURS]) == []
