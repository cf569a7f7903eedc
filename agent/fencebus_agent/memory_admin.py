"""Converts "this VM is now in that state" into what an administrator or a guest does for it in a world in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fencebus_agent.death import Power
from fencebus_agent.memory_machines import Glance, Why
from fencebus_agent.memory_migration import Phase, Route
from fencebus_agent.memory_vm import MemoryVm
from fencebus_agent.memory_world import World
from fencebus_schemas.deadline import Clock
from fencebus_schemas.model import HostId, Uuid, VmState


class Administrator:
    """One host's."""

    def __init__(self, world: World, host: HostId, clock: Clock) -> None:
        self._world, self._host, self._clock = world, host, clock

    def put(self, vm: MemoryVm) -> None:
        """The VM is there and in its state; what was there before of it is gone."""
        if self._seen(vm.uuid).power is not Power.GONE:
            self._world.forget(self._host, vm.uuid)
        self._world.describe(replace(vm, state=VmState.OFF))
        if vm.persistent:
            self._world.define(self._host, vm.uuid)
        self.turn(vm.uuid, vm.state)

    def turn(self, vm: Uuid, state: VmState) -> None:
        """The VM comes into that state, whatever state it is in."""
        ways: dict[VmState, Callable[[Uuid], None]] = {
            VmState.RUNNING: self._run,
            VmState.PAUSED: self._pause,
            VmState.SAVED: self._save,
            VmState.INCOMING: self._await,
            VmState.OFF: self._shut_down,
            VmState.UNKNOWN: self._leave,
        }
        if self._seen(vm).state is not state:
            ways[state](vm)

    def _seen(self, vm: Uuid) -> Glance:
        return self._world.look(self._host, vm)

    def _run(self, vm: Uuid) -> None:
        state = self._seen(vm).state
        if state is VmState.PAUSED:
            self._world.resume(self._host, vm)
        elif state is VmState.INCOMING:
            self._receive(vm)
        elif state is VmState.SAVED:
            self._world.restore(self._host, vm, self._clock())
        else:
            self._world.start(self._host, vm, self._clock())

    def _pause(self, vm: Uuid) -> None:
        self.turn(vm, VmState.RUNNING)
        self._world.pause(self._host, vm)

    def _save(self, vm: Uuid) -> None:
        self.turn(vm, VmState.RUNNING)
        self._world.save(self._host, vm)

    def _shut_down(self, vm: Uuid) -> None:
        state = self._seen(vm).state
        if state is VmState.SAVED:
            self._world.drop_image(self._host, vm)
            return
        if state in (VmState.INCOMING, VmState.UNKNOWN):
            self._run(vm)  # its end is to be seen here
        self._world.kill(self._host, vm, Why.SHUTDOWN)

    def _await(self, vm: Uuid) -> None:
        """A migration from a host outside has come as far as to wait."""
        self._world.kill(self._host, vm, Why.SHUTDOWN)
        outside = self._empty_outside(vm)
        self._world.start(outside, vm, self._clock())
        migration = self._world.migrate(Route(vm, outside, self._host))
        while migration.phase is not Phase.COPYING:
            migration.step(self._clock())

    def _leave(self, vm: Uuid) -> None:
        """It migrates to a host outside; its definition stays."""
        self.turn(vm, VmState.RUNNING)
        migration = self._world.migrate(Route(vm, self._host, self._empty_outside(vm), undefine=False))
        while not migration.phase.over:
            migration.step(self._clock())

    def _empty_outside(self, vm: Uuid) -> HostId:
        """A host of which nobody else in this world knows, and that does not run the VM any more."""
        outside = HostId(f"outside of {self._host}")
        self._world.add_host(outside)
        self._world.kill(outside, vm)
        return outside

    def _receive(self, vm: Uuid) -> None:
        """The migration that is waited for comes to its end."""
        for migration in self._world.migrations:
            if migration.route.vm == vm and migration.route.destination == self._host:
                while not migration.phase.over:
                    migration.step(self._clock())
