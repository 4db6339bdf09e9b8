"""What a container is shown and told; the containers themselves are in tests/containers."""

import os
from pathlib import Path

import pytest

from epassport_contracts import ServiceName
from epassport_sandbox import images
from epassport_sandbox.containers import mounts_for, owner_of
from epassport_sandbox.errors import StackUnavailable
from epassport_sandbox.kafka import environment_of_broker
from epassport_sandbox.stack import KAFKA_VARIABLE, POSTGRES_VARIABLE, STACK_VARIABLE, open_stack


def test_a_container_sees_the_files_its_environment_names_and_no_others(tmp_path: Path) -> None:
    for name in ("own", "others", "time/offset", "keys/root"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    environment = {
        "EPASSPORT_KEY_STORE": f"file:{tmp_path}/own",
        "EPASSPORT_CLOCK_FILE": f"{tmp_path}/time/offset",
        "EPASSPORT_ENGINE_LIBS": str(tmp_path),
        "EPASSPORT_OIDC_ISSUER": "http://127.0.0.1:1",
    }
    assert mounts_for(["--keys", f"{tmp_path}/keys"], environment) == {
        tmp_path / "own": "ro",
        tmp_path / "time": "ro",
        tmp_path / "keys": "rw",
    }


def test_a_broker_in_a_container_has_the_settings_of_the_embedded_one() -> None:
    told = environment_of_broker(9092, 9093, data="/data")
    assert told["KAFKA_LISTENERS"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"
    assert (told["KAFKA_LOG_DIRS"], told["KAFKA_AUTO_CREATE_TOPICS_ENABLE"]) == ("/data", "false")


def test_each_image_is_named_by_its_own_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPASSPORT_CLOUD_PROFILE_IMAGE", "somewhere/else:7")
    names = images.image_names()
    assert names[images.variable_of(ServiceName.CLOUD_PROFILE)] == "somewhere/else:7"
    assert {*images.UPSTREAM, *map(images.variable_of, ServiceName)} <= names.keys()


def test_a_process_id_that_is_used_again_is_another_owner() -> None:
    assert owner_of(os.getpid()) == owner_of(os.getpid())
    assert owner_of(os.getpid()) != owner_of(os.getppid())


async def test_who_asks_for_containers_that_cannot_be_had_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in (POSTGRES_VARIABLE, KAFKA_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(STACK_VARIABLE, "containers")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    with pytest.raises(StackUnavailable, match="no container engine answers"):
        async with open_stack():
            pass
