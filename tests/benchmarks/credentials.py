"""Checks of codes against the bare signature verifications of `cryptography`."""

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from epassport_credentials.card_qr import (
    IdentityCard,
    SmallCard,
    issue_identity_card_qr,
    issue_small_card_qr,
)
from epassport_credentials.cwt import StatusReference
from epassport_credentials.identity import AgeOver18, Identity, Sex
from epassport_credentials.mobile_qr import issue_attestation, present
from epassport_credentials.offline_pack import OfflinePack
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.status_list import (
    ENTRIES_PER_LIST,
    Status,
    StatusList,
    issue_status_list,
    open_status_list,
    pack_statuses,
)
from epassport_credentials.trust import TrustList, trusted_key
from epassport_credentials.verifier import Outcome, verify_offline
from tests.benchmarks.harness import Better, Row, compare

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
URI = "https://status.epassport.test/1"
STATUS = StatusReference(URI, 70_001)
IMPORTS = 7
LARGE = 10_000_000  # entries of one list, and documents
LOADS = 7


def signer(number: int) -> LocalSigner:
    return LocalSigner(ec.derive_private_key(number, ec.SECP256R1()))


SIGNERS = {
    purpose: signer(1000 + place)
    for place, purpose in enumerate(
        (Purpose.CARD_QR, Purpose.MOBILE_ATTESTATION, Purpose.STATUS_LIST)
    )
}
PHONE = signer(7)


KEYS = tuple(
    trusted_key(key, purpose, not_before=NOW, not_after=NOW + timedelta(days=5000))
    for purpose, key in SIGNERS.items()
)


def list_token(statuses: StatusList) -> str:
    return issue_status_list(
        statuses,
        SIGNERS[Purpose.STATUS_LIST],
        uri=URI,
        issued_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )


def pack() -> OfflinePack:
    token = list_token(pack_statuses(bytes(ENTRIES_PER_LIST)))
    trust = TrustList("bench", NOW, NOW + timedelta(days=30), KEYS)
    return OfflinePack(trust, {URI: open_status_list(token, KEYS, uri=URI, now=NOW)})


def small_card() -> str:
    card = SmallCard(bytes(range(16)), True, NOW, NOW + timedelta(days=3652), STATUS)
    return issue_small_card_qr(card, SIGNERS[Purpose.CARD_QR])


def identity_card() -> str:
    person = Identity("Подъёмная Юлия", date(1990, 5, 17), Sex.FEMALE, "700123456", "RUS")
    portrait = random.Random(1).randbytes(450)  # a WEBP does not deflate either
    card = IdentityCard(bytes(16), person, NOW, NOW + timedelta(days=3652), STATUS, portrait)
    return issue_identity_card_qr(card, SIGNERS[Purpose.CARD_QR])


def mobile() -> str:
    attestation = issue_attestation(
        AgeOver18(),
        holder_key=PHONE.public_key,
        issuer="RU",
        issued_at=NOW,
        signer=SIGNERS[Purpose.MOBILE_ATTESTATION],
    )
    return present(attestation, phone=PHONE, now=NOW, cti=bytes(range(16)))


def bare_verification() -> Callable[[], None]:
    """One ES256 verification by a loaded key, its signature already in DER."""
    private_key = ec.derive_private_key(7, ec.SECP256R1())
    message, algorithm = bytes(150), ec.ECDSA(hashes.SHA256())
    signature, public_key = private_key.sign(message, algorithm), private_key.public_key()
    return lambda: public_key.verify(signature, message, algorithm)


def rows() -> Iterator[Row]:
    offline, bare = pack(), bare_verification()

    def check(text: str) -> Callable[[], object]:
        assert verify_offline(text, offline, now=NOW).outcome is Outcome.GOOD
        return lambda: verify_offline(text, offline, now=NOW)

    how = "text to verdict of verify_offline; bare: one ES256 verify of `cryptography`"
    for name, text, target in (
        ("card-check", small_card(), 0.70),
        ("identity-card-check", identity_card(), 0.55),  # three times the text, and a person
    ):
        ours, single, ratio = compare(check(text), bare)
        yield Row(name, ours, single, ratio, target, Better.HIGHER, "us", how)
    ours, single, ratio = compare(check(mobile()), bare)
    how = "text to verdict of verify_offline; bare: two ES256 verifies"
    yield Row("mobile-check", ours, 2 * single, 2 * ratio, 0.55, Better.HIGHER, "us", how)
    yield from status_rows()
    yield import_row()


def status_rows() -> Iterator[Row]:
    """A list of ten million documents, one in a hundred revoked: loading, and one look-up."""
    values = bytearray(LARGE)
    for index in random.Random(1).sample(range(LARGE), LARGE // 100):
        values[index] = Status.INVALID
    token = list_token(pack_statuses(values))
    loads = []
    for _ in range(LOADS):
        began = time.thread_time()
        loaded = open_status_list(token, KEYS, uri=URI, now=NOW).statuses
        loads.append((time.thread_time() - began) * 1000)
    where = random.Random(2).randrange(LARGE)
    ours, call, _ = compare(lambda: loaded.status_at(where), lambda: where)
    how = "one entry of ten million; bare: a call that does nothing; ratio: to 1,000 ns"
    lookup, empty = ours * 1000, call * 1000
    yield Row("status-look-up", lookup, empty, lookup / 1000, 1.0, Better.LOWER, "ns", how)
    how = f"{len(token):,} characters to a checked list; bare: none; ratio: to 50 ms"
    spent = statistics.median(loads)
    yield Row("status-list-10m", spent, 0.0, spent / 50, 1.0, Better.LOWER, "ms", how)


def import_row() -> Row:
    spent = [_import_milliseconds("epassport_credentials.verifier") for _ in range(IMPORTS)]
    empty = [_import_milliseconds("sys") for _ in range(IMPORTS)]
    how = "CPU of `import epassport_credentials.verifier` in a fresh process; ratio: to 150 ms"
    ours = statistics.median(spent)
    return Row("import", ours, statistics.median(empty), ours / 150, 1.0, Better.LOWER, "ms", how)


def _import_milliseconds(module: str) -> float:
    program = (
        f"import time; began = time.process_time(); import {module}; "
        "print((time.process_time() - began) * 1000)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""},  # an installed package has its bytecode
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return float(run.stdout)
