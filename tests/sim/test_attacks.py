"""The attacks on the protocol that are known, each a schedule made by hand: none of them may break a rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fencebus_schemas.peer import Change, Fence, FenceAnswer, GuardAnswer, Lift, Message
from tests.sim.asked import Asked
from tests.sim.happening import Happening, Kind
from tests.sim.network import Filter, Station
from tests.sim.plan import Plan, VmPlan
from tests.sim.simulation import Simulation

ONE = (VmPlan(0, "vm1", defined=(1,)),)
TWO = (VmPlan(0, "vm1"), VmPlan(1, "vm2"))


def ask(
    at: float, host: int, vm: int = 0, action: str = "OFF", number: int = 1, **more: float | bool | int
) -> Happening:
    """A request by an operator, or by the VM ``source``."""
    span, source = float(more.get("span", 9.0)), int(more.get("source", -1))
    return Happening(at, Kind.ASK, host, vm=vm, span=span, number=number, action=action, source=source,
                     request=f"{number:032x}")  # fmt: skip


def again(at: float, host: int, number: int = 1) -> Happening:
    """The very same request once more."""
    return Happening(at, Kind.ASK_AGAIN, host, number=number, request=f"{number + 1000:032x}")


def happen(at: float, kind: Kind, host: int = 0, other: int = 0, span: float = 0.0, **more: float) -> Happening:
    """Anything else."""
    return Happening(at, kind, host, other, int(more.get("vm", 0)), span, more.get("rate", 0.0))


def migrate(at: float, source: int, to: int, span: float = 0.1, end: str = "") -> Happening:
    """VM 1, a phase each ``span``."""
    return Happening(at, Kind.MIGRATE, source, to, 0, span, 1.0, end=end)


def run(
    *happenings: Happening,
    vms: Sequence[VmPlan] = ONE,
    hosts: int = 3,
    configured: bool = True,
    joiners: int = 0,
    strangers: int = 0,
    through: Filter | None = None,
    length: float = 40.0,
) -> list[Asked]:
    """Run it, see that nothing was broken, and return the requests with their answers."""
    plan = Plan(1, hosts, tuple(vms), happenings, joiners, strangers, configured, length=length)
    simulation = Simulation(plan, told=True)
    simulation.network.filter = through
    oracle = simulation.run()
    assert oracle.violations == [], "\n".join(simulation.story or [])
    return oracle.asked


def lost(*kinds: type[Message]) -> Filter:
    """A network that loses messages of these kinds and is quick with all others."""

    def through(_sender: Station, _receiver: Station, message: Message) -> float | None:
        return None if isinstance(message, kinds) else 0.002

    return through


# -- the table ----------


def test_1_a_saved_vm_is_not_off_before_its_image_is_set_aside() -> None:
    (asked,) = run(happen(8, Kind.SAVE, span=0.5), ask(10, 1), happen(14, Kind.RESTORE))
    assert asked.ok
    (asked,) = run(
        happen(8, Kind.SAVE, span=0.5), happen(9, Kind.DAEMON_CRASH, span=20), ask(10, 1), happen(25, Kind.RESTORE)
    )
    assert (asked.ok, asked.reason) == (False, "host-silent")


def test_2_a_migrations_own_exit_is_not_our_kill() -> None:
    for moment in range(12):
        run(migrate(9.0, 0, 1, 0.05), ask(9.0 + moment * 0.03, 2))


def test_3_denials_at_different_moments_do_not_add_up() -> None:
    for moment in range(8):
        run(
            migrate(9.0, 0, 1, 0.1, "post-copy"),
            ask(9.2 + moment * 0.05, 2),
            happen(9.3, Kind.DAEMON_CRASH, 1, span=0.3),
        )


def test_4_a_host_that_was_rebooted_and_starts_its_vms_off_the_bus_is_not_dead() -> None:
    ways = (happen(9.9, Kind.ONE_WAY, 0, 1, 25), happen(9.9, Kind.ONE_WAY, 0, 2, 25))
    (asked,) = run(happen(8, Kind.HOST_CRASH, span=1.0, rate=1.0), *ways, ask(12, 1))
    assert not asked.ok


def test_5_a_daemon_that_stopped_without_vms_is_a_member_still() -> None:
    (asked,) = run(happen(8, Kind.DAEMON_CRASH, 2, span=25), migrate(9, 0, 2), ask(12, 1), configured=False)
    assert (asked.ok, asked.reason) == (False, "host-silent")


def test_5_a_fresh_host_that_knows_only_itself_gives_no_verdict() -> None:
    alone = Happening(7, Kind.PARTITION, span=30, mask=(3,))
    (asked,) = run(alone, Happening(8, Kind.JOIN, 3), ask(10, 3), joiners=1, configured=False)
    assert not asked.ok


def test_6_a_vm_that_left_for_a_host_without_fencebus_is_not_off() -> None:
    (asked,) = run(migrate(8, 0, 3), ask(12, 1), strangers=1)
    assert not asked.ok
    assert "migrate away" in asked.text


def test_7_a_new_request_does_not_join_one_that_has_killed_already() -> None:
    slow = happen(8, Kind.SLOW_DISK, 0, span=10, rate=1.0)
    first, second = run(slow, ask(10, 1), happen(10.3, Kind.START, 0), ask(10.5, 1, number=2))
    assert (first.ok, first.reason) == (False, "still-claimed")  # its own host has a life of it again
    assert first.answered_at is not None
    assert first.answered_at < 15
    assert second.ok  # it killed the new life for itself, as the oracle has seen


def test_8_split_brain_ends_on_both_hosts() -> None:
    (asked,) = run(happen(8, Kind.CLONE, 1), ask(10, 2))
    assert (asked.ok, asked.reason) == (True, "proven-off")


def test_8_split_brain_with_one_of_both_silent_is_a_residue_that_is_counted() -> None:
    plan = Plan(1, 3, ONE, (happen(8, Kind.CLONE, 1), happen(9, Kind.DAEMON_CRASH, 1, span=30), ask(25, 2)), length=40)
    oracle = Simulation(plan).run()
    assert oracle.violations == []
    assert sum(oracle.residues.values()) <= 1


def test_9_a_coordinator_that_is_the_destination_does_not_take_the_incoming_process_for_the_vm() -> None:
    for moment in range(10):
        run(migrate(9.0, 0, 1, 0.2), ask(9.1 + moment * 0.1, 1))


def test_10_a_command_that_is_late_is_not_carried_out() -> None:
    def slow_fence(_sender: Station, _receiver: Station, message: Message) -> float | None:
        return 5.0 if isinstance(message, Fence) else 0.002

    (asked,) = run(ask(10, 1, span=4), through=slow_fence)
    assert not asked.ok


def test_10_a_command_that_waited_in_a_queue_for_a_dead_daemon_is_not_carried_out() -> None:
    queue = happen(9, Kind.KEPT_QUEUE, 0, span=20)
    (asked,) = run(queue, happen(9.9, Kind.DAEMON_CRASH, 0, span=3), ask(10, 1, span=2.5))
    assert not asked.ok


def test_11_a_stale_guard_kills_no_recovered_vm_that_migrates() -> None:
    asked = run(ask(10, 1), happen(11, Kind.START, 0), migrate(11.2, 0, 2, 0.05), through=lost(Lift))
    assert asked[0].ok


def test_12_two_nodes_that_shoot_each_other_do_not_both_die() -> None:
    for gap in (0.0, 0.001, 0.004, 0.02, 0.1):
        for one, two in ((0, 1), (1, 0), (2, 2), (2, 0)):
            asked = run(ask(10, one, 1, "REBOOT", 1, source=0), ask(10 + gap, two, 0, "REBOOT", 2, source=1), vms=TWO)
            assert any(each.ok for each in asked)


def test_13_an_old_kills_answer_is_not_taken_for_a_new_requests() -> None:
    def late_first(_sender: Station, _receiver: Station, message: Message) -> float | None:
        late = isinstance(message, FenceAnswer) and message.request.endswith("1")
        return 3.0 if late else 0.002

    asked = run(ask(10, 1), happen(10.5, Kind.START, 0), ask(11, 1, number=2, span=5), through=late_first)
    assert len(asked) == 2


def test_14_what_twins_deny_counts_for_nothing() -> None:
    (asked,) = run(happen(6, Kind.SHUT), Happening(8, Kind.TWIN, 3, 2), ask(15, 1), joiners=1)
    assert (asked.ok, asked.reason) == (False, "conflict")


def test_15_on_through_two_coordinators_starts_one_copy() -> None:
    first, second = run(happen(8, Kind.SHUT), ask(12, 1, action="ON"), ask(12, 2, action="ON", number=2))
    assert first.ok
    assert second.ok


def test_16_a_process_that_lives_on_after_its_kill_is_waited_for() -> None:
    asked = run(happen(8, Kind.SLOW_EXIT, 0, span=20, rate=3.0), ask(10, 1, span=9))
    assert asked[0].answered_at is not None
    assert asked[0].answered_at > 12


def test_17_the_owner_dies_between_its_kill_and_its_answer() -> None:
    for moment in range(8):
        run(ask(10, 1, action="REBOOT"), happen(10.01 + moment * 0.004, Kind.DAEMON_CRASH, 0, span=0.5))


# -- the worlds, and real machines ----------


def test_the_same_request_at_two_coordinators_is_one_reboot() -> None:
    first, second = run(ask(10, 1, action="REBOOT"), again(10.0, 2))
    assert first.ok
    assert second.ok


def test_a_retransmission_after_the_outcome_gets_the_outcome() -> None:
    first, second, third = run(ask(10, 1, action="REBOOT"), again(12, 1), again(13, 2))
    assert first.ok
    assert second.ok
    assert third.ok


def test_an_off_cancels_the_start_of_a_reboot() -> None:
    slow = happen(8, Kind.SLOW_DISK, 0, span=10, rate=1.0)
    reboot, off = run(slow, ask(10, 1, action="REBOOT"), ask(10.5, 1, number=2))
    assert reboot.ok
    assert off.ok


def test_a_host_stopped_by_sigstop_finds_its_commands_dead_when_it_goes_on() -> None:
    for begin in (9.5, 10.002, 10.006, 10.02):
        (asked,) = run(happen(begin, Kind.FREEZE, 0, span=12), ask(10, 1, span=6))
        assert asked.ok or asked.reason in ("host-silent", "deadline", "not-proven", "still-claimed")


def test_a_coordinator_stopped_by_sigstop_does_nothing_late() -> None:
    run(happen(10.003, Kind.FREEZE, 1, span=12), ask(10, 1, span=6))


def test_who_stands_still_for_an_hour_does_nothing_of_what_it_had_in_hand() -> None:
    cut = replace(happen(9.0, Kind.PARTITION, span=8.0), mask=(0,))  # the owner is back when it is too late
    for frozen, begin in ((0, 10.003), (0, 10.02), (1, 10.003), (1, 10.5)):
        for before in ((), (cut,)):
            stands_still = happen(begin, Kind.FREEZE, frozen, span=3600)
            (asked,) = run(*before, stands_still, ask(10, 1, span=20), length=3650.0)
            assert asked.answered_at is not None
            assert asked.answered_at < 31.0 or not asked.ok


def test_a_vm_that_left_just_before_its_host_died_with_the_news_of_it() -> None:
    (asked,) = run(migrate(9, 0, 1, 0.03), happen(9.35, Kind.HOST_CRASH, 0, span=3), ask(10, 2), through=lost(Change))
    assert asked.answered_at is not None


def test_a_vm_saved_on_a_host_that_dies_and_comes_back() -> None:
    run(
        happen(8, Kind.SAVE, span=0.3),
        happen(9, Kind.HOST_CRASH, 0, span=3, rate=1.0),
        ask(10, 1),
        ask(20, 1, number=2),
    )


def test_forget_on_one_host_only() -> None:
    forget = happen(8, Kind.FORGET, 1, 0)
    asked = run(forget, ask(10, 1), configured=False)
    assert asked[0].answered_at is not None


def test_a_state_folder_that_was_wiped_while_the_owner_is_cut_off() -> None:
    parted = Happening(8, Kind.PARTITION, span=30, mask=(0,))
    (asked,) = run(parted, happen(9, Kind.WIPE, 1, span=0.5), ask(12, 1))
    assert not asked.ok


def test_a_full_disk_is_a_failure_that_says_so() -> None:
    (asked,) = run(happen(8, Kind.FULL_DISK, 0, span=20), ask(10, 1))
    assert (asked.ok, asked.reason) == (False, "not-recorded")


def test_a_requester_that_gives_up_before_anything_was_done_is_not_served() -> None:
    slow = happen(8, Kind.SLOW_DRIVER, 0, span=20, rate=2.5)
    (asked,) = run(slow, ask(10, 1), Happening(10.0005, Kind.GIVE_UP, number=1))
    assert not asked.ok


def test_without_the_words_of_a_member_that_lives_a_plain_kill_still_waits_its_grace() -> None:
    def mute(sender: Station, _receiver: Station, message: Message) -> float | None:
        return None if isinstance(message, GuardAnswer) and sender.index == 2 else 0.002

    (asked,) = run(ask(10, 1), through=mute)
    assert asked.ok
    assert asked.answered_at is not None
    assert asked.answered_at >= 10.5
