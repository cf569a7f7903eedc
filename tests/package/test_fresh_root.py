"""A fresh Debian that cannot be made is a matter of the network, and is told as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.package import fresh_root
from tests.ports import free_tcp_port


def test_a_mirror_that_does_not_answer_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = f"http://127.0.0.1:{free_tcp_port()}/debian"
    monkeypatch.setenv("FENCEBUS_MIRROR", mirror)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CI", "true")
    monkeypatch.setattr(fresh_root, "RETRIES", 0)
    with pytest.raises(pytest.fail.Exception) as failure:
        fresh_root.pristine()
    said = str(failure.value)
    assert said.startswith("a fresh Debian bookworm (")
    assert "127.0.0.1" in said
    assert f"{mirror} has to answer (another one: FENCEBUS_MIRROR=" in said
    assert [path.name for path in (tmp_path / "fencebus").iterdir()] == ["lock"], "nothing half made stays"
