"""Converts what went wrong with a broker to what an administrator can do about it.

Pure.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from enum import Enum

from fencebus_schemas.bus_url import AMQP_1, Broker


class Step(Enum):
    """What is tried, in this order."""

    CONNECT = "connects"
    ENCRYPT = "speaks TLS, and is who it says"
    LOG_IN = "lets this user in"
    EXCHANGES = "has the exchanges"
    QUEUE = "gives a queue, and binds it"
    ROUND_TRIP = "brings a message back"
    PASSES_ON = "passes on to the others"


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a step at a broker; ``remedy`` is empty where all is well."""

    place: Broker
    step: Step
    detail: str = ""
    remedy: str = ""

    @property
    def good(self) -> bool:
        """True if all is well."""
        return not self.remedy

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        if self.good:
            return f"ok    {self.place} {self.step.value}{detail}"
        return f"FAIL  {self.place} -- {self.step.name.lower().replace('_', ' ')}{detail}\n      {self.remedy}"


def explained(place: Broker, step: Step, error: BaseException) -> Finding:
    """Why a step failed, and what to do."""
    return Finding(place, step, _line(error), _remedy(place, step, error))


def _remedy(place: Broker, step: Step, error: BaseException) -> str:
    if step is Step.CONNECT:
        return _unreached(place, error)
    if step is Step.ENCRYPT:
        return _untrusted(place, error)
    if step is Step.LOG_IN or getattr(error, "reply_code", None) == 530:
        return _shut_out(place, error)
    if getattr(error, "reply_code", None) == 404:
        return "The exchanges are missing: import the definitions that were rendered."
    if getattr(error, "reply_code", None) == 403:
        return f"User {place.user} may not do that: compare its permissions with the definitions that were rendered."
    return "The broker's own log says more."


def _unreached(place: Broker, error: BaseException) -> str:
    if isinstance(error, socket.gaierror):
        return f"No address is known for {place.host}: look at /etc/hosts and DNS."
    if isinstance(error, ConnectionRefusedError):
        return f"Nobody listens on port {place.port} there: is the broker running, and on this port?"
    if isinstance(error, TimeoutError):
        return "No answer: is the machine up, and does a firewall let this port through?"
    return "Look at the network between this machine and the broker."


def _untrusted(place: Broker, error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in (62, 64):  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
            return f"Its certificate is for another name than {place.host}: use the name that it was rendered for."
        return "Its certificate is not signed by a CA that is believed here: name the CA with --ca."
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION" in str(error):
        plain = place.scheme.removesuffix("s")
        return f"It does not speak TLS on this port: {plain}s:// is for port 5671, {plain}:// for 5672."
    return "It may want a certificate of this site's CA (--cert, --key), or speak no TLS on this port."


def _shut_out(place: Broker, error: BaseException) -> str:
    code = getattr(error, "reply_code", None)
    if code == 403:
        return f"It does not know user {place.user}, or the password is another one."
    if code == 530:
        return f"The virtual host {place.vhost} is not there, or {place.user} may not enter it."
    if isinstance(error, ssl.SSLError) or "[SSL: " in str(error):
        return "It wants a certificate of this site's CA: name one with --cert and --key."
    if isinstance(error, TimeoutError):
        return "It takes connections and does not answer: does it stand still, or is this another program's port?"
    return _cut_off(place)


def _cut_off(place: Broker) -> str:
    if place.scheme not in AMQP_1:
        return "It broke the connection off: is this the port of AMQP 0-9-1? The broker's own log says more."
    if not place.user:
        return "It may let in nobody without a name: name a user and a password in the URL."
    return (
        "It broke the connection off: does it speak AMQP 1.0 on this port? RabbitMQ needs its plugin "
        "rabbitmq_amqp1_0, qpidd its module amqp. The broker's own log says more."
    )


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
