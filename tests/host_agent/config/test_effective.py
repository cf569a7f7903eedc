"""Settings that are written out give the same settings again, whatever they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_host.config import bus_keys
from fencebus_host.config.commented import render_commented
from fencebus_host.config.differences import Difference, differences
from fencebus_host.config.effective import effective
from fencebus_host.config.key_table import BACKEND_SECTIONS
from fencebus_host.config.load import load_text
from fencebus_host.config.model import Config
from fencebus_host.config.tree import render
from tests.host_agent.config.conf import loaded, multicast, tcp

REST = """
groups { group { name = "one"; uuid = "a"; uuid = "b"; ip = "192.0.2.0/24"; } group { uuid = "c"; } }
hosts { host { name = "h1"; } host { name = "h2"; } }
"""


def same(one: Config, other: Config) -> bool:
    plain = [replace(each, file=None, warnings=()) for each in (one, other)]
    return plain[0] == plain[1]


def texts(key: Path) -> dict[str, str]:
    found = {
        "multicast": multicast(key, 'interface = "br0"; local_guests_only = "no"; hash = "sha512";'),
        "tcp with groups and hosts": tcp(key, 'address = "::1"; port = "77";', 'debug = "3"; host_name = "x";', REST),
        "an empty groups section": tcp(key, rest="groups { }"),
        "serial": 'fence_virtd { listener = "serial"; } listeners { serial { mode = "vmchannel"; path = "/a"; } }',
        "two instances": f'listeners {{ tcp {{ key_file = "{key}"; }} tcp = "b" {{ key_file = "{key}"; }} }}',
        "a serial port": 'listeners { serial { device = "/dev/ttyS0"; vm = "a"; params = "9600,7E2"; } }',
        "two URIs": tcp(key, rest='backends { libvirt { uri = "a:///"; uri1 = "b:///"; death_proof = "exit"; } }'),
    }
    for section in BACKEND_SECTIONS:
        if section.inner or section in bus_keys.SECTIONS:
            continue  # managers and brokers need an address; see test_ovirt_section and test_bus_section
        found[section.name] = f'fence_virtd {{ listener = "serial"; backend = "{section.name}"; }}'
    return found


def test_what_is_written_out_loads_to_the_same_settings_with_and_without_comments(
    tmp_path: Path, key_file: Path
) -> None:
    for text in texts(key_file).values():
        config = loaded(tmp_path, text)
        items = effective(config)
        assert same(load_text(render(items), "effective"), config), text
        assert same(load_text(render_commented(items, ["a head", "", "of three lines"]), "commented"), config), text


def test_every_key_that_is_set_says_its_meaning_behind_it(tmp_path: Path, key_file: Path) -> None:
    text = render_commented(effective(loaded(tmp_path, tcp(key_file, rest=REST))))
    assert all("  # " in line for line in text.splitlines() if line.endswith(";") or '";' in line)


@pytest.mark.parametrize("changed", ('port = "1230";', 'hash = "sha1";', 'address = "::1";'))
def test_a_changed_setting_is_a_difference_and_its_place_in_the_file_is_none(
    tmp_path: Path, key_file: Path, changed: str
) -> None:
    old = effective(loaded(tmp_path, tcp(key_file)))
    moved = effective(loaded(tmp_path, "# a comment\n\n" + tcp(key_file)))
    new = effective(loaded(tmp_path, tcp(key_file, changed)))
    assert differences(old, moved) == ()
    name = changed.split(maxsplit=1)[0]
    assert f"listeners/tcp/{name}" in [difference.path for difference in differences(old, new)]


def test_an_empty_groups_section_differs_from_none_because_it_forbids_everything(
    tmp_path: Path, key_file: Path
) -> None:
    without = effective(loaded(tmp_path, tcp(key_file)))
    empty = effective(loaded(tmp_path, tcp(key_file, rest="groups { }")))
    assert differences(without, empty) == (Difference("groups", None, "{}"),)
    assert str(differences(without, empty)[0]) == 'groups: (not set) -> "{}"'


def test_the_second_group_of_two_is_compared_with_the_second(tmp_path: Path, key_file: Path) -> None:
    old = effective(loaded(tmp_path, tcp(key_file, rest=REST)))
    new = effective(loaded(tmp_path, tcp(key_file, rest=REST.replace('"c"', '"d"'))))
    assert differences(old, new) == (Difference("groups/group[2]/uuid", "c", "d"),)
