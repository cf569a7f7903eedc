"""What the reader of traces takes for a frame."""

from __future__ import annotations

from tests.chromium import Values
from tests.elapsed import waited_for_processors
from tests.host_agent.web.frames import Frame, frames


def traced(*events: Values) -> list[Values]:
    return [{"method": "Log.entryAdded"}, {"method": "Tracing.dataCollected", "params": {"value": list(events)}}]


def drawn(at: float) -> Values:
    return {"name": "DrawFrame", "ph": "I", "pid": 1, "tid": 2, "ts": at * 1000}


def worked(at: float, length: float, computed: float, pid: int = 1) -> dict[str, object]:
    return {"name": "RunTask", "pid": pid, "tid": 1, "ts": at * 1000, "dur": length * 1000, "tdur": computed * 1000}


def test_a_frame_holds_what_its_busiest_thread_ended_since_the_one_before() -> None:
    told = traced(
        *(drawn(10), drawn(30), drawn(90)),
        *(worked(1, 5, 5), worked(12, 8, 4), worked(25, 40, 30), worked(66, 4, 2), worked(31, 20, 20, pid=7)),
        *(worked(40, 20, 20) | {"tid": 2}, worked(95, 1, 1)),
    )
    assert frames(told) == [Frame(20.0, 4.0), Frame(60.0, 32.0)]


def test_the_time_for_which_processors_were_waited_for_only_grows() -> None:
    before = waited_for_processors()
    assert waited_for_processors() >= before >= 0.0
