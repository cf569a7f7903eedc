"""Converts the files of TLS into what protects a connection of a bus, and decides whether they say who this host is."""

from __future__ import annotations

import ssl

from fencebus_schemas.bus_url import Broker, Tls

OLDEST = ssl.TLSVersion.TLSv1_2


def speaks_for_itself(broker: Broker, tls: Tls) -> bool:
    """True if the certificate says who this host is, rather than a user and a password."""
    return broker.secure and not broker.user and tls.cert_file is not None


def context_of(tls: Tls, purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH) -> ssl.SSLContext:
    """What protects a connection; ``purpose`` is what the other side is.  Raises OSError for a file that cannot be read
    (an ssl.SSLError is one, too).
    """
    context = ssl.create_default_context(purpose, cafile=tls.ca_file)
    context.minimum_version = OLDEST
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
