"""The gate for faces, and what a score means on which day."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from PIL import Image, ImageFilter

from biometrics import thresholds
from biometrics.engine.port import Candidate, SearchLimits
from biometrics.faces import MAX_BYTES, FaceFault, FaceRejected, check_face
from biometrics.score_class import ScoreClass, score_class
from biometrics.thresholds import NoThreshold, Threshold, Use, threshold
from epassport_credentials.identity import Sex
from epassport_sandbox.fingerprints import SANDBOX_THRESHOLD
from epassport_sandbox.portraits import draw_portrait

PORTRAIT = draw_portrait(7, Sex.FEMALE, 40)
ENGINE = "sourceafis-3.18.1-java"


def jpeg(width: int, height: int, mode: str = "RGB", colour: tuple[int, ...] | int = 0) -> bytes:
    return saved(Image.new(mode, (width, height), colour))


def saved(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG")
    return file.getvalue()


def changed(change: Callable[[float], float]) -> bytes:
    return saved(opened(PORTRAIT).point([min(255, int(change(n % 256))) for n in range(768)]))


def blurred(portrait: bytes) -> bytes:
    return saved(opened(portrait).filter(ImageFilter.GaussianBlur(8)))


def grating() -> bytes:
    """Structure everywhere: a wall, a page, a hand over the lens."""
    picture = Image.new("L", (413, 531), 128)
    picture.putdata([96 if (n // 413 // 12 + n % 413 // 12) % 2 else 160 for n in range(413 * 531)])
    return saved(picture.convert("RGB"))


def opened(portrait: bytes) -> Image.Image:
    return Image.open(io.BytesIO(portrait))


def test_a_portrait_passes() -> None:
    check_face(PORTRAIT)


@pytest.mark.parametrize(
    ("picture", "fault"),
    [
        (PORTRAIT + bytes(MAX_BYTES), FaceFault.TOO_MANY_BYTES),
        (b"", FaceFault.NOT_A_JPEG),
        (b"\x89PNG\r\n\x1a\n", FaceFault.NOT_A_JPEG),
        (PORTRAIT[:2000], FaceFault.DAMAGED),
        (b"\xff\xd8\xff\xff", FaceFault.DAMAGED),
        (jpeg(200, 300), FaceFault.WRONG_SIZE),
        (jpeg(1300, 1500), FaceFault.WRONG_SIZE),
        (jpeg(400, 400), FaceFault.NOT_UPRIGHT),
        (jpeg(413, 531, "L"), FaceFault.NOT_COLOUR),
        (jpeg(413, 531, "CMYK"), FaceFault.NOT_COLOUR),
        (changed(lambda gray: gray * 0.15), FaceFault.TOO_DARK),
        (changed(lambda gray: 200 + gray * 0.9), FaceFault.TOO_BRIGHT),
        (jpeg(413, 531, colour=(128, 128, 128)), FaceFault.NO_FACE_REGION),
        (grating(), FaceFault.NO_FACE_REGION),
        (blurred(PORTRAIT), FaceFault.BLURRED),
    ],
)
def test_a_picture_that_cannot_be_used_is_refused(picture: bytes, fault: FaceFault) -> None:
    with pytest.raises(FaceRejected) as rejected:
        check_face(picture)
    assert rejected.value.fault is fault


def test_the_sandbox_uses_the_threshold_that_was_measured_for_its_fingers() -> None:
    for use in (Use.SEARCH, Use.COMPARISON):
        found = threshold(thresholds.SANDBOX, ENGINE, use, date(2026, 11, 22))
        assert found == SANDBOX_THRESHOLD


def test_the_latest_threshold_that_holds_on_the_day_counts() -> None:
    old = Threshold(date(2026, 1, 1), ENGINE, Use.SEARCH, 40.0, "first")
    new = replace(old, since=date(2027, 1, 1), score=48.0, reason="pilot data")
    other_use = replace(new, use=Use.COMPARISON, score=90.0)
    policy = (new, old, other_use)
    assert threshold(policy, ENGINE, Use.SEARCH, date(2026, 12, 31)) == 40.0
    assert threshold(policy, ENGINE, Use.SEARCH, date(2027, 1, 1)) == 48.0


def test_without_a_threshold_no_score_means_anything() -> None:
    with pytest.raises(NoThreshold):
        threshold(thresholds.PRODUCTION, "sourceafis-4", Use.SEARCH, date(2026, 11, 22))
    with pytest.raises(NoThreshold):
        threshold(thresholds.PRODUCTION, ENGINE, Use.SEARCH, date(2025, 12, 31))


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, ScoreClass.BELOW),
        (0.999, ScoreClass.BELOW),
        (1.0, ScoreClass.WEAK),
        (1.249, ScoreClass.WEAK),
        (1.25, ScoreClass.CLEAR),
        (1.999, ScoreClass.CLEAR),
        (2.0, ScoreClass.STRONG),
    ],
)
def test_a_class_says_how_far_a_score_is_over_its_threshold(
    share: float, expected: ScoreClass
) -> None:
    assert score_class(share) is expected


def test_a_candidate_is_as_clear_as_its_best_finger_or_all_together() -> None:
    limits = SearchLimits(threshold=40.0, fused=60.0)
    assert limits.share(Candidate("one good finger", 80.0, 90.0)) == 2.0
    assert limits.share(Candidate("two fair ones", 39.0, 78.0)) == 1.3


def test_every_threshold_says_why() -> None:
    for row in (*thresholds.SANDBOX, *thresholds.PRODUCTION):
        assert len(row.reason) > 20
