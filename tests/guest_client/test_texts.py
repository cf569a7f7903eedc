"""Help, version and metadata, against what C's client prints."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fencebus_guest.help import names, usage
from fencebus_guest.metadata import metadata
from tests.components import require_captures, require_file, require_program
from tests.guest_client.conftest import RunClient


@pytest.mark.parametrize("program", ("fence_virt", "fence_xvm"))
def test_the_metadata_is_that_of_c(program: str, run_client: RunClient) -> None:
    captured = (require_captures() / f"{program}_metadata_4.12.1.xml").read_text()
    assert metadata(program) == captured
    assert run_client(program, "-o", "metadata") == (0, captured, "")
    assert run_client(f"/usr/sbin/{program}", stdin="action=metadata\n").output == captured


@pytest.mark.parametrize("program", ("fence_virt", "fence_xvm"))
def test_the_metadata_fits_the_schema_of_fence_agents(program: str, tmp_path: Path) -> None:
    lint = require_program("xmllint", package="libxml2-utils")
    schema = require_file("/usr/share/cluster/relaxng/metadata.rng", package="fence-agents")
    document = tmp_path / "metadata.xml"
    document.write_text(metadata(program))
    done = subprocess.run([lint, "--noout", "--relaxng", schema, document], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_help_begins_with_that_of_c(run_client: RunClient) -> None:
    captured = [line.rstrip() for line in (require_captures() / "fence_virt_help_4.12.1.txt").read_text().splitlines()]
    for option in ("-h", "-?", "--help"):
        done = run_client("fence_virt", option)
        assert done.status == 0
        assert done.output.splitlines()[: len(captured)] == captured
        assert "--json" in done.output.splitlines()[-1]


def test_each_program_shows_its_own_options() -> None:
    assert usage("./fence_xvm", "fence_xvm").startswith("usage: ./fence_xvm [args]\n")
    assert "multicast_address" in names("fence_xvm")
    assert "serial_device" not in names("fence_xvm")
    assert "multicast_address" not in names("fence_virt")


def test_the_version_is_that_of_the_client_it_stands_in_for(run_client: RunClient) -> None:
    for option in ("-V", "--version"):
        done = run_client("fence_xvm", option)
        assert done.status == 0
        assert done.output.startswith("fence_xvm 1.9.0\nfence release fencebus ")
