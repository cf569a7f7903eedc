"""The alert rules, judged by promtool: their grammar, and for each what makes it fire and how long that takes."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.components import CHECKOUT, require_program

RULES = CHECKOUT / "packaging" / "monitoring" / "fencebus.rules.yml"
FIRES = {
    "FencebusDown": ('up{job="fencebus",instance="a"}', "0x100", "61s"),
    "FencebusPartDown": ('fencebus_part_up{instance="a",part="listener tcp"}', "0x100", "61s"),
    "FencebusFenceFailed": ('fencebus_last_failure_timestamp_seconds{instance="a"}', "0x100", "10s"),
    "FencebusPaused": ('fencebus_paused{instance="a"}', "1x100", "301s"),
    "FencebusBusDown": ('fencebus_bus_up{instance="a"}', "0x100", "61s"),
    "FencebusNoQuorum": ('fencebus_quorate{instance="a"}', "0x100", "61s"),
    "FencebusNotSynced": ('fencebus_synced{instance="a"}', "0x100", "301s"),
    "FencebusHostSilent": ('fencebus_members{instance="a",state="silent"}', "1x100", "61s"),
    "FencebusConflict": ('fencebus_problems{instance="a",code="vm-conflict"}', "1x100", "61s"),
    "FencebusRefusals": ('fencebus_auth_failures_total{instance="a",via="tcp"}', "0+1x100", "240s"),
}
"""For each alert a series, its values each 10 s, and when it has to fire at the latest."""
SLOW = [
    {"series": f'fencebus_request_seconds_bucket{{instance="a",action="off",le="{end}"}}', "values": values}
    for end, values in (("10.0", "0+1x100"), ("25.0", "0+2x100"), ("+Inf", "0+2x100"))
]


def case(alert: str, series: list[dict[str, str]], at: str) -> dict[str, object]:
    """Nothing fires at the beginning, and this alert alone at its time."""
    expected = [{"labels": f'{{alertname="{alert}"}}', "value": 1}]
    query = 'sum by (alertname) (ALERTS{alertstate="firing"})'
    return {
        "interval": "10s",
        "input_series": series,
        "promql_expr_test": [{"expr": query, "eval_time": at, "exp_samples": expected}],
    }


def test_each_alert_fires_for_its_own_cause_and_for_no_other(tmp_path: Path) -> None:
    promtool = require_program("promtool", package="prometheus")
    cases = [case(alert, [{"series": one, "values": values}], at) for alert, (one, values, at) in FIRES.items()]
    cases.append(case("FencebusSlow", SLOW, "240s"))
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "10s", "tests": cases}
    (tmp_path / "tests.yml").write_text(json.dumps(whole))
    done = subprocess.run([promtool, "test", "rules", tmp_path / "tests.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules_and_every_one_is_tried() -> None:
    promtool = require_program("promtool", package="prometheus")
    done = subprocess.run([promtool, "check", "rules", RULES], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    named = set(re.findall(r"alert: (\w+)", RULES.read_text(encoding="utf-8")))
    assert named == {*FIRES, "FencebusSlow"}
