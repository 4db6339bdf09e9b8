"""Other people's software in environments of its own, set up once and kept in the cache.

Foreign readers pin versions that would hold the workspace back, so none of them is installed
beside our code: Python ones come from a hash-pinned list, JavaScript ones from a package.json
with exact versions. A folder is set up for good when its stamp holds the digest of what it
was made from. Checkers of deploy/ that are written in Go are built here too.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
STAMP = "made-from.sha256"
SETUP_SECONDS = 600


def cache_folder() -> Path:
    return Path(os.environ.get("EPASSPORT_CACHE", REPOSITORY / ".cache"))


def python_environment(requirements: Path, name: str) -> Path:
    """The interpreter of a virtual environment that holds just these hash-pinned packages."""

    def fill(folder: Path) -> None:
        uv = [sys.executable, "-m", "uv"]
        _run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        install = ["pip", "sync", "--quiet", "--require-hashes", "--python"]
        _run([*uv, *install, str(folder / "bin/python"), str(requirements)])

    return _kept(requirements, name, fill) / "bin/python"


def node_environment(package: Path, name: str) -> Path:
    """A folder whose node_modules hold what package.json asks for; skips without npm."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on this machine")

    def fill(folder: Path) -> None:
        folder.mkdir()
        shutil.copy(package, folder / "package.json")
        options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        _run([npm, "install", *options, "--prefix", str(folder)])

    return _kept(package, name, fill)


def go_binary(module: Path, package: str, name: str) -> Path:
    """A command that a Go module names as its tool, at the versions and digests of its go.sum.

    module: folder of go.mod and go.sum
    Skips where no Go, or one older than the module asks for, is on the machine.
    """
    go = shutil.which("go")
    if go is None:
        pytest.skip("no Go on this machine")
    local = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    wanted = re.search(r"^go (\d+)\.(\d+)", (module / "go.mod").read_text(), re.MULTILINE)
    found = re.search(r"go(\d+)\.(\d+)", _run([go, "env", "GOVERSION"], local))
    if wanted is None or found is None or _numbers(found) < _numbers(wanted):
        pytest.skip(f"the Go on this machine is too old to build {name}")

    def fill(folder: Path) -> None:
        target = str(folder / name)
        _run([go, "build", "-C", str(module), "-trimpath", "-o", target, package], local)

    return _kept(module / "go.sum", name, fill) / name


def _numbers(version: re.Match[str]) -> list[int]:
    return [int(part) for part in version.groups()]


def _kept(source: Path, name: str, fill: Callable[[Path], None]) -> Path:
    cache = cache_folder()
    folder = cache / name
    wanted = hashlib.sha256(source.read_bytes()).hexdigest()
    if _holds(folder, wanted):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs may start at once on a fresh machine
        if not _holds(folder, wanted):
            shutil.rmtree(folder, ignore_errors=True)
            fill(folder)
            (folder / STAMP).write_text(wanted)
    return folder


def _holds(folder: Path, wanted: str) -> bool:
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text() == wanted


def _run(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=SETUP_SECONDS,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} … failed: {done.stderr.strip()[-500:]}")
    return done.stdout
