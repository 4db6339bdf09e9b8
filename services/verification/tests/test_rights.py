"""Who may do what, read from the other side: what a person of each role may do here.

Written down a second time on purpose. A right that is given or taken away shows in this file.
"""

from epassport.testing import rights_of
from verification.service import build
from verification.settings import VerificationSettings

RIGHTS = {
    "administrator": {
        "restore-document",
        "revoke-document",
        "suspend-document",
        "read-document",
    },
    "agency": {
        "read-public-events",
    },
    "anyone": {
        "read-offline-pack",
        "read-status-list",
        "read-status-list-addresses",
        "read-status-list-of-card",
        "read-trust-list",
    },
    "hand-over-officer": {
        "read-document",
    },
    "hotline": {
        "read-document",
    },
    "operator": {
        "read-document",
    },
    "registrar": {
        "register-purpose",
        "register-relying-party",
        "read-relying-party",
    },
    "supervisor": {
        "restore-document",
        "revoke-document",
        "suspend-document",
        "read-document",
    },
    "verifier": {
        "verify",
        "read-relying-party",
    },
}


def test_each_role_may_do_what_is_written_here_and_nothing_else() -> None:
    assert rights_of(build(VerificationSettings.model_construct()).routes) == RIGHTS
