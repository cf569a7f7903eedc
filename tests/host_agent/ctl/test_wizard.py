"""`fence_virtctl config wizard`: it asks only what it cannot find, and writes nothing that was not shown."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path

import pytest

from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.load import load, system_host_name
from fencebus_host.config.model import MulticastSettings, SerialMode, SerialSettings, TcpSettings, VsockSettings
from fencebus_host.config.values import BadValueError
from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.survey import Guest, Hypervisor, Site, ask, survey
from fencebus_host.ctl.wizard.questions import Question, first_questions, further_questions, members
from fencebus_host.ctl.writing import why_not_writable
from fencebus_schemas.fingerprint import fingerprint
from tests.host_agent.ctl.calls import Called, call
from tests.interop.worlds import ALPHA, BETA, EVERY_KIND, write_world

Printed = pytest.CaptureFixture[str]
QEMU = "qemu:///system"


class House:
    """A host with two VMs, and a folder that stands for its file system."""

    def __init__(self, folder: Path, capsys: Printed) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.file, self.key = folder / "etc" / "fence_virt.conf", folder / "etc" / "fence_xvm.key"
        self.uri = write_world(folder / "world.xml", EVERY_KIND)
        self.printed = capsys

    def bridge(self, name: str) -> None:
        (self.root / "sys/class/net" / name / "bridge").mkdir(parents=True)

    def wizard(self, *more: str, answers: str = "", **given: str) -> Called:
        given = {"uri": self.uri, "key_file": str(self.key), **given}
        settings = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
        return call(
            self.printed, "config", "wizard", "-f", self.file, "--root", self.root, *settings, *more, answers=answers
        )


@pytest.fixture
def house(tmp_path: Path, capsys: Printed) -> House:
    return House(tmp_path, capsys)


def test_with_one_bridge_only_the_group_is_asked_for(house: House) -> None:
    house.bridge("virbr0")
    found = house.wizard(answers="alpha, beta\ny\n")
    assert found.status == ExitCode.OK, found
    (listener,) = load(house.file).listeners
    assert isinstance(listener, MulticastSettings)
    assert listener.interface == "virbr0"
    (group,) = load(house.file).groups or ()
    assert group.uuids == (ALPHA.uuid, BETA.uuid)
    assert "alpha, beta, paula, trans" in found.out
    assert found.out.count("[none]") == 1


def test_of_several_bridges_one_is_asked_for_and_a_bad_answer_is_asked_again(house: House) -> None:
    house.bridge("br0")
    house.bridge("br1")
    found = house.wizard(answers='broadcast\nmulticast\nb"r\nbr1\n\ny\n')
    assert found.status == ExitCode.OK, found
    assert "listener is one of multicast" in found.out
    assert "cannot hold a quote" in found.out
    (listener,) = load(house.file).listeners
    assert isinstance(listener, MulticastSettings)
    assert listener.interface == "br1"


def test_without_a_yes_nothing_is_written_and_no_key_made(house: House) -> None:
    house.bridge("virbr0")
    for answers in ("\n\n", "\nn\n", ""):
        assert house.wizard(answers=answers).status == ExitCode.DECLINED
    assert not house.file.exists()
    assert not house.key.exists()


def test_a_script_gets_by_without_a_question(house: House) -> None:
    found = house.wizard("--yes", listener="tcp", group="alpha,other")
    assert found.status == ExitCode.OK, found
    (listener,) = load(house.file).listeners
    assert isinstance(listener, TcpSettings)
    assert listener.address == "0.0.0.0"
    assert "no hypervisor here has a VM other" in found.out
    assert "pcs stonith create fence_vm fence_virt ipaddr=ADDRESS_OF_THE_HOST" in found.out
    assert "crm configure primitive fence_vm" in found.out


def test_the_key_is_new_random_private_and_never_replaced(house: House) -> None:
    house.wizard("--yes", listener="tcp")
    key = house.key.read_bytes()
    assert len(key) == 4096
    assert len(set(key)) > 200
    assert house.key.stat().st_mode & 0o777 == 0o600
    found = house.wizard("--yes", listener="multicast")
    assert house.key.read_bytes() == key
    assert fingerprint(key) in found.out


def test_a_file_that_is_there_is_shown_as_a_difference_and_kept(house: House) -> None:
    house.wizard("--yes", listener="tcp", address="127.0.0.1")
    old = house.file.read_text()
    found = house.wizard("--yes", listener="tcp", address="127.0.0.2")
    assert '-        address = "127.0.0.1";' in found.out
    assert '+        address = "127.0.0.2";' in found.out
    assert house.file.with_name("fence_virt.conf.bak").read_text() == old


def test_the_key_that_the_guests_have_stays_and_groups_do_not_go_without_a_word(house: House) -> None:
    old = house.key.with_name("old.key")
    house.wizard("--yes", listener="tcp", key_file=str(old), group="alpha,beta")
    root = ("--root", house.root, "--set", f"uri={house.uri}")
    found = call(house.printed, "config", "wizard", "-f", house.file, *root, "--set", "listener=multicast", "--yes")
    assert f"{old} (the one of the file that is here" in found.out
    assert "note: the groups of the old file are not in the new one" in found.out
    (listener,) = load(house.file).listeners
    assert isinstance(listener, MulticastSettings)
    assert listener.key_files == (old,)
    house.file.write_text("what nobody can read")
    assert (
        "(the usual place)" in call(house.printed, "config", "wizard", "-f", house.file, *root, answers="tcp\n\n").out
    )


def test_a_host_of_vdsm_is_left_to_vdsm(house: House) -> None:
    (house.root / "etc/vdsm").mkdir(parents=True)
    (house.root / "etc/vdsm/vdsm.conf").touch()
    found = house.wizard("--yes")
    assert found.status == ExitCode.FAILED
    assert "oVirt" in found.out
    assert not house.file.exists()


def test_corosync_on_this_host_is_told(house: House) -> None:
    (house.root / "etc/corosync").mkdir(parents=True)
    (house.root / "etc/corosync/corosync.conf").touch()
    assert "corosync is configured here" in house.wizard("--yes").out


def test_a_broker_on_this_host_is_told(house: House) -> None:
    tables = house.root / "proc/self/net"
    tables.mkdir(parents=True)
    listening = "0: 00000000:1628 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1"
    (tables / "tcp").write_text(f"  sl  local_address ...\n   {listening}\n")
    assert "message broker: something listens on port 5672" in house.wizard("--yes").out


@pytest.mark.parametrize(
    ("setting", "value"),
    (("listener", "x"), ("key_file", "relative"), ("color", "red"), ("group", 'a"b')),
)
def test_a_setting_that_means_nothing_is_a_usage_error(house: House, setting: str, value: str) -> None:
    assert house.wizard("--yes", **{setting: value}).status == ExitCode.USAGE


def test_an_answer_that_makes_no_valid_file_is_refused_before_anything_is_written(house: House) -> None:
    found = house.wizard("--yes", hosts=f"{system_host_name()},{system_host_name()}")
    assert found.status == ExitCode.BAD_CONFIG
    assert "repeated-host" in found.err
    assert not house.file.exists()


@pytest.mark.parametrize(
    ("answers", "said"),
    (
        ("tcp\n300.1.1.1\n192.0.2.1\n\ny\n", "300.1.1.1 is neither an IP address nor a host name"),
        ("Multicast\na/b\nbr7\n\ny\n", "is no name that an interface can have"),
        ("carrier pigeon\nTCP\n\n\ny\n", "listener is one of multicast, tcp"),
    ),
)
def test_nonsense_is_asked_again_at_once_and_not_told_at_the_end(house: House, answers: str, said: str) -> None:
    found = house.wizard(answers=answers)
    assert found.status == ExitCode.OK, found
    assert said in found.out
    assert ("note: br7 is no bridge of this host now" in found.out) == ("br7" in answers)
    assert load(house.file).listeners


def test_a_hypervisor_that_somebody_names_is_looked_at_too(house: House, capsys: Printed) -> None:
    settings = ("--set", f"key_file={house.key}", "--root", house.root, "-f", house.file)
    answers = f"what ever\n{house.uri}\ntcp\n\nalpha, beta\ny\n"
    found = call(capsys, "config", "wizard", *settings, answers=answers)
    assert found.status == ExitCode.OK, found
    for text in ("none is found on this host", "such as qemu:///system", "guests: alpha, beta"):
        assert text in found.out
    (group,) = load(house.file).groups or ()
    assert group.uuids == (ALPHA.uuid, BETA.uuid)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.file = house.root
    assert f"{house.root} is a folder" in house.wizard().err
    assert why_not_writable(house.root / "below" / "file") == ""
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    assert "run it as root" in why_not_writable(house.root / "below" / "file")


def test_at_a_terminal_a_resize_disturbs_nothing_and_ctrl_c_leaves_everything_as_it_was(house: House) -> None:
    argv = ["config", "wizard", "-f", house.file, "--root", house.root, "--set", f"uri={house.uri}"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "fencebus_host.ctl", *map(str, argv)])
    try:
        seen = read_until(terminal, b"[tcp]: ")
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 5, 20, 0, 0))  # the kernel sends SIGWINCH
        os.write(terminal, b"\x1b[Asemaphore\n")
        seen += read_until(terminal, b"[tcp]: ")
        assert b"listener is one of" in seen
        status = ended_by_ctrl_c(pid, terminal)
    finally:
        os.close(terminal)  # whoever is left is hung up
    assert os.waitstatus_to_exitcode(status) == ExitCode.DECLINED
    assert not house.file.exists()


def ended_by_ctrl_c(pid: int, terminal: int) -> int:
    """The status.  People press it again: a signal in the moment before input() waits is not heard until it returns."""
    seen = b""
    for _ in range(20):
        os.write(terminal, b"\x03")
        while select.select([terminal], [], [], 3)[0]:
            seen += os.read(terminal, 4096)
            if b"nothing was written" in seen:
                return os.waitpid(pid, 0)[1]
    raise AssertionError(seen)


def read_until(terminal: int, text: bytes) -> bytes:
    """What the terminal shows up to ``text``."""
    seen = b""
    while text not in seen:
        assert select.select([terminal], [], [], 60)[0], seen
        seen += os.read(terminal, 4096)
    return seen


@pytest.mark.parametrize(
    ("listener", "kind"), (("vsock", VsockSettings), ("serial", SerialSettings), ("vmchannel", SerialSettings))
)
def test_the_other_listeners_are_written_too(house: House, listener: str, kind: type) -> None:
    found = house.wizard("--yes", listener=listener)
    assert found.status == ExitCode.OK, found
    (settings,) = load(house.file).listeners
    assert isinstance(settings, kind)
    if isinstance(settings, SerialSettings):
        assert (settings.mode is SerialMode.VMCHANNEL) == (listener == "vmchannel")
        assert not house.key.exists()


def site(*guests: Guest, bridges: tuple[str, ...] = (), vsock: bool = False) -> Site:
    return Site((Hypervisor(QEMU, guests),), bridges, False, False, vsock)


def test_what_every_guest_has_is_not_asked_for() -> None:
    with_vsock = Guest("a", "u", True, vsock=True)
    with_serial = Guest("b", "v", True, serial=True)
    assert first_questions(site(with_vsock, vsock=True))[1].suggestion == "vsock"
    assert first_questions(site(with_vsock, with_serial, bridges=("br0",), vsock=True))[1].suggestion == "multicast"
    assert first_questions(site(with_serial))[1].suggestion == "serial"
    unsure = first_questions(site(Guest("c", "w", True)))[1]
    assert (unsure.suggestion, unsure.sure) == ("tcp", False)


def test_without_a_hypervisor_its_uri_is_asked_for() -> None:
    uri, _, _ = first_questions(Site((Hypervisor(QEMU, trouble="refused"),), (), False, False, False))
    assert (uri.sure, uri.suggestion) == (False, QEMU)


def test_a_serial_listener_needs_no_key() -> None:
    names = [question.name for question in further_questions(site(), {"listener": "serial", "hosts": "none"})]
    assert names == ["group"]


def test_a_group_is_names_with_commas_and_none_is_nobody() -> None:
    assert members(" a, b,,c ") == ("a", "b", "c")
    assert members("none") == members("") == ()
    with pytest.raises(BadValueError):
        Question("key_file", "", "", "").checked("x")


def test_a_real_hypervisor_tells_its_guests(tmp_path: Path) -> None:
    found = ask(write_world(tmp_path / "world.xml", EVERY_KIND))
    assert [(guest.name, guest.running) for guest in found.guests if guest.name in ("alpha", "beta")] == [
        ("alpha", True),
        ("beta", False),
    ]
    silent = ask("test:///nowhere.xml", patience=0.3)
    assert silent.trouble
    assert silent.guests == ()


def test_a_host_with_nothing_has_nothing(tmp_path: Path) -> None:
    assert survey(root=tmp_path) == Site((), (), False, False, False)


def test_the_daemon_starts_the_wizard_by_c(house: House) -> None:
    argv = [sys.executable, "-m", "fencebus_host.daemon", "-c", "-f", str(house.file)]
    done = subprocess.run(argv, input="", capture_output=True, text=True)
    assert done.returncode == ExitCode.DECLINED
    assert "host name: " in done.stdout
    assert not house.file.exists()


def test_hosts_that_fence_together_get_a_key_of_their_own_and_links_where_there_is_no_broker(house: House) -> None:
    me, bus_key = system_host_name(), house.key.with_name("bus.key")
    house.bridge("virbr0")
    found = house.wizard("--yes", hosts=f"{me},other", bus_key=str(bus_key))
    assert found.status == ExitCode.OK, found
    config = load(house.file)
    assert isinstance(config.backend, QmfSettings)
    assert (config.backend.url, config.backend.keys) == (f"peers://{me},other", (bus_key.read_bytes(),))
    assert (config.daemon.host_name, config.hosts) == (me, (me, "other"))
    assert config.backend.libvirt.uris == (house.uri,)
    assert f"copy {bus_key} to other" in found.out
    assert fingerprint(bus_key.read_bytes()) in found.out


@pytest.mark.parametrize(("hosts", "said"), (("a b,c", "letters, digits"), ("other,another", "name this one too")))
def test_a_list_of_hosts_that_could_not_start_is_no_answer(house: House, hosts: str, said: str) -> None:
    found = house.wizard("--yes", hosts=hosts)
    assert found.status == ExitCode.USAGE
    assert said in found.err


def test_where_a_broker_listens_it_is_asked_whether_the_hosts_use_it() -> None:
    found = replace(site(), broker_ports=(5672,))
    (hosts,) = [question for question in first_questions(found) if question.name == "hosts"]
    assert not hosts.sure
    answers = {"listener": "serial", "hosts": f"{system_host_name()},b"}
    url, key, _ = further_questions(found, answers)
    assert url.suggestion.startswith("amqp://")
    assert url.checked("amqps://u:p@b1,amqps://u:p@b2") == "amqps://u:p@b1,amqps://u:p@b2"
    with pytest.raises(BadValueError, match="has to begin with"):
        url.checked("broker")
    assert (key.name, key.sure) == ("bus_key", True)
