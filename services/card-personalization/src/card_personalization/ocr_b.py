"""The signs of a machine-readable zone, drawn after OCR-B size 1 (ISO 1073-2).

OCR-B is a font of constant stroke, so the 37 signs are kept as paths of a pen: M moves, L
draws a line, C a cubic curve. Paths lie in a cell of 14 x 24 units.
"""

from functools import cache

from PIL import Image, ImageDraw

from card_personalization.surface import pixels

PITCH_MM = 2.54
HEIGHT_MM = 2.40  # a capital, between the middles of its strokes
STROKE_MM = 0.36

_CELL_HEIGHT = 24
_CELL_WIDTH = 14
_SUPERSAMPLING = 4
_CURVE_STEPS = 14

_PATHS = {
    "0": "M7 0 C0.5 0 1 6 1 12 C1 18 0.5 24 7 24 C13.5 24 13 18 13 12 C13 6 13.5 0 7 0",
    "1": "M2.5 5 L8 0 L8 24 M3 24 L13 24",
    "2": "M1.5 4.5 C3 -1.5 13 -1.5 13 6 C13 12 3 17 1.2 24 L13.2 24",
    "3": "M1.5 0 L12.5 0 L5.5 9.5 C16.5 8.5 15.5 24 6 24 C4 24 2 23.2 0.8 22",
    "4": "M9.5 0 L1 17 L13.5 17 M10 10 L10 24",
    "5": "M12 0 L3 0 L3 10.5 C16 8 16.5 24 6 24 C4 24 2 23.3 0.8 22",
    "6": "M10.5 0 C5 5 1.2 11 1.2 16.5 C1.2 26.5 12.8 26.5 12.8 16.5 C12.8 8 4 8 1.8 13.5",
    "7": "M1 0 L13 0 C9 8 6 14 5.5 24",
    "8": "M7 11.2 C0.3 11.2 0.3 0 7 0 C13.7 0 13.7 11.2 7 11.2 "
    "C-1.3 11.2 -1.3 24 7 24 C15.3 24 15.3 11.2 7 11.2",
    "9": "M3.5 24 C9 19 12.8 13 12.8 7.5 C12.8 -2.5 1.2 -2.5 1.2 7.5 C1.2 16 10 16 12.2 10.5",
    "A": "M0 24 L7 0 L14 24 M2.6 16 L11.4 16",
    "B": "M1 12 L7 12 C15.5 12 15.5 24 7 24 L1 24 L1 0 L6.5 0 C13.5 0 13.5 12 7 12",
    "C": "M13.5 3.5 C11 -1 0.5 -2 0.5 12 C0.5 26 11 25 13.5 20.5",
    "D": "M1 0 L1 24 L5.5 24 C16.5 24 16.5 0 5.5 0 L1 0",
    "E": "M13 0 L1 0 L1 24 L13 24 M1 11.5 L11 11.5",
    "F": "M13 0 L1 0 L1 24 M1 11.5 L11 11.5",
    "G": "M13.5 3.5 C11 -1 0.5 -2 0.5 12 C0.5 26 11 25 13.5 20.5 L13.5 13 L8 13",
    "H": "M1 0 L1 24 M13 0 L13 24 M1 12 L13 12",
    "I": "M2.5 0 L11.5 0 M7 0 L7 24 M2.5 24 L11.5 24",
    "J": "M3 0 L11 0 L11 17 C11 26 2 26 1 18.5",
    "K": "M1.5 0 L1.5 24 M13 0 L1.5 13.5 M5 9.5 L13.5 24",
    "L": "M1.5 0 L1.5 24 L13 24",
    "M": "M0.5 24 L0.5 0 L7 12 L13.5 0 L13.5 24",
    "N": "M1 24 L1 0 L13 24 L13 0",
    "O": "M7 0 C-1.8 0 -1.8 24 7 24 C15.8 24 15.8 0 7 0",
    "P": "M1.5 24 L1.5 0 L7.5 0 C15.5 0 15.5 13 7.5 13 L1.5 13",
    "Q": "M7 0 C-1.8 0 -1.8 24 7 24 C15.8 24 15.8 0 7 0 M8 17 L13.5 25",
    "R": "M1.5 24 L1.5 0 L7.5 0 C15.5 0 15.5 13 7.5 13 L1.5 13 M7 13 L13.5 24",
    "S": "M12.8 3.5 C11 -1 1.2 -2 1.2 6 C1.2 13.5 13.2 10.5 13.2 18 C13.2 26 2 25.5 0.8 20",
    "T": "M0.5 0 L13.5 0 M7 0 L7 24",
    "U": "M1 0 L1 16 C1 26.7 13 26.7 13 16 L13 0",
    "V": "M0.5 0 L7 24 L13.5 0",
    "W": "M0 0 L3.2 24 L7 9 L10.8 24 L14 0",
    "X": "M0.8 0 L13.2 24 M13.2 0 L0.8 24",
    "Y": "M0.5 0 L7 12 L13.5 0 M7 12 L7 24",
    "Z": "M1 0 L13 0 L1 24 L13 24",
    "<": "M13 2.5 L1 12 L13 21.5",
}

SIGNS = frozenset(_PATHS)


@cache
def glyph(sign: str, dpi: int) -> Image.Image:
    """A mask of one cell: PITCH_MM wide, the sign in its middle, half a stroke of margin."""
    width, height = pixels(PITCH_MM, dpi), pixels(HEIGHT_MM + 2 * STROKE_MM, dpi)
    large = Image.new("L", (width * _SUPERSAMPLING, height * _SUPERSAMPLING))
    draw = ImageDraw.Draw(large)
    unit = pixels(HEIGHT_MM, dpi * _SUPERSAMPLING) / _CELL_HEIGHT
    pen = pixels(STROKE_MM, dpi * _SUPERSAMPLING)
    left, top = (large.width - _CELL_WIDTH * unit) / 2, (large.height - _CELL_HEIGHT * unit) / 2
    for stroke in _strokes(_PATHS[sign]):
        path = [(left + x * unit, top + y * unit) for x, y in stroke]
        draw.line(path, fill=255, width=pen, joint="curve")
        for x, y in (path[0], path[-1]):
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=255)
    return large.reduce(_SUPERSAMPLING)


def _strokes(path: str) -> list[list[tuple[float, float]]]:
    strokes: list[list[tuple[float, float]]] = []
    for command in path.replace("M", "|M").replace("L", "|L").replace("C", "|C").split("|")[1:]:
        values = [float(value) for value in command[1:].split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        match command[0]:
            case "M":
                strokes.append(points)
            case "L":
                strokes[-1] += points
            case _:
                strokes[-1] += _cubic(strokes[-1][-1], *points)
    return strokes


def _cubic(*ends: tuple[float, float]) -> list[tuple[float, float]]:
    curve = []
    for step in range(1, _CURVE_STEPS + 1):
        t = step / _CURVE_STEPS
        weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        x, y = (sum(w * p[axis] for w, p in zip(weights, ends, strict=True)) for axis in (0, 1))
        curve.append((x, y))
    return curve
