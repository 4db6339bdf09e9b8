"""The composition root of enrollment: settings in, service out."""

from enrollment import (
    admission,
    application,
    challenge,
    holder,
    holder_readmodel,
    http,
    office,
    publications,
    reactions,
    readmodel,
    registrations,
    rollout,
    work,
)
from enrollment.context import open_app
from epassport.service import Service
from epassport.settings import Settings, read_settings
from epassport.signing import SigningPurpose
from epassport_contracts import ServiceName


def build(settings: Settings | None = None) -> Service:
    return Service(
        name=ServiceName.ENROLLMENT,
        package="enrollment",
        settings=settings or read_settings(Settings),
        aggregates=[application.aggregate, holder.aggregate, rollout.aggregate, office.aggregate],
        publications=[publications],
        reactions=[reactions],
        read_models=[readmodel.applications, readmodel.rollouts, holder_readmodel.holders],
        routes=[http.routes, registrations.routes],
        app=open_app,
        works=[(work.REASSIGN, work.reassign)],
        signs=frozenset({SigningPurpose.DESK_TICKET, SigningPurpose.SUBJECT_KEY}),
        fleeting_claims={admission.CHALLENGE: challenge.LIVES},
    )
