"""Converts fence requests and host lists to the bytes of fence_xvm and back: 176-byte requests, 130-byte list records.

Everything is little-endian, as C's programs are in practice. The module is on the guest client's fast path: it imports
nothing that takes time. What is hostile and what C's programs really send is told apart field by field, in ``unpack``
and ``RecordReader``.
"""

from __future__ import annotations

from struct import Struct

from .digest import DIGEST_LENGTH, HASH_NAMES, HASH_NONE, AuthError, digest64, same_digest
from .errors import WireError
from .frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ACTION_NULL = 0
ACTION_OFF = 1
ACTION_REBOOT = 2
ACTION_ON = 3
ACTION_STATUS = 4
ACTION_MONITOR = 5
ACTION_LIST = 6
ACTION_NAMES = ("null", "off", "reboot", "on", "status", "monitor", "list")

REPLY_SUCCESS = 0
"""Done; for a status: the VM is on."""
REPLY_FAILURE = 1
REPLY_OFF = 2
REPLY_DENIED = 3
REPLY_LIST = 253
"""Not a result: list records follow."""

DEFAULT_PORT = 1229
GROUP_IPV4 = "225.0.0.12"
GROUP_IPV6 = "ff05::3:1"
FAMILY_IPV4 = 2
FAMILY_IPV6 = 10
FLAG_UUID = 1

REQUEST_LENGTH = 176
NAME_LENGTH = 64
"""Of every field that holds a name or a UUID, its NUL included."""
RANDOM_LENGTH = 6
RECORD_LENGTH = 130
MAX_RECORDS = 65536
"""A list that is longer has no end: more VMs than any one host runs."""

# request u8 @0, hashtype u8 @1, addrlen u8 @2, flags u8 @3, domain @4, address @68, port u16 @96, random @98, seqno
# u32 @104, family u32 @108, hash @112 (C: fence_req_t in xvm.h)
_REQUEST = Struct("<BBBB64s28sH6sII64s")
# domain @0, uuid @64, state u8 @128, pad u8 @129 (C: host_state_t)
_RECORD = Struct("<64s64sBx")
_DIGEST_AT = REQUEST_LENGTH - DIGEST_LENGTH
_FAMILY_OF_LENGTH = {4: FAMILY_IPV4, 16: FAMILY_IPV6}


def pack_name(name: str) -> bytes:
    """Return ``name`` as a 64-byte field, padded with NULs.

    Raises:
        WireError: "name-length" when it has more than 63 bytes of UTF-8, "name-nul" when it holds a NUL, "utf8".
    """
    try:
        raw = name.encode()
    except UnicodeEncodeError:
        raise WireError("utf8", f"{name!r} cannot be written as UTF-8") from None
    if len(raw) >= NAME_LENGTH:
        raise WireError("name-length", f"the name {name!r} has {len(raw)} bytes, the protocol allows 63")
    if b"\0" in raw:
        raise WireError("name-nul", f"the name {name!r} holds a NUL")
    return raw.ljust(NAME_LENGTH, b"\0")


def unpack_name(field: bytes) -> str:
    """Return the text before the first NUL of a 64-byte field; what stands after it is ignored, as C ignores it.

    Raises:
        WireError: "unterminated" when there is no NUL, "utf8".
    """
    raw, nul, _ = field.partition(b"\0")
    if not nul:
        raise WireError("unterminated", "a name has no NUL at its end")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise WireError("utf8", f"the name {raw!r} is not UTF-8") from None


class XvmRequest(Frozen):
    """One request as it goes over multicast, TCP and vsock.

    ``address`` (4, 16 or no bytes), ``port`` and ``family`` say where to call back; all empty on TCP and vsock.
    ``random`` (6 bytes) and ``seqno`` make the request one of its kind. ``digest`` is the signature over everything
    else.
    """

    __slots__ = (
        "_wire",
        "action",
        "address",
        "digest",
        "domain",
        "family",
        "flags",
        "hash_type",
        "port",
        "random",
        "seqno",
    )
    _wire: bytes
    action: int
    address: bytes
    digest: bytes
    domain: str
    family: int
    flags: int
    hash_type: int
    port: int
    random: bytes
    seqno: int

    def __init__(
        self,
        action: int,
        domain: str,
        *,
        hash_type: int = HASH_NONE,
        flags: int = 0,
        address: bytes = b"",
        port: int = 0,
        random: bytes = bytes(RANDOM_LENGTH),
        seqno: int = 0,
        family: int = 0,
        digest: bytes = bytes(DIGEST_LENGTH),
        _wire: bytes = b"",
    ) -> None:
        self._fill(_wire, action, address, digest, domain, family, flags, hash_type, port, random, seqno)

    def pack(self) -> bytes:
        """Return the 176 bytes; of a request that came from outside, exactly those that came.

        Raises:
            WireError: the domain does not fit its field (see ``pack_name``).
        """
        if self._wire:
            return self._wire
        return _REQUEST.pack(
            self.action,
            self.hash_type,
            len(self.address),
            self.flags,
            pack_name(self.domain),
            self.address,
            self.port,
            self.random,
            self.seqno,
            self.family,
            self.digest,
        )

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> XvmRequest:
        """Read a request that came from outside, and keep its bytes: the signature covers padding too.

        Strict: the length, the hash type, the address' length (0, 4, 16) and that its family fits, the domain's NUL
        and UTF-8. Tolerated: any action and any flag (to be refused by whoever carries out requests, as C does),
        bytes after the NUL of the domain and after the address, any family where there is no address.

        Raises:
            WireError: "length", "hash", "addrlen", "family", "unterminated", "utf8".
        """
        if len(data) != REQUEST_LENGTH:
            raise WireError("length", f"a request has {REQUEST_LENGTH} bytes, this one {len(data)}")
        action, hash_type, addrlen, flags, domain, address, port, random, seqno, family, digest = _REQUEST.unpack(data)
        if hash_type >= len(HASH_NAMES):
            raise WireError("hash", f"unknown hash type {hash_type}")
        if addrlen and addrlen not in _FAMILY_OF_LENGTH:
            raise WireError("addrlen", f"an address cannot have {addrlen} bytes")
        if addrlen and family != _FAMILY_OF_LENGTH[addrlen]:
            raise WireError("family", f"an address of {addrlen} bytes does not belong to family {family}")
        return cls(
            action,
            unpack_name(domain),
            hash_type=hash_type,
            flags=flags,
            address=address[:addrlen],
            port=port,
            random=random,
            seqno=seqno,
            family=family,
            digest=digest,
            _wire=bytes(data),
        )

    def sign(self, key: bytes, hash_type: int) -> XvmRequest:
        """Return this request signed with ``key``: H(key || request with a zero digest). HASH_NONE needs no key.

        Raises:
            AuthError: "no-key". WireError: "hash", or the domain does not fit its field.
        """
        names = [name for name in self.__slots__ if name[0] != "_"]
        fields = {name: getattr(self, name) for name in names}
        fields.update(hash_type=hash_type, digest=bytes(DIGEST_LENGTH))
        fields["digest"] = digest64(hash_type, key, XvmRequest(**fields).pack())
        return XvmRequest(**fields)

    def verify(self, key: bytes, minimum: int) -> None:
        """Return if the signature is at least as strong as the hash type ``minimum`` and made with ``key``.

        Raises:
            AuthError: "hash-weak", "no-key" (a signed request, and we have an empty key), "signature".
        """
        if self.hash_type < minimum:
            asked, got = HASH_NAMES[minimum], HASH_NAMES[self.hash_type]
            raise AuthError("hash-weak", f"the request is signed with {got}, at least {asked} is asked for")
        unsigned = self.pack()[:_DIGEST_AT] + bytes(DIGEST_LENGTH)
        if not same_digest(digest64(self.hash_type, key, unsigned), self.digest):
            raise AuthError("signature", "the signature does not fit the key")

    def __str__(self) -> str:
        name = ACTION_NAMES[self.action] if self.action < len(ACTION_NAMES) else str(self.action)
        return f"{name} {self.domain!r} seqno={self.seqno} random={self.random.hex()} hash={HASH_NAMES[self.hash_type]}"


class ListRecord(Frozen):
    """One VM of a host list. ``state`` is libvirt's state number; C's client prints "on" for 1 only."""

    __slots__ = ("name", "state", "uuid")
    name: str
    state: int
    uuid: str

    def __init__(self, name: str, uuid: str, state: int) -> None:
        self._fill(name, state, uuid)

    def pack(self) -> bytes:
        """Return the 130 bytes: name and UUID cut to 63 bytes between two characters, so that a NUL always follows.

        Raises:
            WireError: "empty-record": without name and UUID it would end the list.
        """
        record = _RECORD.pack(_clip(self.name), _clip(self.uuid), self.state)
        if record[0] == 0 and record[NAME_LENGTH] == 0:
            raise WireError("empty-record", "a VM without name and UUID would end the list")
        return record


def _clip(text: str) -> bytes:
    raw = text.encode("utf-8", "surrogateescape").partition(b"\0")[0]
    if len(raw) < NAME_LENGTH:
        return raw
    end = NAME_LENGTH - 1
    while raw[end] & 0xC0 == 0x80:
        end -= 1
    return raw[:end]


def pack_records(records: Iterable[ListRecord]) -> bytes:
    """Return the records and the all-zero record that ends a list."""
    return b"".join([*(record.pack() for record in records), bytes(RECORD_LENGTH)])


def pack_list(records: Iterable[ListRecord], result: int = REPLY_SUCCESS) -> bytes:
    """Return the whole answer to a list on TCP, vsock and multicast: 0xFD, the records, their end, one result byte."""
    return bytes((REPLY_LIST,)) + pack_records(records) + bytes((result,))


class RecordReader:
    """Takes the records of a list as their bytes come, up to the record that ends it.

    C's daemon sends stack garbage after the NULs and in the pad byte, and no NUL after a name of 63 bytes or more,
    which may also be cut inside a character: all that is tolerated; undecodable bytes become surrogate escapes. A
    record with an empty name and an empty UUID is the end, as for C's client.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._count = 0
        self.done = False
        """Whether the end of the list has come; later bytes are ignored (C sends one more result byte)."""

    def feed(self, data: bytes | memoryview) -> list[ListRecord]:
        """Return the records that ``data`` completes.

        Raises:
            WireError: "list-length", more than MAX_RECORDS.
        """
        if self.done:
            return []
        self._buffer += data
        found: list[ListRecord] = []
        whole = len(self._buffer) // RECORD_LENGTH
        for number in range(whole):
            at = number * RECORD_LENGTH
            if not (self._buffer[at] or self._buffer[at + NAME_LENGTH]):
                self.done = True
                break
            name, uuid, state = _RECORD.unpack_from(self._buffer, at)
            found.append(ListRecord(_tolerant(name), _tolerant(uuid), state))
        del self._buffer[: whole * RECORD_LENGTH]
        self._count += len(found)
        if self._count > MAX_RECORDS:
            raise WireError("list-length", f"the list has more than {MAX_RECORDS} records and no end")
        return found


def _tolerant(field: bytes) -> str:
    # C copies 63 bytes and never writes the 64th: where no NUL came before, it is stack garbage.
    return field[: NAME_LENGTH - 1].partition(b"\0")[0].decode("utf-8", "surrogateescape")
