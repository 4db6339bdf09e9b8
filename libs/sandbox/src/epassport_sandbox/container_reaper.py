"""Removes a run's containers when the process that started it is gone, however it ended.

`python -m epassport_sandbox.container_reaper LABEL=VALUE` waits until its input ends, which its
parent's death does too; then it also removes what other dead runs left, should their reaper have
been killed as well.
"""

import contextlib
import sys

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container

from epassport_sandbox.containers import OWNER_LABEL, owner_of


def main() -> None:
    sys.stdin.buffer.read()
    engine = docker.from_env()
    remove(engine.containers.list(all=True, filters={"label": sys.argv[1]}))
    left = engine.containers.list(all=True, filters={"label": OWNER_LABEL})
    remove([one for one in left if not _is_alive(one.labels[OWNER_LABEL])])


def remove(containers: list[Container]) -> None:
    for container in containers:
        # Another reaper may be removing it at this moment.
        with contextlib.suppress(NotFound, APIError):
            container.remove(force=True, v=True)


def _is_alive(owner: str) -> bool:
    try:
        return owner_of(int(owner.partition(":")[0])) == owner
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    main()
