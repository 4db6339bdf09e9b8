"""What `make demo`, `make up` and `make pilot` show, in a smaller size and to the end of it.

Before the broken records of other files: the pilot checks the invariants over all data.
"""

import asyncio
import io
import json
import re
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from PIL import Image
from rich.console import Console

from epassport_contracts import ServiceName
from epassport_sandbox import demo, guide
from epassport_sandbox.client import until
from epassport_sandbox.fingerprints import fingerprint_set
from epassport_sandbox.pilot import run_pilot
from epassport_sandbox.pytest_plugin import PEOPLE
from epassport_sandbox.road import Captures, Road
from epassport_sandbox.running import IMPRESSIONS, Fingers, Session
from epassport_sandbox.shown import Facts, Followed

CITIZENS, PILOTS, TROUPE = 8, 6, 1
FIRST, FINGERS = PEOPLE + 60, 12  # behind those of the duplicates that another file plants
PICTURES = {f"card-{side}.png" for side in ("front", "back")} | {
    f"card-qr-{name}.png" for name in ("small", "identity")
}
TEXTS = {"card-qr-small.txt", "card-qr-identity.txt", "public-events.jsonl", "summary.json"}
SIGNED = {"trust-list.jwt", "status-list.jwt", "offline-pack.jwt", "trust-list-key.pem"}
CHIP = {"EF.COM", "EF.SOD", "DG1", "DG2", "DG15"}


@dataclass(frozen=True)
class Shown:
    session: Session
    folder: Path
    facts: Facts
    followed: Followed
    printed: str

    @property
    def summary(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads((self.folder / "summary.json").read_text())
        return read


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def session(epassport: Session) -> Session:
    """With fingers that nobody else here has, and steps of its own."""
    made = Fingers(fingerprint_set(FIRST + FINGERS, IMPRESSIONS), first=FIRST)
    now = epassport.system.clock.now
    captures = Captures(made.impression, now().date())
    return replace(epassport, road=Road(epassport.client, epassport.country, captures, now))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shown(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return await _demo(session, CITIZENS, tmp_path_factory.mktemp("demo"))


async def _demo(session: Session, citizens: int, folder: Path) -> Shown:
    out = io.StringIO()
    console = Console(file=out, width=100)
    facts, followed = await demo.perform(session, citizens, folder, console, troupe=TROUPE)
    return Shown(session, folder, facts, followed, out.getvalue())


async def test_every_expectation_of_the_demo_holds(shown: Shown) -> None:
    assert [said for said, held in shown.facts.expectations.items() if not held] == []
    assert len(shown.facts.expectations) >= 18
    assert shown.facts.exit_code == 0
    held = len(shown.facts.expectations)
    assert shown.printed.endswith(f"{held} of {held} expectations held.\n")


async def test_the_demo_leaves_pictures_that_open_and_everything_a_verifier_needs(
    shown: Shown,
) -> None:
    names = {path.name for path in shown.folder.iterdir()}
    assert names == PICTURES | TEXTS | SIGNED | {"chip"}
    for name in PICTURES:
        with Image.open(shown.folder / name) as picture:
            picture.load()
            assert picture.format == "PNG"
            assert min(picture.size) > 100
    assert {path.stem for path in (shown.folder / "chip").iterdir()} >= CHIP
    assert all(path.stat().st_size > 0 for path in shown.folder.rglob("*"))


async def test_the_summary_says_what_was_printed(shown: Shown) -> None:
    told, checks = shown.summary, shown.summary["checks"]
    assert told["expectations"] == shown.facts.expectations
    assert sum(line["citizens"] for line in told["outcomes"]) == CITIZENS
    before, shop, bank, card, phone, after = checks.values()
    assert (before["outcome"], before["claims"]) == ("good", {"over_18": True})
    assert (shop["outcome"], shop["claims"]) == ("good", {"over-18": True})
    surname = shown.followed.walk.citizen.surname
    assert (bank["outcome"], bank["claims"]["surname"]) == ("good", surname)
    for refused in (card, phone, after):
        assert (refused["outcome"], refused["reason"]) == ("refused", "suspended")
    assert 0 < card["milliseconds"] <= phone["milliseconds"]
    assert all("fresh_as_of" in check for check in checks.values())
    for sentence in checks:
        assert sentence in shown.printed
    lines = (shown.folder / "public-events.jsonl").read_text().splitlines()
    published = [json.loads(line)["data"]["status"] for line in lines]
    assert [event["status"] for event in told["public_events"]] == published
    assert set(told["steps_ms"]) == set(shown.session.road.steps.seconds)
    assert len(told["timeline"]) == len(shown.followed.timeline) > 0


async def test_every_command_that_make_up_prints_works(shown: Shown, tmp_path: Path) -> None:
    """One for each person and in their order: the last makes the shop refuse the card."""
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    out = io.StringIO()
    guide.show(Console(file=out, width=100), shown.session, shown.followed, tmp_path / "as")
    printed = out.getvalue().splitlines()
    commands = [line for line in printed if line.startswith("curl -sSH")]
    assert len(commands) == 15
    answers: dict[str, Any] = {}
    for line in commands:
        status, answer = await _pasted(line)
        assert status == 200, (line, answer)
        (person,) = re.findall(r"/as/([-a-z0-9]+)", line)
        answers[person] = answer
    operator = shown.followed.walk.office.operator.subject
    mine = str(shown.followed.walk.application_id)
    assert mine in [work["application_id"] for work in answers[operator]]
    assert (answers["verifier-1"]["outcome"], answers["verifier-1"]["claims"]) == (
        "good", {"over-18": True}
    )  # fmt: skip
    (shop,) = (line for line in commands if "/as/verifier-1 " in line)
    await until(lambda: _pasted(shop), lambda told: told[1]["outcome"] == "refused",
                what="the shop to be told of the loss")  # fmt: skip


async def _pasted(line: str) -> tuple[int, Any]:
    """Status and answer of a curl command, given to a shell as it stands."""
    pipe = asyncio.subprocess.PIPE
    shell = await asyncio.create_subprocess_shell(f"{line} -w '\\n%{{http_code}}'", stdout=pipe)
    told, _ = await asyncio.wait_for(shell.communicate(), 30)
    body, status = told.decode().rsplit("\n", 1)
    return int(status), json.loads(body)


async def test_make_up_prints_the_database_of_each_service(shown: Shown, tmp_path: Path) -> None:
    out = io.StringIO()
    guide.show(Console(file=out, width=100), shown.session, shown.followed, tmp_path / "as")
    printed = re.findall(r"psql (\S+)", out.getvalue())
    assert len(printed) == len(ServiceName)
    for dsn in printed:
        (address,) = shlex.split(dsn)
        connection = await asyncpg.connect(address)
        try:
            assert await connection.fetchval("SELECT count(*) FROM events") > 0
        finally:
            await connection.close()


async def test_a_demo_in_which_an_expectation_fails_ends_with_1(
    shown: Shown, tmp_path: Path
) -> None:
    """The same people once more, and one whom nobody has seen: all the others have applied."""
    again = await _demo(shown.session, CITIZENS + 1, tmp_path)
    failed = [said for said, held in again.facts.expectations.items() if not held]
    assert "67, without a phone: passport in force" in failed
    assert again.facts.exit_code == 1
    assert again.summary["expectations"]["67, without a phone: passport in force"] is False
    held = len(again.facts.expectations) - len(failed)
    assert again.printed.endswith(f"{held} of {held + len(failed)} expectations held.\n")


async def test_the_pilot_tells_throughput_latency_cpu_and_whether_the_invariants_hold(
    session: Session,
) -> None:
    seen: list[None] = []
    result = await run_pilot(session, PILOTS, lambda: seen.append(None))
    assert (result["citizens"], result["passports"], len(seen)) == (PILOTS, PILOTS, PILOTS)
    assert result["passports_per_second"] > 0
    steps = {"apply", "capture", "approve", "make the card", "hand over", "come into force"}
    assert steps <= set(result["latency_ms"])
    assert all(0 < step["p50"] <= step["p99"] for step in result["latency_ms"].values())
    assert {service.value for service in ServiceName} <= set(result["cpu_seconds"])
    assert result["invariants_hold"] is True, result["invariants"]
    checked = result["invariants"].pop("checked")
    assert checked["records on topics"] > 0
    assert set(result["invariants"].values()) == {"holds"}
