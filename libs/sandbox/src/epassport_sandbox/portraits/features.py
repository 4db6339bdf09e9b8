"""Brows, eyes, nose, mouth, beard, glasses."""

from epassport_credentials.identity import Sex
from epassport_sandbox.portraits.canvas import Canvas, Colour, Point, mixed, oval, smooth
from epassport_sandbox.portraits.face import EYE_LINE, FaceShape, shadow_of
from epassport_sandbox.portraits.traits import Traits

_EYE_AXIS = 53.0
_LASH: Colour = (44, 32, 30)


def draw(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    if traits.beard != "none":
        _draw_beard(canvas, traits, shape)
    for side in (-1, 1):
        _draw_eye(canvas, traits, shape, side)
        _draw_brow(canvas, traits, shape, side)
    _draw_nose(canvas, traits, shape)
    _draw_mouth(canvas, traits, shape)
    if traits.beard in ("moustache", "full", "goatee"):
        _draw_moustache(canvas, traits, shape)


def draw_glasses(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    if not traits.glasses:
        return
    frame = mixed(traits.hair, (30, 28, 32), 0.7)
    axis = _EYE_AXIS * traits.eye_distance
    for side in (-1, 1):
        x, y = shape.at(side * axis, EYE_LINE + 4)
        lens = smooth([(x - 41, y - 20), (x, y - 25), (x + 41, y - 20), (x + 39, y + 14),
                       (x, y + 27), (x - 39, y + 14)])  # fmt: skip
        glare = [(x - 26, y - 16), (x - 12, y - 19), (x - 26, y + 12), (x - 34, y + 8)]
        canvas.soft(glare, (255, 255, 255), blur=4, opacity=0.22)
        canvas.line([*lens, lens[0]], frame, 4)
        canvas.line([(x + side * 41, y - 13), shape.at(side * 126, EYE_LINE - 12)], frame, 4)
    bridge = [shape.at(dx, y) for dx, y in ((-axis + 39, 254), (0, 247), (axis - 39, 254))]
    canvas.line(smooth(bridge, closed=False), frame, 4)


def _draw_eye(canvas: Canvas, traits: Traits, shape: FaceShape, side: int) -> None:
    x, y = shape.at(side * _EYE_AXIS * traits.eye_distance, EYE_LINE)
    size = traits.eye_size * (1 + 0.08 * traits.childhood)
    width, open_ = 29.5 * size, 12.6 * size * (1 - 0.18 * traits.wrinkles)
    dark = shadow_of(traits.skin)

    def rim(*pairs: Point, closed: bool = False) -> list[Point]:
        return smooth([(x + side * dx * width, y + dy * open_) for dx, dy in pairs], closed=closed)

    upper = rim((-1, 0.42), (-0.62, -0.5), (0, -1.0), (0.6, -0.62), (1, 0.12))
    lower = rim((1, 0.12), (0.55, 0.75), (0, 0.98), (-0.6, 0.85), (-1, 0.42))
    almond = [*upper, *lower]
    canvas.shape(almond, (243, 240, 237))
    inside = canvas.mask(almond)
    iris = oval((x, y - 0.5), 13.2 * size, 13.2 * size)
    canvas.soft(iris, mixed(traits.eyes, (20, 20, 24), 0.45), blur=0.7, opacity=1, clip=inside)
    canvas.soft(
        oval((x, y + 1), 9.8 * size, 9.4 * size), traits.eyes, blur=1.6, opacity=0.95, clip=inside
    )
    canvas.soft(
        oval((x, y - 0.5), 5.4 * size, 5.4 * size), (18, 15, 16), blur=0.6, opacity=1, clip=inside
    )
    shade = [*upper, *((px, py + 6) for px, py in reversed(upper))]
    canvas.soft(shade, (70, 50, 48), blur=2.4, opacity=0.5, clip=inside)
    canvas.ellipse((x - 4 * size, y - 5 * size), 2.4, 2.4, (255, 255, 255))
    canvas.soft(
        [*lower, *((px, py + 1.8) for px, py in reversed(lower))], dark, blur=1, opacity=0.75
    )
    lash = traits.sex is Sex.FEMALE and traits.age >= 16
    lid = [*upper, *((px, py + (3.4 if lash else 2.4)) for px, py in reversed(upper))]
    canvas.shape(lid, _LASH if lash else mixed(_LASH, dark, 0.35))
    if lash:
        outer = rim((0.7, -0.4), (1.0, 0.12), (1.16, -0.2))
        canvas.shape(outer, _LASH)
    crease = rim((-0.85, -0.5), (-0.4, -1.25), (0.1, -1.62), (0.7, -1.15), (1.08, -0.3))
    canvas.soft(
        [*crease, *((px, py + 2.2) for px, py in reversed(crease))], dark, blur=1.2, opacity=0.8
    )


def _draw_brow(canvas: Canvas, traits: Traits, shape: FaceShape, side: int) -> None:
    arch, weight = 9 * traits.brow_arch, 9.5 * traits.brow_weight
    axis = _EYE_AXIS * traits.eye_distance
    colour = mixed(traits.hair, (50, 38, 34), 0.45)
    top = [
        (axis - 31, 223),
        (axis - 8, 220 - arch * 0.4),
        (axis + 16, 219 - arch * 0.7),
        (axis + 38, 230),
    ]
    under = [
        (axis + 16, 219 - arch * 0.7 + weight * 0.7),
        (axis - 8, 220 - arch * 0.4 + weight),
        (axis - 32, 223 + weight * 0.85),
    ]
    outline = shape.curve(*((side * dx, y) for dx, y in (*top, *under)))
    canvas.soft(outline, colour, blur=1.5, opacity=0.95)
    canvas.soft(outline, colour, blur=3.5, opacity=0.35)


def _draw_nose(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    wide, base = traits.nose_width * (1 - 0.1 * traits.childhood), 338 * traits.nose_length
    base = EYE_LINE + (338 - EYE_LINE) * traits.nose_length * (1 - 0.08 * traits.childhood)
    dark, bright = shadow_of(traits.skin), mixed(traits.skin, (255, 252, 246), 0.6)
    flank = shape.points(
        (9, 240), (14, 268), (13, 300), (24 * wide, base - 10), (10, base - 4), (8, 300), (6, 268)
    )
    canvas.soft(flank, dark, blur=5, opacity=0.5)
    left = shape.points((-16, 236), (-13, 262), (-9, 262), (-10, 238))
    canvas.soft(left, dark, blur=5, opacity=0.35)
    canvas.soft(
        shape.points((-5, 250), (2, 250), (3, base - 20), (-7, base - 20)),
        bright,
        blur=5,
        opacity=0.55,
    )
    canvas.soft(oval(shape.at(-3, base - 13), 8, 6), bright, blur=4, opacity=0.6)
    under = shape.curve(
        (-22 * wide, base - 5),
        (0, base - 1),
        (22 * wide, base - 5),
        (14, base + 5),
        (0, base + 8),
        (-14, base + 5),
    )
    canvas.soft(under, dark, blur=3.5, opacity=0.42)
    for side in (-1, 1):
        wing = shape.curve(
            (side * 20 * wide, base - 20),
            (side * 27 * wide, base - 9),
            (side * 20 * wide, base),
            (side * 24 * wide, base - 9),
        )
        canvas.soft(wing, dark, blur=1.8, opacity=0.65)
        nostril = oval(shape.at(side * 11.5 * wide, base - 1), 5.6 * wide, 2.1)
        canvas.soft(nostril, mixed(dark, (50, 20, 18), 0.45), blur=1.5, opacity=0.85)


def _draw_mouth(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    half, full = 38 * traits.mouth_width, 9.5 * traits.lip_fullness * (1 - 0.25 * traits.wrinkles)
    y, dark = 376.0, shadow_of(traits.skin)
    made_up = traits.sex is Sex.FEMALE and traits.age >= 16
    tint: Colour = (190, 74, 78) if made_up else (186, 92, 82)
    lip = mixed(traits.skin, tint, 0.62 if made_up else 0.42)
    upper = shape.curve(
        (-half, y), (-half * 0.5, y - full * 0.62), (-8, y - full), (0, y - full * 0.72),
        (8, y - full), (half * 0.5, y - full * 0.62), (half, y), (0, y + 2),
    )  # fmt: skip
    lower = shape.curve(
        (-half * 0.94, y), (0, y + 1), (half * 0.94, y), (half * 0.48, y + full * 1.05),
        (0, y + full * 1.3), (-half * 0.48, y + full * 1.05),
    )  # fmt: skip
    canvas.soft(lower, lip, blur=1, opacity=1)
    canvas.soft(upper, mixed(lip, dark, 0.35), blur=1, opacity=1)
    canvas.soft(
        oval(shape.at(-4, y + full * 0.62), 15, 3),
        mixed(lip, (255, 240, 236), 0.6),
        blur=3,
        opacity=0.6,
    )
    seam = shape.curve((-half * 1.03, y - 1), (-half * 0.4, y + 0.6), (0, y), (half * 0.4, y + 0.6),
                       (half * 1.03, y - 1), closed=False)  # fmt: skip
    seam += [(px, py + 1.8) for px, py in reversed(seam)]
    canvas.soft(seam, mixed(lip, (60, 22, 24), 0.72), blur=0.8, opacity=0.95)
    for side in (-1, 1):
        canvas.soft(oval(shape.at(side * (half + 3), y), 4, 4), dark, blur=2.5, opacity=0.5)


def _draw_beard(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    """A beard's mask: cheeks and chin without the mouth; stubble is the same, nearly clear."""
    inside = canvas.mask(shape.head)
    if traits.beard in ("moustache", "goatee"):
        chin = shape.curve((-30, 398), (0, 392), (30, 398), (34, 424), (0, 442), (-34, 424))
        if traits.beard == "goatee":
            canvas.soft(chin, traits.hair, blur=3.5, opacity=0.9, clip=inside)
        return
    jaw = traits.jaw_width
    outline = shape.curve(
        (-122, 290), (-106, 318), (-88, 350), (-52, 356), (0, 350), (52, 356), (88, 350),
        (106, 318), (122, 290), (118 * jaw, 362), (82 * jaw, 424), (0, 452), (-82 * jaw, 424),
        (-118 * jaw, 362),
    )  # fmt: skip
    full = traits.beard == "full"
    canvas.soft(
        outline,
        traits.hair if full else mixed(shadow_of(traits.skin), traits.hair, 0.45),
        blur=4 if full else 10,
        opacity=0.93 if full else 0.34,
        clip=inside,
    )
    if full:
        bare = shape.curve((-26, 386), (0, 384), (26, 386), (14, 397), (0, 399), (-14, 397))
        canvas.soft(bare, traits.skin, blur=3, opacity=0.5, clip=inside)


def _draw_moustache(canvas: Canvas, traits: Traits, shape: FaceShape) -> None:
    outline = shape.curve((0, 352), (22, 350), (42, 366), (50, 384), (36, 376), (14, 368), (0, 369),
                          (-14, 368), (-36, 376), (-50, 384), (-42, 366), (-22, 350))  # fmt: skip
    canvas.soft(outline, traits.hair, blur=2, opacity=0.95)
