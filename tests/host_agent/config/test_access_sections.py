"""Groups and hosts: an empty group never opens the door."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_host.config.model import Group
from tests.host_agent.config.conf import codes, loaded, refused

SERIAL = 'fence_virtd { listener = "serial"; }\n'


def groups(folder: Path, text: str) -> tuple[Group, ...] | None:
    return loaded(folder, SERIAL + text).groups


def test_no_section_means_no_check(tmp_path: Path) -> None:
    assert groups(tmp_path, "") is None


def test_an_empty_section_lets_nobody_fence_anybody(tmp_path: Path) -> None:
    config = loaded(tmp_path, SERIAL + "groups { }")
    assert config.groups == ()
    assert codes(config.warnings) == ["no-group"]


@pytest.mark.parametrize(
    "last", ("group { }", 'group { name = "x"; }', 'group = "x" { }', 'group { ip = "10.0.0.1"; }')
)
def test_an_empty_group_stays_a_group_and_takes_no_other_away(tmp_path: Path, last: str) -> None:
    text = f'groups {{ group {{ uuid = "vm1"; ip = "10.0.0.1"; }}\n{last} }}'
    config = loaded(tmp_path, SERIAL + text)
    assert config.groups is not None
    first, second = config.groups
    assert first.uuids == ("vm1",)
    assert second.uuids == ()
    assert [(problem.code, problem.line) for problem in config.warnings] == [("empty-group", 3)]


def test_every_member_counts_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = (
        'groups { group { name = "g1"; uuid = "vm1"; ip = "10.0.0.1"; uuid = "vm2"; ip = "10.1.0.0/16"; ip = "3"; }\n'
        'group = "g2" { uuid = "44179d3f-6c63-474f-a212-20c8b4b25b16"; } }'
    )
    found = groups(tmp_path, text)
    assert found is not None
    assert [group.name for group in found] == ["g1", "g2"]
    assert found[0].uuids == ("vm1", "vm2")
    assert found[0].ips == ("10.0.0.1", "10.1.0.0/16", "3")
    assert found[1].where.line == 3


def test_only_the_last_section_of_groups_counts_as_in_c(tmp_path: Path) -> None:
    config = loaded(tmp_path, SERIAL + 'groups { group { uuid = "a"; } }\ngroups { group { uuid = "b"; } }')
    assert config.groups is not None
    assert [group.uuids for group in config.groups] == [("b",)]
    assert [(problem.code, problem.line) for problem in config.warnings] == [("ignored-section", 2)]


def test_a_source_that_can_match_nothing_is_a_warning(tmp_path: Path) -> None:
    config = loaded(tmp_path, SERIAL + 'groups { group { uuid = "a"; ip = "node1"; } }')
    assert codes(config.warnings) == ["bad-source"]


def test_an_empty_entry_matches_nothing(tmp_path: Path) -> None:
    found = groups(tmp_path, 'groups { group { uuid = ""; ip = ""; } }')
    assert found is not None
    assert (found[0].uuids, found[0].ips) == ((), ())


def test_a_broken_entry_is_not_an_entry(tmp_path: Path) -> None:
    assert codes(refused(tmp_path, SERIAL + 'groups { group { uuid = ; uuid = "a"; } }')) == ["missing-value"]


def test_hosts_are_listed_each_once(tmp_path: Path) -> None:
    text = SERIAL + 'hosts { host { name = "b"; } host { name = "a"; }\nhost { name = "b"; } }'
    config = loaded(tmp_path, text)
    assert config.hosts == ("b", "a")
    assert codes(config.warnings) == ["repeated-host"]


def test_no_hosts_is_an_empty_list(tmp_path: Path) -> None:
    assert loaded(tmp_path, SERIAL).hosts == ()


@pytest.mark.parametrize(
    ("text", "code"),
    (
        ('hosts { host { name = "a.example"; } }', "bad-value"),
        ("hosts { host { } }", "missing-name"),
        ('hosts { host = "a"; }', "not-a-section"),
        ('hosts { hots { name = "a"; } }', "unknown-section"),
        ("groups { grup { } group { } }", "unknown-section"),
        ('groups { group { uid = "a"; uuid = "b"; } }', "unknown-key"),
        ('group { uuid = "a"; }', "unknown-section"),
    ),
)
def test_a_wrong_section_is_refused(tmp_path: Path, text: str, code: str) -> None:
    problems = refused(tmp_path, SERIAL + text)
    assert code in codes(problems)


def test_long_entries_stay_whole(tmp_path: Path) -> None:
    found = groups(tmp_path, f'groups {{ group {{ uuid = "{"x" * 1000}"; name = "{"y" * 1000}"; }} }}')
    assert found is not None
    assert (found[0].uuids, found[0].name) == (("x" * 1000,), "y" * 1000)
