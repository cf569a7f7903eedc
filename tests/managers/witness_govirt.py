"""GNOME's client libgovirt, told on its command line what to ask: prints each answer as a line of JSON.

``/usr/bin/python3 witness_govirt.py HOST:PORT CA USER PASSWORD STEP...``; a step is ``state:NAME``, ``stop:NAME`` or
``start:NAME``.  It needs Debian's Python, for which the bindings are made.
"""

from __future__ import annotations

import importlib
import json
import sys

gi = importlib.import_module("gi")
gi.require_version("GoVirt", "1.0")
GoVirt = importlib.import_module("gi.repository.GoVirt")


class Client:
    """The client, logged in when it first asks."""

    def __init__(self, where: str, ca: str, user: str, password: str) -> None:
        self._proxy = GoVirt.Proxy.new(where)
        for name, value in (("username", user), ("password", password), ("ssl-ca-file", ca)):
            self._proxy.set_property(name, value)

    def told(self, verb: str, name: str) -> object:
        """The answer to one step; the list of VMs is fetched anew for it."""
        vms = self._proxy.fetch_api().get_vms()
        vms.fetch(self._proxy)
        vm = vms.lookup_resource(name)
        if vm is None:
            return None
        if verb == "state":
            return [vm.get_property("guid"), vm.get_property("state").value_nick]
        return vm.stop(self._proxy) if verb == "stop" else vm.start(self._proxy)


def main(arguments: list[str]) -> None:
    """Take the steps."""
    where, ca, user, password, *steps = arguments
    client = Client(where, ca, user, password)
    for step in steps:
        verb, _, name = step.partition(":")
        try:
            said = client.told(verb, name)
        except gi.repository.GLib.Error as error:
            said = ["error", error.message]
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
