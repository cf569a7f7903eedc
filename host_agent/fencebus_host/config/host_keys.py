"""The part of the table of keys that concerns the proof that a host is dead."""

from __future__ import annotations

from fencebus_host.config import fence_agent_keys as of_managers
from fencebus_host.config import values
from fencebus_host.config.host_settings import HostFencing
from fencebus_host.config.key import Key, KnownBy

OURS = KnownBy.OURS

HOST_FENCING = Key(
    "host_fencing",
    values.one_of(HostFencing),
    HostFencing.VERIFY,
    "verify",
    "What a silent host's fence agent may be asked for: verify (is it off?), or act (switch it off, too).",
    OURS,
)
HOST_FENCING_SECONDS = Key(
    "host_fencing_seconds",
    values.seconds,
    600.0,
    "600",
    "With act: seconds in which a host is switched off once at most, and other hosts `host_fencing_at_once` at most.",
    OURS,
)
HOST_FENCING_AT_ONCE = Key(
    "host_fencing_at_once",
    values.whole_number(1, 16),
    1,
    "1",
    "With act: so many different hosts are switched off within `host_fencing_seconds`.",
    OURS,
)
AGENT: Key[str | None] = Key(
    "agent", of_managers.agent_name, None, "none", "The fence agent of this host's power: `fence_ipmilan`.", OURS
)
PLUG: Key[str | None] = Key(
    "plug", values.text, None, "none", "What the agent calls this host, where it reaches several.", OURS
)

DAEMON_KEYS: tuple[Key[object], ...] = (HOST_FENCING, HOST_FENCING_SECONDS, HOST_FENCING_AT_ONCE)
HOST_KEYS: tuple[Key[object], ...] = (AGENT, of_managers.AGENT_DIR, of_managers.USER, PLUG, of_managers.OPTIONS_FILE)
