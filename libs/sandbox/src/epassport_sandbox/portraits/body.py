"""Neck, shoulders and clothes, down to the lower edge of the picture."""

from epassport_credentials.identity import Sex
from epassport_sandbox.portraits.canvas import Canvas, Colour, mixed, smooth
from epassport_sandbox.portraits.face import CENTRE, FaceShape, shadow_of
from epassport_sandbox.portraits.traits import Traits

_BOTTOM = 540.0
_WHITE: Colour = (240, 242, 245)


def draw(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    _draw_neck(canvas, traits, shape)
    match traits.clothes:
        case "suit":
            _draw_shirt_front(canvas, traits, _WHITE)
            _draw_tie(canvas, traits)
            _draw_jacket(canvas, traits)
        case "jacket":
            _draw_sweater(canvas, traits, mixed(traits.tie, _WHITE, 0.75), neckline=500)
            _draw_jacket(canvas, traits)
        case "sweater":
            _draw_sweater(canvas, traits, traits.fabric, neckline=482)
        case "turtleneck":
            _draw_sweater(canvas, traits, traits.fabric, neckline=482)
            _draw_high_collar(canvas, traits)
        case "shirt":
            _draw_shirt_front(canvas, traits, mixed(traits.fabric, _WHITE, 0.72))
        case "blouse":
            _draw_sweater(canvas, traits, mixed(traits.fabric, _WHITE, 0.5), neckline=516)


def _neck_half(traits: Traits) -> float:
    grown_man = traits.sex is Sex.MALE and traits.age >= 18
    return (72 if grown_man else 58) - 8 * traits.childhood


def _draw_neck(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    half, dark = _neck_half(traits), shadow_of(traits.skin)
    outline = smooth(
        _both((half, 340), (half, 430), (half + 8, 468), (half + 50, 500), (half + 70, _BOTTOM))
    )
    canvas.shape(outline, mixed(traits.skin, dark, 0.18))
    inside = canvas.mask(outline)
    under_chin = [(x, y + 24) for x, y in shape.head if y > 300]
    canvas.soft(under_chin, mixed(dark, (60, 24, 20), 0.25), blur=10, opacity=0.75, clip=inside)
    side = [
        (CENTRE + half - 22, 400),
        (CENTRE + half + 12, 400),
        (CENTRE + half + 60, 520),
        (CENTRE + half - 8, 500),
    ]
    canvas.soft(side, dark, blur=10, opacity=0.5, clip=inside)


def _shoulders(traits: Traits, neck_gap: float, neckline: float) -> list[tuple[float, float]]:
    """Outline of a garment from one side of the neck over the shoulder to the lower edge."""
    half, reach = _neck_half(traits) + neck_gap, traits.shoulder_width
    right = smooth(
        [(CENTRE + half, 452), (CENTRE + half + 34, 472), (CENTRE + 150 * reach, 494),
         (CENTRE + 196 * reach, 516), (CENTRE + 214 * reach, 560)],
        closed=False,
    )  # fmt: skip
    left = [(2 * CENTRE - x, y) for x, y in right]
    collar = smooth([left[0], (CENTRE - half * 0.62, neckline - 10), (CENTRE, neckline),
                     (CENTRE + half * 0.62, neckline - 10), right[0]], closed=False)  # fmt: skip
    return [*collar, *right, *reversed(left)]


def _draw_sweater(canvas: Canvas, traits: Traits, colour: Colour, neckline: float) -> None:
    outline = _shoulders(traits, 4, neckline)
    canvas.shape(outline, colour)
    _draw_folds(canvas, outline, colour)
    half = _neck_half(traits) + 4
    rim = [(CENTRE - half, 452), (CENTRE - half * 0.62, neckline - 10), (CENTRE, neckline),
           (CENTRE + half * 0.62, neckline - 10), (CENTRE + half, 452)]  # fmt: skip
    canvas.line(smooth(rim, closed=False), mixed(colour, (16, 18, 24), 0.25), 7)


def _draw_high_collar(canvas: Canvas, traits: Traits) -> None:
    half, colour = _neck_half(traits) + 5, mixed(traits.fabric, (16, 18, 24), 0.1)
    outline = smooth(_both((half, 436), (half + 2, 462), (half - 14, 492)), steps=6)
    top = smooth([(CENTRE - half, 436), (CENTRE, 462), (CENTRE + half, 436)], closed=False)
    body = [*top, (CENTRE + half + 3, 470), (CENTRE + half - 10, 494), (CENTRE, 506),
            (CENTRE - half + 10, 494), (CENTRE - half - 3, 470)]  # fmt: skip
    canvas.shape(body, colour)
    canvas.soft(
        [(x, y) for x, y in outline if x > CENTRE + 30],
        (16, 18, 24),
        blur=8,
        opacity=0.3,
        clip=canvas.mask(body),
    )
    canvas.line(top, mixed(colour, (255, 255, 255), 0.14), 3)


def _draw_shirt_front(canvas: Canvas, traits: Traits, colour: Colour) -> None:
    outline = _shoulders(traits, 2, 512)
    canvas.shape(outline, colour)
    _draw_folds(canvas, outline, colour)
    half, edge = _neck_half(traits) + 3, mixed(colour, (40, 48, 64), 0.35)
    for side in (-1, 1):
        leaf = [
            (CENTRE + side * dx, y)
            for dx, y in ((half, 440), (half + 9, 470), (52, 522), (2, 506), (half - 14, 470))
        ]
        canvas.shape(leaf, mixed(colour, (255, 255, 255), 0.3))
        canvas.line([*leaf, leaf[0]], edge, 1.5)
    canvas.line([(CENTRE, 510), (CENTRE, _BOTTOM)], edge, 1.5)


def _draw_tie(canvas: Canvas, traits: Traits) -> None:
    knot = [(CENTRE - 17, 496), (CENTRE + 17, 496), (CENTRE + 12, 520), (CENTRE - 12, 520)]
    tail = [(CENTRE - 11, 519), (CENTRE + 11, 519), (CENTRE + 18, _BOTTOM), (CENTRE - 18, _BOTTOM)]
    canvas.shape(tail, mixed(traits.tie, (16, 18, 24), 0.15))
    canvas.shape(smooth(knot, steps=3), traits.tie)
    canvas.soft(
        [(CENTRE - 12, 499), (CENTRE - 2, 499), (CENTRE - 6, 516)],
        (255, 255, 255),
        blur=3,
        opacity=0.25,
    )


def _draw_jacket(canvas: Canvas, traits: Traits) -> None:
    """Two fronts with lapels; open to the breast."""
    colour, reach = traits.fabric, traits.shoulder_width
    half = _neck_half(traits) + 4
    edge = mixed(colour, (8, 8, 12), 0.4)
    for side in (-1, 1):
        shoulder = smooth(
            [
                (CENTRE + side * dx, y)
                for dx, y in (
                    (half, 448),
                    (half + 34, 466),
                    (150 * reach, 488),
                    (198 * reach, 511),
                    (218 * reach, 560),
                )
            ],
            closed=False,
        )
        front = [*shoulder, (CENTRE + side * 16, 560), (CENTRE + side * 34, 530)]
        canvas.shape(front, colour)
        _draw_folds(canvas, front, colour)
        lapel = [
            (CENTRE + side * dx, y)
            for dx, y in (
                (half, 446),
                (half + 22, 478),
                (half + 34, 496),
                (half + 16, 506),
                (half + 12, _BOTTOM),
                (26, _BOTTOM),
            )
        ]
        canvas.shape(lapel, mixed(colour, (255, 255, 255), 0.07))
        canvas.line(lapel[:5], edge, 1.5)


def _draw_folds(canvas: Canvas, outline: list[tuple[float, float]], colour: Colour) -> None:
    inside = canvas.mask(outline)
    dark, bright = mixed(colour, (8, 10, 16), 0.5), mixed(colour, (255, 255, 255), 0.3)
    canvas.soft(
        [(300, 480), (430, 510), (430, 560), (320, 560)], dark, blur=16, opacity=0.5, clip=inside
    )
    canvas.soft(
        [(60, 494), (130, 474), (140, 482), (70, 506)], bright, blur=8, opacity=0.5, clip=inside
    )
    canvas.soft(
        [(CENTRE - 90, 440), (CENTRE + 90, 440), (CENTRE, 484)],
        dark,
        blur=10,
        opacity=0.35,
        clip=inside,
    )


def _both(*half: tuple[float, float]) -> list[tuple[float, float]]:
    """Right half (distance from the axis, height), closed by its mirror image."""
    return [*((CENTRE + dx, y) for dx, y in half), *((CENTRE - dx, y) for dx, y in reversed(half))]
