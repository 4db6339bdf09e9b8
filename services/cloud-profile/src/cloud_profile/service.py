"""The composition root of cloud-profile: settings in, service out."""

from cloud_profile import http, profile, publications, reactions, readmodel
from cloud_profile.context import open_app
from epassport.service import Service
from epassport.settings import Settings, read_settings
from epassport.signing import SigningPurpose
from epassport_contracts import ServiceName


def build(settings: Settings | None = None) -> Service:
    return Service(
        name=ServiceName.CLOUD_PROFILE,
        package="cloud_profile",
        settings=settings or read_settings(Settings),
        aggregates=[profile.aggregate],
        publications=[publications],
        reactions=[reactions],
        read_models=[readmodel.profiles, readmodel.access_log],
        routes=[http.routes],
        app=open_app,
        signs=frozenset({SigningPurpose.MOBILE_ATTESTATION, SigningPurpose.SUBJECT_KEY}),
    )
