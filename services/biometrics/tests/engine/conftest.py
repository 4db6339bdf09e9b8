"""The real engine, one for all tests."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from biometrics.engine.process import WorkerSettings
from biometrics.engine.sourceafis import SourceAfis

CACHE = Path(os.environ.get("EPASSPORT_CACHE") or Path(__file__).parents[4] / ".cache")


@pytest.fixture(scope="session")
def worker_settings() -> WorkerSettings:
    settings = WorkerSettings(CACHE / "sourceafis-libs", CACHE / "sourceafis-classes")
    if shutil.which("java") is None:
        pytest.skip("the engine needs Java 17 or newer, and there is none")
    if not any(settings.libs.glob("sourceafis-*.jar")):
        pytest.skip(f"SourceAFIS's jars are not in {settings.libs}; make check fetches them")
    if not any(settings.classes.rglob("*.class")):
        pytest.skip(f"the engine's classes are not in {settings.classes}; make check compiles them")
    return settings


@pytest_asyncio.fixture(scope="session")
async def engine(worker_settings: WorkerSettings) -> AsyncIterator[SourceAfis]:
    """Extracts and compares; tests of the gallery start their own."""
    async with SourceAfis(worker_settings) as running:
        yield running
