"""Who owns a data key and which services receive it (the access matrix)."""

from collections.abc import Mapping
from enum import StrEnum

from epassport_contracts.sealed import DataPurpose


class ServiceName(StrEnum):
    ENROLLMENT = "enrollment"
    BIOMETRICS = "biometrics"
    CARD_PERSONALIZATION = "card-personalization"
    CLOUD_PROFILE = "cloud-profile"
    VERIFICATION = "verification"


OWNER: Mapping[DataPurpose, ServiceName] = {
    DataPurpose.IDENTITY: ServiceName.ENROLLMENT,
    DataPurpose.PORTRAIT: ServiceName.BIOMETRICS,
    DataPurpose.BIOMETRICS: ServiceName.BIOMETRICS,
    DataPurpose.CHIP: ServiceName.BIOMETRICS,
    DataPurpose.DOCUMENTS: ServiceName.CLOUD_PROFILE,
    DataPurpose.ACCESS: ServiceName.ENROLLMENT,
}

RECIPIENTS: Mapping[DataPurpose, frozenset[ServiceName]] = {
    DataPurpose.IDENTITY: frozenset({ServiceName.CARD_PERSONALIZATION, ServiceName.CLOUD_PROFILE}),
    DataPurpose.PORTRAIT: frozenset({ServiceName.CLOUD_PROFILE}),
    DataPurpose.BIOMETRICS: frozenset(),
    DataPurpose.CHIP: frozenset({ServiceName.CARD_PERSONALIZATION}),
    DataPurpose.DOCUMENTS: frozenset(),
    DataPurpose.ACCESS: frozenset({ServiceName.VERIFICATION, ServiceName.CLOUD_PROFILE}),
}
