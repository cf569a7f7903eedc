"""Goes to brokers of AMQP 0-9-1 as a host does: logs in, looks for the exchanges, binds, has a message come back.

Through kombu's transport, as the bus; but the bus heals what breaks, and here each step is to fail by itself.
"""

from __future__ import annotations

import contextlib
import secrets
import ssl
import time
from collections.abc import Iterator, Sequence

import kombu
from kombu.transport.pyamqp import Channel, Connection

from fencebus_broker.findings import Finding
from fencebus_broker.visiting import SECONDS, visited
from fencebus_schemas.bus_url import Broker, Tls, bracketed


class KombuVisit:
    """See Visit."""

    def __init__(self, place: Broker, tls: Tls, domain: str) -> None:
        self.place = place
        self._files, self._topic, self._direct = tls, f"qmf.{domain}.topic", f"qmf.{domain}.direct"
        self.key = f"fencebus-{secrets.token_hex(8)}"
        self.heard: set[bytes] = set()
        self._vouched = ""

    def log_in(self) -> str:
        """See Visit."""
        place = self.place
        self._transport = kombu.Connection(
            bracketed(place.host),
            userid=place.user,
            password=place.password,
            virtual_host=place.vhost,
            port=place.port,
            ssl=self._tls(),
            connect_timeout=SECONDS,
            transport_options={"client_properties": {"product": "fencebus_broker check"}},
            login_method="PLAIN",
        ).transport
        self.connection: Connection = self._transport.establish_connection()
        return f"virtual host {place.vhost}"

    def _tls(self) -> dict[str, object] | bool:
        if not self.place.secure:
            return False
        return {
            "ca_certs": self._files.ca_file,
            "certfile": self._files.cert_file,
            "keyfile": self._files.key_file,
            "cert_reqs": ssl.CERT_REQUIRED,
            "server_hostname": self.place.host,
        }

    def look(self) -> str:
        """See Visit."""
        self._channel: Channel = self.connection.channel()
        for name, kind in ((self._topic, "topic"), (self._direct, "direct")):
            self._channel.exchange_declare(name, kind, passive=True)
        return f"{self._topic}, {self._direct}"

    def bind(self) -> str:
        """See Visit."""
        self._channel.auto_decode = False
        self._channel.queue_declare(self.key, exclusive=True, auto_delete=True)
        self._channel.queue_bind(self.key, self._direct, self.key)
        self._channel.basic_consume(self.key, no_ack=True, callback=self._hear)
        return ""

    def vouched(self) -> str:
        """See Visit."""
        return f"the broker vouches for user {self._vouched}" if self._vouched else ""

    def may_send(self) -> bool:
        """True if this user may write where hosts are reached; whoever may not loses its channel by trying."""
        channel = self.connection.channel()
        channel.confirm_select()
        confirmed: list[int] = []
        channel.events["basic_ack"].add(lambda tag, _multiple: confirmed.append(tag))
        try:
            channel.basic_publish(channel.prepare_message(b""), self._direct, f"nobody-{self.key}")
            while not confirmed:
                self.connection.blocking_read(SECONDS)
        except self._transport.channel_errors:
            return False
        channel.close()
        return True

    def send(self, key: str, body: bytes) -> None:
        """To whoever has bound the key, at any broker."""
        properties = {"user_id": self.place.user, "expiration": "10000"}
        self._channel.basic_publish(self._channel.prepare_message(body, properties=properties), self._direct, key)

    def wait_for(self, body: bytes, seconds: float) -> bool:
        """Whether it comes in time."""
        until = time.monotonic() + seconds
        while body not in self.heard and (left := until - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                self.connection.blocking_read(left)
        return body in self.heard

    def leave(self) -> None:
        """Close what is open; whatever that says is of no interest."""
        if hasattr(self, "connection"):
            with contextlib.suppress(*self._transport.connection_errors, *self._transport.channel_errors):
                self._transport.close_connection(self.connection)

    def _hear(self, raw: object) -> None:
        message = self._channel.message_to_python(raw)
        self.heard.add(bytes(message.body))
        self._vouched = str(message.properties.get("user_id", ""))


def probe(places: Sequence[Broker], tls: Tls, domain: str) -> Iterator[Finding]:
    """What is to be said of each broker, and of them all together."""
    return visited([KombuVisit(place, tls, domain) for place in places], tls)
