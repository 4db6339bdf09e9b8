"""Who may do what, read from the other side: what a person of each role may do here.

Written down a second time on purpose. A right that is given or taken away shows in this file.
"""

from card_personalization.service import build
from card_personalization.settings import CardSettings
from epassport.testing import rights_of

RIGHTS = {
    "card-inspector": {
        "accept-quality",
        "reject-quality",
        "list-queue",
        "read-batch",
        "read-card",
        "read-card-codes",
        "read-card-face",
        "read-card-files",
        "read-lot",
    },
    "card-operator": {
        "close-batch",
        "dispatch-batch",
        "open-batch",
        "pack-card",
        "receive-blanks",
        "report-card-lost",
        "list-queue",
        "read-batch",
        "read-card",
        "read-lot",
    },
    "courier": {
        "dispatch-batch",
        "report-card-lost",
        "read-batch",
        "read-card",
    },
    "hand-over-officer": {
        "receive-card",
        "return-card",
        "read-card",
    },
    "supervisor": {
        "read-card",
    },
}


def test_each_role_may_do_what_is_written_here_and_nothing_else() -> None:
    assert rights_of(build(CardSettings.model_construct()).routes) == RIGHTS
