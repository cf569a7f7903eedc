"""Answers every status with "on" at once: what is left of a client's time is the client's own.

python -IS answerer.py FOLDER-OF-SCHEMAS PORT KEY-FILE       one thread, plain sockets, until it is ended
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

LISTENING = b"listening\n"


def main() -> None:
    """Serve one connection after the other."""
    sys.path.insert(0, sys.argv[1])
    key = Path(sys.argv[3]).read_bytes()
    with socket.create_server(("127.0.0.1", int(sys.argv[2]))) as door:
        os.write(1, LISTENING)
        while True:
            line, _ = door.accept()
            with line:
                serve(line, key)


def serve(line: socket.socket, key: bytes) -> None:
    """One exchange: the request is read and not looked at."""
    from fencebus_schemas.digest import HASH_SHA256
    from fencebus_schemas.handshake import CHALLENGE_LENGTH, Send, host_side
    from fencebus_schemas.xvm import REPLY_SUCCESS, REQUEST_LENGTH

    _read(line, REQUEST_LENGTH)
    side = host_side(key, HASH_SHA256, os.urandom(CHALLENGE_LENGTH))
    try:
        step = next(side)
        while True:
            if isinstance(step, Send):
                line.sendall(step.data)
                step = next(side)
            else:
                step = side.send(_read(line, step.length))
    except StopIteration:
        line.sendall(bytes([REPLY_SUCCESS]))


def _read(line: socket.socket, length: int) -> bytes:
    return line.recv(length, socket.MSG_WAITALL)


if __name__ == "__main__":
    main()
