"""Files generated from the registry: JSON Schemas and the list of topics.

`python -m epassport_contracts.generate` writes them beside the package;
`--check` fails on drift. Agencies read them without running Python.
"""

import json
import sys
from pathlib import Path
from typing import Any

from epassport_contracts.registry import TOPICS

FOLDER = Path(__file__).parent.parent.parent


def schemas() -> dict[str, str]:
    """File name -> JSON Schema (2020-12) of every event and version."""
    found: dict[str, str] = {}
    for topic in TOPICS:
        for spec in topic.events:
            name = f"schemas/{spec.model.type_name()}.v{spec.model.version}.json"
            schema = spec.model.model_json_schema(mode="serialization")
            found[name] = _text(
                {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
            )
    return found


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


def generated() -> dict[str, str]:
    return {**schemas(), "topics.json": topics()}


def drift() -> list[str]:
    """Names of files that differ from what the registry says, or that it no longer names."""
    wanted = generated()
    stale = [
        name
        for name, text in wanted.items()
        if not (FOLDER / name).exists() or (FOLDER / name).read_text() != text
    ]
    left_over = {f"schemas/{path.name}" for path in (FOLDER / "schemas").glob("*.json")}
    return sorted([*stale, *(left_over - wanted.keys())])


def main() -> None:
    if "--check" in sys.argv:
        if names := drift():
            sys.exit(f"generated files have drifted: {', '.join(names)}")
        return
    for path in (FOLDER / "schemas").glob("*.json"):
        path.unlink()
    for name, text in generated().items():
        (FOLDER / name).parent.mkdir(exist_ok=True)
        (FOLDER / name).write_text(text)


def _text(tree: Any) -> str:
    return json.dumps(tree, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    main()
