"""What docs/brokers.md has its readers type: each site can be rendered, and RabbitMQ takes the rest."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fencebus_broker.rights import agent
from fencebus_broker.site import LINK_USER, VHOST
from tests.components import require_program
from tests.documents import Page, commands, rows
from tests.rabbitmq_rendered import Brokers

PAGE = Page("docs/brokers.md")


def typed(program: str) -> list[list[str]]:
    """The page's commands of a program, each as its words after the program's name."""
    return [shlex.split(line)[1:] for line in commands(PAGE.text) if line.split()[0] == program]


def test_every_site_of_the_page_can_be_rendered(tmp_path: Path) -> None:
    require_program("openssl", package="openssl")
    sites = [words for words in typed("fencebus_broker") if words[0] == "render"]
    assert len(sites) == 5
    (with_its_ca,) = (line for line in commands(PAGE.text) if line.startswith("mkdir "))
    for number, words in enumerate(sites):
        folder, out = tmp_path / str(number), words[words.index("--out") + 1]
        if out == "blue":  # beside the first one
            folder = tmp_path / "0"
            subprocess.run(["sh", "-ec", with_its_ca], cwd=folder, check=True)
        folder.mkdir(exist_ok=True)
        argv = [sys.executable, "-m", "fencebus_broker", *words]
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert (folder / out / "README").exists()
    papers = [
        (tmp_path / place).read_bytes() for place in ("0/site/private/ca.pem", "0/blue/hosts/hostx/etc/fencebus/ca.pem")
    ]
    assert papers[0] == papers[1]
    assert (tmp_path / "0/site/brokers/rabbit@hosta/etc/rabbitmq/rabbitmq.conf").exists()
    url = (tmp_path / "1/site/hosts/hostb/etc/fencebus/url").read_text()
    assert "@broker1:5671/fencebus" in url.partition(",")[0]
    assert "@broker2:" in (tmp_path / "1/site/hosts/hostd/etc/fencebus/url").read_text().partition(",")[0]


@pytest.mark.xdist_group("federated-brokers")
@pytest.mark.timeout(300)
def test_rabbitmqs_own_program_takes_the_commands_of_the_page(federation: Brokers) -> None:
    node = federation.nodes[0]
    asked = [words for words in typed("rabbitmqctl") if words[0] in ("eval", "import_definitions")]
    assert len(asked) == 2
    for words in asked:
        own = [word.replace("/etc/rabbitmq", str(node.folder / "etc/rabbitmq")) for word in words]
        said = node.control(*own)
        if words[0] == "eval":
            assert said.count("{status,running}") == 2, said


def test_the_table_of_rights_names_every_kind_of_user() -> None:
    kinds = [row[0] for row in rows(PAGE.section("Who may do what"))]
    assert [kind.split("`")[0].split(" (")[0] for kind in kinds] == ["a host", "watcher", "an operator", LINK_USER]
    assert VHOST in PAGE.text
    assert str(agent("hosta")) == "fencebus:libvirt-qmf:hosta"
