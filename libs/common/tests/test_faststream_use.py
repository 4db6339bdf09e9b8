"""What of FastStream nobody uses, because records are lost or mixed up by it."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
BANNED = re.compile(
    r"publish_batch"  # ignores keys
    r"|AckPolicy\.(?!MANUAL\b)\w+"  # loses what failed
    r"|from faststream\S* import .*\b(Context|Logger)\b"  # looked up for every record
)


def test_nobody_publishes_in_batches_acknowledges_otherwise_or_asks_for_a_context() -> None:
    sources = [path for folder in ("libs", "services")
               for path in (REPOSITORY / folder).glob("*/src/**/*.py")]  # fmt: skip
    texts = {path: path.read_text() for path in sources}
    assert any("ack_policy=AckPolicy.MANUAL" in text for text in texts.values())
    assert [str(path) for path, text in texts.items() if BANNED.search(text)] == []
