"""What the fuzzers call of atheris, and nothing else."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

def instrument_imports(
    include: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> AbstractContextManager[None]: ...
def Setup(args: list[str], test_one_input: Callable[[bytes], None]) -> list[str]: ...
def Fuzz() -> None: ...
