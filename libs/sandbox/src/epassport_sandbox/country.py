"""A small country for the sandbox: offices, officers with keys, open regions, blanks, a shop.

Set up once per system through the same commands a real registrar would send.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from epassport.actor import Role
from epassport.signing import LocalSigner, Signer, new_private_key, public_key_octets
from epassport_contracts import ServiceName
from epassport_sandbox.client import Client
from epassport_sandbox.people import DemoPerson
from epassport_sandbox.places import PILOT_REGIONS
from epassport_sandbox.system import System

STATION = "station-1"
SHOP = "shop-kvartal"
BANK = "bank-sever"
AGE_CHECK = "age-check"
IDENTIFICATION = "identification"
LOT_SIZE = 1_000
BLANKS = 5_000

REGISTRAR = DemoPerson("registrar-1", "Борис Чернышёв", (Role.REGISTRAR,))
ADMINISTRATOR = DemoPerson("administrator-1", "Виктор Руднев", (Role.ADMINISTRATOR,))
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


@dataclass(frozen=True)
class Office:
    """One office with its people; the operator and the officers sign with their own keys."""

    office_id: str
    region: str
    operator: DemoPerson
    supervisor: DemoPerson
    counter: tuple[DemoPerson, DemoPerson]
    keys: Mapping[str, Signer]

    def signature(self, person: DemoPerson, octets: bytes) -> str:
        return base64.b64encode(self.keys[person.subject].sign(octets)).decode()


@dataclass(frozen=True)
class Country:
    offices: Mapping[str, Office]

    def office_for(self, region: str) -> Office:
        """Of the region, or the first: somebody from elsewhere may stand at any desk."""
        return self.offices.get(region) or next(iter(self.offices.values()))


async def set_up_country(
    system: System, client: Client, *, blanks: int, quota: int = 100_000
) -> Country:
    """Register everything, open the pilot regions and put blanks into stock; what concerns a
    service that does not run is left out."""
    today = system.clock.now()
    offices = {region: _office(region, n) for n, region in enumerate(PILOT_REGIONS, start=1)}
    for office in offices.values():
        await _register_office(client, system.issuer.url, office, today)
        await client.command(
            ServiceName.ENROLLMENT,
            f"/rollouts/{office.region}/open",
            {"opens_on": today.date().isoformat(), "quota": quota},
            REGISTRAR,
        )
    if ServiceName.CARD_PERSONALIZATION in system.urls:
        await _stock_blanks(client, blanks)
    if ServiceName.VERIFICATION in system.urls:
        await _register_relying_parties(client)
    return Country(offices)


async def _stock_blanks(client: Client, blanks: int) -> None:
    for n, count in enumerate(_lots(blanks), start=1):
        await client.command(
            ServiceName.CARD_PERSONALIZATION,
            "/blank-lots",
            {"lot_id": f"lot-{n}", "count": count},
            CARD_OPERATOR,
        )


async def _register_relying_parties(client: Client) -> None:
    for party, name, purpose, claims in (
        (SHOP, "Магазин «Квартал»", AGE_CHECK, ["over-18"]),
        (BANK, "Банк «Север»", IDENTIFICATION, ["surname", "given-name", "birth-date"]),
    ):
        await client.command(
            ServiceName.VERIFICATION,
            "/relying-parties",
            {"relying_party_id": party, "name": name},
            REGISTRAR,
        )
        await client.command(
            ServiceName.VERIFICATION,
            f"/relying-parties/{party}/purposes",
            {"purpose": purpose, "claims": claims, "basis": "sandbox"},
            REGISTRAR,
        )


def _lots(blanks: int) -> list[int]:
    whole, rest = divmod(blanks, LOT_SIZE)
    return [LOT_SIZE] * whole + ([rest] if rest else [])


def _office(region: str, n: int) -> Office:
    def person(role: Role, suffix: str = "") -> DemoPerson:
        office_id = f"office-{n}"
        return DemoPerson(f"{role}-{n}{suffix}", f"{role} {n}{suffix}", (role,), region, office_id)

    operator = person(Role.OPERATOR)
    counter = (person(Role.HAND_OVER_OFFICER), person(Role.HAND_OVER_OFFICER, "-second"))
    keys = {who.subject: LocalSigner(new_private_key()) for who in (operator, *counter)}
    return Office(f"office-{n}", region, operator, person(Role.SUPERVISOR), counter, keys)


async def _register_office(client: Client, issuer: str, office: Office, today: datetime) -> None:
    """Open around the clock: a demo may run at any hour."""
    day = today.date().isoformat()
    await client.command(
        ServiceName.ENROLLMENT,
        "/offices",
        {
            "office_id": office.office_id,
            "region": office.region,
            "name": f"МФЦ {office.office_id}",
            "opens": "00:00",
            "closes": "24:00",
            "weekdays": list(range(7)),
            "from_day": day,
        },
        REGISTRAR,
    )
    await client.command(
        ServiceName.ENROLLMENT,
        f"/offices/{office.office_id}/stations",
        {"station_id": STATION, "from_day": day},
        REGISTRAR,
    )
    for subject, signer in office.keys.items():
        await client.command(
            ServiceName.ENROLLMENT,
            f"/offices/{office.office_id}/officers",
            {
                "issuer": issuer,
                "subject": subject,
                "public_key": base64.b64encode(public_key_octets(signer.public_key)).decode(),
                "from_day": day,
            },
            REGISTRAR,
        )
