"""COSE readers that nobody here wrote, each answering from its own environment."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.conversation import Conversation
from tests.conformance.environments import node_environment

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def python_readers(python_of_readers: Path) -> Iterator[Conversation]:
    with Conversation(str(python_of_readers), str(HERE / "python_readers.py")) as readers:
        yield readers


@pytest.fixture(scope="session")
def javascript_readers() -> Iterator[Conversation]:
    folder = node_environment(HERE / "package.json", "cose-javascript-readers")
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine")
    with Conversation(node, str(HERE / "javascript_readers.mjs"), str(folder)) as readers:
        yield readers
