"""Which listeners run, and with which settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_host.config.model import (
    Config,
    Digest,
    Family,
    LocalGuestsOnly,
    MulticastSettings,
    SerialMode,
    SerialSettings,
    TcpSettings,
    VsockSettings,
)
from fencebus_host.config.problems import Severity
from tests.host_agent.config.conf import codes, loaded, multicast, refused, tcp


def names(config: Config) -> list[str]:
    return [listener.name for listener in config.listeners]


def only_tcp(config: Config) -> TcpSettings:
    (listener,) = config.listeners
    assert isinstance(listener, TcpSettings)
    return listener


def only_multicast(config: Config) -> MulticastSettings:
    (listener,) = config.listeners
    assert isinstance(listener, MulticastSettings)
    return listener


def test_a_tcp_section_without_keys_has_the_defaults_of_c(tmp_path: Path, key_file: Path) -> None:
    found = only_tcp(loaded(tmp_path, tcp(key_file)))
    assert (found.address, found.port, found.family) == ("127.0.0.1", 1229, Family.IPV4)
    assert (found.hash, found.auth) == (Digest.SHA256, Digest.SHA256)
    assert found.keys == (key_file.read_bytes(),)
    assert found.key_files == (key_file,)
    assert found.request_timeout == 25.0
    assert not found.needs_key


def test_a_multicast_section_without_keys_has_the_defaults_of_c(tmp_path: Path, key_file: Path) -> None:
    found = only_multicast(loaded(tmp_path, multicast(key_file)))
    assert (found.address, found.port, found.family) == ("225.0.0.12", 1229, Family.IPV4)
    assert (found.interface, found.local_guests_only) == (None, LocalGuestsOnly.AUTO)


def test_every_key_of_tcp_is_read(tmp_path: Path, key_file: Path) -> None:
    more = 'hash = "SHA1"; auth = "sha256"; family = "IPv6"; address = "::"; port = "7"; request_timeout = "3.5";'
    found = only_tcp(loaded(tmp_path, tcp(key_file, more)))
    assert (found.hash, found.family, found.address, found.port) == (Digest.SHA1, Family.IPV6, "::", 7)
    assert found.request_timeout == 3.5


def test_every_key_of_multicast_is_read(tmp_path: Path, key_file: Path) -> None:
    more = 'auth = "sha512"; family = "ipv6"; interface = "nosuch0"; local_guests_only = "no"; port = "7";'
    found = only_multicast(loaded(tmp_path, multicast(key_file, more)))
    assert (found.auth, found.family, found.address) == (Digest.SHA512, Family.IPV6, "ff05::3:1")
    assert (found.interface, found.local_guests_only, found.port) == ("nosuch0", LocalGuestsOnly.NO, 7)


def test_vsock_and_serial_are_read(tmp_path: Path, key_file: Path) -> None:
    config = loaded(
        tmp_path,
        'fence_virtd { listener = "vsock,serial"; }'
        f'listeners {{ vsock {{ key_file = "{key_file}"; port = "70000"; }}'
        ' serial { uri = "test:///default"; path = "/run/sockets"; mode = "vmchannel"; } }',
    )
    vsock, serial = config.listeners
    assert isinstance(vsock, VsockSettings)
    assert vsock.port == 70000
    assert isinstance(serial, SerialSettings)
    assert (serial.uri, serial.path, serial.mode) == ("test:///default", Path("/run/sockets"), SerialMode.VMCHANNEL)


def test_a_serial_listener_needs_no_key_and_says_so_if_one_is_named(tmp_path: Path) -> None:
    text = 'fence_virtd { listener = "serial"; } listeners { serial { key_file = "/nonexistent"; } }'
    config = loaded(tmp_path, text)
    assert names(config) == ["serial"]
    assert codes(config.warnings) == ["c-only-key"]


@pytest.mark.parametrize(
    ("address", "family"), (("::1", Family.IPV6), ("127.0.0.1", Family.IPV4), ("host.example", Family.IPV4))
)
def test_the_address_says_which_family_it_is(tmp_path: Path, key_file: Path, address: str, family: Family) -> None:
    assert only_tcp(loaded(tmp_path, tcp(key_file, f'address = "{address}";'))).family is family


def test_the_timeout_of_the_daemon_counts_where_a_listener_has_none(tmp_path: Path, key_file: Path) -> None:
    assert only_tcp(loaded(tmp_path, tcp(key_file, daemon='request_timeout = "9";'))).request_timeout == 9.0


def test_several_keys_sign_and_verify_in_their_order(tmp_path: Path, key_file: Path) -> None:
    new = tmp_path / "new.key"
    new.touch(mode=0o600)
    new.write_bytes(b"new")
    text = tcp(key_file).replace(f'"{key_file}"', f'"{new}, {key_file}"')
    assert only_tcp(loaded(tmp_path, text)).keys == (b"new", key_file.read_bytes())


def test_keys_do_not_show_when_settings_are_printed(tmp_path: Path, key_file: Path) -> None:
    key_file.write_bytes(b"very secret")
    assert "very secret" not in repr(loaded(tmp_path, tcp(key_file)))


def test_several_listeners_run_at_once(tmp_path: Path, key_file: Path) -> None:
    text = (
        'fence_virtd { listener = "Multicast, tcp"; }\n'
        f'listeners {{ multicast {{ key_file = "{key_file}"; }} tcp {{ key_file = "{key_file}"; }} }}'
    )
    assert names(loaded(tmp_path, text)) == ["multicast", "tcp"]


def instances(key: Path, listener: str) -> str:
    return (
        f'fence_virtd {{ listener = "{listener}"; }} listeners {{\n'
        f'multicast {{ key_file = "{key}"; interface = "br0"; }}\n'
        f'multicast = "br1" {{ key_file = "{key}"; interface = "br1"; }}\n'
        f'multicast = "br2" {{ key_file = "{key}"; interface = "br2"; }} }}'
    )


def test_a_kind_runs_with_all_its_instances(tmp_path: Path, key_file: Path) -> None:
    assert names(loaded(tmp_path, instances(key_file, "multicast"))) == ["multicast", "multicast:br1", "multicast:br2"]


def test_one_instance_can_be_chosen(tmp_path: Path, key_file: Path) -> None:
    assert names(loaded(tmp_path, instances(key_file, "multicast:br1"))) == ["multicast:br1"]


def test_an_instance_that_is_not_there_is_an_error(tmp_path: Path, key_file: Path) -> None:
    (problem,) = refused(tmp_path, instances(key_file, "multicast:br3"))
    assert (problem.code, problem.suggestion) == ("unknown-listener", "did you mean `multicast:br2`?")


def test_without_a_word_about_listeners_those_with_a_section_run(tmp_path: Path, key_file: Path) -> None:
    text = f'listeners {{ tcp {{ key_file = "{key_file}"; }} }}'
    assert names(loaded(tmp_path, text)) == ["tcp"]


def test_of_two_sections_of_one_listener_the_last_one_counts_and_a_warning_names_the_other(
    tmp_path: Path, key_file: Path
) -> None:
    text = (
        'fence_virtd { listener = "tcp"; } listeners {\n'
        'tcp { port = "1"; address = "!"; }\n'
        f'tcp {{ port = "2"; key_file = "{key_file}"; }} }}'
    )
    config = loaded(tmp_path, text)
    assert only_tcp(config).port == 2
    assert [(problem.code, problem.line) for problem in config.warnings] == [("ignored-section", 2)]


def test_a_listener_that_does_not_run_cannot_stop_the_daemon(tmp_path: Path, key_file: Path) -> None:
    text = tcp(key_file).replace("} }", '} multicast { port = "x"; key_file = "/nonexistent"; } serail { } }', 1)
    config = loaded(tmp_path, text)
    assert names(config) == ["tcp"]
    assert sorted(codes(config.warnings)) == ["bad-value", "unknown-listener"]
    assert all(problem.severity is Severity.WARNING for problem in config.warnings)


@pytest.mark.parametrize(
    ("more", "code", "suggestion"),
    (
        ('hash = "md5";', "bad-value", "known: none, sha1, sha256, sha512"),
        ('hash = "sha265";', "bad-value", "did you mean `sha256`?"),
        ('auth = "sh1";', "bad-value", "did you mean `sha1`?"),
        ('family = "ipv5";', "bad-value", "did you mean `ipv6`?"),
        ('port = "0";', "bad-value", ""),
        ('port = "1229x";', "bad-value", ""),
        ('port = "65536";', "bad-value", ""),
        ('family = "ipv6"; address = "127.0.0.1";', "family-mismatch", 'family = "ipv4";'),
        ('family = "ipv4"; address = "::1";', "family-mismatch", 'family = "ipv6";'),
        ('address = "999.1.1.1";', "bad-address", ""),
        ('address = "127.1";', "bad-address", ""),
        ('address = "no host";', "bad-address", ""),
        ('address = "";', "bad-value", ""),
        ('adress = "127.0.0.1";', "unknown-key", "did you mean `address`?"),
        ('interface = "br0";', "unknown-key", "known: "),
        ('request_timeout = "0";', "bad-value", ""),
        ("port { }", "not-a-key", 'port = "...";'),
        ('port = "1" { a = "b"; }', "not-a-key", 'port = "...";'),
    ),
)
def test_a_wrong_tcp_section_is_refused(tmp_path: Path, key_file: Path, more: str, code: str, suggestion: str) -> None:
    (problem,) = refused(tmp_path, tcp(key_file, more))
    assert (problem.code, problem.line) == (code, 2)
    assert problem.suggestion.startswith(suggestion)


@pytest.mark.parametrize(
    ("more", "code"),
    (
        ('address = "10.0.0.1";', "bad-address"),
        ('address = "host.example";', "bad-address"),
        ('family = "ipv6"; address = "225.0.0.12";', "family-mismatch"),
        ('local_guests_only = "maybe";', "bad-value"),
        ('interface = "a name with blanks";', "bad-value"),
    ),
)
def test_a_wrong_multicast_section_is_refused(tmp_path: Path, key_file: Path, more: str, code: str) -> None:
    assert codes(refused(tmp_path, multicast(key_file, more))) == [code]


def test_an_unknown_listener_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, 'fence_virtd { listener = "multicst"; }')
    assert str(problem).endswith(":1: unknown-listener: there is no listener `multicst` (did you mean `multicast`?)")


def test_a_listener_that_was_asked_for_must_have_its_key(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    (problem,) = refused(tmp_path, tcp(missing))
    assert (problem.code, problem.line) == ("bad-key", 2)


def test_without_hash_and_auth_no_key_is_needed(tmp_path: Path) -> None:
    found = only_multicast(loaded(tmp_path, multicast(tmp_path / "none", 'hash = "none"; auth = "none";')))
    assert (found.keys, found.uses_key, found.needs_key) == ((), False, False)


@pytest.mark.parametrize("kind", ("tcp", "vsock"))
@pytest.mark.parametrize("auth", ("none", "sha1", "sha512"))
def test_an_old_auth_on_tcp_and_vsock_starts_with_a_warning_that_names_both_readings(
    tmp_path: Path, key_file: Path, kind: str, auth: str
) -> None:
    text = tcp(key_file, f'auth = "{auth}";', kind=kind)
    config = loaded(tmp_path, text)
    (problem,) = config.warnings
    assert problem.code == "auth-is-not-hash"
    assert f'`auth = "{auth}"` is the challenge' in problem.message
    assert f'the C program took it as the weakest hash, "{auth}"' in problem.message
    assert problem.suggestion.endswith(f'hash = "{auth}"; auth = "sha256";')
    (listener,) = config.listeners
    assert isinstance(listener, TcpSettings | VsockSettings)
    assert (listener.hash, listener.auth) == (Digest.SHA256, Digest(auth))


@pytest.mark.parametrize("more", ('auth = "sha256";', 'auth = "SHA256"; hash = "sha1";', 'hash = "none";'))
def test_other_settings_of_auth_and_hash_need_no_warning(tmp_path: Path, key_file: Path, more: str) -> None:
    assert loaded(tmp_path, tcp(key_file, more)).warnings == ()


def test_auth_of_multicast_always_was_auth(tmp_path: Path, key_file: Path) -> None:
    assert loaded(tmp_path, multicast(key_file, 'auth = "none";')).warnings == ()


def test_a_multicast_address_for_tcp_starts_as_in_c_but_is_a_warning(tmp_path: Path, key_file: Path) -> None:
    assert codes(loaded(tmp_path, tcp(key_file, 'address = "225.0.0.12";')).warnings) == ["bad-address"]


def test_of_a_repeated_key_the_last_one_counts_and_a_warning_names_the_other(tmp_path: Path, key_file: Path) -> None:
    config = loaded(tmp_path, tcp(key_file, '\nport = "1";\nPORT = "2";'))
    assert only_tcp(config).port == 2
    (problem,) = config.warnings
    assert str(problem).endswith(":3: ignored-key: this `port` is ignored: line 4 sets it again")


def test_a_mistake_in_an_ignored_key_does_not_matter(tmp_path: Path, key_file: Path) -> None:
    assert only_tcp(loaded(tmp_path, tcp(key_file, 'port = "x"; port = "2";'))).port == 2


def test_a_misspelt_listener_is_an_error_where_the_sections_decide_what_runs(tmp_path: Path) -> None:
    assert codes(refused(tmp_path, "listeners { tpc { } }")) == ["unknown-listener"]
