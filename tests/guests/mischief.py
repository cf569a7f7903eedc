"""What a test has a guest's shell do to its host: flood a way with rubbish, ask for a list and not read it."""

from __future__ import annotations

from tests.guests.machine import HOST_ADDRESS
from tests.guests.world import PORT, Way

FORWARD = "nc 10.0.2.179 1229"
_DATAGRAMS = (
    "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
    "all(s.sendto(b'abba' * 44, ('225.0.0.12', 1229)) for _ in iter(int, 1))"
)

FLOODS = {
    "noise": (Way.CHANNEL, f"cat /dev/urandom > {PORT}"),
    "magics": (Way.SERIAL, "yes abba | tr -d '\\n' > /dev/ttyS1"),
    "prompt": (Way.CHANNEL, f"yes 'node1 login: ' > {PORT}"),
    "forwarded": (Way.GUESTFWD, f"cat /dev/urandom | {FORWARD}"),
    "connections": (Way.TCP, f"while true; do head -c 999 /dev/urandom | nc {HOST_ADDRESS} 1229; done"),
    "datagrams": (Way.MULTICAST, f'python3 -c "{_DATAGRAMS}"'),
}
"""Each goes on until ``END_FLOODS``."""
END_FLOODS = "killall sh cat yes tr head nc python3"

READ = 900
_LIST = r"printf 'abba\006\000'; head -c 68 /dev/zero"


def _on_device(device: str) -> str:
    return f"exec 3<>{device}; ({_LIST}) >&3; sleep 2; head -c {READ} <&3 | wc -c"


def _stopped_client(way: Way, connected: str) -> str:
    """Our client, held as soon as its connection stands, with the list still to be read."""
    listed = f"/tmp/list-{way.name}"
    client = f"{way.ours('-o list')} > {listed} & held=$!"
    # On a slow machine the connection may have come and gone between two looks.
    seek = f"for look in $(seq 300); do grep -q '{connected}' /proc/net/tcp && break; done"
    hold = f"{seek}; kill -STOP $held; sleep 2; kill -CONT $held"
    return f"{client}; {hold}; wait $held; wc -l < {listed}"


STALLS = {
    Way.SERIAL: "stty -F /dev/ttyS1 raw -echo; " + _on_device("/dev/ttyS1"),
    Way.CHANNEL: _on_device(PORT),
    Way.GUESTFWD: f"(({_LIST}; sleep 3) | timeout 4 {FORWARD} | (sleep 2; head -c {READ} | wc -c)) 2>/dev/null",
    Way.TCP: _stopped_client(Way.TCP, ":04CD 01 "),
    Way.MULTICAST: _stopped_client(Way.MULTICAST, ":04CD [0-9A-F]*:[0-9A-F]* 01 "),
}
"""Each asks for a list, leaves it for two seconds, and prints how much of it then came."""
_LINES = (Way.SERIAL, Way.CHANNEL, Way.GUESTFWD)
ALL_STALLS = "; ".join(
    (
        *(f"({each}) > /tmp/{way.name}" for way, each in STALLS.items() if way not in _LINES),
        " & ".join((*(f"({STALLS[way]}) > /tmp/{way.name}" for way in _LINES), "wait")),
        "cd /tmp",
        "cat " + " ".join(way.name for way in STALLS),
    )
)
"""The networks one after the other, and then the lines at once."""
CAME = {way: str(READ) if way in _LINES else "503" for way in STALLS}
"""Lines of a list of 503 VMs, or the bytes that were read of it."""
