"""The wheel alone, in an empty environment: what a relying organisation installs."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from epassport_credentials.card_qr import SmallCard, issue_small_card_qr
from epassport_credentials.cwt import StatusReference
from epassport_credentials.offline_pack import issue_offline_pack
from epassport_credentials.qr_symbol import qr_png
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.status_list import issue_status_list, pack_statuses
from epassport_credentials.trust import TrustList, trusted_key

PACKAGE = Path(__file__).parents[3] / "libs" / "credentials"
UV = [sys.executable, "-m", "uv"]
SETUP_SECONDS = 300
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
URI = "https://status.epassport.test/1"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=SETUP_SECONDS, check=False
    )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing but the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("alone")
    build = ["build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", str(folder)]
    for command in (
        [*UV, *build, "--python", sys.executable, str(PACKAGE)],
        [*UV, "venv", "--quiet", "--python", sys.executable, str(folder / "env")],
    ):
        done = run(*command)
        assert done.returncode == 0, done.stderr
    wheel = next(folder.glob("*.whl"))
    python = str(folder / "env" / "bin" / "python")
    done = run(*UV, "pip", "install", "--quiet", "--python", python, str(wheel))
    assert done.returncode == 0, done.stderr
    return folder / "env" / "bin"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack, its key, and one valid card as text and as picture."""
    folder = tmp_path_factory.mktemp("desk")
    signer = {
        purpose: LocalSigner(ec.derive_private_key(50 + place, ec.SECP256R1()))
        for place, purpose in enumerate(
            (Purpose.CARD_QR, Purpose.STATUS_LIST, Purpose.OFFLINE_PACK)
        )
    }
    until = NOW + timedelta(days=30)
    keys = tuple(
        trusted_key(key, purpose, not_before=NOW, not_after=until)
        for purpose, key in signer.items()
    )
    statuses = issue_status_list(
        pack_statuses([0]),
        signer[Purpose.STATUS_LIST],
        uri=URI,
        issued_at=NOW,
        expires_at=until,
    )
    trust = TrustList("alone", NOW, until, keys)
    pack = issue_offline_pack(trust, {URI: statuses}, signer[Purpose.OFFLINE_PACK])
    pem = signer[Purpose.OFFLINE_PACK].public_key.public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    card = SmallCard(bytes(16), True, NOW, until, StatusReference(URI, 0))
    text = issue_small_card_qr(card, signer[Purpose.CARD_QR])
    (folder / "pack.jwt").write_text(pack)
    (folder / "key.pem").write_bytes(pem)
    (folder / "card.txt").write_text(text)
    (folder / "card.png").write_bytes(qr_png(text, pixels_per_module=4))
    return folder


def test_it_brings_few_packages(environment: Path) -> None:
    listed = run(*UV, "pip", "list", "--format", "json", "--python", str(environment / "python"))
    names = {package["name"] for package in json.loads(listed.stdout)}
    wanted = {"asn1crypto", "cbor2", "cryptography", "segno"}
    of_cryptography = {"cffi", "pycparser"}
    assert names == {"epassport-credentials", *wanted, *of_cryptography}


def test_every_module_but_those_for_pictures_is_imported(environment: Path) -> None:
    program = (
        "import importlib, pkgutil, epassport_credentials as p\n"
        "for found in pkgutil.walk_packages(p.__path__, p.__name__ + '.'):\n"
        "    try:\n"
        "        importlib.import_module(found.name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        print(found.name, error.name)\n"
    )
    done = run(str(environment / "python"), "-c", program)
    assert (done.stdout, done.stderr) == ("epassport_credentials.portrait PIL\n", "")


def test_a_card_is_judged_and_shown_from_its_text(environment: Path, desk: Path) -> None:
    known = ["--pack", f"{desk}/pack.jwt", "--key", f"{desk}/key.pem", "--now", NOW.isoformat()]
    good = run(str(environment / "epassport-verify"), f"{desk}/card.txt", *known)
    assert (good.returncode, good.stdout.split("\n")[0]) == (0, "GOOD")
    shown = run(str(environment / "epassport-inspect"), f"{desk}/card.txt")
    assert (shown.returncode, shown.stdout[:13]) == (0, "code: Base45,")


def test_a_picture_needs_the_extra_and_says_so(environment: Path, desk: Path) -> None:
    known = ["--pack", f"{desk}/pack.jwt", "--key", f"{desk}/key.pem", "--now", NOW.isoformat()]
    done = run(str(environment / "epassport-verify"), f"{desk}/card.png", *known)
    assert done.returncode == 3
    assert "pip install 'epassport-credentials[images]'" in done.stdout
