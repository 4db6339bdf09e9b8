"""docker-compose.yml as Compose reads it with no variable set: merged, and with its defaults."""

import re
from typing import Any

import yaml

from tests.deployment.rendered import REPOSITORY

FILE = REPOSITORY / "docker-compose.yml"
VARIABLE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")


def text() -> str:
    """Every variable has a default: who sets none gets a system that runs."""
    written = VARIABLE.sub(lambda match: match.group(2), FILE.read_text())
    assert "$" not in re.sub(r"^\s*#.*$", "", written, flags=re.MULTILINE)
    return written


def document() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(text())
    return read


def containers() -> dict[str, dict[str, Any]]:
    """By name, merges resolved."""
    return document()["services"]


def is_one_shot(container: dict[str, Any]) -> bool:
    return container["restart"] == "no"
