"""Numbers that a person may bring along, and whether they can be right.

A right check digit means that the number was not mistyped, nothing more. Nothing here
tells which number was checked.
"""

import re

_SNILS = re.compile(r"[0-9]{11}")
_INN = re.compile(r"[0-9]{12}")
# Series: two digits of the region and two digits or, before 2011, two letters, of which
# only those that look alike in Cyrillic and Latin are used; then six digits.
_DRIVING_LICENCE = re.compile(r"[0-9]{2}(?:[0-9]{2}|[АВЕКМНОРСТУХ]{2})[0-9]{6}")

_LAST_SNILS_WITHOUT_CHECK = 1_001_998
_INN_WEIGHTS_11 = (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
_INN_WEIGHTS_12 = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)


def is_snils(number: str) -> bool:
    """Pension account number: 9 digits and two check digits, without separators."""
    if not _SNILS.fullmatch(number):
        return False
    return int(number[:9]) <= _LAST_SNILS_WITHOUT_CHECK or number[9:] == snils_check(number[:9])


def snils_check(account: str) -> str:
    """Sum of the digits times 9 to 1, modulo 101, where 100 counts as 00."""
    total = sum(int(digit) * (9 - place) for place, digit in enumerate(account))
    return f"{total % 101 % 100:02d}"


def is_inn(number: str) -> bool:
    """Taxpayer number of a person: 10 digits and two check digits."""
    return bool(_INN.fullmatch(number)) and number[10:] == inn_check(number[:10])


def inn_check(account: str) -> str:
    """Two digits, each a weighted sum modulo 11, where 10 counts as 0."""
    first = _inn_digit(account, _INN_WEIGHTS_11)
    return first + _inn_digit(account + first, _INN_WEIGHTS_12)


def is_driving_licence(number: str) -> bool:
    """Series and number of a Russian driving licence: 10 characters, no check digit."""
    return bool(_DRIVING_LICENCE.fullmatch(number))


def _inn_digit(digits: str, weights: tuple[int, ...]) -> str:
    total = sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=True))
    return str(total % 11 % 10)
