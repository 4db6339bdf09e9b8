"""Minutiae records: the layout that the standard states, read back, and read by SourceAFIS."""

import base64
import contextlib
import json
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.engine import iso19794_2
from biometrics.engine.iso19794_2 import (
    Fault,
    InvalidRecord,
    Minutia,
    MinutiaeRecord,
    MinutiaType,
    View,
    read,
    write,
)
from biometrics.engine.minutiae import Minutiae, minutiae_of
from biometrics.engine.port import TemplateRefused
from biometrics.engine.positions import FingerPosition
from biometrics.engine.process import WorkerSettings
from biometrics.engine.sourceafis import SourceAfis
from epassport_sandbox.fingerprints import (
    DPI,
    SANDBOX_THRESHOLD,
    FingerprintSet,
    fingerprint_set,
)

ONE = MinutiaeRecord(
    400,
    480,
    (197, 197),
    (
        View(
            FingerPosition.RIGHT_INDEX,
            (Minutia(MinutiaType.ENDING, 100, 200, 64, 80), Minutia(MinutiaType.OTHER, 0, 1, 255)),
            quality=90,
        ),
    ),
)
# Written down from the layout of the standard, not by our writer.
ONE_IN_HEX = (
    "464d5200 20323000 0000002a 0000 0190 01e0 00c5 00c5 01 00"
    " 02 00 5a 02 4064 00c8 40 50 0000 0001 ff 00 0000"
).replace(" ", "")


def minutiae(width: int, height: int) -> st.SearchStrategy[Minutia]:
    octet = st.integers(0, 255)
    x, y = st.integers(0, width - 1), st.integers(0, height - 1)
    return st.builds(Minutia, st.sampled_from(MinutiaType), x, y, octet, octet)


@st.composite
def records(draw: st.DrawFn) -> MinutiaeRecord:
    width, height = draw(st.integers(1, 16383)), draw(st.integers(1, 16383))
    nibble, octet = st.integers(0, 15), st.integers(0, 255)
    points = st.lists(minutiae(width, height), max_size=20).map(tuple)
    view = st.builds(
        View, st.none() | st.sampled_from(FingerPosition), points, nibble, nibble, octet
    )
    views = tuple(draw(st.lists(view, max_size=3)))
    per_cm = st.integers(*iso19794_2.RESOLUTIONS_PER_CM)
    return MinutiaeRecord(width, height, (draw(per_cm), draw(per_cm)), views)


def fault_of(octets: bytes) -> Fault:
    with pytest.raises(InvalidRecord) as invalid:
        read(octets)
    return invalid.value.fault


def with_octets(at: int, octets: bytes) -> bytes:
    whole = write(ONE)
    return whole[:at] + octets + whole[at + len(octets) :]


def test_a_record_has_the_octets_that_the_standard_states() -> None:
    assert write(ONE).hex() == ONE_IN_HEX


def test_95_minutiae_take_600_octets() -> None:
    points = tuple(Minutia(MinutiaType.ENDING, n, n, n) for n in range(95))
    view = View(FingerPosition.LEFT_LITTLE, points)
    assert len(write(MinutiaeRecord(400, 480, (197, 197), (view,)))) == 600


@given(records())
def test_what_was_written_is_read(record: MinutiaeRecord) -> None:
    assert read(write(record)) == record


@given(st.binary(max_size=200))
def test_any_octets_end_in_a_record_or_a_fault(octets: bytes) -> None:
    for tried in (octets, write(ONE)[:24] + octets, write(ONE)[: len(octets) % 42] + octets):
        with contextlib.suppress(InvalidRecord):
            record = read(tried)
            assert read(write(record)) == record


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (b"", Fault.NOT_A_RECORD),
        (b"FIR\0" + write(ONE)[4:], Fault.NOT_A_RECORD),
        (with_octets(4, b" 30\0"), Fault.UNKNOWN_VERSION),
        (write(ONE)[:23], Fault.TRUNCATED),
        (write(ONE)[:-3], Fault.TRUNCATED),
        (with_octets(27, b"\xff"), Fault.TRUNCATED),
        (with_octets(18, struct.pack(">HH", 0, 0)), Fault.WRONG_RESOLUTION),
        (with_octets(24, b"\x0b"), Fault.UNKNOWN_FINGER),
        (with_octets(14, struct.pack(">H", 50)), Fault.OUTSIDE_PICTURE),
        (with_octets(14, struct.pack(">H", 0)), Fault.OUT_OF_RANGE),
        (write(ONE)[:-2] + struct.pack(">H", 5), Fault.TRUNCATED),
        (bytes(iso19794_2.MAX_RECORD_BYTES + 1), Fault.TOO_LONG),
    ],
)
def test_what_would_read_as_another_finger_is_refused(octets: bytes, fault: Fault) -> None:
    assert fault_of(octets) is fault


def test_a_view_header_of_two_octets_is_refused_and_never_read_as_empty() -> None:
    """As one library in use writes it, with a resolution of zero."""
    whole = write(ONE)
    theirs = whole[:18] + bytes(4) + b"\0\0" + whole[26:]
    assert fault_of(theirs) is Fault.WRONG_RESOLUTION


def test_what_loses_nothing_is_tolerated() -> None:
    whole = write(ONE)
    assert read(whole + b"behind") == ONE
    assert read(whole[:-2]) == ONE
    assert read(whole[:-2] + struct.pack(">H", 3) + b"abc") == ONE
    assert read(with_octets(8, bytes(4))) == ONE
    reserved = with_octets(30, struct.pack(">H", 0xC000 | 200))
    assert read(reserved) == ONE


@pytest.mark.parametrize(
    "record",
    [
        MinutiaeRecord(400, 480, (0, 197), ()),
        MinutiaeRecord(0, 480, (197, 197), ()),
        MinutiaeRecord(400, 480, (197, 197), (View(FingerPosition.LEFT_RING, (), number=16),)),
        MinutiaeRecord(
            9, 9, (197, 197),
            (View(FingerPosition.LEFT_RING, (Minutia(MinutiaType.ENDING, 9, 0, 0),)),),
        ),
        MinutiaeRecord(
            9, 9, (197, 197),
            (View(FingerPosition.LEFT_RING, (Minutia(MinutiaType.ENDING, 0, 0, 256),)),),
        ),
    ],
)  # fmt: skip
def test_the_writer_writes_nothing_that_it_could_not_read(record: MinutiaeRecord) -> None:
    with pytest.raises(InvalidRecord):
        write(record)


def test_angles_turn_the_other_way_round_and_lose_less_than_a_256th() -> None:
    directions = np.linspace(0, 2 * np.pi, 8, endpoint=False, dtype=np.float32)
    places = np.full(8, 5, dtype=np.float32)
    ours = Minutiae(400, 480, places, places, directions, np.ones(8, dtype=bool))
    record = iso19794_2.record_of(ours, FingerPosition.RIGHT_THUMB)
    assert record.views[0].minutiae[2].angle == 192  # a quarter turn clockwise, three back
    back = minutiae_of(iso19794_2.template_of(record, record.views[0], version="any"))
    turned = np.abs(np.angle(np.exp(1j * (back.directions - directions))))
    assert turned.max() < 2 * np.pi / 256


def test_a_record_of_another_resolution_is_scaled_to_500_dpi() -> None:
    record = MinutiaeRecord(800, 960, (394, 394), (ONE.views[0],))
    scaled = minutiae_of(iso19794_2.template_of(record, record.views[0], version="any"))
    assert (scaled.width, scaled.height) == (400, 480)
    assert (scaled.x[0], scaled.y[0]) == (50, 100)


@pytest.mark.parametrize("template", [b"", b"\xa0", b"\x00", b"not a template"])
def test_what_is_no_template_has_no_minutiae(template: bytes) -> None:
    with pytest.raises(TemplateRefused):
        minutiae_of(template)


@pytest.fixture(scope="module")
def fingers() -> FingerprintSet:
    return fingerprint_set(3, 2)


THEIR_CODEC = """
import base64, json, sys
import jpype
libs, classes, templates, records = json.load(sys.stdin)
jpype.startJVM(classpath=[*libs, classes], convertStrings=False)
Template = jpype.JClass("com.machinezoo.sourceafis.FingerprintTemplate")
Matcher = jpype.JClass("com.machinezoo.sourceafis.FingerprintMatcher")
Codec = jpype.JClass("com.machinezoo.sourceafis.FingerprintCompatibility")
FORMAT = jpype.JClass("com.machinezoo.fingerprintio.TemplateFormat").ISO_19794_2_2005
java = lambda text: jpype.JArray(jpype.JByte)(base64.b64decode(text))
python = lambda data: base64.b64encode(bytes(memoryview(data).cast("B"))).decode()
own = [Template(java(each)) for each in templates]
exported = [python(Codec.exportTemplates(FORMAT, each)) for each in own]
imported = [Codec.importTemplate(java(each)) for each in records]
scores = [
    [float(Matcher(kind[0]).match(kind[n])) for n in (1, 2)] for kind in (own, imported)
]
print(json.dumps([exported, scores]))
"""


@pytest.mark.stack
async def test_sourceafis_reads_and_writes_records_as_we_do(
    worker_settings: WorkerSettings, fingers: FingerprintSet
) -> None:
    """Its codec is the second opinion on layout and angles."""
    async with SourceAfis(worker_settings) as engine:
        templates = []
        for finger, n in ((0, 0), (0, 1), (1, 0)):
            gray = fingers.image(finger, n)
            height, width = gray.shape
            made = await engine.extract(gray.tobytes(), width=width, height=height, dpi=DPI)
            templates.append(made.data)
    records = [
        write(iso19794_2.record_of(minutiae_of(each), FingerPosition.RIGHT_INDEX))
        for each in templates
    ]
    exported, (own_scores, our_scores) = _asked(worker_settings, templates, records)
    for ours, theirs in zip(records, exported, strict=True):
        mine, other = read(ours), read(theirs)
        assert (mine.width, mine.height) == (other.width, other.height)
        for one, two in zip(mine.views[0].minutiae, other.views[0].minutiae, strict=True):
            assert (one.type, one.x, one.y) == (two.type, two.x, two.y)
            assert (one.angle - two.angle + 1) % 256 <= 2
    assert our_scores[0] > SANDBOX_THRESHOLD > our_scores[1]
    assert our_scores[0] == pytest.approx(own_scores[0], rel=0.15)


def _asked(
    settings: WorkerSettings, templates: list[bytes], records: list[bytes]
) -> tuple[list[bytes], list[list[float]]]:
    """In a process of its own, as no test process starts a JVM."""
    jars = [str(jar) for jar in settings.libs.glob("*.jar")]
    texts = [[base64.b64encode(each).decode() for each in kind] for kind in (templates, records)]
    asked = subprocess.run(
        [sys.executable, "-c", THEIR_CODEC],
        input=json.dumps([jars, str(settings.classes), *texts]),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    exported, scores = json.loads(asked.stdout)
    return [base64.b64decode(each) for each in exported], scores
