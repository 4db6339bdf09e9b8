"""Settings: what is read, and which combinations are refused with one clear line."""

from pathlib import Path

import pytest

from epassport.errors import Unsafe
from epassport.key_store_address import FileAddress, TokenAddress, read_address
from epassport.settings import Settings, read_secret, read_settings

KEYS_IN_A_FILE = "production refuses a key_store in a file: signing keys live on a token"


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A production that may start."""
    for name in ("dsn", "passphrase", "clock", "certificate", "password"):
        (tmp_path / name).write_text(f"{name}-content\n")
    values = {
        "POSTGRES_DSN_FILE": tmp_path / "dsn",
        "KAFKA_BOOTSTRAP": "kafka-0:9093,kafka-1:9093",
        "KEY_STORE": "pkcs11:token=enrollment?module-path=/usr/lib/vendor.so",
        "KEY_STORE_PASSPHRASE_FILE": tmp_path / "passphrase",
        "TRUST_FILE": tmp_path / "trust.jws",
        "TRUST_ROOT_FILE": tmp_path / "root.pem",
        "OIDC_ISSUER": "https://issuer.test",
        "OIDC_AUDIENCE": "epassport",
        "OIDC_JWKS_URL": "https://issuer.test/jwks",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"EPASSPORT_{name}", str(value))
    return monkeypatch


def refusal() -> str:
    with pytest.raises(Unsafe) as refused:
        read_settings(Settings)
    return str(refused.value)


def test_production_starts_on_loopback_with_tls(environment: pytest.MonkeyPatch) -> None:
    settings = read_settings(Settings)
    assert (settings.profile, settings.http_host) == ("production", "127.0.0.1")
    assert settings.kafka().security_protocol == "SSL"
    assert settings.postgres_dsn() == "dsn-content"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("KAFKA_SECURITY", "plaintext", "production refuses kafka_security=plaintext"),
        (
            "OIDC_JWKS_URL",
            "http://issuer.test/jwks",
            "production refuses oidc_jwks_url over http",
        ),
        ("OIDC_ISSUER", "http://issuer.test", "production refuses an oidc_issuer over http"),
        ("KEY_STORE", "file:/keys/keystore.json", KEYS_IN_A_FILE),
        ("KEY_STORE", "/keys/keystore.json", KEYS_IN_A_FILE),
    ],
)
def test_what_the_sandbox_may_do_production_refuses(
    environment: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    environment.setenv(f"EPASSPORT_{name}", value)
    assert refusal() == line
    environment.setenv("EPASSPORT_PROFILE", "sandbox")
    read_settings(Settings)


def test_only_the_sandbox_moves_its_clock(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.setenv("EPASSPORT_CLOCK_FILE", str(tmp_path / "clock"))
    assert refusal() == "production refuses clock_file: its clock cannot be moved"
    environment.setenv("EPASSPORT_PROFILE", "sandbox")
    assert read_settings(Settings).clock_file == tmp_path / "clock"


def test_every_fault_is_told_in_one_line(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("EPASSPORT_KAFKA_SECURITY", "plaintext")
    environment.setenv("EPASSPORT_OIDC_ISSUER", "http://issuer.test")
    assert refusal().count(";") == 1
    assert "\n" not in refusal()


def test_a_certificate_without_its_key_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("EPASSPORT_KAFKA_CERTIFICATE_FILE", str(tmp_path / "certificate"))
    assert refusal() == "kafka_certificate_file and kafka_key_file belong together"


def test_a_user_without_a_password_is_refused(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment.setenv("EPASSPORT_KAFKA_USERNAME", "enrollment")
    assert refusal() == "kafka_username and kafka_password_file belong together"
    environment.setenv("EPASSPORT_KAFKA_PASSWORD_FILE", str(tmp_path / "password"))
    assert read_settings(Settings).kafka().security_protocol == "SASL_SSL"


def test_a_refusal_names_the_setting_and_not_its_value(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("EPASSPORT_HTTP_PORT", "s3cret")
    assert refusal().startswith("EPASSPORT_HTTP_PORT: ")
    assert "s3cret" not in refusal()


def test_a_missing_setting_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("EPASSPORT_TRUST_FILE")
    assert refusal() == "EPASSPORT_TRUST_FILE: Field required"


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("pkcs11:token=t?module-path=/m&pin-value=1234", "a PIN does not stand in pkcs11:…"),
        ("pkcs11:token=t", "pkcs11:… names token and module-path, each once"),
        ("pkcs11:token=t;token=u?module-path=/m", "pkcs11:… names token and module-path"),
        ("pkcs11:token=t;object=o?module-path=/m", "pkcs11:… names token and module-path"),
        ("pkcs11:token=?module-path=/m", "token and module-path of pkcs11:… are not empty"),
    ],
)
def test_an_address_of_keys_that_cannot_be_meant_is_refused(
    environment: pytest.MonkeyPatch, address: str, line: str
) -> None:
    environment.setenv("EPASSPORT_KEY_STORE", address)
    assert refusal().startswith(f"EPASSPORT_KEY_STORE: {line}")
    assert "1234" not in refusal()


def test_an_address_of_keys_reads_back_as_it_was_written() -> None:
    token = TokenAddress(Path("/usr/lib/a vendor's/p11.so"), "e;passport?=%&")
    for address in (token, FileAddress(Path("/keys/store.json"))):
        assert read_address(str(address)) == address


def test_an_empty_or_missing_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(Unsafe, match="is empty"):
        read_secret(tmp_path / "empty")
    with pytest.raises(Unsafe, match="cannot be read"):
        read_secret(tmp_path / "absent")
