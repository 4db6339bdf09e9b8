"""However a run ends, its containers go."""

import asyncio
import signal
import sys

import pytest
from docker import DockerClient

from epassport_sandbox.client import until
from epassport_sandbox.containers import RUN_LABEL

RUN = """
import asyncio, signal
# A run in the background of a shell inherits that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from epassport_sandbox.containers import RUN_LABEL, ContainerStack
async def main():
    async with ContainerStack(durable=False) as stack:
        print(stack.labels[RUN_LABEL], flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
async def test_a_run_that_is_ended_leaves_no_container(
    engine: DockerClient, end: signal.Signals
) -> None:
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert run.stdout is not None
    async with asyncio.timeout(180):
        label = (await run.stdout.readline()).decode().strip()
        wanted = {"label": f"{RUN_LABEL}={label}"}
        assert len(engine.containers.list(filters=wanted)) == 2
        run.send_signal(end)
        await run.wait()
    await until(
        lambda: asyncio.to_thread(engine.containers.list, all=True, filters=wanted),
        lambda left: not left,
        what="the containers to be removed",
    )
