"""How hosts that fence together over a bus are configured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_host.config.bus_keys import without_password
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.effective import effective
from fencebus_host.config.kills_here import kills_here, own_libvirt
from fencebus_host.config.load import load_text
from fencebus_host.config.model import Config, DeathProof, LibvirtSettings
from fencebus_host.config.tree import render
from tests.host_agent.config.conf import codes, loaded, refused

URL = 'url = "amqp://hosta:secret@broker1, amqp://hosta:secret@broker2:5673/v";'
HOSTS = 'hosts { host { name = "hosta"; } host { name = "hostb"; } }'


def text(section: str, kind: str = "qmf", daemon: str = 'host = "hosta";', more: str = "", rest: str = HOSTS) -> str:
    return (
        f'fence_virtd {{ listener = "serial"; backend = "{kind}"; {daemon} }}\n'
        f"backends {{ {kind} {{ {section} }} {more} }}\n{rest}"
    )


def settings(config: Config) -> QmfSettings:
    assert isinstance(config.backend, QmfSettings)
    return config.backend


def test_the_section_of_the_bus_is_read_with_the_hosts_own_key(tmp_path: Path, key_file: Path) -> None:
    more = 'domain = "east"; trusted_users = "admin, ops"; ca_file = "/ca"; cert_file = "/c"; certkey_file = "/k";'
    config = loaded(tmp_path, text(f'{URL} key_file = "{key_file}"; {more}'))
    found = settings(config)
    assert found.url == "amqp://hosta:secret@broker1, amqp://hosta:secret@broker2:5673/v"
    assert found.keys == (key_file.read_bytes()[:4096],)
    assert (found.domain, found.trusted_users) == ("east", ("admin", "ops"))
    assert (found.ca_file, found.cert_file, found.certkey_file) == (Path("/ca"), Path("/c"), Path("/k"))
    assert (config.daemon.host_name, config.hosts) == ("hosta", ("hosta", "hostb"))


def test_several_keys_rotate_the_first_signs(tmp_path: Path, key_file: Path) -> None:
    old = tmp_path / "old.key"
    old.touch(mode=0o600)
    old.write_bytes(b"the old one")
    found = settings(loaded(tmp_path, text(f'{URL} key_file = "{key_file}, {old}";')))
    assert found.keys == (key_file.read_bytes()[:4096], b"the old one")


def test_what_this_host_has_itself_stands_in_the_section_of_libvirt(tmp_path: Path, key_file: Path) -> None:
    more = 'libvirt { uri = "test:///default"; death_proof = "exit"; }'
    found = settings(loaded(tmp_path, text(f'{URL} key_file = "{key_file}";', more=more)))
    assert found.libvirt == LibvirtSettings(uris=("test:///default",), death_proof=DeathProof.EXIT)
    assert own_libvirt(found) == found.libvirt
    assert not kills_here(found)
    assert kills_here(replace(found, libvirt=LibvirtSettings()))


@pytest.mark.parametrize(("kind", "port"), (("libvirt-qmf", 5672), ("libvirt-qpid", 49000)))
def test_the_bus_of_old_files_is_spoken_to_by_amqp_1(tmp_path: Path, key_file: Path, kind: str, port: int) -> None:
    old = f'host = "b"; username = "u@r"; service = "s"; gssapi = "1"; key_file = "{key_file}";'
    config = loaded(tmp_path, text(old, kind))
    found = settings(config)
    assert codes(config.warnings) == ["no-gssapi"]
    assert (found.kind, found.url) == (kind, f"amqp1://u%40r@b:{port}")
    assert (found.service, found.gssapi) == ("s", True)
    assert settings(loaded(tmp_path, text(f'host = "::1"; port = "7"; key_file = "{key_file}";', kind))).url == (
        "amqp1://[::1]:7"
    )


def test_an_old_file_needs_nothing_but_the_hosts_key(tmp_path: Path, key_file: Path) -> None:
    found = settings(loaded(tmp_path, text(f'key_file = "{key_file}";', "libvirt-qmf", daemon="", rest="")))
    assert found.url == "amqp1://127.0.0.1:5672"
    assert found.key_files == (key_file,)


@pytest.mark.parametrize(
    ("section", "expected"),
    (
        ("", ["missing-key"]),
        ('url = "broker";', ["bad-value"]),
        ('url = "amqp://a, amqp1://b";', ["bad-value"]),
        ('url = "amqp://:5672";', ["bad-value"]),
        ('url = "amqp1://a:port";', ["bad-value"]),
        ('url = "peers://a,a";', ["bad-value"]),
        ('url = "amqp://a:***@b";', ["bad-value"]),
        (f'{URL} domain = "a.b";', ["bad-value"]),
        (f'{URL} host = "b";', ["unknown-key"]),
        (f'{URL} cert_file = "/c";', ["half-certificate"]),
        (f'{URL} url_ = "b";', ["unknown-key"]),
    ),
)
def test_a_wrong_section_refuses_to_start(tmp_path: Path, key_file: Path, section: str, expected: list[str]) -> None:
    assert codes(refused(tmp_path, text(f'{section} key_file = "{key_file}";'))) == expected


def test_a_url_beside_the_old_keys_is_refused(tmp_path: Path, key_file: Path) -> None:
    both = text(f'{URL} host = "b"; key_file = "{key_file}";', "libvirt-qmf")
    assert codes(refused(tmp_path, both)) == ["stray-key"]


@pytest.mark.parametrize("content", (None, b""))
def test_a_key_that_is_missing_or_empty_refuses_to_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "bus.key"
    if content is not None:
        file.touch(mode=0o600)
    assert codes(refused(tmp_path, text(f'{URL} key_file = "{file}";'))) == ["bad-key"]


def test_a_key_that_guests_have_too_refuses_to_start(tmp_path: Path, key_file: Path) -> None:
    shared = text(f'{URL} key_file = "{key_file}";', rest=f'{HOSTS} listeners {{ tcp {{ key_file = "{key_file}"; }} }}')
    (problem,) = refused(tmp_path, shared.replace('"serial"', '"tcp"'))
    assert problem.code == "guests-key"
    assert "listener tcp" in problem.message


def test_a_host_that_is_not_in_its_own_list_refuses_to_start(tmp_path: Path, key_file: Path) -> None:
    (problem,) = refused(tmp_path, text(f'{URL} key_file = "{key_file}";', daemon='host = "hostc";'))
    assert problem.code == "not-listed"
    assert "hosta, hostb" in problem.message
    assert load_text(text(URL, daemon='host = "hostc";'), "another machine's", read_keys=False).hosts


def test_a_host_has_one_name(tmp_path: Path, key_file: Path) -> None:
    twice = text(f'{URL} key_file = "{key_file}";', daemon='host = "hosta"; host_name = "hostb";')
    assert codes(refused(tmp_path, twice)) == ["two-names"]
    same = text(f'{URL} key_file = "{key_file}";', daemon='host = "hosta"; host_name = "hosta";')
    assert loaded(tmp_path, same).daemon.host_name == "hosta"


def test_two_libvirts_on_one_host_are_refused(tmp_path: Path, key_file: Path) -> None:
    more = 'libvirt { uri = "test:///default"; uri1 = "qemu:///system"; }'
    assert codes(refused(tmp_path, text(f'{URL} key_file = "{key_file}";', more=more))) == ["several-libvirts"]


def test_two_backends_that_would_act_on_one_libvirt_are_refused(tmp_path: Path, key_file: Path) -> None:
    both = text(f'{URL} key_file = "{key_file}";').replace('backend = "qmf"', 'backend = "qmf, libvirt"')
    (problem,) = refused(tmp_path, both)
    assert problem.code == "twice-here"


def test_mistakes_of_the_libvirt_section_count_where_it_is_used(tmp_path: Path, key_file: Path) -> None:
    wrong = text(f'{URL} key_file = "{key_file}";', more='libvirt { death_proof = "no"; }')
    assert codes(refused(tmp_path, wrong)) == ["bad-value"]


def test_a_bus_that_discovery_would_take_is_checked_like_one_that_was_chosen(tmp_path: Path) -> None:
    wrong = 'fence_virtd { listener = "serial"; } backends { qmf { url = "broker"; } }'
    assert codes(refused(tmp_path, wrong)) == ["bad-value"]


def test_what_is_shown_has_no_password_and_says_everything_else(tmp_path: Path, key_file: Path) -> None:
    config = loaded(tmp_path, text(f'{URL} key_file = "{key_file}";', more='libvirt { uri = "test:///default"; }'))
    shown = render(effective(config))
    assert "secret" not in shown
    assert "secret" not in repr(config)
    assert 'url = "amqp://hosta:***@broker1, amqp://hosta:***@broker2:5673/v";' in shown
    again = load_text(shown.replace("***", "secret"), "effective")
    assert replace(again, file=None, warnings=()) == replace(config, file=None, warnings=())


def test_old_keys_are_shown_as_the_url_that_they_mean(tmp_path: Path, key_file: Path) -> None:
    config = loaded(tmp_path, text(f'host = "b"; username = "u"; key_file = "{key_file}";', "libvirt-qmf"))
    shown = render(effective(config))
    assert 'url = "amqp1://u@b:5672";' in shown
    assert replace(load_text(shown, "effective"), file=None) == replace(config, file=None)


@pytest.mark.parametrize(
    ("url", "shown"),
    (
        ("amqp://b", "amqp://b"),
        ("amqp://u@b", "amqp://u@b"),
        ("amqp://u:p@b,amqp://:x@c", "amqp://u:***@b,amqp://:***@c"),
        ("amqps://u:p%40x@[::1]:1/v", "amqps://u:***@[::1]:1/v"),
        ("amqp://u:p@ss@h,amqp://a@b:p:w@h:1", "amqp://u:***@h,amqp://a@b:***@h:1"),
        ("amqp://u@[::1]:5672/a@b", "amqp://u@[::1]:5672/a@b"),
    ),
)
def test_a_password_is_left_out(url: str, shown: str) -> None:
    assert without_password(url) == shown
