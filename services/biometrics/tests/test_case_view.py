"""What people decide on: the pictures that the engine compared, and nothing else."""

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

from conftest import Bureau, Person
from epassport.actor import Role
from epassport_contracts.events.enrollment import ApplicationKind


async def test_what_a_file_holds_beside_its_pixels_is_not_shown(bureau: Bureau) -> None:
    """A browser would play the animation, and leave out the ridges of the transparent gray."""
    known = await bureau.enrol(bureau.person())
    alias = Person(known.finger)
    png = bureau.fingers.png(known.finger, 1)
    black = struct.pack(">H", int(bureau.fingers.image(known.finger, 1).min()))
    hiding = chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"tRNS", black)
    hiding += chunk(b"gAMA", struct.pack(">I", 1))
    samples = bureau.samples(alias)
    samples["fingers"][0]["image"] = base64.b64encode(png[:33] + hiding + png[33:]).decode()
    await bureau.brought(alias, samples)
    await bureau.status(alias, "suspected")
    case = await shown(bureau, alias)
    png = base64.b64decode(case["applicant"]["fingers"]["right-index"])
    assert pixels(png) == bureau.fingers.image(known.finger, 1).tobytes()
    assert not {b"acTL", b"tRNS", b"gAMA"} & {png[at : at + 4] for at in range(len(png))}


async def test_a_capture_that_was_not_the_holders_stands_for_nobody(bureau: Bureau) -> None:
    """It is the latest of the holder, and was found by nobody: it has left the gallery."""
    known, stranger = await bureau.enrol(bureau.person()), bureau.person()
    again = Person(stranger.finger, known.holder)
    ticket = bureau.ticket(again, "operator", kind=ApplicationKind.REPLACE)
    await bureau.brought(again, {**bureau.samples(again), "ticket": ticket})
    await bureau.status(again, "awaited")
    alias = Person(known.finger)
    await bureau.bring(alias, n=1)
    await bureau.status(alias, "suspected")
    (other,) = (await shown(bureau, alias))["others"]
    assert pixels_of(other) == bureau.fingers.image(known.finger).tobytes()


async def test_of_a_holder_with_two_enrolments_both_are_shown(bureau: Bureau) -> None:
    """Either may be the one that was found."""
    known, spare = await bureau.enrol(bureau.person()), await bureau.enrol(bureau.person())
    again = Person(spare.finger, known.holder)
    ticket = bureau.ticket(again, "operator", kind=ApplicationKind.REPLACE)
    await bureau.brought(again, {**bureau.samples(again, 1), "ticket": ticket})
    await bureau.status(again, "suspected")
    alias = Person(known.finger)
    await bureau.bring(alias, n=1)
    await bureau.status(alias, "suspected")
    others = (await shown(bureau, alias))["others"]
    assert {pixels_of(other) for other in others} == {
        bureau.fingers.image(known.finger).tobytes(),
        bureau.fingers.image(spare.finger, 1).tobytes(),
    }
    path = f"/adjudications/{await bureau.case(alias)}"
    said = {"verdict": "same-person", "reason_code": "ridges-agree"}
    answered = (await bureau.post(f"{path}/decisions", said, Role.ADJUDICATOR)).json()
    asked = f"{path}/score-classes?after={answered['token']}"
    told = await bureau.get(asked, Role.ADJUDICATOR)
    assert len(told["score_classes"]) == len(others)  # one for each number on the page


async def shown(bureau: Bureau, person: Person) -> Any:
    return await bureau.get(f"/adjudications/{await bureau.case(person)}", Role.ADJUDICATOR)


def pixels_of(side: Any) -> bytes:
    return pixels(base64.b64decode(side["fingers"]["right-index"]))


def pixels(png: bytes) -> bytes:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture).tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
