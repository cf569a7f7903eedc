"""Decides the ways in which a stream reaches a reader: whole, byte by byte, and in given pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def whole(data: bytes) -> Iterator[bytes]:
    """Yield everything at once."""
    yield data


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    """Yield each byte alone."""
    for number in range(len(data)):
        yield data[number : number + 1]


def in_pieces(data: bytes, lengths: Sequence[int]) -> Iterator[bytes]:
    """Yield pieces of these lengths, then the rest."""
    at = 0
    for length in lengths:
        yield data[at : at + length]
        at += length
    yield data[at:]


WAYS = (whole, byte_by_byte)
