"""The demo persons: at least one for every role that a token may carry.

Two of a kind stand where four eyes are asked for: operators, adjudicators, hand-over officers.
"""

from dataclasses import dataclass
from uuid import UUID

from epassport.actor import Role


@dataclass(frozen=True)
class DemoPerson:
    """What a token says of somebody; `subject` is the name under which one signs in."""

    subject: str
    name: str
    roles: tuple[Role, ...]
    region: str | None = None
    office: str | None = None
    holder_id: UUID | None = None  # a citizen's own profile


MOSCOW = ("RU-MOW", "office-mow-1")
KAZAN = ("RU-TA", "office-ta-1")

DEMO_PEOPLE: tuple[DemoPerson, ...] = (
    DemoPerson("operator-1", "Анна Кравцова", (Role.OPERATOR,), *MOSCOW),
    DemoPerson("operator-2", "Павел Еремеев", (Role.OPERATOR,), *MOSCOW),
    DemoPerson("operator-3", "Алсу Гарипова", (Role.OPERATOR,), *KAZAN),
    DemoPerson("supervisor-1", "Марина Соловьёва", (Role.SUPERVISOR,), *MOSCOW),
    DemoPerson("supervisor-2", "Ренат Валеев", (Role.SUPERVISOR,), *KAZAN),
    DemoPerson("adjudicator-1", "Олег Тихомиров", (Role.ADJUDICATOR,)),
    DemoPerson("adjudicator-2", "Ирина Белых", (Role.ADJUDICATOR,)),
    DemoPerson("hand-over-officer-1", "Сергей Лаптев", (Role.HAND_OVER_OFFICER,), *MOSCOW),
    DemoPerson("hand-over-officer-2", "Дарья Котова", (Role.HAND_OVER_OFFICER,), *MOSCOW),
    DemoPerson("hand-over-officer-3", "Тимур Сафиуллин", (Role.HAND_OVER_OFFICER,), *KAZAN),
    DemoPerson("card-operator-1", "Никита Зуев", (Role.CARD_OPERATOR,)),
    DemoPerson("card-inspector-1", "Вера Ланская", (Role.CARD_INSPECTOR,)),
    DemoPerson("courier-1", "Глеб Широков", (Role.COURIER,)),
    DemoPerson("citizen-1", "Елена Ковалёва", (Role.CITIZEN,)),
    DemoPerson("hotline-1", "Юлия Маркова", (Role.HOTLINE,)),
    DemoPerson("registrar-1", "Борис Чернышёв", (Role.REGISTRAR,)),
    DemoPerson("verifier-1", "Кирилл Журавлёв", (Role.VERIFIER,)),
    DemoPerson("agency-1", "Служба учёта", (Role.AGENCY,)),
    DemoPerson("administrator-1", "Виктор Руднев", (Role.ADMINISTRATOR,)),
    DemoPerson("platform-operator-1", "Лев Данилов", (Role.PLATFORM_OPERATOR,)),
)
