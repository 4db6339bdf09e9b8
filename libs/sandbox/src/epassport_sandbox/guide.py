"""What `make up` leaves a newcomer with: addresses, tokens, and for every role a command to paste.

A file for each person holds the headers of a request, so that commands stay readable.
"""

import json
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from epassport_contracts import ServiceName
from epassport_sandbox.country import AGE_CHECK
from epassport_sandbox.oidc import LIFETIME
from epassport_sandbox.people import (
    ADJUDICATORS,
    ADMINISTRATOR,
    AGENCY,
    BANK,
    BANK_CLERK,
    CARD_INSPECTOR,
    CARD_OPERATOR,
    COURIER,
    HOTLINE,
    PLATFORM_OPERATOR,
    REGISTRAR,
    SHOP_CLERK,
    DemoPerson,
)
from epassport_sandbox.road import BIOMETRICS, CARDS, ENROLLMENT, PROFILE, VERIFICATION, Walk
from epassport_sandbox.running import Session
from epassport_sandbox.shown import Followed
from epassport_sandbox.stack import EmbeddedStack
from epassport_sandbox.story import from_here

NEW_KEY = '-H "Idempotency-Key: $(date +%s%N)"'


@dataclass(frozen=True)
class Example:
    """One request that its person may make: a command where there is a body, else a query."""

    person: DemoPerson
    does: str
    service: ServiceName
    path: str
    body: Mapping[str, Any] | None = None
    channel: str | None = None

    def command(self, headers: Path, url: str) -> str:
        """For a shell. headers: the file of this person's; url: where the service listens."""
        words = ["curl", "-sSH", shlex.quote(f"@{from_here(headers)}")]
        if self.channel is not None:
            words += ["-H", f"'X-Channel: {self.channel}'"]
        if self.body is not None:
            words += [NEW_KEY, "-d", shlex.quote(json.dumps(self.body, ensure_ascii=False))]
        return " ".join((*words, shlex.quote(f"{url}/v1{self.path}")))


def examples(walk: Walk, small_code: str) -> list[Example]:
    """Of every role one, about a passport in force; the last makes the shop refuse it."""
    office, card, holder = walk.office, f"/cards/{walk.ref}", f"/{walk.holder_id}"
    application = f"/applications/{walk.application_id}"
    check = {"purpose": AGE_CHECK, "claims": ["over-18"], "code": small_code}
    shop = {"relying_party_id": "my-shop", "name": "Моя лавка"}
    queue = f"/work-queue?office={office.office_id}"
    loss = {"document_ref": str(walk.ref)}
    return [
        Example(office.operator, "takes applications; the work of this office", ENROLLMENT, queue),
        Example(office.supervisor, "decides; an application with all its papers",
                ENROLLMENT, application),
        Example(office.counter[0], "hands cards over; how far an application has come",
                ENROLLMENT, f"{application}/progress"),
        Example(ADJUDICATORS[0], "tells two persons from one; the cases that are open",
                BIOMETRICS, "/adjudications"),
        Example(CARD_OPERATOR, "packs and sends; what is in the bureau", CARDS, "/queue"),
        Example(CARD_INSPECTOR, "looks at finished cards; the codes of one",
                CARDS, f"{card}/codes"),
        Example(COURIER, "brings batches; where a card is", CARDS, card),
        Example(REGISTRAR, "registers offices, officers, verifiers; a shop of yours",
                VERIFICATION, "/relying-parties", shop),
        Example(ADMINISTRATOR, "suspends, revokes, erases; the standing of a document",
                VERIFICATION, f"/documents/{walk.ref}"),
        Example(PLATFORM_OPERATOR, "runs the services; streams that are parked",
                VERIFICATION, "/operations/parked"),
        Example(AGENCY, "follows public events; the first five", VERIFICATION, "/events?limit=5"),
        Example(BANK_CLERK, "identifies customers; what this bank may ask for",
                VERIFICATION, f"/relying-parties/{BANK}"),
        Example(SHOP_CLERK, "sells to adults; scans a card", VERIFICATION, "/presentations", check),
        Example(walk.person, "holds the passport; who asked for it",
                PROFILE, f"/profiles{holder}/access-log"),
        Example(HOTLINE, "blocks what is lost; afterwards the shop is refused",
                PROFILE, f"/profiles{holder}/loss", loss, channel="hotline"),
    ]  # fmt: skip


def show(console: Console, session: Session, followed: Followed, folder: Path) -> None:
    """Print all of it. folder: takes the files of headers."""
    issuer, walk = session.system.issuer, followed.replacement or followed.walk
    issuer.add(walk.person)
    shown = examples(walk, followed.replacement_code)
    headers = {one.person: folder / one.person.subject for one in shown}
    folder.mkdir(exist_ok=True)

    def say(text: str = "") -> None:
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    hours = f"{LIFETIME.total_seconds() / 3600:g} hours"
    say(f"\nTokens, good for {hours}:\n")
    for person, file in headers.items():
        token = issuer.issue(person)
        file.write_text(f"Authorization: Bearer {token}\nContent-Type: application/json\n")
        say(f"{person.subject} {token}")
    say("\nWhat each may do, as commands for another shell in this folder:\n")
    for one in shown:
        say(f"# {one.person.subject} {one.does}")
        say(one.command(headers[one.person], session.system.urls[one.service]))
    say("\nWhere everything listens; HTTP is described in docs/api:\n")
    for service, url in session.system.urls.items():
        say(f"{service:22} {url}")
    say(f"{'kafka':22} {session.system.stack.kafka.bootstrap}")
    say(f"{'issuer':22} {issuer.url}")
    grant = f"-d grant_type=client_credentials -d client_id={SHOP_CLERK.subject}"
    say(f"{'  a new token':22} curl -s {grant} {issuer.url}/token")
    say(f"{'  for one of':22} {' '.join(issuer.people)}")
    say("\nDatabases, in which nothing personal is in the clear:\n")
    for service in session.system.urls:
        say(f"{_psql(session)} {shlex.quote(session.system.dsn(service))}")


def _psql(session: Session) -> str:
    """The machine's own, else the one that came with the server."""
    stack = session.system.stack
    if shutil.which("psql") is None and isinstance(stack, EmbeddedStack):
        return str(stack.postgres_server.binaries / "psql")
    return "psql"
