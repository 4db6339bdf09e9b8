"""The portrait as a whole: layers from the background to the glasses, then JPEG."""

from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

from epassport_credentials.identity import Sex
from epassport_sandbox.portraits import body, face, features, hair
from epassport_sandbox.portraits.canvas import Canvas
from epassport_sandbox.portraits.traits import traits_of

WIDTH, HEIGHT = 413, 531  # 35 x 45 mm at 300 dpi
_DPI = 300
_QUALITY = 90


def draw_portrait(seed: int, sex: Sex, age: int) -> bytes:
    """A JPEG of 413 x 531 pixels; the same arguments give the same picture.

    The seed is the person: with another age the same face has grown older.
    """
    canvas = Canvas(WIDTH, HEIGHT, top=(240, 243, 246), bottom=(220, 226, 232))
    traits = traits_of(seed, sex, age)
    shape = face.FaceShape(traits)
    hair.draw_behind(canvas, traits, shape)
    body.draw(canvas, traits, shape)
    face.draw(canvas, traits, shape)
    features.draw(canvas, traits, shape)
    hair.draw_front(canvas, traits, shape)
    features.draw_glasses(canvas, traits, shape)
    return _jpeg(_with_grain(canvas.reduced()))


def _with_grain(picture: Image.Image) -> Image.Image:
    return Image.fromarray(
        np.clip(np.asarray(picture, dtype=np.int16) + _grain(), 0, 255).astype(np.uint8)
    )


@cache
def _grain() -> "np.ndarray[tuple[int, ...], np.dtype[np.int16]]":
    """A camera's noise, the same in every picture; it keeps smooth areas from banding."""
    noise = np.random.default_rng(0).normal(0, 1.4, (HEIGHT, WIDTH, 1))
    return np.rint(noise).astype(np.int16)


def _jpeg(picture: Image.Image) -> bytes:
    out = BytesIO()
    picture.save(out, "JPEG", quality=_QUALITY, subsampling="4:2:0", dpi=(_DPI, _DPI))
    return out.getvalue()
