"""Every process finds each setting it needs, and no other: the settings classes are the judges."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from epassport.settings import PREFIX
from epassport_contracts import ServiceName
from tests.deployment.rendered import Object, Pod, of_kind, pods
from tests.deployment.services import settings_class, settings_from, with_files_below

# Whose default is right for every pod. What is not here and has a default is set nevertheless:
# what a platform team may want to turn shall stand in front of them.
LEFT_AT_THE_DEFAULT = {
    "postgres_connections": "eight fit; a pooler's limit is the platform team's to divide",
    "kafka_username": "certificates instead",
    "kafka_password_file": "certificates instead",
    "linger_ms": "answers as soon as possible; more is for a machine without a core to spare",
    "kafka_group_instance_id": "a Deployment's pods have no lasting name",
    "clock_file": "production refuses it",
    "engine_expectations": "for tests",
    "abis_url": "for who has a vendor's engine",
    "abis_certificate": "for who has a vendor's engine",
    "engine_shards": "for a gallery that one process cannot hold",
    "engine_shard": "for a gallery that one process cannot hold",
    "abis_share_host": "for who has a vendor's engine",
    "abis_share_port": "for who has a vendor's engine",
}
OF_KAFKA = {"kafka_ca_file", "kafka_certificate_file", "kafka_key_file"}


def environment_of(objects: list[Object], pod: Pod) -> dict[str, str]:
    maps = {
        item["metadata"]["name"]: item.get("data", {}) for item in of_kind(objects, "ConfigMap")
    }
    (container,) = pod.containers
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        found |= maps[source["configMapRef"]["name"]]
    return found | {item["name"]: item["value"] for item in container.get("env", [])}


def files_of(pod: Pod) -> dict[str, bytes]:
    """By path, what the volumes put into the container."""
    (container,) = pod.containers
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    found: dict[str, bytes] = {}
    for volume in pod.spec["volumes"]:
        projected = volume.get("projected", {}).get("sources", [])
        sources = [volume.get("secret"), volume.get("configMap"), *(s["secret"] for s in projected)]
        for source in filter(None, sources):
            for item in source["items"]:
                found[f"{mounted[volume['name']]}/{item['path']}"] = b"what the platform brings"
    return found


def test_every_process_starts_with_what_it_is_given(objects: list[Object], tmp_path: Path) -> None:
    for pod in _of_services(objects):
        given = with_files_below(environment_of(objects, pod), files_of(pod), tmp_path / pod.owner)
        read = settings_from(ServiceName(pod.service), given)
        for name, value in read.model_dump().items():
            if isinstance(value, Path) and str(value).startswith(str(tmp_path)):
                assert value.exists(), f"{pod.owner}: {name}"


def test_every_setting_is_supplied_or_left_alone_for_a_reason(objects: list[Object]) -> None:
    for pod in _of_services(objects):
        known = {name.upper() for name in settings_class(ServiceName(pod.service)).model_fields}
        given = {name.removeprefix(PREFIX) for name in environment_of(objects, pod)}
        alone = {name.upper() for name in LEFT_AT_THE_DEFAULT} & known
        if pod.component not in ("consume", "relay"):
            alone |= {name.upper() for name in OF_KAFKA}
        assert given == known - alone, pod.owner


def test_a_setting_that_is_missing_would_be_found(objects: list[Object], tmp_path: Path) -> None:
    pod = next(pod for pod in _of_services(objects) if pod.component == "consume")
    given = with_files_below(environment_of(objects, pod), files_of(pod), tmp_path)
    for name in ("OIDC_ISSUER", "POSTGRES_DSN_FILE", "KAFKA_KEY_FILE"):
        without = {key: value for key, value in given.items() if key != PREFIX + name}
        with pytest.raises(ValidationError):
            settings_from(ServiceName(pod.service), without)


def test_all_services_take_the_tokens_of_one_issuer(objects: list[Object]) -> None:
    """Tickets and comparisons name an officer by subject alone (decision 0049)."""
    given = [(pod.service, environment_of(objects, pod)) for pod in _of_services(objects)]
    assert {service for service, _ in given} == set(ServiceName)
    assert len({environment[f"{PREFIX}OIDC_ISSUER"] for _, environment in given}) == 1


def test_processes_listen_where_their_ports_are(objects: list[Object]) -> None:
    for pod in _of_services(objects):
        given = environment_of(objects, pod)
        ports = {port["name"]: port["containerPort"] for port in pod.containers[0].get("ports", [])}
        for name, number in ports.items():
            assert given[f"{PREFIX}{name.upper()}_PORT"] == str(number), pod.owner
            assert given[f"{PREFIX}{name.upper()}_HOST"] == "0.0.0.0", pod.owner


def _of_services(objects: list[Object]) -> list[Pod]:
    return [pod for pod in pods(objects) if pod.service in set(ServiceName)]
