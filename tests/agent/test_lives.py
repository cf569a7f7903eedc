"""How lives are told apart, and what is remembered of those that ended and left."""

from __future__ import annotations

import itertools

import pytest

from fencebus_agent.lives import KEPT, NO_RUN, Lives, PastLives
from fencebus_schemas.model import LEFT_UNMARKED, Uuid

VM = Uuid("00000000-0000-0000-0000-000000000001")


@pytest.fixture
def lives() -> Lives:
    """Nothing is known; marks are m1, m2, ..."""
    numbers = itertools.count(1)
    return Lives(lambda: f"m{next(numbers)}")


def test_a_life_gets_one_mark_however_often_its_beginning_is_told(lives: Lives) -> None:
    assert [lives.begins(VM, 7), lives.begins(VM, 7), lives.begins(VM, 8)] == ["m1", "m1", "m2"]


def test_a_fresh_life_is_not_known_by_the_mark_that_came_with_its_definition(lives: Lives) -> None:
    lives.begins(VM, 7)
    assert lives.read(VM, 7, "old") == ""
    assert lives.here(VM) == ""
    assert lives.read(VM, 7, "m1") == "m1"
    assert lives.here(VM) == "m1"


def test_a_life_that_arrives_is_known_by_the_mark_that_it_brings(lives: Lives) -> None:
    lives.begins(VM, 7)
    lives.continues(VM, 8)
    assert lives.here(VM) == ""
    assert lives.recognised(VM, 8, "brought") == "brought"
    assert lives.read(VM, 8, "brought") == "brought"


def test_s12_a_run_whose_beginning_was_not_heard_is_not_trusted_with_a_mark(lives: Lives) -> None:
    lives.continues(VM, 8)
    lives.read(VM, 8, "m")
    assert [lives.recognised(VM, run, "m") for run in (8, 9, NO_RUN)] == ["m", "", "m"]


def test_a_mark_of_a_life_that_ended_here_is_nobodys_any_more(lives: Lives) -> None:
    lives.ends(VM, "m")
    assert lives.read(VM, 9, "m") == ""


def test_what_leaves_is_remembered_by_its_mark_until_it_runs_here_again(lives: Lives) -> None:
    lives.read(VM, 1, "m")
    lives.leaves(VM)
    assert lives.past(VM) == PastLives(left=("m",))
    lives.continues(VM, 2)
    lives.read(VM, 2, "m")
    lives.runs(VM, 2)
    assert lives.past(VM) == PastLives()


def test_what_leaves_without_a_mark_is_remembered_as_that_once(lives: Lives) -> None:
    lives.leaves(VM)
    lives.leaves(VM)
    assert lives.past(VM).left == (LEFT_UNMARKED,)
    lives.runs(VM, 1)
    assert lives.past(VM).left == ()


def test_another_life_that_runs_here_does_not_excuse_the_one_that_left(lives: Lives) -> None:
    """A fresh boot is resumed before it is started (facts: libvirt 3)."""
    lives.read(VM, 1, "m")
    lives.leaves(VM)
    lives.runs(VM, 2)
    lives.begins(VM, 2)
    lives.read(VM, 2, "m1")
    lives.runs(VM, 2)
    assert lives.past(VM).left == ("m",)


def test_migrated_is_the_last_word_after_destroyed(lives: Lives) -> None:
    lives.read(VM, 1, "m")
    lives.ends(VM, "m")
    lives.leaves(VM)
    assert lives.past(VM) == PastLives(left=("m",))


def test_an_end_here_is_the_last_word_about_a_life_that_had_left_and_come_back(lives: Lives) -> None:
    lives.read(VM, 1, "m")
    lives.leaves(VM)
    lives.ends(VM, "m")
    assert lives.past(VM) == PastLives(ended=("m",))


def test_the_last_lives_are_remembered_and_no_more(lives: Lives) -> None:
    for number in range(KEPT + 2):
        lives.ends(VM, str(number))
    assert lives.past(VM).ended == tuple(str(number) for number in range(2, KEPT + 2))


def test_an_end_without_a_mark_is_no_news(lives: Lives) -> None:
    lives.ends(VM, "")
    assert lives.remembered == {}


def test_a_number_of_before_a_lost_connection_means_nothing(lives: Lives) -> None:
    lives.begins(VM, 1)
    lives.lost()
    assert lives.read(VM, 1, "brought") == "brought"


def test_the_next_daemon_takes_up_what_was_remembered(lives: Lives) -> None:
    lives.ends(VM, "m")
    after = Lives(lambda: "x")
    after.remember(lives.remembered)
    assert after.past(VM) == PastLives(ended=("m",))
