"""Clocks, the hosts' own cluster, brokers and managers: what the doctor finds around the daemon."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from fencebus_host.config.load import load_text
from fencebus_host.config.model import Config
from fencebus_host.ctl.doctor.clocks import check_guest_clocks, check_host_clock, has_agent, is_kept_right, skew_of
from fencebus_host.ctl.doctor.corosync import check_corosync
from fencebus_host.ctl.doctor.findings import Finding, Level
from fencebus_host.ctl.doctor.reach import Endpoint, check_reach, endpoints
from fencebus_host.ctl.survey import Guest, Hypervisor, Site
from fencebus_host.routers.checkpoint.reach import Reach
from tests.components import require_program
from tests.ports import free_tcp_port

QUORATE = Reach(quorate=True)
LIBVIRT = 'backends { libvirt { uri = "test:///default"; } } listeners { vsock { } }'
CPG = 'fence_virtd { backend = "cpg"; } backends { cpg { } } listeners { vsock { } }'
QMF = 'fence_virtd { backend = "libvirt-qmf"; } backends { libvirt-qmf { host = "HOST"; port = "PORT"; } }'
CHANNEL = (
    "<domain><devices><channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='{}'/></channel>"
    "</devices></domain>"
)


def settings(text: str) -> Config:
    return load_text(text, "x", read_keys=False)


def site(corosync: bool = False) -> Site:
    guests = (
        Guest("early", "u", True),
        Guest("right", "v", True),
        Guest("agentless", "w", True),
        Guest("off", "x", False),
    )
    return Site((Hypervisor("test:///default", guests),), (), corosync, False, False)


def told(findings: Iterator[Finding]) -> list[tuple[Level, str]]:
    return [(finding.level, finding.code) for finding in findings]


def test_a_clock_that_nothing_keeps_right_is_a_warning_and_one_that_cannot_be_asked_is_nothing() -> None:
    assert told(check_host_clock(True)) == [(Level.OK, "clock")]
    assert told(check_host_clock(False)) == [(Level.WARNING, "clock")]
    assert told(check_host_clock(None)) == []
    assert is_kept_right() in (True, False), "Linux can be asked"


def test_a_guest_whose_clock_is_elsewhere_is_named_if_its_agent_tells_the_time() -> None:
    asked = []

    def describe(_: str, name: str) -> str | None:
        return CHANNEL.format("disconnected" if name == "agentless" else "connected")

    def domtime(uri: str, name: str) -> str | None:
        asked.append((uri, name))
        return {"early": "Time: 1090", "right": "Time: 1001"}[name]

    (found,) = check_guest_clocks(site(), describe, domtime, lambda: 1000.0)
    assert found.text.startswith("early: its clock is 90 s ahead of this host's")
    assert found.fix == "virsh domtime early --sync"
    assert asked == [("test:///default", "early"), ("test:///default", "right")]


def test_what_is_no_time_and_no_domain_is_passed_over() -> None:
    assert skew_of("", 5.0) is None
    assert skew_of("Time: soon", 5.0) is None
    assert skew_of("Time: 3", 5.0) == -2.0
    assert not has_agent("<domain")


@pytest.mark.parametrize(
    ("text", "configured", "answer", "expected"),
    (
        (LIBVIRT, False, QUORATE, []),
        (LIBVIRT, True, QUORATE, [(Level.OK, "corosync-quorate")]),
        (LIBVIRT, True, Reach(), [(Level.WARNING, "corosync-quorate")]),
        (LIBVIRT, True, Reach("it does not run"), [(Level.WARNING, "corosync-down")]),
        (CPG, True, Reach(), [(Level.ERROR, "corosync-quorate")]),
        (CPG, True, Reach(counted=False), [(Level.ERROR, "corosync-no-provider")]),
        (CPG, True, Reach("it does not run"), [(Level.ERROR, "corosync-down")]),
        (CPG, False, QUORATE, [(Level.ERROR, "corosync-missing")]),
    ),
)
def test_corosync_is_asked_where_it_is_configured_and_is_vital_where_the_router_needs_it(
    text: str, configured: bool, answer: Reach, expected: list[tuple[Level, str]]
) -> None:
    assert told(check_corosync(settings(text), site(configured), lambda: answer)) == expected


def test_the_broker_and_the_managers_of_the_configuration_are_tried(tmp_path: Path) -> None:
    (broker,) = endpoints(settings(QMF.replace("HOST", "127.0.0.1").replace("PORT", "5671")))
    assert str(broker) == "broker 127.0.0.1:5671"
    ovirt = 'backends { ovirt { url = "https://engine.example:8443/x"; credentials_file = "/c"; } }'
    (manager,) = endpoints(settings(f'fence_virtd {{ backend = "ovirt"; }} {ovirt}'))
    assert str(manager) == "manager engine.example:8443 (TLS)"
    assert endpoints(settings(LIBVIRT)) == ()


def test_a_service_that_listens_is_reached_and_one_that_does_not_is_an_error() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        here = Endpoint("broker", "127.0.0.1", server.getsockname()[1])
        assert told(check_reach((here,))) == [(Level.OK, "reachable")]
    gone = Endpoint("broker", "127.0.0.1", free_tcp_port())
    (found,) = check_reach((gone,))
    assert (found.level, found.code) == (Level.ERROR, "unreachable")
    assert "Connection refused" in found.text


@contextmanager
def tls_server(folder: Path) -> Iterator[tuple[int, Path]]:
    """The port of a TLS server for `localhost`, and the certificate that vouches for it."""
    openssl = require_program("openssl", "openssl")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([openssl, *made, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer, suppress(OSError):
                    context.wrap_socket(peer, server_side=True).close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], certificate
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_certificate_that_nobody_vouches_for_is_an_error(tmp_path: Path) -> None:
    with tls_server(tmp_path) as (port, certificate):
        (stranger,) = check_reach((Endpoint("manager", "localhost", port, tls=True),))
        assert (stranger.level, "certificate is not trusted" in stranger.text) == (Level.ERROR, True)
        known = (
            Endpoint("manager", "localhost", port, tls=True, ca_file=certificate),
            Endpoint("manager", "127.0.0.1", port, tls=True, pinned=True),
        )
        assert told(check_reach(known)) == [(Level.OK, "reachable")] * 2
        absent = Endpoint("manager", "localhost", port, tls=True, ca_file=tmp_path / "none")
        assert told(check_reach((absent,))) == [(Level.ERROR, "unreachable")]
