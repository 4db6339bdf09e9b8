"""Pytest plugin for other teams: a whole epassport, and passports in it with one call each.

Installing `epassport-sandbox` is enough (entry point `pytest11`); nothing is started, and
little is imported, until a test asks for a fixture:

    async def test_our_shop_serves_an_adult(epassport, active_passport):
        passport = await active_passport()
        code = passport.phone.code()
        ...  # show `code` or `passport.small_code` to your own scanner

- `epassport`: the running `Session`, one per test session: five services on a real PostgreSQL
  and a real Kafka (embedded, or as named by EPASSPORT_TEST_POSTGRES and EPASSPORT_TEST_KAFKA).
- `active_passport`, `revoked_passport`: await a new person's `Passport`.
- `duplicate_person`: await a `DuplicatePerson`, who has a live application and was refused
  another one under other papers.
- `newcomers`: adults who have not applied yet, for roads of your own.

Fixtures and tests share one event loop: set `asyncio_mode = auto` and
`asyncio_default_test_loop_scope = session` (and the same for fixtures) in pytest's settings.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from epassport_sandbox.citizens import Citizen
    from epassport_sandbox.road import Phone
    from epassport_sandbox.running import Session
    from epassport_sandbox.stack import Stack

pytest_plugins = ["epassport_sandbox.pytest_stack"]

SEED = 14
PEOPLE = 24  # with fingers of their own; the first run makes them, then they are cached
CODES = 3
FULL_AGE = 18


@dataclass(frozen=True)
class PassportPhone:
    """The holder's phone with attestations for age checks, each good for one check online.

    Verification knows their keys: a shop has asked once.
    """

    phone: "Phone"
    now: Callable[[], datetime]
    _shown: Iterator[int] = field(repr=False)

    def code(self) -> str:
        """The next code on the display. IndexError when all attestations have been shown."""
        return self.phone.code(next(self._shown), self.now())


@dataclass(frozen=True)
class Passport:
    """One document that was handed over. small_code: text of the small QR code on the card."""

    holder_id: UUID
    document_ref: UUID
    document_number: str
    small_code: str
    phone: PassportPhone


@dataclass(frozen=True)
class DuplicatePerson:
    """first_application_id is live; refused_application_id came under other papers, and is in
    `refused_state` since its rejection."""

    holder_id: UUID
    first_application_id: UUID
    refused_application_id: UUID
    refused_state: str


NewPassport = Callable[[], Awaitable[Passport]]
NewDuplicate = Callable[[], Awaitable[DuplicatePerson]]

# Imports of the sandbox stand in the fixtures: this module is loaded by every test run of
# whoever has the package installed, also by those that need none of it.


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def epassport(
    stack: "Stack", tmp_path_factory: pytest.TempPathFactory
) -> "AsyncIterator[Session]":
    """Everything started once, offices and officers registered; stopped at the end."""
    from epassport_sandbox.running import open_session

    folder = tmp_path_factory.mktemp("epassport")
    async with open_session(folder, fingers=PEOPLE, stack=stack) as session:
        yield session


@pytest.fixture(scope="session")
def newcomers(epassport: "Session") -> "Iterator[Citizen]":
    """Adults with a paper passport, each once."""
    from epassport_sandbox.citizens import citizens

    today = epassport.system.clock.now().date()
    return (
        citizen
        for citizen in citizens(SEED, 10 * PEOPLE, today)
        if citizen.age(today) >= FULL_AGE and citizen.paper_passport is not None
    )


@pytest.fixture
def active_passport(epassport: "Session", newcomers: "Iterator[Citizen]") -> NewPassport:
    return lambda: _issue(epassport, next(newcomers))


@pytest.fixture
def revoked_passport(epassport: "Session", newcomers: "Iterator[Citizen]") -> NewPassport:
    async def revoked() -> Passport:
        passport = await _issue(epassport, next(newcomers))
        await _revoke(epassport, passport.document_ref)
        return passport

    return revoked


@pytest.fixture
def duplicate_person(epassport: "Session", newcomers: "Iterator[Citizen]") -> NewDuplicate:
    return lambda: _apply_twice(epassport, next(newcomers), next(newcomers))


async def _issue(session: "Session", citizen: "Citizen") -> Passport:
    from epassport_sandbox.people import CARD_INSPECTOR
    from epassport_sandbox.road import CARDS, PROFILE

    walk = await session.road.whole(citizen)
    profile = await session.client.query(PROFILE, f"/profiles/{walk.holder_id}", walk.person)
    codes = await session.client.query(CARDS, f"/cards/{walk.ref}/codes", CARD_INSPECTOR)
    phone = await session.road.bind_phone(walk, n=CODES + 1)
    await session.road.first_age_check(phone, CODES)
    phone.attestations.pop()
    return Passport(
        holder_id=walk.holder_id,
        document_ref=walk.ref,
        document_number=profile["documents"][-1]["document_number"],
        small_code=codes["small"],
        phone=PassportPhone(phone, session.system.clock.now, count()),
    )


async def _revoke(session: "Session", document_ref: UUID) -> None:
    """By order; returns once every verifier online is told so."""
    from epassport_sandbox.client import until
    from epassport_sandbox.people import ADMINISTRATOR
    from epassport_sandbox.road import VERIFICATION

    path = f"/documents/{document_ref}"
    await session.client.command(
        VERIFICATION, f"{path}/revoke", {"reason": "ordered"}, ADMINISTRATOR
    )

    async def standing() -> Any:
        return await session.client.query(VERIFICATION, path, ADMINISTRATOR)

    await until(standing, lambda seen: seen["status"] == "revoked", what=f"{path} to be revoked")


async def _apply_twice(
    session: "Session", citizen: "Citizen", papers: "Citizen"
) -> DuplicatePerson:
    """One body, two sets of papers; two adjudicators find it out."""
    road = session.road
    first = await road.apply(citizen)
    await road.enrol(first)
    await road.reaches(first, "ready-for-decision")
    other = replace(papers, finger_seed=citizen.finger_seed, portrait_seed=citizen.portrait_seed)
    again = await road.apply(other)
    await road.enrol(again, impression=1)
    await road.adjudicate("same-person")
    await road.reaches(again, "duplicate-confirmed")
    await road.reject(again, "duplicate-person")
    refused = await road.reaches(again, "rejected")
    return DuplicatePerson(
        first.holder_id, first.application_id, again.application_id, refused["state"]
    )
