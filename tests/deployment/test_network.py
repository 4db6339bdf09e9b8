"""Who may reach whom, computed from the policies as Kubernetes reads them: what no policy allows,
is denied. Compared with the contracts: Kafka is open to who produces or consumes, and to nobody
else; no service reaches another."""

import copy
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from epassport.preflight import topics_of
from epassport.settings import PREFIX
from epassport_contracts import ServiceName
from epassport_contracts.registry import TOPICS
from tests.deployment.rendered import Object, Pod, of_kind, pods, selects
from tests.deployment.test_settings import environment_of

NAMESPACE = "kubernetes.io/metadata.name"
DNS, KAFKA, POSTGRES, IDENTITY = "kube-system", "kafka", "postgres", "identity"
GATEWAY, MONITORING = "gateway", "monitoring"
type_of = {"Ingress": "from", "Egress": "to"}

Peers = set[tuple[str, object]]


def peers(objects: list[Object], pod: Pod, direction: str) -> Peers:
    """(namespace, port) of everything that the pod may call, or that may call it.

    Raises AssertionError for a policy of a form that this reading does not know.
    """
    found: Peers = set()
    applying = [p for p in _policies(objects, direction) if selects(p["podSelector"], pod.labels)]
    assert applying, "no policy applies: everything is allowed"
    for rule in (rule for p in applying for rule in p.get(direction.lower(), [])):
        others, ports = rule[type_of[direction]], rule["ports"]
        assert others, "an empty list allows everybody"
        assert ports, "an empty list allows every port"
        for other in others:
            assert other.keys() <= {"namespaceSelector", "podSelector"}
            assert other["namespaceSelector"].keys() == {"matchLabels"}, "never a whole cluster"
            namespace = other["namespaceSelector"]["matchLabels"][NAMESPACE]
            found |= {(namespace, port["port"]) for port in ports}
    return found


def _policies(objects: list[Object], direction: str) -> Iterator[Object]:
    for policy in of_kind(objects, "NetworkPolicy"):
        if direction in policy["spec"]["policyTypes"]:
            yield policy["spec"]


def test_whatever_no_policy_allows_is_denied(objects: list[Object]) -> None:
    specs = {p["metadata"]["name"]: p["spec"] for p in of_kind(objects, "NetworkPolicy")}
    assert specs["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_each_process_calls_what_it_needs_and_nothing_else(objects: list[Object]) -> None:
    for pod in _of_services(objects):
        wanted: Peers = {(DNS, 53), (POSTGRES, 5432)}
        if needs_kafka(pod):
            wanted.add((KAFKA, 9093))
        if pod.component == "serve":
            wanted.add((IDENTITY, 443))
        assert peers(objects, pod, "Egress") == wanted, pod.owner


def needs_kafka(pod: Pod) -> bool:
    """By the contracts: who consumes any topic consumes, who produces any relays."""
    service = ServiceName(pod.service)
    consumes = any(service in spec.consumers for topic in TOPICS for spec in topic.events)
    produces = any(service in topic.producers for topic in topics_of(service))
    return (pod.component == "consume" and consumes) or (pod.component == "relay" and produces)


def test_only_the_gateway_calls_serve_and_only_monitoring_the_others(objects: list[Object]) -> None:
    for pod in _of_services(objects):
        ports = {port["name"] for port in pod.containers[0].get("ports", [])}
        called = {peer for peer in peers(objects, pod, "Ingress") if peer[1] in ports}
        match pod.component:
            case "serve":
                assert called == {(GATEWAY, "http"), (MONITORING, "http")}, pod.owner
            case "migrate" | "filter-audit":
                assert called == set(), pod.owner
            case _:
                assert called == {(MONITORING, "health")}, pod.owner


def test_the_topics_job_calls_kafka_alone(objects: list[Object]) -> None:
    (pod,) = [pod for pod in pods(objects) if pod.service == "topics"]
    assert peers(objects, pod, "Egress") == {(DNS, 53), (KAFKA, 9093)}
    assert peers(objects, pod, "Ingress") == set()


def test_addresses_in_the_settings_lie_where_the_policies_lead(objects: list[Object]) -> None:
    for pod in _of_services(objects):
        given = environment_of(objects, pod)
        kafka = urlsplit(f"//{given[PREFIX + 'KAFKA_BOOTSTRAP']}")
        keys = urlsplit(given[PREFIX + "OIDC_JWKS_URL"])
        assert (kafka.hostname or "").split(".")[1] == KAFKA
        assert kafka.port == 9093
        assert (keys.hostname or "").split(".")[1] == IDENTITY
        assert (keys.scheme, keys.port) == ("https", None)


def test_a_policy_that_opens_too_much_would_be_found(objects: list[Object]) -> None:
    pod = next(pod for pod in _of_services(objects) if pod.component == "serve")
    opened = copy.deepcopy(objects)
    policy = next(p for p in of_kind(opened, "NetworkPolicy") if "to-postgres" in str(p))
    policy["spec"]["podSelector"] = {}
    policy["spec"]["egress"][0]["to"] = []
    with pytest.raises(AssertionError, match="everybody"):
        peers(opened, pod, "Egress")


def _of_services(objects: list[Object]) -> list[Pod]:
    return [pod for pod in pods(objects) if pod.service in set(ServiceName)]
