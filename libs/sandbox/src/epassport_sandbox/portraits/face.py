"""The head: outline, ears, light and shade, signs of age. Features lie in their own module."""

from dataclasses import dataclass
from functools import cached_property

from epassport_credentials.identity import Sex
from epassport_sandbox.portraits.canvas import (
    Canvas,
    Clip,
    Colour,
    Point,
    mirrored,
    mixed,
    oval,
    smooth,
)
from epassport_sandbox.portraits.traits import Traits

CENTRE = 206.5
CROWN = 82.0
EYE_LINE = 258.0


@dataclass(frozen=True)
class FaceShape:
    """Where things are on this head, in pixels of the finished picture."""

    traits: Traits

    def at(self, dx: float, y: float) -> Point:
        """A point `dx` from the axis on a head of average width, at height y of average length."""
        return CENTRE + dx * self.traits.face_width, self.down(y)

    def down(self, y: float) -> float:
        """Lengths change below the eyes only, so that the head keeps its place in the frame."""
        stretch = self.traits.face_length * (1 - 0.06 * self.traits.childhood)
        return y if y < EYE_LINE else EYE_LINE + (y - EYE_LINE) * stretch

    def points(self, *pairs: Point) -> list[Point]:
        return [self.at(dx, y) for dx, y in pairs]

    def curve(self, *pairs: Point, closed: bool = True) -> list[Point]:
        return smooth(self.points(*pairs), closed=closed)

    @cached_property
    def head(self) -> list[Point]:
        jaw = self.traits.jaw_width
        half = self.points(
            (0, CROWN), (58, 90), (100, 124), (120, 184), (122, 250), (118 * (1 + jaw) / 2, 308),
            (101 * jaw, 362), (70 * jaw, 408), (34 * jaw, 431), (0, 435),
        )  # fmt: skip
        return smooth(mirrored(half, CENTRE))


def shadow_of(skin: Colour) -> Colour:
    return mixed(skin, (120, 62, 48), 0.42)


def draw(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    skin = traits.skin
    for side in (-1, 1):
        _draw_ear(canvas, shape, skin, side)
    canvas.shape(shape.head, skin)
    inside = canvas.mask(shape.head)
    _draw_light(canvas, shape, skin, inside)
    _draw_cheeks(canvas, traits, shape, inside)
    if traits.wrinkles > 0:
        _draw_wrinkles(canvas, traits, shape, inside)


def _draw_ear(canvas: Canvas, shape: FaceShape, skin: Colour, side: int) -> None:
    outline = shape.curve(
        (side * 112, 236), (side * 130, 230), (side * 140, 248), (side * 136, 282),
        (side * 127, 312), (side * 114, 318),
    )  # fmt: skip
    canvas.shape(outline, mixed(skin, shadow_of(skin), 0.25))
    inner = shape.curve((side * 120, 246), (side * 132, 250), (side * 130, 276), (side * 121, 298))
    canvas.soft(inner, shadow_of(skin), blur=4, opacity=0.55)


def _draw_light(canvas: Canvas, shape: FaceShape, skin: Colour, inside: Clip) -> None:
    """Light comes from above left: the right side and everything under an edge lies in shade."""
    dark, bright = shadow_of(skin), mixed(skin, (255, 250, 242), 0.55)
    side = shape.curve(
        (126, 120), (150, 250), (118, 380), (60, 440), (0, 446), (50, 424), (86, 372),
        (100, 300), (104, 200),
    )  # fmt: skip
    canvas.soft(side, dark, blur=18, opacity=0.62, clip=inside)
    left = shape.curve(
        (-128, 150), (-104, 250), (-98, 330), (-74, 398), (-20, 440), (-90, 430), (-150, 280)
    )
    canvas.soft(left, dark, blur=14, opacity=0.36, clip=inside)
    under_lip = oval(shape.at(0, 398), 26, 6)
    canvas.soft(under_lip, dark, blur=5, opacity=0.4, clip=inside)
    for sign in (-1, 1):
        socket = oval(shape.at(sign * 52, 246), 37, 17)
        canvas.soft(socket, dark, blur=11, opacity=0.34, clip=inside)
    canvas.soft(oval(shape.at(-22, 168), 58, 26), bright, blur=20, opacity=0.5, clip=inside)
    canvas.soft(oval(shape.at(-62, 308), 28, 20), bright, blur=14, opacity=0.5, clip=inside)
    canvas.soft(oval(shape.at(58, 306), 20, 16), bright, blur=13, opacity=0.28, clip=inside)
    canvas.soft(oval(shape.at(-4, 418), 22, 10), bright, blur=9, opacity=0.36, clip=inside)


def _draw_cheeks(canvas: Canvas, traits: Traits, shape: FaceShape, inside: Clip) -> None:
    blush = mixed(traits.skin, (214, 92, 84), 0.45)
    opacity = 0.34 if traits.sex is Sex.FEMALE or traits.age < 18 else 0.2
    for sign in (-1, 1):
        canvas.soft(
            oval(shape.at(sign * 74, 328), 26, 19), blush, blur=14, opacity=opacity, clip=inside
        )


def _draw_wrinkles(canvas: Canvas, traits: Traits, shape: FaceShape, inside: Clip) -> None:
    age, dark = traits.wrinkles, shadow_of(traits.skin)
    for sign in (-1, 1):
        fold = [(34, 330), (44, 350), (50, 374), (47, 374), (41, 352), (32, 334)]
        canvas.soft(
            shape.points(*((sign * x, y) for x, y in fold)),
            dark,
            blur=2.2,
            opacity=0.9 * age,
            clip=inside,
        )
        bag = [(34, 278), (52, 286), (72, 281), (70, 284), (52, 290), (36, 282)]
        canvas.soft(
            shape.points(*((sign * x, y) for x, y in bag)),
            dark,
            blur=2.4,
            opacity=0.9 * age,
            clip=inside,
        )
        if age > 0.4:
            crow = [(88, 262), (100, 256), (101, 258), (90, 265), (99, 270), (98, 272)]
            canvas.soft(
                shape.points(*((sign * x, y) for x, y in crow)),
                dark,
                blur=1.6,
                opacity=0.8 * age,
                clip=inside,
            )
    if age > 0.35:
        for y in (158, 176, 193):
            line = [(-58, y + 3), (0, y - 1), (58, y + 3), (58, y + 5), (0, y + 2), (-58, y + 5)]
            canvas.soft(shape.points(*line), dark, blur=2.0, opacity=0.55 * age, clip=inside)
