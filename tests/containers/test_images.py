"""What is in an image and what is not."""

import json
from collections.abc import Mapping

import pytest
from docker import DockerClient
from docker.models.images import Image
from packageurl import PackageURL

from epassport_contracts import ServiceName
from epassport_sandbox.images import SOURCES_LABEL, VERSION, settled_names_file, sources_digest
from tests.containers.bounds import LARGEST_MEGABYTES, MEGABYTE
from tools.sbom import licences_of

UNSTATED = {"pkg:maven/fastutil", "pkg:deb/debian/libcrypt1"}
"""Their packers state no licence by name; both texts are in the packages."""

LOOK = """
import importlib.metadata, importlib.util, json, os, shutil, sys
packages = ["epassport_sandbox", "pip", "uv", "pytest", "jpype", "numpy", "biometrics",
            "enrollment", "card_personalization", "cloud_profile", "verification"]
runtime = os.path.dirname(importlib.util.find_spec("epassport").origin)
print(json.dumps({
    "distributions": [one.metadata["Name"].lower() for one in importlib.metadata.distributions()],
    "user": [os.getuid(), os.getgid()],
    "packages": [name for name in packages if importlib.util.find_spec(name)],
    "programs": [name for name in ("gcc", "cc", "make", "uv", "pip", "git", "java", "javac")
                 if shutil.which(name)],
    "writable": [path for path in ("/", "/opt", "/opt/epassport", "/etc", "/usr")
                 if os.access(path, os.W_OK)],
    "uncompiled": sum(
        name.endswith(".py") and not os.path.exists(os.path.join(
            folder, "__pycache__", name[:-3] + "." + sys.implementation.cache_tag + ".pyc"))
        for folder, _, names in os.walk(runtime)
        for name in names),
}))
"""


@pytest.fixture(scope="module")
def seen(engine: DockerClient, images: Mapping[ServiceName, Image]) -> Mapping[ServiceName, dict]:  # type: ignore[type-arg]
    """What each image shows from the inside, with a root that nobody can write to."""
    return {
        service: json.loads(
            engine.containers.run(
                image,
                ["-c", LOOK],
                entrypoint="python",
                network_mode="none",
                read_only=True,
                remove=True,
            )
        )
        for service, image in images.items()
    }


def test_a_service_runs_as_a_numeric_user_who_may_write_nothing(
    seen: Mapping[ServiceName, dict],  # type: ignore[type-arg]
    images: Mapping[ServiceName, Image],
) -> None:
    for service, image in images.items():
        assert image.attrs["Config"]["User"] == "10001:10001", service
        assert (seen[service]["user"], seen[service]["writable"]) == ([10001, 10001], []), service


def test_an_image_holds_its_own_service_and_no_tool_that_builds_or_plays(
    seen: Mapping[ServiceName, dict],  # type: ignore[type-arg]
) -> None:
    engine_parts = ["biometrics", "jpype", "numpy"]
    for service, shown in seen.items():
        is_biometrics = service is ServiceName.BIOMETRICS
        own = engine_parts if is_biometrics else [service.replace("-", "_")]
        assert sorted(shown["packages"]) == own, service
        assert shown["programs"] == (["java"] if is_biometrics else []), service
        assert shown["uncompiled"] == 0, service


def test_an_image_is_no_larger_than_stated(images: Mapping[ServiceName, Image]) -> None:
    sizes = {service: image.attrs["Size"] / MEGABYTE for service, image in images.items()}
    large = {name: size for name, size in sizes.items() if size > LARGEST_MEGABYTES[name]}
    assert large == {}


def test_an_image_says_what_it_was_made_from_and_how_it_is_probed(
    images: Mapping[ServiceName, Image],
) -> None:
    for service, image in images.items():
        labels = image.labels
        assert labels["org.opencontainers.image.version"] == VERSION
        assert labels["org.opencontainers.image.source"] == f"services/{service}"
        assert labels["org.opencontainers.image.revision"]
        assert labels[SOURCES_LABEL] == sources_digest()
        assert image.attrs["Config"]["Healthcheck"]["Test"] == [
            "CMD", "python", "-m", "epassport_probe"
        ]  # fmt: skip


def test_no_secret_lies_in_the_environment_or_history_of_an_image(
    images: Mapping[ServiceName, Image],
) -> None:
    for service, image in images.items():
        told = json.dumps([image.attrs["Config"]["Env"], image.history()]).lower()
        for word in ("password", "passphrase", "token=", "secret"):
            assert word not in told, (service, word)


def test_beside_each_image_lies_the_list_of_what_is_in_it_with_licences(
    seen: Mapping[ServiceName, dict],  # type: ignore[type-arg]
) -> None:
    for service, shown in seen.items():
        document = json.loads((settled_names_file().parent / f"{service}.cdx.json").read_text())
        licences = licences_of(document)
        listed = {url.partition("@")[0] for url in licences}
        wanted = {PackageURL("pypi", name=name).to_string() for name in shown["distributions"]}
        assert wanted <= listed, service
        unstated = {url.partition("@")[0] for url, named in licences.items() if not named}
        assert unstated <= UNSTATED, service
