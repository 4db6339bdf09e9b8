"""The ten fingers, as ISO/IEC 19794-2 (table 2) counts them."""

from enum import StrEnum


class FingerPosition(StrEnum):
    RIGHT_THUMB = "right-thumb"
    RIGHT_INDEX = "right-index"
    RIGHT_MIDDLE = "right-middle"
    RIGHT_RING = "right-ring"
    RIGHT_LITTLE = "right-little"
    LEFT_THUMB = "left-thumb"
    LEFT_INDEX = "left-index"
    LEFT_MIDDLE = "left-middle"
    LEFT_RING = "left-ring"
    LEFT_LITTLE = "left-little"

    @property
    def code(self) -> int:
        """1 to 10; 0 would be an unknown finger, which nobody enrols."""
        return _IN_ORDER.index(self) + 1

    @property
    def mirrored(self) -> "FingerPosition":
        """The same finger of the other hand: the one it is mixed up with."""
        return _IN_ORDER[(_IN_ORDER.index(self) + 5) % 10]

    @classmethod
    def of_code(cls, code: int) -> "FingerPosition":
        """Raises ValueError."""
        if not 1 <= code <= len(_IN_ORDER):
            raise ValueError(f"no finger has code {code}")
        return _IN_ORDER[code - 1]


_IN_ORDER = tuple(FingerPosition)
