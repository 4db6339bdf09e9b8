"""Office: where and when applications are taken, at which stations, by which officers.

Every registration is dated: it holds from its day on, and a later one replaces it from its
own day on, so what was right on the day of an application stays provable. An officer's public
key stands here because the officer's signature is what says that a person was present.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TypeVar, get_args

from epassport import Actor, Aggregate, Refused
from epassport.signing import public_key_of
from epassport_contracts.sealed import Base64Bytes


class Reason(StrEnum):
    NOT_REGISTERED = "office-not-registered"
    STATION_NOT_REGISTERED = "office-station-not-registered"
    OFFICER_NOT_REGISTERED = "office-officer-not-registered"
    CLOSED = "office-closed"
    HOURS_IMPOSSIBLE = "office-hours-impossible"
    KEY_UNUSABLE = "office-officer-key-unusable"


@dataclass(frozen=True)
class OfficerId:
    """Who an officer is: issuer and subject together, as in every token."""

    issuer: str
    subject: str

    @classmethod
    def of(cls, actor: Actor) -> "OfficerId":
        return cls(actor.issuer, actor.subject)


@dataclass(frozen=True)
class WorkingTime:
    """Local time of the office: minutes since midnight (1440 is its end), Monday is 0."""

    opens_minute: int
    closes_minute: int
    weekdays: tuple[int, ...]
    utc_offset_minutes: int

    def holds(self, local: datetime) -> bool:
        minute = local.hour * 60 + local.minute
        open_now = self.opens_minute <= minute < self.closes_minute
        return open_now and local.weekday() in self.weekdays


@dataclass(frozen=True)
class RegisterOffice:
    at: datetime
    region: str
    name: str
    working_time: WorkingTime
    from_day: date


@dataclass(frozen=True)
class RegisterStation:
    at: datetime
    station: str
    from_day: date


@dataclass(frozen=True)
class RegisterOfficer:
    """public_key: SubjectPublicKeyInfo in DER, P-256."""

    at: datetime
    officer: OfficerId
    public_key: bytes
    from_day: date


@dataclass(frozen=True)
class OfficeRegistered:
    at: datetime
    region: str
    name: str
    working_time: WorkingTime
    from_day: date


@dataclass(frozen=True)
class StationRegistered:
    at: datetime
    station: str
    from_day: date


@dataclass(frozen=True)
class OfficerRegistered:
    at: datetime
    officer: OfficerId
    public_key: Base64Bytes
    from_day: date


@dataclass(frozen=True)
class Office:
    """Registrations in the order they were made; empty for an office nobody registered."""

    registrations: tuple[OfficeRegistered, ...] = ()
    stations: Mapping[str, tuple[date, ...]] = field(default_factory=dict)
    officers: Mapping[OfficerId, tuple[OfficerRegistered, ...]] = field(default_factory=dict)

    def day(self, at: datetime) -> date:
        """The day in the office's own time; UTC where none is registered."""
        return self._local(at).date()

    def refuses(self, officer: OfficerId, station: str, at: datetime) -> Reason | None:
        """Why this officer cannot work at this station now; None where all is registered."""
        local = self._local(at)
        day = local.date()
        office = _as_of(self.registrations, day)
        if office is None:
            return Reason.NOT_REGISTERED
        if not any(from_day <= day for from_day in self.stations.get(station, ())):
            return Reason.STATION_NOT_REGISTERED
        if self.key_of(officer, day) is None:
            return Reason.OFFICER_NOT_REGISTERED
        return None if office.working_time.holds(local) else Reason.CLOSED

    def key_of(self, officer: OfficerId, day: date) -> bytes | None:
        """The officer's public key on that day."""
        registered = _as_of(self.officers.get(officer, ()), day)
        return None if registered is None else registered.public_key

    def _local(self, at: datetime) -> datetime:
        if not self.registrations:
            return at
        return at + timedelta(minutes=self.registrations[-1].working_time.utc_offset_minutes)


Command = RegisterOffice | RegisterStation | RegisterOfficer
Event = OfficeRegistered | StationRegistered | OfficerRegistered

Dated = TypeVar("Dated", OfficeRegistered, OfficerRegistered)

initial = Office()


def decide(command: Command, office: Office) -> list[Event] | Refused:
    match command:
        case RegisterOffice(at, region, name, time, from_day):
            if not (0 <= time.opens_minute < time.closes_minute <= 24 * 60 and time.weekdays):
                return Refused(Reason.HOURS_IMPOSSIBLE)
            known = _as_of(office.registrations, from_day)
            wanted = OfficeRegistered(at, region, name, time, from_day)
            return [] if known and replace(wanted, at=known.at) == known else [wanted]
        case RegisterStation(at, station, from_day):
            if not office.registrations:
                return Refused(Reason.NOT_REGISTERED)
            known_days = office.stations.get(station, ())
            return [] if from_day in known_days else [StationRegistered(at, station, from_day)]
        case RegisterOfficer():
            return _register_officer(command, office)


def _register_officer(command: RegisterOfficer, office: Office) -> list[Event] | Refused:
    if not office.registrations:
        return Refused(Reason.NOT_REGISTERED)
    try:
        public_key_of(command.public_key)
    except ValueError:
        return Refused(Reason.KEY_UNUSABLE)
    wanted = OfficerRegistered(command.at, command.officer, command.public_key, command.from_day)
    known = _as_of(office.officers.get(command.officer, ()), command.from_day)
    return [] if known and replace(wanted, at=known.at) == known else [wanted]


def evolve(office: Office, event: Event) -> Office:
    match event:
        case OfficeRegistered():
            return replace(office, registrations=(*office.registrations, event))
        case StationRegistered(_, station, from_day):
            days = (*office.stations.get(station, ()), from_day)
            return replace(office, stations={**office.stations, station: days})
        case OfficerRegistered(_, officer):
            keys = (*office.officers.get(officer, ()), event)
            return replace(office, officers={**office.officers, officer: keys})


def _as_of(registrations: Sequence[Dated], day: date) -> Dated | None:
    """The latest that holds on this day; of two from the same day, the one made last."""
    held = [(item.from_day, place) for place, item in enumerate(registrations)
            if item.from_day <= day]  # fmt: skip
    return registrations[max(held)[1]] if held else None


aggregate = Aggregate("office", initial, decide, evolve, events=get_args(Event))
stream = aggregate.stream
