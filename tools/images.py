"""`make images`: everything for the images is put into build/images, then they are built.

    python tools/images.py [--standins] [SERVICE…]

Where the upstream images cannot be pulled, stand-ins are built from Debian's packages and the
Maven artifacts (deploy/images/standins). Wheels, Java and jars come from this machine, so that
building needs no network but the stand-ins' packages. What is there already is used again.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sbom import write_sbom

from epassport_contracts import ServiceName
from epassport_sandbox.images import (
    STANDINS,
    UPSTREAM,
    VERSION,
    image_names,
    settled_names_file,
    sources_digest,
    variable_of,
)
from epassport_sandbox.jars import cache_folder

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "images"
IMAGES = ROOT / "deploy" / "images"
PULL_SECONDS = 60
DEBIAN = "epassport/standin-debian:bookworm"

JAVA_MODULES = (
    "java.base", "java.desktop", "java.logging", "java.management", "java.naming",
    "java.net.http", "java.security.jgss", "java.security.sasl", "java.sql", "java.xml",
    "jdk.crypto.ec", "jdk.management", "jdk.net", "jdk.unsupported", "jdk.zipfs",
)  # fmt: skip
"""What Kafka and the engine ask for: a whole Java would be as large as all the rest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("services", nargs="*", metavar="SERVICE")
    parser.add_argument("--standins", action="store_true", help="also where upstream answers")
    parser.add_argument("--prepare-only", action="store_true", help="build nothing")
    options = parser.parse_args()
    prepare()
    if options.prepare_only:
        return
    settle_names(standins=options.standins)
    names = image_names()
    for service in options.services or [*ServiceName, "sandbox"]:
        build_service(service, names)
        write_sbom(names[variable_of(service)], service, VERSION, BUILD / f"{service}.cdx.json")


def prepare() -> None:
    """Wheels of others by their pins, our own wheels, a small Java, the engine's jars."""
    BUILD.mkdir(parents=True, exist_ok=True)
    pins = ROOT / "requirements" / "images.txt"
    _once(BUILD / "wheels", pins.read_bytes(), lambda folder: run(
        # PEP 517 also for what has only a setup.py: the old way hangs on what the venv came with.
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--require-hashes",
        "--use-pep517", "--wheel-dir", str(folder), "--requirement", str(pins),
    ))  # fmt: skip
    shutil.rmtree(BUILD / "own", ignore_errors=True)
    packages = [str(path.parent) for path in ROOT.glob("*/*/pyproject.toml")]
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index",
        "--no-build-isolation", "--wheel-dir", str(BUILD / "own"), *packages)  # fmt: skip
    _once(BUILD / "java", " ".join(JAVA_MODULES).encode(), lambda folder: run(
        "jlink", "--add-modules", ",".join(JAVA_MODULES), "--strip-debug", "--no-header-files",
        "--no-man-pages", "--compress=2", "--output", str(folder),
    ))  # fmt: skip
    engine = BUILD / "engine"
    shutil.rmtree(engine, ignore_errors=True)
    shutil.copytree(BUILD / "java", engine / "java", symlinks=True)
    for part in ("libs", "classes"):
        shutil.copytree(cache_folder() / f"sourceafis-{part}", engine / part)


def _once(folder: Path, made_from: bytes, make: Callable[[Path], None]) -> None:
    """Make the folder unless it was made from the same; it appears only when it is whole."""
    stamp = folder.with_suffix(".made-from")
    if folder.exists() and stamp.exists() and stamp.read_bytes() == made_from:
        return
    unfinished = folder.with_suffix(".new")
    for old in (folder, unfinished):
        shutil.rmtree(old, ignore_errors=True)
    make(unfinished)
    unfinished.rename(folder)
    stamp.write_bytes(made_from)


def settle_names(*, standins: bool) -> None:
    """Upstream where it can be had, else a stand-in; one given by its variable is left alone."""
    settled = {
        name: STANDINS[name] if standins or not _is_to_be_had(upstream) else upstream
        for name, upstream in UPSTREAM.items()
        if name not in os.environ
    }
    if missing := [name for name, image in settled.items() if image == STANDINS[name]]:
        run(str(IMAGES / "standins" / "debian.sh"), DEBIAN)
        for name in missing:
            build_standin(settled[name])
    settled_names_file().write_text("".join(f"{n}={image}\n" for n, image in settled.items()))
    if not os.path.lexists(for_compose := ROOT / ".env"):
        for_compose.symlink_to(settled_names_file().relative_to(ROOT))


def _is_to_be_had(image: str) -> bool:
    here = subprocess.run(["docker", "image", "inspect", image], capture_output=True)
    if here.returncode == 0:
        return True
    try:
        pulled = subprocess.run(
            ["docker", "pull", "--quiet", image], capture_output=True, timeout=PULL_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return pulled.returncode == 0


def build_standin(image: str) -> None:
    kind = image.split("-")[-1].split(":")[0]
    context = IMAGES / "standins" / kind
    if kind == "kafka":
        whole = BUILD / "kafka"
        shutil.rmtree(whole, ignore_errors=True)
        shutil.copytree(context, whole)
        shutil.copytree(BUILD / "java", whole / "java", symlinks=True)
        shutil.copytree(cache_folder() / "kafka-libs", whole / "libs")
        context = whole
    base = (
        ("PYTHON_IMAGE", STANDINS["EPASSPORT_PYTHON_IMAGE"])
        if kind == "builder"
        else ("DEBIAN_IMAGE", DEBIAN)
    )
    build(image, context, ["--build-arg", "=".join(base)])


def build_service(service: str, names: Mapping[str, str]) -> None:
    package = "epassport_sandbox" if service == "sandbox" else service.replace("-", "_")
    values = {
        "BASE_IMAGE": names["EPASSPORT_PYTHON_IMAGE"],
        "BUILD_IMAGE": names["EPASSPORT_BUILD_IMAGE"],
        "SERVICE": service,
        "PACKAGE": package,
        "VERSION": VERSION,
        "REVISION": _revision(),
        "SOURCES": sources_digest(),
    }
    arguments = [
        part for name, value in values.items() for part in ("--build-arg", f"{name}={value}")
    ]
    build(names[variable_of(service)], ROOT, ["--file", str(IMAGES / "Dockerfile"), *arguments])


def build(image: str, context: Path, arguments: Sequence[str]) -> None:
    print(f"building {image}", flush=True)
    # The classic builder: Debian's engine has no other.
    run("docker", "build", "--quiet", "--network", "host", "--tag", image, *arguments, str(context),
        environment={**os.environ, "DOCKER_BUILDKIT": "0"})  # fmt: skip


def _revision() -> str:
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return asked.stdout.strip() or "unknown"


def run(*command: str, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        told = f"{done.stdout[-3000:]}{done.stderr[-3000:]}"
        sys.exit(f"{' '.join(command[:3])} ended with {done.returncode}:\n{told}")


if __name__ == "__main__":
    main()
