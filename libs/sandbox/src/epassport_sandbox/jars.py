"""Java libraries from Maven, named by a pom.xml, kept in a cache folder.

`python -m epassport_sandbox.jars` fetches Kafka's; with a pom.xml and a folder's name as
arguments, others.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from epassport_sandbox.errors import StackUnavailable

KAFKA_POM = Path(__file__).with_name("kafka_broker") / "pom.xml"
KAFKA_FOLDER = "kafka-libs"
STAMP = "pom.sha256"
MAVEN_SECONDS = 900


def cache_folder() -> Path:
    """$EPASSPORT_CACHE, else .cache in the repository, else (installed from a wheel) the user's."""
    if given := os.environ.get("EPASSPORT_CACHE"):
        return Path(given)
    repository = Path(__file__).parents[4]
    if (repository / "libs" / "sandbox").is_dir():
        return repository / ".cache"
    return Path.home() / ".cache" / "epassport"


def fetch_jars(pom: Path, name: str) -> Path:
    """The cache's folder `name`, holding the run-time jars of `pom`; Maven runs only when it must.

    Raises StackUnavailable, one line, when Maven is missing or cannot fetch them.
    """
    cache = cache_folder()
    folder = cache / name
    wanted = hashlib.sha256(pom.read_bytes()).hexdigest()
    if _holds(folder, wanted):
        return folder  # also from a cache that is not ours to write
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two stacks may start at once on a fresh machine
        if not _holds(folder, wanted):
            fresh = cache / f"{name}.new"
            for old in (fresh, folder):
                shutil.rmtree(old, ignore_errors=True)
            _copy_dependencies(pom, fresh)
            (fresh / STAMP).write_text(wanted)
            fresh.rename(folder)
    return folder


def _holds(folder: Path, wanted: str) -> bool:
    stamp = folder / STAMP
    return stamp.exists() and stamp.read_text() == wanted


def _copy_dependencies(pom: Path, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise StackUnavailable(
            f"Maven (mvn) is missing: install it, or put the jars of {pom} there"
        )
    print(f"fetching the jars of {pom.name} in {pom.parent} with Maven", file=sys.stderr)
    options = ["-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    try:
        subprocess.run(
            [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", *options],
            check=True,
            capture_output=True,
            text=True,
            timeout=MAVEN_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise StackUnavailable(f"Maven did not fetch the jars in {MAVEN_SECONDS} s") from None
    except subprocess.CalledProcessError as error:
        lines = [line for line in str(error.stdout).splitlines() if "ERROR" in line]
        reason = lines[0] if lines else f"mvn ended with code {error.returncode}"
        raise StackUnavailable(f"Maven could not fetch the jars of {pom}: {reason}") from None


def main() -> None:
    pom, name = (Path(sys.argv[1]), sys.argv[2]) if len(sys.argv) > 1 else (KAFKA_POM, KAFKA_FOLDER)
    try:
        fetch_jars(pom, name)
    except StackUnavailable as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
