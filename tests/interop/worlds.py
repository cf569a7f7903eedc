"""VMs for tests: a file for libvirt's test driver with one VM of every kind that a fence can meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

RUNNING, PAUSED, SHUTOFF = 1, 3, 5  # libvirt's numbers


@dataclass(frozen=True)
class Vm:
    """One VM of the test driver."""

    name: str
    state: int = RUNNING
    transient: bool = False
    saved: bool = False
    devices: str = ""

    @property
    def uuid(self) -> str:
        """Made from the name, so that tests can foretell it."""
        return str(UUID(bytes=self.name.encode().ljust(16, b".")[-16:], version=4))

    @property
    def xml(self) -> str:
        """The domain, with what the test driver needs to know beside it."""
        marks = f"<test:runstate>{self.state}</test:runstate>"
        marks += "<test:transient/>" * self.transient + "<test:hasmanagedsave/>" * self.saved
        return (
            "<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>"
            f"<name>{self.name}</name><uuid>{self.uuid}</uuid><memory>8192</memory>{marks}"
            f"<os><type>hvm</type></os><devices>{self.devices}</devices></domain>"
        )


ALPHA = Vm("alpha")
BETA = Vm("beta", SHUTOFF)
PAULA = Vm("paula", PAUSED)
TRANS = Vm("trans", transient=True)
EVERY_KIND = (ALPHA, BETA, PAULA, TRANS)


def write_world(file: Path, vms: Iterable[Vm]) -> str:
    """Write a file of the test driver; returns its URI.  Each program that opens it has a world of its own."""
    domains = "".join(vm.xml for vm in vms)
    file.write_text(f"<node><cpu><mhz>1000</mhz></cpu>{domains}</node>")
    return f"test://{file}"
