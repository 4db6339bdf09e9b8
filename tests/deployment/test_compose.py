"""docker-compose.yml without an engine: valid, closed, and every service gets its settings."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compose_spec
import pytest

from epassport.entrypoints import Command
from epassport.settings import PREFIX
from epassport_contracts import ServiceName
from tests.deployment import compose
from tests.deployment.services import (
    build_service,
    settings_class,
    settings_from,
    with_files_below,
)

CONFIG_SECONDS = 60
SPLIT = (Command.CONSUME, Command.PROJECT, Command.RELAY, Command.TIMERS, Command.WORK)


def test_it_is_valid_by_the_compose_specification() -> None:
    read = _as_the_library_knows_it()
    assert compose_spec.PyCompose.from_json(json.dumps(read)).services is not None


def test_a_misspelt_value_is_a_fault() -> None:
    read = _as_the_library_knows_it()
    read["services"]["kafka"]["healthcheck"]["interval"] = "2 moments"
    with pytest.raises(ValueError, match=r"2 moments|duration"):
        compose_spec.PyCompose.from_json(json.dumps(read))


def test_compose_itself_reads_it() -> None:
    command = shutil.which("docker-compose")
    if command is None:
        pytest.skip("no docker-compose on this machine")
    done = subprocess.run(
        [command, "--file", str(compose.FILE), "config", "--quiet"],
        capture_output=True,
        text=True,
        timeout=CONFIG_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_nothing_listens_beyond_this_machine() -> None:
    ports = [port for one in compose.containers().values() for port in one.get("ports", [])]
    assert len(ports) >= len(ServiceName)
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_no_container_has_more_rights_than_it_needs() -> None:
    """PostgreSQL's own entrypoint changes its user, so it alone keeps its capabilities."""
    for name, one in compose.containers().items():
        assert not one.keys() & {"privileged", "pid", "ipc", "devices", "cgroup_parent"}, name
        assert one.get("network_mode") in (None, "none"), name
        assert "docker.sock" not in str(one.get("volumes")), name
        if name != "postgres":
            assert one["cap_drop"] == ["ALL"], name
            assert one["security_opt"] == ["no-new-privileges:true"], name
    with_rights = {n: one["cap_add"] for n, one in compose.containers().items() if "cap_add" in one}
    assert with_rights == {"keys": ["CHOWN", "DAC_OVERRIDE", "FOWNER"]}
    roots = {name for name, one in compose.containers().items() if one.get("user") == "0:0"}
    assert roots == {"keys"}, "it makes each secret readable for its one reader"


def test_every_image_has_a_pinned_version_and_one_variable() -> None:
    named: dict[str, set[str]] = {}
    for line in re.findall(r"image: \"?(\S+?)\"?[,\s]", compose.FILE.read_text()):
        found = compose.VARIABLE.fullmatch(line)
        assert found is not None, line
        named.setdefault(found.group(1), set()).add(found.group(2))
    assert {variable: len(images) for variable, images in named.items() if len(images) > 1} == {}
    for (image,) in named.values():
        _, _, tag = image.partition(":")
        assert re.match(r"v?\d", tag), image


def test_each_service_has_the_same_image_here_as_in_kubernetes() -> None:
    for service in ServiceName:
        assert compose.containers()[service]["image"] == f"epassport/{service}:0.1.0"


def test_every_lasting_container_says_how_it_is() -> None:
    for name, one in compose.containers().items():
        if compose.is_one_shot(one):
            assert one["healthcheck"] == {"disable": True}, name
        else:
            assert one["healthcheck"]["test"][0] == "CMD", name
            assert one["restart"].startswith("on-failure:"), f"{name}: for ever, without a reason"


def test_who_depends_waits_for_the_right_condition() -> None:
    containers = compose.containers()
    for name, one in containers.items():
        for other, how in one.get("depends_on", {}).items():
            once = compose.is_one_shot(containers[other])
            wanted = "service_completed_successfully" if once else "service_healthy"
            assert how["condition"] == wanted, f"{name} on {other}"
    for service in ServiceName:
        assert {f"{service}-migrate", "topics"} <= containers[service]["depends_on"].keys()


def test_each_service_can_run_whole_or_split() -> None:
    found = {name for name in compose.containers() if name.rsplit("-", 1)[-1] in SPLIT}
    assert found == {
        f"{service}-{command}"
        for service in ServiceName
        for command in SPLIT
        if command is not Command.WORK or build_service(service).works
    }
    for name in found:
        one = compose.containers()[name]
        assert one["command"] == [name.rsplit("-", 1)[1]]
        assert one["profiles"] == ["split"]


def test_all_services_take_the_tokens_of_one_issuer() -> None:
    given = [one["environment"][f"{PREFIX}OIDC_ISSUER"] for _, _, one in _of_services()]
    assert len(given) >= len(ServiceName)
    assert len(set(given)) == 1


def test_every_service_starts_with_what_it_is_given(tmp_path: Path) -> None:
    for name, service, one in _of_services():
        given = {key: str(value) for key, value in one["environment"].items()}
        paths = {p for v in given.values() if (p := v.removeprefix("file:")).startswith("/run/")}
        mounted = [volume.split(":")[1] for volume in one["volumes"]]
        assert [path for path in paths if str(Path(path).parent) not in mounted] == [], name
        placed = with_files_below(given, dict.fromkeys(paths, b"as it is made"), tmp_path / name)
        assert settings_from(service, placed).profile == "sandbox"


def test_a_service_is_given_no_setting_that_it_does_not_know() -> None:
    for name, service, one in _of_services():
        known = {f"{PREFIX}{field.upper()}" for field in settings_class(service).model_fields}
        assert one["environment"].keys() <= known, name


def test_no_service_reads_the_secrets_of_another() -> None:
    readers: dict[str, set[str]] = {}
    for _, service, one in _of_services():
        for volume in one["volumes"]:
            source, target, mode = volume.split(":")
            assert mode == "ro", volume
            if target.startswith("/run/secrets/"):
                readers.setdefault(source, set()).add(service)
    assert readers == {f"keys-{service}": {service} for service in ServiceName}


def test_no_secret_is_a_value() -> None:
    for name, one in compose.containers().items():
        environment = one.get("environment", {})
        suspicious = [k for k in environment if re.search(r"PASSWORD|PASSPHRASE|SECRET|TOKEN", k)]
        assert [key for key in suspicious if not key.endswith("_FILE")] == [], name


def _as_the_library_knows_it() -> dict[str, Any]:
    """It takes `on-failure`, but not the number of retries that the specification allows."""
    read = {key: part for key, part in compose.document().items() if not key.startswith("x-")}
    for one in read["services"].values():
        one["restart"] = one["restart"].partition(":")[0]
    return read


def _of_services() -> Iterator[tuple[str, ServiceName, dict[str, Any]]]:
    """Every container that runs a service's image with its settings."""
    for name, one in compose.containers().items():
        for service in ServiceName:
            if one["image"].startswith(f"epassport/{service}:") and "environment" in one:
                yield name, service, one
