"""Man pages and completions say what the option tables say, and their readers find nothing wrong with them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_guest.options import LETTERS, options_of
from fencebus_host.config.command_line import OPTIONS
from fencebus_host.config.key_table import SECTIONS
from tests.components import CHECKOUT, require_program

PAGES = (
    "fence_virt.8",
    "fence_xvm.8",
    "fence_virtd.8",
    "fence_virtctl.8",
    "fencebus-agentd.8",
    "fencebus_broker.8",
    "fence_virt.conf.5",
)
# What bash's completion does is asked of bash itself: the words for a command line, one a line.
COMPLETE = """
source "$1"
COMP_WORDS=("${@:2}"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_"$2" "$2"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that packaging/pages.py fills."""
    folder = tmp_path_factory.mktemp("pages")
    subprocess.run([sys.executable, CHECKOUT / "packaging" / "pages.py", folder], check=True, timeout=50)
    return folder


def words(text: str) -> str:
    """Return roff without its marks, as a reader sees it."""
    return re.sub(r"\\f.|\\&", "", text).replace("\\-", "-").replace("\\e", "\\")


@pytest.mark.parametrize("page", PAGES)
def test_mandoc_and_man_find_nothing_wrong(pages: Path, page: str) -> None:
    path = pages / "man" / page
    mandoc = require_program("mandoc", package="mandoc")
    lint = subprocess.run([mandoc, "-Tlint", "-Wwarning", path], capture_output=True)
    assert (lint.returncode, lint.stdout, lint.stderr) == (0, b"", b"")
    man = require_program("man", package="man-db")
    terminal = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    shown = subprocess.run([man, "--warnings", "-l", "-Tutf8", "-Z", path], capture_output=True, env=terminal)
    assert (shown.returncode, shown.stderr) == (0, b"")


@pytest.mark.parametrize("program", tuple(LETTERS))
def test_a_clients_page_has_each_option_of_its_table(pages: Path, program: str) -> None:
    page = words((pages / "man" / f"{program}.8").read_text())
    for option in options_of(program):
        if not option.hidden and option.letter != "?":
            assert re.search(rf"^-{option.letter}[ ,].*\n{re.escape(option.text)}$", page, re.MULTILINE), option.letter


def test_the_daemons_page_has_each_option_of_its_table(pages: Path) -> None:
    page = words((pages / "man" / "fence_virtd.8").read_text())
    for option in OPTIONS:
        assert f"--{option.name}" in page


def test_the_configurations_page_has_each_key_of_each_section(pages: Path) -> None:
    page = words((pages / "man" / "fence_virt.conf.5").read_text())
    parts = page.split(".SS ")[1:]
    assert len(parts) == len(SECTIONS)
    for section, part in zip(SECTIONS, parts, strict=True):
        for key in section.keys:
            assert f"\n.TP\n{key.name}\n" in part, f"{section.path}/{key.name}"


def test_the_control_programs_page_has_its_commands(pages: Path) -> None:
    page = words((pages / "man" / "fence_virtctl.8").read_text())
    for command in ("config check", "config convert", "config wizard", "doctor"):
        assert f'.SS "{command}' in page


def complete(pages: Path, *line: str) -> list[str]:
    """Return what bash offers for the last word of the command line."""
    bash = require_program("bash", package="bash")
    done = subprocess.run(
        [bash, "-c", COMPLETE, "bash", pages / "bash" / line[0], *line], capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_options_and_their_values(pages: Path) -> None:
    assert complete(pages, "fence_xvm", "--mul") == ["--multicast-address"]
    assert complete(pages, "fence_xvm", "-o", "re") == ["reboot"]
    assert complete(pages, "fence_virt", "--hash", "sha5") == ["sha512"]
    assert "/etc/passwd" in complete(pages, "fence_virt", "-k", "/etc/pass")
    assert complete(pages, "fence_virtd", "--conf") == ["--config", "--configure"]
    assert complete(pages, "fencebus-agentd", "--c") == ["--ca-file", "--cert-file", "--certkey-file"]
    assert complete(pages, "fence_virt", "-n", "") == []


def test_the_control_program_completes_by_itself(pages: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "fence_virtctl"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom fencebus_host.ctl.__main__ import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert complete(pages, "fence_virtctl", "con") == ["config"]
    assert complete(pages, "fence_virtctl", "config", "ch") == ["check"]


def test_the_program_for_brokers_completes_by_itself(
    pages: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "fencebus_broker"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom fencebus_broker.__main__ import main\nsys.exit(main())\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert complete(pages, "fencebus_broker", "ren") == ["render"]
    assert complete(pages, "fencebus_broker", "render", "--broker", "rab") == ["rabbitmq"]


def test_zsh_reads_its_completions(pages: Path) -> None:
    zsh = require_program("zsh", package="zsh")
    files = sorted((pages / "zsh").iterdir())
    assert [path.name for path in files] == [
        "_fence_virt",
        "_fence_virtctl",
        "_fence_virtd",
        "_fencebus-agentd",
        "_fencebus_broker",
    ]
    for path in files:
        assert path.read_text().startswith("#compdef fence")
        read = subprocess.run([zsh, "-fn", path], capture_output=True)
        assert (read.returncode, read.stderr) == (0, b"")
