"""Messages to a vendor's ABIS as MOSIP has them, and what becomes of each of its failures."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest
import pytest_asyncio
from abis_server import AbisServer
from cryptography.exceptions import InvalidTag

from biometrics.engine import cbeff
from biometrics.engine.abis import (
    MAX_REPLY_BYTES,
    AbisClient,
    AbisEngine,
    AbisFailed,
    FailureReason,
    Operation,
)
from biometrics.engine.abis_share import RecordShare, opened_by
from biometrics.engine.expectations import ExpectationsEngine
from biometrics.engine.port import (
    Candidate,
    EngineUnavailable,
    Fingers,
    SearchLimits,
    SearchResult,
    TemplateRefused,
)
from biometrics.engine.positions import FingerPosition
from biometrics.engine.sourceafis import empty_gallery

LIMITS = SearchLimits(140.0, 200.0)
INDEX = FingerPosition.RIGHT_INDEX
TWO_MINUTIAE = bytes.fromhex(
    # CBOR: version, width, height, positionsX, positionsY, directions, types
    "a7" "6776657273696f6e" "6b332e31382e312d6a617661" "657769647468" "190190"
    "66686569676874" "1901e0" "6a706f736974696f6e7358" "82181e1828"
    "6a706f736974696f6e7359" "8218321846" "6a646972656374696f6e73" "82f93c00f94000"
    "657479706573" "624542"
)  # fmt: skip


@dataclass
class Comparer:
    """The vendor's own comparer, which knows by heart whom it finds."""

    finds: tuple[Candidate, ...] = ()
    inserted: dict[str, Fingers] = field(default_factory=dict)

    async def insert(self, reference_id: str, fingers: Fingers) -> None:
        self.inserted[reference_id] = fingers

    async def remove(self, reference_id: str) -> None:
        del self.inserted[reference_id]

    async def search(self, probe: Fingers, limits: SearchLimits) -> SearchResult:
        return SearchResult(self.finds, len(self.inserted), len(self.inserted), "vendor")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[AbisServer]:
    async with AbisServer(Comparer(), LIMITS).listening() as listening:
        yield listening


@pytest_asyncio.fixture
async def engine(server: AbisServer) -> AsyncIterator[AbisEngine]:
    share = RecordShare(server.certificate, "127.0.0.1", 0)
    local = ExpectationsEngine(empty_gallery)
    async with AbisEngine(local, AbisClient(server.url), share, empty_gallery) as opened:
        yield opened


async def test_messages_have_the_fields_that_mosip_names(
    server: AbisServer, engine: AbisEngine
) -> None:
    await engine.insert("one", {INDEX: TWO_MINUTIAE})
    await engine.search({INDEX: TWO_MINUTIAE}, LIMITS)
    await engine.client.ping()
    assert await engine.client.pending_jobs() == 0
    assert await engine.size() == 1
    await engine.remove("one")
    assert [message["id"] for message in server.messages] == [
        Operation.INSERT, Operation.IDENTIFY, Operation.REFERENCE_COUNT, Operation.PING,
        Operation.PENDING_JOBS, Operation.REFERENCE_COUNT, Operation.DELETE,
    ]  # fmt: skip
    for message in server.messages:
        assert message["version"] == "1.1"
        assert {"id", "version", "requestId", "requesttime"} <= set(message)
    assert len({message["requestId"] for message in server.messages}) == len(server.messages)
    assert server.messages[0]["referenceId"] == "one"
    assert server.messages[1]["flags"] == {"maxResults": "10"}


async def test_no_message_carries_a_record_and_its_address_ends_with_the_call(
    server: AbisServer, engine: AbisEngine
) -> None:
    await engine.insert("one", {INDEX: TWO_MINUTIAE})
    (message,) = server.messages
    assert b"464d52" not in str(message).encode()
    async with httpx.AsyncClient() as http:
        assert (await http.get(message["referenceURL"])).status_code == 404
        other = message["referenceURL"].rsplit("/", 1)[0] + "/guess"
        assert (await http.get(other)).status_code == 404


async def test_a_shared_record_opens_with_the_certificates_key_alone(
    server: AbisServer, engine: AbisEngine
) -> None:
    async with engine.share.shared(b"a record") as url, httpx.AsyncClient() as http:
        sealed = (await http.get(url)).content
    assert opened_by(server.key, sealed) == b"a record"
    block = bytearray(base64.urlsafe_b64decode(sealed))
    assert block.startswith(b"VER_R2")
    block[-1] ^= 1
    with pytest.raises(InvalidTag):
        opened_by(server.key, base64.urlsafe_b64encode(block))
    with pytest.raises(ValueError, match="not a shared record"):
        opened_by(server.key, base64.urlsafe_b64encode(b"something else"))


FOUND = (Candidate("one", 300.0, 300.0),)
JUST_FOUND = (Candidate("one", 140.0, 140.0),)


@pytest.mark.parametrize("tells_scores", [True, False])
async def test_whom_a_vendor_names_was_found_and_no_more_is_known(
    server: AbisServer, engine: AbisEngine, *, tells_scores: bool
) -> None:
    """Its scores are on its own scale, which no threshold of ours is made for."""
    server.comparer.finds = FOUND
    server.tells_scores = tells_scores
    told = await engine.search({INDEX: TWO_MINUTIAE}, LIMITS)
    assert told.candidates == JUST_FOUND


def named(reference_id: str, score: object) -> dict[str, object]:
    return {"referenceId": reference_id, "analytics": {"score": score}}


async def test_a_vendor_may_name_a_person_twice_and_in_any_order(
    server: AbisServer, engine: AbisEngine
) -> None:
    strange = [named("worst", "0.2"), named("none", "n/a"), named("best", 0.5),
               named("nan", "nan"), named("best", "0.9"), named("good", 0.8)]  # fmt: skip
    server.adds = {"candidateList": {"candidates": strange}}
    told = await engine.search({INDEX: TWO_MINUTIAE}, LIMITS)
    names = [each.reference_id for each in told.candidates]
    assert names == ["best", "good", "worst", "nan", "none"]


@pytest.mark.parametrize("empty", [None, {}, [], {"candidates": None}, {"candidates": []}])
async def test_nobody_is_named_in_several_ways(
    server: AbisServer, engine: AbisEngine, empty: object
) -> None:
    server.adds = {"candidateList": empty}
    assert (await engine.search({INDEX: TWO_MINUTIAE}, LIMITS)).candidates == ()


@pytest.mark.parametrize(
    "adds",
    [{"candidateList": ["one"]}, {"candidateList": "one"},
     {"candidateList": {"candidates": 1}}, {"candidateList": {"candidates": {"one": 1}}},
     {"candidateList": {"candidates": ["one"]}}, {"candidateList": {"candidates": [{}]}},
     {"candidateList": {"candidates": [{"referenceId": 1}]}}, {"requestId": "another"},
     {"count": "many"}, {"count": None}],
)  # fmt: skip
async def test_a_reply_of_another_form_makes_the_engine_unavailable(
    server: AbisServer, engine: AbisEngine, adds: dict[str, object]
) -> None:
    server.adds = adds
    with pytest.raises(EngineUnavailable):
        await engine.search({INDEX: TWO_MINUTIAE}, LIMITS)


@pytest.mark.parametrize(
    ("reply", "said"),
    [(b"", "did not answer"), (b"\xff", "did not answer"), (b"[" * 200_000, "did not answer"),
     (b"[]", "another request"), (b"null", "another request"),
     (b" " * (MAX_REPLY_BYTES - 2) + b"[]", "another request"),
     (b" " * (MAX_REPLY_BYTES - 1) + b"[]", "did not answer")],
    ids=["nothing", "no text", "nested", "a list", "null", "long", "too long"],
)  # fmt: skip
async def test_a_reply_that_is_none_makes_the_engine_unavailable(reply: bytes, said: str) -> None:
    async with answering(reply) as url:
        client = AbisClient(url)
        with pytest.raises(EngineUnavailable, match=said):
            await client.ping()
        await client.close()


async def test_a_vendor_that_answers_drop_by_drop_is_given_up_in_time() -> None:
    async with answering(b" " * 1_000, seconds_between=0.05) as url:
        client = AbisClient(url, within_seconds=0.5)
        with pytest.raises(EngineUnavailable, match="did not answer"):
            await client.ping()
        await client.close()


@asynccontextmanager
async def answering(reply: bytes, *, seconds_between: float | None = None) -> AsyncIterator[str]:
    """An address that answers everything so; byte by byte where they have a time between."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # who asked has had enough
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(reply))
            for at in range(0, len(reply), len(reply) if seconds_between is None else 1):
                writer.write(reply[at:] if seconds_between is None else reply[at : at + 1])
                await writer.drain()
                await asyncio.sleep(seconds_between or 0)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/abis"


async def test_who_asks_for_a_record_at_length_is_cut_off(engine: AbisEngine) -> None:
    async with engine.share.shared(b"a record") as url:
        address = httpx.URL(url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(b"GET " + address.raw_path + b" HTTP/1.1\r\nX: " + b"x" * 8192)
        writer.write(b"\r\n\r\n")
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("reason", list(FailureReason))
async def test_every_failure_is_a_refusal_of_our_data_or_a_reason_to_try_again(
    server: AbisServer, engine: AbisEngine, reason: FailureReason
) -> None:
    server.fails_with = reason
    ours = {FailureReason.NO_DATA, FailureReason.INVALID_CBEFF, FailureReason.QUALITY_FAILED}
    expected = TemplateRefused if reason in ours else EngineUnavailable
    with pytest.raises(expected, match=reason.name):
        await engine.search({INDEX: TWO_MINUTIAE}, LIMITS)
    with pytest.raises(AbisFailed):
        await engine.client.insert("one", "http://127.0.0.1/none")
    if reason is FailureReason.REFERENCE_UNKNOWN:
        await engine.remove("one")  # is removed already
    else:
        with pytest.raises(expected):
            await engine.remove("one")


async def test_an_abis_that_is_away_makes_the_engine_unavailable() -> None:
    client = AbisClient("http://127.0.0.1:9/abis")
    with pytest.raises(EngineUnavailable, match="did not answer"):
        await client.ping()
    await client.close()


async def test_a_restart_inserts_only_what_the_vendor_does_not_know(server: AbisServer) -> None:
    truth: dict[str, Fingers] = {"one": {INDEX: TWO_MINUTIAE}, "two": {INDEX: TWO_MINUTIAE}}

    async def refill() -> AsyncIterator[tuple[str, Fingers]]:
        for reference in truth.items():
            yield reference

    for _ in range(2):
        share = RecordShare(server.certificate, "127.0.0.1", 0)
        local = ExpectationsEngine(empty_gallery)
        async with AbisEngine(local, AbisClient(server.url), share, refill) as engine:
            assert await engine.size() == 2


@pytest.mark.parametrize(
    "octets",
    [b"", b"<BIR", b"<!DOCTYPE x [<!ENTITY a 'b'>]><BIR/>", bytes(cbeff.MAX_BYTES + 1),
     cbeff.write({INDEX: b"x"}).replace(b"Right Index", b"Third"),
     cbeff.write({INDEX: b"x"}).replace(b"eA==", b"e")],
)  # fmt: skip
def test_what_is_no_record_of_fingers_is_refused(octets: bytes) -> None:
    with pytest.raises(cbeff.InvalidCbeff):
        cbeff.read(octets)


def test_every_finger_has_its_own_words() -> None:
    fingers = {position: bytes([position.code]) for position in FingerPosition}
    assert cbeff.read(cbeff.write(fingers)) == fingers
    assert b"Left LittleFinger" in cbeff.write(fingers)
    assert b"Right Thumb<" in cbeff.write(fingers)
