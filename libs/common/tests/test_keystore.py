"""The encrypted key store: only what was asked for, only of the right kind, never overwritten."""

import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from epassport.errors import Unsafe
from epassport.keystore import MAX_FILE_BYTES, KeyStore, PublicKeys, create
from epassport.signing import (
    SigningPurpose,
    is_signed_by,
    key_id_of,
    new_private_key,
    private_key_octets,
    private_key_of,
    public_key_octets,
    public_key_of,
)

PURPOSES = [SigningPurpose.DESK_TICKET, SigningPurpose.SUBJECT_KEY]
TICKET, SUBJECT_KEY = PURPOSES


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, PublicKeys]:
    folder = tmp_path_factory.mktemp("keystore")
    passphrase = folder / "passphrase"
    passphrase.write_text("a passphrase of the sandbox\n")
    path = folder / "keystore.json"
    return path, passphrase, create(path, passphrase, "enrollment", PURPOSES, sandbox=True)


Made = tuple[Path, Path, PublicKeys]


def changed(made: Made, folder: Path, **members: object) -> Path:
    path = folder / "changed.json"
    path.write_text(json.dumps({**json.loads(made[0].read_text()), **members}))
    return path


def test_a_signer_of_the_store_signs_what_its_published_key_verifies(made: Made) -> None:
    path, passphrase, public = made
    signer = KeyStore.open(path, passphrase, [TICKET], sandbox=True).signer(TICKET)
    signature = signer.sign(b"ticket")
    assert len(signature) == 64
    assert is_signed_by(public.signing[TICKET], signature, b"ticket")
    assert not is_signed_by(public.signing[TICKET], signature, b"another ticket")
    assert not is_signed_by(public.signing[SUBJECT_KEY], signature, b"ticket")
    assert signer.key_id == key_id_of(public.signing[TICKET])


def test_a_purpose_that_was_not_listed_is_not_opened(made: Made) -> None:
    path, passphrase, _ = made
    store = KeyStore.open(path, passphrase, [TICKET], sandbox=True)
    with pytest.raises(Unsafe, match="has not opened the key for subject-key"):
        store.signer(SUBJECT_KEY)


def test_a_purpose_that_the_store_does_not_have_stops_the_process(made: Made) -> None:
    path, passphrase, _ = made
    with pytest.raises(Unsafe, match="has no key for csca"):
        KeyStore.open(path, passphrase, [TICKET, SigningPurpose.CSCA], sandbox=True)


def test_a_store_holds_three_different_symmetric_keys_that_stay_the_same(made: Made) -> None:
    path, passphrase, _ = made
    first, second = (KeyStore.open(path, passphrase, [], sandbox=True) for _ in range(2))
    keys = [first.wrapping, first.search, first.answers]
    assert keys == [second.wrapping, second.search, second.answers]
    assert {len(key) for key in keys} == {32}
    assert len(set(keys)) == 3


def test_a_store_of_the_ceremony_has_signing_keys_alone(tmp_path: Path, made: Made) -> None:
    _, passphrase, _ = made
    path = tmp_path / "root.json"
    public = create(
        path,
        passphrase,
        "ceremony",
        [SigningPurpose.TRUST_LIST],
        sandbox=True,
        with_secrets=False,
    )
    store = KeyStore.open(path, passphrase, [], sandbox=True)
    assert public.hpke is None
    for name in ("wrapping", "search", "answers", "hpke_private_key"):
        with pytest.raises(Unsafe, match="of ceremony has no"):
            getattr(store, name)


def test_a_sandbox_store_does_not_open_in_production(made: Made) -> None:
    path, passphrase, _ = made
    with pytest.raises(Unsafe, match="sandbox key store"):
        KeyStore.open(path, passphrase, [TICKET], sandbox=False)


def test_a_production_store_does_not_open_in_the_sandbox(tmp_path: Path, made: Made) -> None:
    path, passphrase = tmp_path / "production.json", made[1]
    create(path, passphrase, "enrollment", [TICKET], sandbox=False)
    with pytest.raises(Unsafe, match="production key store"):
        KeyStore.open(path, passphrase, [TICKET], sandbox=True)


def test_the_sandbox_marker_cannot_be_taken_off(tmp_path: Path, made: Made) -> None:
    path = changed(made, tmp_path, sandbox=False)
    with pytest.raises(Unsafe, match="was changed"):
        KeyStore.open(path, made[1], [TICKET], sandbox=False)


def test_a_key_cannot_be_passed_off_for_one_of_another_purpose(tmp_path: Path, made: Made) -> None:
    keys = json.loads(made[0].read_text())["keys"]
    by_name = {key["name"]: key for key in keys}
    swapped = {**by_name["sign:desk-ticket"], "name": "sign:subject-key"}
    path = changed(made, tmp_path, keys=[by_name["sign:desk-ticket"], swapped])
    with pytest.raises(Unsafe, match="was changed"):
        KeyStore.open(path, made[1], [SUBJECT_KEY], sandbox=True)


def test_another_passphrase_opens_nothing(tmp_path: Path, made: Made) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("another passphrase of the sandbox")
    with pytest.raises(Unsafe, match="wrong passphrase"):
        KeyStore.open(made[0], passphrase, [], sandbox=True)


def test_a_passphrase_has_at_least_16_octets(tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("fifteen octets!\n")
    with pytest.raises(Unsafe, match="at least 16"):
        create(tmp_path / "keystore.json", passphrase, "enrollment", [], sandbox=True)
    passphrase.write_text("sixteen octets!!\n")
    create(tmp_path / "keystore.json", passphrase, "enrollment", [], sandbox=True)


def test_missing_files_stop_the_process(tmp_path: Path, made: Made) -> None:
    with pytest.raises(Unsafe, match="cannot be read"):
        KeyStore.open(tmp_path / "absent.json", made[1], [], sandbox=True)
    with pytest.raises(Unsafe, match="passphrase file absent cannot be read"):
        KeyStore.open(made[0], tmp_path / "absent", [], sandbox=True)


@pytest.mark.parametrize("members", [{"version": 2}, {"more": 1}, {"salt": "%"}, {"keys": 1}])
def test_a_store_of_another_version_or_form_is_refused(
    members: dict[str, object], tmp_path: Path, made: Made
) -> None:
    with pytest.raises(Unsafe, match="not a key store of version 1"):
        KeyStore.open(changed(made, tmp_path, **members), made[1], [], sandbox=True)


def test_a_file_over_the_limit_is_not_parsed(tmp_path: Path, made: Made) -> None:
    path = tmp_path / "large.json"
    path.write_bytes(b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(Unsafe, match="too large"):
        KeyStore.open(path, made[1], [], sandbox=True)


def test_a_store_that_exists_is_never_overwritten(made: Made) -> None:
    path, passphrase, _ = made
    before = path.read_bytes()
    with pytest.raises(Unsafe, match="never overwritten"):
        create(path, passphrase, "enrollment", PURPOSES, sandbox=True)
    assert path.read_bytes() == before


def test_a_store_is_readable_by_its_owner_alone_and_shows_no_key(made: Made) -> None:
    path, passphrase, _ = made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store = KeyStore.open(path, passphrase, [], sandbox=True)
    assert store.wrapping not in path.read_bytes()
    assert b"PRIVATE" not in path.read_bytes()


@given(st.binary(max_size=80))
def test_any_octets_are_a_signature_or_none_without_a_fault(signature: bytes) -> None:
    assert not is_signed_by(_KEY.public_key(), signature, b"message")


def test_keys_round_trip_and_other_octets_are_refused() -> None:
    assert private_key_octets(private_key_of(private_key_octets(_KEY))) == private_key_octets(_KEY)
    public = public_key_octets(_KEY.public_key())
    assert public_key_octets(public_key_of(public)) == public
    for read in (private_key_of, public_key_of):
        with pytest.raises(ValueError):  # noqa: PT011 - the message is the library's
            read(b"no key")


def test_public_keys_of_other_curves_and_algorithms_are_refused() -> None:
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    unknown = public_key_octets(_KEY.public_key()).replace(EC_PUBLIC_KEY, EC_PUBLIC_KEY[:-1] + b"c")
    for octets in (public_key_octets(p384), unknown):
        with pytest.raises(ValueError, match="not a key on P-256"):
            public_key_of(octets)


@given(st.integers(0, 90), st.integers(1, 255))
def test_a_public_key_with_one_changed_octet_is_a_key_or_a_value_error(
    index: int, change: int
) -> None:
    octets = bytearray(public_key_octets(_KEY.public_key()))
    octets[index] ^= change
    try:
        public_key_of(bytes(octets))
    except ValueError:
        return


EC_PUBLIC_KEY = bytes.fromhex("06072a8648ce3d0201")  # OID 1.2.840.10045.2.1
_KEY = new_private_key()
