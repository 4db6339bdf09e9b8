"""The runtime's rules that a planted bug takes out, one at a time."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Rules:
    """Each is kept where it is True. What it says stands in docs/architecture.md."""

    offset_with_effects: bool = True  # the stored offset moves in the effects' transaction
    publish_then_delete: bool = True
    fence: bool = True  # the stored offset is the one this worker last read or wrote
    stream_transaction_ids: bool = True  # a stream's transaction ids never fall
    horizon: bool = True  # readers and relays stop at xmin
    waves: bool = True  # one statement touches a stream once
    version_guard: bool = True  # an upsert passes over what it has seen
    kept_answers: bool = True  # one idempotency key, one effect
    sequences: bool = True  # a sequence seen before is a duplicate, a gap holds its stream
    confirmed_prefix: bool = True  # nothing behind a key's failed record is forgotten
    fenced_producer: bool = True  # a stale relay of a compacted topic writes in vain


KEPT = Rules()

PLANTED: dict[str, Rules] = {
    "commit before apply": replace(KEPT, offset_with_effects=False),
    "delete before send": replace(KEPT, publish_then_delete=False),
    "fence removed": replace(KEPT, fence=False),
    "transaction-id rule removed": replace(KEPT, stream_transaction_ids=False),
    "horizon (xmin) removed": replace(KEPT, horizon=False),
    "wave rule removed": replace(KEPT, waves=False),
    "version guard removed": replace(KEPT, version_guard=False),
    "kept answers removed": replace(KEPT, kept_answers=False),
    "sequence check removed": replace(KEPT, sequences=False),
    "all forgotten after a failed send": replace(KEPT, confirmed_prefix=False),
    "producer of a compacted topic not fenced": replace(KEPT, fenced_producer=False),
}
