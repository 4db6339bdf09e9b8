"""Every pod passes Pod Security "restricted" and what we ask beyond it.

Restricted: https://kubernetes.io/docs/concepts/security/pod-security-standards/ (its controls for
Linux pods). Beyond: numeric user, read-only root, no token, probes, bounded memory.
"""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.deployment.rendered import Object, Pod, pods

USER = 10001
VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)


def restricted_faults(spec: Object) -> Iterator[str]:
    for flag in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(flag):
            yield flag
    pod = spec.get("securityContext", {})
    if pod.get("sysctls"):
        yield "sysctls"
    for volume in spec.get("volumes", []):
        if not volume.keys() - {"name"} <= VOLUMES:
            yield f"volume {volume['name']}"
    for container in [*spec.get("initContainers", []), *spec["containers"]]:
        for fault in _container_faults(pod, container.get("securityContext", {})):
            yield f"{container['name']}: {fault}"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield f"{container['name']}: hostPort"


def _container_faults(pod: Object, own: Object) -> Iterator[str]:
    both = {**pod, **own}
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "capabilities.drop"
    if not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}:
        yield "capabilities.add"
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if both.get("runAsUser") == 0:
        yield "runAsUser"
    if both.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if "procMount" in own and own["procMount"] != "Default":
        yield "procMount"


def test_every_pod_passes_restricted(objects: list[Object]) -> None:
    found = [(pod.owner, fault) for pod in pods(objects) for fault in restricted_faults(pod.spec)]
    assert found == []


def test_the_namespace_enforces_it(objects: list[Object]) -> None:
    (namespace,) = [item for item in objects if item["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    others = {item["metadata"].get("namespace") for item in objects if item is not namespace}
    assert others == {namespace["metadata"]["name"]}


def _container(change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda spec: change(spec["containers"][0]["securityContext"])


@pytest.mark.parametrize(
    "harm",
    [
        lambda spec: spec.update(hostNetwork=True),
        lambda spec: spec["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
        lambda spec: spec["securityContext"].pop("seccompProfile"),
        lambda spec: spec["securityContext"].pop("runAsNonRoot"),
        lambda spec: spec["containers"][0].pop("securityContext"),
        _container(lambda own: own.update(runAsUser=0)),
        _container(lambda own: own.update(privileged=True)),
        _container(lambda own: own.pop("allowPrivilegeEscalation")),
        _container(lambda own: own["capabilities"].update(drop=["NET_RAW"])),
        _container(lambda own: own["capabilities"].update(add=["SYS_ADMIN"])),
        lambda spec: spec["containers"][0].update(ports=[{"containerPort": 1, "hostPort": 1}]),
    ],
)
def test_the_check_finds_what_restricted_forbids(
    objects: list[Object], harm: Callable[[Any], object]
) -> None:
    spec = copy.deepcopy(next(pods(objects)).spec)
    harm(spec)
    assert list(restricted_faults(spec)) != []


def test_every_pod_runs_as_the_images_user_without_a_token(objects: list[Object]) -> None:
    for pod in pods(objects):
        security = pod.spec["securityContext"]
        assert (security["runAsUser"], security["fsGroup"]) == (USER, USER), pod.owner
        assert pod.spec["automountServiceAccountToken"] is False, pod.owner
        assert pod.spec["enableServiceLinks"] is False, pod.owner


def test_no_container_may_write_but_where_room_is_bounded(objects: list[Object]) -> None:
    for pod in pods(objects):
        room = {v["name"]: v["emptyDir"] for v in pod.spec["volumes"] if "emptyDir" in v}
        assert all("sizeLimit" in bounds for bounds in room.values()), pod.owner
        for container in pod.containers:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, pod.owner
            writable = {m["name"] for m in container["volumeMounts"] if not m.get("readOnly")}
            assert writable == room.keys(), pod.owner


def test_every_container_states_what_it_needs(objects: list[Object]) -> None:
    for pod in pods(objects):
        for container in pod.containers:
            resources = container["resources"]
            assert resources["requests"].keys() == {"cpu", "memory"}, pod.owner
            assert resources["limits"].keys() == {"memory"}, pod.owner


def test_every_process_is_probed_where_it_listens(objects: list[Object]) -> None:
    for pod in _processes(objects):
        (container,) = pod.containers
        listens = {port["name"] for port in container["ports"]}
        expected = {
            "startupProbe": "/livez",
            "livenessProbe": "/livez",
            "readinessProbe": "/readyz",
        }
        for probe, path in expected.items():
            asked = container[probe]["httpGet"]
            assert asked["path"] == path, pod.owner
            assert asked["port"] in listens, pod.owner
        # What probes wait for must be longer than the check behind /readyz may take.
        assert container["readinessProbe"]["timeoutSeconds"] > 2, pod.owner


def test_a_pod_has_time_to_stop(objects: list[Object]) -> None:
    """preStop counts against the grace, and so do fifteen seconds of our own (entrypoints)."""
    for pod in _processes(objects):
        (container,) = pod.containers
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        grace = pod.spec["terminationGracePeriodSeconds"]
        assert grace >= pause + 15 + 10, pod.owner


def test_no_image_is_taken_by_a_moving_name(objects: list[Object]) -> None:
    for pod in pods(objects):
        for container in pod.containers:
            _, _, tag = container["image"].partition(":")
            assert tag not in ("", "latest"), pod.owner


def _processes(objects: list[Object]) -> Iterator[Pod]:
    return (pod for pod in pods(objects) if pod.owner.startswith("Deployment/"))
