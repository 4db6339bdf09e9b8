"""The security background: a colour that runs across the card and families of sine curves.

It is the same on every card of a side, so it is drawn once per resolution.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

from PIL import Image, ImageDraw

from card_personalization.surface import HEIGHT_MM, WIDTH_MM, Colour, pixels

Side = Literal["front", "back"]
_Curve = list[tuple[float, float]]  # millimetres

_LEAST_DRAWN_DPI = 600  # lines are drawn at this resolution or finer, then reduced
_IRIS: dict[Side, tuple[Colour, ...]] = {
    "front": ((226, 236, 246), (246, 236, 240), (232, 243, 236)),
    "back": ((233, 243, 238), (238, 238, 247), (247, 238, 238)),
}


@dataclass(frozen=True)
class _Family:
    colour: Colour
    opacity: float
    curves: Callable[[], Iterator[_Curve]]


def background(side: Side, dpi: int) -> Image.Image:
    """A fresh copy of the whole face's background."""
    return _drawn(side, dpi).copy()


@cache
def _drawn(side: Side, dpi: int) -> Image.Image:
    finer = max(1, _LEAST_DRAWN_DPI // dpi)
    size = pixels(WIDTH_MM, dpi), pixels(HEIGHT_MM, dpi)
    card = _iris(_IRIS[side], size)
    for family in _FAMILIES[side]:
        mask = Image.new("L", (size[0] * finer, size[1] * finer))
        draw = ImageDraw.Draw(mask)
        scale = dpi * finer / 25.4
        for curve in family.curves():
            path = [(x * scale, y * scale) for x, y in curve]
            draw.line(path, fill=round(255 * family.opacity), width=max(1, round(scale * 0.06)))
        card.paste(family.colour, (0, 0), mask.reduce(finer) if finer > 1 else mask)
    return card


def _iris(colours: tuple[Colour, ...], size: tuple[int, int]) -> Image.Image:
    """Colours that run into each other from left to right, as iris printing leaves them."""
    strip = Image.new("RGB", (len(colours), 1))
    strip.putdata(colours)
    return strip.resize(size, Image.Resampling.BICUBIC)


def _waves(amplitude: float, period: float, distance: float, drift: float) -> Iterator[_Curve]:
    """Lines across the card whose swell grows and ebbs from line to line."""
    count = int(HEIGHT_MM / distance) + 8
    for line in range(-4, count):
        swell = amplitude * (0.55 + 0.45 * math.sin(line * 0.21))
        yield [
            (
                x,
                line * distance
                + swell * math.sin(2 * math.pi * x / period + drift * line)
                + 0.4 * swell * math.sin(2 * math.pi * x / (period * 0.37) - drift * line),
            )
            for x in (step * 0.5 for step in range(int(WIDTH_MM / 0.5) + 2))
        ]


def _rosette(
    centre: tuple[float, float], inner: float, outer: float, petals: int, turns: int
) -> Iterator[_Curve]:
    """Closed sine curves around a centre, each turned against the one before."""
    steps = petals * 48
    for turn in range(turns):
        shift = 2 * math.pi * turn / turns
        curve = []
        for step in range(steps + 1):
            angle = 2 * math.pi * step / steps
            swing = math.sin(petals * angle + shift) + 0.25 * math.sin(3 * petals * angle - shift)
            radius = (inner + outer) / 2 + (outer - inner) / 2.5 * swing
            curve.append(
                (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle))
            )
        yield curve


_FAMILIES: dict[Side, tuple[_Family, ...]] = {
    "front": (
        _Family((120, 150, 196), 0.34, lambda: _waves(1.9, 31, 0.95, 0.12)),
        _Family((196, 136, 156), 0.30, lambda: _waves(1.6, 43, 1.15, -0.16)),
        _Family((92, 128, 186), 0.40, lambda: _rosette((50, 31), 9, 21, 12, 12)),
        _Family((178, 110, 130), 0.38, lambda: _rosette((50, 31), 3, 12, 9, 12)),
        _Family((112, 160, 138), 0.38, lambda: _rosette((85.6, 0), 6, 19, 14, 12)),
    ),
    "back": (
        _Family((122, 164, 146), 0.34, lambda: _waves(1.8, 37, 1.0, -0.13)),
        _Family((130, 142, 196), 0.30, lambda: _waves(1.5, 29, 1.2, 0.15)),
        _Family((100, 132, 180), 0.38, lambda: _rosette((60, 16), 6, 17, 12, 12)),
        _Family((186, 120, 132), 0.36, lambda: _rosette((60, 16), 2, 8.5, 8, 10)),
    ),
}
