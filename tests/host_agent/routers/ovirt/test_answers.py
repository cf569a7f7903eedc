"""The table of HTTP codes, and the error that carries what they mean."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fencebus_host.routers.ovirt.answers import ManagerError, Trouble, described, trouble_of
from fencebus_host.routers.ovirt.markup import parse


@pytest.mark.parametrize(
    ("status", "trouble"),
    (
        (200, None),
        (201, None),
        (202, None),
        (400, Trouble.REFUSED),
        (401, Trouble.LOGIN),
        (403, Trouble.DENIED),
        (404, Trouble.MISSING),
        (409, Trouble.CONFLICT),
        (500, Trouble.UNAVAILABLE),
        (503, Trouble.UNAVAILABLE),
        (599, Trouble.UNAVAILABLE),
        (204, Trouble.STRANGE),
        (302, Trouble.STRANGE),
        (418, Trouble.STRANGE),
    ),
)
def test_each_code_has_its_meaning(status: int, trouble: Trouble | None) -> None:
    assert trouble_of(status) is trouble


@given(st.integers(100, 999).filter(lambda status: status not in (200, 201, 202)))
def test_no_other_code_is_an_acceptance(status: int) -> None:
    trouble = trouble_of(status)
    assert trouble is not None
    assert f"HTTP {status}" in described(trouble, status, None)


def test_the_managers_own_words_are_told_and_never_compared() -> None:
    root = parse("<fault><reason>Échec</reason><detail>[arrêt impossible]</detail></fault>".encode())
    assert described(Trouble.CONFLICT, 409, root).endswith("(HTTP 409): Échec: [arrêt impossible]")


@pytest.mark.parametrize("trouble", tuple(Trouble))
def test_waiting_helps_or_somebody_has_to_mend_something_but_never_both(trouble: Trouble) -> None:
    error = ManagerError("engine", trouble, "detail")
    assert not (error.passes and error.is_hopeless)
    assert str(error) == "engine: detail"
