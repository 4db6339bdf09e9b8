"""A headless Chromium, driven over its debugging pipe: no driver, no port."""

import asyncio
import base64
import contextlib
import fcntl
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

WITHIN_SECONDS = 60.0


def installed() -> str | None:
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """One tab. Commands are those of the DevTools protocol."""

    def __init__(self, reader: asyncio.StreamReader, writer: Any) -> None:
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._session: str | None = None
        self.failures: list[str] = []

    async def open(self) -> None:
        target = await self.send("Target.createTarget", url="about:blank")
        attached = await self.send("Target.attachToTarget", flatten=True, **target)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.send(f"{domain}.enable")

    async def send(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._writer.write(json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(WITHIN_SECONDS):
            return await answer

    async def go(self, url: str, token: str) -> None:
        """As a proxy in front would: the token on every request."""
        headers = {"Authorization": f"Bearer {token}"}
        await self.send("Network.setExtraHTTPHeaders", headers=headers)
        await self.send("Page.navigate", url=url)
        await self.until(
            f"location.href === {json.dumps(url)} && document.readyState === 'complete'"
        )

    async def value(self, expression: str) -> Any:
        told = await self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, condition: str) -> None:
        async with asyncio.timeout(WITHIN_SECONDS):
            while not await self.value(condition):  # noqa: ASYNC110 - the page tells nothing
                await asyncio.sleep(0.05)

    async def press(self, key: str, code: str = "", modifiers: int = 0) -> None:
        about = {"key": key, "code": code or key, "modifiers": modifiers}
        if key == "Enter":  # without its text nothing that has the focus is activated
            about |= {"text": "\r", "windowsVirtualKeyCode": 13}
        for kind in ("keyDown", "keyUp"):
            await self.send("Input.dispatchKeyEvent", type=kind, **about)

    async def click(self, selector: str) -> None:
        await self.value(f"document.querySelector({json.dumps(selector)}).click()")

    async def picture(self, path: Path) -> None:
        shot = await self.send("Page.captureScreenshot", captureBeyondViewport=True)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))

    async def listen(self) -> None:
        while True:
            message = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            waiting = self._waiting.pop(message.get("id", 0), None)
            if waiting is not None:
                if "error" in message:
                    waiting.set_exception(RuntimeError(message["error"]["message"]))
                else:
                    waiting.set_result(message["result"])
            elif message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.failures.append(json.dumps(message["params"])[:500])


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    program = installed()
    assert program is not None, "asked for before"
    # The child reads from descriptor 3 and writes to 4.
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()

    def to_three_and_four() -> None:
        high = [fcntl.fcntl(each, fcntl.F_DUPFD, 20) for each in (to_read, from_write)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    with tempfile.TemporaryDirectory() as profile:
        process = await asyncio.create_subprocess_exec(
            program,
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--window-size=1400,1000", "--remote-debugging-pipe",
            f"--user-data-dir={profile}",
            pass_fds=[3, 4], preexec_fn=to_three_and_four,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(from_write)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
        incoming, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(from_read, "rb", 0)
        )
        outgoing, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(to_write, "wb", 0))
        page = Page(reader, outgoing)
        listening = asyncio.create_task(page.listen())
        try:
            await page.open()
            yield page
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            outgoing.close()
            incoming.close()
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its helpers write into the profile for a moment after it; only then can that be removed."""
    with contextlib.suppress(psutil.NoSuchProcess):
        program = psutil.Process(process.pid)
        whole = [*program.children(recursive=True), program]
        for one in whole:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        await asyncio.to_thread(psutil.wait_procs, whole[:-1], timeout=10)
    await process.wait()
