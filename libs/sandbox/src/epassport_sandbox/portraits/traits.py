"""What a drawn person looks like, chosen from a seed."""

import random
from dataclasses import dataclass
from typing import Literal

from epassport_credentials.identity import Sex
from epassport_sandbox.portraits.canvas import Colour, mixed

HairStyle = Literal[
    "short", "side", "swept", "crop", "bald", "long", "bob", "tied", "fringe", "wavy"
]
Beard = Literal["none", "stubble", "moustache", "full", "goatee"]
Clothes = Literal["suit", "sweater", "shirt", "blouse", "turtleneck", "jacket"]

_MEN_HAIR: tuple[HairStyle, ...] = ("short", "side", "swept", "crop")
_WOMEN_HAIR: tuple[HairStyle, ...] = ("long", "bob", "tied", "fringe", "wavy")
_SKIN: tuple[Colour, ...] = (
    (246, 216, 196), (241, 205, 180), (234, 194, 165), (227, 182, 150),
    (214, 165, 130), (198, 147, 113),
)  # fmt: skip
_HAIR: tuple[Colour, ...] = (
    (40, 31, 28), (62, 44, 35), (88, 62, 44), (116, 82, 54),
    (152, 113, 72), (190, 154, 104), (132, 74, 44),
)  # fmt: skip
_GREY: Colour = (190, 190, 192)
_EYES: tuple[Colour, ...] = (
    (86, 122, 152),
    (104, 132, 118),
    (104, 76, 50),
    (74, 54, 40),
    (120, 128, 134),
)
_FABRICS: tuple[Colour, ...] = (
    (44, 52, 70), (62, 66, 74), (88, 46, 54), (58, 84, 82),
    (96, 90, 82), (54, 70, 108), (122, 96, 110),
)  # fmt: skip


@dataclass(frozen=True)
class Traits:
    """Lengths are factors around 1; shares lie between 0 and 1."""

    sex: Sex
    age: int
    skin: Colour
    hair: Colour
    hair_style: HairStyle
    hair_thinning: float
    eyes: Colour
    glasses: bool
    beard: Beard
    clothes: Clothes
    fabric: Colour
    tie: Colour
    face_width: float
    jaw_width: float
    face_length: float
    eye_distance: float
    eye_size: float
    brow_weight: float
    brow_arch: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_fullness: float
    shoulder_width: float

    @property
    def wrinkles(self) -> float:
        """0 up to the age of 30, 1 from 75 on."""
        return min(1.0, max(0.0, (self.age - 30) / 45))

    @property
    def childhood(self) -> float:
        """1 for a child of 6, 0 from 18 on."""
        return min(1.0, max(0.0, (18 - self.age) / 12))


def traits_of(seed: int, sex: Sex, age: int) -> Traits:
    """Every age draws the same numbers in the same order, so that a face stays itself."""
    chance = random.Random(f"portrait {seed}")
    tone = min(chance.randrange(len(_SKIN)), chance.randrange(len(_SKIN)))  # light skin is commoner
    grown_man = sex is Sex.MALE and age >= 18
    man = 1.0 if grown_man else 0.0
    return Traits(
        sex=sex,
        age=age,
        skin=_SKIN[tone],
        hair=_hair_colour(chance, age, tone),
        hair_style=_hair_style(chance, sex, age),
        hair_thinning=chance.random() * min(1.0, max(0.0, (age - 35) / 35)) * man,
        eyes=chance.choice(_EYES[2:4] if tone > 3 else _EYES),
        glasses=chance.random() < (0.15 if age < 45 else 0.4),
        beard=_beard(chance, grown_man),
        clothes=_clothes(chance, sex, age),
        fabric=chance.choice(_FABRICS),
        tie=chance.choice(_FABRICS),
        face_width=chance.uniform(0.95, 1.05) + 0.02 * man,
        jaw_width=chance.uniform(0.92, 1.04) + 0.07 * man,
        face_length=chance.uniform(0.96, 1.04) + 0.01 * man,
        eye_distance=chance.uniform(0.95, 1.05),
        eye_size=chance.uniform(0.92, 1.06) + (0.0 if grown_man else 0.07),
        brow_weight=chance.uniform(0.75, 1.1) * (1.25 if grown_man else 0.8),
        brow_arch=chance.uniform(0.5, 1.2) * (0.8 if grown_man else 1.2),
        nose_width=chance.uniform(0.88, 1.12) + 0.08 * man,
        nose_length=chance.uniform(0.92, 1.08),
        mouth_width=chance.uniform(0.9, 1.1),
        lip_fullness=chance.uniform(0.8, 1.15) * (0.85 if grown_man else 1.1),
        shoulder_width=chance.uniform(0.95, 1.05) * (1.08 if grown_man else 0.93),
    )


def _hair_colour(chance: random.Random, age: int, tone: int) -> Colour:
    greyness = min(1.0, max(0.0, (age - 38 + chance.uniform(-10, 10)) / 34))
    return mixed(chance.choice(_HAIR[:3] if tone > 3 else _HAIR), _GREY, greyness)


def _hair_style(chance: random.Random, sex: Sex, age: int) -> HairStyle:
    woman_style, man_style = chance.choice(_WOMEN_HAIR), chance.choice(_MEN_HAIR)
    bald = chance.random() < (age - 30) / 120
    if sex is Sex.FEMALE:
        return woman_style
    return "bald" if bald else man_style


def _beard(chance: random.Random, grown_man: bool) -> Beard:
    beard: Beard = chance.choices(
        ("none", "stubble", "moustache", "full", "goatee"), (10, 4, 1.5, 3, 1.5)
    )[0]
    return beard if grown_man else "none"


def _clothes(chance: random.Random, sex: Sex, age: int) -> Clothes:
    men: Clothes = chance.choice(("suit", "suit", "sweater", "shirt", "jacket", "turtleneck"))
    women: Clothes = chance.choice(("blouse", "jacket", "sweater", "turtleneck", "shirt"))
    children: Clothes = chance.choice(("sweater", "shirt"))
    if age < 18:
        return children
    return men if sex is Sex.MALE else women
