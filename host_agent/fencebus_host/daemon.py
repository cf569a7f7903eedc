"""fence_virtd: read the command line and the configuration, build everything, run it, stop it in order."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType

from fencebus_agent.hypervisor import EventSink, Hypervisor, HypervisorError
from fencebus_host import control_site, logs
from fencebus_host.assembly import ListenerFactory, build_core, recollect
from fencebus_host.background import Starter, go_to_background
from fencebus_host.config import command_line
from fencebus_host.config.command_line import PROGRAM, Answer, Configure, Explain, Invocation, Offer
from fencebus_host.config.load import find, load
from fencebus_host.config.model import Config
from fencebus_host.config.problems import ConfigError
from fencebus_host.config.restarts import what_needs_a_restart
from fencebus_host.control import serve_control, socket_path
from fencebus_host.discovering import explanation, kept, settle, settle_patiently
from fencebus_host.facing import build_face
from fencebus_host.fencing import RecordError
from fencebus_host.listening import Listening
from fencebus_host.metrics.build import build_metrics
from fencebus_host.pidfile import AlreadyRunning, PidFile
from fencebus_host.ports import Troubled
from fencebus_host.routers.ground import Recollection
from fencebus_host.routers.table import TABLE
from fencebus_host.supervision import Part, Ready
from fencebus_host.systemd import Notifier
from fencebus_schemas.deadline import Deadline

log = logging.getLogger(__name__)

EXIT_FAILED = 1
EXIT_CONFIG = 255
"""As C: a configuration that cannot be used."""
FIRST_TRY_SECONDS = 5.0
"""How long the start waits for each part's first try before it reports READY."""
LOOK_SECONDS = 1.0
"""Between two looks at the hypervisors' connections."""
FIRST_LOOKS = 20
"""Within the first of these seconds: other hosts are not there at once."""
DRAIN_SECONDS = 10.0
"""How long a daemon that stops lets its running actions go on."""
PID_FOLDER = Path("/var/run")
OFFER = Offer(listeners=("tcp", "multicast", "vsock", "serial"), backends=tuple(TABLE))


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the daemon is given by whoever starts it."""

    config_file: Path | None
    notifier: Notifier
    release_starter: Callable[[], None]
    wait_for_init: bool = False
    dry_run: bool = False


class Daemon:
    """The running daemon: its parts, its signals, its end."""

    def __init__(self, config: Config, surroundings: Surroundings, recollection: Recollection | None = None) -> None:
        self._config = config
        self._surroundings = surroundings
        self._core = build_core(config, recollection, dry_run=surroundings.dry_run)
        self._factory = ListenerFactory(self._core)
        self._router = Part(f"router {self._core.router.name}", self._run_router, self._tell_status)
        self._face = build_face(config, self._core)
        self._showing = [Part("QMF agent", self._show, self._tell_status)] if self._face else []
        self._listening = Listening(self._factory, self._core.service.handle, self._tell_status)
        epoch = self._face.epoch if self._face else None
        self._site = control_site.build(self._core, lambda: self._config, self._parts, epoch)
        self._control = Part("control socket", self._run_control, lambda: None)
        self._showing += build_metrics(
            config.daemon.metrics,
            self._core,
            self._factory.refusals,
            lambda: self._site.watch.view,
            self._parts,
            self._tell_status,
        )
        self._view = Part("view", lambda _ready: self._site.watch.run(), lambda: None)
        self._stop = asyncio.Event()
        self._keeping: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Run until a signal; returns the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        await self._recall()
        self._router.start()
        self._control.start()
        for part in self._showing:
            part.start()
        self._view.start()
        self._follow(self._config)
        watchdog = asyncio.create_task(self._watchdog())
        try:
            return await self._serve()
        finally:
            watchdog.cancel()
            await self._shut_down()

    async def _serve(self) -> int:
        await self._first_tries()
        if self._listening.deaf and not self._surroundings.wait_for_init:
            log.error("no listener could be opened; -w would wait and go on trying")
            return EXIT_FAILED
        self._surroundings.notifier.tell("READY=1", self._status())
        self._surroundings.release_starter()
        log.info("%s ready: %s", PROGRAM, self._status().removeprefix("STATUS="))
        await self._stop.wait()
        return 0

    # -- parts ----------

    async def _run_router(self, _ready: Ready) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._core.router.run())
            if self._core.only_looks:
                group.create_task(self._core.local.run())
            group.create_task(self._watch_reach())

    async def _show(self, ready: Ready) -> None:
        """What consoles see; the bus is the router's."""
        ready()
        if self._face is not None:
            await self._face.run()

    async def _watch_reach(self) -> None:
        """Say at any time which hypervisor or manager is out of reach."""
        router = self._core.router
        await self._wait_for_others()
        while True:
            seen = await asyncio.gather(*(_reached(hypervisor) for hypervisor in self._core.hypervisors))
            lost = [str(error) for error in seen if error]
            if isinstance(router, Troubled) and router.trouble:
                lost.append(router.trouble)
            self._router.report(", ".join(lost) or None)
            await asyncio.sleep(LOOK_SECONDS)

    async def _wait_for_others(self) -> None:
        """Their first try, before anything is said of the router: a connection takes a moment."""
        router = self._core.router
        for _ in range(FIRST_LOOKS):
            if not isinstance(router, Troubled) or router.trouble is None:
                return
            await asyncio.sleep(LOOK_SECONDS / FIRST_LOOKS)

    async def _run_control(self, ready: Ready) -> None:
        await serve_control(socket_path(self._config.daemon.state_dir), self._site.desk.answers, ready)

    def _parts(self) -> Sequence[Part]:
        """What `status` tells of."""
        return (self._router, *self._showing, *self._listening.parts)

    def _follow(self, config: Config) -> None:
        self._listening.follow(config)
        warn_of(config)

    async def _first_tries(self) -> None:
        tries = [asyncio.create_task(part.tried.wait()) for part in self._parts()]
        _, late = await asyncio.wait(tries, timeout=FIRST_TRY_SECONDS)
        for task in late:
            task.cancel()

    # -- memory ----------

    async def _recall(self) -> None:
        """Give the drivers back what they knew when the daemon last ran, and write down what changes from now on."""
        await self._core.records.open()
        self._factory.take_up(await self._core.records.signatures())
        for hypervisor in self._core.hypervisors:
            hypervisor.remember(await self._core.records.remembered(hypervisor.name))
            hypervisor.subscribe(self._note_change(hypervisor.name))

    def _note_change(self, hypervisor: str) -> EventSink:
        return lambda _event: self._keep(asyncio.create_task(self._write_down(hypervisor)))

    async def _write_down(self, hypervisor: str) -> None:
        try:
            await self._core.records.keep(hypervisor)
        except RecordError as error:
            log.error("%s", error)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    # -- signals ----------

    def _reload(self) -> None:
        """SIGHUP: keys, groups and listeners anew; a configuration with mistakes changes nothing."""
        try:
            config = kept(load(self._surroundings.config_file), self._config)
        except ConfigError as error:
            log.error("reload refused, the old configuration stays in force:\n%s", error)
            return
        for what in what_needs_a_restart(config, self._config):
            log.warning("reload: changes to %s need a restart", what)
        self._config = config
        self._core.renew(config)
        self._follow(config)
        self._tell_status()
        log.info("configuration reloaded")

    # -- systemd ----------

    async def _watchdog(self) -> None:
        seconds = self._surroundings.notifier.watchdog_seconds
        while seconds:
            self._surroundings.notifier.tell("WATCHDOG=1")
            await asyncio.sleep(seconds / 3)

    def _tell_status(self) -> None:
        self._surroundings.notifier.tell(self._status())
        self._site.parts.changed()

    def _status(self) -> str:
        parts = self._parts()
        troubles = [f"{part.name}: {part.trouble}" for part in parts if part.trouble]
        works = [part.name for part in parts if not part.trouble]
        dry_run = ["DRY RUN, nothing is carried out"] if self._surroundings.dry_run else []
        return "STATUS=" + "; ".join([*dry_run, f"working: {', '.join(works) or 'nothing'}", *troubles])

    # -- the end ----------

    async def _shut_down(self) -> None:
        """Take nothing new, finish what has begun, then let go of everything."""
        self._surroundings.notifier.tell("STOPPING=1")
        log.info("%s stopping", PROGRAM)
        await self._listening.stop()
        await self._core.fencing.drain(DRAIN_SECONDS)
        await self._control.stop()
        await self._view.stop()
        for part in self._showing:
            await part.stop()
        await self._router.stop()
        await self._core.close()


async def _reached(hypervisor: Hypervisor) -> HypervisorError | None:
    """``None`` if the hypervisor is connected, or becomes so in a moment; else why not."""
    try:
        await hypervisor.wait_ready(Deadline.after(LOOK_SECONDS))
    except HypervisorError as error:
        return error
    return None


def warn_of(config: Config) -> None:
    """Log what the configuration's author should know."""
    for problem in config.warnings:
        log.warning("%s", problem)
    if config.groups is None and config.listeners:
        log.warning(
            "no groups in the configuration: a guest that has the key, or a line to this host, may fence every VM "
            "that has no cluster label"
        )


def raise_descriptor_limit() -> None:
    """As many open connections as the system allows: a flood of them must not use up the descriptors for libvirt."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run(config: Config, surroundings: Surroundings) -> int:
    try:
        return await Daemon(config, surroundings, await recollect(config)).run()
    except (ConfigError, RecordError, HypervisorError) as error:
        log.error("%s", error)
        return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED


def _serve(config: Config, invocation: Invocation, starter: Starter) -> int:
    debug = config.daemon.debug if invocation.debug is None else invocation.debug
    logs.set_up(PROGRAM, _in_foreground(config, invocation), debug, config.daemon.log_format)
    try:
        pid_file = PidFile(invocation.pid_file or PID_FOLDER / f"{PROGRAM}.pid")
    except (AlreadyRunning, OSError) as error:
        log.error("%s", error)
        return EXIT_FAILED
    raise_descriptor_limit()
    waits = invocation.wait_for_init or config.daemon.wait_for_init
    surroundings = Surroundings(config.file, Notifier(), starter.release, waits, invocation.dry_run)
    try:
        config = _settled(config, surroundings)
        return asyncio.run(_run(config, surroundings))
    except ConfigError as error:
        log.error("%s", error)
        return EXIT_CONFIG
    finally:
        pid_file.close()


def _settled(config: Config, surroundings: Surroundings) -> Config:
    """The configuration with its router.  A daemon that waits for its host ends in order, and has nothing to reload."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, _end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return settle_patiently(config, partial(_not_yet, surroundings))


def _end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _not_yet(surroundings: Surroundings, what: str) -> None:
    """The host is not ready: whoever started us need not wait, and systemd's watchdog hears from us."""
    surroundings.notifier.tell("READY=1", f"STATUS={what}", "WATCHDOG=1")
    surroundings.release_starter()


def _in_foreground(config: Config, invocation: Invocation) -> bool:
    return invocation.foreground or config.daemon.foreground


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; returns its exit status."""
    asked = command_line.read(sys.argv[1:] if arguments is None else arguments, OFFER)
    if isinstance(asked, Answer):
        (sys.stderr if asked.status else sys.stdout).write(asked.text)
        return asked.status
    if isinstance(asked, Configure):
        from fencebus_host.ctl.wizard.command import run_as_daemon_option

        return run_as_daemon_option(asked.config)
    try:
        config = load(find(asked.config))
        if isinstance(asked, Explain):
            text, status = explanation(config)
            sys.stdout.write(text)
            return status
        settle(config)  # what is refused is said where it was started from
    except ConfigError as error:
        sys.stderr.write(f"{error}\n{PROGRAM}: not started: the configuration has mistakes\n")
        return EXIT_CONFIG
    starter = Starter(-1) if _in_foreground(config, asked) else go_to_background()
    return _serve(config, asked, starter)


if __name__ == "__main__":
    sys.exit(main())
