"""Debian's own fence agents behind our daemon: fence_virsh over ssh on real machines, C's fence_virt on C's daemon."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from fencebus_host.routers.fence_agent import process
from fencebus_host.routers.fence_agent.contract import Finished, Power, Verb, power_of, stdin_text
from fencebus_schemas.deadline import Deadline
from fencebus_schemas.model import Action
from tests.components import require_file, require_program, require_root
from tests.interop.programs import Make, client_program, daemon_command, run
from tests.interop.worlds import ALPHA, BETA, PAULA, write_world
from tests.libvirtd import Libvirtd, guest_xml
from tests.ports import free_tcp_port
from tests.protocol_client import Reply, Secret, ask_tcp, signed
from tests.server_process import ServerProcess

KEY = b"the guests' key"
SECRET = Secret(KEY)
ON, OFF, DONE, FAILED = 0, 2, 0, 1
SSHD = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
SetEnv LIBVIRT_DEFAULT_URI={uri}
"""


def secret_file(path: Path, text: str | bytes) -> Path:
    """A file that its owner alone may read."""
    path.touch(mode=0o600)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@dataclass
class Ours:
    """Our daemon with a fence agent as its router, on a TCP port of its own."""

    folder: Path
    port: int
    daemon: ServerProcess

    def ask(self, action: Action, target: str = "") -> Reply:
        """Its answer over TCP."""
        return ask_tcp(("127.0.0.1", self.port), signed(SECRET, action, target), SECRET)


@contextmanager
def ours(
    folder: Path, agent: str, options: Mapping[str, str], more: str = "", patience: float = 25.0
) -> Iterator[Ours]:
    """Our daemon, with one of Debian's agents and its options."""
    port = free_tcp_port()
    folder.mkdir(exist_ok=True)
    secret_file(folder / "key", KEY)
    secret_file(folder / "options", "".join(f"{key}={value}\n" for key, value in options.items()))
    config = secret_file(
        folder / "conf",
        f'fence_virtd {{ backend = "fence_agent"; state_dir = "{folder}/state"; request_timeout = "{patience:g}"; }}\n'
        f'listeners {{ tcp {{ key_file = "{folder}/key"; port = "{port}"; }} }}\n'
        f'backends {{ fence_agent {{ agent = "{agent}"; user = "root"; options_file = "{folder}/options"; {more} }} }}',
    )
    argv = [sys.executable, "-m", "fencebus_host.daemon", "-F", "-d1", "-f", config, "-p", folder / "pid"]
    with ServerProcess([str(part) for part in argv], folder / "log") as daemon:
        daemon.wait_for_output("fence_virtd ready")
        yield Ours(folder, port, daemon)


# -- fence_virsh ----------


@contextmanager
def sshd(folder: Path, uri: str) -> Iterator[Mapping[str, str]]:
    """An sshd on loopback in which virsh sees one libvirt; brings fence_virsh's options for it."""
    program = require_program("sshd", "openssh-server")
    require_program("virsh", "libvirt-clients")
    port = free_tcp_port()
    for key in ("host_key", "user_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (folder / "sshd_config").write_text(SSHD.format(port=port, folder=folder, uri=uri))
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    known = f"-o UserKnownHostsFile={folder}/known -o StrictHostKeyChecking=yes"
    shell = r"""-t '/bin/bash -c "PS1=\\[EXPECT\\]# /bin/bash --noprofile --norc"'"""
    with ServerProcess([program, "-D", "-e", "-f", folder / "sshd_config"], folder / "sshd.log") as server:
        server.wait_for_tcp(port)
        yield {
            "ip": "127.0.0.1",
            "ipport": str(port),
            "username": "root",
            "identity_file": f"{folder}/user_key",
            "ssh_options": f"{known} {shell}",
        }


@pytest.fixture
def guest(libvirtd: Libvirtd) -> Iterator[tuple[str, str]]:
    """A machine that runs: its name and UUID."""
    name, vm = f"agents-{uuid4().hex[:8]}", str(uuid4())
    libvirtd.revive()
    libvirtd.admin.defineXML(guest_xml(name, vm)).create()
    yield name, vm
    libvirtd.discard(vm)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_fence_virsh_fences_a_real_machine_over_ssh(tmp_path: Path, libvirtd: Libvirtd, guest: tuple[str, str]) -> None:
    require_program("fence_virsh", "fence-agents")
    name, vm = guest
    pid = libvirtd.qemu_pid(name)
    mapped = f'vm {{ name = "{name}"; uuid = "{vm}"; }}'
    with sshd(tmp_path, libvirtd.uri) as options, ours(tmp_path, "fence_virsh", options, mapped) as daemon:
        # Each run is a login: too slow on a busy machine for the patience of the tests' own client.
        client = [str(client_program(Make.C, "fence_virt")), "-k", str(tmp_path / "key"), "-T", "127.0.0.1"]
        done = run([*client, "-p", str(daemon.port), "-o", "reboot", "-n", vm])
        assert done.status == DONE, done.err + daemon.daemon.output
        again = libvirtd.qemu_pid(name)
        assert again != pid
        assert not alive(pid)
        done = run([*client, "-p", str(daemon.port), "-o", "off", "-n", name])
        assert done.status == DONE, done.err + daemon.daemon.output
        assert not alive(again)
        assert "reason=proven-off" in daemon.daemon.output
        assert "user_key" not in daemon.daemon.output


def test_fence_virsh_lists_what_is_there_and_a_lost_login_is_a_failure(
    tmp_path: Path, libvirtd: Libvirtd, guest: tuple[str, str]
) -> None:
    require_program("fence_virsh", "fence-agents")
    name, _ = guest
    with sshd(tmp_path, libvirtd.uri) as options, ours(tmp_path, "fence_virsh", options, patience=8.0) as daemon:
        # Each run is a login, which may take longer than its time on a busy machine.
        daemon.daemon.wait_until(lambda: name in daemon.ask(Action.LIST).states(), what="listing it")
        (tmp_path / "user_key.pub").write_text("")
        assert daemon.ask(Action.OFF, name).code == FAILED
        assert libvirtd.admin.lookupByName(name).isActive()


# -- C's fence_virt on C's daemon ----------


@contextmanager
def c_daemon(folder: Path) -> Iterator[Mapping[str, str]]:
    """C's daemon on libvirt's test driver, and the options with which C's client reaches it."""
    folder.mkdir()
    port = free_tcp_port()
    key = secret_file(folder / "c_key", b"C's key")
    uri = write_world(folder / "world.xml", (ALPHA, BETA, PAULA))
    config = secret_file(
        folder / "conf",
        'fence_virtd { listener = "tcp"; backend = "libvirt"; }\n'
        f'listeners {{ tcp {{ key_file = "{key}"; port = "{port}"; address = "127.0.0.1"; }} }}\n'
        f'backends {{ libvirt {{ uri = "{uri}"; }} }}\n',
    )
    with ServerProcess([*daemon_command(Make.C), "-F", "-f", config, "-p", folder / "pid"], folder / "log") as server:
        # Not by a connection: C's daemon waits for what that has to say.
        server.wait_until(lambda: f":{port:04X} " in Path("/proc/net/tcp").read_text())
        try:
            yield {"ipaddr": "127.0.0.1", "ipport": str(port), "key_file": str(key)}
        finally:
            server.stop(signal.SIGKILL)  # it looks at SIGTERM only between two waits


def test_cs_fence_virt_asks_cs_daemon_for_us(tmp_path: Path) -> None:
    require_root()
    require_file("/usr/sbin/fence_virt", "fence-virt")
    with c_daemon(tmp_path / "c") as options, ours(tmp_path, "fence_virt", options) as daemon:
        states = daemon.ask(Action.LIST).states()
        assert {"alpha", "beta", "paula"} <= set(states)
        assert daemon.ask(Action.STATUS, "alpha").code == ON
        assert daemon.ask(Action.STATUS, "beta").code == OFF
        assert daemon.ask(Action.OFF, ALPHA.uuid).code == DONE, daemon.daemon.output
        assert daemon.ask(Action.STATUS, "alpha").code == OFF
        assert daemon.ask(Action.ON, "alpha").code == DONE
        assert daemon.ask(Action.REBOOT, "alpha").code == DONE
        assert daemon.ask(Action.STATUS, "alpha").code == ON
        assert daemon.ask(Action.STATUS, "nobody").code == FAILED


def test_a_c_daemon_that_goes_away_fails_our_fences_and_nothing_else(tmp_path: Path) -> None:
    require_root()
    require_file("/usr/sbin/fence_virt", "fence-virt")
    with c_daemon(tmp_path / "c") as options, ours(tmp_path, "fence_virt", options) as daemon:
        assert daemon.ask(Action.STATUS, "alpha").code == ON
        gone = {**options, "ipport": str(free_tcp_port())}
    with ours(tmp_path / "later", "fence_virt", gone, patience=3.0) as daemon:
        assert daemon.ask(Action.OFF, "alpha").code == FAILED
        assert daemon.ask(Action.MONITOR).code == FAILED


# -- fence_dummy ----------


async def test_fence_dummy_keeps_the_contract_that_we_rely_on(tmp_path: Path) -> None:
    """It is no router, as it knows no VMs; but it is the fencing library's own example of the contract."""
    program = require_program("fence_dummy", "fence-agents")
    options = (("status_file", f"{tmp_path}/state"),)

    async def ask(verb: Verb) -> Finished:
        return await process.run(program, stdin_text(options, verb), None, Deadline.after(30))

    (tmp_path / "state").write_text("on")
    assert power_of(await ask(Verb.STATUS)) is Power.ON
    assert (await ask(Verb.OFF)).done
    assert (await ask(Verb.OFF)).done, "what is off already is no failure"
    assert power_of(await ask(Verb.STATUS)) is Power.OFF
    assert (await ask(Verb.ON)).done


async def test_an_interpreter_that_does_not_find_an_agents_program_ends_as_an_off_would(tmp_path: Path) -> None:
    """Why exit status 2 alone is no OFF."""
    agent = tmp_path / "fence_lost"
    agent.write_text(
        f"#!{sys.executable} -IS\nimport os, sys\nos.execv(sys.executable, [sys.executable, '/nowhere.py'])\n"
    )
    agent.chmod(0o755)
    lost = await process.run(agent, b"", None, Deadline.after(30))
    assert lost.status == 2
    assert power_of(lost) is Power.UNKNOWN
    assert os.path.basename(sys.executable) in lost.trouble or "can't open file" in lost.trouble
