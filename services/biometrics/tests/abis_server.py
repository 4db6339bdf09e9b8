"""A vendor's ABIS as small as it can be: MOSIP's operations over HTTP, a gallery, a comparer.

It fetches and opens shared records as a vendor would; its comparer is SourceAFIS, reading
minutiae records through our codec.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from biometrics.engine import cbeff, iso19794_2
from biometrics.engine.abis_share import opened_by
from biometrics.engine.port import Fingers, SearchLimits
from biometrics.engine.sourceafis import SourceAfis
from epassport_sandbox.ports import free_port

VERSION = "3.18.1-java"


class Refused(Exception):
    """reason: a failureReason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass
class AbisServer:
    """fails_with: the failureReason of every answer from now on. adds: what every answer holds
    in place of what it would. refuses_next: the next insert's finger is too poor for it, always."""

    comparer: SourceAfis
    limits: SearchLimits
    tells_scores: bool = True
    fails_with: str | None = None
    adds: dict[str, Any] = field(default_factory=dict)
    refuses_next: bool = False
    too_poor: set[str] = field(default_factory=set)
    url: str = ""
    known: set[str] = field(default_factory=set)
    messages: list[dict[str, Any]] = field(default_factory=list)
    key: rsa.RSAPrivateKey = field(
        default_factory=lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    )

    @property
    def certificate(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "abis")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
        builder = builder.public_key(self.key.public_key()).serial_number(1)
        builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
        signed = builder.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["AbisServer"]:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/abis"
        app = Starlette(routes=[Route("/abis", self._answer, methods=["POST"])])
        config = uvicorn.Config(app, port=port, log_config=None, lifespan="off")
        server = _Server(config)
        serving = asyncio.create_task(server.serve())
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
        try:
            yield self
        finally:
            server.should_exit = True
            await serving

    async def _answer(self, request: Request) -> JSONResponse:
        message = await request.json()
        self.messages.append(message)
        reply = {"id": message["id"], "requestId": message["requestId"]}
        reply["responsetime"] = datetime.now(UTC).isoformat()
        try:
            if self.fails_with is not None:
                raise Refused(self.fails_with)
            told = await self._done(message)
        except Refused as refused:
            return JSONResponse({**reply, "returnValue": "2", "failureReason": refused.reason})
        return JSONResponse({**reply, "returnValue": "1", **told, **self.adds})

    async def _done(self, message: dict[str, Any]) -> dict[str, Any]:
        reference_id = message.get("referenceId")
        match message["id"]:
            case "mosip.abis.insert":
                if reference_id in self.known:
                    raise Refused("10")
                if self.refuses_next:
                    self.refuses_next = False
                    self.too_poor.add(reference_id)
                if reference_id in self.too_poor:
                    raise Refused("18")
                await self.comparer.insert(reference_id, await self._fetched(message))
                self.known.add(reference_id)
                return {}
            case "mosip.abis.identify":
                return {"candidateList": await self._candidates(message)}
            case "mosip.abis.delete":
                if reference_id not in self.known:
                    raise Refused("12")
                self.known.discard(reference_id)
                await self.comparer.remove(reference_id)
                return {}
            case "mosip.abis.ping":
                return {}
            case "mosip.abis.pendingJobs":
                return {"jobscount": "0"}
            case "mosip.abis.referenceCount":
                return {"count": str(len(self.known))}
            case _:
                raise Refused("14")

    async def _candidates(self, message: dict[str, Any]) -> dict[str, Any]:
        found = await self.comparer.search(await self._fetched(message), self.limits)
        most = int(message["flags"]["maxResults"])
        candidates = [
            {
                "referenceId": each.reference_id,
                "analytics": {"score": str(each.score)} if self.tells_scores else {},
                "modalities": [{"biometricType": "FIR", "analytics": {}}],
            }
            for each in found.candidates[:most]
        ]
        return {"count": str(len(candidates)), "candidates": candidates, "analytics": {}}

    async def _fetched(self, message: dict[str, Any]) -> Fingers:
        async with httpx.AsyncClient() as http:
            answer = await http.get(message["referenceURL"])
        if answer.status_code != 200:
            raise Refused("7")
        try:
            records = cbeff.read(opened_by(self.key, answer.content))
            return {position: _template(record) for position, record in records.items()}
        except (cbeff.InvalidCbeff, iso19794_2.InvalidRecord):
            raise Refused("16") from None


class _Server(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]
        """Signals belong to pytest."""
        return nullcontext()


def _template(octets: bytes) -> bytes:
    record = iso19794_2.read(octets)
    (view,) = record.views
    return iso19794_2.template_of(record, view, version=VERSION)
