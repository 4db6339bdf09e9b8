"""Files generated from the registry: schemas, topics, access rules, AsyncAPI, catalog page.

    python -m epassport_contracts.generate             write them
    python -m epassport_contracts.generate --check     fail on drift and on a change that breaks
    python -m epassport_contracts.generate --publish   write them, and keep drafts for ever

Agencies and platform teams read them without running Python.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from epassport_contracts import asyncapi, catalog_page, kafka_access, published
from epassport_contracts.registry import TOPICS
from epassport_contracts.shapes import subjects

FOLDER = Path(__file__).parent.parent.parent
SCHEMAS = FOLDER / "schemas"
PAGES = FOLDER.parent.parent / "docs" / "events"


def topics() -> str:
    """Every topic as a platform team provisions it."""
    return _text(
        [
            {
                "name": topic.name,
                "classification": topic.classification,
                "producers": sorted(topic.producers),
                "partitions": topic.partitions,
                "config": dict(topic.config),
                "key": topic.key,
                "sequenced": topic.sequenced,
                "events": [
                    {
                        "type": spec.model.type_name(),
                        "version": spec.model.version,
                        "consumers": sorted(spec.consumers),
                    }
                    for spec in topic.events
                ],
            }
            for topic in TOPICS
        ]
    )


def generated() -> Mapping[Path, str]:
    archive = published.read_archive(SCHEMAS)
    shapes = published.wanted_files(archive, subjects())
    return {
        **{SCHEMAS / path: text for path, text in shapes.items()},
        FOLDER / "topics.json": topics(),
        FOLDER / "acls.json": _text([rule.as_json() for rule in kafka_access.rules()]),
        FOLDER / "apply-to-kafka.sh": kafka_access.script(),
        PAGES / "asyncapi.json": _text(asyncapi.document()),
        PAGES / "catalog.md": catalog_page.page(),
    }


def drift() -> list[str]:
    """Names of files that differ from what the registry says, or that it no longer names."""
    wanted = generated()
    stale = {path for path, text in wanted.items() if not path.exists() or path.read_text() != text}
    return sorted(
        str(path.relative_to(FOLDER.parent.parent)) for path in stale | _left_over(wanted)
    )


def breaks() -> list[str]:
    """Why this build does not get on with what was published."""
    moved = _changed_partitions(FOLDER / "topics.json")
    return [*moved, *published.breaks(published.read_archive(SCHEMAS), subjects())]


def _changed_partitions(known: Path) -> list[str]:
    counts = {topic["name"]: topic["partitions"] for topic in json.loads(known.read_text())}
    return [
        f"{topic.name}: {counts[topic.name]} partitions became {topic.partitions};"
        " keys would move, so a new count is a new topic"
        for topic in TOPICS
        if counts.get(topic.name, topic.partitions) != topic.partitions
    ]


def write() -> None:
    wanted = generated()
    for path in _left_over(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def publish() -> None:
    """From here on no draft changes any more."""
    lines = published.publication_lines(
        published.drafts(published.read_archive(SCHEMAS), subjects())
    )
    with (SCHEMAS / published.LIST).open("a") as file:
        file.write(lines)


def main() -> None:
    if found := breaks():
        sys.exit("\n".join(["contracts that do not get on with what was published:", *found]))
    if "--check" in sys.argv:
        if names := drift():
            sys.exit(f"generated files have drifted: {', '.join(names)}")
        return
    write()
    if "--publish" in sys.argv:
        publish()


def _left_over(wanted: Mapping[Path, str]) -> set[Path]:
    """Shapes that are no draft any more, and were not published."""
    return set(SCHEMAS.rglob("*.json")) - wanted.keys()


def _text(tree: Any) -> str:
    return json.dumps(tree, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    main()
