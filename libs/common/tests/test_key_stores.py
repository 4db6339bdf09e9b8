"""One contract for a key store in a file and on a token."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pkcs11
import pytest
import softhsm_tokens
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from epassport import hpke
from epassport.errors import Unsafe
from epassport.key_store_address import FileAddress, TokenAddress
from epassport.key_stores import Address, create_key_store, open_key_store
from epassport.keystore import KeyStore, PublicKeys
from epassport.signing import SigningPurpose, is_signed_by, key_id_of
from epassport.token_session import TokenSession
from epassport.token_store import MAX_OBJECTS

TICKET, SUBJECT_KEY = PURPOSES = [SigningPurpose.DESK_TICKET, SigningPurpose.SUBJECT_KEY]
Opening = Callable[..., KeyStore]


class Place:
    """An empty place for a store, its passphrase, and what was opened there."""

    def __init__(self, address: Address, secret_file: Path) -> None:
        self.address = address
        self.secret_file = secret_file
        self._opened: list[KeyStore] = []

    def create(self, **options: bool) -> PublicKeys:
        options = {"sandbox": True, **options}
        return create_key_store(self.address, self.secret_file, "enrollment", PURPOSES, **options)

    def open(self, *purposes: SigningPurpose, sandbox: bool = True) -> KeyStore:
        store = open_key_store(self.address, self.secret_file, purposes, sandbox=sandbox)
        self._opened.append(store)
        return store

    def close(self) -> None:
        for store in self._opened:
            store.close()


@pytest.fixture(params=["file", "token"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    on_token = request.param == "token"
    address = softhsm_tokens.token() if on_token else FileAddress(tmp_path / "keystore.json")
    yield from _place(address, tmp_path)


@pytest.fixture
def token(tmp_path: Path) -> Iterator[Place]:
    yield from _place(softhsm_tokens.token(), tmp_path)


def _place(address: Address, folder: Path) -> Iterator[Place]:
    secret_file = folder / "secret"
    secret_file.write_text(f"{softhsm_tokens.PIN}\n")
    place = Place(address, secret_file)
    yield place
    place.close()


def test_a_signer_signs_what_its_published_key_verifies(place: Place) -> None:
    public = place.create()
    signer = place.open(TICKET).signer(TICKET)
    for message in (b"", b"ticket", bytes(100_000)):
        signature = signer.sign(message)
        assert len(signature) == 64
        assert is_signed_by(public.signing[TICKET], signature, message)
        assert not is_signed_by(public.signing[SUBJECT_KEY], signature, message)
    assert not is_signed_by(public.signing[TICKET], signature, b"another")
    assert signer.key_id == key_id_of(public.signing[TICKET])
    assert signer.public_key == public.signing[TICKET]


def test_only_the_purposes_that_were_listed_are_opened(place: Place) -> None:
    place.create()
    with pytest.raises(Unsafe, match="has not opened the key for subject-key"):
        place.open(TICKET).signer(SUBJECT_KEY)
    with pytest.raises(Unsafe, match="has no key for csca"):
        place.open(TICKET, SigningPurpose.CSCA)


def test_the_services_own_secrets_differ_and_stay(place: Place) -> None:
    public = place.create()
    assert public.hpke is not None
    first, second = place.open(), place.open()
    for store in (first, second):
        assert store.service == "enrollment"
        message = hpke.encrypt(hpke.public_key_of(public.hpke), b"key", info=b"")
        assert hpke.decrypt(store.hpke_private_key, message, info=b"") == b"key"
    keys = [first.wrapping, first.search, first.answers]
    assert keys == [second.wrapping, second.search, second.answers]
    assert {len(key) for key in keys} == {32}
    assert len(set(keys)) == 3


def test_a_store_that_only_signs_has_no_secrets(place: Place) -> None:
    assert place.create(with_secrets=False).hpke is None
    store = place.open(TICKET)
    for name in ("wrapping", "search", "answers", "hpke_private_key"):
        with pytest.raises(Unsafe, match="of enrollment has no"):
            getattr(store, name)


@pytest.mark.parametrize("sandbox", [True, False])
def test_a_store_opens_in_the_profile_it_was_made_for(place: Place, *, sandbox: bool) -> None:
    place.create(sandbox=sandbox)
    assert place.open(TICKET, sandbox=sandbox).sandbox is sandbox
    kind = "sandbox" if sandbox else "production"
    with pytest.raises(Unsafe, match=f"is a {kind} key store, which this profile refuses"):
        place.open(TICKET, sandbox=not sandbox)


def test_a_store_that_exists_is_never_overwritten(place: Place) -> None:
    public = place.create()
    with pytest.raises(Unsafe, match="never overwritten"):
        place.create()
    assert place.open(TICKET).signer(TICKET).public_key == public.signing[TICKET]


def test_another_passphrase_or_pin_opens_nothing_and_its_file_must_be_there(place: Place) -> None:
    place.create()
    place.secret_file.write_text("another PIN of sixteen and more")
    secret = "passphrase" if isinstance(place.address, FileAddress) else "PIN"
    with pytest.raises(Unsafe, match=f"wrong {secret}"):
        place.open(TICKET)
    place.secret_file.unlink()
    with pytest.raises(Unsafe, match="cannot be read"):
        place.open(TICKET)


def raw(address: Address) -> pkcs11.Session:
    assert isinstance(address, TokenAddress)
    found = pkcs11.lib(str(address.module)).get_token(token_label=address.token)
    return found.open(rw=True, user_pin=softhsm_tokens.PIN)


def test_a_private_key_was_made_on_the_token_and_never_leaves_it(token: Place) -> None:
    token.create()
    with raw(token.address) as session:
        keys = list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY}))
        assert len(keys) == len(PURPOSES)
        for key in keys:
            told = [Attribute.LOCAL, Attribute.SENSITIVE, Attribute.ALWAYS_SENSITIVE]
            told += [Attribute.NEVER_EXTRACTABLE, Attribute.PRIVATE, Attribute.SIGN]
            assert all(key[attribute] for attribute in told)
            denied = [Attribute.EXTRACTABLE, Attribute.MODIFIABLE, Attribute.DECRYPT]
            denied += [Attribute.DERIVE, Attribute.UNWRAP]
            assert not any(key[attribute] for attribute in denied)
            with pytest.raises(pkcs11.AttributeSensitive):
                key[Attribute.VALUE]
            with pytest.raises(pkcs11.PKCS11Error):
                key[Attribute.LABEL] = "epassport-1/production/enrollment/sign:csca"


def test_without_the_pin_the_token_shows_no_object(token: Place) -> None:
    token.create()
    assert isinstance(token.address, TokenAddress)
    library = pkcs11.lib(str(token.address.module))
    with library.get_token(token_label=token.address.token).open() as session:
        assert list(session.get_objects()) == []


def test_a_token_or_a_module_that_is_not_there_is_one_line(token: Place, tmp_path: Path) -> None:
    assert isinstance(token.address, TokenAddress)
    module = token.address.module
    (tmp_path / "text.so").write_text("no library")
    for address, line in [
        (TokenAddress(module, "nobody's"), "token nobody's is not there"),
        (TokenAddress(tmp_path / "none.so", "t"), "none.so is no PKCS#11 module here"),
        (TokenAddress(tmp_path / "text.so", "t"), "text.so is no PKCS#11 module here"),
        (token.address, f"token {token.address.token} holds no key store of version 1"),
    ]:
        with pytest.raises(Unsafe) as refusal:
            open_key_store(address, token.secret_file, [TICKET], sandbox=True)
        assert str(refusal.value) == line


def generate(session: pkcs11.Session, label: str, curve: str) -> None:
    parameters = {Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
    made = session.create_domain_parameters(KeyType.EC, parameters, local=True)
    made.generate_keypair(label=label, store=True, mechanism=Mechanism.EC_KEY_PAIR_GEN)


CSCA_LABEL = "epassport-1/sandbox/enrollment/sign:csca"


def test_a_key_on_another_curve_is_refused(token: Place) -> None:
    token.create()
    with raw(token.address) as session:
        generate(session, CSCA_LABEL, "secp384r1")
    with pytest.raises(Unsafe, match="has no one key on P-256 for csca"):
        token.open(SigningPurpose.CSCA)


def test_two_keys_of_one_purpose_are_refused(token: Place) -> None:
    token.create()
    with raw(token.address) as session:
        for _ in range(2):
            generate(session, CSCA_LABEL, "secp256r1")
    with pytest.raises(Unsafe, match="has no one key on P-256 for csca"):
        token.open(SigningPurpose.CSCA)


def test_a_public_key_that_is_not_that_of_its_private_key_is_refused(token: Place) -> None:
    token.create()
    asked = {Attribute.CLASS: ObjectClass.PUBLIC_KEY}
    with raw(token.address) as session:
        generate(session, CSCA_LABEL, "secp256r1")
        own, other = (
            next(iter(session.get_objects({**asked, Attribute.LABEL: label})))
            for label in (CSCA_LABEL, CSCA_LABEL.replace("csca", "desk-ticket"))
        )
        point, parameters = other[Attribute.EC_POINT], other[Attribute.EC_PARAMS]
        own.destroy()
        session.create_object(
            {
                **asked,
                Attribute.TOKEN: True,
                Attribute.KEY_TYPE: KeyType.EC,
                Attribute.LABEL: CSCA_LABEL,
                Attribute.EC_PARAMS: parameters,
                Attribute.EC_POINT: point,
            }
        )
    with pytest.raises(Unsafe, match="public key for csca is not that of its private key"):
        token.open(SigningPurpose.CSCA)


def test_a_token_with_two_stores_is_refused(token: Place) -> None:
    token.create()
    with raw(token.address) as session:
        generate(session, "epassport-1/sandbox/biometrics/sign:subject-key", "secp256r1")
    with pytest.raises(Unsafe, match="holds more than one key store"):
        token.open(TICKET)


def test_what_others_keep_on_the_token_is_left_alone(token: Place) -> None:
    with raw(token.address) as session:
        generate(session, "somebody else's", "secp384r1")
    token.create()
    assert token.open(TICKET).service == "enrollment"
    assert 2 * len(SigningPurpose) < MAX_OBJECTS


def test_a_signer_whose_session_was_lost_opens_another(token: Place) -> None:
    """As after a pause in the network to a module: all sessions of the process are gone."""
    public = token.create()
    signer = token.open(TICKET).signer(TICKET)
    assert isinstance(token.address, TokenAddress)
    library = pkcs11.lib(str(token.address.module))
    for _ in range(2):
        library.reinitialize()
        assert is_signed_by(public.signing[TICKET], signer.sign(b"ticket"), b"ticket")


def test_a_closed_store_signs_no_more_once_its_pin_is_gone(token: Place) -> None:
    token.create()
    store = token.open(TICKET)
    store.close()
    token.secret_file.unlink()
    with pytest.raises(Unsafe, match="cannot be read"):
        store.signer(TICKET).sign(b"ticket")


def test_threads_share_one_session_without_mixing_their_signatures(token: Place) -> None:
    public = token.create()
    store = token.open(*PURPOSES)

    def signs(number: int) -> bool:
        purpose, message = PURPOSES[number % 2], str(number).encode()
        signature = store.signer(purpose).sign(message)
        return is_signed_by(public.signing[purpose], signature, message)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(signs, range(400)))


def test_another_process_signs_with_the_same_key(token: Place) -> None:
    """The keys are the token's, not the process's that made them."""
    public = token.create()
    assert isinstance(token.address, TokenAddress)
    program = (
        "import sys; from pathlib import Path; from epassport.signing import SigningPurpose\n"
        "from epassport.key_store_address import read_address\n"
        "from epassport.key_stores import open_key_store\n"
        "p = SigningPurpose.DESK_TICKET\n"
        "store = open_key_store(read_address(sys.argv[1]), Path(sys.argv[2]), [p], sandbox=True)\n"
        "print(store.signer(p).sign(b'ticket').hex())"
    )
    command = [sys.executable, "-c", program, str(token.address), str(token.secret_file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert is_signed_by(public.signing[TICKET], bytes.fromhex(done.stdout.strip()), b"ticket")


def test_a_fault_of_the_work_itself_is_not_taken_for_a_lost_session(token: Place) -> None:
    assert isinstance(token.address, TokenAddress)
    session = TokenSession(token.address, token.secret_file)
    with pytest.raises(pkcs11.NoSuchKey):
        session.sign("no such label", bytes(32))
    session.close()
