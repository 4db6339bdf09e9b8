"""JMRTD, set up once for all its tests."""

import pytest

from tests.conformance.jmrtd.shim import Jmrtd, set_up


@pytest.fixture(scope="session")
def jmrtd() -> Jmrtd:
    return set_up()
