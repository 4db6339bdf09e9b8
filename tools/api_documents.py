"""docs/api/<service>.json: what each service answers over HTTP, as OpenAPI, from its routes.

`python tools/api_documents.py` writes the documents; `--check` fails when routes and
documents have drifted apart.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from epassport.service import Service
from epassport.settings import Settings
from epassport.shell import api_document

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "api"


def documents() -> Iterator[tuple[Path, str]]:
    """(file, its text) of every service."""
    for service in services():
        document = api_document(service.name, service.routes)
        text = json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        yield FOLDER / f"{service.name}.json", text


def services() -> Iterator[Service]:
    """Composed as they run, under settings that nobody reads until something is opened."""
    for file in sorted(ROOT.glob("services/*/src/*/service.py")):
        module = importlib.import_module(f"{file.parent.name}.service")
        yield module.build(Settings.model_construct())


def main() -> None:
    if "--check" not in sys.argv:
        FOLDER.mkdir(exist_ok=True)
        for path, text in documents():
            path.write_text(text)
        return
    for path, text in documents():
        if not path.exists() or path.read_text() != text:
            sys.exit(
                f"{path.relative_to(ROOT)} and the routes differ: "
                "run `python tools/api_documents.py`"
            )


if __name__ == "__main__":
    main()
