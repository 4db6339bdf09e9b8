"""Pytest plugin: one real stack per session, one empty database per test.

A test that asks for either fixture is marked `stack`; where no stack can be had it is skipped
with the reason.
"""

import os
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from epassport_sandbox.errors import StackUnavailable
from epassport_sandbox.stack import STACK_VARIABLE, Stack, open_stack

ANNOUNCEMENTS = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ANNOUNCEMENTS] = []
    config.addinivalue_line("markers", "stack: needs real PostgreSQL and real Kafka")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"stack", "database"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("stack")


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash[ANNOUNCEMENTS]:
        terminalreporter.write_line(line)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(pytestconfig: pytest.Config) -> AsyncIterator[Stack]:
    """Not durable, so that tests are quick; those about power loss start their own."""
    announce = pytestconfig.stash[ANNOUNCEMENTS].append
    opening = open_stack(durable=False, announce=announce)
    try:
        stack = await opening.__aenter__()
    except StackUnavailable as error:
        if STACK_VARIABLE in os.environ:
            raise  # who asks for one kind of stack has shown nothing where all is skipped
        pytest.skip(f"no stack: {error}")
    try:
        yield stack
    finally:
        await opening.__aexit__(None, None, None)


@pytest_asyncio.fixture(loop_scope="session")
async def database(stack: Stack) -> AsyncIterator[str]:
    """The dsn of a database of this test's own, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    yield await stack.postgres.create_database(name)
    await stack.postgres.drop_database(name)
