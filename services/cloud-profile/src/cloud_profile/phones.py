"""Keys of phones: how they arrive, how a phone proves that it holds one."""

import base64
import binascii
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec

from cloud_profile.profile_commands import Reason
from epassport.problems import Problem
from epassport.signing import is_signed_by, public_key_of


def read_phone_key(text: str) -> ec.EllipticCurvePublicKey:
    """Base64 of a SubjectPublicKeyInfo with a P-256 key. Raises Problem."""
    try:
        return public_key_of(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise Problem(Reason.PHONE_KEY_NOT_P256) from None


def proof_octets(holder_id: UUID) -> bytes:
    """What the phone signs when it is bound: its key, for this holder and nobody else."""
    return b"epassport-device-v1\n" + str(holder_id).encode()


def proves(key: ec.EllipticCurvePublicKey, holder_id: UUID, signature: str) -> bool:
    """signature: base64 of raw r || s, ES256."""
    try:
        octets = base64.b64decode(signature, validate=True)
    except binascii.Error:
        return False
    return is_signed_by(key, octets, proof_octets(holder_id))
