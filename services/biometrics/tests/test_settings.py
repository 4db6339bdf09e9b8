"""Which engine a setting may name, and where."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from biometrics.engine.choice import engine_of
from biometrics.engine.port import FingerprintEngine, SearchLimits
from biometrics.engine.positions import FingerPosition
from biometrics.engine.sourceafis import SourceAfis
from biometrics.record_commands import Shard
from biometrics.service import build
from biometrics.settings import BiometricsSettings

PRODUCTION = {
    "profile": "production",
    "kafka_security": "tls",
    "key_store": "pkcs11:token=biometrics?module-path=/usr/lib/vendor.so",
    "oidc_issuer": "https://people.test",
    "oidc_jwks_url": "https://people.test/jwks",
}


def settings(tmp_path: Path, **more: Any) -> BiometricsSettings:
    there = tmp_path / "there"
    there.write_text("x")
    paths = ("postgres_dsn_file", "key_store", "key_store_passphrase_file", "trust_file")
    values: dict[str, Any] = {
        **dict.fromkeys(paths, there),
        "trust_root_file": there,
        "profile": "sandbox",
        "kafka_security": "plaintext",
        "kafka_bootstrap": "127.0.0.1:9",
        "oidc_issuer": "http://127.0.0.1:9",
        "oidc_audience": "epassport",
        "oidc_jwks_url": "http://127.0.0.1:9/jwks",
        "engine_libs": tmp_path,
        "engine_classes": tmp_path,
    }
    return BiometricsSettings(**{**values, **more})


async def engine_named(read: BiometricsSettings) -> FingerprintEngine:
    async with engine_of(read) as engine:
        return engine


def test_the_double_starts_in_the_sandbox_and_nowhere_else(tmp_path: Path) -> None:
    assert settings(tmp_path, engine="expectations").engine == "expectations"
    with pytest.raises(ValidationError, match="sandbox profile only"):
        settings(tmp_path, engine="expectations", **PRODUCTION)


def test_a_vendor_without_address_or_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="abis_url"):
        settings(tmp_path, engine="mosip-abis", abis_url="http://127.0.0.1:9/abis")


def test_a_part_of_the_gallery_is_one_that_there_is(tmp_path: Path) -> None:
    assert settings(tmp_path, engine_shards=4, engine_shard=3).shard() == Shard(3, 4)
    assert settings(tmp_path).searches
    assert not settings(tmp_path, engine_shards=4).searches
    with pytest.raises(ValidationError, match="counts from 0"):
        settings(tmp_path, engine_shards=4, engine_shard=4)


def test_a_vendor_cuts_its_own_gallery(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    vendor = {"abis_url": "http://127.0.0.1:9/abis", "abis_certificate": tmp_path / "there"}
    with pytest.raises(ValidationError, match="own shards"):
        settings(tmp_path, engine="mosip-abis", engine_shards=2, **vendor)


def test_all_parts_are_asked_and_a_process_answers_for_its_own(tmp_path: Path) -> None:
    works = build(settings(tmp_path, engine_shards=3, engine_shard=1)).works
    searches = [(task.kind, make is not None) for task, make in works][:3]
    assert searches == [
        ("search-shard-0", False), ("search-shard-1", True), ("search-shard-2", False),
    ]  # fmt: skip


async def test_one_setting_swaps_the_engine(tmp_path: Path) -> None:
    assert isinstance(await engine_named(settings(tmp_path)), SourceAfis)
    double = await engine_named(settings(tmp_path, engine="expectations"))
    made = await double.extract(b"\0" * 4, width=2, height=2, dpi=500)
    await double.insert("one", {FingerPosition.RIGHT_INDEX: made.data})
    found = await double.search({FingerPosition.RIGHT_INDEX: made.data}, SearchLimits(1.0, 1.0))
    assert [each.reference_id for each in found.candidates] == ["one"]
