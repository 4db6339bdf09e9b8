"""Vectors of what a verifier loads: status lists, trust lists, offline packs."""

from dataclasses import replace
from datetime import timedelta

from epassport_credentials.compression import deflate
from epassport_credentials.jws import encode_base64url, sign_jws
from epassport_credentials.offline_pack import OFFLINE_PACK_TYP, issue_offline_pack
from epassport_credentials.signer import LocalSigner
from epassport_credentials.status_list import (
    STATUS_LIST_TYP,
    StatusList,
    issue_status_list,
    pack_statuses,
)
from epassport_credentials.status_list_cwt import issue_status_list_cwt
from epassport_credentials.trust import TRUST_LIST_TYP, issue_trust_list, trust_to_json
from tests.conformance.vectors.case import Case, passed, until
from tests.conformance.vectors.world import (
    CARD,
    DAY,
    LISTER,
    NOW,
    OTHER_URI,
    PACKER,
    ROOT,
    STATUSES,
    STRANGER,
    URI,
    sandbox_trust,
    status_token,
    trust,
)

SECOND = timedelta(seconds=1)
STATUS_STAGES = ("token", "status")


def status_lists() -> list[Case]:
    bomb = StatusList(2, bytes(2**20))
    huge = encode_base64url(deflate(bytes(2**24 + 1)))
    eight = StatusList(8, bytes([0, 1, 2, 3, 12]))
    good, cwt = passed(*STATUS_STAGES), _cwt(pack_statuses(STATUSES)).hex()
    altered = status_token()[:-1] + ("A" if status_token()[-1] != "A" else "Q")
    return [
        *(Case(f"status {index}", _asked(status_token(), index), good) for index in STATUSES),
        Case("in CWT form", {"message": cwt, "uri": URI, "index": 1}, good),
        Case("of the largest size", _asked(_jwt(bomb), 2**22 - 1), good),
        Case(
            "index out of range", _asked(status_token(), 4), _fails("status", "index-out-of-range")
        ),
        Case("index negative", _asked(status_token(), -1), _fails("status", "index-out-of-range")),
        Case(
            "status of an application", _asked(_jwt(eight), 4), _fails("status", "unknown-status")
        ),
        Case(
            "another address",
            _asked(status_token(), 0, OTHER_URI),
            _fails("token", "wrong-status-list"),
        ),
        Case("expired", _asked(status_token(), 0), _fails("token", "expired"), NOW + DAY),
        Case(
            "not yet valid",
            _asked(status_token(), 0),
            _fails("token", "not-yet-valid"),
            NOW - SECOND,
        ),
        Case("wrong key", _asked(_jwt(signer=STRANGER), 0), _fails("token", "unknown-signer")),
        Case(
            "key of another purpose", _asked(_jwt(signer=CARD), 0), _fails("token", "wrong-purpose")
        ),
        Case("altered signature", _asked(altered, 0), _fails("token", "wrong-signature")),
        Case(
            "wrong typ",
            _asked(sign_jws(_entry(), typ="JWT", signer=LISTER), 0),
            _fails("token", "unknown-format"),
        ),
        Case("zip bomb", _asked(_raw(huge), 0), _fails("token", "too-long")),
        Case("not zlib", _asked(_raw("AAAA"), 0), _fails("token", "malformed")),
        Case(
            "three bits",
            _asked(_raw(encode_base64url(deflate(b"\0")), 3), 0),
            _fails("token", "malformed"),
        ),
    ]


def trust_lists() -> list[Case]:
    token = issue_trust_list(trust(), ROOT)
    second = sign_jws({"version": 9, **trust_to_json(trust())}, typ=TRUST_LIST_TYP, signer=ROOT)
    return [
        Case("good", {"token": token}, passed("list")),
        Case("expired", {"token": token}, [["list", "expired"]], NOW + 30 * DAY),
        Case("not yet valid", {"token": token}, [["list", "not-yet-valid"]], NOW - SECOND),
        Case(
            "wrong key",
            {"token": issue_trust_list(trust(), STRANGER)},
            [["list", "unknown-signer"]],
        ),
        Case(
            "key of another purpose",
            {"token": issue_trust_list(trust(), PACKER)},
            [["list", "wrong-purpose"]],
        ),
        Case(
            "made for the sandbox",
            {"token": issue_trust_list(sandbox_trust(), ROOT)},
            [["list", "sandbox-signer"]],
        ),
        Case("unknown version", {"token": second}, [["list", "unknown-version"]]),
        Case("wrong typ", {"token": _pack()}, [["list", "unknown-format"]]),
    ]


def offline_packs() -> list[Case]:
    unordered = sign_jws(trust_to_json(trust()), typ=OFFLINE_PACK_TYP, signer=PACKER)
    strange = issue_offline_pack(trust(), {OTHER_URI: status_token()}, PACKER)
    sandbox = issue_offline_pack(sandbox_trust(), {}, PACKER)
    return [
        Case("good", {"token": _pack()}, passed("pack")),
        Case(
            "ended, opens and leaves all unknown",
            {"token": _pack()},
            passed("pack"),
            NOW + 40 * DAY,
        ),
        Case("not yet valid", {"token": _pack()}, [["pack", "not-yet-valid"]], NOW - SECOND),
        Case("wrong key", {"token": _pack(STRANGER)}, [["pack", "unknown-signer"]]),
        Case("key of another purpose", {"token": _pack(ROOT)}, [["pack", "wrong-purpose"]]),
        Case("no version first", {"token": unordered}, [["pack", "unknown-version"]]),
        Case("made for the sandbox", {"token": sandbox}, [["pack", "sandbox-signer"]]),
        Case("a list under another address", {"token": strange}, [["pack", "wrong-status-list"]]),
        Case(
            "wrong typ", {"token": issue_trust_list(trust(), PACKER)}, [["pack", "unknown-format"]]
        ),
    ]


def _fails(stage: str, reason: str) -> list[list[str]]:
    return until(STATUS_STAGES, stage, reason)


def _asked(token: str, index: int, uri: str = URI) -> dict[str, str | int]:
    return {"token": token, "uri": uri, "index": index}


def _jwt(statuses: StatusList | None = None, signer: LocalSigner = LISTER) -> str:
    listed = statuses or pack_statuses(STATUSES)
    return issue_status_list(listed, signer, uri=URI, issued_at=NOW, expires_at=NOW + DAY)


def _cwt(statuses: StatusList) -> bytes:
    return issue_status_list_cwt(statuses, LISTER, uri=URI, issued_at=NOW, expires_at=NOW + DAY)


def _entry(compressed: str = "eNo76fITAAPfAgc", bits: int = 2) -> dict[str, object]:
    entry = {"bits": bits, "lst": compressed}
    return {"sub": URI, "iat": int(NOW.timestamp()), "status_list": entry}


def _raw(compressed: str, bits: int = 2) -> str:
    return sign_jws(_entry(compressed, bits), typ=STATUS_LIST_TYP, signer=LISTER)


def _pack(signer: LocalSigner = PACKER) -> str:
    return issue_offline_pack(replace(trust(), issuer="vectors"), {URI: status_token()}, signer)
