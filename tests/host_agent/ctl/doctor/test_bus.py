"""What the doctor says of hosts that fence together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fencebus_host.ctl.doctor.bus import check_bus
from fencebus_host.ctl.doctor.findings import Level
from fencebus_host.ctl.doctor.reach import endpoints
from fencebus_host.ctl.shown_config import as_json, as_text
from fencebus_schemas.fingerprint import fingerprint
from tests.host_agent.config.conf import loaded

HOSTS = 'hosts { host { name = "a"; } host { name = "b"; } }'


def conf(key: Path, url: str, rest: str = HOSTS) -> str:
    backends = f'backends {{ qmf {{ url = "{url}"; key_file = "{key}"; }} }}'
    return f'fence_virtd {{ listener = "serial"; backend = "qmf"; host = "a"; }} {backends} {rest}'


def test_the_key_is_shown_by_its_fingerprint_and_the_hosts_by_name(tmp_path: Path, key_file: Path) -> None:
    key, hosts = check_bus(loaded(tmp_path, conf(key_file, "amqp://b")))
    assert (key.level, key.code, hosts.level) == (Level.OK, "bus-key", Level.OK)
    assert fingerprint(key_file.read_bytes()[:4096]) in key.text
    assert "a, b" in hosts.text


def test_hosts_without_a_list_are_a_warning_and_a_host_that_is_alone_has_no_bus(tmp_path: Path, key_file: Path) -> None:
    _, hosts = check_bus(loaded(tmp_path, conf(key_file, "amqp://b", "")))
    assert (hosts.level, hosts.code) == (Level.WARNING, "bus-hosts")
    assert list(check_bus(loaded(tmp_path, 'fence_virtd { listener = "serial"; }'))) == []


@pytest.mark.parametrize(
    ("url", "warned"),
    (
        ("amqp://b:p@b1", True),
        ("amqp://a:p@b1,amqp://%62:p@b2", True),
        ("amqp://a:p@b1,amqp://fencebus:p@b2", False),
        ("peers://a@h1,b@h2", False),
    ),
)
def test_the_login_of_another_host_is_a_warning(tmp_path: Path, key_file: Path, url: str, warned: bool) -> None:
    found = [one for one in check_bus(loaded(tmp_path, conf(key_file, url))) if one.code == "bus-login"]
    assert [(one.level, "by the login of b" in one.text) for one in found] == [(Level.WARNING, True)] * warned


@pytest.mark.parametrize(
    ("url", "tried"),
    (
        ("amqp://u:p@b1,amqps://b2", ["broker b1:5672", "broker b2:5671 (TLS)"]),
        ("amqp1://[::1]:7", ["broker ::1:7"]),
        ("peers://a:1,b:2", []),
    ),
)
def test_every_broker_of_the_list_is_tried(tmp_path: Path, key_file: Path, url: str, tried: list[str]) -> None:
    assert [str(one) for one in endpoints(loaded(tmp_path, conf(key_file, url)))] == tried


def test_the_configuration_is_shown_with_the_fingerprint_of_the_hosts_key_and_without_passwords(
    tmp_path: Path, key_file: Path
) -> None:
    config = loaded(tmp_path, conf(key_file, "amqp://a:secret@b1"))
    found = fingerprint(key_file.read_bytes()[:4096])
    assert f"# the hosts' key: {key_file}, fingerprint {found}" in as_text(config)
    assert json.loads(as_json(config))["hosts_keys"] == [{"file": str(key_file), "fingerprint": found}]
    assert "secret" not in as_text(config) + as_json(config)
