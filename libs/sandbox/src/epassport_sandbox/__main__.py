"""`python -m epassport_sandbox demo | up | pilot | duplicates`: what the Makefile calls."""

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from epassport_contracts import ServiceName
from epassport_sandbox import demo, guide, story
from epassport_sandbox.country import BLANKS
from epassport_sandbox.duplicates import run_duplicates, visits
from epassport_sandbox.errors import SandboxError
from epassport_sandbox.given import GivenSystem
from epassport_sandbox.pilot import SETTINGS, run_pilot
from epassport_sandbox.road import BIOMETRICS, ENROLLMENT
from epassport_sandbox.running import Session, open_given_session, open_session
from epassport_sandbox.stack import cancelled_by_sigterm
from epassport_sandbox.system import ALL

BUILD = Path("build")
LEAST_FINGERS = 8

Run = Callable[[int, Path, Console], Coroutine[Any, Any, int]]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    folder = BUILD / _folder(options)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    console = Console(highlight=False)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(
                _cancellable(_run(options), options.citizens, folder.resolve(), console)
            )
    except KeyboardInterrupt:
        console.print("stopped")
        return 130
    except SandboxError as fault:
        console.print(f"[red]{fault}[/]")
        return 1
    except ExceptionGroup as group:
        told, untold = group.split(SandboxError)
        if told is None or untold is not None:
            raise
        for leaf in _leaves(told):
            console.print(f"[red]{leaf}[/]")
        return 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m epassport_sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, count in (("demo", 25), ("up", 25), ("pilot", 1000), ("duplicates", 2000)):
        command = commands.add_parser(name)
        command.add_argument("--citizens", type=int, default=count, metavar="N")
        if name == "demo":
            command.add_argument(
                "--given", action="store_true", help="on the system that the environment names"
            )
        if name == "pilot":
            command.add_argument("--images", choices=("on", "off"), default="on")
    return parser.parse_args(arguments)


def _folder(options: argparse.Namespace) -> str:
    without_images = options.command == "pilot" and options.images == "off"
    return "pilot-without-images" if without_images else str(options.command)


def _run(options: argparse.Namespace) -> Run:
    match options.command:
        case "demo":
            return _demo_on_given if options.given else _demo
        case "up":
            return _up
        case "pilot":
            return partial(_pilot, images=options.images == "on")
        case _:
            return _duplicates


async def _cancellable(run: Run, citizens: int, folder: Path, console: Console) -> int:
    with cancelled_by_sigterm():
        return await run(citizens, folder, console)


def _leaves(group: ExceptionGroup[SandboxError]) -> list[SandboxError]:
    """Faults of several parts at once, flat."""
    found: list[SandboxError] = []
    for fault in group.exceptions:
        found += _leaves(fault) if isinstance(fault, ExceptionGroup) else [fault]
    return found


async def _demo(citizens: int, folder: Path, console: Console) -> int:
    async with _open(folder, citizens, console) as session:
        facts, _ = await demo.perform(session, citizens, folder, console)
    return facts.exit_code


async def _demo_on_given(citizens: int, folder: Path, console: Console) -> int:
    given = GivenSystem()
    fingers = max(citizens, LEAST_FINGERS)
    async with open_given_session(
        given, folder / "system", fingers=fingers, say=partial(_say, console)
    ) as session:
        facts, _ = await demo.perform(
            session, citizens, folder, console, verify=given.verify_command
        )
    return facts.exit_code


async def _up(citizens: int, folder: Path, console: Console) -> int:
    async with _open(folder, citizens, console) as session:
        facts, followed = await demo.perform(session, citizens, folder, console)
        guide.show(console, session, followed, folder / "as")
        console.print("\nEverything stays up until Ctrl-C.")
        await session.system.processes.watch()
    return facts.exit_code


async def _pilot(citizens: int, folder: Path, console: Console, *, images: bool) -> int:
    fingers = citizens if images else 0
    async with _open(folder, citizens, console, fingers=fingers, settings=SETTINGS) as session:
        with story.progress(console, "citizens on the road", citizens) as advance:
            result = await run_pilot(session, citizens, advance, images=images)
        console.print(story.steps_table(session.road.steps))
    text = json.dumps(result, indent=2, ensure_ascii=False)
    (folder / "result.json").write_text(text)
    console.print(text)
    return 0 if result["invariants_hold"] else 1


async def _duplicates(citizens: int, folder: Path, console: Console) -> int:
    """One in a hundred comes twice, and at least one."""
    async with _open(folder, citizens, console, services=(ENROLLMENT, BIOMETRICS)) as session:
        planted = max(citizens // 100, 1)
        everybody = visits(citizens, planted, session.system.clock.now().date())
        with story.progress(console, "enrolments", len(everybody)) as advance:
            result = await run_duplicates(session.road, everybody, advance)
    text = json.dumps(result, indent=2, ensure_ascii=False)
    (folder / "result.json").write_text(text)
    console.print(text)
    return 0 if result["holds"] else 1


def _open(
    folder: Path,
    citizens: int,
    console: Console,
    *,
    fingers: int | None = None,
    services: Sequence[ServiceName] = ALL,
    settings: Mapping[str, str] | None = None,
) -> AbstractAsyncContextManager[Session]:
    """fingers: of how many people, where not of all."""
    return open_session(
        folder / "system",
        fingers=max(citizens if fingers is None else fingers, LEAST_FINGERS),
        services=services,
        settings=settings,
        blanks=max(2 * citizens, BLANKS),  # replacements and cards that are made anew take one, too
        say=partial(_say, console),
    )


def _say(console: Console, text: str) -> None:
    console.print(f"[dim]·[/] {text}")


if __name__ == "__main__":
    sys.exit(main())
