"""Names of the container images, and whether those of the services were made from these sources.

Each name can be overridden by one variable; `make images` writes the names it settled on to
build/images/images.env, in the form that docker-compose reads too.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from epassport_contracts import ServiceName

VERSION = "0.1.0"
SOURCES_LABEL = "org.epassport.sources"

UPSTREAM: Mapping[str, str] = {
    "EPASSPORT_PYTHON_IMAGE": "python:3.11-slim-bookworm",
    "EPASSPORT_BUILD_IMAGE": "python:3.11-bookworm",
    "EPASSPORT_POSTGRES_IMAGE": "postgres:18",
    "EPASSPORT_KAFKA_IMAGE": "apache/kafka:4.3.1",
}
STANDINS: Mapping[str, str] = {
    "EPASSPORT_PYTHON_IMAGE": "epassport/standin-python:3.11",
    "EPASSPORT_BUILD_IMAGE": "epassport/standin-builder:3.11",
    "EPASSPORT_POSTGRES_IMAGE": "epassport/standin-postgres:15",
    "EPASSPORT_KAFKA_IMAGE": "epassport/standin-kafka:4.3.1",
}
POSTGRES, KAFKA = "EPASSPORT_POSTGRES_IMAGE", "EPASSPORT_KAFKA_IMAGE"

MADE_FROM = ("requirements/images.txt", "deploy/images", "libs/*/src", "services/*/src",
             "libs/*/pyproject.toml", "services/*/pyproject.toml",
             "services/biometrics/engine")  # fmt: skip


def repository() -> Path:
    return Path(__file__).parents[4]


def settled_names_file() -> Path:
    return repository() / "build" / "images" / "images.env"


def variable_of(service: str) -> str:
    """`cloud-profile` is named by EPASSPORT_CLOUD_PROFILE_IMAGE."""
    return f"EPASSPORT_{service.replace('-', '_').upper()}_IMAGE"


def image_names() -> dict[str, str]:
    """By variable: the environment's, else what `make images` settled on, else the standard one."""
    ours = {variable_of(name): f"epassport/{name}:{VERSION}" for name in (*ServiceName, "sandbox")}
    return {
        name: os.environ.get(name, standard)
        for name, standard in {**UPSTREAM, **ours, **_settled()}.items()
    }


def sources_digest() -> str:
    """Of everything that goes into the images, in the order of its names."""
    digest = hashlib.sha256()
    for path in sorted(_sources()):
        digest.update(str(path.relative_to(repository())).encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for pattern in MADE_FROM:
        for place in repository().glob(pattern):
            found = place.rglob("*") if place.is_dir() else [place]
            yield from (path for path in found if path.is_file() and path.suffix != ".pyc")


def _settled() -> dict[str, str]:
    file = settled_names_file()
    lines = file.read_text().split() if file.exists() else []
    return dict(line.split("=", 1) for line in lines)
