"""Problems say file, line, code, message and a way out; a ConfigError holds all of them."""

from __future__ import annotations

import pytest

from fencebus_host.config.problems import ConfigError, Problem, Problems, Severity, Where, did_you_mean
from fencebus_schemas.errors import FencebusError


def test_a_problem_is_one_line_with_file_line_code_message_and_suggestion() -> None:
    problem = Problem("bad-value", "`port` is wrong", Where("/etc/f.conf", 3), "write 1229")
    assert str(problem) == "/etc/f.conf:3: bad-value: `port` is wrong (write 1229)"
    assert (problem.file, problem.line) == ("/etc/f.conf", 3)


def test_a_problem_of_the_whole_file_has_no_line() -> None:
    assert str(Problem("empty-file", "nothing", Where("f"))) == "f: empty-file: nothing"


def test_an_error_prints_all_its_problems_one_per_line() -> None:
    error = ConfigError([Problem("a", "b", Where("f", 1)), Problem("c", "d", Where("f", 2))])
    assert str(error) == "f:1: a: b\nf:2: c: d"
    assert isinstance(error, FencebusError)
    assert error.problems[1].code == "c"


def test_problems_come_by_line_and_only_errors_keep_the_daemon_from_starting() -> None:
    problems = Problems()
    problems.warning(Where("f", 9), "late", "")
    problems.warning(Where("f", 10), "later", "")
    assert not problems.has_errors
    problems.error(Where("f", 2), "early", "")
    assert problems.has_errors
    assert [problem.code for problem in problems.in_order()] == ["early", "late", "later"]


def test_problems_of_an_unused_part_become_warnings() -> None:
    problems, unused = Problems(), Problems()
    unused.error(Where("f", 1), "bad-value", "", "try this")
    problems.take_as_warnings(unused)
    assert not problems.has_errors
    assert problems.in_order() == (Problem("bad-value", "", Where("f", 1), "try this", Severity.WARNING),)


@pytest.mark.parametrize(
    ("word", "known", "suggestion"),
    (
        ("multicst", ["multicast", "tcp"], "did you mean `multicast`?"),
        ("MULTICST", ["multicast", "tcp"], "did you mean `multicast`?"),
        ("zzz", ["tcp", "serial"], "known: serial, tcp"),
        ("zzz", [], ""),
    ),
)
def test_the_nearest_known_word_is_suggested_else_all_are_listed(word: str, known: list[str], suggestion: str) -> None:
    assert did_you_mean(word, known) == suggestion
