"""The demo persons: at least one for every role that a token may carry, but the citizens.

Those of an office are numbered as it is. Two of a kind stand where four eyes are asked for:
adjudicators, hand-over officers.
"""

from dataclasses import dataclass
from uuid import UUID

from epassport.actor import Role
from epassport_sandbox.places import PILOT_REGIONS

SHOP = "shop-kvartal"
BANK = "bank-sever"


@dataclass(frozen=True)
class DemoPerson:
    """What a token says of somebody; `subject` is the name under which one signs in."""

    subject: str
    name: str
    roles: tuple[Role, ...]
    region: str | None = None
    office: str | None = None
    holder_id: UUID | None = None  # a citizen's own profile


@dataclass(frozen=True)
class Staff:
    """Who works at one office."""

    office_id: str
    region: str
    operator: DemoPerson
    supervisor: DemoPerson
    counter: tuple[DemoPerson, DemoPerson]


def _staff(n: int, region: str) -> Staff:
    office_id = f"office-{n}"

    def person(role: Role, suffix: str = "") -> DemoPerson:
        return DemoPerson(f"{role}-{n}{suffix}", f"{role} {n}{suffix}", (role,), region, office_id)

    counter = (person(Role.HAND_OVER_OFFICER), person(Role.HAND_OVER_OFFICER, "-second"))
    return Staff(office_id, region, person(Role.OPERATOR), person(Role.SUPERVISOR), counter)


STAFF = tuple(_staff(n, region) for n, region in enumerate(PILOT_REGIONS, start=1))

REGISTRAR = DemoPerson("registrar-1", "Борис Чернышёв", (Role.REGISTRAR,))
ADMINISTRATOR = DemoPerson("administrator-1", "Виктор Руднев", (Role.ADMINISTRATOR,))
PLATFORM_OPERATOR = DemoPerson("platform-operator-1", "Лев Данилов", (Role.PLATFORM_OPERATOR,))
CARD_OPERATOR = DemoPerson("card-operator-1", "Никита Зуев", (Role.CARD_OPERATOR,))
CARD_INSPECTOR = DemoPerson("card-inspector-1", "Вера Ланская", (Role.CARD_INSPECTOR,))
COURIER = DemoPerson("courier-1", "Глеб Широков", (Role.COURIER,))
ADJUDICATORS = (
    DemoPerson("adjudicator-1", "Олег Тихомиров", (Role.ADJUDICATOR,)),
    DemoPerson("adjudicator-2", "Ирина Белых", (Role.ADJUDICATOR,)),
)
AGENCY = DemoPerson("agency-1", "Служба учёта", (Role.AGENCY,))
HOTLINE = DemoPerson("hotline-1", "Юлия Маркова", (Role.HOTLINE,))
SHOP_CLERK = DemoPerson("verifier-1", "Кирилл Журавлёв", (Role.VERIFIER,), office=SHOP)
BANK_CLERK = DemoPerson("verifier-2", "Анна Белова", (Role.VERIFIER,), office=BANK)

DEMO_PEOPLE: tuple[DemoPerson, ...] = (
    *(who for staff in STAFF for who in (staff.operator, staff.supervisor, *staff.counter)),
    *ADJUDICATORS,
    CARD_OPERATOR,
    CARD_INSPECTOR,
    COURIER,
    REGISTRAR,
    ADMINISTRATOR,
    PLATFORM_OPERATOR,
    HOTLINE,
    AGENCY,
    SHOP_CLERK,
    BANK_CLERK,
)
"""Whoever the country registers; a citizen signs in once there is a profile to see."""
