"""Loading: the defaults, the file itself, all errors at once, and nothing but Config or ConfigError."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from fencebus_host.config import ConfigError, find, load
from fencebus_host.config.load import load_text, system_host_name
from fencebus_host.config.model import (
    DEFAULT_KEY,
    Config,
    Digest,
    KeyedSettings,
    LibvirtSettings,
    MulticastSettings,
    TcpSettings,
    VsockSettings,
)
from fencebus_host.config.tree import Item, render
from fencebus_host.state_folder import MOST_BYTES
from tests.fuzz.strategies_config import plausible_trees, texts
from tests.host_agent.config.conf import codes, loaded, refused, tcp, written


def test_without_a_file_the_defaults_count() -> None:
    config = load(None)
    assert [listener.name for listener in config.listeners] == ["tcp", "multicast", "vsock", "serial"]
    assert config.backend == LibvirtSettings()
    assert (config.groups, config.hosts, config.file, config.warnings) == (None, (), None, ())
    assert (config.daemon.state_dir, config.daemon.request_timeout) == (Path("/var/lib/fencebus"), 25.0)
    assert config.daemon.host_name == system_host_name()
    assert "." not in config.daemon.host_name


@pytest.mark.skipif(DEFAULT_KEY.exists(), reason="this machine has a key at the default place")
def test_without_a_file_and_a_key_tcp_and_multicast_need_one_and_vsock_is_open() -> None:
    found = {type(listener): listener for listener in load(None).listeners if isinstance(listener, KeyedSettings)}
    assert found[TcpSettings].needs_key
    assert found[MulticastSettings].needs_key
    vsock = found[VsockSettings]
    assert (vsock.needs_key, vsock.hash, vsock.auth) == (False, Digest.NONE, Digest.NONE)


@pytest.mark.parametrize("attribute", ("debug", "host_name", "request_timeout"))
def test_settings_cannot_be_changed(attribute: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(load(None).daemon, attribute, 1)


def test_the_example_of_the_c_manual_is_accepted(tmp_path: Path, key_file: Path) -> None:
    text = f"""
        fence_virtd {{
         listener = "multicast";
         backend = "cpg";
        }}

        # this is the listeners section

        listeners {{
         multicast {{
          key_file = "{key_file}";
         }}
        }}

        backends {{
         libvirt {{
          uri = "qemu:///system";
         }}
        }}

        groups {{
         group {{
          name = "cluster1";
          ip = "192.168.1.1";
          ip = "192.168.1.2";
          uuid = "44179d3f-6c63-474f-a212-20c8b4b25b16";
          uuid = "1ce02c4b-dfa1-42cb-b5b1-f0b1091ece60";
          uuid = "node1";
          uuid = "node2";
         }}
        }}
    """
    config = loaded(tmp_path, text)
    assert config.warnings == ()
    assert config.backend.kind == "cpg"
    assert config.file == tmp_path / "fence_virt.conf"


def test_every_key_of_the_daemon_is_read(tmp_path: Path) -> None:
    text = (
        'fence_virtd { listener = "serial"; debug = "3"; foreground = "1"; wait_for_init = "1"; state_dir = "/s";'
        ' host_name = "h1"; request_timeout = "12.5"; }'
    )
    daemon = loaded(tmp_path, text).daemon
    assert (daemon.debug, daemon.foreground, daemon.wait_for_init) == (3, True, True)
    assert (daemon.state_dir, daemon.host_name, daemon.request_timeout) == (Path("/s"), "h1", 12.5)


def test_the_old_name_of_wait_for_init_still_works(tmp_path: Path) -> None:
    assert loaded(tmp_path, 'fence_virtd { listener = "serial"; wait_for_backend = "1"; }').daemon.wait_for_init


def test_a_key_that_matters_to_c_alone_is_a_warning(tmp_path: Path) -> None:
    config = loaded(tmp_path, 'fence_virtd { listener = "serial"; module_path = "/usr/lib64/fence-virt/"; }')
    assert codes(config.warnings) == ["c-only-key"]


def test_all_errors_come_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = (
        'fence_virtd { listener = "tpc"; backend = "libvirt"; debg = "1"; }\n'
        "listeners { tcp { } multicast { port = 1229 } }\n"
        'backends { libvirt { death_proof = "x"; } }\n'
        'hosts { host { name = "a.b"; } }\n'
        "group { }\n"
        "} foo"
    )
    found = [(problem.line, problem.code) for problem in refused(tmp_path, text)]
    assert found == [
        (1, "unknown-key"),
        (1, "unknown-listener"),
        (2, "bare-value"),
        (2, "missing-semicolon"),
        (3, "bad-value"),
        (4, "bad-value"),
        (5, "unknown-section"),
        (6, "unmatched-brace"),
        (6, "missing-value"),
        (6, "unknown-section"),
    ]


def test_an_error_names_the_file_as_it_was_given(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, "")
    assert str(problem).startswith(f"{tmp_path}/fence_virt.conf: empty-file: ")


def test_of_two_sections_of_the_daemon_the_last_one_counts(tmp_path: Path) -> None:
    text = 'fence_virtd { listener = "nope"; }\nFENCE_VIRTD { LISTENER = "Serial"; }'
    config = loaded(tmp_path, text)
    assert [listener.kind for listener in config.listeners] == ["serial"]
    assert codes(config.warnings) == ["ignored-section"]


def test_a_file_of_windows_with_a_byte_order_mark_is_read(tmp_path: Path, key_file: Path) -> None:
    text = b"\xef\xbb\xbf" + tcp(key_file).replace("\n", "\r\n").encode()
    assert loaded(tmp_path, text).warnings == ()


def test_bytes_that_are_no_utf8_may_stand_in_comments_and_names(tmp_path: Path) -> None:
    text = b'# caf\xe9\nfence_virtd { listener = "serial"; }\ngroups { group { uuid = "caf\xe9"; } }'
    config = loaded(tmp_path, text)
    assert config.groups is not None
    assert config.groups[0].uuids[0].encode(errors="surrogateescape") == b"caf\xe9"


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unreadable-file: cannot read .*: No such file"):
        load(tmp_path / "none")


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unreadable-file"):
        load(tmp_path)


def test_a_device_is_not_a_file() -> None:
    with pytest.raises(ConfigError, match="it is not a file"):
        load(Path("/dev/zero"))


def test_a_pipe_is_not_a_file_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="it is not a file"):
        load(tmp_path / "pipe")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    assert codes(refused(tmp_path, b"#" * (MOST_BYTES + 1))) == ["too-large"]


@pytest.mark.parametrize(
    ("mode", "expected"), ((0o600, []), (0o644, ["config-readable"]), (0o664, ["config-writable"]))
)
def test_a_file_open_to_others_is_a_warning_and_stays_as_it_is(
    tmp_path: Path, key_file: Path, mode: int, expected: list[str]
) -> None:
    path = written(tmp_path, tcp(key_file))
    path.chmod(mode)
    assert codes(load(path).warnings) == expected
    assert path.stat().st_mode & 0o777 == mode


def test_a_file_that_was_named_is_found_even_if_it_is_missing(tmp_path: Path) -> None:
    assert find(tmp_path / "none") == tmp_path / "none"
    assert find(None) in (None, Path("/etc/fence_virt.conf"))


def test_a_file_named_by_a_relative_path_is_still_found_after_a_change_of_folder() -> None:
    assert find(Path("a.conf")) == Path.cwd() / "a.conf"


def test_settings_that_only_moved_in_the_file_are_equal_so_that_a_reload_leaves_their_listeners_alone(
    tmp_path: Path, key_file: Path
) -> None:
    text = tcp(key_file, rest='backends { libvirt { } } groups { group { uuid = "a"; } }')
    before, after = loaded(tmp_path, text), loaded(tmp_path, "# a new first line\n" + text)
    assert before.listeners[0].where != after.listeners[0].where
    assert before == after


def test_loading_again_reads_the_key_again(tmp_path: Path, key_file: Path) -> None:
    path = written(tmp_path, tcp(key_file))
    before = load(path)
    key_file.write_bytes(b"another")
    (listener,) = load(path).listeners
    assert isinstance(listener, TcpSettings)
    assert listener.keys == (b"another",)
    assert before.listeners != load(path).listeners


def outcome(text: str) -> Config | ConfigError:
    try:
        return load_text(text, "f")
    except ConfigError as error:
        return error


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(texts())
def test_any_text_is_a_config_or_a_config_error_and_nothing_else(text: str) -> None:
    found = outcome(text)
    if isinstance(found, Config):
        assert found.listeners
    else:
        assert found.problems
        assert all(0 <= problem.line <= text.count("\n") + 1 for problem in found.problems)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(plausible_trees())
def test_a_group_is_never_lost(tree: tuple[Item, ...]) -> None:
    written_groups = next((item for item in reversed(tree) if item.name == "groups"), None)
    with suppress(ConfigError):
        found = load_text(render(tree), "f").groups
        assert (found is None) == (written_groups is None)
        if written_groups is not None:
            assert len(found or ()) == len(written_groups.children or ())
