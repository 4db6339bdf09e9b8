"""Runs beside sd-jwt, in its own environment: answers one JSON line with one."""

import json
import sys
from collections.abc import Callable
from typing import Any

from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier


def key(jwk: dict[str, Any]) -> JWK:
    return JWK.from_json(json.dumps(jwk))


def marked(value: Any, hide: list[str]) -> Any:
    """Members of these names, and every element of an array, made selectively disclosable."""
    if isinstance(value, dict):
        return {
            SDObj(name) if name in hide else name: marked(member, hide)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [SDObj(marked(element, hide)) for element in value]
    return value


def read(asked: dict[str, Any]) -> Any:
    verifier = SDJWTVerifier(
        asked["text"],
        lambda _issuer, _header: key(asked["issuer"]),
        asked.get("audience"),
        asked.get("nonce"),
    )
    return verifier.get_verified_payload()


def write(asked: dict[str, Any]) -> str:
    """Issued, then presented with key binding by the holder, who shows what is in `show`."""
    holder_key = key(asked["holder"])
    issuer = SDJWTIssuer(
        marked(asked["claims"], asked["hide"]),
        key(asked["issuer"]),
        holder_key,
        add_decoy_claims=asked["decoys"],
        extra_header_parameters=asked["header"],
    )
    holder = SDJWTHolder(issuer.sd_jwt_issuance)
    holder.create_presentation(asked["show"], asked["nonce"], asked["audience"], holder_key)
    return str(holder.sd_jwt_presentation)


ANSWERS: dict[str, Callable[[dict[str, Any]], Any]] = {"sd-jwt read": read, "sd-jwt write": write}


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        answer = ANSWERS[asked["do"]]
        try:
            said = {"answer": answer(asked)}
        except Exception as refusal:  # noqa: BLE001 the library raises ValueError and Exception
            said = {"refused": f"{type(refusal).__name__}: {refusal}"}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
