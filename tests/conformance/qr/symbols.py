"""Our three codes as symbols, and what a printer, a hand and a camera do to a symbol.

Every shot follows from its seed alone, so that a rate is the same in every run.
"""

import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from PIL import Image, ImageFilter, ImageOps

from epassport_credentials.card_qr import (
    IdentityCard,
    SmallCard,
    issue_identity_card_qr,
    issue_small_card_qr,
    with_portrait,
)
from epassport_credentials.cwt import StatusReference
from epassport_credentials.identity import AgeOver18, Identity, Sex
from epassport_credentials.mobile_qr import issue_attestation, present
from epassport_credentials.qr_symbol import qr_png
from epassport_credentials.signer import LocalSigner
from epassport_sandbox.portraits import draw_portrait

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ISSUER = LocalSigner(ec.derive_private_key(31, ec.SECP256R1()))
PHONE = LocalSigner(ec.derive_private_key(32, ec.SECP256R1()))
STATUS = StatusReference("https://status.epassport.test/1", 70_001)
PAPER, INK = 255, 0

Picture = Image.Image


@dataclass(frozen=True)
class Symbol:
    """highest_version: what the format promises of its size, at error correction M."""

    name: str
    text: str
    highest_version: int


@dataclass(frozen=True)
class Condition:
    """pixels: of a module in the picture that the reader gets."""

    name: str
    what: str
    pixels: float
    shoot: Callable[[Picture, random.Random], Picture]


def our_symbols() -> list[Symbol]:
    ends = NOW + timedelta(days=3652)
    small = SmallCard(bytes(range(16)), True, NOW, ends, STATUS)
    person = Identity(
        "Подъёмная Юлия Эдуардовна", date(1990, 5, 17), Sex.FEMALE, "700123456", "RUS"
    )
    photo = draw_portrait(101, Sex.FEMALE, 32)
    identity = with_portrait(IdentityCard(bytes(range(16)), person, NOW, ends, STATUS), photo)
    attestation = issue_attestation(
        AgeOver18(), holder_key=PHONE.public_key, issuer="RU", issued_at=NOW, signer=ISSUER
    )
    shown = present(attestation, phone=PHONE, now=NOW, cti=bytes(range(16)))
    return [
        Symbol("small card QR", issue_small_card_qr(small, ISSUER), 10),
        Symbol("identity card QR", issue_identity_card_qr(identity, ISSUER), 22),
        Symbol("mobile QR", shown, 13),
    ]


def picture_of(text: str, pixels: float) -> Picture:
    """Grey, with its quiet zone; a pitch that is no whole number is resampled, as a scan is."""
    drawn = Image.open(io.BytesIO(qr_png(text, pixels_per_module=8))).convert("L")
    size = round(drawn.width * pixels / 8)
    return drawn if size == drawn.width else drawn.resize((size, size), Image.Resampling.BOX)


def shots(symbol: Symbol, condition: Condition, number: int) -> list[Picture]:
    picture = picture_of(symbol.text, condition.pixels)
    return [condition.shoot(picture, random.Random(seed)) for seed in range(number)]


def _as_drawn(picture: Picture, _chance: random.Random) -> Picture:
    return picture


def _scanned_print(picture: Picture, chance: random.Random) -> Picture:
    """Ink spreads by a third of a dot, the page lies askew, the scanner adds noise."""
    spread = picture.filter(ImageFilter.GaussianBlur(0.8))
    return _noisy(_turned(spread, chance.uniform(-3, 3)), 6, chance)


def _blurred(picture: Picture, chance: random.Random) -> Picture:
    return _noisy(picture.filter(ImageFilter.GaussianBlur(chance.uniform(1.5, 2.2))), 4, chance)


def _dim(picture: Picture, chance: random.Random) -> Picture:
    """A quarter of the contrast, in the dark, under a lamp at one side."""
    low, high = chance.randint(25, 35), chance.randint(80, 95)
    grey = np.asarray(picture, np.float64) / 255 * (high - low) + low
    light = np.linspace(0.75, 1.25, picture.width)[None, :]
    return _noisy(Image.fromarray((grey * light).astype(np.uint8)), 4, chance)


def _rotated(picture: Picture, chance: random.Random) -> Picture:
    return _noisy(_turned(picture, chance.uniform(0, 360)), 4, chance)


def _small(picture: Picture, chance: random.Random) -> Picture:
    return _noisy(_turned(picture, chance.uniform(-8, 8)), 8, chance)


def _inverted(picture: Picture, chance: random.Random) -> Picture:
    return _noisy(ImageOps.invert(picture), 4, chance)


def _poor_photograph(picture: Picture, chance: random.Random) -> Picture:
    """By hand: turned, out of focus, grainy, half the contrast."""
    turned = _turned(picture, chance.uniform(-20, 20)).filter(ImageFilter.GaussianBlur(1.3))
    grey = np.asarray(turned, np.float64) * 0.5 + 60
    return _noisy(Image.fromarray(grey.astype(np.uint8)), 14, chance)


CONDITIONS = [
    Condition("as drawn", "the PNG", 4, _as_drawn),
    Condition("printed", "4 dots a module at 300 dpi, scanned askew", 4, _scanned_print),
    Condition("blurred", "blur of a third of a module", 5, _blurred),
    Condition("dim", "a quarter of the contrast, light from one side", 4, _dim),
    Condition("rotated", "by any angle", 4, _rotated),
    Condition("small", "2.3 pixels a module, noise", 2.3, _small),
    Condition("inverted", "light on dark", 4, _inverted),
    Condition("poor photograph", "turned, blur, noise, half the contrast", 5, _poor_photograph),
]


def _turned(picture: Picture, degrees: float) -> Picture:
    return picture.rotate(degrees, expand=True, fillcolor=PAPER, resample=Image.Resampling.BICUBIC)


def _noisy(picture: Picture, sigma: float, chance: random.Random) -> Picture:
    grain = np.random.default_rng(chance.getrandbits(32)).normal(0, sigma, picture.size[::-1])
    grey = np.asarray(picture, np.float64) + grain
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
