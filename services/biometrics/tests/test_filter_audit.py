"""The nightly audit as its CronJob runs it: a command with one line on stdout."""

import asyncio
import json
import os
import sys
from uuid import UUID

import pytest

from biometrics.audit import beginning_at
from conftest import Bureau
from epassport.settings import PREFIX

pytestmark = pytest.mark.stack

ENOUGH_SECONDS = 120


async def test_the_audit_tells_one_line_and_ends_well_where_nobody_was_missed(
    bureau: Bureau,
) -> None:
    for _ in range(2):
        await bureau.enrol(bureau.person())
    given = bureau.settings.model_dump(mode="json", exclude_defaults=True)
    environment = {PREFIX + name.upper(): str(value) for name, value in given.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "biometrics.audit", "--captures", "2"),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(ENOUGH_SECONDS):
        told, log = await process.communicate()
    assert process.returncode == 0, log.decode()
    (line,) = told.splitlines()
    found = json.loads(line)
    assert (found["captures"], found["missed"]) == (2, [])
    assert found["gallery"] >= 2
    assert 0 <= found["recall"] <= 1


async def test_an_audit_that_cannot_begin_says_so_and_does_not_look_clean(bureau: Bureau) -> None:
    given = bureau.settings.model_dump(mode="json", exclude_defaults=True)
    environment = {PREFIX + name.upper(): str(value) for name, value in given.items()}
    environment[PREFIX + "PROFILE"] = "production"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "biometrics.audit"),
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(ENOUGH_SECONDS):
        told, log = await process.communicate()
    assert (process.returncode, told) == (2, b"")
    assert log.startswith(b"refused to start: ")


@pytest.mark.parametrize("start", [0, 2**126, 2**127, 2**128 - 1])
async def test_an_audit_that_begins_anywhere_meets_each_capture_once(
    start: int, bureau: Bureau
) -> None:
    for _ in range(2):
        await bureau.enrol(bureau.person())
    gallery, first = bureau.opened.app.gallery, UUID(int=start)
    met = [UUID(capture) async for capture, _ in beginning_at(gallery, first)]
    captures = sorted(met)
    assert len(captures) == len(set(captures)) == await gallery.size() >= 2
    behind = [each for each in captures if each > first]
    assert met == behind + captures[: len(captures) - len(behind)]
