"""The C fence_virtd and our load() read the same configuration files; where they differ, the documentation says so."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fencebus_host.config import Config, ConfigError, load
from fencebus_host.config.command_line import Answer, read
from fencebus_host.config.model import Digest, KeyedSettings
from tests.components import CHECKOUT, require_file
from tests.ports import free_tcp_port
from tests.server_process import ServerProcess

# By its full path: a virtual environment has a fence_virtd of its own, which is ours.
C_PROGRAM = "/usr/sbin/fence_virtd"
# The C program needs about 50 ms until it listens, and says nothing when it does.
C_PATIENCE = 5.0

StartProgram = Callable[..., ServerProcess]


@dataclass(frozen=True)
class Case:
    """One file: who accepts it. `{port}` and `{key}` are filled in."""

    name: str
    text: str
    c: bool
    ours: bool


def file(tcp: str = "", daemon: str = "", libvirt: str = "", rest: str = "", kind: str = "tcp") -> str:
    """A file with one network listener on libvirt's test driver, which both programs accept, and additions to it."""
    return (
        f'fence_virtd {{ listener = "{kind}"; backend = "libvirt"; {daemon} }}\n'
        f'listeners {{ {kind} {{ key_file = "{{key}}"; port = "{{port}}"; {tcp} }} }}\n'
        f'backends {{ libvirt {{ uri = "test:///default"; {libvirt} }} }}\n{rest}\n'
    )


def both(name: str, text: str) -> Case:
    return Case(name, text, c=True, ours=True)


def neither(name: str, text: str) -> Case:
    return Case(name, text, c=False, ours=False)


def only_ours(name: str, text: str) -> Case:
    return Case(name, text, c=False, ours=True)


def only_c(name: str, text: str) -> Case:
    return Case(name, text, c=True, ours=False)


URI = 'uri = "test:///default"; '
CASES = (
    both("plain", file()),
    both("multicast", file(kind="multicast", tcp='interface = "lo"; address = "225.0.0.99";')),
    both("unknown-interface", file(kind="multicast", tcp='interface = "nosuch0";')),
    both("upper-case-words", file(tcp='HASH = "SHA512"; Family = "IPv4";').replace("fence_virtd", "FENCE_VIRTD")),
    both("upper-case-listener", file().replace('listener = "tcp"', 'listener = "TCP"')),
    both("upper-case-backend", file().replace('backend = "libvirt"', 'backend = "LibVirt"')),
    both("comments", "# é one\n" + file(tcp="# two }\n") + "# three"),
    both("comment-inside-a-name-is-none", file(rest='groups { group { uuid = "a#b"; } }')),
    both("blanks-and-lines", file().replace(" = ", "\n=\t").replace("{ ", "\n{\n")),
    both("no-blanks", file().replace(" = ", "=").replace("; ", ";")),
    both("value-and-section", file().replace("tcp {", 'tcp = "x" {')),
    both("value-over-lines", file(rest='groups { group { name = "two\nlines"; uuid = "a"; } }')),
    both("number-with-blanks", file().replace('"{port}"', '" {port}"')),
    both("switches", file(daemon='debug = "1"; foreground = "0"; wait_for_init = "0";')),
    both("module-path", file(daemon='module_path = "/usr/lib/x86_64-linux-gnu/fence-virt";')),
    both("old-keys", file(daemon='wait_for_backend = "0"; name_mode = "uuid";')),
    both("two-uris", file(libvirt='uri1 = "test:///default";')),
    both("a-gap-in-the-uris", file(libvirt='uri2 = "test:///default";')),
    both("host-name-as-address", file(tcp='address = "localhost";')),
    both("multicast-address-on-tcp", file(tcp='address = "225.0.0.12";')),
    both("unused-listener-with-mistakes", file().replace("listeners {", 'listeners { serial { mode = "x"; }')),
    both("unused-backend-with-mistakes", file().replace("backends {", 'backends { cpg { name_mode = "x"; }')),
    both("repeated-key", file(tcp='hash = "nope"; hash = "sha1";')),
    both("repeated-section", 'listeners { tcp { hash = "nope"; } }\n' + file()),
    both("repeated-listener", file().replace('listener = "tcp"', 'listener = "nope"; listener = "tcp"')),
    both("groups", file(rest='groups { group { name = "g"; uuid = "a"; ip = "127.0.0.1"; } }')),
    both("empty-groups", file(rest="groups { }")),
    both("group-with-a-name-only", file(rest='groups { group { name = "g"; } }')),
    both("hash-none", file(tcp='hash = "none";')),
    both("auth-on-tcp", file(tcp='auth = "none";')),
    neither("empty-file", ""),
    neither("comment-only", "# nothing"),
    neither("value-without-quotes", file().replace('"{port}"', "{port}")),
    neither("missing-semicolon", file(tcp='hash = "sha1"')),
    neither("missing-brace", file().rstrip().removesuffix("}")),
    neither("brace-too-many", file(rest="}")),
    neither("semicolon-too-many", ";" + file()),
    neither("name-in-quotes", '"a" = "b";' + file()),
    neither("form-feed", file(rest="\f")),
    neither("unknown-listener", file().replace('listener = "tcp"', 'listener = "tpc"')),
    neither("unknown-backend", file().replace('backend = "libvirt"', 'backend = "libvrt"')),
    neither("last-listener-unknown", file(daemon='listener = "nope";')),
    neither("unknown-hash", file(tcp='hash = "md5";')),
    neither("unknown-auth", file(kind="multicast", tcp='auth = "md5";')),
    neither("hash-with-blank", file(tcp='hash = " sha256";')),
    neither("unknown-family", file(tcp='family = "ipx";')),
    neither("family-and-address-differ", file(tcp='family = "ipv6"; address = "127.0.0.1";')),
    neither("no-multicast-address", file(kind="multicast", tcp='address = "10.0.0.1";')),
    neither("port-0x", file(tcp='port = "0x10";')),
    neither("missing-key", file().replace("{key}", "{key}.none")),
    only_ours("crlf", file().replace("\n", "\r\n")),
    only_ours("byte-order-mark", "\ufeff" + file()),
    only_ours("empty-value", file(rest='groups { group { name = ""; uuid = "a"; } }')),
    only_ours("semicolon-after-brace", file().rstrip() + ";"),
    only_ours("no-listener", file().replace('listener = "tcp";', "")),
    only_ours("no-backend", file().replace('backend = "libvirt";', "")),
    only_ours("no-uri", file().replace(URI, "")),
    only_ours("uri1-alone", file().replace("uri =", "uri1 =")),
    only_ours("address-says-family", file(tcp='address = "::1";')),
    only_ours("no-key-needed", file(tcp='hash = "none"; auth = "none";').replace("{key}", "{key}.none")),
    only_ours("two-listeners", file().replace('listener = "tcp"', 'listener = "tcp,serial"')),
    only_ours("two-keys", file().replace("{key}", "{key}, {key}")),
    only_c("unknown-key", file(tcp='hsah = "sha512";')),
    only_c("unknown-section", file(rest="grops { }")),
    only_c("section-below-key", file(tcp='hash = "sha256" { a = "b"; }')),
    only_c("number-with-letters", file().replace('"{port}"', '"{port}x"')),
    only_c("debug-word", file(daemon='debug = "x";')),
    only_c("debug-negative", file(daemon='debug = "-1";')),
    only_c("switch-word", file(daemon='foreground = "yes";')),
    only_c("empty-key", file().replace("{key}", "{key}.empty")),
    only_c("short-address", file(tcp='address = "127.1";')),
    only_c("impossible-interface", file(kind="multicast", tcp='interface = "averyveryverylongname0";')),
)
# What only_c shows by a listening port cannot show a port that is none; this one runs, and that is all it does.
NEGATIVE_PORT = "negative-port"


@pytest.fixture
def c_daemon(tmp_path: Path, start_program: StartProgram) -> Callable[[Path], ServerProcess]:
    """Starts the C program on a file. It changes the modes of the files it is given: they have to be the test's own."""
    program = require_file(C_PROGRAM, package="fence-virtd")

    def start(config: Path) -> ServerProcess:
        assert config.is_relative_to(tmp_path)
        return start_program([program, "-F", "-f", config, "-p", tmp_path / "c.pid"], cwd=tmp_path)

    return start


def listens(port: int) -> bool:
    sign = f":{port:04X} "
    tables = (Path(f"/proc/net/{name}") for name in ("tcp", "tcp6", "udp", "udp6"))
    return any(sign in table.read_text() for table in tables if table.exists())


def accepted_by_c(daemon: ServerProcess, port: int) -> bool:
    """Whether the C program comes to listen on `port`; it is ended then, by its pid."""
    limit = time.monotonic() + C_PATIENCE
    while daemon.running and not listens(port) and time.monotonic() < limit:
        time.sleep(0.01)
    found = daemon.running and listens(port)
    daemon.stop(signal.SIGKILL)  # it looks at SIGTERM only between two waits, seconds later
    return found


def ours(config: Path) -> Config | ConfigError:
    try:
        return load(config)
    except ConfigError as error:
        return error


def write(folder: Path, text: str, port: int, key: Path) -> Path:
    empty = Path(f"{key}.empty")
    empty.touch(mode=0o600)
    config = folder / "fence_virt.conf"
    config.touch(mode=0o600)
    config.write_bytes(text.replace("{port}", str(port)).replace("{key}", str(key)).encode())
    return config


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_config_like_c(case: Case, tmp_path: Path, key_file: Path, c_daemon: Callable[[Path], ServerProcess]) -> None:
    port = free_tcp_port()
    config = write(tmp_path, case.text, port, key_file)
    found = ours(config)
    assert isinstance(found, Config) == case.ours, str(found)
    daemon = c_daemon(config)
    assert accepted_by_c(daemon, port) == case.c, daemon.output


def test_a_negative_port_runs_in_c_and_is_an_error_here(
    tmp_path: Path, key_file: Path, c_daemon: Callable[[Path], ServerProcess]
) -> None:
    config = write(tmp_path, file().replace("{port}", "-1"), 0, key_file)
    assert "whole number from 1 to 65535" in str(ours(config))
    daemon = c_daemon(config)
    daemon.wait_for_file(tmp_path / "c.pid")
    time.sleep(0.5)  # a listener that fails ends the program within milliseconds
    assert daemon.running
    daemon.stop(signal.SIGKILL)


@pytest.mark.parametrize(
    "text",
    (
        file(tcp='port = "{other}";').replace('port = "{port}"; port = "{other}"', 'port = "{other}"; port = "{port}"'),
        file(rest="").replace("listeners {", 'listeners { tcp { key_file = "{key}"; port = "{other}"; }'),
        'listeners { tcp { key_file = "{key}"; port = "{other}"; } }\n' + file(),
    ),
    ids=("key", "inner-section", "outer-section"),
)
def test_the_last_of_what_is_repeated_counts_in_both(
    text: str, tmp_path: Path, key_file: Path, c_daemon: Callable[[Path], ServerProcess]
) -> None:
    port, other = free_tcp_port(), free_tcp_port()
    config = write(tmp_path, text.replace("{other}", str(other)), port, key_file)
    found = load(config)
    (listener,) = found.listeners
    assert isinstance(listener, KeyedSettings)
    assert listener.port == port
    assert [problem.code.split("-")[0] for problem in found.warnings] == ["ignored"]
    assert accepted_by_c(c_daemon(config), port)


def test_two_instances_run_here_and_one_in_c(
    tmp_path: Path, key_file: Path, c_daemon: Callable[[Path], ServerProcess]
) -> None:
    port, other = free_tcp_port(), free_tcp_port()
    first = f'listeners {{ tcp = "one" {{ key_file = "{{key}}"; port = "{other}"; }}'
    config = write(tmp_path, file().replace("listeners {", first), port, key_file)
    assert [listener.name for listener in load(config).listeners] == ["tcp:one", "tcp"]
    daemon = c_daemon(config)
    daemon.wait_for_tcp(port)
    assert not listens(other)
    daemon.stop(signal.SIGKILL)


def test_c_changes_the_modes_of_its_files_and_we_do_not(
    tmp_path: Path, key_file: Path, c_daemon: Callable[[Path], ServerProcess]
) -> None:
    port = free_tcp_port()
    config = write(tmp_path, file(), port, key_file)
    for path in (config, key_file):
        path.chmod(0o644)
    assert [problem.code for problem in load(config).warnings] == ["config-readable", "key-readable"]
    assert [path.stat().st_mode & 0o777 for path in (config, key_file)] == [0o644, 0o644]
    assert accepted_by_c(c_daemon(config), port)
    assert [path.stat().st_mode & 0o777 for path in (config, key_file)] == [0o600, 0o600]


def test_auth_on_tcp_is_a_setting_of_its_own_here(tmp_path: Path, key_file: Path) -> None:
    found = load(write(tmp_path, file(tcp='auth = "none";'), 1229, key_file))
    (listener,) = found.listeners
    assert isinstance(listener, KeyedSettings)
    assert (listener.hash, listener.auth) == (Digest.SHA256, Digest.NONE)
    assert [problem.code for problem in found.warnings] == ["auth-is-not-hash"]


def run_c(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = require_file(C_PROGRAM, package="fence-virtd")
    return subprocess.run(
        [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )


def test_an_unknown_option_is_no_success_here() -> None:
    assert run_c("-x").returncode == 0
    found = read(["-x"])
    assert isinstance(found, Answer)
    assert found.status == 1


def test_the_listing_lists_something_here() -> None:
    found = read(["-l"])
    assert isinstance(found, Answer)
    assert "multicast" in found.text
    c = run_c("-l")
    assert (c.returncode, "multicast" in c.stdout) == (0, False)


def test_every_difference_is_documented() -> None:
    """That every row has its test: tests/differences/test_page.py."""
    text = (CHECKOUT / "docs" / "differences.md").read_text(encoding="utf-8")
    last_columns = [line.rsplit("|", 2)[1] for line in text.splitlines() if line.startswith("|")]
    named = {name for column in last_columns for name in re.findall(r"`([^`]+)`", column)}
    assert {case.name for case in CASES if case.c != case.ours} | {NEGATIVE_PORT} <= named
