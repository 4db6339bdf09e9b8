"""Which engine a setting names: the only place that knows them all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from biometrics.engine.abis import AbisClient, AbisEngine
from biometrics.engine.abis_share import RecordShare
from biometrics.engine.expectations import ExpectationsEngine
from biometrics.engine.port import FingerprintEngine, Refill
from biometrics.engine.sourceafis import SourceAfis, empty_gallery
from biometrics.settings import BiometricsSettings


@asynccontextmanager
async def engine_of(
    settings: BiometricsSettings, refill: Refill = empty_gallery
) -> AsyncIterator[FingerprintEngine]:
    """Not begun: a process that needs none has none. Closed at the end, if it was begun.

    refill: of an engine that searches; one that only extracts and compares has an empty gallery,
    and is never a vendor's, as those are for searches alone.
    """
    searches = refill is not empty_gallery
    match settings.engine:
        case "expectations":
            engine: FingerprintEngine = ExpectationsEngine(refill, settings.engine_expectations)
        case "mosip-abis" if searches:
            assert settings.abis_url is not None, "the settings were checked"
            assert settings.abis_certificate is not None, "the settings were checked"
            certificate = settings.abis_certificate.read_bytes()
            share = RecordShare(certificate, settings.abis_share_host, settings.abis_share_port)
            client = AbisClient(settings.abis_url)
            engine = AbisEngine(SourceAfis(settings.worker()), client, share, refill)
        case _:
            engine = SourceAfis(settings.worker(), refill)
    try:
        yield engine
    finally:
        await engine.__aexit__(None, None, None)
