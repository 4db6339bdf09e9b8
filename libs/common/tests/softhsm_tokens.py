"""Tokens of SoftHSM for one run of the tests.

The library reads its configuration and its tokens once in a process, so all are made before
it is loaded; a test takes one that nobody has used.
"""

import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from epassport.key_store_address import TokenAddress

PIN = "a PIN of sixteen and more"
PLACES = ("/usr/lib/softhsm", "/usr/lib64/softhsm", "/usr/local/lib/softhsm")
SPARE = 40


def library() -> Path:
    found = [Path(place, "libsofthsm2.so") for place in PLACES]
    if shutil.which("softhsm2-util") is None or not any(path.exists() for path in found):
        pytest.skip("SoftHSM is missing: tools/need.sh softhsm2-util installs it")
    return next(path for path in found if path.exists())


def token() -> TokenAddress:
    return TokenAddress(library(), next(_spare()))


def token_of_role(role: str) -> TokenAddress:
    """Of a ceremony: `enrollment`, `root`, … Initialised, and empty in the first test."""
    _spare()
    return TokenAddress(library(), f"epassport-{role}")


ROLES = ("enrollment", "card-personalization", "root", "csca")


@functools.cache
def _spare() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="softhsm-"))
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    spare = [f"token-{number}" for number in range(SPARE)]
    for label in (*spare, *(f"epassport-{role}" for role in ROLES)):
        command = ["softhsm2-util", "--init-token", "--free", "--label", label]
        subprocess.run(
            [*command, "--pin", PIN, "--so-pin", PIN], check=True, capture_output=True, timeout=30
        )
    return iter(spare)
