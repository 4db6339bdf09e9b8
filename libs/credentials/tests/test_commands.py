"""`epassport-verify` and `epassport-inspect` as a person calls them: exit codes and words."""

import io
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from PIL import Image, ImageOps

from epassport_credentials.card_qr import (
    IdentityCard,
    SmallCard,
    issue_identity_card_qr,
    issue_small_card_qr,
    with_portrait,
)
from epassport_credentials.commands import inspect, verify
from epassport_credentials.cwt import StatusReference
from epassport_credentials.identity import AgeOver18
from epassport_credentials.mobile_qr import issue_attestation, present
from epassport_credentials.offline_pack import issue_offline_pack
from epassport_credentials.qr_symbol import qr_png
from epassport_credentials.security_infos import build_card_access
from epassport_credentials.signer import LocalSigner, Purpose
from epassport_credentials.status_list import issue_status_list, pack_statuses
from epassport_credentials.trust import TrustList, issue_trust_list

Signers = Mapping[Purpose, LocalSigner]
Run = Callable[..., tuple[int, str]]

URI = "https://status.epassport.test/1"
VALID, REVOKED = 0, 1


@pytest.fixture
def bench(
    tmp_path: Path,
    trust: TrustList,
    signers: Signers,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A verifier's folder: pack, trust list and the keys given by hand."""
    token = issue_status_list(
        pack_statuses([0, 1, 2, 3]),
        signers[Purpose.STATUS_LIST],
        uri=URI,
        issued_at=now,
        expires_at=now + timedelta(days=1),
    )
    pack = issue_offline_pack(trust, {URI: token}, signers[Purpose.OFFLINE_PACK])
    (tmp_path / "pack.jwt").write_text(pack)
    listed = issue_trust_list(trust, signers[Purpose.TRUST_LIST])
    (tmp_path / "trust-list.jwt").write_text(listed + "\n")
    for purpose in (Purpose.OFFLINE_PACK, Purpose.TRUST_LIST, Purpose.CARD_QR):
        key = signers[purpose].public_key
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{purpose}.pem").write_bytes(pem)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def check(bench: Path, now: datetime, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(source: str, *options: str, at: datetime = now) -> tuple[int, str]:
        usual = ["--pack", "pack.jwt", "--key", "offline-pack.pem", "--now", at.isoformat()]
        code = verify.main([source, *usual, *options])
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def look(bench: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(source: str) -> tuple[int, str]:
        return inspect.main([source]), capsys.readouterr().out

    return run


@pytest.fixture
def text_of(small_card: SmallCard, signers: Signers) -> Callable[[int], str]:
    def text(index: int) -> str:
        card = replace(small_card, status=StatusReference(URI, index))
        return issue_small_card_qr(card, signers[Purpose.CARD_QR])

    return text


@pytest.fixture
def card(text_of: Callable[[int], str], bench: Path) -> str:
    (bench / "card.png").write_bytes(qr_png(text_of(VALID), pixels_per_module=4))
    return "card.png"


def test_a_picture_of_a_valid_card_is_good_and_says_how_fresh(check: Run, card: str) -> None:
    code, said = check(card)
    assert code == 0
    assert said.splitlines()[:2] == ["GOOD", "  over_18: yes"]
    assert "status as of 2026-11-22 12:00:00 UTC, 0 h 0 min old" in said
    assert "not who carries it" in said


def test_a_changed_picture_is_refused(
    check: Run, bench: Path, small_card: SmallCard, stranger: LocalSigner
) -> None:
    forged = issue_small_card_qr(replace(small_card, status=StatusReference(URI, 0)), stranger)
    (bench / "changed.png").write_bytes(qr_png(forged, pixels_per_module=4))
    assert check("changed.png") == (1, "REFUSED: unknown-signer\n")


def test_a_revoked_card_is_refused_and_an_old_pack_leaves_it_unknown(
    check: Run, bench: Path, text_of: Callable[[int], str], card: str, now: datetime
) -> None:
    (bench / "revoked.txt").write_text(text_of(REVOKED) + "\r\n")
    code, said = check("revoked.txt")
    assert (code, said.splitlines()[0]) == (1, "REFUSED: revoked")
    code, said = check(card, at=now + timedelta(hours=25))
    assert (code, said.splitlines()[0]) == (2, "UNKNOWN: pack-too-old")
    assert "unknown since 2026-11-22 12:00:00 UTC" in said
    assert check(card, "--freshness", "48h", at=now + timedelta(hours=25))[0] == 0


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_a_code_on_a_transparent_ground_is_read(
    mode: str, check: Run, bench: Path, card: str
) -> None:
    """Black modules, and black that nobody sees between them."""
    modules = Image.open(bench / card).convert("L")
    drawn = Image.merge("LA", (Image.new("L", modules.size, 0), ImageOps.invert(modules)))
    if mode == "P":
        clear = modules.point([0] * 128 + [1] * 128).convert("P")
        clear.putpalette([0] * 6)
        clear.save(bench / "clear.png", transparency=1)
    else:
        drawn.convert(mode).save(bench / "clear.png")
    assert check("clear.png")[0] == 0


def test_a_picture_that_is_too_wide_is_unreadable(check: Run, bench: Path) -> None:
    Image.new("L", (65_536, 1), 255).save(bench / "wide.png")
    said = "unreadable: a picture of more than 65535 pixels on a side\n"
    assert check("wide.png") == (3, said)


def test_a_damaged_tiff_is_unreadable(check: Run, bench: Path, card: str) -> None:
    """Its strips stand at a fraction, which Pillow takes as far as a TypeError."""
    Image.open(bench / card).convert("L").save(bench / "card.tif")
    data = bytearray((bench / "card.tif").read_bytes())
    entry = int.from_bytes(data[4:8], "little") + 2
    while data[entry : entry + 2] != b"\x11\x01":  # StripOffsets
        entry += 12
    data[entry + 2 : entry + 12] = b"\x05\x00\x01\x00\x00\x00\x08\x00\x00\x00"
    (bench / "card.tif").write_bytes(data)
    assert check("card.tif") == (3, "unreadable: the picture is damaged\n")


def test_one_refused_code_among_good_ones_is_a_refusal(
    check: Run, bench: Path, text_of: Callable[[int], str]
) -> None:
    both = [Image.open(io.BytesIO(qr_png(text_of(i), pixels_per_module=4))) for i in (0, 1)]
    sheet = Image.new("L", (both[0].width * 2 + 40, both[0].height), 255)
    sheet.paste(both[0], (0, 0))
    sheet.paste(both[1], (both[0].width + 40, 0))
    sheet.save(bench / "both.png")
    code, said = check("both.png", "--json")
    assert code == 1
    outcomes = {json.loads(line)["outcome"] for line in said.splitlines()}
    assert outcomes == {"good", "refused"}


def test_a_code_of_ours_that_was_changed_is_refused_and_not_unreadable(
    check: Run, bench: Path, text_of: Callable[[int], str]
) -> None:
    text = text_of(VALID)
    for changed in (text[:-1], text[:200] + "~" + text[201:], text + "AAA", text * 4):
        (bench / "changed.txt").write_text(changed)
        code, said = check("changed.txt")
        assert (code, said.split(":")[0]) == (1, "REFUSED")


def test_a_code_of_others_beside_ours_is_named_and_does_not_count(
    check: Run, bench: Path, text_of: Callable[[int], str]
) -> None:
    foreign = Image.open(io.BytesIO(qr_png("HTTPS://SHOP.TEST", pixels_per_module=4)))
    for index, exit_code, outcome in ((VALID, 0, "good"), (REVOKED, 1, "refused")):
        ours = Image.open(io.BytesIO(qr_png(text_of(index), pixels_per_module=4)))
        sheet = Image.new("L", (ours.width + foreign.width + 40, ours.height), 255)
        sheet.paste(ours, (0, 0))
        sheet.paste(foreign, (ours.width + 40, 0))
        sheet.save(bench / "poster.png")
        code, said = check("poster.png", "--json")
        assert code == exit_code
        outcomes = {json.loads(line)["outcome"] for line in said.splitlines()}
        assert outcomes == {outcome, "unreadable"}


@pytest.mark.parametrize("page", [1, 2])
def test_the_page_of_a_pdf_is_read(page: int, check: Run, bench: Path, card: str) -> None:
    blank = Image.new("L", (600, 800), 255)
    with_code = blank.copy()
    with_code.paste(Image.open(bench / card), (80, 80))
    with_code.save(bench / "letter.pdf", save_all=True, append_images=[blank], resolution=100)
    code, said = check("letter.pdf", "--page", str(page))
    assert (code, said.split("\n")[0]) == (
        (0, "GOOD") if page == 1 else (3, "unreadable: no QR code found")
    )


def test_a_page_that_is_not_there_is_unreadable(check: Run, bench: Path) -> None:
    Image.new("L", (60, 80), 255).save(bench / "letter.pdf")
    assert check("letter.pdf", "--page", "2") == (3, "unreadable: the PDF has 1 pages\n")


def test_stdin_is_read(
    check: Run, bench: Path, text_of: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(text_of(VALID).encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert check("-")[0] == 0


def test_a_phone_answers_the_challenge_and_gives_its_replay_key(
    check: Run, bench: Path, phone: LocalSigner, signers: Signers, now: datetime
) -> None:
    attestation = issue_attestation(
        AgeOver18(),
        holder_key=phone.public_key,
        issuer="RU",
        issued_at=now,
        signer=signers[Purpose.MOBILE_ATTESTATION],
    )
    shown = present(
        attestation, phone=phone, now=now, cti=bytes(16), audience="gate-7", nonce=b"\x0a\x0b"
    )
    (bench / "phone.txt").write_text(shown)
    code, said = check("phone.txt", "--audience", "gate-7", "--nonce", "0a0b", "--json")
    told = json.loads(said)
    assert (code, told["challenged"], told["shown"]) == (0, True, {"over_18": True})
    assert told["replay_key"][1] == "00" * 16
    assert check("phone.txt")[1].startswith("REFUSED: wrong-audience")


def test_the_trust_list_vouches_for_the_pack(check: Run, card: str) -> None:
    listed = ("--key", "trust-list.pem", "--trust-list", "trust-list.jwt")
    assert check(card, *listed)[0] == 0


def test_a_pack_of_another_key_is_never_used(check: Run, card: str) -> None:
    code, said = check(card, "--key", "card-qr.pem")
    assert code == 2
    assert said.startswith("unknown: the pack or its key cannot be used (unknown-signer")


def test_the_portrait_of_an_identity_card_is_kept_for_comparing(
    check: Run, bench: Path, identity_card: IdentityCard, photo: bytes, signers: Signers
) -> None:
    card = with_portrait(replace(identity_card, status=StatusReference(URI, 0)), photo)
    (bench / "id.txt").write_text(issue_identity_card_qr(card, signers[Purpose.CARD_QR]))
    code, said = check("id.txt", "--portrait", "face.webp")
    assert code == 0
    assert "  full_name: Подъёмная Юлия Эдуардовна" in said.splitlines()
    assert Image.open(bench / "face.webp").size == (64, 80)


def test_a_fault_of_the_command_does_not_pass_for_a_refusal(
    check: Run,
    bench: Path,
    identity_card: IdentityCard,
    photo: bytes,
    signers: Signers,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    card = with_portrait(replace(identity_card, status=StatusReference(URI, 0)), photo)
    (bench / "id.txt").write_text(issue_identity_card_qr(card, signers[Purpose.CARD_QR]))
    usual = ["--pack", "pack.jwt", "--key", "offline-pack.pem", "--now", now.isoformat()]
    monkeypatch.setattr(
        sys, "argv", ["epassport-verify", "id.txt", *usual, "--portrait", "absent/face.webp"]
    )
    with pytest.raises(SystemExit) as ended:
        verify.run()
    assert ended.value.code == 70
    said = capsys.readouterr()
    assert said.out.startswith("GOOD\n")
    assert said.err == "[Errno 2] No such file or directory: 'absent/face.webp'\n"


def test_a_screen_without_cyrillic_still_gets_the_verdict(
    bench: Path,
    identity_card: IdentityCard,
    photo: bytes,
    signers: Signers,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = with_portrait(replace(identity_card, status=StatusReference(URI, 0)), photo)
    (bench / "id.txt").write_text(issue_identity_card_qr(card, signers[Purpose.CARD_QR]))
    usual = ["--pack", "pack.jwt", "--key", "offline-pack.pem", "--now", now.isoformat()]
    screen = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", write_through=True)
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "argv", ["epassport-verify", "id.txt", *usual])
    with pytest.raises(SystemExit) as ended:
        verify.run()
    assert ended.value.code == 0
    screen.seek(0)
    assert "  full_name: \\u041f" in screen.read()


def test_stdin_serves_only_once(
    bench: Path,
    check: Run,
    text_of: Callable[[int], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "unreadable: -: stdin is closed, or was read already\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text_of(VALID).encode())))
    assert check("-", "--trust-list", "-") == (3, said)
    monkeypatch.setattr(sys, "stdin", None)
    assert check("-") == (3, said)


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "nothing to read"),
        (b"\xff\xfe\x00", "neither a picture, nor a PDF, nor the text of a code"),
        (b"\x89PNG\r\n\x1a\n", "the picture is damaged"),
        (b"%PDF-1.7 cut", "the PDF is damaged or locked"),
        (b"hello", "not the code of a passport"),
        (b"HELLO", "not the code of a passport"),
        (b"https://epassport.test/card", "not the code of a passport"),
        (b"A" * 5000, "not the code of a passport"),
    ],
)
def test_what_holds_no_code_is_unreadable(
    content: bytes, detail: str, check: Run, bench: Path
) -> None:
    (bench / "thing").write_bytes(content)
    assert check("thing") == (3, f"unreadable: {detail}\n")
    assert check("absent") == (3, "unreadable: absent: No such file or directory\n")


@pytest.mark.parametrize("module", ["zxingcpp", "PIL"])
def test_a_missing_extra_is_named(
    module: str,
    check: Run,
    card: str,
    bench: Path,
    monkeypatch: pytest.MonkeyPatch,
    text_of: Callable[[int], str],
) -> None:
    monkeypatch.setattr(
        "epassport_credentials.commands.reading.find_spec", lambda name: name != module or None
    )
    code, said = check(card)
    assert code == 3
    assert "epassport-credentials[images]" in said
    (bench / "card.txt").write_text(text_of(VALID))
    assert check("card.txt")[0] == 0


@pytest.mark.parametrize(
    "options", [["--freshness", "1 day"], ["--nonce", "xyz"], ["--now", "2026-11-22"], ["--what"]]
)
def test_wrong_usage_has_its_own_exit_code(options: list[str], check: Run, card: str) -> None:
    with pytest.raises(SystemExit) as ended:
        check(card, *options)
    assert ended.value.code == 64


def test_inspect_shows_a_card_a_token_a_chip_file_and_lines(
    look: Run, bench: Path, card: str, files: Mapping[str, bytes]
) -> None:
    (bench / "dg1").write_bytes(files["DG1"])
    (bench / "sod").write_bytes(files["EF.SOD"])
    (bench / "access").write_bytes(build_card_access())
    (bench / "mrz").write_text(
        "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\n"
        "ERIKSSON<<ANNA<MARIA<<<<<<<<<<\n"
    )
    for source, line in (
        (card, "    over 18 when made (77): True"),
        ("pack.jwt", "  typ: epassport-offline-pack+jwt"),
        ("dg1", "  5F1F MRZ: I<RUS700123456"),
        ("sod", "    06 OID: 1.2.840.113549.1.7.2"),
        ("access", "EF.CardAccess: 22 bytes"),
        ("mrz", "primary: ERIKSSON"),
    ):
        code, said = look(source)
        assert code == 0
        assert any(shown.startswith(line) for shown in said.splitlines()), said


def test_inspect_opens_the_attestation_inside_a_phones_code(
    look: Run, bench: Path, phone: LocalSigner, signers: Signers, now: datetime
) -> None:
    attestation = issue_attestation(
        AgeOver18(), holder_key=phone.public_key, issuer="RU", issued_at=now, signer=phone
    )
    (bench / "phone").write_text(present(attestation, phone=phone, now=now, cti=bytes(16)))
    code, said = look("phone")
    assert code == 0
    assert "      scope (9): age-over-18" in said.splitlines()


@pytest.mark.parametrize("content", [b"", b"hello", b"\x30\x80", b"eyJ.a.b", b"A" * 2000])
def test_inspect_says_what_it_cannot_read(content: bytes, look: Run, bench: Path) -> None:
    (bench / "thing").write_bytes(content)
    code, said = look("thing")
    assert (code, said[:11]) == (3, "unreadable:")
