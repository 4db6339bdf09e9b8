"""A small country for the sandbox: offices, officers with keys, open regions, blanks, a shop.

Set up once per system through the same commands a real registrar would send.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from epassport.signing import LocalSigner, Signer, new_private_key, public_key_octets
from epassport_contracts import ServiceName
from epassport_sandbox.client import Client
from epassport_sandbox.people import (
    BANK,
    CARD_OPERATOR,
    REGISTRAR,
    SHOP,
    STAFF,
    DemoPerson,
    Staff,
)
from epassport_sandbox.system import System

STATION = "station-1"
AGE_CHECK = "age-check"
IDENTIFICATION = "identification"
LOT_SIZE = 1_000
BLANKS = 5_000


@dataclass(frozen=True)
class Office(Staff):
    """One office with its people; the operator and the officers sign with their own keys."""

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
    offices = {staff.region: _office(staff) for staff in STAFF}
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


def _office(staff: Staff) -> Office:
    keys = {who.subject: LocalSigner(new_private_key()) for who in (staff.operator, *staff.counter)}
    return Office(
        staff.office_id, staff.region, staff.operator, staff.supervisor, staff.counter, keys
    )


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
