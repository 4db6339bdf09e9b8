"""The address printed into every card is not left to chance in production."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from verification.settings import MAX_STATUS_LISTS, MAX_URI_CHARACTERS, VerificationSettings


def settings(tmp_path: Path, **more: Any) -> VerificationSettings:
    secret = tmp_path / "secret"
    secret.write_text("x")
    files = {"postgres_dsn_file": secret, "key_store_passphrase_file": secret}
    token = "pkcs11:token=verification?module-path=/usr/lib/vendor.so"
    paths = {"key_store": token, "trust_file": secret, "trust_root_file": secret}
    oidc = {
        "oidc_issuer": "https://issuer.example",
        "oidc_audience": "epassport",
        "oidc_jwks_url": "https://issuer.example/jwks",
    }
    return VerificationSettings(**files, **paths, **oidc, kafka_bootstrap="kafka:9092", **more)


def test_the_status_list_has_the_public_address(tmp_path: Path) -> None:
    given = settings(tmp_path, public_url="https://status.example")
    assert given.status_list_uri() == "https://status.example/s/1"


@pytest.mark.parametrize("address", [None, "http://status.example"])
def test_production_needs_an_address_over_https(tmp_path: Path, address: str | None) -> None:
    with pytest.raises(ValidationError, match="public_url over https"):
        settings(tmp_path, public_url=address)


def test_the_sandbox_is_reached_where_it_listens(tmp_path: Path) -> None:
    given = settings(tmp_path, profile="sandbox", http_port=4711)
    assert given.status_list_uri() == "http://127.0.0.1:4711/s/1"


@pytest.mark.parametrize(
    "address", ["https://status.example/", "ftp://status.example", "https://a b"]
)
def test_an_address_is_a_url_without_a_last_slash(tmp_path: Path, address: str) -> None:
    with pytest.raises(ValidationError):
        settings(tmp_path, public_url=address)


def test_the_address_of_every_list_that_may_come_fits_the_small_code(tmp_path: Path) -> None:
    longest = "https://" + "s" * (MAX_URI_CHARACTERS - len("https:///s/99"))
    given = settings(tmp_path, public_url=longest)
    assert len(given.status_list_uri(MAX_STATUS_LISTS)) == MAX_URI_CHARACTERS
    assert given.numbers_of_lists()[given.status_list_uri(7)] == 7
    with pytest.raises(ValidationError, match="too long for the small code"):
        settings(tmp_path, public_url=longest + "s")
