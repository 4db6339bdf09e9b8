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
from biometrics.context import begin_serving, open_app
from biometrics.settings import BiometricsSettings
from epassport.service import Service
from epassport.settings import read_settings
from epassport.signing import SigningPurpose
from epassport_contracts import ServiceName


def build(settings: BiometricsSettings | None = None) -> Service:
    return Service(
        name=ServiceName.BIOMETRICS,
        package="biometrics",
        settings=settings or read_settings(BiometricsSettings),
        aggregates=[record.aggregate],
        publications=[publications],
        reactions=[reactions],
        read_models=[readmodel.records, gallery_readmodel.gallery],
        routes=[http.routes, adjudication_http.routes, pages.routes],
        app=open_app,
        begin_serving=begin_serving,
        works=[
            (work.SEARCH_DUPLICATES, work.search_duplicates),
            (work.RELEASE_IMAGES, work.release_images),
        ],
        signs=frozenset({SigningPurpose.SUBJECT_KEY}),
    )
