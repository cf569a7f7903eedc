"""Debian's package manager puts our packages in the place of the C programs' and back, and loses nothing on the way."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fencebus_host.config.load import load_text
from tests.components import require_program
from tests.documents import Page, blocks, lines_apart, rows
from tests.package.fresh_root import FreshRoot, pristine
from tests.package.made_packages import made_packages

pytestmark = pytest.mark.timeout(300)

CONFIG = "/etc/fence_virt.conf"
KEY = "/etc/fence_virt.key"
GUEST_KEY = "/etc/cluster/fence_xvm.key"
DEFAULTS = "/etc/default/fence_virtd"
UNIT = "/lib/systemd/system/fence_virtd.service"
AT_BOOT = "/etc/systemd/system/multi-user.target.wants/fence_virtd.service"
AGENT = "/lib/systemd/system/fencebus-agentd.service"
AGENT_AT_BOOT = "/etc/systemd/system/multi-user.target.wants/fencebus-agentd.service"
OURS = ("fencebus-client", "fencebus-daemon")
DEBIANS = ("fence-virt", "fence-virtd")


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Our packages, built as `make package` does."""
    require_program("dpkg-buildpackage", package="dpkg-dev")
    require_program("dh", package="debhelper")
    return sorted(made_packages("build_debian.py", tmp_path_factory).glob("*.deb"))


@dataclass(frozen=True)
class Site:
    """A host whose administrator has changed everything that can be changed."""

    root: FreshRoot
    packages: tuple[str, ...]
    """Ours, as seen inside."""

    def kept(self) -> str:
        """Return owner, mode and content of what has to survive."""
        names = (CONFIG, KEY, DEFAULTS)
        return self.root.must("stat", "-c", "%n %U %a", *names) + self.root.must("sha256sum", *names)

    def to_ours(self, *manager: str) -> str:
        """Install our packages by this package manager; returns what it printed."""
        return self.root.must(*manager, *self.packages)

    def installed(self) -> set[str]:
        """Return which of our packages and of Debian's are installed."""
        return {name for name, state in self.root.states().items() if state == "installed"} & {*OURS, *DEBIANS}

    def at_boot(self) -> bool:
        """Return whether systemd starts the unit when the machine starts."""
        return self.root.has(AT_BOOT)


def of_an_administrator(packages: list[Path], layer: Path) -> Site:
    """Debian's C programs with a changed configuration, and our packages in /mnt."""
    root = FreshRoot(layer, pristine(), packages[0].parent)
    root.must("sh", "-c", f"echo '# changed by the administrator' >>{CONFIG}; echo FENCE_VIRTD_ARGS=-w >{DEFAULTS}")
    return Site(root, tuple(f"/mnt/{package.name}" for package in packages))


@pytest.fixture
def site(packages: list[Path], tmp_path: Path) -> Site:
    """A host with the C programs."""
    return of_an_administrator(packages, tmp_path)


@dataclass(frozen=True)
class Moved:
    """A host on which dpkg has put ours in the place of the C programs; each test gets a copy."""

    site: Site
    before: str
    """What had to survive, as it was."""

    def copied(self, layer: Path) -> Site:
        """The host, for one test."""
        return replace(self.site, root=self.site.root.copied(layer))


@pytest.fixture(scope="module")
def moved(packages: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Moved:
    """The host, once: dpkg takes its time."""
    site = of_an_administrator(packages, tmp_path_factory.mktemp("moved"))
    before = site.kept()
    site.to_ours("dpkg", "-i")
    return Moved(site, before)


def test_there_is_one_package_for_guests_and_one_for_hosts(packages: list[Path]) -> None:
    assert [package.name.partition("_")[0] for package in packages] == list(OURS)


def test_neither_holds_byte_code_of_the_machine_that_made_it(packages: list[Path]) -> None:
    listed = [subprocess.run(["dpkg-deb", "-c", each], capture_output=True, text=True, check=True) for each in packages]
    assert all("/fencebus_schemas/" in each.stdout for each in listed)
    assert [line for each in listed for line in each.stdout.splitlines() if "__pycache__" in line] == []


def test_apt_puts_ours_in_the_place_of_debians_and_back_and_keeps_what_the_administrator_made(site: Site) -> None:
    before = site.kept()
    assert site.at_boot()
    site.to_ours("apt-get", "install", "-y")
    assert site.installed() == {*OURS}
    assert site.kept() == before
    assert "fencebus" in site.root.must("cat", UNIT)
    assert site.at_boot()
    for program in ("fence_virtd", "fence_xvm", "fence_virt"):
        assert "fencebus" in site.root.must(program, "-V")
    site.root.must("fence_virtctl", "config", "check")

    site.root.must("apt-get", "install", "-y", *DEBIANS)
    assert site.installed() == {*DEBIANS}
    assert site.kept() == before
    assert "fencebus" not in site.root.must("cat", UNIT)
    assert site.at_boot()
    assert not site.root.has("/usr/share/fencebus-daemon")
    assert not site.root.has("/usr/share/fencebus")
    site.root.must("dpkg", "--purge", *OURS)
    assert site.kept() == before
    assert site.at_boot()


def test_purging_what_is_left_of_debians_daemon_takes_nothing_from_ours(moved: Moved, tmp_path: Path) -> None:
    site, before = moved.copied(tmp_path), moved.before
    assert site.root.has(AGENT)
    assert not site.root.has(AGENT_AT_BOOT), "nobody has asked for it"
    site.root.must("ln", "-s", AGENT, AGENT_AT_BOOT)  # as `systemctl enable` does, which is not here
    said = site.root.must("dpkg", "--purge", "fence-virtd")
    assert f"{CONFIG} was removed with fence-virtd; it is back" in said
    assert site.kept() == before
    assert site.at_boot()
    site.root.must("dpkg", "--purge", "fencebus-daemon")
    assert not site.root.has("/var/lib/fencebus")
    assert not site.at_boot()
    assert not site.root.has(AGENT)
    assert not site.root.has(AGENT_AT_BOOT)
    assert site.kept() == before


def test_a_daemon_that_does_not_start_at_boot_stays_so(site: Site) -> None:
    site.root.must("rm", AT_BOOT)
    site.to_ours("dpkg", "-i")
    assert not site.at_boot()
    site.root.must("dpkg", "--purge", "fence-virtd")
    assert not site.at_boot()


def quick_start() -> str:
    """Return the commands of the quick start in docs/packages.md, as they stand there."""
    (found,) = blocks(Page("docs/packages.md").section("The first fence"), "sh")
    return found


def test_the_quick_start_leads_to_a_proven_fence_within_five_minutes(site: Site) -> None:
    site.root.must("dpkg", "--purge", *DEBIANS)
    began = time.monotonic()
    said = site.root.must("sh", "-exc", f"cp /mnt/*.deb /tmp; cd /tmp\n{quick_start()}")
    seconds = time.monotonic() - began
    print(f"from the packages to the first proven fence: {seconds:.1f} s", file=sys.stderr)
    assert "test" in said
    assert "Status: OFF" in said
    assert seconds < 300


# There is no systemd in the root: what the unit says is started by the shell, with the environment that it names.
SYSTEMCTL = f"""
systemctl() {{
    test "$*" = "restart fence_virtd"
    mkdir -p /run/fencebus
    . {DEFAULTS}
    command=$(sed -n 's/^ExecStart=//p' {UNIT})
    eval "$command" >>/tmp/daemon.log 2>&1 &
    until grep -q "fence_virtd ready" /tmp/daemon.log; do sleep 0.1; done
}}
doctor_is_not_alarmed() {{ "$@" || test $? = 5; }}
"""
OURS_URI = "s|qemu:///system|test:///default|"


def typed(lines: list[str]) -> str:
    """A script of what a page tells its reader to type."""
    watched = [f"doctor_is_not_alarmed {line}" if "doctor" in line else line for line in lines]
    return "\n".join([SYSTEMCTL, *watched, "cat /tmp/daemon.log"])


def test_a_host_of_the_c_daemon_is_moved_as_the_page_says(moved: Moved, tmp_path: Path) -> None:
    page = Page("docs/migration.md").section("A host with C's fence_virtd")
    site = moved.copied(tmp_path)
    site.root.must("sed", "-i", OURS_URI, CONFIG)
    # Debian's file names its own place for the key; the guests' copy lies where their client looks for it.
    copied = f"dd if=/dev/urandom of={KEY} bs=64 count=1; chmod 600 {KEY} {CONFIG}; install -D -m 600 {KEY} {GUEST_KEY}"
    said = site.root.must("sh", "-ec", f"{copied}\n{typed(lines_apart(page))}")
    assert "listener multicast answers this host's own request" in said
    assert "test 6695eb01-f6a4-8304-79aa-97f2502e193f on" in " ".join(said.split())
    assert "this guest may fence: test" in said
    assert site.root.has(f"{CONFIG}.bak")


def test_the_quick_start_of_each_listener_needs_no_more_than_it_says(moved: Moved, tmp_path: Path) -> None:
    site, section = moved.copied(tmp_path), Page("README.md").section("A quick start per listener")
    (key,) = lines_apart(section)
    site.root.must("sh", "-ec", key)
    for way, config, command in rows(section):
        uri = 'backends { libvirt { uri = "test:///default"; } }'
        asked = [command, "fence_virtctl doctor"] if way in ("multicast", "TCP") else []
        script = (
            f"rm -f /tmp/daemon.log; (umask 077; cat >{CONFIG})\n{typed(['systemctl restart fence_virtd', *asked])}"
        )
        said = site.root.must("sh", "-ec", script, stdin=f"{config}\n{uri}\n")
        (listener,) = load_text(config, way, read_keys=False).listeners
        assert f"listener {listener.name}" in next(line for line in said.splitlines() if "fence_virtd ready" in line)
        if asked:
            assert "test 6695eb01-f6a4-8304-79aa-97f2502e193f on" in " ".join(said.split()), way
            assert f"listener {listener.name} answers this host's own request" in said
