"""Every topic and event that crosses a service border, once.

Kafka topics, JSON Schemas, the catalog and consumer wiring derive from this table.
The partition count is for life: changing it moves keys, so a new count is a new topic.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from epassport_contracts.access import ServiceName
from epassport_contracts.events import (
    biometrics,
    card_personalization,
    cloud_profile,
    enrollment,
    history,
    keys,
    public,
    verification,
)
from epassport_contracts.model import ContractEvent

PARTITIONS = 4
KEPT_FOR = timedelta(days=30)  # `Cleanup.THIRTY_DAYS`

_ENROLLMENT = ServiceName.ENROLLMENT
_BIOMETRICS = ServiceName.BIOMETRICS
_CARDS = ServiceName.CARD_PERSONALIZATION
_PROFILE = ServiceName.CLOUD_PROFILE
_VERIFICATION = ServiceName.VERIFICATION
ALL = frozenset(ServiceName)
_HISTORY = "history"


class Classification(StrEnum):
    """Who may read a topic at all."""

    INTERNAL = "internal"  # personal data sealed; services of the system only
    PUBLIC = "public"  # agencies; thin, signed, nothing personal


class Cleanup(StrEnum):
    KEPT = "kept"  # for ever
    COMPACTED = "compacted"  # last record per key; producers are fenced
    THIRTY_DAYS = "thirty-days"


@dataclass(frozen=True)
class EventSpec:
    model: type[ContractEvent]
    consumers: frozenset[ServiceName]


@dataclass(frozen=True)
class Topic:
    """owner: the only producer (SubjectKey: each owner of a data purpose).

    key: how record keys look
    sequenced: records of one key carry a contiguous `sequence` from 1, which consumers check.
    """

    name: str
    producers: frozenset[ServiceName]
    events: tuple[EventSpec, ...]
    cleanup: Cleanup = Cleanup.KEPT
    classification: Classification = Classification.INTERNAL
    sequenced: bool = True
    partitions: int = PARTITIONS
    key: str = "<kind>/<id>"

    @property
    def config(self) -> Mapping[str, str]:
        """Kafka's topic configuration."""
        match self.cleanup:
            case Cleanup.KEPT:
                return {
                    "cleanup.policy": "delete",
                    "retention.ms": "-1",
                    "max.message.bytes": "1000000",
                }
            case Cleanup.COMPACTED:
                return {
                    "cleanup.policy": "compact",
                    "segment.ms": "3600000",
                    "max.compaction.lag.ms": "86400000",
                    "max.message.bytes": "1000000",
                }
            case Cleanup.THIRTY_DAYS:
                return {
                    "cleanup.policy": "delete",
                    "retention.ms": str(KEPT_FOR // timedelta(milliseconds=1)),
                    "max.message.bytes": "1000000",
                }


def _spec(model: type[ContractEvent], *consumers: ServiceName) -> EventSpec:
    return EventSpec(model, frozenset(consumers))


def _internal(
    service: ServiceName,
    kind: str,
    *events: EventSpec,
    key: str | None = None,
    cleanup: Cleanup = Cleanup.KEPT,
    sequenced: bool = True,
) -> Topic:
    return Topic(
        f"internal.{service}.{kind}.v1",
        frozenset({service}),
        events,
        cleanup,
        sequenced=sequenced,
        key=key or f"{kind}/<id>",
    )


def keyring_topic(service: ServiceName) -> str:
    return f"internal.{service}.keyring.v1"


def history_topic(service: ServiceName) -> str:
    """Heads of the service's hash chain; only auditors read it."""
    return f"internal.{service}.{_HISTORY}.v1"


def dead_letter_topic(service: ServiceName) -> str:
    """Records that the service could not apply, as they came, for operators' tools.

    No event of ours and no contract: the octets are whatever was on the topic they came from.
    """
    return f"dead-letter.{service}.v1"


SUBJECT_KEYS = "internal.subject-keys.v1"
CHIP_DATA = "internal.biometrics.chip-data.v1"
PUBLIC_STATUS = "public.passport-status.v1"
PUBLIC_STATUS_CURRENT = "public.passport-status-current.v1"

TOPICS: tuple[Topic, ...] = (
    _internal(
        _ENROLLMENT,
        "rollout",
        EventSpec(enrollment.RolloutPaused, ALL),
        EventSpec(enrollment.RolloutResumed, ALL),
    ),
    _internal(
        _ENROLLMENT,
        "application",
        _spec(enrollment.ApplicationSubmitted),
        _spec(enrollment.ApplicationApproved, _VERIFICATION, _CARDS, _BIOMETRICS),
        _spec(enrollment.DocumentReassigned, _VERIFICATION, _CARDS, _BIOMETRICS),
        _spec(enrollment.ApplicationRejected, _BIOMETRICS, _VERIFICATION, _CARDS),
        _spec(enrollment.ApplicationWithdrawn, _BIOMETRICS, _VERIFICATION, _CARDS),
        _spec(enrollment.HandoverCompleted, _CARDS, _PROFILE),
    ),
    _internal(
        _ENROLLMENT,
        "holder",
        EventSpec(enrollment.ErasureOrdered, ALL),
        _spec(enrollment.ErasureCompleted),
    ),
    _internal(
        _BIOMETRICS,
        "biometric-record",
        _spec(biometrics.BiometricsAccepted, _ENROLLMENT),
        _spec(biometrics.DuplicateConfirmed, _ENROLLMENT),
        _spec(biometrics.HolderVerified, _ENROLLMENT, _VERIFICATION),
        _spec(biometrics.HolderMismatch, _ENROLLMENT),
    ),
    _internal(
        _BIOMETRICS,
        "chip-data",
        _spec(biometrics.ImageReleased, _CARDS, _PROFILE),
        cleanup=Cleanup.THIRTY_DAYS,
        sequenced=False,
    ),
    _internal(
        _CARDS,
        "card",
        _spec(card_personalization.CardReceived, _ENROLLMENT),
        _spec(card_personalization.CardReturned, _ENROLLMENT),
        _spec(card_personalization.CardLostInTransit, _ENROLLMENT, _VERIFICATION),
        _spec(card_personalization.CardActivated, _VERIFICATION),
    ),
    _internal(
        _PROFILE,
        "profile",
        _spec(cloud_profile.LossReported, _VERIFICATION),
        _spec(cloud_profile.LossConfirmed, _VERIFICATION),
        _spec(cloud_profile.AttestationsIssued, _VERIFICATION),
        _spec(cloud_profile.DeviceUnbound, _VERIFICATION),
    ),
    _internal(
        _VERIFICATION,
        "document-status",
        _spec(verification.DocumentRegistered, _CARDS),
        _spec(verification.DocumentActivated, _PROFILE, _ENROLLMENT),
        _spec(verification.DocumentSuspended, _PROFILE),
        _spec(verification.DocumentRestored, _PROFILE),
        _spec(verification.DocumentRevoked, _PROFILE, _CARDS, _ENROLLMENT),
        _spec(verification.DocumentExpired, _PROFILE, _CARDS, _ENROLLMENT),
    ),
    _internal(
        _VERIFICATION,
        "presentation",
        _spec(verification.PresentationVerified, _PROFILE),
        _spec(verification.PresentationRefused, _PROFILE),
    ),
    *(
        _internal(service, "keyring", _spec(keys.KeysDestroyed, _ENROLLMENT))
        for service in ServiceName
    ),
    *(
        _internal(
            service, _HISTORY, _spec(history.HistoryLinked), key=str(service), sequenced=False
        )
        for service in ServiceName
    ),
    Topic(
        SUBJECT_KEYS,
        frozenset({_ENROLLMENT, _BIOMETRICS, _PROFILE}),
        (EventSpec(keys.SubjectKey, ALL),),
        Cleanup.COMPACTED,
        sequenced=False,
        key="<holder_id>/<recipient>/<owner>/<generation>",
    ),
    Topic(
        PUBLIC_STATUS,
        frozenset({_VERIFICATION}),
        (_spec(public.PassportStatusChanged),),
        classification=Classification.PUBLIC,
        sequenced=False,
        key="<document_ref>",
    ),
    Topic(
        PUBLIC_STATUS_CURRENT,
        frozenset({_VERIFICATION}),
        (_spec(public.PassportStatusChanged),),
        Cleanup.COMPACTED,
        Classification.PUBLIC,
        sequenced=False,
        key="<document_ref>",
    ),
    *(
        Topic(
            dead_letter_topic(service),
            frozenset({service}),
            (),
            Cleanup.THIRTY_DAYS,
            sequenced=False,
            key="<as it came>",
        )
        for service in ServiceName
    ),
)

BY_NAME: Mapping[str, Topic] = {topic.name: topic for topic in TOPICS}


def model_of(topic: str, type_name: str) -> type[ContractEvent] | None:
    """The model of an event type on a topic; None for a type this version does not know."""
    for spec in BY_NAME[topic].events:
        if spec.model.type_name() == type_name:
            return spec.model
    return None


def home_topic(model: type[ContractEvent], producer: ServiceName) -> Topic:
    """The internal topic on which `producer` publishes `model`.

    Raises LookupError where the registry names none: a publication nobody agreed to.
    """
    for topic in TOPICS:
        internal = topic.classification is Classification.INTERNAL
        published = any(spec.model is model for spec in topic.events)
        if internal and producer in topic.producers and published:
            return topic
    raise LookupError(f"{producer} publishes no {model.__name__}")


def consumed_by(service: ServiceName) -> Iterator[tuple[Topic, type[ContractEvent]]]:
    """Every (topic, model) that `service` hears."""
    for topic in TOPICS:
        for spec in topic.events:
            if service in spec.consumers:
                yield topic, spec.model
