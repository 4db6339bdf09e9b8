"""Runs beside cwt and pycose, in their own environment: answers one JSON line with one."""

import json
import sys
from collections.abc import Callable
from typing import Any

import cbor2
from cwt import COSE, CWT, COSEKey
from pycose.keys import CoseKey
from pycose.messages import CoseMessage, Sign1Message

EC2, OKP = 2, 1
CURVES = {"P-256": (EC2, 1), "P-384": (EC2, 2), "Ed25519": (OKP, 6)}
ALG, KID = 1, 4
SIGN, VERIFY = 1, 2


def cose_key(asked: dict[str, Any]) -> dict[int, Any]:
    key_type, curve = CURVES[asked["curve"]]
    members = {1: key_type, 3: asked["alg"], -1: curve, 2: bytes.fromhex(asked["kid"])}
    for label, name in ((-2, "x"), (-3, "y"), (-4, "d")):
        if name in asked:
            members[label] = bytes.fromhex(asked[name])
    members[4] = [SIGN if "d" in asked else VERIFY]
    return members


def cwt_read_sign1(asked: dict[str, Any]) -> str:
    key = COSEKey.new(cose_key(asked))
    return COSE.new().decode(bytes.fromhex(asked["message"]), key).hex()


def cwt_read_token(asked: dict[str, Any]) -> str:
    """The claims; also refuses by exp and nbf, on the clock of this machine."""
    key = COSEKey.new(cose_key(asked))
    claims = CWT.new().decode(bytes.fromhex(asked["message"]), key)
    return cbor2.dumps(claims).hex()


def cwt_write_sign1(asked: dict[str, Any]) -> str:
    key = COSEKey.new(cose_key(asked))
    cose = COSE.new(alg_auto_inclusion=True, kid_auto_inclusion=True)
    return cose.encode_and_sign(bytes.fromhex(asked["payload"]), key).hex()


def cwt_write_token(asked: dict[str, Any]) -> str:
    """Claims in the order they are given; tag 61 around 18 if so asked."""
    key = COSEKey.new(cose_key(asked))
    claims = cbor2.loads(bytes.fromhex(asked["payload"]))
    return CWT.new().encode_and_sign(claims, key, tagged=asked["tagged"]).hex()


def pycose_read_sign1(asked: dict[str, Any]) -> str:
    message = CoseMessage.decode(bytes.fromhex(asked["message"]))
    if not isinstance(message, Sign1Message):
        raise ValueError("not a COSE_Sign1")
    message.key = CoseKey.from_dict(cose_key(asked))
    if not message.verify_signature():
        raise ValueError("signature")
    return message.payload.hex()


def pycose_write_sign1(asked: dict[str, Any]) -> str:
    headers = {ALG: asked["alg"]}, {KID: bytes.fromhex(asked["kid"])}
    message = Sign1Message(*headers, payload=bytes.fromhex(asked["payload"]))
    message.key = CoseKey.from_dict(cose_key(asked))
    return message.encode(tag=asked["tagged"]).hex()


ANSWERS: dict[str, Callable[[dict[str, Any]], str]] = {
    "cwt read sign1": cwt_read_sign1,
    "cwt read token": cwt_read_token,
    "cwt write sign1": cwt_write_sign1,
    "cwt write token": cwt_write_token,
    "pycose read sign1": pycose_read_sign1,
    "pycose write sign1": pycose_write_sign1,
}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        answer = ANSWERS[asked["do"]]
        try:
            said = {"answer": answer(asked)}
        except Exception as refusal:  # noqa: BLE001 each library has errors of its own
            said = {"refused": f"{type(refusal).__name__}: {refusal}"}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
