"""The chip as JMRTD 0.8.3 reads it, its files in both directions."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from epassport_credentials.chip import SimulatedChip
from epassport_credentials.chip_reader import generate_chip_key
from epassport_credentials.details import (
    DocumentDetails,
    PersonalDetails,
    parse_dg11,
    parse_dg12,
)
from epassport_credentials.face import FaceImage, parse_dg2
from epassport_credentials.finger import Compression, Finger, FingerImage, parse_dg3
from epassport_credentials.lds import parse_dg1, parse_ef_com
from epassport_credentials.passive_authentication import passive_authentication
from epassport_credentials.security_infos import (
    OUR_ACTIVE_AUTHENTICATION,
    OUR_PACE,
    parse_card_access,
    parse_dg14,
)
from epassport_credentials.signature_image import parse_dg7
from epassport_credentials.trust_anchors import TrustAnchors
from tests.conformance.conversation import Refused
from tests.conformance.jmrtd.passport import (
    ACCESS_NUMBER,
    DOCUMENT,
    FINGERS,
    MRZ,
    NOON,
    PERSON,
    SIGNER_PRIVATE,
    Chain,
    blank,
    chain,
    finish,
    personalised,
    portrait,
    signature,
)
from tests.conformance.jmrtd.shim import Jmrtd

Note = Callable[[str, object], None]

JMRTD = "JMRTD 0.8.3"
CAN = ("can", ACCESS_NUMBER)
ZONE = ("mrz", MRZ.number, MRZ.birth_date, MRZ.expiry_date)


def root_file(above: Chain, folder: Path) -> str:
    path = folder / "csca.der"
    path.write_bytes(above.csca.public_bytes(Encoding.DER))
    return str(path)


def unhex(files: Mapping[str, str]) -> dict[str, bytes]:
    return {name: bytes.fromhex(data) for name, data in files.items()}


@pytest.fixture(scope="module")
def written() -> tuple[SimulatedChip, Mapping[str, bytes]]:
    return personalised(chain())


@pytest.mark.parametrize("explicit", [False, True], ids=["named", "explicit"])
@pytest.mark.parametrize("key", [CAN, ZONE], ids=["access-number", "mrz"])
def test_jmrtd_reads_and_believes_a_whole_chip(
    key: tuple[str, ...],
    explicit: bool,
    jmrtd: Jmrtd,
    tmp_path: Path,
    record_property: Note,
) -> None:
    """PACE, secure messaging with MAC check, files over 32 KiB, passive, active authentication."""
    for part in ("PACE", "secure messaging", "passive authentication", "active authentication"):
        record_property("conformance", (f"chip: {part}", JMRTD, "ours to theirs", "accepted"))
    chip, files = personalised(chain(explicit=explicit))
    root = root_file(chain(explicit=explicit), tmp_path)
    said = jmrtd.ask("read", root, "223", "false", *key, chip=chip.transceive)
    assert said["pace"] == "id-PACE-ECDH-GM-AES-CBC-CMAC-128"
    assert (said["passive"], said["active"], said["closed"]) == ("", True, ["DG3"])
    closed = ("EF.CardAccess", "DG3")
    assert unhex(said["files"]) == {n: data for n, data in files.items() if n not in closed}


def test_jmrtd_reads_by_short_identifiers_too(
    written: tuple[SimulatedChip, Mapping[str, bytes]],
    jmrtd: Jmrtd,
    tmp_path: Path,
    record_property: Note,
) -> None:
    record_property("conformance", ("chip: short identifiers", JMRTD, "ours to theirs", "read"))
    chip, files = written
    chip.transceive(b"")  # ends the session that another test may have left
    root = root_file(chain(), tmp_path)
    said = jmrtd.ask("read", root, "200", "true", *CAN, chip=chip.transceive)
    assert bytes.fromhex(said["files"]["DG2"]) == files["DG2"]
    assert said["closed"] == ["DG3"]


@pytest.mark.parametrize("key", [("can", "417094"), (*ZONE[:3], "361121")], ids=["number", "mrz"])
def test_jmrtd_reads_nothing_with_a_wrong_key(
    key: tuple[str, ...], jmrtd: Jmrtd, tmp_path: Path, record_property: Note
) -> None:
    record_property("conformance", ("chip: PACE", JMRTD, "ours to theirs", "wrong key refused"))
    chip, _ = personalised(chain())
    heard: list[bytes] = []

    def transceive(apdu: bytes) -> bytes:
        heard.append(chip.transceive(apdu))
        return heard[-1]

    with pytest.raises(Refused, match=r"(?i)authenticat|6300"):
        jmrtd.ask("read", root_file(chain(), tmp_path), "223", "false", *key, chip=transceive)
    assert heard[-1].hex() == "6300"


def test_jmrtd_tells_a_copied_chip(
    written: tuple[SimulatedChip, Mapping[str, bytes]],
    jmrtd: Jmrtd,
    tmp_path: Path,
    record_property: Note,
) -> None:
    verdict = ("chip: active authentication", JMRTD, "ours to theirs", "copy refused")
    record_property("conformance", verdict)
    copy = blank()
    generate_chip_key(copy.transceive)
    finish(copy, written[1])
    root = root_file(chain(), tmp_path)
    said = jmrtd.ask("read", root, "223", "false", *CAN, chip=copy.transceive)
    assert (said["passive"], said["active"]) == ("", False)


def test_jmrtd_notices_an_altered_data_group(
    jmrtd: Jmrtd, tmp_path: Path, record_property: Note
) -> None:
    verdict = ("chip: passive authentication", JMRTD, "ours to theirs", "altered group refused")
    record_property("conformance", verdict)
    _, files = personalised(chain())
    altered = blank()
    generate_chip_key(altered.transceive)
    finish(altered, {**files, "DG11": files["DG11"].replace(b"112233", b"112234")})
    root = root_file(chain(), tmp_path)
    said = jmrtd.ask("read", root, "223", "false", *CAN, chip=altered.transceive)
    assert said["passive"] == "DG11"


def given(values: object) -> dict[str, object]:
    """As JMRTD gives them: bytes as hex, what is absent as null or an empty list."""
    return {
        name: value.hex() if isinstance(value, bytes) else list(value) if type(value) is tuple
        else value
        for name, value in vars(values).items()
    }  # fmt: skip


def position_of(finger: FingerImage) -> tuple[int, int, int]:
    return finger.finger, finger.width, finger.height


def known(found: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in found.items() if value}


def test_jmrtds_classes_find_in_our_files_what_we_wrote(
    written: tuple[SimulatedChip, Mapping[str, bytes]],
    jmrtd: Jmrtd,
    tmp_path: Path,
    record_property: Note,
) -> None:
    _, files = written
    readable = [name for name in files if name != "DG13"]
    for name in readable:
        record_property("conformance", (name, JMRTD, "ours to theirs", "read"))
        (tmp_path / f"{name}.bin").write_bytes(files[name])
    said = jmrtd.ask("parse", str(tmp_path), root_file(chain(), tmp_path))
    tags = [0x61, 0x75, 0x63, 0x67, 0x6B, 0x6C, 0x6D, 0x6E, 0x6F]
    assert said["EF.COM"] == ["1.7", "4.0.0", tags]
    assert said["EF.CardAccess"] == [[OUR_PACE.protocol, 12]]
    assert said["EF.SOD"][0] == "SHA-256"
    assert set(said["EF.SOD"][1]) == {"1", "2", "3", "7", "11", "12", "13", "14", "15"}
    assert said["DG1"] == [
        *("I", "RUS", "PODIEMNAIA", "IULIIA", "700123456", "RUS", "900517", "FEMALE", "361120")
    ]
    assert said["DG2"] == [[480, 600, "image/jpeg", portrait().hex()]]
    assert said["DG3"] == [
        [*position_of(finger), "image/x-wsq", finger.quality, finger.image.hex()]
        for finger in FINGERS
    ]
    assert said["DG7"] == [signature().hex()]
    assert known(said["DG11"]) == known(given(PERSON))
    assert known(said["DG12"]) == known(given(DOCUMENT))
    assert said["DG14"] == [
        [OUR_PACE.protocol, 12],
        ["2.23.136.1.1.5", OUR_ACTIVE_AUTHENTICATION.signature_algorithm],
    ]
    assert bytes.fromhex(said["DG15"]) == files["DG15"][-91:]
    assert said["passive"] == ""


@pytest.fixture(scope="module")
def theirs(jmrtd: Jmrtd, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:
    """Files that JMRTD wrote and signed with a key under our CSCA."""
    folder = tmp_path_factory.mktemp("theirs")
    face, key, signer = (folder / name for name in ("face.jpg", "key.pk8", "signer.der"))
    face.write_bytes(portrait())
    key.write_bytes(SIGNER_PRIVATE.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    signer.write_bytes(chain().signer.public_bytes(Encoding.DER))
    return unhex(jmrtd.ask("write", str(face), str(key), str(signer)))


def test_we_read_strictly_what_jmrtd_wrote(
    theirs: Mapping[str, bytes], record_property: Note
) -> None:
    for name in theirs:
        record_property("conformance", (name, JMRTD, "theirs to ours", "read"))
    assert parse_ef_com(theirs["EF.COM"]).data_groups == (1, 2, 3, 7, 11, 12, 14, 15)
    assert parse_card_access(theirs["EF.CardAccess"]) == (OUR_PACE,)
    assert parse_dg1(theirs["DG1"]) == MRZ
    assert parse_dg2(theirs["DG2"]) == FaceImage(480, 600, portrait())
    assert parse_dg3(theirs["DG3"]) == tuple(
        FingerImage(
            *(finger, 300, 400, Compression.WSQ),
            bytes((0xFF, 0xA0, 1, 2, 3, finger)),
            quality=80,
        )
        for finger in (Finger.RIGHT_INDEX, Finger.LEFT_INDEX)
    )
    assert parse_dg7(theirs["DG7"]) == (portrait(),)
    assert parse_dg11(theirs["DG11"]) == PersonalDetails(
        full_name="ПОДЪЁМНАЯ<<ЮЛИЯ",
        other_names=("ЩУКИНА<<ЮЛИЯ",),
        personal_number="12345",
        birth_date="19900517",
        birth_place=("Казань", "Татарстан"),
        address=("Баумана, 1", "Казань"),
        telephone="+78430000000",
        other_documents=("700123456",),
    )
    assert parse_dg12(theirs["DG12"]) == DocumentDetails(
        authority="МВД РОССИИ",
        issue_date="20261122",
        other_persons=("IVANOV<<PETR",),
        front=portrait(),
        personalised_at="20261122093000",
        system_serial="BUREAU-1",
    )
    assert set(parse_dg14(theirs["DG14"])) == {OUR_PACE, OUR_ACTIVE_AUTHENTICATION}


def test_we_believe_a_security_object_that_jmrtd_signed(
    theirs: Mapping[str, bytes], record_property: Note
) -> None:
    record_property("conformance", ("EF.SOD", JMRTD, "theirs to ours", "accepted"))
    verified = passive_authentication(theirs, TrustAnchors([chain().csca]), NOON)
    assert verified.mrz == MRZ
    assert verified.unread == frozenset()
    assert verified.authentication_key == SIGNER_PRIVATE.public_key()
