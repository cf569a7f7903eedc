"""Looks at what hosts that fence together have in common, their key and that they are listed, and what not: logins."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from fencebus_agent.bus_at import split
from fencebus_host.config.bus_settings import QmfSettings
from fencebus_host.config.model import Config
from fencebus_host.config.ordered_settings import parts_of
from fencebus_host.ctl.doctor.findings import Finding, good, odd
from fencebus_schemas.fingerprint import fingerprint


def check_bus(config: Config) -> Iterator[Finding]:
    """Nothing on a host that is alone.  Which of the others is heard, the daemon's router says of itself."""
    settings = next((part for part in parts_of(config.backend) if isinstance(part, QmfSettings)), None)
    if settings is None:
        return
    for file, key in zip(settings.key_files, settings.keys, strict=True):
        text = f"the hosts' key {file} has the fingerprint {fingerprint(key)}; it is to be the same on every host"
        yield good("bus-key", text)
    if config.hosts:
        yield good("bus-hosts", f"these hosts fence together: {', '.join(config.hosts)}")
    else:
        text = "there is no list of the hosts: a VM that nobody has is off only if somebody saw it end"
        yield odd("bus-hosts", text, 'hosts { host { name = "..."; } ... }, the same on every host')
    for other in _others_logins(config, settings):
        text = f"this host goes to a broker by the login of {other}: the others drop what comes by another host's"
        yield odd("bus-login", text, "a user for each host, of its own name; or one for all that is no host's")


def _others_logins(config: Config, settings: QmfSettings) -> list[str]:
    """Users of its URLs that are other hosts; in a list of peers what stands there is no user."""
    brokers = [url for url in split(settings.url) if not url.startswith("peers:")]
    users = {unquote(urlsplit(url).username or "") for url in brokers}
    return sorted(users & set(config.hosts) - {config.daemon.host_name})
