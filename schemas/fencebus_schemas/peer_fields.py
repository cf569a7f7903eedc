"""Decides which fields each value in a host-to-host message has on the wire, of which kind, and how large (S11)."""

from __future__ import annotations

from fencebus_schemas import model, peer
from fencebus_schemas.strict_json import Count, Flag, Kind, Many, Maybe, Number, OneOf, Remark, Shape, Text, refuse

MOST_RECORDS = 20_000
MOST_MEMBERS = 10_000
MOST_MARKS = 1_000
"""Lives of one VM that a host remembers."""


class UuidText(Kind):
    """A UUID in its canonical form."""

    def read(self, plain: object) -> object:
        """See ``Kind``."""
        if not isinstance(plain, str):
            refuse("type", "a UUID", plain)
        if model.as_uuid(plain) != plain:
            refuse("range", "a UUID in lower case", plain)
        return plain


ID = Text(255, printable=True)
"""Request ids, tokens, serials, digests."""
HOST = PART = Text(255, least=1, printable=True)
"""Names of hosts, and parts of an incarnation: never empty, so that an empty one can stand for the sender's."""
NAME = Text(4096)
"""Names may hold any character: the hypervisor took them."""
MARK = Text(1024)
REMARK = Remark(4096)
UUID = UuidText()
REASON = OneOf(model.Reason)
STATE = OneOf(model.VmState)
COUNT = Count()
NUMBER = Number()
FLAG = Flag()

INCARNATION = Shape(model.Incarnation, {"boot_id": PART, "machine_id": PART, "nonce": PART})
LIFE = Shape(model.Life, {"mark": MARK, "began_at": Maybe(NUMBER)})
NOBODY = model.Incarnation("", "", "")
"""Stands in a record for the incarnation of the message's sender, as an empty host does for the sender."""

VM_RECORD = Shape(
    model.VmRecord,
    {
        "uuid": UUID,
        "name": NAME,
        "state": STATE,
        "host": HOST,
        "incarnation": INCARNATION,
        "generation": COUNT,
        "cluster": Maybe(NAME),
        "hypervisor": NAME,
        "life": MARK,
    },
    {"host": model.HostId(""), "incarnation": NOBODY},
)
OBSERVATION = Shape(
    model.Observation,
    {
        "vm": UUID,
        "state": STATE,
        "host": HOST,
        "incarnation": INCARNATION,
        "proof": OneOf(model.Proof),
        "seen_at": NUMBER,
        "migration_in_flight": FLAG,
        "was": STATE,
        "ended": Maybe(LIFE),
        "detail": REMARK,
        "hypervisor": NAME,
    },
)
SIGHT = Shape(
    model.Sight,
    {
        "vm": UUID,
        "state": STATE,
        "known": FLAG,
        "in_flight": FLAG,
        "life": Maybe(LIFE),
        "ended": Many(MARK, MOST_MARKS),
        "left": Many(MARK, MOST_MARKS),
        "detail": REMARK,
    },
)
SOURCE = Shape(model.Source, {"text": NAME, "vm": Maybe(UUID), "vm_name": NAME, "known": FLAG})
QUOTE = Shape(peer.Quote, {"token": ID, "incarnation": Maybe(INCARNATION), "patience": NUMBER, "age": NUMBER})
FORGOTTEN = Shape(peer.Forgotten, {"host": HOST, "version": COUNT, "member": FLAG})
CONFIRMED = Shape(
    peer.Confirmed,
    {"host": HOST, "version": COUNT, "incarnation": INCARNATION, "who": REMARK, "when": REMARK, "stands": FLAG},
)
MEMBERS = Many(HOST, MOST_MEMBERS)
FORGOTTENS = Many(FORGOTTEN, MOST_MEMBERS)
CONFIRMEDS = Many(CONFIRMED, MOST_MEMBERS)
REFUSAL = Maybe(REASON)
ANSWER = {"request": ID, "token": ID, "observation": Maybe(OBSERVATION), "refusal": REFUSAL, "text": REMARK}
WISH = {"source": SOURCE, "source_cluster": Maybe(NAME), "target": NAME, "via": NAME}
ORDER = {**WISH, "quote": QUOTE}

BODIES: dict[type[peer.Message], dict[str, Kind]] = {
    peer.Announce: {"generation": COUNT, "digest": ID, "members": ID, "token": ID},
    peer.Fetch: {},
    peer.Inventory: {
        "generation": COUNT,
        "digest": ID,
        "records": Many(VM_RECORD, MOST_RECORDS),
        "members": MEMBERS,
        "forgotten": FORGOTTENS,
        "confirmed": CONFIRMEDS,
    },
    peer.Change: {"generation": COUNT, "digest": ID, "record": VM_RECORD, "gone": FLAG},
    peer.Guard: {
        "request": ID,
        "round": COUNT,
        "purpose": OneOf(peer.Purpose),
        "vm": UUID,
        "source": Maybe(UUID),
        "members": ID,
        "stamp": NUMBER,
        "quote": QUOTE,
    },
    peer.GuardAnswer: {
        "request": ID,
        "round": COUNT,
        "stamp": NUMBER,
        "token": ID,
        "serial": ID,
        "sight": Maybe(SIGHT),
        "refusal": REFUSAL,
        "is_old": FLAG,
        "source_here": FLAG,
        "members": MEMBERS,
        "forgotten": FORGOTTENS,
    },
    peer.Fence: {
        "request": ID,
        "identity": ID,
        "action": OneOf(model.Action),
        "vm": UUID,
        "lives": Many(MARK, MOST_MARKS),
        "begin": NUMBER,
        **ORDER,
    },
    peer.FenceAnswer: ANSWER,
    peer.Start: {"request": ID, "identity": ID, "vm": UUID, "serial": ID, **ORDER},
    peer.StartAnswer: ANSWER,
    peer.Rehearse: {"request": ID, "vm": UUID, **WISH},
    peer.Rehearsed: {"request": ID, "sight": SIGHT, "refusal": REFUSAL},
    peer.Lift: {"request": ID, "vm": UUID},
    peer.Outcome: {
        "request": ID,
        "identity": ID,
        "ok": FLAG,
        "reason": REASON,
        "text": REMARK,
        "patience": NUMBER,
    },
    peer.Forget: {"records": FORGOTTENS},
    peer.Confirm: {"records": CONFIRMEDS},
}
"""The fields of each message beside those that all have."""
