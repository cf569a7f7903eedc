"""Turns a configuration file, or the lack of one, into checked settings."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

from fencebus_host.config import host_keys, metrics_key
from fencebus_host.config import key_table as keys
from fencebus_host.config.access_sections import groups, hosts
from fencebus_host.config.backend_section import FEDERATED, backend, candidates, opened
from fencebus_host.config.host_section import with_host_options
from fencebus_host.config.key_files import check_mode
from fencebus_host.config.listener_sections import listeners
from fencebus_host.config.model import REQUEST_TIMEOUT, Config, DaemonSettings
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.config.problems import ConfigError, Problems, Where
from fencebus_host.config.regular_file import is_absent, read_regular
from fencebus_host.config.section import Reading, last_section, unknown
from fencebus_host.config.tree import Item
from fencebus_host.state_folder import DEFAULT_CONFIG, MOST_BYTES


def find(explicit: Path | None) -> Path | None:
    """The file to load: the one that was named, else the usual one if it is there, else none."""
    if explicit is not None:
        return explicit.absolute()  # a reload happens in another working folder
    return None if is_absent(DEFAULT_CONFIG) else DEFAULT_CONFIG


def load(path: Path | None) -> Config:
    """The settings in the file ``path``, or the defaults if it is ``None``; ConfigError with all that is wrong.

    Key files are read too. Nothing is changed on disk. The result's ``warnings`` are for the log.
    """
    problems = Problems()
    if path is None:
        return _config((), None, problems)
    return _config(_parsed(_text(path, problems), path, problems), path, problems)


def load_text(text: str, file: str, path: Path | None = None, read_keys: bool = True) -> Config:
    """The settings in ``text``, which stands in ``file``; for texts that are not on disk.

    ``read_keys`` false: key files are left alone, for a file that is meant for another machine; nothing may run so.
    """
    problems = Problems()
    return _config(_parsed(text, Path(file), problems), path, problems, read_keys)


def _parsed(text: str | None, path: Path, problems: Problems) -> tuple[Item, ...]:
    if text is None:
        return ()
    from fencebus_host.config.grammar import parse  # the parser takes time to import, and many hosts have no file

    return parse(text, str(path), problems)


def _text(path: Path, problems: Problems) -> str | None:
    where = Where(str(path))
    try:
        content, status = read_regular(path, MOST_BYTES + 1)
    except OSError as error:
        problems.error(where, "unreadable-file", f"cannot read {path}: {error.strerror or error}")
        return None
    if len(content) > MOST_BYTES:
        problems.error(where, "too-large", f"{path} has more than {MOST_BYTES} bytes")
        return None
    check_mode(status.st_mode, path, where, "config", problems)
    # As in C any bytes may stand in comments and names; they come back unchanged when a path or name is used.
    return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _config(items: tuple[Item, ...], path: Path | None, problems: Problems, read_keys: bool = True) -> Config:
    unknown(items, keys.TOP_LEVEL, "unknown-section", problems)
    top = {name: last_section(items, name, problems) for name in keys.TOP_LEVEL}
    reading = Reading(top["fence_virtd"], keys.DAEMON, problems)
    daemon = _daemon(reading, problems)
    place = top["fence_virtd"].where if top["fence_virtd"] else Where(str(path or "default"))
    listed = hosts(top["hosts"], problems)
    config = Config(
        daemon=daemon,
        listeners=listeners(
            reading.get(keys.LISTENER),
            reading.where(keys.LISTENER) or place,
            top["listeners"],
            daemon.request_timeout,
            problems,
            read_keys,
        ),
        backend=backend(
            reading.get(keys.BACKEND),
            reading.where(keys.BACKEND),
            top["backends"],
            reading.get(keys.OLD_NAME_MODE),
            problems,
        ),
        groups=groups(top["groups"], problems),
        hosts=tuple(listed),
        host_agents=tuple(agent for agent in listed.values() if agent is not None),
        file=path,
    )
    if reading.where(keys.BACKEND) is None:
        config = replace(config, candidates=candidates(top["backends"], reading.get(keys.OLD_NAME_MODE)))
    if read_keys:  # else the file may be another machine's
        config = replace(config, backend=opened(config.backend, config.listeners, problems))
        config = replace(config, host_agents=with_host_options(config.host_agents, problems))
        _check_listed(config, top["hosts"].where if top["hosts"] else place, problems)
    config = replace(config, warnings=problems.in_order())
    if problems.has_errors:
        raise ConfigError(problems.in_order())
    return config


def _check_listed(config: Config, where: Where, problems: Problems) -> None:
    """Whoever is in no list but its own would be waited for under another name, for ever (S2, S10)."""
    kinds = {part.kind for part in (*parts_of(config.backend), *config.candidates)}
    if config.hosts and config.daemon.host_name not in config.hosts and not kinds.isdisjoint(FEDERATED):
        text = f"`hosts` lists {', '.join(config.hosts)}, and this host is called {config.daemon.host_name}"
        problems.error(where, "not-listed", text, 'say which one it is: fence_virtd { host = "..."; }')


def _daemon(reading: Reading, problems: Problems) -> DaemonSettings:
    name, short = reading.get(keys.HOST_NAME), reading.get(keys.HOST_SHORT)
    if name and short and name != short:
        place = reading.where(keys.HOST_SHORT) or reading.place
        problems.error(place, "two-names", f"`host_name` is {name}, and `host` is {short}", "write one of them")
    return DaemonSettings(
        host_name=name or short or system_host_name(),
        debug=reading.get(keys.DEBUG),
        log_format=reading.get(keys.LOG_FORMAT),
        metrics=reading.get(metrics_key.METRICS),
        foreground=reading.get(keys.FOREGROUND),
        wait_for_init=reading.get(keys.WAIT_FOR_INIT) or reading.get(keys.WAIT_FOR_BACKEND),
        state_dir=reading.get(keys.STATE_DIR),
        request_timeout=reading.get(keys.REQUEST_TIMEOUT_KEY) or REQUEST_TIMEOUT,
        host_fencing=reading.get(host_keys.HOST_FENCING),
        host_fencing_seconds=reading.get(host_keys.HOST_FENCING_SECONDS),
        host_fencing_at_once=reading.get(host_keys.HOST_FENCING_AT_ONCE),
    )


def system_host_name() -> str:
    """The system's host name up to its first dot."""
    return socket.gethostname().split(".", 1)[0] or "localhost"
