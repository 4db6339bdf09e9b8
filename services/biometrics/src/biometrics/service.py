"""The composition root of biometrics: settings in, service out."""

from biometrics import (
    adjudication_http,
    gallery_readmodel,
    http,
    pages,
    publications,
    reactions,
    readmodel,
    record,
    work,
)
from biometrics.context import before_work, begin_serving, begin_working, open_app
from biometrics.settings import BiometricsSettings
from epassport.service import MakeWork, Service
from epassport.settings import read_settings
from epassport.signing import SigningPurpose
from epassport.tasks import Task
from epassport_contracts import ServiceName

_NOTHING_SET = BiometricsSettings.model_construct()


def build(settings: BiometricsSettings | None = None) -> Service:
    settings = settings or read_settings(BiometricsSettings)
    # Whoever only asks what is declared brings settings without any of ours.
    own = settings if isinstance(settings, BiometricsSettings) else _NOTHING_SET
    return Service(
        name=ServiceName.BIOMETRICS,
        package="biometrics",
        settings=settings,
        aggregates=[record.aggregate],
        publications=[publications],
        reactions=[reactions],
        read_models=[readmodel.records, gallery_readmodel.gallery],
        routes=[http.routes, adjudication_http.routes, pages.routes],
        app=open_app,
        begin_serving=begin_serving,
        before_work=before_work,
        begin_working=begin_working if own.searches else None,
        works=[
            *_searches(own),
            (work.RELEASE_IMAGES, work.release_images),
        ],
        signs=frozenset({SigningPurpose.SUBJECT_KEY}),
    )


def _searches(settings: BiometricsSettings) -> list[tuple[Task, MakeWork | None]]:
    """All parts are asked, whoever writes the samples; this process answers for its own."""
    own = settings.shard().index if settings.searches else None
    tasks = enumerate(work.searches(settings.engine_shards))
    return [(task, work.search_duplicates if index == own else None) for index, task in tasks]
