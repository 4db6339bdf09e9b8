"""What kustomize makes of deploy/k8s, as plain objects."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).parents[2]
KUBERNETES = REPOSITORY / "deploy" / "k8s"
OVERLAYS = ("base", "overlays/dev")
RENDER_SECONDS = 60

Object = Mapping[str, Any]

SERVICE = "app.kubernetes.io/name"
COMPONENT = "app.kubernetes.io/component"


@dataclass(frozen=True)
class Pod:
    """A workload's pods. owner: kind/name of the Deployment, Job or CronJob."""

    owner: str
    labels: Mapping[str, str]
    spec: Object

    @property
    def service(self) -> str:
        return self.labels[SERVICE]

    @property
    def component(self) -> str | None:
        """The entrypoint; a Job of the platform has none."""
        return self.labels.get(COMPONENT)

    @property
    def containers(self) -> list[Object]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def render(kustomize: Path, overlay: str) -> list[Object]:
    done = subprocess.run(
        [str(kustomize), "build", str(KUBERNETES / overlay)],
        capture_output=True,
        text=True,
        timeout=RENDER_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def of_kind(objects: list[Object], *kinds: str) -> list[Object]:
    return [item for item in objects if item["kind"] in kinds]


def pods(objects: list[Object]) -> Iterator[Pod]:
    for item in of_kind(objects, "Deployment", "Job", "CronJob"):
        begun = item["spec"]["jobTemplate"] if item["kind"] == "CronJob" else item
        template = begun["spec"]["template"]
        owner = f"{item['kind']}/{item['metadata']['name']}"
        yield Pod(owner, template["metadata"]["labels"], template["spec"])


def selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """A label selector as Kubernetes reads it: an empty one selects everything."""
    wanted = selector.get("matchLabels", {}).items()
    if any(labels.get(key) != value for key, value in wanted):
        return False
    return all(_holds(rule, labels) for rule in selector.get("matchExpressions", []))


def _holds(rule: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(rule["key"])
    match rule["operator"]:
        case "In":
            return value in rule["values"]
        case "NotIn":
            return value not in rule["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case other:
            raise ValueError(f"no such operator: {other}")
