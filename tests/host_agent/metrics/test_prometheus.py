"""A real Prometheus scrapes two real daemons: every query of the dashboard has data, and alerts fire."""

from __future__ import annotations

import json
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from fencebus_host.control_client import ask_daemon
from fencebus_schemas.model import Action
from tests.components import CHECKOUT, require_program
from tests.host_agent.two_hosts import TwoHosts, two_hosts
from tests.ports import free_tcp_port
from tests.protocol_client import PeerClosed, Secret
from tests.server_process import ServerProcess

MONITORING = CHECKOUT / "packaging" / "monitoring"
LIMIT = 40.0


@dataclass(frozen=True)
class Site:
    """The daemons, and the Prometheus that scrapes them."""

    hosts: TwoHosts
    port: int

    def asked(self, path: str, **about: str) -> object:
        """What Prometheus answers."""
        address = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(about)}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.load(answer)["data"]

    def has_data(self, query: str) -> bool:
        """Whether the query returns any."""
        found = self.asked("query", query=query)
        assert isinstance(found, dict)
        return bool(found["result"])

    def firing(self) -> set[str]:
        """The alerts that fire."""
        found = self.asked("alerts")
        assert isinstance(found, dict)
        return {each["labels"]["alertname"] for each in found["alerts"] if each["state"] == "firing"}


def configuration(ports: list[int]) -> str:
    targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    return (
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\n"
        "rule_files: [rules.yml]\n"
        f"scrape_configs: [{{job_name: fencebus, static_configs: [{{targets: [{targets}]}}]}}]\n"
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Both hosts, with a success, a failure and a wrong key behind them, and scraped."""
    folder, port = tmp_path_factory.mktemp("metrics"), free_tcp_port()
    program = require_program("prometheus", package="prometheus")
    with two_hosts(folder) as hosts:
        rules = (MONITORING / "fencebus.rules.yml").read_text(encoding="utf-8")
        (folder / "rules.yml").write_text(re.sub(r"for: \d+m", "for: 0s", rules))  # promtool's test waits as long
        (folder / "conf.yml").write_text(configuration(list(hosts.metrics.values())))
        argv = [str(program), f"--config.file={folder}/conf.yml", f"--storage.tsdb.path={folder}/data"]
        argv += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
        with ServerProcess(argv, folder / "prometheus.log") as running:
            running.wait_for_tcp(port)
            assert hosts["host1"].ask(Action.OFF, "node2").code == 0
            assert hosts["host1"].ask(Action.OFF, "nosuchvm").code != 0
            with pytest.raises(PeerClosed):
                hosts["host1"].ask(Action.LIST, secret=Secret(b"an old key"))
            for daemon in hosts.daemons.values():
                ask_daemon(daemon.state_dir / "control.sock", "pause", {"why": "a test"})
            yield Site(hosts, port)


def wait_until(met: Callable[[], bool], shown: Callable[[], object]) -> None:
    """Return once the condition is met."""
    until = time.monotonic() + LIMIT
    while not met():
        assert time.monotonic() < until, shown()
        time.sleep(0.2)


def test_each_query_of_the_dashboard_returns_data(site: Site) -> None:
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    queries = [query.replace("$instance", ".*").replace("$__rate_interval", "30s") for query in queries]
    assert len(queries) == 18
    wait_until(lambda: all(map(site.has_data, queries)), lambda: [each for each in queries if not site.has_data(each)])


def test_a_scrape_holds_every_figure_that_the_page_names(site: Site) -> None:
    page = (CHECKOUT / "docs" / "metrics.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(fencebus_\w+)", page, re.MULTILINE))

    def scraped() -> set[str]:
        names = site.asked("label/__name__/values")
        assert isinstance(names, list)
        return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names if name.startswith("fencebus_")}

    wait_until(lambda: scraped() == named, lambda: scraped() ^ named)


def test_alerts_fire_for_what_has_happened(site: Site) -> None:
    """A failed fence, a pause, and a daemon that is no more."""
    wait_until(lambda: {"FencebusPaused", "FencebusFenceFailed"} <= site.firing(), site.firing)
    assert "FencebusDown" not in site.firing()
    site.hosts["host1"].process.stop()
    wait_until(lambda: "FencebusDown" in site.firing(), site.firing)
