"""Messages between the service and its engine worker, both ends ours and of one version.

A message is two big-endian 32-bit lengths, a JSON header and a body. The header lists the lengths
of the parts that the body joins: templates and images travel as they are.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

LENGTHS = struct.Struct(">II")


class WarmUp(StrEnum):
    """What a worker does before it says that it is ready. NONE: nothing. BEHIND: it answers
    once, and warms up further behind what it is asked. BEFORE: all of it."""

    NONE = "none"
    BEHIND = "behind"
    BEFORE = "before"


@dataclass(frozen=True)
class Message:
    """A request (`verb` says what) or its answer (`verb` is "done", "refused" or "failed")."""

    call: int
    verb: str
    values: dict[str, Any] = field(default_factory=dict)  # whatever JSON holds
    parts: Sequence[bytes] = ()


def encode(message: Message) -> bytes:
    lengths = [len(part) for part in message.parts]
    header = json.dumps([message.call, message.verb, message.values, lengths]).encode()
    body = b"".join(message.parts)
    return LENGTHS.pack(len(header), len(body)) + header + body


def decode(header: bytes, body: bytes) -> Message:
    call, verb, values, lengths = json.loads(header)
    parts, start = [], 0
    for length in lengths:
        parts.append(body[start : start + length])
        start += length
    return Message(call, verb, values, parts)
