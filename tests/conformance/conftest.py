"""Foreign vectors lie outside the repository; where they are absent, their tests say so."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def vectors() -> Path:
    folder = Path(os.environ.get("EPASSPORT_VECTORS", REPOSITORY / "../shared/vectors")).resolve()
    if not folder.is_dir():
        pytest.skip(f"no vectors in {folder}; set EPASSPORT_VECTORS")
    return folder
