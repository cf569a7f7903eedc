"""What building the router needs."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
sys.modules["aiohttp"] = None
from pathlib import Path
from fencebus_host.config.backends import OvirtSettings
from fencebus_host.config.problems import ConfigError
from fencebus_host.routers.ovirt import build
from fencebus_schemas.model import Incarnation
try:
    build(OvirtSettings(), Incarnation("", "", ""), Path())
except ConfigError as error:
    print(error)
"""


def test_without_the_http_library_it_is_said_what_to_install() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert "the backend 'ovirt' needs the Python package aiohttp (pip install 'fencebus[ovirt]')" in ended.stdout
