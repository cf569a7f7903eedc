"""The part of the table of keys that concerns monitoring."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from fencebus_host.config.key import Key, KnownBy
from fencebus_host.config.values import BadValueError, whole_number

LOOPBACK = "127.0.0.1"
_PORT = whole_number(1, 65535)


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """Where figures are served."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def metrics_address(value: str) -> MetricsAddress:
    """``9711``, ``192.0.2.1:9711`` or ``[2001:db8::1]:9711``: a port on loopback, or on an address of this host."""
    address, colon, port = value.strip().rpartition(":")
    if not colon:
        return MetricsAddress(LOOPBACK, _PORT(port))
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    try:
        if (ip_address(bare).version == 6) != (bare is not address):
            raise ValueError(value)
    except ValueError:
        raise BadValueError(f'must be a port, or an IP address and a port, not "{value}"', 'write "9711"') from None
    return MetricsAddress(bare, _PORT(port))


METRICS: Key[MetricsAddress | None] = Key(
    "metrics",
    metrics_address,
    None,
    "none: nothing is served",
    "A port of 127.0.0.1, or an address and a port, where Prometheus may read figures; see metrics.md.",
    KnownBy.OURS,
)
