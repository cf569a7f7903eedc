"""Each program on a machine without the library that its bus needs: it says what to install, and shows no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ports import free_tcp_port

KOMBU = "Debian: apt-get install python3-kombu; else: pip install 'fencebus[{}]'"
PROTON = "Debian: apt-get install python3-qpid-proton; else: pip install 'fencebus[qmf]'"
WITHOUT = """
import runpy, sys
sys.modules |= dict.fromkeys(("kombu", "amqp", "proton"))
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def run_without(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program, by its module, where neither kombu nor proton is installed."""
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("words", "said"),
    (
        (("fencebus_agent", "-b", "amqp://b", "-u", "test:///default"), KOMBU.format("rabbitmq")),
        (("fencebus_agent", "-b", "amqp1://b", "-u", "test:///default"), PROTON),
        (("fencebus_host.ctl", "web", "--port", "0", "--bus", "amqps://b"), KOMBU.format("rabbitmq")),
        (("fencebus_broker", "check", "amqp://b"), KOMBU.format("broker")),
        (("fencebus_broker", "check", "amqp1://b"), PROTON.replace("qmf", "broker")),
    ),
    ids=("agentd", "agentd on AMQP 1.0", "web", "broker check", "broker check on AMQP 1.0"),
)
def test_a_program_without_the_library_of_its_bus_says_what_to_install(words: tuple[str, ...], said: str) -> None:
    ended = run_without(*words)
    assert ended.returncode == 1, ended.stderr
    assert "not installed: " in ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_so_does_the_daemon_with_the_line_of_its_configuration(tmp_path: Path) -> None:
    file, keys = tmp_path / "fence_virt.conf", [tmp_path / name for name in ("bus.key", "guests.key")]
    for path in (file, *keys):
        path.touch(0o600)
    for number, key in enumerate(keys):
        key.write_bytes(bytes([number + 1]) * 512)
    file.write_text(
        f"""fence_virtd {{ listener = "tcp"; backend = "qmf"; host = "hosta"; state_dir = "{tmp_path}/state"; }}
hosts {{ host {{ name = "hosta"; }} host {{ name = "hostb"; }} }}
listeners {{ tcp {{ address = "127.0.0.1"; port = "{free_tcp_port()}"; key_file = "{tmp_path}/guests.key"; }} }}
backends {{
    libvirt {{ uri = "test:///default"; }}
    qmf {{ url = "amqp://b"; key_file = "{tmp_path}/bus.key"; }}
}}
""",
        encoding="utf-8",
    )
    ended = run_without("fencebus_host.daemon", "-F", "-f", str(file), "-p", str(tmp_path / "pid"))
    assert ended.returncode != 0
    assert KOMBU.format("rabbitmq") in ended.stderr
    assert f"{file}:" in ended.stderr
    assert "Traceback" not in ended.stderr
