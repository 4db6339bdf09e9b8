"""Status list readers that nobody here wrote: those of SD-JWT VC, and of COSE for the CWT form."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.conversation import Conversation
from tests.conformance.environments import node_environment

CONFORMANCE = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def cose_readers(python_of_readers: Path) -> Iterator[Conversation]:
    script = CONFORMANCE / "cose" / "python_readers.py"
    with Conversation(str(python_of_readers), str(script)) as readers:
        yield readers


@pytest.fixture(scope="session")
def javascript_readers() -> Iterator[Conversation]:
    folder = CONFORMANCE / "sd_jwt"
    modules = node_environment(folder / "package.json", "sd-jwt-javascript-readers")
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on this machine")
    with Conversation(node, str(folder / "javascript_readers.mjs"), str(modules)) as readers:
        yield readers
