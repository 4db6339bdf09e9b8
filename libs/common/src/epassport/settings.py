"""What a service reads from its environment, and which combinations it refuses to start with.

Every name has the prefix EPASSPORT_. Secrets are never values: a setting names their file.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    FilePath,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from epassport.errors import Unsafe
from epassport.kafka import KafkaSettings, SecurityProtocol
from epassport.key_store_address import FileAddress, TokenAddress, read_address

PREFIX = "EPASSPORT_"

_Url = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$", max_length=500)]
_Bootstrap = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9._\-\[\]:]+:\d+(,[A-Za-z0-9._\-\[\]:]+:\d+)*$")
]


def _address_of_keys(text: str) -> str:
    try:
        read_address(text)
    except Unsafe as fault:
        raise ValueError(str(fault)) from None
    return text


_AddressOfKeys = Annotated[str, BeforeValidator(str), AfterValidator(_address_of_keys)]


class Settings(BaseSettings):
    """The same for every service; the service's own name is given by its code."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)

    profile: Literal["production", "sandbox"] = "production"

    postgres_dsn_file: FilePath = Field(description="file with the connection string")
    postgres_connections: int = Field(
        default=8, ge=2, le=100, description="of each process; timers need two at a time"
    )

    kafka_bootstrap: _Bootstrap = Field(description="host:port, comma-separated")
    kafka_security: Literal["plaintext", "tls"] = "tls"
    kafka_ca_file: FilePath | None = None
    kafka_certificate_file: FilePath | None = None
    kafka_key_file: FilePath | None = None
    kafka_username: str | None = Field(default=None, description="SASL; where set, a password too")
    kafka_password_file: FilePath | None = None
    kafka_group_instance_id: str | None = Field(
        default=None, description="this replica's lasting name: its restart moves no partition"
    )

    key_store: _AddressOfKeys = Field(
        description="`pkcs11:token=…?module-path=…`, or, refused in production, `file:…`;"
        " made by the command `ceremony`"
    )
    key_store_passphrase_file: FilePath = Field(description="of the file, or the PIN of the token")
    trust_file: Path = Field(description="signed public keys of the other services")
    trust_root_file: Path = Field(description="public key that signs the trust file")

    oidc_issuer: _Url
    oidc_audience: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    oidc_jwks_url: _Url

    linger_ms: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="how long readers of the own store and relays may rest after a look, ten times"
        " as long as it took at most: fewer and larger transactions, answers later by that",
    )

    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65535)

    health_host: str = "127.0.0.1"
    health_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="health and metrics of consume, project, relay, timers and work, each by"
        " itself; 0: none. `serve` and `all` have them on the HTTP port, the work process of"
        " `all` here",
    )

    clock_file: FilePath | None = Field(
        default=None, description="sandbox: one number of seconds added to the time of day"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Self:
        if faults := _unsafe_combinations(self):
            raise ValueError("; ".join(faults))
        return self

    @property
    def linger(self) -> float:
        """Seconds."""
        return self.linger_ms / 1000

    def postgres_dsn(self) -> str:
        return read_secret(self.postgres_dsn_file)

    def key_store_address(self) -> FileAddress | TokenAddress:
        return read_address(self.key_store)

    def kafka(self) -> KafkaSettings:
        return KafkaSettings(
            bootstrap=self.kafka_bootstrap,
            security_protocol=_PROTOCOLS[self.kafka_security, self.kafka_username is not None],
            ca_file=self.kafka_ca_file,
            certificate_file=self.kafka_certificate_file,
            key_file=self.kafka_key_file,
            sasl_username=self.kafka_username,
            sasl_password_file=self.kafka_password_file,
            group_instance_id=self.kafka_group_instance_id,
        )


_PROTOCOLS: Mapping[tuple[str, bool], SecurityProtocol] = {
    ("plaintext", False): "PLAINTEXT",
    ("plaintext", True): "SASL_PLAINTEXT",
    ("tls", False): "SSL",
    ("tls", True): "SASL_SSL",
}

S = TypeVar("S", bound=Settings)


def read_settings(kind: type[S]) -> S:
    """Settings from the environment. Raises Unsafe, whose message is one line without values."""
    try:
        return kind()
    except ValidationError as error:
        faults = [_fault(item["loc"], item["msg"]) for item in error.errors(include_input=False)]
        raise Unsafe("; ".join(faults)) from None


def read_secret(file: Path) -> str:
    """The file's text without the newline that editors add. Raises Unsafe."""
    try:
        secret = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Unsafe(f"{file}: cannot be read ({type(error).__name__})") from None
    if not secret:
        raise Unsafe(f"{file}: is empty")
    return secret


def _unsafe_combinations(settings: Settings) -> list[str]:
    faults = []
    if (settings.kafka_certificate_file is None) != (settings.kafka_key_file is None):
        faults.append("kafka_certificate_file and kafka_key_file belong together")
    if (settings.kafka_username is None) != (settings.kafka_password_file is None):
        faults.append("kafka_username and kafka_password_file belong together")
    if settings.profile == "sandbox":
        return faults
    if isinstance(settings.key_store_address(), FileAddress):
        faults.append("production refuses a key_store in a file: signing keys live on a token")
    if settings.kafka_security == "plaintext":
        faults.append("production refuses kafka_security=plaintext")
    if settings.clock_file is not None:
        faults.append("production refuses clock_file: its clock cannot be moved")
    if urlsplit(settings.oidc_jwks_url).scheme != "https":
        faults.append("production refuses oidc_jwks_url over http")
    if urlsplit(settings.oidc_issuer).scheme != "https":
        faults.append("production refuses an oidc_issuer over http")
    return faults


def _fault(location: tuple[int | str, ...], message: str) -> str:
    text = re.sub(r"^Value error, ", "", message)
    return f"{PREFIX}{str(location[0]).upper()}: {text}" if location else text
