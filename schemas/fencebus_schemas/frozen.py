"""Decides what an immutable value is where a dataclass would cost the guest client 15 ms at each start.

A subclass names its fields in ``__slots__`` and fills them once, with ``_fill``, in its ``__init__``.
"""

from __future__ import annotations


class Frozen:
    """A value: fields fixed at birth, compared and hashed by them. Subclasses may hide a field with a leading "_"."""

    __slots__: tuple[str, ...] = ()

    def _fill(self, *values: object) -> None:
        """Give the slots their values, in the order of ``__slots__``."""
        for name, value in zip(self.__slots__, values):
            object.__setattr__(self, name, value)

    def _fields(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__ if name[0] != "_")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be set: the value is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted: the value is immutable")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frozen) and type(other) is type(self) and other._fields() == self._fields()

    def __hash__(self) -> int:
        return hash((type(self).__name__, self._fields()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__ if name[0] != "_")
        return f"{type(self).__name__}({shown})"
