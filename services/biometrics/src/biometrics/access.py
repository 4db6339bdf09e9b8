"""Who may do what in biometrics: deny by default, one row for each operation."""

from epassport import Role
from epassport.access import AccessTable

CAPTURE = AccessTable(
    {
        "receive-samples": {Role.OPERATOR},
        "except-fingers": {Role.SUPERVISOR},
        "verify-holder": {Role.HAND_OVER_OFFICER},
        "confirm-face": {Role.HAND_OVER_OFFICER},
        "read-record": {
            Role.OPERATOR,
            Role.SUPERVISOR,
            Role.HAND_OVER_OFFICER,
            Role.ADMINISTRATOR,
        },
        "read-gallery": {Role.SUPERVISOR, Role.ADMINISTRATOR},
    }
)

ADJUDICATION = AccessTable(
    {
        "list-adjudications": {Role.ADJUDICATOR, Role.SUPERVISOR},
        "read-adjudication": {Role.ADJUDICATOR, Role.SUPERVISOR},
        "read-score-classes": {Role.ADJUDICATOR, Role.SUPERVISOR},
        "appeal-adjudication": {Role.SUPERVISOR},
        "decide-adjudication": {Role.ADJUDICATOR, Role.SUPERVISOR},
    }
)

PAGES = AccessTable(
    {
        "page-adjudications": {Role.ADJUDICATOR, Role.SUPERVISOR},
        "page-adjudication": {Role.ADJUDICATOR, Role.SUPERVISOR},
        "page-style": {Role.ADJUDICATOR, Role.SUPERVISOR},
        "page-script": {Role.ADJUDICATOR, Role.SUPERVISOR},
    }
)
