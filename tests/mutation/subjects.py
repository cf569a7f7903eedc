"""Says which modules are mutated, and which tests have to notice."""

from __future__ import annotations

from dataclasses import dataclass

HOST = "host_agent/fencebus_host"


@dataclass(frozen=True, slots=True)
class Subject:
    """A module that decides, and the tests that hold it."""

    module: str
    tests: tuple[str, ...]


FEDERATION = ("tests/host_agent/federation", "tests/host_agent/routers/test_federated.py")
OWNERSHIP = ("tests/host_agent/test_ownership.py", "tests/host_agent/test_ownership_machine.py")

SUBJECTS = {
    "verdict": Subject(f"{HOST}/verdict.py", ("tests/host_agent/test_verdict.py", *FEDERATION)),
    "federated_rules": Subject(f"{HOST}/federated_rules.py", ("tests/host_agent/test_federated_rules.py", *FEDERATION)),
    "permission": Subject(f"{HOST}/permission.py", ("tests/host_agent/test_verdict.py",)),
    "denial": Subject(f"{HOST}/denial.py", FEDERATION),
    "ownership": Subject(f"{HOST}/ownership.py", OWNERSHIP),
    "coordinator": Subject(f"{HOST}/federation/coordinator.py", FEDERATION),
    "start_course": Subject(f"{HOST}/federation/start_course.py", FEDERATION),
    "member": Subject(f"{HOST}/federation/member.py", FEDERATION),
    "guards": Subject(f"{HOST}/federation/guards.py", FEDERATION),
    "rounds": Subject(f"{HOST}/federation/rounds.py", FEDERATION),
    "rules": Subject(f"{HOST}/federation/rules.py", FEDERATION),
    "tokens": Subject(f"{HOST}/federation/tokens.py", FEDERATION),
    "machine": Subject(f"{HOST}/federation/machine.py", FEDERATION),
}
