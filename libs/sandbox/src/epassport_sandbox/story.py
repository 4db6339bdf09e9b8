"""How the demo tells what happened: tables, a timeline, a code in the terminal, files."""

import base64
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from epassport_contracts import ServiceName
from epassport_credentials.qr_symbol import qr_modules, qr_png
from epassport_credentials.verifier import Verdict
from epassport_sandbox.people import CARD_INSPECTOR
from epassport_sandbox.road import CARDS, Steps
from epassport_sandbox.running import Session
from epassport_sandbox.shown import Facts, Followed, Refusal


@contextmanager
def progress(console: Console, what: str, total: int) -> Iterator[Callable[[], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def outcomes(console: Console, facts: Facts) -> None:
    table = Table("who", "outcome", "citizens", title="Outcomes")
    for (role, outcome), count in facts.outcomes.items():
        table.add_row(role, outcome, str(count))
    console.print(table)


def tell(console: Console, session: Session, followed: Followed) -> None:
    """The followed passport, from the first event to the replacement."""
    console.print(steps_table(session.road.steps))
    table = Table(
        "after", "service", "event", title="One passport, as the services told each other"
    )
    start = followed.timeline[0].written_at_ms if followed.timeline else 0
    for record in followed.timeline:
        after = f"{(record.written_at_ms - start) / 1000:7.2f} s"
        table.add_row(after, record.service, record.type)
    console.print(table)
    console.print("The small code on its card (no personal data):")
    console.print(terminal_code(followed.small_code), highlight=False, soft_wrap=True)
    for sentence, told in checks(followed).items():
        console.print(f"{sentence}: {_words(told)}", soft_wrap=True)
    public = Table("time", "document", "status", "why", title="What an agency saw")
    for event in public_facts(followed):
        public.add_row(event["at"][11:23], f"{event['document_ref'][:8]}…", event["status"],
                       event["why"])  # fmt: skip
    console.print(public)


def checks(followed: Followed) -> dict[str, dict[str, Any]]:
    """What each check of the followed passport told, in the order in which they were made."""
    return {
        "Offline, before the loss": _offline(followed.offline),
        "Age check by phone, all the shop sees": _seen(followed.shop_saw),
        "Identification by card, all the bank sees": _seen(followed.bank_saw),
        "Loss reported, then the card online": _refusal(followed.card_refused),
        "Loss reported, then the phone online": _refusal(followed.phone_refused),
        "Offline, with a new pack": _offline(followed.offline_after),
    }


def _offline(verdict: Verdict | None) -> dict[str, Any]:
    """Freshness is the moment whose knowledge decided."""
    if verdict is None:
        return {}
    as_of = None if verdict.as_of is None else verdict.as_of.isoformat()
    told = {"outcome": verdict.outcome, "reason": verdict.reason, "claims": dict(verdict.shown),
            "fresh_as_of": as_of}  # fmt: skip
    return {name: value for name, value in told.items() if value}


def _seen(answer: Mapping[str, Any]) -> dict[str, Any]:
    told = ("outcome", "reason", "claims", "fresh_as_of")
    return {name: answer[name] for name in told if answer.get(name)}


def _refusal(refusal: Refusal | None) -> dict[str, Any]:
    if refusal is None:
        return {}
    return {**_seen(refusal.answer), "milliseconds": round(refusal.milliseconds)}


def _words(told: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())


def public_facts(followed: Followed) -> list[dict[str, str]]:
    return [
        {
            "at": event["data"]["effective_at"],
            "document_ref": event["data"]["document_ref"],
            "status": event["data"]["status"],
            "why": event["data"]["reason_class"],
        }
        for event in followed.public_events
    ]


def steps_table(steps: Steps) -> Table:
    table = Table("step", "times", "median ms", "slowest ms", title="Time per step")
    for step, seconds in steps.seconds.items():
        median, slowest = statistics.median(seconds) * 1000, max(seconds) * 1000
        table.add_row(step, str(len(seconds)), f"{median:.0f}", f"{slowest:.0f}")
    return table


def terminal_code(text: str) -> str:
    """Two modules in one character; dark modules are blank on the bright quiet zone."""
    rows = [[False, *row, False] for row in qr_modules(text)]
    blank = [False] * len(rows[0])
    rows = [blank, *rows, blank, *([blank] if len(rows) % 2 else [])]
    pairs = zip(rows[::2], rows[1::2], strict=True)
    glyphs = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}
    return "\n".join(
        "".join(glyphs[upper, lower] for upper, lower in zip(top, bottom, strict=True))
        for top, bottom in pairs
    )


def verdict(console: Console, facts: Facts, folder: Path, verify: str) -> None:
    for sentence, holds in facts.expectations.items():
        console.print(f"[green]✓[/] {sentence}" if holds else f"[red]✗ {sentence}[/]")
    console.print(f"Files: {folder}")
    console.print("Check its card without network:")
    console.print(f"  {check_command(folder, verify)}", soft_wrap=True, highlight=False)
    held = sum(facts.expectations.values())
    console.print(f"{held} of {len(facts.expectations)} expectations held.")


def own_verify() -> str:
    return from_here(Path(sys.executable).parent / "epassport-verify")


def check_command(folder: Path, verify: str) -> str:
    """What a newcomer can paste into the shell in which the demo ran."""
    shown = from_here(folder)
    return (
        f"{verify} {shown}/card-front.png --sandbox --pack {shown}/offline-pack.jwt"
        f" --trust-list {shown}/trust-list.jwt --key {shown}/trust-list-key.pem"
    )


def from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


async def fetch_files(session: Session, followed: Followed) -> dict[str, bytes]:
    """Card faces and codes as PNG, the chip's files, signed lists, public events; by name."""
    client, ref = session.client, followed.walk.ref
    found: dict[str, bytes] = {}
    for side in ("front", "back"):
        found[f"card-{side}.png"] = await client.octets(
            CARDS, f"/cards/{ref}/faces/{side}", CARD_INSPECTOR
        )
    for name, code in (("small", followed.small_code), ("identity", followed.identity_code)):
        found[f"card-qr-{name}.png"] = qr_png(code, pixels_per_module=6)
        found[f"card-qr-{name}.txt"] = code.encode()
    files = await client.query(CARDS, f"/cards/{ref}/files", CARD_INSPECTOR)
    for name, text in files.items():
        found[f"chip/{name}.bin"] = base64.b64decode(text)
    for name, path in (
        ("trust-list.jwt", "/trust-list"),
        ("status-list.jwt", "/status-lists/1"),
        ("offline-pack.jwt", "/offline-pack"),
    ):
        found[name] = await client.octets(ServiceName.VERIFICATION, path)
    (trusted,) = session.trust_list_keys()
    found["trust-list-key.pem"] = trusted.public_key.public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    lines = [json.dumps(event, ensure_ascii=False) for event in followed.public_events]
    found["public-events.jsonl"] = ("\n".join(lines) + "\n").encode()
    return found


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, octets in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(octets)


def summary(session: Session, followed: Followed, facts: Facts) -> dict[str, Any]:
    """What was printed, for programs."""
    return {
        "expectations": facts.expectations,
        "outcomes": [
            {"who": role, "outcome": outcome, "citizens": count}
            for (role, outcome), count in facts.outcomes.items()
        ],
        "steps_ms": {
            step: {
                "times": len(seconds),
                "median": round(statistics.median(seconds) * 1000, 1),
                "slowest": round(max(seconds) * 1000, 1),
            }
            for step, seconds in session.road.steps.seconds.items()
        },
        "timeline": [
            {"service": record.service, "event": record.type, "at": record.time.isoformat()}
            for record in followed.timeline
        ],
        "checks": checks(followed),
        "public_events": public_facts(followed),
    }
