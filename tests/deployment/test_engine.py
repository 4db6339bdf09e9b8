"""tools/container_engine.sh where no engine is to be had or another run has it."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from tests.deployment.rendered import REPOSITORY

SCRIPT = REPOSITORY / "tools" / "container_engine.sh"
REASON = "failed to start daemon: the kernel has no overlay"
TOLD = f"the container engine does not start: {REASON}\n"
PROGRAMS = {
    "docker": "exit 1",
    "dockerd": f"echo 'time=now level=info msg=starting'; echo '{REASON}'; exit 1",
    "debootstrap": "exit 1",
    "docker-compose": "exit 1",
}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """An engine that does not start, and everything that would be installed for it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, line in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def environment(programs: Path, tmp_path: Path) -> dict[str, str]:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "EPASSPORT_CACHE": str(tmp_path / "cache"),
        "TMPDIR": str(scratch),
    }


def test_an_engine_that_does_not_start_is_told_in_one_line(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [SCRIPT, "echo", "the command"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    as_another = "no container engine answers (docker version); as root one is started here\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (TOLD if os.geteuid() == 0 else as_another)
    assert list(Path(environment["TMPDIR"]).iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts an engine")
def test_a_run_that_waits_for_another_runs_engine_says_so(environment: dict[str, str]) -> None:
    cache = Path(environment["EPASSPORT_CACHE"])
    cache.mkdir()
    with (cache / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run = subprocess.Popen(
            [SCRIPT, "echo", "the command"], env=environment, stderr=subprocess.PIPE, text=True
        )
        assert run.stderr is not None
        assert run.stderr.readline().startswith("waiting for another run's engine to end: ")
        assert run.poll() is None
    assert run.communicate(timeout=60)[1] == TOLD
