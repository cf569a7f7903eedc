"""What hosts of a corosync cluster are configured with: one libvirt each, and a key of their own if they want one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_host.config.cluster_section import discovered, with_cluster_keys
from fencebus_host.config.kills_here import own_libvirt
from fencebus_host.config.model import ClusterSettings, DeathProof, LibvirtSettings
from fencebus_host.config.problems import ConfigError, Problems
from tests.host_agent.config.conf import loaded

KEYED = (
    'fence_virtd {{ listener = "serial"; backend = "cpg"; }} listeners {{ serial {{ }} }} '
    'backends {{ cpg {{ key_file = "{file}"; {more} }} {others} }}'
)


def cluster(folder: Path, file: object, more: str = "", others: str = "") -> ClusterSettings:
    found = loaded(folder, KEYED.format(file=file, more=more, others=others)).backend
    assert isinstance(found, ClusterSettings)
    return found


def test_the_first_key_signs_and_all_verify(tmp_path: Path) -> None:
    for name in ("new", "old"):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(name)
    assert cluster(tmp_path, f"{tmp_path}/new, {tmp_path}/old").keys == (b"new", b"old")


@pytest.mark.parametrize("content", (None, b""))
def test_s10_a_key_that_is_missing_or_empty_refuses_to_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.touch(mode=0o600)
    with pytest.raises(ConfigError, match="key"):
        cluster(tmp_path, file)


def test_without_a_key_file_nothing_is_read() -> None:
    problems = Problems()
    settings = ClusterSettings(kind="cpg")
    assert with_cluster_keys(settings, problems) is settings
    assert not problems.has_errors


def test_a_host_of_a_cluster_has_one_libvirt() -> None:
    problems = Problems()
    with_cluster_keys(ClusterSettings(kind="cpg", uris=("a:///", "b:///")), problems)
    assert [problem.code for problem in problems.in_order()] == ["several-libvirts"]


def test_what_counts_as_a_death_is_said_in_the_section_of_libvirt(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text("key")
    found = cluster(tmp_path, key, 'uri = "test:///default";', 'libvirt { death_proof = "exit"; }')
    assert own_libvirt(found) == LibvirtSettings(uris=("test:///default",), death_proof=DeathProof.EXIT)


def test_a_corosync_that_was_found_leaves_the_libvirt_of_the_host_as_it_is() -> None:
    own = LibvirtSettings(uris=("test:///default",), death_proof=DeathProof.EXIT)
    assert own_libvirt(discovered(own)) == own
    assert discovered(own).kind == "checkpoint"
