"""Points on the standardised curves of Doc 9303-11 §9.5.1, where X.509 libraries stop.

PACE multiplies points other than the generator and needs both coordinates of the product;
`cryptography` gives only the abscissa of a Diffie-Hellman secret. Two such secrets, for k and
k + 1, determine the ordinate (Brier and Joye, PKC 2002, proposition 3), so that every
multiplication by a secret runs in OpenSSL and only the last step in Python.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from epassport_credentials.errors import InvalidCredential, Reason

Point = tuple[int, int]
RandomBytes = Callable[[int], bytes]

_EXTRA_BYTES = 8  # FIPS 186-5 A.2.1: 64 bits more than the order, and the bias is negligible


@dataclass(frozen=True)
class Curve:
    """parameter_id: Doc 9303-11 §9.5.1; y² = x³ + ax + b over p, of prime order n."""

    parameter_id: int
    named: ec.EllipticCurve
    p: int
    a: int
    b: int
    n: int

    @property
    def coordinate_bytes(self) -> int:
        return (self.p.bit_length() + 7) // 8

    def random_scalar(self, random_bytes: RandomBytes) -> int:
        """1 to n - 2, so that the next scalar is one too."""
        drawn = int.from_bytes(random_bytes(self.coordinate_bytes + _EXTRA_BYTES), "big")
        return drawn % (self.n - 2) + 1

    def multiple_of_generator(self, scalar: int) -> Point:
        numbers = ec.derive_private_key(scalar, self.named).public_key().public_numbers()
        return numbers.x, numbers.y

    def abscissa(self, scalar: int, point: Point) -> int:
        """x of scalar times point: the Diffie-Hellman secret."""
        return int.from_bytes(self.shared_secret(scalar, point), "big")

    def shared_secret(self, scalar: int, point: Point) -> bytes:
        public = ec.EllipticCurvePublicNumbers(*point, self.named).public_key()
        return ec.derive_private_key(scalar, self.named).exchange(ec.ECDH(), public)

    def multiple(self, scalar: int, point: Point) -> Point:
        """scalar: 1 to n - 2."""
        x, y = point
        x1, x2 = self.abscissa(scalar, point), self.abscissa(scalar + 1, point)
        doubled = 2 * self.b + (self.a + x * x1) * (x + x1) - x2 * (x - x1) ** 2
        return x1, doubled * pow(2 * y, -1, self.p) % self.p

    def sum(self, one: Point, other: Point) -> Point:
        """Of two points that differ in x; equal ones come up with a chance of 2 in n.

        Raises InvalidCredential: MALFORMED, where they do not differ.
        """
        if one[0] == other[0]:
            raise InvalidCredential(Reason.MALFORMED, "two points of one abscissa")
        slope = (other[1] - one[1]) * pow(other[0] - one[0], -1, self.p) % self.p
        x = (slope * slope - one[0] - other[0]) % self.p
        return x, (slope * (one[0] - x) - one[1]) % self.p

    def encode(self, point: Point) -> bytes:
        """Uncompressed (BSI TR-03111 §3.2.1)."""
        size = self.coordinate_bytes
        return b"\x04" + point[0].to_bytes(size, "big") + point[1].to_bytes(size, "big")

    def decode(self, encoded: bytes) -> Point:
        """Raises InvalidCredential: MALFORMED, where it is no point on the curve."""
        if len(encoded) != 1 + 2 * self.coordinate_bytes:
            raise InvalidCredential(Reason.MALFORMED, "a point of another length")
        try:
            public = ec.EllipticCurvePublicKey.from_encoded_point(self.named, encoded)
        except ValueError as error:
            raise InvalidCredential(Reason.MALFORMED, "not a point on the curve") from error
        found = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        size = self.coordinate_bytes
        return int.from_bytes(found[1 : 1 + size], "big"), int.from_bytes(found[1 + size :], "big")


P256 = Curve(
    parameter_id=12,
    named=ec.SECP256R1(),
    p=2**256 - 2**224 + 2**192 + 2**96 - 1,
    a=2**256 - 2**224 + 2**192 + 2**96 - 4,
    b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    n=0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
)
# RFC 5639 §3.4; the curve of the worked example of Doc 9303-11 appendix G.1.
BRAINPOOL_P256 = Curve(
    parameter_id=13,
    named=ec.BrainpoolP256R1(),
    p=0xA9FB57DBA1EEA9BC3E660A909D838D726E3BF623D52620282013481D1F6E5377,
    a=0x7D5A0975FC2C3057EEF67530417AFFE7FB8055C126DC5C6CE94A4B44F330B5D9,
    b=0x26DC5C6CE94A4B44F330B5D9BBD77CBF958416295CF7E1CE6BCCDC18FF8C07B6,
    n=0xA9FB57DBA1EEA9BC3E660A909D838D718C397AA3B561A6F7901E0E82974856A7,
)
CURVES = {curve.parameter_id: curve for curve in (P256, BRAINPOOL_P256)}
