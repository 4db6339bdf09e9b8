"""Scars, parts of fingers and negatives: they harm what they say, and nothing else."""

import numpy as np

from epassport_sandbox.fingerprints import Finger, impression
from epassport_sandbox.fingerprints_harm import negative, partial, scarred, scars_of, shifted

WHOLE = impression(Finger(5), 0)


def test_a_scar_is_bright_where_it_runs_and_leaves_the_rest_alone() -> None:
    scars = scars_of(5, 2)
    harmed = scarred(WHOLE, scars)
    for scar in scars:
        assert harmed[round(scar.y), round(scar.x)] > 230
    changed = harmed != WHOLE
    assert 0.002 < changed.mean() < 0.06
    assert (harmed[changed] >= WHOLE[changed]).all()


def test_every_impression_of_a_finger_has_the_same_scars() -> None:
    assert scars_of(5, 3) == scars_of(5, 3)
    assert scars_of(5, 3) != scars_of(6, 3)


def test_a_part_of_a_finger_is_its_upper_part() -> None:
    kept = partial(WHOLE, 0.5)
    assert (kept[:240] == WHOLE[:240]).all()
    assert (kept[240:] == 244).all()


def test_what_is_shifted_off_the_sensor_is_lost() -> None:
    moved = shifted(WHOLE, 130, -50)
    assert moved.shape == WHOLE.shape
    assert (moved[:430, 130:] == WHOLE[50:, :270]).all()
    assert (moved[:, :130] == 244).all()
    assert (shifted(shifted(WHOLE, 9, 7), -9, -7)[7:-7, 9:-9] == WHOLE[7:-7, 9:-9]).all()


def test_a_negative_of_a_negative_is_the_picture() -> None:
    assert (negative(negative(WHOLE)) == WHOLE).all()
    assert np.median(negative(WHOLE)) < np.median(WHOLE)
