"""A logged-in session on a token (PKCS#11), and what a token says where it has none.

Sessions are not for two threads at a time, so each use holds a lock. One that was lost is
opened once more, with the PIN as its file says by then.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import pkcs11
from pkcs11 import Attribute, Mechanism, ObjectClass, Session
from pkcs11.types import SignMixin

from epassport.errors import Unsafe
from epassport.key_store_address import TokenAddress
from epassport.settings import read_secret

# A session may end under us: an idle connection to a module in the network, a token moved.
_SESSION_LOST = (
    pkcs11.SessionHandleInvalid,
    pkcs11.SessionClosed,
    pkcs11.UserNotLoggedIn,
    pkcs11.KeyHandleInvalid,
    pkcs11.ObjectHandleInvalid,
    pkcs11.DeviceRemoved,
    pkcs11.DeviceError,
)

T = TypeVar("T")


class TokenSession:
    def __init__(self, address: TokenAddress, pin_file: Path, *, writes: bool = False) -> None:
        self.address = address
        self._pin_file = pin_file
        self._writes = writes
        self._lock = Lock()
        self._keys: dict[str, SignMixin] = {}
        self._session: Session | None = _open(address, pin_file, writes=writes)

    def use(self, work: Callable[[Session], T]) -> T:
        """Raises Unsafe where the session is lost and cannot be opened again."""
        with self._lock:
            if self._session is not None:
                try:
                    return work(self._session)
                except _SESSION_LOST:
                    self._end()
            self._session = _open(self.address, self._pin_file, writes=self._writes)
            return work(self._session)

    def sign(self, label: str, digest: bytes) -> bytes:
        """CKM_ECDSA: a token is given the hash, and returns r || s."""

        def by_the_token(session: Session) -> bytes:
            if label not in self._keys:  # looked up once: round trips to a module in the network
                self._keys[label] = private_key(session, label)
            return bytes(self._keys[label].sign(digest, mechanism=Mechanism.ECDSA))

        return self.use(by_the_token)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        lost, self._session = self._session, None
        self._keys.clear()
        if lost is not None:
            try:
                lost.close()
            except pkcs11.PKCS11Error:
                return  # it was lost already, with all that it held


def private_key(session: Session, label: str) -> SignMixin:
    """Raises as `only` does."""
    key = only(session, ObjectClass.PRIVATE_KEY, label)
    assert isinstance(key, SignMixin)
    return key


def only(session: Session, kind: ObjectClass, label: str) -> Any:
    """The one object on the token with this label; the search is read to its end, as one left
    open would stand in the way of the next.

    Raises NoSuchKey and MultipleObjectsReturned, of pkcs11.
    """
    asked = {Attribute.CLASS: kind, Attribute.LABEL: label, Attribute.TOKEN: True}
    found = list(session.get_objects(asked))
    if not found:
        raise pkcs11.NoSuchKey(label)
    if len(found) > 1:
        raise pkcs11.MultipleObjectsReturned(label)
    return found[0]


def _open(address: TokenAddress, pin_file: Path, *, writes: bool) -> Session:
    """Logged in. The login belongs to the process: a session beside an open one needs none."""
    pin = read_secret(pin_file)
    with _told(address):
        token = pkcs11.lib(str(address.module)).get_token(token_label=address.token)
        if Mechanism.ECDSA not in token.slot.get_mechanisms():
            raise Unsafe(f"token {address.token} does not sign with ECDSA")
        try:
            return token.open(rw=writes, user_pin=pin)
        except pkcs11.UserAlreadyLoggedIn:
            return token.open(rw=writes)


@contextmanager
def _told(address: TokenAddress) -> Iterator[None]:
    """What a library says about its token, as one line."""
    token = f"token {address.token}"
    try:
        yield
    except pkcs11.NoSuchToken as error:
        raise Unsafe(f"{token} is not there") from error
    except pkcs11.MultipleTokensReturned as error:
        raise Unsafe(f"there is more than one {token}") from error
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
        raise Unsafe(f"wrong PIN of {token}") from error
    except (pkcs11.PinLocked, pkcs11.PinExpired, pkcs11.UserPinNotInitialized) as error:
        raise Unsafe(f"the PIN of {token} is locked, expired or not set") from error
    except pkcs11.PKCS11Error as error:
        cause = type(error).__name__
        if cause == "PKCS11Error":  # of the binding itself: the file is no such library
            raise Unsafe(f"{address.module.name} is no PKCS#11 module here") from error
        raise Unsafe(f"{token} does not open: {cause}") from error
