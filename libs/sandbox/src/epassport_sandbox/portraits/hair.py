"""Hair: what hangs behind the neck is drawn first, what covers the forehead last."""

import math
from collections.abc import Sequence

from epassport_sandbox.portraits.canvas import Canvas, Colour, Point, mixed
from epassport_sandbox.portraits.face import FaceShape
from epassport_sandbox.portraits.traits import Traits

_SHINE: Colour = (255, 244, 226)
_DEEP: Colour = (14, 10, 12)

# Outlines as (distance from the axis, height). The outer edge runs from the left ear over the
# crown to the right ear, the hairline back from right to left.
_CAP: tuple[Point, ...] = (
    (-119, 262), (-130, 232), (-133, 178), (-118, 112), (-72, 70), (0, 57), (72, 70), (118, 112),
    (133, 178), (130, 232), (119, 262),
)  # fmt: skip
_HAIRLINES: dict[str, tuple[Point, ...]] = {
    "short": (
        (115, 228), (108, 182), (88, 150), (46, 136), (0, 139),
        (-46, 135), (-88, 150), (-108, 182), (-115, 228),
    ),
    "side": (
        (115, 228), (109, 186), (98, 158), (60, 150), (6, 142),
        (-40, 122), (-84, 138), (-106, 176), (-115, 228),
    ),
    "swept": (
        (116, 226), (111, 178), (94, 138), (50, 121), (0, 124),
        (-50, 120), (-94, 138), (-111, 178), (-116, 226),
    ),
    "crop": (
        (116, 222), (110, 178), (92, 146), (48, 134), (0, 132),
        (-48, 134), (-92, 146), (-110, 178), (-116, 222),
    ),
    "tied": (
        (117, 240), (112, 190), (90, 142), (48, 122), (0, 116),
        (-48, 122), (-90, 142), (-112, 190), (-117, 240),
    ),
}  # fmt: skip


# How much the hair stands up, and how far it leans to the side.
_VOLUME = {"short": (0.0, 6.0), "side": (8.0, 44.0), "swept": (16.0, 0.0), "tied": (0.0, 0.0)}


def draw_behind(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    back = mixed(traits.hair, _DEEP, 0.32)
    match traits.hair_style:
        case "long" | "fringe":
            outline = _sides((70, 110), (120, 190), (140, 300), (148, 420), (150, 560))
        case "wavy":
            outline = _sides((70, 110), *((_wavy(138, y), y) for y in range(180, 570, 12)))
        case "bob":
            outline = _sides((70, 110), (130, 220), (144, 320), (138, 396), (100, 420))
        case _:
            return
    canvas.shape(shape.curve(*outline), back)


def draw_front(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    match traits.hair_style:
        case "bald":
            _draw_fringe_of_bald(canvas, traits, shape)
        case "crop":
            _draw_crop(canvas, traits, shape)
        case "short" | "side" | "swept" | "tied":
            _draw_cap(canvas, traits, shape)
        case "fringe":
            _draw_curtains(canvas, traits, shape, parting=0)
            _draw_fringe(canvas, traits, shape)
        case "long" | "bob" | "wavy":
            _draw_curtains(canvas, traits, shape, parting=-34 if traits.eye_size > 1.05 else 6)


def _draw_cap(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    """Hair that ends at the ears; `hair_thinning` raises the hairline at the temples most."""
    lift, lean = _VOLUME[traits.hair_style]
    outer = [(dx * (1 + lift / 900), y - lift * max(0.0, (150 - y) / 95)) for dx, y in _CAP]
    hairline = [_receded(point, traits.hair_thinning) for point in _HAIRLINES[traits.hair_style]]
    outline = shape.curve(*outer, *hairline)
    _fill(canvas, traits, outline)
    paths = []
    for k in range(-13, 14):
        root = (k * 8.4 - lean * 0.3, 150 + k * k * 0.3)
        tip = (k * 9.8 + lean * 0.6, 54 - lift * 0.7 + abs(k) ** 2.1 * 0.42)
        paths.append((root, (k * 9.6 + lean * 0.5, (root[1] + tip[1]) / 2), tip))
    _draw_strands(canvas, traits, shape, paths, outline)


def _draw_crop(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    tight = [(dx * 0.96, y + 12 if y < 130 else y) for dx, y in _CAP]
    hairline = [_receded(point, traits.hair_thinning) for point in _HAIRLINES["crop"]]
    outline = shape.curve(*tight, *hairline)
    canvas.soft(outline, mixed(traits.hair, traits.skin, 0.14), blur=1.8, opacity=0.95)
    canvas.soft(shape.curve((-60, 96), (-10, 80), (30, 84), (0, 108)), _SHINE, blur=14, opacity=0.2)


def _draw_fringe_of_bald(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    for side in (-1, 1):
        band = [(112, 184), (125, 180), (131, 214), (124, 262), (116, 250), (114, 214)]
        outline = shape.curve(*((side * dx, y) for dx, y in band))
        canvas.soft(outline, traits.hair, blur=3, opacity=0.85)
    canvas.soft(
        shape.curve((-50, 102), (-6, 90), (20, 98), (-16, 118)), _SHINE, blur=10, opacity=0.5
    )


def _draw_curtains(canvas: Canvas, traits: Traits, shape: FaceShape, parting: float) -> None:
    """Hair parted on the crown that falls beside the face."""
    end = 404.0 if traits.hair_style == "bob" else 560.0
    for side in (-1, 1):
        outline = shape.curve(*_curtain(traits, parting, side, end))
        _shadow_on_face(canvas, shape, outline, side)
        _fill(canvas, traits, outline)
        paths = []
        for k in range(16):
            share = k / 15
            beside = [
                (side * _fall(traits, 108 + 40 * share, y), y) for y in (250.0, 330.0, 410.0, end)
            ]
            crown = (parting + side * (2 + 10 * share), 104 - 46 * share)
            paths.append(
                (
                    crown,
                    (side * (70 + 40 * share), 142 - 62 * share),
                    (side * (104 + 32 * share), 196 - 36 * share),
                    *beside,
                )
            )
        _draw_strands(canvas, traits, shape, paths, outline)


def _curtain(traits: Traits, parting: float, side: int, end: float) -> list[Point]:
    """One half of parted hair: outer edge down, inner edge up along the face."""
    outer = [(parting, 57.0), (side * 76.0, 69.0), (side * 122.0, 114.0)]
    outer += [(side * _fall(traits, 141, y), y) for y in range(190, int(end), 30)]
    inner = [(side * _fall(traits, 104, y), y) for y in range(int(end), 250, -30)]
    brow = [
        (side * 114.0, 232.0),
        (side * 106.0, 186.0),
        (side * 82.0, 140.0),
        (side * 38 + parting * 0.6, 110.0),
    ]
    return [*outer, *inner, *brow, (parting, 98.0)]


def _fall(traits: Traits, dx: float, y: float) -> float:
    """How far from the axis a lock hangs at height y."""
    if traits.hair_style == "wavy":
        return _wavy(dx, y)
    if traits.hair_style == "bob":
        return dx + 10 * math.sin(min(1.0, max(0.0, (y - 190) / 215)) * math.pi) - 8 * (y > 390)
    return dx + 0.03 * max(0.0, y - 250)


def _wavy(dx: float, y: float) -> float:
    swing = 7 * min(1.0, max(0.0, (y - 190) / 90))
    return dx + 0.05 * max(0.0, y - 200) + swing * math.sin(y / 22)


def _draw_fringe(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    outline = shape.curve(
        (-114, 214), (-118, 140), (-66, 82), (0, 68), (66, 82), (118, 140), (114, 214),
        (84, 204), (44, 208), (0, 204), (-44, 208), (-84, 204),
    )  # fmt: skip
    canvas.soft(
        [(x, y + 7) for x, y in outline],
        (60, 30, 24),
        blur=5,
        opacity=0.35,
        clip=canvas.mask(shape.head),
    )
    _fill(canvas, traits, outline)
    paths = [((k * 2.5, 70.0), (k * 7.2, 130.0), (k * 8.4, 212.0)) for k in range(-13, 14)]
    _draw_strands(canvas, traits, shape, paths, outline)


def _shadow_on_face(canvas: Canvas, shape: FaceShape, outline: list[Point], side: int) -> None:
    shifted = [(x - side * 5, y + 5) for x, y in outline]
    canvas.soft(shifted, (90, 46, 36), blur=7, opacity=0.34, clip=canvas.mask(shape.head))


def _fill(canvas: Canvas, traits: Traits, outline: list[Point]) -> None:
    canvas.shape(outline, traits.hair)
    inside = canvas.mask(outline)
    top = min(y for _, y in outline)
    shine = [(150, top + 34), (196, top + 20), (238, top + 26), (196, top + 44)]
    canvas.soft(shine, mixed(traits.hair, _SHINE, 0.5), blur=16, opacity=0.5, clip=inside)
    canvas.soft(
        [(290, 90), (360, 120), (370, 300), (322, 300), (318, 180)],
        mixed(traits.hair, _DEEP, 0.6),
        blur=16,
        opacity=0.45,
        clip=inside,
    )


def _draw_strands(
    canvas: Canvas,
    traits: Traits,
    shape: FaceShape,
    paths: Sequence[Sequence[Point]],
    outline: list[Point],
) -> None:
    tones = [
        mixed(traits.hair, tint, share)
        for tint, share in ((_SHINE, 0.2), (_DEEP, 0.32), (_DEEP, 0.16))
    ]
    strands = [(shape.curve(*path, closed=False), tones[i * 7 % 3]) for i, path in enumerate(paths)]
    canvas.strands(strands, width=1.5, opacity=0.6, clip=canvas.mask(outline))


def _receded(point: Point, thinning: float) -> Point:
    dx, y = point
    temple = math.exp(-(((abs(dx) - 66) / 30) ** 2))
    return dx, y - thinning * (16 + 30 * temple) * (1 if y < 200 else 0)


def _sides(*right: Point) -> tuple[Point, ...]:
    return (*right, *((-dx, y) for dx, y in reversed(right)))
