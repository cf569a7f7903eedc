"""Nothing stands in the documentation that is not tried: every command is known here with the test that runs it.

A new command on a page fails these tests until somebody has it run, or says here why that cannot be.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from fencebus_agent.libvirt_driver.reading import LABEL_NAMESPACE
from fencebus_host.config.load import load_text
from fencebus_schemas.model import Reason
from tests.components import CHECKOUT, require_program
from tests.documents import Page, blocks, commands, configurations, rows

PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (CHECKOUT / "docs").glob("*.md")))

DECISIONS = tuple((CHECKOUT / "docs" / "decisions").glob("*.md"))
FIRST_WORDS = (
    *(
        "apt-get",
        "cat",
        "chmod",
        "crm",
        "dd",
        "fence_virt",
        "fence_virtctl",
        "fence_virtd",
        "fence_xvm",
        "fencebus_broker",
        "firewall-cmd",
        "journalctl",
    ),
    *(
        "install",
        "kill",
        "make",
        "mkdir",
        "pcs",
        "pip",
        "promtool",
        "rabbitmqctl",
        "restorecon",
        "systemctl",
        "udevadm",
        "virsh",
    ),
)
"""What a command begins with; other lines apart are output, logs or pictures."""

FRESH_ROOT = "tests/package/test_debian_packages.py::"
RUN = {
    "README.md": {
        r"make \w+": "tests/package/test_documentation.py::test_make_knows_every_target_of_the_pages",
        r"mkdir -p /etc/cluster": FRESH_ROOT + "test_the_quick_start_of_each_listener_needs_no_more_than_it_says",
        r"apt-get install ./dist/": FRESH_ROOT
        + "test_apt_puts_ours_in_the_place_of_debians_and_back_and_keeps_what_the_administrator_made",
        r"pip install": "tests/package/test_distribution.py::test_the_client_runs_where_nothing_else_is_installed",
    },
    "docs/packages.md": {
        r"apt-get install \S+$": FRESH_ROOT
        + "test_apt_puts_ours_in_the_place_of_debians_and_back_and_keeps_what_the_administrator_made",
        r"apt-get install fence-virt fence-virtd": FRESH_ROOT
        + "test_apt_puts_ours_in_the_place_of_debians_and_back_and_keeps_what_the_administrator_made",
        r"firewall-cmd": "tests/package/test_firewall_and_policies.py::"
        "test_firewalld_takes_the_services_and_the_line_of_the_documentation",
        r"make -f /usr/share/selinux": "tests/package/test_firewall_and_policies.py::"
        "test_the_selinux_module_compiles_and_names_every_folder_of_the_daemon",
        r"(apt-get|mkdir|dd|cat|chmod|fence_virtctl|fence_virtd|fence_virt|kill) ": FRESH_ROOT
        + "test_the_quick_start_leads_to_a_proven_fence_within_five_minutes",
    },
    "docs/migration.md": {
        r"(fence_virtctl (config|doctor)|systemctl restart|fence_xvm )": FRESH_ROOT
        + "test_a_host_of_the_c_daemon_is_moved_as_the_page_says",
    },
    "docs/guests-without-network.md": {
        r"virsh metadata": "tests/package/test_documentation.py::test_virsh_sets_a_label_as_the_page_says",
    },
    "docs/bus.md": {
        r"(install|dd|chmod) ": "tests/interop/test_bus_page.py::"
        "test_the_quick_start_leads_to_hosts_that_fence_each_others_vms",
    },
    "docs/host-death.md": {
        r"fence_virtctl host ": "tests/interop/test_dead_hosts.py::"
        "test_a_dead_hosts_vms_are_off_by_its_agents_status_by_its_agents_act_and_by_an_operators_word",
    },
    "docs/web.md": {
        r"fence_virtctl web": "tests/host_agent/ctl/test_web_command.py::"
        "test_the_commands_of_the_page_serve_until_they_are_interrupted",
    },
    "docs/metrics.md": {
        r"promtool check rules ": "tests/host_agent/metrics/test_alert_rules.py::"
        "test_promtool_takes_the_rules_and_every_one_is_tried",
    },
    "docs/brokers.md": {
        r"(fencebus_broker render|mkdir) ": "tests/broker_config/test_page.py::"
        "test_every_site_of_the_page_can_be_rendered",
        r"fencebus_broker check ": "tests/broker_config/test_program.py::"
        "test_all_is_well_for_a_host_at_both_brokers_and_between_them",
        r"rabbitmqctl cluster_status": "tests/broker_config/test_cluster.py::"
        "test_rabbitmqs_own_program_sees_three_nodes_as_the_page_says",
        r"rabbitmqctl (eval|import_definitions) ": "tests/broker_config/test_page.py::"
        "test_rabbitmqs_own_program_takes_the_commands_of_the_page",
    },
    "docs/watching.md": {
        r"fence_virtctl ": "tests/host_agent/ctl/test_watching_page.py::"
        "test_every_command_on_the_page_does_what_it_says",
        r"journalctl ": "tests/package/test_unit_runs.py::test_the_journal_finds_all_that_a_request_left_by_its_id",
    },
    "docs/fence_virtctl.md": {
        r"fence_virtctl ": "tests/host_agent/ctl/test_documentation.py::test_every_command_on_the_page_works",
    },
}
"""For each page: what a command begins with, and the test that runs it."""
NOT_RUN = {
    r"restorecon ": "no test machine has SELinux in its kernel",
}


def typed(page: str) -> list[str]:
    """The commands of a page."""
    text = Page(page).text
    others = [line for block in blocks(text) for line in block.splitlines() if line.startswith(("virsh ", "udevadm "))]
    return [line for line in [*commands(text), *others] if line.split()[0] in FIRST_WORDS]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_run_by_a_test_or_excused(page: str) -> None:
    patterns = [*RUN.get(page, {}), *NOT_RUN]
    assert [line for line in typed(page) if not any(re.match(pattern, line) for pattern in patterns)] == []


@pytest.mark.parametrize("page", (*PAGES, *(f"docs/decisions/{path.name}" for path in DECISIONS)))
def test_every_link_of_a_page_leads_to_a_file_or_a_title(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", Page(page).text):
        name, _, title = target.partition("#")
        file = (CHECKOUT / page).parent / name if name else CHECKOUT / page
        assert file.exists(), target
        titles = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE) if title else []
        assert not title or title in {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in titles}, target


def test_both_packages_of_the_daemon_bring_the_pages_that_its_words_name() -> None:
    packaging = CHECKOUT / "packaging"
    assert {"README.md", "docs"} == set((packaging / "debian" / "fencebus-daemon.docs").read_text().split())
    assert (
        "cp -r README.md docs %{buildroot}/usr/share/doc/fencebus-daemon/"
        in (packaging / "rpm/fencebus.spec").read_text()
    )
    for file in (CHECKOUT / "host_agent").rglob("*.py"):
        for named in re.findall(r"\bdocs/[\w-]+\.md", file.read_text("utf-8")):
            assert (CHECKOUT / named).exists(), (file, named)


def test_no_entry_of_the_lists_is_left_over() -> None:
    for page, known in RUN.items():
        for pattern in known:
            assert any(re.match(pattern, line) for line in typed(page)), (page, pattern)
    everything = [line for page in PAGES for line in typed(page)]
    assert all(any(re.match(pattern, line) for line in everything) for pattern in NOT_RUN)


def test_the_tests_that_are_named_are_there() -> None:
    for where in {where for known in RUN.values() for where in known.values()}:
        file, _, name = where.partition("::")
        assert f"def {name}(" in (CHECKOUT / file).read_text(encoding="utf-8"), where


def test_make_knows_every_target_of_the_pages() -> None:
    make = require_program("make", "make")
    targets = [line.split()[1] for page in PAGES for line in typed(page) if re.match(r"make \w+", line)]
    assert {"demo", "test", "bench", "package", "guest", "fuzz", "soak"} == set(targets)
    done = subprocess.run([make, "--dry-run", *set(targets)], cwd=CHECKOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES)
def test_every_configuration_of_a_page_loads(page: str) -> None:
    for text in configurations(Page(page).text):
        assert load_text(text, page, read_keys=False).listeners


def elements(page: str) -> Iterator[str]:
    """The pieces of libvirt's XML on a page, each as it would stand in a domain."""
    for text in blocks(Page(page).text, "xml"):
        piece = text.replace("...", "").strip()
        if piece.startswith("<source"):
            piece = f"<serial type='unix'>{piece}<target port='1'/></serial>"
        yield piece if piece.startswith(("<domain", "<metadata")) else f"<devices>{piece}</devices>"


@pytest.mark.parametrize("page", PAGES)
def test_libvirt_takes_every_piece_of_xml_of_a_page_and_keeps_it(page: str, tmp_path: Path) -> None:
    virsh = require_program("virsh", "libvirt-clients")
    head = "<name>documented</name><memory>1024</memory><os><type>hvm</type></os>"
    for number, piece in enumerate(elements(page)):
        whole = piece if piece.startswith("<domain") else f"<domain type='test'>{head}{piece}</domain>"
        whole = re.sub(r"(<domain type=)'kvm'([^>]*>)", rf"\1'test'\2{head}", whole)
        file = tmp_path / f"{number}.xml"
        file.write_text(whole)
        script = f"define {file}; dumpxml documented"
        done = subprocess.run([virsh, "-c", "test:///default", script], capture_output=True, text=True)
        assert done.returncode == 0, (piece, done.stderr)
        for name in re.findall(r"(?:name|path)='([^']+)'", piece):
            assert name in done.stdout, piece


def test_virsh_sets_a_label_as_the_page_says() -> None:
    virsh = require_program("virsh", "libvirt-clients")
    (line,) = typed("docs/guests-without-network.md")
    asked = line.removeprefix("virsh ").replace("metadata VM", "metadata test")
    script = f"{asked}; dumpxml test"
    done = subprocess.run([virsh, "-c", "test:///default", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert re.search(rf'<fencebus:cluster xmlns:fencebus="{LABEL_NAMESPACE}">blue</fencebus:cluster>', done.stdout)


def test_the_transcript_of_the_readme_is_what_the_demo_prints() -> None:
    done = subprocess.run([sys.executable, "-m", "fencebus_host.demo"], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
    # The port is another one each time, and so is the time that a step took.
    said = re.sub(r"-p \d+", "-p PORT", re.sub(r"(exit status \d+), \d+ ms", r"\1", done.stdout))
    found = re.findall(r"(?:^    .*\n)+", Page("README.md").section("Quick start"), re.MULTILINE)
    transcript = next(text for text in found if "$ fence_virt" in text)
    steps = re.split(
        r"(?=^\$ )",
        re.sub(r"-p \d+", "-p PORT", re.sub(r"^    ", "", transcript, flags=re.MULTILINE)),
        flags=re.MULTILINE,
    )
    for step in filter(None, steps):
        assert step.rstrip("\n") in said, step


def test_the_operators_page_has_every_reason_of_an_outcome() -> None:
    assert {reason.value for reason in Reason} - codes("Reasons") == set()


OF_THE_CLIENT = {"name-length", "name-nul", "empty-record", "list-length", "no-key", "magic", "flags", "padding"}
"""Codes of what a client finds in what it sends or gets; the daemon refuses nobody for them."""


def words_of(files: Iterable[Path], places: Mapping[str, int]) -> set[str]:
    """The words that stand at these places of the calls of functions and methods with these names."""
    found = set()
    for call in (node for file in files for node in ast.walk(ast.parse(file.read_text("utf-8")))):
        if isinstance(call, ast.Call):
            called = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            place = places.get(called, len(call.args))
            word = call.args[place] if place < len(call.args) else None
            if isinstance(word, ast.Constant) and isinstance(word.value, str):
                found.add(word.value)
    return found - {""}


def codes(section: str) -> set[str]:
    """What stands in the first column of the section's tables."""
    return {
        code for row in rows(Page("docs/operations.md").section(section)) for code in re.findall(r"[a-z0-9-]+", row[0])
    }


HOST = CHECKOUT / "host_agent" / "fencebus_host"


def test_the_operators_page_has_every_reason_for_which_a_request_is_turned_away() -> None:
    """The codes that the daemon's doors, and the codecs behind them, give to what they turn away."""
    schemas = CHECKOUT / "schemas" / "fencebus_schemas"
    files = [*(HOST / "listeners").glob("*.py"), *(HOST / f"{name}.py" for name in ("door", "replay", "line_session"))]
    files += [schemas / f"{name}.py" for name in ("xvm", "handshake", "digest", "serialline")]
    given = words_of(files, {"WireError": 0, "AuthError": 0, "_refuse": 0})
    assert given - codes("Requests that are turned away") == OF_THE_CLIENT


def test_the_operators_page_has_every_mistake_of_a_configuration() -> None:
    given = words_of(
        (HOST / "config").glob("*.py"), {"error": 1, "warning": 1, "_report": 0, "Repair": 0, "unknown": 2}
    )
    assert len(given) > 40
    assert given - codes("Mistakes in the configuration") == set()


def test_the_operators_page_has_every_finding_of_both_doctors() -> None:
    given = words_of((HOST / "ctl" / "doctor").glob("*.py"), {"good": 0, "odd": 0, "bad": 0, "tell": 0})
    given |= words_of([CHECKOUT / "guest_client" / "fencebus_guest" / "doctor.py"], {"Finding": 1})
    assert len(given) > 30
    assert given - codes("What the doctor finds") == set()
