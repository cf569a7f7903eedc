"""Which managers are asked, as whom, and what a credentials file may be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fencebus_host.config.backends import ApiVersion, Credentials, HostFencing, ManagerSettings, OvirtSettings
from fencebus_host.config.effective import effective
from fencebus_host.config.load import load_text
from fencebus_host.config.ovirt_section import MOST_BYTES, parse_credentials
from fencebus_host.config.tree import render
from tests.components import require_root
from tests.host_agent.config.conf import codes, loaded, refused

GOOD = b"# who we are\n\nuser = admin@internal\npassword = se=cret \n"


def conf(inside: str, kind: str = "ovirt", more: str = "") -> str:
    return f'fence_virtd {{ listener = "serial"; backend = "{kind}"; }} backends {{ {kind} {{ {inside} }} {more} }}'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A credentials file as it should be."""
    path = tmp_path / "credentials"
    path.touch(mode=0o600)
    path.write_bytes(GOOD)
    return path


def settings(folder: Path, text: str) -> OvirtSettings:
    found = loaded(folder, text).backend
    assert isinstance(found, OvirtSettings)
    return found


def only(folder: Path, inside: str, kind: str = "ovirt") -> ManagerSettings:
    (manager,) = settings(folder, conf(inside, kind)).managers
    return manager


@pytest.mark.parametrize("kind", ("ovirt", "rhevm"))
def test_one_manager_needs_an_address_and_an_account_and_is_called_like_its_host(
    tmp_path: Path, file: Path, kind: str
) -> None:
    manager = only(tmp_path, f'url = "https://engine.example/ovirt-engine/"; credentials_file = "{file}";', kind)
    assert (manager.name, manager.url) == ("engine.example", "https://engine.example/ovirt-engine")
    assert manager.credentials == Credentials("admin@internal", "se=cret")
    assert (manager.ca_file, manager.fingerprint, manager.filter) == (None, "", False)
    assert (manager.api_version, manager.host_fencing) == (ApiVersion.AUTO, HostFencing.NO)


def test_several_managers_have_names_and_share_what_stands_around_them(tmp_path: Path, file: Path) -> None:
    found = settings(
        tmp_path,
        conf(
            f'credentials_file = "{file}"; host_fencing = "status"; api_version = "4";'
            'manager = "east" { url = "https://east"; api_version = "3"; filter = "1"; }'
            f'manager = "west" {{ url = "https://west:8443"; ca_file = "/ca"; fingerprint = "{"AB:" * 31}ab"; }}'
        ),
    )
    east, west = found.managers
    assert (east.name, east.api_version, east.filter) == ("east", ApiVersion.V3, True)
    assert (west.name, west.api_version, west.ca_file, west.fingerprint) == (
        "west",
        ApiVersion.V4,
        Path("/ca"),
        "ab" * 32,
    )
    assert {each.host_fencing for each in found.managers} == {HostFencing.STATUS}
    assert east.credentials == west.credentials


def test_what_is_written_out_loads_to_the_same_managers(tmp_path: Path, file: Path) -> None:
    text = conf(
        f'credentials_file = "{file}"; manager = "a" {{ url = "https://a"; }} manager = "b" {{ url = "https://b"; }}'
    )
    first = loaded(tmp_path, text)
    assert load_text(render(effective(first)), "effective").backend == first.backend


def test_a_password_never_shows(tmp_path: Path, file: Path) -> None:
    config = loaded(tmp_path, conf(f'url = "https://e"; credentials_file = "{file}";'))
    assert "cret" not in repr(config)
    assert "cret" not in render(effective(config))


@pytest.mark.parametrize(
    ("inside", "expected"),
    (
        ("", ["missing-key", "missing-key"]),
        ('url = "https://e";', ["missing-key"]),
        ('credentials_file = "FILE";', ["missing-key"]),
        ('url = "http://e"; credentials_file = "FILE";', ["bad-value"]),
        ('url = "https://u:p@e"; credentials_file = "FILE";', ["bad-value"]),
        ('url = "https://e?x=1"; credentials_file = "FILE";', ["bad-value"]),
        ('url = "https://e:99999"; credentials_file = "FILE";', ["bad-value"]),
        ('url = "https://"; credentials_file = "FILE";', ["bad-value"]),
        ('url = "https://e"; credentials_file = "relative";', ["bad-value"]),
        ('url = "https://e"; credentials_file = "FILE"; fingerprint = "12";', ["bad-value"]),
        ('url = "https://e"; credentials_file = "FILE"; api_version = "5";', ["bad-value"]),
        ('url = "https://e"; credentials_file = "FILE"; host_fencing = "manual";', ["bad-value"]),
        ('url = "https://e"; credentials_file = "FILE"; ca_fiel = "/x";', ["unknown-key"]),
        ('url = "https://e"; credentials_file = "FILE"; manger = "x" { }', ["unknown-key"]),
        ('url = "https://e"; credentials_file = "/nowhere/at/all";', ["bad-credentials"]),
        ('credentials_file = "FILE"; manager = "a" { }', ["missing-key"]),
        ('url = "https://e"; credentials_file = "FILE"; manager = "a" { url = "https://a"; }', ["stray-url"]),
        (
            'credentials_file = "FILE"; manager = "a" { url = "https://a"; } manager = "a" { url = "https://b"; }',
            ["same-name"],
        ),
    ),
)
def test_a_manager_with_a_mistake_refuses_to_start(
    tmp_path: Path, file: Path, inside: str, expected: list[str]
) -> None:
    assert codes(refused(tmp_path, conf(inside.replace("FILE", str(file))))) == expected


def test_a_section_that_is_not_used_is_not_opened_and_cannot_stop_the_daemon(tmp_path: Path) -> None:
    text = (
        'fence_virtd { listener = "serial"; } backends { ovirt { url = "https://e"; credentials_file = "/nowhere"; } }'
    )
    assert loaded(tmp_path, text).warnings == ()


def test_a_backend_that_is_chosen_needs_its_section(tmp_path: Path) -> None:
    assert codes(refused(tmp_path, 'fence_virtd { listener = "serial"; backend = "rhevm"; }')) == ["missing-key"] * 2


@pytest.mark.parametrize("mode", (0o640, 0o604, 0o620, 0o601))
def test_credentials_that_others_may_use_are_refused(tmp_path: Path, file: Path, mode: int) -> None:
    file.chmod(mode)
    (problem,) = refused(tmp_path, conf(f'url = "https://e"; credentials_file = "{file}";'))
    assert problem.code == "open-credentials"
    assert f"chmod 600 {file}" in problem.suggestion


def test_credentials_of_another_user_are_refused(tmp_path: Path, file: Path) -> None:
    require_root()
    os.chown(file, 12345, -1)
    assert codes(refused(tmp_path, conf(f'url = "https://e"; credentials_file = "{file}";'))) == ["open-credentials"]


@pytest.mark.parametrize(
    "content",
    (
        b"",
        b"user = a\n",
        b"password = a\n",
        b"user = a\npassword =\n",
        b"user = a\npassword = b\nurl = c\n",
        b"user = a\nuser = b\npassword = c\n",
        b"user\npassword\n",
        b"user = \xff\npassword = b\n",
        b"user = a\npassword = b\n" + b"#" * MOST_BYTES,
    ),
)
def test_credentials_are_two_lines_and_nothing_else(tmp_path: Path, file: Path, content: bytes) -> None:
    assert parse_credentials(content) is None
    file.write_bytes(content)
    (problem,) = refused(tmp_path, conf(f'url = "https://e"; credentials_file = "{file}";'))
    assert problem.code == "bad-credentials"
    assert "password = b" not in str(problem)


def test_a_text_for_another_machine_leaves_its_credentials_alone() -> None:
    text = conf('url = "https://e"; credentials_file = "/nowhere";')
    found = load_text(text, "f", read_keys=False).backend
    assert isinstance(found, OvirtSettings)
    assert [each.credentials for each in found.managers] == [None]
