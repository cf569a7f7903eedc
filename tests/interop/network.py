"""A network namespace with nothing but loopback: every test has all ports for itself, and no packet leaves."""

from __future__ import annotations

import subprocess
from types import TracebackType

from tests.components import require_program, require_root


class Network:
    """One namespace; use it as a context manager.  Programs run in it by ``prefix``."""

    def __init__(self) -> None:
        self._keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Network:
        require_root()
        ip = require_program("ip", "iproute2")
        # It has no route to the multicast groups by itself; C's daemon joins where the route leads.
        script = f"{ip} link set lo up && {ip} route add 224.0.0.0/4 dev lo && echo up && exec cat"
        argv = [str(require_program("unshare", "util-linux")), "-n", "sh", "-ec", script]
        self._keeper = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"up\n"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        keeper, self._keeper = self._keeper, None
        assert keeper is not None
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        keeper.stdin.close()
        keeper.wait(60)
        keeper.stdout.close()

    @property
    def pid(self) -> int:
        """The process that keeps the namespace alive."""
        assert self._keeper is not None
        return self._keeper.pid

    @property
    def prefix(self) -> list[str]:
        """What a command line begins with to run in here; the process id stays the one that was started."""
        return [str(require_program("nsenter", "util-linux")), f"--net=/proc/{self.pid}/ns/net", "--"]
