"""Decides which HTTP requests the page's server answers, and what it forbids the browser.  Pure.

Whoever can reach the port may look.  What must not happen is that a strange web page in the administrator's browser
reaches it: by a name of its own that it has resolve to this address (DNS rebinding), or from a frame or script.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import ip_address
from types import MappingProxyType

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)


def is_named_rightly(host: str, names: Collection[str]) -> bool:
    """Whether the ``Host`` header is an address, which nobody can have resolved, or one of this server's names."""
    name = _without_port(host.lower())
    return name in names or _is_address(name.removeprefix("[").removesuffix("]"))


def comes_from_here(site: str | None, mode: str | None) -> bool:
    """Whether a browser's ``Sec-Fetch-Site`` is ours or nobody's; to follow a link to the page is everybody's right."""
    return site in (None, "same-origin", "none") or mode == "navigate"


def is_loopback(address: str) -> bool:
    """Whether nobody but this machine reaches the address."""
    return address == "localhost" or (_is_address(address) and ip_address(address).is_loopback)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and (name.endswith("]") or ":" not in name) else host
