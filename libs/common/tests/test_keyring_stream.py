"""Keyring: destroyed once, for good."""

from datetime import UTC, datetime
from uuid import UUID

from epassport import keyring_stream
from epassport.keyring_stream import KEYRING, DestroyKeys, KeysDestroyed
from epassport.testing import Specification
from epassport_contracts import ServiceName
from epassport_contracts.events import keys
from epassport_contracts.events.enrollment import ErasureOrdered

HOLDER = UUID("018f2f6e-0000-4000-8000-000000000001")
NOON = datetime(2026, 4, 1, 12, tzinfo=UTC)
EVENING = datetime(2026, 4, 1, 18, tzinfo=UTC)

given = Specification(KEYRING).given


def test_keys_are_destroyed_on_order() -> None:
    stream, command = keyring_stream.destroy_on_order(ErasureOrdered(at=NOON, holder_id=HOLDER))
    assert stream == f"keyring/{HOLDER}"
    given().when(command).then(KeysDestroyed(NOON, HOLDER))


def test_destroying_twice_records_it_once() -> None:
    given(KeysDestroyed(NOON, HOLDER)).when(DestroyKeys(HOLDER, EVENING)).then_nothing()


def test_the_report_names_the_service_and_the_time_of_the_deed() -> None:
    report = keyring_stream.report(KeysDestroyed(NOON, HOLDER), ServiceName.BIOMETRICS)
    assert report == keys.KeysDestroyed(at=NOON, service=ServiceName.BIOMETRICS, holder_id=HOLDER)
