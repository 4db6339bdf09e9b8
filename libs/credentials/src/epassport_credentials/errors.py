"""Why a document must not be relied on.

InvalidCredential
    raised by every decoder and every check of this package; carries one Reason of a
    closed list. A status (revoked, suspended, not in force) is a reason too, so that a
    verdict needs only one list.

Neither reason nor detail ever holds personal data: both may be logged and counted.
"""

from enum import StrEnum


class Reason(StrEnum):
    # what arrived cannot be read
    TOO_LONG = "too-long"
    MALFORMED = "malformed"
    UNKNOWN_FORMAT = "unknown-format"
    UNKNOWN_VERSION = "unknown-version"
    UNSUPPORTED_ALGORITHM = "unsupported-algorithm"
    UNSUPPORTED_CRITICAL_HEADER = "unsupported-critical-header"
    WRONG_CHECK_DIGIT = "wrong-check-digit"

    # who signed it
    UNKNOWN_SIGNER = "unknown-signer"
    WRONG_PURPOSE = "wrong-purpose"
    SIGNER_NOT_IN_FORCE = "signer-not-in-force"
    SANDBOX_SIGNER = "sandbox-signer"
    WRONG_SIGNATURE = "wrong-signature"

    # when, for whom
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    LIFETIME_TOO_LONG = "lifetime-too-long"
    WRONG_AUDIENCE = "wrong-audience"
    WRONG_NONCE = "wrong-nonce"

    # what the issuer says about it now
    WRONG_STATUS_LIST = "wrong-status-list"
    INDEX_OUT_OF_RANGE = "index-out-of-range"
    UNKNOWN_STATUS = "unknown-status"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    NOT_IN_FORCE = "not-in-force"
    NO_STATUS_THEN = "no-status-then"

    # what an offline verifier lacks
    PACK_TOO_OLD = "pack-too-old"
    PACK_EXPIRED = "pack-expired"
    STATUS_NOT_IN_PACK = "status-not-in-pack"

    # selective disclosure and key binding
    DISCLOSURE_NOT_SIGNED = "disclosure-not-signed"
    DUPLICATE_DIGEST = "duplicate-digest"
    DUPLICATE_CLAIM = "duplicate-claim"
    FORBIDDEN_CLAIM = "forbidden-claim"
    WRONG_CREDENTIAL_TYPE = "wrong-credential-type"
    NOT_KEY_BOUND = "not-key-bound"
    WRONG_KEY_BINDING = "wrong-key-binding"

    # a request to a wallet and its answer
    WRONG_CLIENT_ID = "wrong-client-id"
    UNSUPPORTED_OPTION = "unsupported-option"
    WRONG_STATE = "wrong-state"
    QUERY_NOT_MET = "query-not-met"
    WALLET_DECLINED = "wallet-declined"

    # the chip
    MISSING_FILE = "missing-file"
    UNTRUSTED_DOCUMENT_SIGNER = "untrusted-document-signer"
    WRONG_CERTIFICATE_PROFILE = "wrong-certificate-profile"
    DATA_GROUP_NOT_SIGNED = "data-group-not-signed"
    DATA_GROUP_ALTERED = "data-group-altered"
    WRONG_ISSUING_STATE = "wrong-issuing-state"
    DOCUMENT_SIGNER_REVOKED = "document-signer-revoked"
    REVOCATION_LIST_OUTDATED = "revocation-list-outdated"
    CHIP_REFUSED = "chip-refused"
    ACCESS_DENIED = "access-denied"
    WRONG_ACCESS_KEY = "wrong-access-key"
    SECURE_MESSAGING_BROKEN = "secure-messaging-broken"
    CHIP_NOT_AUTHENTIC = "chip-not-authentic"


class InvalidCredential(Exception):
    """A document that must not be relied on. Neither reason nor detail holds personal data."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)  # both in args, so both survive pickling to a worker
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
