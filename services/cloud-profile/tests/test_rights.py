"""Who may do what, read from the other side: what a person of each role may do here.

Written down a second time on purpose. A right that is given or taken away shows in this file.
"""

from cloud_profile.service import build
from epassport.settings import Settings
from epassport.testing import rights_of

RIGHTS = {
    "citizen": {
        "bind-device",
        "close-profile",
        "confirm-loss",
        "issue-attestations",
        "report-loss",
        "unbind-device",
        "read-access-log",
        "read-portrait",
        "read-profile",
    },
    "hotline": {
        "report-loss",
        "unbind-device",
    },
    "operator": {
        "confirm-loss",
        "report-loss",
        "unbind-device",
    },
    "supervisor": {
        "confirm-loss",
    },
}


def test_each_role_may_do_what_is_written_here_and_nothing_else() -> None:
    assert rights_of(build(Settings.model_construct()).routes) == RIGHTS
