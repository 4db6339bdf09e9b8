"""Cyrillic capitals as letters of a machine-readable zone.

ICAO_RUSSIAN (Doc 9303-3 §6, rows used by Russian) loses letters; PN (order 773 of the
interior ministry, 2020, annex 24) is one to one and therefore reversible, but puts
digits into names, which strict Doc 9303 readers reject.
"""

import unicodedata

from epassport_credentials.errors import InvalidCredential, Reason

_LETTERS = "АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ"
_ICAO = (
    *("A", "B", "V", "G", "D", "E", "E", "ZH", "Z", "I", "I", "K", "L", "M", "N", "O", "P"),
    *("R", "S", "T", "U", "F", "KH", "TS", "CH", "SH", "SHCH", "IE", "Y", "", "E", "IU", "IA"),
)

ICAO_RUSSIAN = dict(zip(_LETTERS, _ICAO, strict=True))
PN = dict(zip(_LETTERS, "ABVGDE2JZIQKLMNOPRSTUFHC34WXY9678", strict=True))

_ICAO_AND_LATIN = ICAO_RUSSIAN | {letter: letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_PN_REVERSED = {image: letter for letter, image in PN.items()}
_SEPARATORS = " -'’"


def to_icao(name: str) -> str:
    """As names stand in an MRZ: A to Z and <. Latin letters stay. Raises MALFORMED."""
    return _map(name, _ICAO_AND_LATIN)


def to_pn(name: str) -> str:
    """As names stand in the internal passport's lines. Raises MALFORMED."""
    return _map(name, PN)


def from_pn(image: str) -> str:
    """The Cyrillic name; < becomes a space. Raises MALFORMED."""
    try:
        return "".join(" " if sign == "<" else _PN_REVERSED[sign] for sign in image)
    except KeyError as error:
        raise InvalidCredential(Reason.MALFORMED, "a sign without a letter") from error


def _map(name: str, table: dict[str, str]) -> str:
    upper = unicodedata.normalize("NFC", name).upper()
    try:
        return "".join("<" if sign in _SEPARATORS else table[sign] for sign in upper)
    except KeyError as error:
        raise InvalidCredential(Reason.MALFORMED, "a letter without an image") from error
