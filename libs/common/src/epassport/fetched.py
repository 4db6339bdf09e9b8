"""What a fetch brought, batch by batch, whatever the names of its headers are.

Kafka takes any octets for a header's name; aiokafka decodes names as UTF-8 and raises out of the
poll where it cannot. One such record would end every consumer of its topic, at each start anew.
Here its batch is read once more, with U+FFFD for what is no text: no header of ours is called so,
and the record is judged by the others like any.
"""

import struct
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

_LENGTH_AT, _OVERHEAD = 8, 12
"""Of every batch: the base offset, then the length of what follows, in octets."""


class FetchedRecords:
    """In place of aiokafka's `MemoryRecords`, which it asks."""

    def __init__(self, octets: bytes) -> None:
        self._records = MemoryRecords(octets)
        self._octets = octets
        self._at = 0

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        return int(self._records.size_in_bytes())

    def next_batch(self) -> "_Batch | None":
        batch = self._records.next_batch()
        if batch is None:
            return None
        start = self._at
        (length,) = struct.unpack_from(">i", self._octets, start + _LENGTH_AT)
        self._at = start + _OVERHEAD + length
        return _Batch(batch, self._octets, start, self._at)


class _Batch:
    def __init__(self, batch: Any, octets: bytes, start: int, end: int) -> None:
        self._batch = batch
        self._octets = octets
        self._start = start
        self._end = end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        done = 0
        try:
            for record in self._batch:
                yield record
                done += 1
        except UnicodeDecodeError:
            again = _AnyNames(bytearray(self._octets[self._start : self._end]))
            for place, record in enumerate(again):
                if place >= done:
                    yield record


class _AnyNames(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _Octets(self._buffer)


class _Octets(bytearray):
    """Its slices decode whatever they are."""

    def __getitem__(self, place: Any) -> Any:
        found: Any = super().__getitem__(place)
        return _Octets(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        del errors
        return super().decode(encoding, "replace")


def take_any_names() -> None:
    """For all consumers of this process: aiokafka has no other place where it could be said."""
    fetcher.MemoryRecords = FetchedRecords
