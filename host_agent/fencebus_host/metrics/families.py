"""Converts what was counted and what was read to metric families, and those to the text that Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from fencebus_host.metrics.reading import Reading, Standing
from fencebus_host.metrics.tally import BUCKETS, Tally
from fencebus_schemas import __version__

Families = Iterable[Metric]


class Figures(Collector):
    """All figures of one daemon; made anew at each scrape, so that nothing has to keep them up to date."""

    def __init__(self, tally: Tally, read: Callable[[], Reading]) -> None:
        self._tally, self._read = tally, read
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def describe(self) -> Families:
        """See prometheus_client: no names are claimed in advance, which would need a reading before there is one."""
        return ()

    def collect(self) -> Families:
        """See prometheus_client."""
        reading = self._read()
        yield from _of_requests(self._tally)
        yield from _of_refusals(self._tally)
        yield from _of_now(reading)
        if reading.standing is not None:
            yield from _of_standing(reading.standing)

    def text(self) -> bytes:
        """What a scrape gets."""
        return generate_latest(self._registry)


def _of_requests(tally: Tally) -> Families:
    labels = ("action", "via", "reason", "ok")
    requests = CounterMetricFamily("fencebus_requests", "Power actions that were answered.", labels=labels)
    for kind, count in tally.requests.items():
        requests.add_metric((kind.action, kind.via, kind.reason, "yes" if kind.ok else "no"), count)
    yield requests
    seconds = HistogramMetricFamily("fencebus_request_seconds", "From receipt to answer.", labels=("action",))
    for action, durations in tally.durations.items():
        ends = [*(str(end) for end in BUCKETS), "+Inf"]
        seconds.add_metric((action,), list(zip(ends, accumulate(durations.within), strict=True)), durations.seconds)
    yield seconds
    for ok, name in ((True, "success"), (False, "failure")):
        if ok in tally.last:
            text = f"Unix time of the last power action that ended in {name}."
            yield _gauge(f"fencebus_last_{name}_timestamp_seconds", text, tally.last[ok])


def _of_refusals(tally: Tally) -> Families:
    text = "Requests that were turned away before anybody looked at what they want."
    refused = CounterMetricFamily("fencebus_refused", text, labels=("via", "reason"))
    for turned, count in tally.refused.items():
        refused.add_metric(turned, count)
    yield refused
    text = "Those of them that were signed with a wrong key, or with none."
    failures = CounterMetricFamily("fencebus_auth_failures", text, labels=("via",))
    for via, count in tally.auth_failures.items():
        failures.add_metric((via,), count)
    yield failures


def _of_now(reading: Reading) -> Families:
    yield _gauge("fencebus_inflight", "Power actions that have not been answered yet.", reading.inflight)
    yield _gauge("fencebus_paused", "1 while an administrator has power actions refused.", reading.paused)
    yield _gauge("fencebus_start_time_seconds", "Unix time of the daemon's start.", reading.started)
    yield _gauges("fencebus_vms", "VMs that this host knows of, on all hosts.", "state", reading.vms)
    yield _gauges("fencebus_members", "Hosts that fence together, as this one sees them.", "state", reading.members)
    yield _gauges("fencebus_part_up", "1 while the listener, router or other part works.", "part", reading.parts)
    yield _gauges("fencebus_problems", "What `fence_virtctl status` reports, by code.", "code", reading.problems)
    about = {"version": __version__, "host": reading.host, "router": reading.router}
    build = GaugeMetricFamily("fencebus_build_info", "Always 1.", labels=tuple(about))
    build.add_metric(tuple(about.values()), 1)
    yield build


def _of_standing(standing: Standing) -> Families:
    yield _gauge("fencebus_bus_up", "1 while the bus or group that joins the hosts is connected.", standing.connected)
    yield _gauge("fencebus_synced", "1 while every member's VMs are known.", standing.synced)
    yield _gauge("fencebus_quorate", "0 while corosync has no quorum; always 1 on a bus.", standing.quorate)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))


def _gauges(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for word, value in values.items():
        family.add_metric((word,), float(value))
    return family
