"""`Personal[T]`: plaintext on its way from a decision to its seal, and nowhere else.

`decide` returns it inside events; the store seals it as the event is appended. It has no
representation in JSON: writing it anywhere else is an error, not a leak.
"""

from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from epassport_contracts.fields import FIELDS
from epassport_contracts.sealed import DataPurpose, Sealed

T = TypeVar("T")


class Personal(Generic[T]):
    """`value` of `subject`, to be sealed under the purpose of `field` (contract dictionary).

    required: without the person's key the append waits (KeyPending) or is refused (Erased).
    Where it is not, the event is appended all the same, with None in place of the value.

    Not a dataclass on purpose: serializers guess their way into dataclasses.
    """

    __slots__ = ("field", "required", "subject", "value")

    def __init__(self, subject: UUID, field: str, value: T, *, required: bool = True) -> None:
        if field not in FIELDS:
            raise LookupError(f"{field} is not in the contract dictionary")
        self.subject = subject
        self.field = field
        self.value = value
        self.required = required

    @property
    def purpose(self) -> DataPurpose:
        return FIELDS[self.field].purpose

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Personal) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash((self.subject, self.field))

    def __repr__(self) -> str:
        return f"Personal({self.field})"

    def _parts(self) -> tuple[UUID, str, T, bool]:
        return self.subject, self.field, self.value, self.required

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.is_instance_schema(cls)


Secret = Personal[T] | Sealed[T]


def sealed(value: Personal[T] | Sealed[T]) -> Sealed[T]:
    """What `evolve` keeps. Events are sealed before they are applied, so plaintext is a fault."""
    if isinstance(value, Personal):
        raise TypeError(f"{value!r} reached evolve unsealed")
    return value
