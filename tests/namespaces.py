"""Network namespaces for single threads: hosts and guests with addresses and MACs of their own in one test process."""

from __future__ import annotations

import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TypeVar

from tests.components import require_program, require_root

CLONE_NEWNET = 0x40000000

T = TypeVar("T")


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _unshare() -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")


def _apart() -> int:
    """Put the calling thread into a namespace of its own; its id."""
    _unshare()
    return threading.get_native_id()


@contextmanager
def own_network() -> Iterator[None]:
    """This thread, and the programs and threads that it starts, in a new namespace, where loopback takes all multicast.

    Sockets keep the namespace in which they were made.
    """
    require_root()
    home = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _unshare()
        try:
            run_ip("link set lo up")
            run_ip("route add 224.0.0.0/4 dev lo")
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)


def run_ip(command: str) -> None:
    """ip(8), in the namespace of the calling thread."""
    subprocess.run([require_program("ip", "iproute2"), *command.split()], check=True, capture_output=True)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A machine on a link of the namespace in which it was made: one thread whose sockets live behind that link."""

    name: str
    address: str
    _thread: ThreadPoolExecutor

    def __enter__(self) -> Neighbour:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    def begin(self, act: Callable[[], T]) -> Future[T]:
        """Have ``act`` done on the machine."""
        return self._thread.submit(act)

    def does(self, act: Callable[[], T]) -> T:
        """What ``act``, done on the machine, returns."""
        return self.begin(act).result(60)


def link6(name: str, address: str) -> None:
    """Make a link with an IPv6 address, on which this machine hears itself: loopback has no IPv6 multicast."""
    run_ip(f"link add {name} type veth peer name {name}peer")
    run_ip(f"link set {name}peer up")
    run_ip(f"link set {name} up")
    run_ip(f"addr add {address} dev {name} nodad")


def bridge(name: str, address: str) -> None:
    """Make a bridge with an address (``10.0.0.1/24``), up, in this thread's namespace; multicast goes there."""
    run_ip(f"link add {name} type bridge mcast_snooping 0")
    run_ip(f"addr add {address} dev {name}")
    run_ip(f"link set {name} up")


def neighbour(name: str, link: str, address: str, mac: str) -> Neighbour:
    """A machine with this address and MAC behind the bridge ``link`` of this thread's namespace."""
    thread = ThreadPoolExecutor(1, thread_name_prefix=name)
    machine = Neighbour(name, address.split("/", maxsplit=1)[0], thread)
    native_id = machine.does(_apart)
    run_ip(f"link add {name} type veth peer name eth0 address {mac} netns /proc/{os.getpid()}/task/{native_id}/ns/net")
    run_ip(f"link set {name} master {link} up")
    for command in ("link set lo up", f"addr add {address} dev eth0", "link set eth0 up", "route add default dev eth0"):
        machine.does(partial(run_ip, command))
    return machine
