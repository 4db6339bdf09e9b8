"""Files that nobody changes again: a list of them with their SHA-256, in the form of sha256sum.

Paths are relative to the list's folder. What is not listed is a draft.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path


def kept(list_file: Path) -> Mapping[str, str]:
    """Digest by path; nothing where nobody has listed anything yet."""
    listed = list_file.read_text().splitlines() if list_file.exists() else []
    return {path: digest for digest, path in (line.split("  ", 1) for line in listed)}


def damage(list_file: Path, what_happened: str) -> Iterator[str]:
    """what_happened: to the listed files, as in `was published`"""
    for path, digest in kept(list_file).items():
        file = list_file.parent / path
        if not file.exists():
            yield f"{path}: {what_happened} and is gone"
        elif _digest(file.read_bytes()) != digest:
            yield f"{path}: {what_happened} and has been changed"


def lines_of(files: Iterable[tuple[str, bytes]]) -> str:
    """What the list gains with these files."""
    return "".join(f"{_digest(octets)}  {path}\n" for path, octets in files)


def _digest(octets: bytes) -> str:
    return hashlib.sha256(octets).hexdigest()
