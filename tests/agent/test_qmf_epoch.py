"""The count of an agent's runs never gives a number twice, whatever the disk does."""

from __future__ import annotations

from pathlib import Path

import pytest

from fencebus_agent.qmf_epoch import FILE, next_epoch

NOW = 1_800_000_000


def test_it_counts_from_one_on_and_goes_on_after_each_start(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert [next_epoch(state) for _ in range(3)] == [1, 2, 3]
    assert (state / FILE).read_text() == "3\n"
    assert (state / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in state.iterdir()] == [FILE]


@pytest.mark.parametrize("text", ("", "x", "-1", "0", "4294967295", "1" * 40, "\x00\x00"))
def test_a_count_that_is_lost_goes_on_from_a_number_that_no_count_reaches(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    assert next_epoch(tmp_path, lambda: NOW) == NOW
    assert next_epoch(tmp_path, lambda: NOW) == NOW + 1


def test_a_folder_that_cannot_be_written_is_no_reason_not_to_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert next_epoch(tmp_path / "file", lambda: NOW) == NOW
    assert "not kept" in caplog.text
    (tmp_path / f"{Path(FILE).stem}.new").mkdir()
    assert next_epoch(tmp_path, lambda: NOW) == NOW
