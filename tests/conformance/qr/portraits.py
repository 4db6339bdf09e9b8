"""`python -m tests.conformance.qr.portraits picture.png`: portraits beside what a QR holds."""

import io
import sys

from PIL import Image

from epassport_credentials.identity import Sex
from epassport_credentials.portrait import portrait_thumbnail
from epassport_sandbox.portraits import draw_portrait

PEOPLE = [(101, Sex.FEMALE, 32), (102, Sex.MALE, 44), (103, Sex.FEMALE, 56)]
SIZE = (128, 160)  # twice the 64 x 80 of the thumbnail
GAP = 8


def main() -> None:
    sheet = Image.new("L", ((SIZE[0] + GAP) * len(PEOPLE) - GAP, 2 * SIZE[1] + GAP), 255)
    for place, (seed, sex, age) in enumerate(PEOPLE):
        photo = draw_portrait(seed, sex, age)
        left = (SIZE[0] + GAP) * place
        for top, picture in ((0, photo), (SIZE[1] + GAP, portrait_thumbnail(photo))):
            shown = Image.open(io.BytesIO(picture)).convert("L")
            sheet.paste(shown.resize(SIZE, Image.Resampling.BICUBIC), (left, top))
    sheet.save(sys.argv[1], optimize=True)


if __name__ == "__main__":
    main()
