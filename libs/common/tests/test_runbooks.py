"""What a runbook tells people to type or to look at is there."""

import re
from pathlib import Path

import pytest
from runbook_commands import RUNBOOKS, commands

from epassport import metrics
from epassport.entrypoints import Command, parse_arguments


def test_there_are_commands_for_every_kind_of_alarm() -> None:
    assert {page.name for page in RUNBOOKS.glob("*.md")} >= {
        "parked-stream.md", "stuck-task.md", "overdue-deadline.md", "consumer-stopped.md",
    }  # fmt: skip
    assert len(commands()) > 10


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[:3]))
def test_every_command_of_the_runbooks_is_understood(words: tuple[str, ...]) -> None:
    package, *arguments = words
    known = {Command.OPERATE, Command.CHECK, Command.REBUILD, Command.RESTORE, Command.AUDIT}
    assert parse_arguments(package, arguments).command in known


def test_every_metric_that_a_runbook_names_exists() -> None:
    source = Path(metrics.__file__).read_text()
    for page in RUNBOOKS.glob("*.md"):
        for name in re.findall(r"`(epassport_[a-z_]+)`", page.read_text()):
            assert f'"{name}"' in source, (page.name, name)
