"""Whom the page's server answers: its own names and addresses, no page of another site."""

from __future__ import annotations

import pytest

from fencebus_host.web.guard import comes_from_here, is_loopback, is_named_rightly

NAMES = {"localhost", "host1"}


@pytest.mark.parametrize(
    "host", ("localhost", "LOCALHOST:8229", "host1:80", "127.0.0.1:8229", "[::1]:8229", "[::1]", "192.0.2.1")
)
def test_its_own_names_and_every_address_are_right(host: str) -> None:
    assert is_named_rightly(host, NAMES)


@pytest.mark.parametrize("host", ("", "attacker.example", "attacker.example:8229", "localhost.attacker.example", "x:y"))
def test_a_name_that_somebody_else_had_resolved_to_this_address_is_not(host: str) -> None:
    assert not is_named_rightly(host, NAMES)


@pytest.mark.parametrize(
    ("site", "mode", "welcome"),
    (
        (None, None, True),
        ("same-origin", "cors", True),
        ("none", "navigate", True),
        ("cross-site", "navigate", True),
        ("cross-site", "cors", False),
        ("same-site", "no-cors", False),
    ),
)
def test_a_page_of_another_site_may_link_here_but_not_look(site: str | None, mode: str | None, welcome: bool) -> None:
    assert comes_from_here(site, mode) is welcome


def test_loopback_is_what_nobody_else_reaches() -> None:
    assert [is_loopback(each) for each in ("127.0.0.1", "::1", "localhost")] == [True, True, True]
    assert [is_loopback(each) for each in ("0.0.0.0", "192.0.2.1", "::", "host1")] == [False] * 4
