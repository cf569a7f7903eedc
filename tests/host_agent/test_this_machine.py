"""By which incarnation a start of the daemon goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fencebus_host.this_machine import this_incarnation
from fencebus_schemas.peer_fields import INCARNATION

BOOT = "proc/sys/kernel/random/boot_id"


def test_each_start_of_the_daemon_is_another_incarnation_of_the_same_machine() -> None:
    one, other = this_incarnation(), this_incarnation()
    assert one != other
    assert (one.boot_id, one.machine_id) == (other.boot_id, other.machine_id)
    assert len(one.nonce) == 16


def written(root: Path, found: Mapping[str, str]) -> Path:
    for place, text in ({BOOT: "this boot\n"} | dict(found)).items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    return root


@pytest.mark.parametrize("etc", ("", "uninitialized\n", "aa\n"))
def test_its_machine_is_the_one_with_the_id_that_it_was_given(tmp_path: Path, etc: str) -> None:
    root = written(tmp_path, {"etc/machine-id": etc, "var/lib/dbus/machine-id": "bb\n"})
    assert this_incarnation(root).machine_id == ("aa" if etc == "aa\n" else "bb")


@pytest.mark.parametrize("found", ({}, {"etc/machine-id": ""}, {"etc/machine-id": "uninitialized\n"}))
def test_without_an_id_no_two_are_one_machine_and_it_says_what_to_do(
    tmp_path: Path, found: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Containers share their kernel's boot id: two of one name have to be seen to be two."""
    root = written(tmp_path, found)
    one, other = this_incarnation(root), this_incarnation(root)
    assert one.machine_id != other.machine_id
    assert one.boot_id == other.boot_id == "this boot"
    assert "systemd-machine-id-setup" in caplog.text
    assert INCARNATION.read(INCARNATION.plain(one)) == one, "it can speak to other hosts"
