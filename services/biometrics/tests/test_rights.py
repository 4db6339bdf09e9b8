"""Who may do what, read from the other side: what a person of each role may do here.

Written down a second time on purpose. A right that is given or taken away shows in this file.
"""

from biometrics.service import build
from biometrics.settings import BiometricsSettings
from epassport.testing import rights_of

RIGHTS = {
    "adjudicator": {
        "decide-adjudication",
        "list-adjudications",
        "page-adjudication",
        "page-adjudications",
        "page-script",
        "page-style",
        "read-adjudication",
        "read-score-classes",
    },
    "administrator": {
        "read-gallery",
        "read-record",
    },
    "hand-over-officer": {
        "confirm-face",
        "verify-holder",
        "read-record",
    },
    "operator": {
        "receive-samples",
        "read-record",
    },
    "supervisor": {
        "appeal-adjudication",
        "decide-adjudication",
        "except-fingers",
        "list-adjudications",
        "page-adjudication",
        "page-adjudications",
        "page-script",
        "page-style",
        "read-adjudication",
        "read-gallery",
        "read-record",
        "read-score-classes",
    },
}


def test_each_role_may_do_what_is_written_here_and_nothing_else() -> None:
    assert rights_of(build(BiometricsSettings.model_construct()).routes) == RIGHTS
