"""Names of the Jobs in deploy/k8s/base: they carry what they bring a cluster to.

A Job cannot be changed, so one that migrates to a newer schema, or makes other topics, has another
name. `python tools/kubernetes_versions.py` writes the names; `--check` fails where migrations or
contracts have moved on.
"""

import hashlib
import sys
from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

from epassport.database import migration_folders
from epassport_contracts import ServiceName, kafka_access

BASE = Path(__file__).parent.parent / "deploy" / "k8s" / "base"
DIGEST_CHARACTERS = 8


def names() -> Iterator[tuple[Path, str]]:
    """(file, name of the Job)"""
    for service in ServiceName:
        package = service.replace("-", "_")
        versions = [_newest(folder) for folder in migration_folders(package)]
        folder = BASE / "services" / service
        yield folder / "schema-version.yaml", "-".join(["migrate", *versions])
    digest = hashlib.sha256(kafka_access.script().encode()).hexdigest()
    yield BASE / "platform" / "topics-version.yaml", f"topics-{digest[:DIGEST_CHARACTERS]}"


def _newest(folder: Traversable) -> str:
    """The number of the last migration."""
    return max(entry.name[:4] for entry in folder.iterdir() if entry.name.endswith(".sql"))


def wanted() -> Mapping[Path, str]:
    return {
        path: "# Generated: python tools/kubernetes_versions.py\n"
        f"- {{op: replace, path: /metadata/name, value: {name}}}\n"
        for path, name in names()
    }


def main() -> None:
    drifted = [path for path, text in wanted().items() if _text(path) != text]
    if "--check" not in sys.argv:
        for path in drifted:
            path.write_text(wanted()[path])
    elif drifted:
        stale = ", ".join(str(path.relative_to(BASE.parents[2])) for path in drifted)
        sys.exit(f"run `python tools/kubernetes_versions.py`: {stale}")


def _text(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


if __name__ == "__main__":
    main()
