"""`epassport-verify`: the verdict on a code, without network.

    epassport-verify card.png --pack offline-pack.jwt --key pack-key.pem

Exit code: 0 good, 1 refused, 2 unknown, 3 nothing that could be read or no code of ours, 64
wrong usage, 70 the command itself failed. With several codes in one picture all of ours are
judged: one refused makes 1, else one unknown 2. Others are named and do not count.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from epassport_credentials.commands.ending import Exit, Parser, run_to_exit
from epassport_credentials.commands.reading import Unreadable, codes_in, read_input
from epassport_credentials.errors import InvalidCredential
from epassport_credentials.offline_pack import OfflinePack, open_offline_pack
from epassport_credentials.signer import Purpose, key_id_of
from epassport_credentials.trust import TrustedKey, open_trust_list
from epassport_credentials.verifier import (
    Outcome,
    Verdict,
    has_form_of_a_code,
    verify_offline,
)

_DURATION = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FOREVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


_EXIT = {Outcome.GOOD: Exit.GOOD, Outcome.REFUSED: Exit.REFUSED, Outcome.UNKNOWN: Exit.UNKNOWN}
_WORST_FIRST = (Exit.REFUSED, Exit.UNKNOWN, Exit.GOOD)

_NO_CODE_OF_OURS = "not the code of a passport"
_CARD_PROVES = "proves that the print is genuine, not who carries it: compare the portrait or chip"
_PHONE_PROVES = "shown by the phone's own key; whether it was shown before is not seen here"
_PHONE_ANSWERED = "shown by the phone's own key, as an answer to this challenge"


@dataclass(frozen=True)
class Judged:
    verdict: Verdict
    now: datetime


def run() -> NoReturn:
    run_to_exit(main)


def main(arguments: Sequence[str]) -> int:
    options = _parser().parse_args(arguments)
    now = options.now or datetime.now(UTC)
    try:
        texts = _codes_of_ours(options)
        pack = _open_pack(options, now)
    except Unreadable as fault:
        _say_unreadable(options, str(fault))
        return Exit.UNREADABLE
    except InvalidCredential as fault:
        lines = [f"unknown: the pack or its key cannot be used ({fault})"]
        _say(options, {"outcome": "unknown", "pack": fault.reason, "detail": fault.detail}, lines)
        return Exit.UNKNOWN
    limits = {
        "freshness": options.freshness,
        "audience": options.audience,
        "nonce": options.nonce,
    }
    judged = [Judged(verify_offline(text, pack, now=now, **limits), now) for text in texts]
    for code in judged:
        _say(options, as_json(code), as_lines(code))
    if options.portrait:
        _keep_portrait(judged, options.portrait)
    exits = {_EXIT[code.verdict.outcome] for code in judged}
    return next(code for code in _WORST_FIRST if code in exits)


def as_json(judged: Judged) -> Mapping[str, object]:
    """Times in ISO 8601, bytes in hex; members without a value are left out."""
    verdict = judged.verdict
    members: dict[str, object] = {
        "outcome": verdict.outcome.value,
        "reason": verdict.reason and verdict.reason.value,
        "unknown_since": verdict.since and verdict.since.isoformat(),
        "status_as_of": verdict.as_of and verdict.as_of.isoformat(),
        "status_age_seconds": verdict.as_of and round((judged.now - verdict.as_of).total_seconds()),
        "document_ref": verdict.document_ref and verdict.document_ref.hex(),
        "shown": dict(verdict.shown),
        "has_portrait": bool(verdict.portrait),
    }
    if verdict.presentation is not None:
        members["replay_key"] = [
            verdict.presentation.key_thumbprint.hex(),
            verdict.presentation.cti.hex(),
        ]
        members["challenged"] = verdict.presentation.challenged
    return {name: value for name, value in members.items() if value is not None}


def as_lines(judged: Judged) -> list[str]:
    verdict = judged.verdict
    head = verdict.outcome.value.upper()
    lines = [head if verdict.reason is None else f"{head}: {verdict.reason}"]
    lines += [f"  {name}: {_word(value)}" for name, value in verdict.shown.items()]
    if verdict.document_ref:
        lines.append(f"  document: {verdict.document_ref.hex()}")
    if verdict.as_of:
        lines.append(f"  status as of {_moment(verdict.as_of)}, {_age(judged.now - verdict.as_of)}")
    if verdict.since:
        lines.append(f"  unknown since {_moment(verdict.since)}")
    if verdict.outcome is Outcome.GOOD:
        lines.append(f"  {_proof(verdict)}")
    return lines


def _proof(verdict: Verdict) -> str:
    if verdict.presentation is None:
        return _CARD_PROVES
    return _PHONE_ANSWERED if verdict.presentation.challenged else _PHONE_PROVES


def _codes_of_ours(options: argparse.Namespace) -> list[str]:
    """Raises Unreadable: as `codes_in`, or nothing that was found is a code of ours."""
    found = codes_in(read_input(options.source), page=options.page)
    ours = [text for text in found if has_form_of_a_code(text)]
    if not ours:
        raise Unreadable(_NO_CODE_OF_OURS)
    for _ in range(len(found) - len(ours)):
        _say_unreadable(options, _NO_CODE_OF_OURS)
    return ours


def _open_pack(options: argparse.Namespace, now: datetime) -> OfflinePack:
    """By the key given by hand, or by the trust list that this key has signed."""
    key = _public_key(options.key)
    sandbox: bool = options.sandbox

    def trusted(purpose: Purpose) -> TrustedKey:
        return TrustedKey(purpose, key_id_of(key), key, *_FOREVER, sandbox=sandbox)

    signers: Sequence[TrustedKey] = [trusted(Purpose.OFFLINE_PACK)]
    if options.trust_list:
        token = _token(options.trust_list)
        roots = [trusted(Purpose.TRUST_LIST)]
        signers = open_trust_list(token, roots, now=now, accept_sandbox=sandbox).keys
    return open_offline_pack(_token(options.pack), signers, now=now, accept_sandbox=sandbox)


def _token(source: str) -> str:
    return read_input(source).decode("ascii", "replace").strip()


def _public_key(source: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_pem_public_key(read_input(source))
    except ValueError as error:
        raise Unreadable(f"{source}: not a public key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Unreadable(f"{source}: not a key on an elliptic curve")
    return key


def _keep_portrait(judged: Sequence[Judged], path: str) -> None:
    for code in judged:
        if code.verdict.portrait:
            Path(path).write_bytes(code.verdict.portrait)


def _say(options: argparse.Namespace, members: Mapping[str, object], lines: list[str]) -> None:
    text = json.dumps(members, ensure_ascii=False) if options.json else "\n".join(lines)
    sys.stdout.write(text + "\n")


def _say_unreadable(options: argparse.Namespace, detail: str) -> None:
    _say(options, {"outcome": "unreadable", "detail": detail}, [f"unreadable: {detail}"])


def _word(value: str | bool) -> str:
    return value if isinstance(value, str) else ("yes" if value else "no")


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _age(age: timedelta) -> str:
    minutes = round(age.total_seconds()) // 60
    return f"{minutes // 60} h {minutes % 60} min old"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="epassport-verify",
        description="The verdict on a card's or a phone's code, without network.",
        epilog="exit: 0 good, 1 refused, 2 unknown, 3 unreadable, 64 wrong usage, 70 failed",
    )
    add = parser.add_argument
    add("source", help="picture, PDF or text file; - for stdin")
    add("--page", type=int, default=1, help="of a PDF, from 1")
    add("--pack", required=True, help="the offline pack (a signed token in a file)")
    add("--key", required=True, help="public key in PEM that vouches for the pack or trust list")
    add("--trust-list", help="the trust list that names the pack's key")
    add(
        "--freshness",
        type=_duration,
        help="how old a card's status may be, as 24h or 30m; else by the pack",
    )
    add("--audience", help="the name that the phone was asked to address")
    add("--nonce", type=_hex, help="in hex; makes an answer to this challenge compulsory")
    add("--now", type=_instant, help="judge as of this moment (ISO 8601 with time zone)")
    add("--sandbox", action="store_true", help="accept keys made for the sandbox")
    add("--portrait", metavar="FILE", help="write the portrait of an identity card there (WEBP)")
    add("--json", action="store_true", help="one JSON object for each code")
    return parser


def _duration(text: str) -> timedelta:
    parts = _DURATION.fullmatch(text)
    if parts is None:
        raise argparse.ArgumentTypeError("a number and s, m, h or d")
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("not hex") from error


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError("not ISO 8601") from error
    if at.tzinfo is None:
        raise argparse.ArgumentTypeError("without time zone")
    return at
