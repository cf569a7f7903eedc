"""Asks this host's own listeners as a guest would, for `monitor` alone: the request, the call-back, both signatures."""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Iterator
from struct import Struct

from fencebus_host.config.model import Config, Digest, Family, KeyedSettings, MulticastSettings, TcpSettings
from fencebus_host.ctl.doctor.daemon_checks import Running
from fencebus_host.ctl.doctor.findings import Finding, bad, good
from fencebus_host.listeners.group_socket import interface_index
from fencebus_schemas.digest import HASH_NAMES
from fencebus_schemas.errors import FencebusError
from fencebus_schemas.handshake import CHALLENGE_LENGTH, Send, guest_side
from fencebus_schemas.xvm import (
    ACTION_MONITOR,
    FAMILY_IPV4,
    FAMILY_IPV6,
    RANDOM_LENGTH,
    REPLY_SUCCESS,
    XvmRequest,
)

PATIENCE = 3.0
"""Seconds for each step; the daemon's own part of it is milliseconds."""
SEE_LIBVIRT = "see the findings about libvirt, and: journalctl -u fence_virtd"
RELOAD = "systemctl reload fence_virtd, which reads the key again"
_MREQN = Struct("=4s4si")  # struct ip_mreqn: group, local address, interface index
_LOOPBACK = {Family.IPV4: "127.0.0.1", Family.IPV6: "::1"}


class Unanswered(FencebusError):
    """A listener did not answer as it should; ``detail`` says at which step, ``fix`` what to do if that step tells."""

    def __init__(self, detail: str, fix: str = "") -> None:
        super().__init__(detail, fix)
        self.detail = detail
        self.fix = fix

    def __str__(self) -> str:
        return self.detail


def check_round_trips(config: Config, running: Running) -> Iterator[Finding]:
    """Every multicast and TCP listener that the daemon says works is asked once."""
    working = {part.name for part in running.parts if part.trouble is None}
    for listener in config.listeners:
        if isinstance(listener, MulticastSettings | TcpSettings) and f"listener {listener.name}" in working:
            yield _round_trip(listener)


def _round_trip(listener: MulticastSettings | TcpSettings) -> Finding:
    try:
        code = ask(listener)
    except (OSError, FencebusError) as error:
        text = f"listener {listener.name} works, but does not answer this host's own request: {error}"
        return bad("round-trip", text, getattr(error, "fix", "") or _fix(listener))
    if code != REPLY_SUCCESS:
        text = f"listener {listener.name} answers, and says that no hypervisor can be asked ({code})"
        return bad("round-trip", text, SEE_LIBVIRT)
    return good("round-trip", f"listener {listener.name} answers this host's own request")


def _fix(listener: MulticastSettings | TcpSettings) -> str:
    if isinstance(listener, TcpSettings):
        return f"nft list ruleset; ss -ltnp | grep {listener.port}"
    way = f"ip route get {listener.address}" + (f" oif {listener.interface}" if listener.interface else "")
    return f"{way}; nft list ruleset; if the key has changed: {RELOAD}"


def ask(listener: MulticastSettings | TcpSettings) -> int:
    """The reply to one `monitor`.  Raises OSError, or a FencebusError: Unanswered, or what is wrong with the bytes."""
    if isinstance(listener, TcpSettings):
        unspecified = _is_unspecified(listener.address)
        where = (_LOOPBACK[listener.family] if unspecified else listener.address, listener.port)
        with socket.create_connection(where, PATIENCE) as peer:
            peer.sendall(_request(listener, "", 0))
            return _reply(peer, listener)
    return _called_back(listener)


def _is_unspecified(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_unspecified
    except ValueError:  # a host name
        return False


def _called_back(listener: MulticastSettings) -> int:
    with _sender(listener) as sender:
        address = str(sender.getsockname()[0])
        with socket.create_server((address, 0), family=sender.family) as waiting:
            waiting.settimeout(PATIENCE)
            sender.send(_request(listener, address, int(waiting.getsockname()[1])))
            try:
                peer, _ = waiting.accept()
            except TimeoutError:
                raise Unanswered(f"sent to {listener.address} from {address}, and nobody called back") from None
    with peer:
        return _reply(peer, listener)


def _sender(listener: MulticastSettings) -> socket.socket:
    """A socket to the group, with the address that the kernel takes on the listener's interface."""
    index = interface_index(listener)
    if listener.family is Family.IPV6:
        sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        # The scope in an address counts for link-local groups alone.
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        return _connected(sender, (listener.address, listener.port, 0, index))
    sender = _sender4(listener, index, "")
    if not _is_unspecified(sender.getsockname()[0]):
        return sender
    sender.close()  # loopback: its address has too small a scope for the kernel to take it by itself
    return _sender4(listener, index, _LOOPBACK[Family.IPV4])


def _sender4(listener: MulticastSettings, index: int, address: str) -> socket.socket:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.bind((address, 0))
    sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, _MREQN.pack(bytes(4), bytes(4), index))
    return _connected(sender, (listener.address, listener.port))


def _connected(sender: socket.socket, where: tuple[str, int] | tuple[str, int, int, int]) -> socket.socket:
    try:
        sender.connect(where)
    except OSError:
        sender.close()
        raise
    return sender


def _request(listener: KeyedSettings, address: str, port: int) -> bytes:
    family = 0 if not address else FAMILY_IPV6 if ":" in address else FAMILY_IPV4
    request = XvmRequest(
        ACTION_MONITOR,
        "",
        address=ipaddress.ip_address(address).packed if address else b"",
        family=family,
        port=port,
        random=secrets.token_bytes(RANDOM_LENGTH),
        seqno=secrets.randbits(32),
    )
    return request.sign(_key(listener), _number(listener.hash)).pack()


def _reply(peer: socket.socket, listener: KeyedSettings) -> int:
    peer.settimeout(PATIENCE)
    side = guest_side(_key(listener), _number(listener.auth), secrets.token_bytes(CHALLENGE_LENGTH))
    data: bytes | None = None
    while True:
        try:
            step = next(side) if data is None else side.send(data)
        except StopIteration:
            return _verdict(peer)
        data = None
        if isinstance(step, Send):
            peer.sendall(step.data)
        else:
            data = _exactly(peer, step.length)


def _verdict(peer: socket.socket) -> int:
    try:
        return _exactly(peer, 1)[0]
    except TimeoutError:
        text = f"it took the request, and has had no answer for {PATIENCE:.0f} s: it may wait for libvirt"
        raise Unanswered(text, SEE_LIBVIRT) from None


def _exactly(peer: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = peer.recv(length - len(data))
        if not piece:
            raise Unanswered("it closed the connection: its key may be another one, or not reloaded", RELOAD)
        data += piece
    return data


def _key(listener: KeyedSettings) -> bytes:
    return listener.keys[0] if listener.keys else b""


def _number(digest: Digest) -> int:
    return HASH_NAMES.index(digest.value)
