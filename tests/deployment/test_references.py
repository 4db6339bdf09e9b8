"""What one object says about another is true: selectors, ports, accounts, names of files."""

from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec

from biometrics import audit
from epassport.entrypoints import Command
from epassport_contracts import ServiceName
from tests.deployment.rendered import (
    COMPONENT,
    KUBERNETES,
    REPOSITORY,
    SERVICE,
    Object,
    Pod,
    of_kind,
    pods,
    selects,
)
from tests.deployment.services import build_service, package_of
from tests.deployment.test_settings import environment_of
from tools.kubernetes_versions import names

# What a Deployment runs for ever; `all` is for small installations, the others are run by people.
PROCESSES = (
    Command.SERVE,
    Command.CONSUME,
    Command.PROJECT,
    Command.RELAY,
    Command.WORK,
    Command.TIMERS,
)


def test_each_service_has_a_deployment_for_every_process_it_runs(objects: list[Object]) -> None:
    found = {(pod.service, pod.component) for pod in pods(objects) if "Deployment" in pod.owner}
    wanted = {
        (str(service), str(process))
        for service in ServiceName
        for process in PROCESSES
        if process is not Command.WORK or build_service(service).works
    }
    assert found == wanted


def test_a_process_is_named_and_started_by_its_entrypoint(objects: list[Object]) -> None:
    for pod in _of_services(objects):
        (container,) = pod.containers
        package = package_of(ServiceName(pod.service))
        if pod.owner.startswith("CronJob/"):
            _, _, module = container["command"]
            assert module.startswith(f"{package}."), pod.owner
            assert find_spec(module) is not None, pod.owner
        else:
            assert container["args"] == [pod.component], pod.owner
            assert container["command"] == ["python", "-m", package], pod.owner
        assert container["image"].startswith(f"epassport/{pod.service}:"), pod.owner
        assert pod.owner.split("/")[1].startswith(f"{pod.service}-{pod.component}"), pod.owner


def test_a_deployments_selector_selects_its_own_pods_alone(objects: list[Object]) -> None:
    for item in of_kind(objects, "Deployment"):
        name = f"Deployment/{item['metadata']['name']}"
        selected = [p.owner for p in pods(objects) if selects(item["spec"]["selector"], p.labels)]
        assert selected == [name]


def test_each_deployment_has_one_budget_that_lets_nodes_be_drained(objects: list[Object]) -> None:
    owners: Counter[str] = Counter()
    for budget in of_kind(objects, "PodDisruptionBudget"):
        (owner,) = [p.owner for p in pods(objects) if selects(budget["spec"]["selector"], p.labels)]
        owners[owner] += 1
        assert budget["spec"]["maxUnavailable"] == 1
    deployments = {f"Deployment/{d['metadata']['name']}" for d in of_kind(objects, "Deployment")}
    assert owners == Counter(deployments)


def test_a_service_leads_to_the_http_port_of_serve_alone(objects: list[Object]) -> None:
    for item in of_kind(objects, "Service"):
        selector = {"matchLabels": item["spec"]["selector"]}
        (pod,) = [pod for pod in pods(objects) if selects(selector, pod.labels)]
        assert (pod.service, pod.component) == (item["metadata"]["labels"][SERVICE], "serve")
        (port,) = item["spec"]["ports"]
        assert port["targetPort"] in {port["name"] for port in pod.containers[0]["ports"]}
    assert len(of_kind(objects, "Service")) == len(ServiceName)


def test_replicas_are_spread_over_nodes_and_zones_process_by_process(objects: list[Object]) -> None:
    for pod in _of_services(objects):
        if "Deployment" in pod.owner:
            rules = pod.spec["topologySpreadConstraints"]
            assert {rule["topologyKey"] for rule in rules} == {
                "kubernetes.io/hostname",
                "topology.kubernetes.io/zone",
            }
            assert all(selects(rule["labelSelector"], pod.labels) for rule in rules), pod.owner
            assert all(rule["matchLabelKeys"] == [COMPONENT] for rule in rules), pod.owner


def test_every_account_is_there_and_has_no_token(objects: list[Object]) -> None:
    accounts = {a["metadata"]["name"]: a for a in of_kind(objects, "ServiceAccount")}
    assert {pod.spec["serviceAccountName"] for pod in pods(objects)} == accounts.keys()
    for account in accounts.values():
        assert account["automountServiceAccountToken"] is False


def test_no_service_shares_its_account_or_secrets_with_another(objects: list[Object]) -> None:
    holders: dict[str, set[str]] = {}
    for pod in pods(objects):
        holders.setdefault(f"account {pod.spec['serviceAccountName']}", set()).add(pod.service)
        for secret in secrets_of(pod):
            holders.setdefault(f"secret {secret}", set()).add(pod.service)
    holders.pop("secret kafka-cluster-ca")  # public: who Kafka's brokers are
    assert {name: len(services) for name, services in holders.items() if len(services) > 1} == {}


def test_no_secret_is_written_down_or_put_into_the_environment(objects: list[Object]) -> None:
    assert of_kind(objects, "Secret") == []
    for pod in pods(objects):
        for container in pod.containers:
            sources = [*container.get("env", []), *container.get("envFrom", [])]
            assert all("secret" not in str(source.keys()).lower() for source in sources), pod.owner
            assert all("valueFrom" not in source for source in sources), pod.owner


def test_every_configuration_named_is_made_here_or_brought_by_the_platform_team(
    objects: list[Object],
) -> None:
    made = {item["metadata"]["name"] for item in of_kind(objects, "ConfigMap")}
    named = {name for pod in pods(objects) for name in _configurations(pod)}
    assert made <= named, "one that nobody reads"
    assert named - made == {"epassport-trust", "card-certificates"}


def test_the_page_lists_every_secret_and_file_that_the_platform_team_brings(
    objects: list[Object],
) -> None:
    page = (KUBERNETES / "README.md").read_text()
    brought = {secret for pod in pods(objects) for secret in secrets_of(pod)}
    for service in ServiceName:
        brought = {name.replace(f"{service}-", "<service>-") for name in brought}
    for name in [*brought, "epassport-trust", "card-certificates"]:
        assert f"`{name}`" in page


def test_jobs_carry_the_version_they_bring_a_cluster_to(objects: list[Object]) -> None:
    wanted = [path.parent.name + "-" + name for path, name in names()]
    wanted = [name.removeprefix("platform-") for name in wanted]
    jobs = of_kind(objects, "Job")
    assert sorted(job["metadata"]["name"] for job in jobs) == sorted(wanted)
    for job in jobs:
        assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
        assert job["spec"]["backoffLimit"] > 0
        assert job["spec"]["activeDeadlineSeconds"] > 0
        assert job["spec"]["ttlSecondsAfterFinished"] > 0


def test_the_filter_is_audited_every_night_wherever_it_is_used(objects: list[Object]) -> None:
    """And nowhere else: an exhaustive search leaves nothing to count."""
    (job,) = of_kind(objects, "CronJob")
    (pod,) = [pod for pod in pods(objects) if pod.owner.startswith("CronJob/")]
    assert (pod.service, pod.component) == (ServiceName.BIOMETRICS, audit.NAME)
    filtered = environment_of(objects, pod)["EPASSPORT_ENGINE_SEARCH"] == "filtered"
    assert job["spec"]["suspend"] is not filtered
    assert job["spec"]["schedule"].split()[2:] == ["*", "*", "*"], "every day"
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
    begun = job["spec"]["jobTemplate"]["spec"]
    assert begun["template"]["spec"]["restartPolicy"] == "Never"
    assert begun["activeDeadlineSeconds"] > 0
    assert begun["backoffLimit"] == 0, "asked again, it asks about others"


def test_the_audit_has_the_files_and_the_room_of_who_searches(objects: list[Object]) -> None:
    """It is written out by itself, beside the patches from which all other pods are made."""
    (own,) = [pod for pod in pods(objects) if pod.owner.startswith("CronJob/")]
    (work,) = [p for p in pods(objects) if (p.service, p.component) == (own.service, "work")]
    own_volumes, volumes = ({v["name"]: v for v in p.spec["volumes"]} for p in (own, work))
    assert own_volumes == volumes
    assert own.spec["securityContext"] == work.spec["securityContext"]
    for name in ("envFrom", "image", "resources", "securityContext"):
        assert own.containers[0][name] == work.containers[0][name], name
    own_mounts, mounts = (
        {m["name"]: m for m in p.containers[0]["volumeMounts"]} for p in (own, work)
    )
    assert own_mounts == mounts


def test_topics_and_access_rules_are_those_of_the_contracts(objects: list[Object]) -> None:
    (job,) = [job for job in of_kind(objects, "Job") if "topics" in job["metadata"]["name"]]
    (volume,) = [v for v in job["spec"]["template"]["spec"]["volumes"] if v["name"] == "script"]
    (script,) = [
        item
        for item in of_kind(objects, "ConfigMap")
        if item["metadata"]["name"] == volume["configMap"]["name"]
    ]
    generated = (REPOSITORY / "libs" / "contracts" / "apply-to-kafka.sh").read_text()
    assert script["data"] == {"apply-to-kafka.sh": generated}


def secrets_of(pod: Pod) -> Iterator[str]:
    for volume in pod.spec["volumes"]:
        if "secret" in volume:
            yield volume["secret"]["secretName"]
        for source in volume.get("projected", {}).get("sources", []):
            yield source["secret"]["name"]


def _configurations(pod: Pod) -> Iterator[str]:
    yield from (v["configMap"]["name"] for v in pod.spec["volumes"] if "configMap" in v)
    for container in pod.containers:
        yield from (source["configMapRef"]["name"] for source in container.get("envFrom", []))


def _of_services(objects: list[Object]) -> Iterator[Pod]:
    return (pod for pod in pods(objects) if pod.service in set(ServiceName))
