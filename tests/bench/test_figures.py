"""The figures of a series of times."""

from __future__ import annotations

import pytest

from tests.bench.figures import Figures


def test_seconds_become_sorted_milliseconds() -> None:
    assert Figures.of([0.003, 0.001, 0.002]).times == (1.0, 2.0, 3.0)


def test_the_median_of_an_even_number_lies_between_the_two_in_the_middle() -> None:
    assert Figures.of([0.001, 0.002, 0.004, 0.008]).median == 3.0


@pytest.mark.parametrize(("count", "expected"), ((1, 1.0), (9, 9.0), (10, 9.0), (20, 18.0), (100, 90.0)))
def test_nine_tenths_of_the_times_do_not_exceed_p90(count: int, expected: float) -> None:
    figures = Figures.of([each / 1000 for each in range(1, count + 1)])
    assert figures.p90 == pytest.approx(expected)
    assert sum(each <= figures.p90 for each in figures.times) >= 0.9 * count


def test_a_ratio_is_that_of_the_medians() -> None:
    assert Figures.of([0.001, 0.002, 0.9]).ratio_to(Figures.of([0.004])) == 0.5


def test_nothing_measured_is_not_a_figure() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        Figures.of([])
