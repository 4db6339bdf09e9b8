"""The composition roots of the five services, and what they take from an environment."""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from epassport.service import Service
from epassport.settings import PREFIX, Settings
from epassport_contracts import ServiceName
from tools.configuration_page import own_settings

SANDBOX = {
    "PROFILE": "sandbox",
    "POSTGRES_DSN_FILE": __file__,
    "KAFKA_BOOTSTRAP": "127.0.0.1:9092",
    "KEY_STORE": "/keystore.json",
    "KEY_STORE_PASSPHRASE_FILE": __file__,
    "TRUST_FILE": "/trust.jws",
    "TRUST_ROOT_FILE": "/root.pem",
    "OIDC_ISSUER": "http://127.0.0.1",
    "OIDC_AUDIENCE": "epassport",
    "OIDC_JWKS_URL": "http://127.0.0.1/jwks",
    "ENGINE_LIBS": "/libs",
    "ENGINE_CLASSES": "/classes",
    "CSCA_CERTIFICATE_FILE": __file__,
    "CSCA_CRL_FILE": __file__,
    "DOCUMENT_SIGNER_CERTIFICATE_FILE": __file__,
}


def package_of(service: ServiceName) -> str:
    return service.replace("-", "_")


def settings_class(service: ServiceName) -> type[Settings]:
    return dict(own_settings()).get(package_of(service), Settings)


def settings_from(service: ServiceName, environment: Mapping[str, str]) -> Settings:
    """Read as at start-up. Raises ValidationError where they do not fit."""
    with _environment(environment):
        return settings_class(service)()


def build_service(service: ServiceName) -> Service:
    """What the service declares; its settings are of no account here."""
    module = importlib.import_module(f"{package_of(service)}.service")
    with _environment({PREFIX + name: value for name, value in SANDBOX.items()}):
        built = module.build()
    assert isinstance(built, Service)
    return built


def with_files_below(
    environment: Mapping[str, str], files: Mapping[str, bytes], folder: Path
) -> dict[str, str]:
    """The environment as it is in a container whose file system begins at `folder`.

    files: by absolute path in the container
    """
    for path, octets in files.items():
        file = folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(octets)
    roots = {path.split("/")[1] for path in files}
    return {
        name: str(folder / value.lstrip("/"))
        if value.startswith("/") and value.split("/")[1] in roots
        else value
        for name, value in environment.items()
    }


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    with patch.dict("os.environ", values, clear=True):
        yield
