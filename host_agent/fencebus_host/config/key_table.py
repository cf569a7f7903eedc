"""The table of all sections and keys: how each is read, its default, what it means, and who knows it."""

from __future__ import annotations

from pathlib import Path

from fencebus_host.config import bus_keys, fence_agent_keys, host_keys, metrics_key, ovirt_keys, values
from fencebus_host.config.key import Key, KnownBy, Section
from fencebus_host.config.model import (
    DEFAULT_KEY,
    DEFAULT_PORT,
    REQUEST_TIMEOUT,
    DeathProof,
    Digest,
    Family,
    LocalGuestsOnly,
    LogFormat,
    NameMode,
    SerialMode,
)
from fencebus_host.state_folder import DEFAULT_STATE_DIR


def serial_mode(value: str) -> SerialMode:
    """The mode as a word, or as C's number, of which every one but 0 means VM channels."""
    number = values.serial_mode_number(value)
    if number is None:
        return values.one_of(SerialMode)(value)
    return SerialMode.VMCHANNEL if number else SerialMode.SERIAL


def _dead(name: str, meaning: str) -> Key[str]:
    return Key(name, values.any_text, "", "", meaning, KnownBy.C_ONLY)


OURS = KnownBy.OURS
_LOG = values.whole_number(0, 2**31 - 1)
_PORT = values.whole_number(1, 65535)
_VSOCK_PORT = values.whole_number(1, 2**32 - 2)

LISTENER: Key[tuple[str, ...]] = Key(
    "listener",
    values.words,
    (),
    "every kind that has a section below `listeners`; without one: tcp, multicast, vsock, serial",
    "The listeners to run, with commas between them. `multicast` runs all instances of it, `multicast:br1` one.",
)
BACKEND: Key[str | None] = Key(
    "backend",
    str.lower,
    None,
    "the first that fits this host; see discovery.md",
    "How a VM is reached; of several, with commas between them, the first that knows it. `local` is `libvirt`.",
)
DEBUG = Key("debug", _LOG, 0, "0", "How much is logged, from 0; as `-d`.")
LOG_FORMAT = Key(
    "log_format",
    values.one_of(LogFormat),
    LogFormat.TEXT,
    "text",
    "`json`: each log line is an object with fields. As text, the journal gets fields all the same; see watching.md.",
    OURS,
)
FOREGROUND = Key("foreground", values.switch, False, "0", "1: stay in the foreground, as `-F`.")
WAIT_FOR_INIT = Key("wait_for_init", values.switch, False, "0", "1: wait for what is not ready yet, as `-w`.")
WAIT_FOR_BACKEND = Key("wait_for_backend", values.switch, False, "0", "The old name of `wait_for_init`.")
OLD_NAME_MODE: Key[NameMode | None] = Key(
    "name_mode", values.one_of(NameMode), None, "", "The old place of `name_mode` of the backends cpg and checkpoint."
)
STATE_DIR = Key(
    "state_dir",
    values.absolute_path,
    DEFAULT_STATE_DIR,
    str(DEFAULT_STATE_DIR),
    "Where the daemon keeps its state.",
    OURS,
)
HOST_NAME: Key[str | None] = Key(
    "host_name", values.host_id, None, "the system's host name up to its first dot", "This host's id among hosts.", OURS
)
HOST_SHORT: Key[str | None] = Key("host", values.host_id, None, "`host_name`", "The same as `host_name`.", OURS)
REQUEST_TIMEOUT_KEY: Key[float | None] = Key(
    "request_timeout",
    values.seconds,
    None,
    f"{REQUEST_TIMEOUT:g}",
    "Seconds from a request's receipt to its answer, and so its deadline; less than the clients' patience (30 s).",
    OURS,
)
LISTENER_TIMEOUT: Key[float | None] = Key(
    "request_timeout", values.seconds, None, "as in `fence_virtd`", "The same for this listener alone.", OURS
)

KEY_FILE: Key[tuple[Path, ...]] = Key(
    "key_file",
    values.paths,
    (DEFAULT_KEY,),
    str(DEFAULT_KEY),
    "The shared key, or several with commas between them: the first signs, all verify. 4096 bytes of each count.",
)
HASH = Key("hash", values.one_of(Digest), Digest.SHA256, "sha256", "The weakest hash a request may be signed with.")
AUTH = Key("auth", values.one_of(Digest), Digest.SHA256, "sha256", "The hash of the challenge and response.")
FAMILY: Key[Family | None] = Key(
    "family", values.one_of(Family), None, "that of `address`; else ipv4", "The IP version: ipv4 or ipv6."
)
MULTICAST_ADDRESS: Key[str | None] = Key(
    "address", values.text, None, "225.0.0.12; ff05::3:1 for ipv6", "The multicast group to join."
)
TCP_ADDRESS: Key[str | None] = Key(
    "address", values.text, None, "127.0.0.1; ::1 for ipv6", "The address, or host name, to listen on."
)
PORT = Key("port", _PORT, DEFAULT_PORT, str(DEFAULT_PORT), "The port to listen on.")
VSOCK_PORT = Key("port", _VSOCK_PORT, DEFAULT_PORT, str(DEFAULT_PORT), "The vsock port to listen on.")
INTERFACE: Key[str | None] = Key(
    "interface",
    values.interface,
    None,
    "the kernel's choice",
    "The interface that joins the group; it may appear later.",
)
LOCAL_GUESTS_ONLY = Key(
    "local_guests_only",
    values.one_of(LocalGuestsOnly),
    LocalGuestsOnly.AUTO,
    "auto",
    "Whether guests of other hosts are left to their hosts: auto, yes or no.",
    OURS,
)
SERIAL_URI: Key[str | None] = Key("uri", values.text, None, "libvirt's default", "The libvirt that knows the guests.")
SERIAL_PATH: Key[Path | None] = Key(
    "path", values.path, None, "every folder", "Only sockets directly in this folder are used."
)
DEVICE: Key[Path | None] = Key(
    "device", values.absolute_path, None, "none", "A serial port of this host, with the guest `vm` at its end.", OURS
)
PARAMS = Key("params", values.serial_line, (115200, 8, "N", 1), "115200,8N1", "Speed and format of `device`.", OURS)
LINE_VM: Key[str | None] = Key("vm", values.text, None, "none", "The guest at the end of `device`, name or UUID.", OURS)
MODE = Key("mode", serial_mode, SerialMode.SERIAL, "serial", "serial or vmchannel: which devices are listened on.")

URI: Key[str | None] = Key(
    "uri",
    values.text,
    None,
    "qemu:///system",
    "A libvirt connection URI. `uri1`, `uri2` ... name further ones, without a gap.",
    numbered=True,
)
DEATH_PROOF = Key(
    "death_proof",
    values.one_of(DeathProof),
    DeathProof.FULL,
    "full",
    "exit: a VM's process exit is enough, on the administrator's word that nothing of it writes later.",
    OURS,
)
NAME_MODE: Key[NameMode | None] = Key(
    "name_mode",
    values.one_of(NameMode),
    None,
    "name",
    "name or uuid: by which of the two the C program knows VMs. Here it is always both.",
)
CLUSTER_KEY_FILE: Key[tuple[Path, ...]] = Key(
    "key_file",
    values.paths,
    (),
    "corosync's own, if it has one",
    "A key that the hosts share, never the guests'; or several: the first signs, all verify.",
    OURS,
)
PMLIB_LOGLEVEL = Key("pmlib_loglevel", _LOG, 0, "0", "The level of detail of Pacemaker's library.")
MESSAGE = Key("message", values.any_text, "Hi!", "Hi!", "What the backend says when it is asked whether it lives.")

GROUP_NAME = Key("name", values.any_text, "", "none", "What logs call the group.")
GROUP_UUID = Key("uuid", values.any_text, "", "none", "A VM of the group, by UUID or name; any number.", repeats=True)
GROUP_IP = Key(
    "ip", values.any_text, "", "none", "A source of the group: address, network or vsock CID; any number.", repeats=True
)
HOST_ID: Key[str | None] = Key("name", values.host_id, None, "none; required", "The host's id.", OURS)

DAEMON = Section(
    "fence_virtd",
    "The daemon as a whole.",
    (
        LISTENER,
        BACKEND,
        DEBUG,
        LOG_FORMAT,
        metrics_key.METRICS,
        FOREGROUND,
        WAIT_FOR_INIT,
        WAIT_FOR_BACKEND,
        OLD_NAME_MODE,
        STATE_DIR,
        HOST_NAME,
        HOST_SHORT,
        REQUEST_TIMEOUT_KEY,
        *host_keys.DAEMON_KEYS,
        _dead("module_path", "Where the C program looks for its plugins."),
    ),
)
MULTICAST = Section(
    "listeners/multicast",
    "Requests to a multicast group; the daemon calls the guest back over TCP.",
    (KEY_FILE, HASH, AUTH, FAMILY, MULTICAST_ADDRESS, PORT, INTERFACE, LOCAL_GUESTS_ONLY, LISTENER_TIMEOUT),
)
TCP = Section(
    "listeners/tcp", "Requests over TCP.", (KEY_FILE, HASH, AUTH, FAMILY, TCP_ADDRESS, PORT, LISTENER_TIMEOUT)
)
VSOCK = Section("listeners/vsock", "Requests over vsock.", (KEY_FILE, HASH, AUTH, VSOCK_PORT, LISTENER_TIMEOUT))
SERIAL = Section(
    "listeners/serial",
    "Requests over the guests' serial ports or VM channels.",
    (
        SERIAL_URI,
        SERIAL_PATH,
        MODE,
        DEVICE,
        PARAMS,
        LINE_VM,
        LISTENER_TIMEOUT,
        _dead("key_file", "The C program demands a key it does not use."),
    ),
)
LIBVIRT = Section("backends/libvirt", "VMs of this host, or of several libvirt URIs.", (URI, DEATH_PROOF))
CPG = Section("backends/cpg", "VMs of all hosts of a corosync cluster.", (URI, NAME_MODE, CLUSTER_KEY_FILE))
CHECKPOINT = Section("backends/checkpoint", "Another name of `cpg`.", (URI, NAME_MODE, CLUSTER_KEY_FILE))
PM_FENCE = Section("backends/pm-fence", "VMs that are resources of a Pacemaker cluster of hosts.", (PMLIB_LOGLEVEL,))
NULL = Section("backends/null", "Fails every action.", (MESSAGE,))
GROUP = Section("groups/group", "Machines that may fence each other.", (GROUP_NAME, GROUP_UUID, GROUP_IP))
HOST = Section("hosts/host", "One host of those that fence together.", (HOST_ID, *host_keys.HOST_KEYS), OURS)

LISTENER_SECTIONS = (MULTICAST, TCP, VSOCK, SERIAL)
BACKEND_SECTIONS = (
    *(LIBVIRT, CPG, CHECKPOINT, *bus_keys.SECTIONS, PM_FENCE, NULL),
    *(ovirt_keys.OVIRT, ovirt_keys.RHEVM, fence_agent_keys.FENCE_AGENT),
)
INNER_SECTIONS = (
    *(ovirt_keys.OVIRT_MANAGER, ovirt_keys.RHEVM_MANAGER),
    *(fence_agent_keys.FENCE_AGENT_MANAGER, fence_agent_keys.FENCE_AGENT_VM),
)
"""Sections that stand inside a backend's, any number of times."""
SECTIONS = (DAEMON, *LISTENER_SECTIONS, *BACKEND_SECTIONS, *INNER_SECTIONS, GROUP, HOST)
TOP_LEVEL = ("fence_virtd", "listeners", "backends", "groups", "hosts")
