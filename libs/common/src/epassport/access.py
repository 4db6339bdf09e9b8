"""Which role may do what: one table per service, and what stands in no row is denied."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from epassport.actor import Actor, Role
from epassport.errors import Unsafe


class Anyone(Enum):
    """Asked without a token: signed lists and keys that are published anyway."""

    ANYONE = "anyone"


ANYONE = Anyone.ANYONE

Allowed = frozenset[Role] | Anyone


class AccessTable:
    """operation -> roles. One role of the row is enough."""

    def __init__(self, rows: Mapping[str, Collection[Role] | Anyone]) -> None:
        self._rows: dict[str, Allowed] = {}
        for operation, roles in rows.items():
            self._rows[operation] = roles if isinstance(roles, Anyone) else frozenset(roles)
            if not self._rows[operation]:
                raise Unsafe(f"access table: nobody may {operation}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __contains__(self, operation: object) -> bool:
        return operation in self._rows

    def allowed(self, operation: str) -> Allowed:
        return self._rows[operation]

    def allows(self, operation: str, actor: Actor) -> bool:
        allowed = self._rows.get(operation, frozenset[Role]())
        return isinstance(allowed, Anyone) or not allowed.isdisjoint(actor.roles)


@dataclass(frozen=True)
class AccessRow:
    """One route as the table sees it, for tests over roles x operations."""

    operation: str
    method: str
    path: str
    allowed: Allowed


def check_complete(tables: Iterable[AccessTable], operations: Collection[str]) -> None:
    """Raises Unsafe: a row without a route is a rule that nothing keeps."""
    for table in tables:
        if unused := sorted(set(table) - set(operations)):
            raise Unsafe(f"access table: no route for {', '.join(unused)}")
