"""Which backend is used, and with which settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_host.config.model import (
    BackendSettings,
    ClusterSettings,
    DeathProof,
    LibvirtSettings,
    NameMode,
    NullSettings,
    PmFenceSettings,
)
from tests.host_agent.config.conf import codes, loaded, refused

SERIAL = 'fence_virtd { listener = "serial"; '


def backend(folder: Path, name: str, sections: str = "", daemon: str = "") -> BackendSettings:
    text = f'{SERIAL} backend = "{name}"; {daemon} }} backends {{ {sections} }}'
    return loaded(folder, text).backend


def test_without_a_word_it_is_libvirt_and_the_daemon_may_look_around(tmp_path: Path) -> None:
    found = loaded(tmp_path, SERIAL + "}").backend
    assert found == LibvirtSettings(uris=("qemu:///system",), where=None)


def test_one_that_was_chosen_knows_where(tmp_path: Path) -> None:
    where = backend(tmp_path, "libvirt").where
    assert where is not None
    assert where.line == 1


@pytest.mark.parametrize(
    ("section", "uris"),
    (
        ("", ("qemu:///system",)),
        ('uri = "a:///";', ("a:///",)),
        ('uri2 = "c:///"; URI1 = "b:///"; uri = "a:///";', ("a:///", "b:///", "c:///")),
        ('uri = "a:///"; uri = "b:///";', ("b:///",)),
    ),
)
def test_uris_are_numbered_from_none_on(tmp_path: Path, section: str, uris: tuple[str, ...]) -> None:
    found = backend(tmp_path, "LibVirt", f"libvirt {{ {section} }}")
    assert isinstance(found, LibvirtSettings)
    assert found.uris == uris
    assert found.death_proof is DeathProof.FULL


@pytest.mark.parametrize("section", ('uri = "a:///"; uri2 = "c:///";', 'uri1 = "b:///";'))
def test_a_uri_after_a_gap_is_ignored_as_in_c_and_said_so(tmp_path: Path, section: str) -> None:
    config = loaded(tmp_path, f'{SERIAL} backend = "libvirt"; }} backends {{ libvirt {{ {section} }} }}')
    assert codes(config.warnings) == ["ignored-key"]


def test_the_administrators_word_about_exits_is_read(tmp_path: Path) -> None:
    found = backend(tmp_path, "libvirt", 'libvirt { death_proof = "exit"; }')
    assert isinstance(found, LibvirtSettings)
    assert found.death_proof is DeathProof.EXIT


@pytest.mark.parametrize("kind", ("cpg", "checkpoint"))
@pytest.mark.parametrize(
    ("section", "daemon", "mode"),
    (
        ("", "", NameMode.NAME),
        ('name_mode = "UUID";', "", NameMode.UUID),
        ("", 'name_mode = "uuid";', NameMode.UUID),
        ('name_mode = "name";', 'name_mode = "uuid";', NameMode.NAME),
    ),
)
def test_the_name_mode_has_an_old_and_a_new_place(
    tmp_path: Path, kind: str, section: str, daemon: str, mode: NameMode
) -> None:
    found = backend(tmp_path, kind, f'{kind} {{ uri = "a:///"; {section} }}', daemon)
    assert isinstance(found, ClusterSettings)
    assert (found.kind, found.uris, found.name_mode) == (kind, ("a:///",), mode)


@pytest.mark.parametrize(("kind", "uris"), (("checkpoint", ("a:///",)), ("cpg", ("qemu:///system",))))
def test_checkpoint_takes_the_uri_of_libvirt_too(tmp_path: Path, kind: str, uris: tuple[str, ...]) -> None:
    found = backend(tmp_path, kind, 'libvirt { uri = "a:///"; }')
    assert isinstance(found, ClusterSettings)
    assert found.uris == uris


def test_the_other_old_backends_are_read(tmp_path: Path) -> None:
    pacemaker = backend(tmp_path, "pm-fence", 'pm-fence { pmlib_loglevel = "3"; }')
    assert isinstance(pacemaker, PmFenceSettings)
    assert pacemaker.pmlib_loglevel == 3
    null = backend(tmp_path, "null", 'null { message = "Ho!"; }')
    assert isinstance(null, NullSettings)
    assert null.message == "Ho!"


@pytest.mark.parametrize(
    ("text", "code", "suggestion"),
    (
        (SERIAL + 'backend = "libvrt"; }', "unknown-backend", "did you mean `libvirt`?"),
        (SERIAL + 'backend = ""; }', "unknown-backend", "known: "),
        (SERIAL + "} backends { libvrt { } }", "unknown-backend", "did you mean `libvirt`?"),
        (SERIAL + '} backends { libvirt { url = "a:///"; } }', "unknown-key", "did you mean `uri`?"),
        (SERIAL + '} backends { libvirt { urix = "a:///"; } }', "unknown-key", "did you mean `uri`?"),
        (SERIAL + '} backends { libvirt { uri = ""; } }', "bad-value", ""),
        (SERIAL + '} backends { libvirt { death_proof = "no"; } }', "bad-value", "known: exit, full"),
        (SERIAL + '} backends { libvirt = "a:///"; }', "not-a-section", "libvirt { ... }"),
        (SERIAL + '} backends = "libvirt";', "not-a-section", "backends { ... }"),
    ),
)
def test_a_wrong_backend_is_refused(tmp_path: Path, text: str, code: str, suggestion: str) -> None:
    (problem,) = refused(tmp_path, text)
    assert problem.code == code
    assert problem.suggestion.startswith(suggestion)


def test_a_backend_that_is_not_used_cannot_stop_the_daemon(tmp_path: Path) -> None:
    config = loaded(tmp_path, SERIAL + '} backends { cpg { name_mode = "x"; } pm-fence { pmlib_loglevel = "x"; } }')
    assert codes(config.warnings) == ["bad-value", "bad-value"]


def test_of_two_sections_the_last_one_counts(tmp_path: Path) -> None:
    config = loaded(tmp_path, SERIAL + '} backends { libvirt { uri = "a:///"; }\nlibvirt { } }')
    assert isinstance(config.backend, LibvirtSettings)
    assert config.backend.uris == ("qemu:///system",)
    assert codes(config.warnings) == ["ignored-section"]
