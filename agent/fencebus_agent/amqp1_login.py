"""Decides how a client of AMQP 1.0 logs in at a broker."""

from __future__ import annotations

from fencebus_agent.amqp1_engine import Greeting
from fencebus_agent.bus_tls import speaks_for_itself
from fencebus_schemas.bus_url import Broker, Tls


def greeting_of(broker: Broker, tls: Tls, container: str, silence: float) -> Greeting:
    """With user and password if the URL has them, with the certificate if there is one, else as nobody.

    A virtual host is a thing of RabbitMQ's: it goes where RabbitMQ looks for it.
    """
    mechanism = "PLAIN" if broker.user else "EXTERNAL" if speaks_for_itself(broker, tls) else "ANONYMOUS"
    hostname = broker.host if broker.vhost == "/" else f"vhost:{broker.vhost}"
    return Greeting(container, hostname, mechanism, broker.user, broker.password, silence)
