"""Power actions on a terminal: nothing is cut in two that somebody may want to copy, however narrow it is."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from fencebus_host.ctl.status_fences import WIDE, Fences
from fencebus_schemas.status_tables import clock
from tests.schemas.statuses import FENCE, RUNNING

LONG = "vm7 was last on host3, which has been silent for 22 s and is not proven fenced"


def shown(width: int, fences: Fences) -> list[str]:
    """The lines on a terminal of this width."""
    out = StringIO()
    Console(file=out, width=width, highlight=False).print(fences)
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", (80, WIDE - 1, WIDE, 200))
def test_times_reasons_and_ids_stay_whole_at_any_width(width: int) -> None:
    lines = shown(width, Fences([replace(FENCE, text=LONG)], [RUNNING]))
    assert max(map(len, lines)) <= width
    for whole in (FENCE.id[:12], RUNNING.id[:12], FENCE.reason, "running", clock(FENCE.at)[13:19]):
        assert any(whole in line for line in lines), (whole, lines)
    assert LONG.rsplit(maxsplit=1)[-1] in "\n".join(lines)


def test_where_it_is_narrow_who_asked_and_why_it_failed_stand_below() -> None:
    head, first, by, second, why, *rest = shown(80, Fences([replace(FENCE, text=LONG)], [RUNNING]))
    assert head == "TIME            ACTION  VM   RESULT  SECONDS  ID"
    assert first.endswith("reboot  vm2  running  0.25  fedcba987654")
    assert by == "    vm3 (multicast)"
    assert second.endswith("off     vm1  not-proven  1.50  0123456789ab")
    assert " ".join([why.strip(), *(line.strip() for line in rest)]) == f"vm2 (tcp): {LONG}"


def test_a_long_name_moves_only_its_own_line() -> None:
    lines = shown(100, Fences([FENCE, replace(FENCE, target="v" * 40)]))
    assert "off     vm1  not-proven" in lines[1]
    assert f"off     {'v' * 40}  not-proven" in lines[3]
    assert shown(80, Fences([])) == ["TIME            ACTION  VM  RESULT  SECONDS  ID"]
