"""Makes the hypervisors on which the daemons run: libvirt's test driver, and a real libvirtd with QEMU."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.rivals import Ground, Rival
from tests.libvirtd import running_libvirtd

KEY_BYTES = 4096

VMS = {Rival.C: "fenced-by-c", Rival.OURS: "fenced-by-ours"}
"""Each daemon fences a VM of its own, so that neither has to clear up after the other."""
BYSTANDERS = {Rival.C: "beside-c", Rival.OURS: "beside-ours"}
"""VMs whose status is asked while the other one is rebooted."""

_TEST_VM = "<domain type='test'><name>{}</name><memory>65536</memory><os><type>hvm</type></os></domain>"


def key_in(folder: Path) -> Path:
    """A new key in a file that its owner alone may read."""
    path = folder / "fence_xvm.key"
    path.touch(mode=0o600)
    path.write_bytes(secrets.token_bytes(KEY_BYTES))
    return path


@contextmanager
def test_driver(folder: Path) -> Iterator[Ground]:
    """libvirt's test driver: a world inside each daemon, where everything takes no time."""
    world = folder / "world.xml"
    names = [*VMS.values(), *BYSTANDERS.values()]
    world.write_text(f"<node>{''.join(_TEST_VM.format(name) for name in names)}</node>", "utf-8")
    yield Ground("test driver", f"test://{world}", key_in(folder), folder)


@contextmanager
def real_qemu(folder: Path) -> Iterator[Ground]:
    """A libvirtd of its own with four running QEMUs of 16 MB that have a BIOS and nothing else."""
    with running_libvirtd() as libvirtd:
        for name in [*VMS.values(), *BYSTANDERS.values()]:
            libvirtd.run(name)
        yield Ground("QEMU", libvirtd.uri, key_in(folder), folder, real=True)
