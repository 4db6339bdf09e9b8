"""The machine-readable lines of the paper passport that an identity rests on.

Passports have them since 1 July 2011 (government decree 424 of 27 May 2011); older ones stay
valid without. Their check digits cover numbers and dates, so these are compared with what the
operator typed; names, which no digit covers, are the operator's to read.
"""

from datetime import date

from enrollment.application_commands import PassportLines, Reason
from epassport_contracts.fields import Identity
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.mrz import yymmdd
from epassport_credentials.paper_passport import PaperPassport, parse_paper_passport

LINES_SINCE = date(2011, 7, 1)


def lines_refused(identity: Identity, lines: PassportLines | None) -> Reason | None:
    """Why this passport is not believed as it was read; None where nothing speaks against it."""
    paper = identity.paper_passport
    if lines is None:
        has_lines = paper is not None and paper.issued_on >= LINES_SINCE
        return Reason.PASSPORT_LINES_MISSING if has_lines else None
    try:
        read = parse_paper_passport(lines)
    except InvalidCredential:
        return Reason.PASSPORT_LINES_WRONG
    return None if _agree(read, identity) else Reason.PASSPORT_LINES_DIFFER


def _agree(read: PaperPassport, identity: Identity) -> bool:
    paper = identity.paper_passport
    return paper is not None and (
        (read.series, read.number, read.birth_date, read.sex, read.issued_on, read.division_code)
        == (
            paper.series,
            paper.number,
            yymmdd(identity.birth_date),
            identity.sex.value,
            yymmdd(paper.issued_on),
            paper.division_code.replace("-", ""),
        )
    )
