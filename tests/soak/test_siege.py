"""A short siege in every run; ``python -m tests.soak SECONDS`` lasts as long as one likes."""

from __future__ import annotations

from pathlib import Path

from tests.libvirtd import Libvirtd
from tests.soak.siege import besieged

SECONDS = 12.0


def test_in_a_siege_no_success_is_told_while_the_old_life_runs_and_no_vm_runs_twice(
    libvirtd: Libvirtd, tmp_path: Path
) -> None:
    with besieged(libvirtd, tmp_path, seed=1) as siege:
        siege.last(SECONDS)
    print(siege.tally.table())
    assert siege.tally.violations == []
    # A daemon that always fails would be safe as well.
    assert siege.tally.answers["off", "0"] >= 5
