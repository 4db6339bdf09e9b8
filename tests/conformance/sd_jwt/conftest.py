"""SD-JWT, status list and DCQL readers that nobody here wrote, each in its own environment."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.conversation import Conversation
from tests.conformance.environments import node_environment, python_environment

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def python_readers() -> Iterator[Conversation]:
    interpreter = python_environment(HERE / "python-readers.txt", "sd-jwt-python-readers")
    with Conversation(str(interpreter), str(HERE / "python_readers.py")) as readers:
        yield readers


@pytest.fixture(scope="session")
def javascript_readers() -> Iterator[Conversation]:
    with javascript("javascript_readers.mjs") as readers:
        yield readers


@pytest.fixture(scope="session")
def openid4vp_reader() -> Iterator[Conversation]:
    with javascript("openid4vp_reader.mjs") as reader:
        yield reader


def javascript(script: str) -> Conversation:
    folder = node_environment(HERE / "package.json", "sd-jwt-javascript-readers")
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine")
    return Conversation(node, str(HERE / script), str(folder))
