"""Decides whether tests notice a mutant: a process forked from one that has pytest loaded runs them on it.

The mutant's text is never on the disk: the fork imports it in the place of the module.  What the parent has loaded of
the package is forgotten before, so that everything in the fork stands on the mutant.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

SECONDS = 60
"""Of one mutant; one that makes a test run on for longer has been noticed."""
MEMORY = 3 << 30
"""Bytes; so has one that fills the memory."""
OPTIONS = ("-x", "-q", "--no-header", "-n0", "-p", "no:faulthandler", "--assert=plain", "-W", "ignore")
OURS = ("fencebus_host", "tests.")


class Fate(Enum):
    """What became of a mutant."""

    NOTICED = "noticed"
    SURVIVED = "survived"


class MutantFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a mutant in the place of a module."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self._name, self._path, self._source = name, path, source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Only for that module."""
        if fullname != self._name:
            return None
        return importlib.util.spec_from_file_location(fullname, self._path, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant's text."""
        exec(compile(self._source, str(self._path), "exec"), vars(module))


class Workshop:
    """One module and the tests that hold it."""

    def __init__(self, module: str, path: Path, tests: Sequence[Path]) -> None:
        """Runs the tests once on the module as it is; RuntimeError if they fail."""
        self._module, self._path = module, path
        self._arguments = [*OPTIONS, *map(str, tests)]
        # Few examples, the same for each mutant, and no search for smaller ones.
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutation", derandomize=True, database=None, deadline=None, max_examples=25, phases=phases
        )
        hypothesis.settings.load_profile("mutation")
        if self._run(path.read_text(encoding="utf-8")) is not Fate.SURVIVED:
            raise RuntimeError(f"the tests of {path} fail without any change")

    def fate(self, source: str) -> Fate:
        """Try the module with this text."""
        child = os.fork()
        if child == 0:
            self._in_the_fork(source)
        _, status = os.waitpid(child, 0)
        return Fate.SURVIVED if status == 0 else Fate.NOTICED

    def _in_the_fork(self, source: str) -> None:
        """Never returns: whatever a mutant raises, it never becomes a second parent."""
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            signal.alarm(2 * SECONDS)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for stream in (1, 2):
                os.dup2(nowhere, stream)
            status = 0 if self._run(source) is Fate.SURVIVED else 1
        finally:
            os._exit(status)

    def _run(self, source: str) -> Fate:
        finder = MutantFinder(self._module, self._path, source)
        sys.meta_path.insert(0, finder)
        try:
            code = pytest.main(self._arguments)
        finally:
            sys.meta_path.remove(finder)
            _forget()
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise RuntimeError(f"no tests for {self._path}")
        return Fate.SURVIVED if code == pytest.ExitCode.OK else Fate.NOTICED


def _forget() -> None:
    """Unload what the tests have loaded of the package, and of the tests themselves."""
    for name in [name for name in sys.modules if name.startswith(OURS) and not name.startswith("tests.mutation")]:
        del sys.modules[name]
    gc.collect()
    gc.freeze()
