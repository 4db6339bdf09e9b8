"""The contract dictionary: every sealed field, its model and the purpose that opens it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, TypeAdapter

from epassport_contracts.sealed import DataPurpose

Line = Annotated[str, StringConstraints(min_length=1, max_length=120, strip_whitespace=True)]


class Sex(StrEnum):
    """ICAO Doc 9303-3 §4.1: M, F, and < for unspecified (not issued here)."""

    MALE = "M"
    FEMALE = "F"


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PaperPassport(_Plain):
    """The internal passport on paper, which stays valid beside the electronic one."""

    series: Annotated[str, StringConstraints(pattern=r"^\d{4}$")]
    number: Annotated[str, StringConstraints(pattern=r"^\d{6}$")]
    issued_on: date
    authority: Line
    division_code: Annotated[str, StringConstraints(pattern=r"^\d{3}-\d{3}$")]


class BirthCertificate(_Plain):
    """What identity rests on at 14, before the first paper passport."""

    series: Line
    number: Annotated[str, StringConstraints(pattern=r"^\d{6}$")]
    issued_on: date
    authority: Line


class Identity(_Plain):
    """The first spread: who the holder is."""

    surname: Line
    given_name: Line
    patronymic: Line | None = None
    sex: Sex
    birth_date: date
    birth_place: Line
    paper_passport: PaperPassport | None = None
    birth_certificate: BirthCertificate | None = None


class Wishes(_Plain):
    """What the holder wants on the chip beyond identity; each value has its own consent."""

    snils: Annotated[str, StringConstraints(pattern=r"^\d{11}$")] | None = None
    inn: Annotated[str, StringConstraints(pattern=r"^\d{12}$")] | None = None
    driving_licence: Annotated[str, StringConstraints(pattern=r"^\d{10}$")] | None = None


class Representative(_Plain):
    """Who applies together with a person under 18."""

    surname: Line
    given_name: Line
    patronymic: Line | None = None
    paper_passport: PaperPassport


class Asked(_Plain):
    """Who asked about a holder, and what for: for nobody but the holder.

    relying_party: its registered id; name: None where it is not registered
    """

    relying_party: str
    name: str | None
    purpose: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class FieldSpec:
    """purpose: the data key; model: what the opened JSON is; image fields are raw bytes."""

    purpose: DataPurpose
    model: Any


FIELDS: Mapping[str, FieldSpec] = {
    "identity": FieldSpec(DataPurpose.IDENTITY, Identity),
    "wishes": FieldSpec(DataPurpose.IDENTITY, Wishes),
    "representative": FieldSpec(DataPurpose.IDENTITY, Representative),
    "document-number": FieldSpec(DataPurpose.IDENTITY, str),
    "portrait": FieldSpec(DataPurpose.PORTRAIT, bytes),
    "sample": FieldSpec(DataPurpose.BIOMETRICS, bytes),
    "template": FieldSpec(DataPurpose.BIOMETRICS, bytes),
    "chip-image": FieldSpec(DataPurpose.CHIP, bytes),
    "chip-file": FieldSpec(DataPurpose.CHIP, bytes),
    "print": FieldSpec(DataPurpose.CHIP, bytes),
    "asked": FieldSpec(DataPurpose.ACCESS, Asked),
}


def encode_field(field: str, value: object) -> bytes:
    """Octets to be sealed: JSON of the field's model, or the bytes themselves."""
    model = FIELDS[field].model
    if model is bytes:
        if not isinstance(value, bytes):
            raise TypeError(f"field {field} holds bytes")
        return value
    adapter = _adapter(field)
    return adapter.dump_json(adapter.validate_python(value, strict=True))


def decode_field(field: str, octets: bytes) -> Any:
    """The inverse of `encode_field`."""
    model = FIELDS[field].model
    return octets if model is bytes else _adapter(field).validate_json(octets)


@cache
def _adapter(field: str) -> TypeAdapter[Any]:
    """Building one costs more than sealing with it."""
    return TypeAdapter(FIELDS[field].model)
