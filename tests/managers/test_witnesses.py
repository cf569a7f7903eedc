"""Clients that others wrote work against the stand-in as they do against an engine: that is why it counts."""

from __future__ import annotations

from tests.managers.programs import fence_rhevm, govirt, sdk
from tests.managers.site import NODE1, NODE2, NODE3
from tests.managers.stand_in import StandIn

STARTED = ("wait_for_launch", "up")


async def test_fence_rhevm_lists_looks_stops_and_starts_in_both_versions(either: StandIn) -> None:
    stand_in = either
    assert (await fence_rhevm(stand_in, "monitor")).status == 0
    assert (await fence_rhevm(stand_in, "list")).out.splitlines() == ["node1,", "node2,", "node3,"]
    assert (await fence_rhevm(stand_in, "status", "node1")).status == 0
    assert (await fence_rhevm(stand_in, "status", "node3")).status == 2
    off = await fence_rhevm(stand_in, "off", "node1")
    assert (off.status, off.out) == (0, "Success: Powered OFF\n")
    assert stand_in.world.vms[NODE1].status == "down"
    assert (await fence_rhevm(stand_in, "on", "node1")).out == "Success: Powered ON\n"
    assert (await fence_rhevm(stand_in, "reboot", "node2")).out == "Success: Rebooted\n"
    assert stand_in.world.vms[NODE2].status in STARTED
    assert (await fence_rhevm(stand_in, "status", "nobody")).status == 1


async def test_an_engine_that_speaks_both_versions_answers_each_as_asked(engine: StandIn) -> None:
    engine.versions = (4, 3)
    for version in ("3", "4"):
        assert (await fence_rhevm(engine, "status", "node3", api_version=version)).status == 2


async def test_ovirts_own_client_gets_a_token_reads_stops_starts_and_maps_the_faults(engine: StandIn) -> None:
    engine.world.vms[NODE2].status = "unknown"
    missing = NODE1.replace("1", "9")
    steps = (f"get:{NODE1}", "search:node2", f"stop:{NODE1}", f"stop:{NODE2}", f"get:{missing}", f"start:{NODE3}")
    assert await sdk(engine, *steps, "host:host-1", "power:host-1") == [
        [NODE1, "node1", "up", "host-1"],
        [NODE2],
        "accepted",
        ["Error", 409],
        ["NotFoundError", 404],
        "accepted",
        ["h1", "up"],
        "on",
    ]
    assert engine.headers[1]["authorization"].startswith("Bearer ")


async def test_ovirts_own_client_takes_the_refusal_of_a_login_for_what_it_is(engine: StandIn) -> None:
    assert await sdk(engine, f"get:{NODE1}", password="wrong") == [["AuthError", None]]


async def test_gnomes_client_finds_stops_and_starts_a_vm(engine: StandIn) -> None:
    said = await govirt(engine, "state:node1", "stop:node1", "state:node3", "start:node3", "stop:nobody")
    assert said == [[NODE1, "up"], True, [NODE3, "down"], True, None]
    assert engine.world.vms[NODE1].status == "down"
    assert engine.world.vms[NODE3].status in STARTED


async def test_gnomes_client_shows_the_fault_of_a_stop_that_is_refused(engine: StandIn) -> None:
    engine.world.vms[NODE1].status = "saving_state"
    assert await govirt(engine, "stop:node1") == [["error", "Operation Failed: [Cannot stop VM. VM is saving_state.]"]]
