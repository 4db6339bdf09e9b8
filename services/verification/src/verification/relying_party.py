"""RelyingParty: an organisation that may check documents, and what for.

A purpose is registered with its claims and its legal basis, once; another set of claims is
another purpose. Nobody is told a claim that the purpose does not name.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import get_args

from epassport import Aggregate, Refused


class Reason(StrEnum):
    NOT_REGISTERED = "relying-party-not-registered"
    REGISTERED_OTHERWISE = "relying-party-registered-otherwise"
    PURPOSE_REGISTERED_OTHERWISE = "purpose-registered-otherwise"
    PURPOSE_NOT_REGISTERED = "purpose-not-registered"
    OVER_ASKING = "presentation-over-asking"


class ClaimName(StrEnum):
    """Everything that anybody can be told about a document and its holder."""

    OVER_18 = "over-18"
    DOCUMENT_VALID = "document-valid"
    SURNAME = "surname"
    GIVEN_NAME = "given-name"
    PATRONYMIC = "patronymic"
    BIRTH_DATE = "birth-date"
    SEX = "sex"
    DOCUMENT_NUMBER = "document-number"
    PORTRAIT = "portrait"
    NATIONALITY = "nationality"


@dataclass(frozen=True)
class RegisterRelyingParty:
    at: datetime
    name: str


@dataclass(frozen=True)
class RegisterPurpose:
    """basis: the law or contract that lets the organisation ask."""

    at: datetime
    purpose: str
    claims: frozenset[ClaimName]
    basis: str


@dataclass(frozen=True)
class RelyingPartyRegistered:
    at: datetime
    name: str


@dataclass(frozen=True)
class PurposeRegistered:
    at: datetime
    purpose: str
    claims: tuple[ClaimName, ...]
    basis: str


Command = RegisterRelyingParty | RegisterPurpose
Event = RelyingPartyRegistered | PurposeRegistered


@dataclass(frozen=True)
class Purpose:
    claims: frozenset[ClaimName]
    basis: str


@dataclass(frozen=True)
class RelyingParty:
    """name: None until it is registered."""

    name: str | None = None
    purposes: Mapping[str, Purpose] = field(default_factory=dict)

    def refusal(self, purpose: str, asked: Collection[str]) -> Reason | None:
        """Why it may not ask this; None where it may."""
        if self.name is None:
            return Reason.NOT_REGISTERED
        registered = self.purposes.get(purpose)
        if registered is None:
            return Reason.PURPOSE_NOT_REGISTERED
        return None if registered.claims >= set(asked) else Reason.OVER_ASKING


initial = RelyingParty()


def decide(command: Command, party: RelyingParty) -> Sequence[Event] | Refused:
    match command:
        case RegisterRelyingParty(at, name):
            if party.name is None:
                return [RelyingPartyRegistered(at, name)]
            return [] if party.name == name else Refused(Reason.REGISTERED_OTHERWISE)
        case RegisterPurpose(at, purpose, claims, basis):
            if party.name is None:
                return Refused(Reason.NOT_REGISTERED)
            known = party.purposes.get(purpose)
            if known is None:
                return [PurposeRegistered(at, purpose, tuple(sorted(claims)), basis)]
            same = known == Purpose(claims, basis)
            return [] if same else Refused(Reason.PURPOSE_REGISTERED_OTHERWISE)


def evolve(party: RelyingParty, event: Event) -> RelyingParty:
    match event:
        case RelyingPartyRegistered(name=name):
            return RelyingParty(name)
        case PurposeRegistered(_, purpose, claims, basis):
            added = Purpose(frozenset(claims), basis)
            return RelyingParty(party.name, {**party.purposes, purpose: added})


aggregate = Aggregate("relying-party", initial, decide, evolve, events=get_args(Event))
stream = aggregate.stream
