"""Who may do what, read from the other side: what a person of each role may do here.

Written down a second time on purpose. A right that is given or taken away shows in this file.
"""

from enrollment.service import build
from epassport.settings import Settings
from epassport.testing import rights_of

RIGHTS = {
    "administrator": {
        "open-rollout",
        "list-erasure-work",
        "order-erasure",
        "pause-rollout",
        "resume-rollout",
        "read-holder",
    },
    "anyone": {
        "read-rollout",
    },
    "citizen": {
        "read-application",
        "read-holder",
        "read-progress",
    },
    "hand-over-officer": {
        "hand-over",
        "issue-holder-ticket",
        "issue-ticket",
        "draw-challenge",
        "list-work",
        "read-application",
        "read-holder",
        "read-progress",
    },
    "hotline": {
        "read-holder",
    },
    "operator": {
        "issue-ticket",
        "request-information",
        "submit-application",
        "supply-information",
        "withdraw-application",
        "draw-challenge",
        "list-work",
        "read-application",
        "read-holder",
        "read-progress",
    },
    "registrar": {
        "open-rollout",
        "pause-rollout",
        "register-office",
        "register-officer",
        "register-station",
        "resume-rollout",
    },
    "supervisor": {
        "approve-application",
        "reject-application",
        "request-information",
        "list-work",
        "read-application",
        "read-holder",
        "read-progress",
    },
}


def test_each_role_may_do_what_is_written_here_and_nothing_else() -> None:
    assert rights_of(build(Settings.model_construct()).routes) == RIGHTS
