"""The gate for faces, and what a score means on which day."""

import io
from dataclasses import replace
from datetime import date

import pytest
from PIL import Image

from biometrics import thresholds
from biometrics.faces import MAX_BYTES, FaceFault, FaceRejected, check_face
from biometrics.thresholds import NoThreshold, Threshold, Use, threshold
from epassport_credentials.identity import Sex
from epassport_sandbox.fingerprints import SANDBOX_THRESHOLD
from epassport_sandbox.portraits import draw_portrait

PORTRAIT = draw_portrait(7, Sex.FEMALE, 40)
ENGINE = "sourceafis-3.18.1-java"


def jpeg(width: int, height: int, mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new(mode, (width, height)).save(file, "JPEG")
    return file.getvalue()


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


def test_every_threshold_says_why() -> None:
    for row in (*thresholds.SANDBOX, *thresholds.PRODUCTION):
        assert len(row.reason) > 20
