"""Every command and configuration on the pages about fence_virtctl and about migration does what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fencebus_host.config.load import load_text
from fencebus_host.ctl.exit_codes import ExitCode
from tests.components import CHECKOUT
from tests.daemon_process import DaemonProcess
from tests.host_agent.ctl.calls import call
from tests.host_agent.ctl.test_convert_command import CLUSTER
from tests.interop.worlds import EVERY_KIND, write_world

PAGES = ("fence_virtctl.md", "migration.md")
DONE = {ExitCode.OK, ExitCode.DIFFERENT, ExitCode.WARNING, ExitCode.BROKEN}


def page(name: str) -> str:
    return (CHECKOUT / "docs" / name).read_text()


def commands(name: str) -> list[str]:
    """The lines of the page that stand apart and call fence_virtctl."""
    return re.findall(r"^ {4,7}(fence_virtctl .*)$", page(name), re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_every_command_on_the_page_works(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = write_world(tmp_path / "world.xml", EVERY_KIND)
    (tmp_path / "root").mkdir()
    with DaemonProcess(tmp_path) as daemon:
        daemon.wait_ready()
        (tmp_path / "fence_virt.conf.bak").write_bytes(daemon.config_file.read_bytes())
        (tmp_path / "cluster.conf").write_text(CLUSTER.replace("KEY", str(daemon.key_file)))
        found = commands(name)
        assert found
        for command in found:
            daemon.configure()
            words = shlex.split(command)[1:]
            words = [re.sub(r"^/etc/(cluster/)?", f"{tmp_path}/", word) for word in words]
            if "wizard" in words:
                words += ["-f", str(tmp_path / "made.conf"), "--root", str(tmp_path / "root")]
                words += ["--set", f"uri={uri}", "--set", f"key_file={daemon.key_file}"]
            elif words[0] == "config" and words[1] in ("check", "show", "diff", "export-cmd"):
                words += [] if str(daemon.config_file) in words else [str(daemon.config_file)]
            elif words[0] == "doctor":
                words += ["-f", str(daemon.config_file), "--root", str(tmp_path / "root")]
            done = call(capsys, *words)
            assert done.status in DONE, (command, done)


@pytest.mark.parametrize("name", PAGES)
def test_every_configuration_on_the_page_loads(name: str) -> None:
    for text in re.findall(r"^```\n(.*?)^```$", page(name), re.MULTILINE | re.DOTALL):
        assert load_text(text, name, read_keys=False).listeners


def test_the_page_names_every_exit_status() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", page("fence_virtctl.md"), re.MULTILINE)
    assert [(int(number), name) for number, name in rows] == [(code.value, code.name) for code in ExitCode]
