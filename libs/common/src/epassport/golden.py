"""Golden files: one event of every type and version, as it stands in a store for ever.

`<folder>/<type>/<version>.json` holds the event's data and the shape (JSON Schema) that the
version has. `<folder>/RELEASED` lists those of which a release has written events, with their
SHA-256. Nobody changes such a file again: the events themselves cannot be changed either. A
class whose shape differs from its file needs the next SCHEMA_VERSION, an upcaster from the one
before, and a new file; all files of a type tell one fact, so each upcaster must turn its file
into the next. A version that is not listed yet may be deleted and made anew.

    python -m epassport.golden <package> <folder>              write the files that are missing
    python -m epassport.golden <package> <folder> --release    and list all of them for ever
"""

import importlib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from epassport.decider import Aggregate
from epassport.events import EventCodec, schema_version_of
from epassport.settings import Settings
from epassport_contracts.examples import example_of
from epassport_contracts.kept_files import damage, kept, lines_of
from epassport_contracts.shapes import Shape, shape_of

LIST = "RELEASED"
_ABSENT = "nothing"


@dataclass(frozen=True)
class Golden:
    type_name: str
    version: int
    data: Any
    shape: Shape

    @property
    def name(self) -> str:
        return f"{self.type_name} version {self.version}"


def faults(folder: Path, aggregates: Sequence[Aggregate]) -> list[str]:
    """What keeps an event, once stored, from being read as the fact it was. Best is none.

    Raises ValueError where an upcaster is missing: such a service would not start either.
    """
    codec = EventCodec(aggregates)
    upcasters = {key: step for one in aggregates for key, step in one.upcasters.items()}
    known = {kind.__name__: kind for kind in codec.event_types}
    files = {(one.type_name, one.version): one for one in _files(folder)}
    found = [*damage(folder / LIST, "was released"), *_missing_or_left_over(known, files)]
    for (name, version), golden in files.items():
        if name in known and version == schema_version_of(known[name]):
            found += [*_shape_kept(golden, known[name]), *_read_back(golden, codec)]
        elif (following := files.get((name, version + 1))) is not None and name in known:
            brought = upcasters[name, version](golden.data)
            for where in differences(following.data, brought):
                found.append(f"{golden.name}: {where} when brought to version {version + 1}")
    return found


def write_missing(folder: Path, aggregates: Sequence[Aggregate]) -> list[Path]:
    """Files of types that have none, and of the newest versions; existing ones are left alone."""
    written = []
    for aggregate in aggregates:
        for kind in aggregate.events:
            version = schema_version_of(kind)
            path = folder / kind.__name__ / f"{version}.json"
            if not path.exists():
                data = _next_data(path.parent, kind, version, aggregate)
                path.parent.mkdir(parents=True, exist_ok=True)
                tree = {"data": data, "shape": shape_of(kind)}
                path.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n")
                written.append(path)
    return written


def release(folder: Path) -> None:
    """From here on none of the files changes any more."""
    listed = kept(folder / LIST)
    names = (str(path.relative_to(folder)) for path in sorted(folder.glob("*/*.json")))
    lines = lines_of((name, (folder / name).read_bytes()) for name in names if name not in listed)
    with (folder / LIST).open("a") as file:
        file.write(lines)


def _files(folder: Path) -> Iterator[Golden]:
    for path in sorted(folder.glob("*/*.json")):
        tree = json.loads(path.read_text())
        yield Golden(path.parent.name, int(path.stem), tree["data"], tree["shape"])


def _missing_or_left_over(
    known: dict[str, type], files: dict[tuple[str, int], Golden]
) -> Iterator[str]:
    wanted = {
        (name, version)
        for name, kind in known.items()
        for version in range(1, schema_version_of(kind) + 1)
    }
    for name, version in sorted(wanted - files.keys()):
        yield f"{name} version {version}: has no golden file"
    for name, version in sorted(files.keys() - wanted):
        what = "is newer than the class" if name in known else "was stored, and no class reads it"
        yield f"{name} version {version}: {what}"


def _shape_kept(golden: Golden, kind: type) -> Iterator[str]:
    for where in differences(golden.shape, shape_of(kind)):
        yield f"{golden.name}: shape of {where}; a new version and an upcaster are needed"


def _read_back(golden: Golden, codec: EventCodec) -> Iterator[str]:
    try:
        event = codec.decode(golden.type_name, golden.version, json.dumps(golden.data))
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            yield f"{golden.name}: {'.'.join(map(str, fault['loc']))}: {fault['type']}"
        return
    _, _, text = codec.encode(event)
    for where in differences(golden.data, json.loads(text)):
        yield f"{golden.name}: {where} when read and written again"


def differences(wanted: Any, found: Any, where: str = "") -> Iterator[str]:
    """Each place in which two JSON trees differ, as `lid.width: 7, but 8`."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in [*wanted, *(found.keys() - wanted.keys())]:
            inner = where if key == "properties" else f"{where}.{key}" if where else key
            yield from differences(wanted.get(key, _ABSENT), found.get(key, _ABSENT), inner)
    elif type(wanted) is not type(found) or wanted != found:
        yield f"{where}: {_short(wanted)}, but {_short(found)}"


def _short(tree: Any) -> str:
    text = tree if tree is _ABSENT else json.dumps(tree, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _next_data(folder: Path, kind: type, version: int, aggregate: Aggregate) -> Any:
    """The fact of the version before, brought forward; of a new type, an example."""
    before = folder / f"{version - 1}.json"
    if not before.exists():
        return example_of(shape_of(kind))
    return aggregate.upcasters[kind.__name__, version - 1](json.loads(before.read_text())["data"])


def aggregates_of(package: str) -> Sequence[Aggregate]:
    """What a service's composition root declares; nothing is opened, so settings are empty."""
    root = importlib.import_module(f"{package}.service")
    aggregates: Sequence[Aggregate] = root.build(Settings.model_construct()).aggregates
    return aggregates


def main(arguments: Iterable[str]) -> None:
    package, folder, *more = arguments
    for path in write_missing(Path(folder), aggregates_of(package)):
        sys.stdout.write(f"{path}\n")
    if more == ["--release"]:
        release(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
