"""oVirt's own client, told on its command line what to ask: prints each answer as a line of JSON.

``witness_sdk.py URL CA USER PASSWORD STEP...``; a step is ``get:UUID``, ``search:NAME``, ``stop:UUID``, ``start:UUID``,
``host:ID`` or ``power:ID``.  A process of its own, because the client blocks.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable

sdk = importlib.import_module("ovirtsdk4")


class Steps:
    """What the client can be told."""

    def __init__(self, url: str, ca: str, user: str, password: str) -> None:
        self._connection = sdk.Connection(url=f"{url}/ovirt-engine/api", ca_file=ca, username=user, password=password)
        self._system = self._connection.system_service()
        self._vms = self._system.vms_service()

    def close(self) -> None:
        """Log out."""
        self._connection.close()

    def get(self, uuid: str) -> object:
        """A VM by its UUID."""
        vm = self._vms.vm_service(uuid).get()
        return [vm.id, vm.name, vm.status.value, vm.host.id if vm.host else None]

    def search(self, name: str) -> object:
        """VMs by their name."""
        return [vm.id for vm in self._vms.list(search=f'name="{name}"', case_sensitive=True, max=2)]

    def stop(self, uuid: str) -> object:
        """A hard stop."""
        self._vms.vm_service(uuid).stop(force=True, reason="a test")
        return "accepted"

    def start(self, uuid: str) -> object:
        """A start."""
        self._vms.vm_service(uuid).start()
        return "accepted"

    def host(self, host: str) -> object:
        """A host by its id."""
        found = self._system.hosts_service().host_service(host).get()
        return [found.name, found.status.value]

    def power(self, host: str) -> object:
        """What a host's power management says."""
        return self._system.hosts_service().host_service(host).fence(fence_type="status").status.value


def told(act: Callable[[str], object], name: str) -> object:
    """The answer, or the client's error."""
    try:
        return act(name)
    except sdk.Error as error:
        return [type(error).__name__, error.code]


def main(arguments: list[str]) -> None:
    """Take the steps."""
    url, ca, user, password, *steps = arguments
    doing = Steps(url, ca, user, password)
    try:
        for step in steps:
            verb, _, name = step.partition(":")
            print(json.dumps(told(getattr(doing, verb), name)), flush=True)
    finally:
        doing.close()


if __name__ == "__main__":
    main(sys.argv[1:])
