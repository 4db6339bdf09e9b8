"""`python -m tests.fuzz [--seconds 20] [target ...]`: each target for a bounded time.

atheris (libFuzzer with coverage of Python) lives in an environment of its own. A finding is an
exception that is not ours, more than 5 s for one input, or more than 1 GB of memory; its
input stays in build/fuzz/<target>/ and the exit code is 1.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conformance.environments import python_environment
from tests.fuzz.targets import LIMIT, TARGETS

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
FOUND = REPOSITORY / "build" / "fuzz"
SECONDS_FOR_ONE_INPUT = 5
MEGABYTES = 1024
STARTING_SECONDS = 120
_DONE = re.compile(r"Done (\d+) runs in (\d+) second")


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.fuzz")
    options.add_argument("targets", nargs="*", help=", ".join(TARGETS))
    options.add_argument("--seconds", type=int, default=20, help="for each target")
    chosen = options.parse_args()
    python = python_environment(HERE / "requirements.txt", "fuzz")
    failed = [
        name for name in chosen.targets or TARGETS if not _holds(python, name, chosen.seconds)
    ]
    return 1 if failed else 0


def _holds(python: Path, name: str, seconds: int) -> bool:
    corpus = FOUND / name / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_FOR_ONE_INPUT}",
        f"-rss_limit_mb={MEGABYTES}",
        f"-max_len={LIMIT}",
        f"-artifact_prefix={FOUND / name}/",
    ]
    paths = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "libs" / "credentials" / "src")])
    done = subprocess.run(
        [str(python), "-m", "tests.fuzz.with_atheris", name, *options, str(corpus)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds + STARTING_SECONDS,
        check=False,
    )
    runs = _DONE.search(done.stderr)
    print(f"{name:16}{runs[1] if runs else '?':>10} inputs, exit {done.returncode}", flush=True)
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:], file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
