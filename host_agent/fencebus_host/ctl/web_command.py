"""`fence_virtctl web`: a page in the browser that shows what `status`, `history` and `events` tell, as it changes."""

from __future__ import annotations

import asyncio
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fencebus_host.ctl.exit_codes import ExitCode
from fencebus_host.ctl.options import config_option
from fencebus_host.ctl.status_source import socket_of
from fencebus_schemas.libraries import library_of, to_install

if TYPE_CHECKING:
    from fencebus_host.web.scene import Source

PORT = 8229
BUS_VARIABLE = "FENCEBUS_BUS_URL"
"""A password on a command line is seen by everybody on the machine."""
MISSING = "fence_virtctl web: not installed: {}; {}\n"
WARNING = (
    "fence_virtctl web: whoever reaches {address} can read the names and states of all hosts and VMs, unencrypted\n"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page is served."""

    address: str
    port: int
    names: frozenset[str]
    """What browsers may call this machine."""


@click.command()
@click.option("--listen", "address", default="127.0.0.1", show_default=True, help="Where to serve it.")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0: any that is free.")
@click.option("--name", "names", multiple=True, help="A further name of this machine for browsers.")
@click.option("--bus", metavar="URL", envvar=BUS_VARIABLE, help=f"The bus, where no daemon runs; or {BUS_VARIABLE}.")
@click.option("--domain", default="default", help="With --bus: the `domain` of the hosts' backend.")
@click.option("--ca", type=click.Path(dir_okay=False), help="With --bus: who signed the broker's certificate.")
@config_option
def web(
    address: str, port: int, names: tuple[str, ...], bus: str | None, domain: str, ca: str | None, file: Path | None
) -> int:
    """Serve a page that shows hosts, VMs, fences and events as they change. It only shows; nothing can be done there.

    It is served on this machine alone, unless --listen says otherwise; Ctrl-C ends it. With --bus it shows what the
    hosts tell consoles on their bus, from any machine that may connect there.

    \b
    Examples:
      fence_virtctl web
      fence_virtctl web --bus amqps://viewer@broker.example.org
    """
    try:
        from fencebus_host.web.guard import is_loopback
        from fencebus_host.web.server import own_names
    except ImportError:
        sys.stderr.write(MISSING.format("aiohttp", to_install("aiohttp", "web")))
        return ExitCode.FAILED
    logging.basicConfig(level=logging.WARNING)
    if not is_loopback(address):
        sys.stderr.write(WARNING.format(address=address))
    place = Place(address, port, own_names() | {name.lower() for name in names})
    try:
        asyncio.run(_on_bus(bus, domain, ca, place) if bus else _serve(_at_daemon(socket_of(file)), place))
    except KeyboardInterrupt:
        return ExitCode.OK
    except ImportError as error:
        if not (library := library_of(error)):
            raise
        sys.stderr.write(MISSING.format(library, to_install(library)))
        return ExitCode.FAILED
    return ExitCode.OK


def _at_daemon(path: Path) -> Source:
    from fencebus_host.web.daemon_source import DaemonSource

    return DaemonSource(path)


async def _on_bus(url: str, domain: str, ca: str | None, place: Place) -> None:
    from fencebus_agent.bus_at import BusTerms, bus_at
    from fencebus_agent.qmf_console import ConsoleTerms
    from fencebus_host.web.bus_source import BusSource
    from fencebus_schemas.bus_url import Tls

    source = BusSource(bus_at(url, BusTerms(domain, "fence_virtctl web", Tls(ca))), ConsoleTerms(domain))
    listening = asyncio.create_task(source.run())
    try:
        await _serve(source, place)
    finally:
        listening.cancel()
        await asyncio.wait({listening})


async def _serve(source: Source, place: Place) -> None:
    from fencebus_host.web.scene import Stage
    from fencebus_host.web.server import serve

    def ready(bound: int) -> None:
        shown = f"[{place.address}]" if ":" in place.address else place.address
        sys.stdout.write(f"http://{shown}:{bound}/\n")
        sys.stdout.flush()

    await serve(Stage(source), place.address, place.port, place.names, ready)
