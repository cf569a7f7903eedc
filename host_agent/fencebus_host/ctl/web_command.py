"""`fence_virtctl web`: a page in the browser that shows what `status`, `history` and `events` tell, as it changes."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click

from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.options import config_option
from fencebus_host.ctl.status_source import socket_of

PORT = 8229
MISSING = "fence_virtctl web: not installed: aiohttp; Debian: python3-aiohttp, or pip install 'fencebus[web]'\n"
WARNING = (
    "fence_virtctl web: whoever reaches {address} can read the names and states of all hosts and VMs, unencrypted\n"
)


@click.command()
@click.option("--listen", "address", default="127.0.0.1", show_default=True, help="The address to serve the page at.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any that is free.")
@click.option("--name", "names", multiple=True, help="A further name by which browsers may call this machine.")
@config_option
def web(address: str, port: int, names: tuple[str, ...], file: Path | None) -> int:
    """Serve a page that shows hosts, VMs, fences and events as they change. It only shows; nothing can be done there.

    It is served on this machine alone, unless --listen says otherwise; Ctrl-C ends it.

    \b
    Examples:
      fence_virtctl web
      fence_virtctl web --port 8080
    """
    try:
        from fencebus_host.web.guard import is_loopback
        from fencebus_host.web.server import own_names
    except ImportError:
        sys.stderr.write(MISSING)
        return ExitCode.FAILED
    logging.basicConfig(level=logging.WARNING)
    if not is_loopback(address):
        sys.stderr.write(WARNING.format(address=address))
    known = own_names() | {name.lower() for name in names}
    try:
        asyncio.run(_serve(socket_of(file), address, port, known))
    except KeyboardInterrupt:
        return ExitCode.OK
    return ExitCode.OK


async def _serve(path: Path, address: str, port: int, names: frozenset[str]) -> None:
    from fencebus_host.web.daemon_source import DaemonSource
    from fencebus_host.web.scene import Stage
    from fencebus_host.web.server import serve

    def ready(bound: int) -> None:
        shown = f"[{address}]" if ":" in address else address
        sys.stdout.write(f"http://{shown}:{bound}/\n")
        sys.stdout.flush()

    await serve(Stage(DaemonSource(path)), address, port, names, ready)
