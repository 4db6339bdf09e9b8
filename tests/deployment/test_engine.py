"""tools/container_engine.sh where no engine is to be had: one line, no command, nothing left."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.deployment.rendered import REPOSITORY

SCRIPT = REPOSITORY / "tools" / "container_engine.sh"
REASON = "failed to start daemon: the kernel has no overlay"
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


def test_an_engine_that_does_not_start_is_told_in_one_line(programs: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "EPASSPORT_CACHE": str(tmp_path / "cache"),
        "TMPDIR": str(scratch),
    }
    done = subprocess.run(
        [SCRIPT, "echo", "the command"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    as_root = f"the container engine does not start: {REASON}\n"
    as_another = "no container engine answers (docker version); as root one is started here\n"
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (as_root if os.geteuid() == 0 else as_another)
    assert list(scratch.iterdir()) == []
