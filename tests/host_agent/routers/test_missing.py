"""A library that is not installed: what a backend needs is told; a defect of ours is not passed off as that."""

from __future__ import annotations

import subprocess
import sys

import pytest

from fencebus_host.config.backends import OvirtSettings
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.model import LibvirtSettings
from fencebus_host.config.ordered_settings import OrderedSettings
from fencebus_host.routers.missing import cannot_be_built, missing_libraries

# One process for all: nothing of these libraries may be imported yet.
PROGRAM = """
import sys
sys.modules |= dict.fromkeys(("aiohttp", "kombu", "amqp", "proton"))
from pathlib import Path
from fencebus_host.config.backends import OvirtSettings
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.problems import ConfigError
from fencebus_host.routers.ground import Ground
from fencebus_host.routers.local import LocalRouter
from fencebus_host.routers.table import build
from fencebus_schemas.model import HostId, Incarnation
ground = Ground(HostId("here"), Incarnation("", "", ""), Path(), LocalRouter([]))
for settings in (OvirtSettings(), QmfSettings(url="amqp://b"), QmfSettings(url="amqp1://b"), QmfSettings(url="peers://here")):
    try:
        build(settings, ground)
    except ConfigError as error:
        print(error)
"""


def test_without_its_library_a_backend_says_what_to_install() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    said = [line.partition("needs the Python package ")[2] for line in ended.stdout.splitlines()]
    assert said == [
        "aiohttp (Debian: apt-get install python3-aiohttp; else: pip install 'fencebus[ovirt]')",
        "kombu (Debian: apt-get install python3-kombu; else: pip install 'fencebus[rabbitmq]')",
        *["proton (Debian: apt-get install python3-qpid-proton; else: pip install 'fencebus[qmf]')"] * 2,
    ], ended.stdout + ended.stderr


def test_it_is_told_without_starting_anything_and_only_of_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    backends = (OvirtSettings(), QmfSettings(url="amqps://b"), QmfSettings(url="peers://a,b"), LibvirtSettings())
    assert [problem for each in backends for problem in missing_libraries(each)] == []
    monkeypatch.setattr("fencebus_host.routers.missing.is_there", lambda _name: False)
    several = OrderedSettings(kind="several", parts=backends)
    assert [str(problem).partition("package ")[2].split()[0] for problem in missing_libraries(several)] == [
        "aiohttp",
        "kombu",
        "proton",
    ]


def test_a_module_of_ours_that_is_missing_is_a_defect() -> None:
    error = ModuleNotFoundError("No module named 'fencebus_agent.lost'", name="fencebus_agent.lost")
    assert cannot_be_built(OvirtSettings(), error) is error
