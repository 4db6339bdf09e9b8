"""Every version of a contract ever published, as files that nobody changes again.

`<folder>/v<major>.<revision>.json` holds a shape; `PUBLISHED` lists those that went out, with
their SHA-256 in the form of sha256sum. A shape that is not listed is a draft: it follows the
code until it is published. The major number stands on the wire; since every version must
get on with every other, a change that breaks is a new event type, not a new major number.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from epassport_contracts.compatibility import UnknownKeyword, changes_between
from epassport_contracts.kept_files import damage, kept, lines_of
from epassport_contracts.shapes import Shape, Subject

LIST = "PUBLISHED"
_FILE = re.compile(r"(?P<folder>.+)/v(?P<major>[0-9]+)\.(?P<revision>[0-9]+)\.json")


@dataclass(frozen=True)
class Version:
    folder: str
    major: int
    revision: int
    shape: Shape

    @property
    def name(self) -> str:
        return f"v{self.major}.{self.revision}"

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}.json"


@dataclass(frozen=True)
class Archive:
    """What was published, and what is wrong with the files of it."""

    versions: tuple[Version, ...]
    damage: tuple[str, ...]

    def of(self, folder: str) -> list[Version]:
        """Oldest first."""
        found = [version for version in self.versions if version.folder == folder]
        return sorted(found, key=lambda version: (version.major, version.revision))


def read_archive(root: Path) -> Archive:
    versions: list[Version] = []
    for path in kept(root / LIST):
        found = _FILE.fullmatch(path)
        if found is None:
            raise ValueError(f"{LIST} names {path}, which is no version")
        if (root / path).exists():
            major, revision = int(found["major"]), int(found["revision"])
            shape = json.loads((root / path).read_text())
            versions.append(Version(found["folder"], major, revision, shape))
    return Archive(tuple(versions), tuple(damage(root / LIST, "was published")))


def breaks(archive: Archive, subjects: Iterable[Subject]) -> Iterator[str]:
    """Why what this build writes and reads does not get on with what was published."""
    yield from archive.damage
    now = {subject.folder: subject for subject in subjects}
    for version in archive.versions:
        subject = now.get(version.folder)
        if subject is None:
            yield f"{version.path}: was published and is not known any more"
            continue
        try:
            for change in changes_between(subject.shape, version.shape, version.name):
                yield f"{version.folder}: {change}"
        except UnknownKeyword as unknown:
            yield f"{version.folder}: cannot be compared with {version.name}: {unknown}"


def drafts(archive: Archive, subjects: Iterable[Subject]) -> Iterator[Version]:
    """Shapes of this build that differ from the last that was published."""
    for subject in subjects:
        before = archive.of(subject.folder)
        if before and (before[-1].major, before[-1].shape) == (subject.major, subject.shape):
            continue
        same_major = [version for version in before if version.major == subject.major]
        revision = same_major[-1].revision + 1 if same_major else 0
        yield Version(subject.folder, subject.major, revision, subject.shape)


def text_of(shape: Shape) -> str:
    return json.dumps(shape, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def publication_lines(versions: Iterable[Version]) -> str:
    """What `PUBLISHED` gains when these go out."""
    return lines_of((version.path, text_of(version.shape).encode()) for version in versions)


def wanted_files(archive: Archive, subjects: Iterable[Subject]) -> Mapping[str, str]:
    """Path -> text of every file of a shape that should be there."""
    versions = (*archive.versions, *drafts(archive, subjects))
    return {version.path: text_of(version.shape) for version in versions}
