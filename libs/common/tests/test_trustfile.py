"""The ceremony and its trust file: one root vouches for every key, each with one purpose."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import softhsm_tokens
from hypothesis import given
from hypothesis import strategies as st

from epassport import ceremony
from epassport.ceremony import PURPOSES, VALIDITY, CeremonyResult, hold_ceremony
from epassport.errors import Unsafe
from epassport.jws import MalformedJws, parse_compact, sign_compact
from epassport.keystore import KeyStore
from epassport.signing import (
    LocalSigner,
    Signer,
    SigningPurpose,
    new_private_key,
    public_key_octets,
)
from epassport.trustfile import (
    MAX_FILE_BYTES,
    SigningEntry,
    TrustFile,
    read_public_key,
    write_public_key,
    write_trust_file,
)
from epassport_contracts import ServiceName

AT = datetime(2026, 4, 1, 9, tzinfo=UTC)
SERVICES = [ServiceName.ENROLLMENT, ServiceName.CARD_PERSONALIZATION]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> CeremonyResult:
    return hold_ceremony(tmp_path_factory.mktemp("keys"), SERVICES, at=AT)


def opened(held: CeremonyResult) -> TrustFile:
    return TrustFile.open(held.trust_file, read_public_key(held.root_public_key), sandbox=True)


def store_of(
    held: CeremonyResult, service: ServiceName, purposes: list[SigningPurpose]
) -> KeyStore:
    paths = held.services[service]
    return KeyStore.open(paths.keystore, paths.passphrase, purposes, sandbox=True)


def rewritten(folder: Path, header: dict[str, object], content: object) -> tuple[Path, Signer]:
    root = LocalSigner(new_private_key())
    path = folder / "trust.jws"
    path.write_text(sign_compact(header, json.dumps(content).encode(), root))
    return path, root


SANDBOX_HEADER = {"typ": "epassport-trust", "crit": ["sandbox"], "sandbox": True}
CONTENT = {
    "version": 1,
    "issuer": "sandbox.epassport.invalid",
    "sandbox": True,
    "issued_at": AT.isoformat(),
    "signing_keys": [],
    "hpke_keys": [],
}


def test_a_service_signs_what_others_verify_by_service_and_purpose(held: CeremonyResult) -> None:
    signer = store_of(held, ServiceName.ENROLLMENT, [SigningPurpose.DESK_TICKET]).signer(
        SigningPurpose.DESK_TICKET
    )
    trust, signature = opened(held), signer.sign(b"ticket")

    def is_signed(service: ServiceName, purpose: SigningPurpose, at: datetime) -> bool:
        return trust.is_signed(service, purpose, signer.key_id, signature, b"ticket", at=at)

    ticket = SigningPurpose.DESK_TICKET
    assert is_signed(ServiceName.ENROLLMENT, ticket, AT)
    assert is_signed(ServiceName.ENROLLMENT, ticket, AT + VALIDITY)
    assert not is_signed(ServiceName.ENROLLMENT, ticket, AT - timedelta(seconds=1))
    assert not is_signed(ServiceName.ENROLLMENT, ticket, AT + VALIDITY + timedelta(seconds=1))
    assert not is_signed(ServiceName.ENROLLMENT, SigningPurpose.SUBJECT_KEY, AT)
    assert not is_signed(ServiceName.CARD_PERSONALIZATION, ticket, AT)
    assert not trust.is_signed(
        ServiceName.ENROLLMENT, ticket, bytes(8), signature, b"ticket", at=AT
    )


def test_every_service_gets_the_keys_of_its_purposes_and_no_others(held: CeremonyResult) -> None:
    trust = opened(held)
    found = {
        (service, purpose)
        for service in ServiceName
        for purpose in SigningPurpose
        if trust.signing_keys(service, purpose)
    }
    expected = {(service, purpose) for service in SERVICES for purpose in PURPOSES[service]}
    assert found == expected | {(ServiceName.CARD_PERSONALIZATION, SigningPurpose.CSCA)}


def test_csca_opens_in_the_ceremony_and_in_no_service(held: CeremonyResult) -> None:
    with pytest.raises(Unsafe, match="has no key for csca"):
        store_of(held, ServiceName.CARD_PERSONALIZATION, [SigningPurpose.CSCA])
    assert held.csca is not None
    store = KeyStore.open(
        held.csca.keystore, held.csca.passphrase, [SigningPurpose.CSCA], sandbox=True
    )
    (trusted,) = opened(held).signing_keys(ServiceName.CARD_PERSONALIZATION, SigningPurpose.CSCA)
    assert trusted.public_key == store.signer(SigningPurpose.CSCA).public_key


def test_a_service_that_was_not_there_has_no_hpke_key(held: CeremonyResult) -> None:
    with pytest.raises(Unsafe, match="no HPKE key of verification"):
        opened(held).hpke_key(ServiceName.VERIFICATION)


def test_a_second_ceremony_in_the_same_folder_changes_nothing(held: CeremonyResult) -> None:
    folder = held.trust_file.parent
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(Unsafe, match="never overwritten"):
        hold_ceremony(folder, SERVICES, at=AT)
    with pytest.raises(Unsafe, match="never overwritten"):
        hold_ceremony(folder, list(ServiceName), at=AT)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_in_production_keys_are_made_on_tokens_whose_pins_were_put_there_beforehand(
    tmp_path: Path,
) -> None:
    with pytest.raises(Unsafe, match="production needs --pkcs11-module"):
        hold_ceremony(tmp_path, SERVICES, sandbox=False, at=AT)
    module = softhsm_tokens.token_of_role("root").module
    with pytest.raises(Unsafe, match="put the PIN into"):
        hold_ceremony(tmp_path, SERVICES, sandbox=False, at=AT, module=module)
    pins = [*(f"{service}/passphrase" for service in SERVICES)]
    for pin in (*pins, "ceremony/root-pin", "ceremony/csca-pin"):
        (tmp_path / pin).parent.mkdir(exist_ok=True)
        (tmp_path / pin).write_text(softhsm_tokens.PIN)
    held = hold_ceremony(tmp_path, SERVICES, sandbox=False, at=AT, module=module)
    assert not list(tmp_path.rglob("*.json"))
    trust = TrustFile.open(held.trust_file, read_public_key(held.root_public_key), sandbox=False)
    stores = [(held.services[service], service, PURPOSES[service]) for service in SERVICES]
    assert held.csca is not None
    issuer = (held.csca, ServiceName.CARD_PERSONALIZATION, frozenset({SigningPurpose.CSCA}))
    for store, service, purposes in [*stores, issuer]:
        opened = store.open(purposes, sandbox=False)
        for purpose in purposes:
            (trusted,) = trust.signing_keys(service, purpose)
            assert opened.signer(purpose).public_key == trusted.public_key
        opened.close()
    with pytest.raises(Unsafe, match="has no key for csca"):
        held.services[ServiceName.CARD_PERSONALIZATION].open([SigningPurpose.CSCA], sandbox=False)
    for path in (held.trust_file, held.root_public_key):
        path.unlink()
    with pytest.raises(Unsafe, match="holds a key store and is never overwritten"):
        hold_ceremony(tmp_path, SERVICES, sandbox=False, at=AT, module=module)


def test_a_production_trust_file_is_refused_in_the_sandbox(tmp_path: Path) -> None:
    root, path = LocalSigner(new_private_key()), tmp_path / "trust.jws"
    write_trust_file(path, root, [], [], sandbox=False, at=AT)
    assert not TrustFile.open(path, root.public_key, sandbox=False).sandbox
    with pytest.raises(Unsafe, match="production trust file"):
        TrustFile.open(path, root.public_key, sandbox=True)


def test_a_sandbox_trust_file_is_refused_in_production(held: CeremonyResult) -> None:
    with pytest.raises(Unsafe, match="sandbox trust file"):
        TrustFile.open(held.trust_file, read_public_key(held.root_public_key), sandbox=False)


def test_a_trust_file_of_another_root_is_refused(held: CeremonyResult) -> None:
    with pytest.raises(Unsafe, match="not signed by the given root"):
        TrustFile.open(held.trust_file, new_private_key().public_key(), sandbox=True)


def test_a_changed_trust_file_is_refused(held: CeremonyResult, tmp_path: Path) -> None:
    header, payload, signature = held.trust_file.read_text().split(".")
    content = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    content = content.replace(b'"desk-ticket"', b'"subject-key"')
    changed = base64.urlsafe_b64encode(content).rstrip(b"=").decode()
    path = tmp_path / "trust.jws"
    path.write_text(f"{header}.{changed}.{signature}")
    with pytest.raises(Unsafe, match="not signed by the given root"):
        TrustFile.open(path, read_public_key(held.root_public_key), sandbox=True)


def test_a_header_with_more_in_it_is_refused(tmp_path: Path) -> None:
    path, root = rewritten(tmp_path, {**SANDBOX_HEADER, "b64": False}, CONTENT)
    with pytest.raises(Unsafe, match="header"):
        TrustFile.open(path, root.public_key, sandbox=True)


@pytest.mark.parametrize("members", [{"sandbox": False}, {"issuer": "epassport"}])
def test_content_that_contradicts_the_header_is_refused(
    members: dict[str, object], tmp_path: Path
) -> None:
    path, root = rewritten(tmp_path, SANDBOX_HEADER, {**CONTENT, **members})
    with pytest.raises(Unsafe, match="contradicts"):
        TrustFile.open(path, root.public_key, sandbox=True)


@pytest.mark.parametrize(
    "members",
    [
        {"version": 2},
        {"more": 1},
        {"hpke_keys": [{"service": "enrollment", "key": "AAAA"}]},
        {
            "signing_keys": [
                {
                    "service": "enrollment",
                    "purpose": "desk-ticket",
                    "key": "AAAA",
                    "valid_from": AT.isoformat(),
                    "valid_until": AT.isoformat(),
                }
            ]
        },
    ],
)
def test_content_of_another_version_or_form_is_refused(
    members: dict[str, object], tmp_path: Path
) -> None:
    path, root = rewritten(tmp_path, SANDBOX_HEADER, {**CONTENT, **members})
    with pytest.raises(Unsafe, match="not a trust file of version 1"):
        TrustFile.open(path, root.public_key, sandbox=True)


def test_files_that_are_absent_too_large_or_something_else_are_refused(tmp_path: Path) -> None:
    root = new_private_key().public_key()
    path = tmp_path / "trust.jws"
    with pytest.raises(Unsafe, match="cannot be read"):
        TrustFile.open(path, root, sandbox=True)
    path.write_bytes(b"." * (MAX_FILE_BYTES + 1))
    with pytest.raises(Unsafe, match="too large"):
        TrustFile.open(path, root, sandbox=True)
    path.write_text("not a trust file")
    with pytest.raises(Unsafe, match="not a trust file"):
        TrustFile.open(path, root, sandbox=True)
    with pytest.raises(Unsafe, match="not a public key"):
        read_public_key(path)


def test_while_a_key_is_replaced_both_are_trusted(tmp_path: Path) -> None:
    root, old, new = (LocalSigner(new_private_key()) for _ in range(3))
    entries = [
        SigningEntry(
            service=ServiceName.VERIFICATION,
            purpose=SigningPurpose.RECEIPT,
            key=public_key_octets(signer.public_key),
            valid_from=AT,
            valid_until=AT + VALIDITY,
        )
        for signer in (old, new)
    ]
    path, public = tmp_path / "trust.jws", tmp_path / "root.pem"
    write_trust_file(path, root, entries, [], sandbox=True, at=AT)
    write_public_key(public, root.public_key)
    trust = TrustFile.open(path, read_public_key(public), sandbox=True)
    for signer in (old, new):
        assert trust.is_signed(
            ServiceName.VERIFICATION,
            SigningPurpose.RECEIPT,
            signer.key_id,
            signer.sign(b"receipt"),
            b"receipt",
            at=AT,
        )


def test_the_command_says_where_the_trust_file_is_and_refuses_a_second_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--folder", str(tmp_path), "--sandbox", "--service", "biometrics"]
    assert ceremony.main(command) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'trust.jws'}\n"
    assert ceremony.main(command) == 1
    assert "never overwritten" in capsys.readouterr().err


@given(st.text(alphabet="ab=_-.%e30é", max_size=40) | st.text(max_size=40))
def test_any_text_is_a_compact_jws_or_malformed(text: str) -> None:
    try:
        jws = parse_compact(text)
    except MalformedJws:
        return
    assert not jws.is_signed_by(_ROOT.public_key)


@given(st.binary(max_size=200))
def test_a_compact_jws_round_trips(payload: bytes) -> None:
    jws = parse_compact(sign_compact({"typ": "test"}, payload, _ROOT))
    assert jws.payload == payload
    assert jws.header == {"alg": "ES256", "kid": _ROOT.key_id.hex(), "typ": "test"}
    assert jws.is_signed_by(_ROOT.public_key)


_ROOT = LocalSigner(new_private_key())
