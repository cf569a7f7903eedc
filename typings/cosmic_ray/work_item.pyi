from enum import Enum

class TestOutcome(Enum):
    SURVIVED = "survived"
    KILLED = "killed"
    INCOMPETENT = "incompetent"

class WorkResult:
    test_outcome: TestOutcome | None
    diff: str | None
