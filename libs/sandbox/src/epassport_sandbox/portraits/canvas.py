"""A supersampled picture: smooth curves, soft shades, clipping.

Coordinates are pixels of the finished picture; everything is drawn SCALE times larger and
reduced at the end, which is what makes edges smooth. Soft shades are blurred on a small mask
around their shape: blurring the large picture would take most of the time of a portrait.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageChops, ImageDraw, ImageFilter

Point = tuple[float, float]
Colour = tuple[int, int, int]

SCALE = 2
_BLUR_REACH = 2.2  # in radii; what lies further out is below one grey level
_WIDE_BLUR = 4.0  # from here on a mask of a quarter of the width shows no difference


Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Clip:
    """A mask of the large picture and the box outside which it is empty."""

    mask: Image.Image
    box: Box


class Canvas:
    def __init__(self, width: int, height: int, *, top: Colour, bottom: Colour) -> None:
        """The background runs from one colour down to the other."""
        self.size = (width * SCALE, height * SCALE)
        self.image = _background(self.size, top, bottom).copy()
        self._draw = ImageDraw.Draw(self.image)

    def shape(self, outline: Sequence[Point], colour: Colour) -> None:
        self._draw.polygon(scaled(outline), fill=colour)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """A stroke with round ends; the widest brush is `width` pixels."""
        path, brush = scaled(points), max(1, round(width * SCALE))
        self._draw.line(path, fill=colour, width=brush, joint="curve")
        for x, y in (path[0], path[-1]):
            r = brush / 2 - 0.5
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def ellipse(self, centre: Point, rx: float, ry: float, colour: Colour) -> None:
        self._draw.ellipse(scaled_box(centre, rx, ry), fill=colour)

    def mask(self, *outlines: Sequence[Point]) -> Clip:
        """A clip that lets through what lies in one of the outlines."""
        mask = Image.new("L", self.size)
        draw = ImageDraw.Draw(mask)
        for outline in outlines:
            draw.polygon(scaled(outline), fill=255)
        return Clip(mask, _box_around([p for outline in outlines for p in outline], 1, self.size))

    def soft(
        self,
        outline: Sequence[Point],
        colour: Colour,
        *,
        blur: float,
        opacity: float,
        clip: Clip | None = None,
    ) -> None:
        """A shape whose edge fades over about `blur` pixels, laid over what is there."""
        box = _box_around(outline, _BLUR_REACH * blur, self.size)
        seen = _common(box, clip.box) if clip else box
        if seen[0] >= seen[2] or seen[1] >= seen[3]:
            return
        shrink = 4 if blur >= _WIDE_BLUR else 1
        small = ((box[2] - box[0]) // shrink + 1, (box[3] - box[1]) // shrink + 1)
        patch = Image.new("L", small)
        ImageDraw.Draw(patch).polygon(
            [((x * SCALE - box[0]) / shrink, (y * SCALE - box[1]) / shrink) for x, y in outline],
            fill=round(255 * opacity),
        )
        patch = patch.filter(ImageFilter.GaussianBlur(blur * SCALE / shrink))
        left, top, right, bottom = ((edge - box[i % 2]) / shrink for i, edge in enumerate(seen))
        patch = patch.resize(
            (seen[2] - seen[0], seen[3] - seen[1]),
            Image.Resampling.BILINEAR if shrink > 1 else Image.Resampling.NEAREST,
            box=(left, top, right, bottom),
        )
        if clip is not None:
            patch = ImageChops.multiply(patch, clip.mask.crop(seen))
        self.image.paste(colour, seen, patch)

    def strands(
        self,
        strands: Sequence[tuple[Sequence[Point], Colour]],
        *,
        width: float,
        opacity: float,
        clip: Clip,
    ) -> None:
        """Fine lines, visible only where `clip` lets them through."""
        box = clip.box
        layer = self.image.crop(box)
        draw = ImageDraw.Draw(layer)
        for points, colour in strands:
            path = [(x * SCALE - box[0], y * SCALE - box[1]) for x, y in points]
            draw.line(path, fill=colour, width=round(width * SCALE), joint="curve")
        self.image.paste(
            layer, box, clip.mask.crop(box).point(lambda level: round(level * opacity))
        )

    def reduced(self) -> Image.Image:
        return self.image.reduce(SCALE)


def smooth(points: Sequence[Point], *, closed: bool = True, steps: int = 8) -> list[Point]:
    """A Catmull-Rom curve through the points."""
    count = len(points)
    path: list[Point] = []
    for i in range(count if closed else count - 1):
        if closed:
            before, start, end, after = (points[(i + k) % count] for k in (-1, 0, 1, 2))
        else:
            before, start = points[max(i - 1, 0)], points[i]
            end, after = points[i + 1], points[min(i + 2, count - 1)]
        for step in range(steps):
            t = step / steps
            path.append((_spline(before[0], start[0], end[0], after[0], t),
                         _spline(before[1], start[1], end[1], after[1], t)))  # fmt: skip
    if not closed:
        path.append(points[-1])
    return path


def mirrored(half: Sequence[Point], axis: float) -> list[Point]:
    """A symmetric outline from its right half, given from top to bottom."""
    return [*half, *((2 * axis - x, y) for x, y in reversed(half) if x != axis)]


def oval(centre: Point, rx: float, ry: float) -> list[Point]:
    x, y = centre
    d = 0.7071
    return smooth(
        [(x, y - ry), (x + d * rx, y - d * ry), (x + rx, y), (x + d * rx, y + d * ry),
         (x, y + ry), (x - d * rx, y + d * ry), (x - rx, y), (x - d * rx, y - d * ry)],
        steps=4,
    )  # fmt: skip


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`share` 0 is the first colour, 1 the other."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def scaled(points: Sequence[Point]) -> list[Point]:
    return [(x * SCALE, y * SCALE) for x, y in points]


def scaled_box(centre: Point, rx: float, ry: float) -> tuple[float, float, float, float]:
    x, y = centre
    return (x - rx) * SCALE, (y - ry) * SCALE, (x + rx) * SCALE, (y + ry) * SCALE


def _spline(before: float, start: float, end: float, after: float, t: float) -> float:
    a = 2 * start
    b = end - before
    c = 2 * before - 5 * start + 4 * end - after
    d = 3 * (start - end) + after - before
    return (a + b * t + c * t * t + d * t * t * t) / 2


@cache
def _background(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    ramp = Image.linear_gradient("L").resize(size)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), ramp)


def _common(one: Box, other: Box) -> Box:
    return (
        max(one[0], other[0]),
        max(one[1], other[1]),
        min(one[2], other[2]),
        min(one[3], other[3]),
    )


def _box_around(outline: Sequence[Point], reach: float, size: tuple[int, int]) -> Box:
    left, top = (min(p[axis] for p in outline) - reach for axis in (0, 1))
    right, bottom = (max(p[axis] for p in outline) + reach for axis in (0, 1))
    return (
        max(0, int(left * SCALE)),
        max(0, int(top * SCALE)),
        min(size[0], int(right * SCALE) + 1),
        min(size[1], int(bottom * SCALE) + 1),
    )
