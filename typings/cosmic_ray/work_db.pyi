from collections.abc import Iterable
from contextlib import AbstractContextManager
from enum import Enum

from cosmic_ray.work_item import WorkResult

class WorkDB:
    class Mode(Enum):
        create = 1
        open = 2

    @property
    def results(self) -> Iterable[tuple[str, WorkResult]]: ...

def use_db(path: str, mode: WorkDB.Mode = ...) -> AbstractContextManager[WorkDB]: ...
