"""Says which modules are mutated, and which tests have to notice: those of that module first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.components import CHECKOUT

PACKAGE = "fencebus_host"
TESTS = CHECKOUT / "tests" / "host_agent"
SINCE = "federation/test_denied_since_proofs"
ALIVE = "federation/test_dead_and_alive"
COURSES = ("federation/test_coordinator", "federation/test_course_evidence", "federation/test_proving", SINCE, ALIVE)


@dataclass(frozen=True, slots=True)
class Subject:
    """A module that decides, and the tests that hold it, in the order in which they are run."""

    name: str
    tests: tuple[str, ...]

    @property
    def module(self) -> str:
        """As it is imported."""
        return f"{PACKAGE}.{self.name.replace('/', '.')}"

    @property
    def path(self) -> Path:
        """Its text."""
        return CHECKOUT / "host_agent" / PACKAGE / f"{self.name}.py"

    @property
    def test_paths(self) -> list[Path]:
        """The files of its tests."""
        return [TESTS / f"{test}.py" for test in self.tests]


ALL = (
    Subject("verdict", ("test_verdict", "test_verdict_of_actions", "federation/test_reboot_verdict")),
    Subject(
        "federated_rules",
        (
            "test_federated_rules",
            "federation/test_reboot_verdict",
            "federation/test_proving",
            "test_verdict",
            "test_verdict_of_actions",
        ),
    ),
    Subject("host_death", ("test_host_death",)),
    Subject("permission", ("test_permission", "test_verdict")),
    Subject("denial", ("test_denial", SINCE, "federation/test_proving")),
    Subject("ledger", ("test_ledger",)),
    Subject(
        "ownership",
        (
            "test_ownership",
            "test_ownership_conflicts",
            "test_ownership_members",
            "test_ownership_words",
            "federation/test_proving",
            "test_ownership_machine",
        ),
    ),
    Subject(
        "federation/rounds",
        ("federation/test_rounds", SINCE, ALIVE, "federation/test_proving", "federation/test_coordinator"),
    ),
    Subject("federation/guards", ("federation/test_guards", "federation/test_member", "federation/test_member_starts")),
    Subject("federation/tokens", ("federation/test_tokens", "federation/test_member")),
    Subject("federation/rules", ("federation/test_rules", "federation/test_member")),
    Subject("federation/member", ("federation/test_member", "federation/test_member_starts", "federation/test_tokens")),
    Subject("federation/coordinator", COURSES),
    Subject("federation/fence_course", COURSES),
    Subject("federation/start_course", ("federation/test_start_course", *COURSES)),
    Subject("federation/proving", ("federation/test_proving", SINCE, "federation/test_coordinator")),
    Subject("routers/federated/echoes", ("routers/test_echoes",)),
    Subject(
        "federation/machine",
        (
            "federation/test_machine",
            "federation/test_welcome",
            "federation/test_told_end",
            "federation/test_proving",
            "federation/test_coordinator",
        ),
    ),
)
SUBJECTS = {subject.name: subject for subject in ALL}
