"""One service put together: what it declares, and the runtime around it.

`Service` is what a service's composition root returns; `Running` is that service with its
database, keys and group, from which each process takes the parts it runs.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import ModuleType
from typing import Any

import httpx

from epassport import keyring_stream
from epassport.catalog import Catalog
from epassport.cleaning import Cleaner, cleanups_of
from epassport.clock import Clock
from epassport.commands import CommandBus, Envelope, Outcome, Token
from epassport.consumer import ConsumerRunner
from epassport.database import Connection, Database, check_schema
from epassport.decider import Aggregate
from epassport.digests import SearchKey
from epassport.draining import ParkedStreams
from epassport.errors import NotReady, Unsafe
from epassport.group import Group
from epassport.health import Check
from epassport.hints import Hints
from epassport.history import History
from epassport.http import Backing, Routes
from epassport.jws import sign_compact
from epassport.kafka import KafkaClients
from epassport.key_stores import open_key_store
from epassport.keyring import SubjectKeyring
from epassport.keystore import KeyStore
from epassport.oidc import PublicKeys, TokenVerifier
from epassport.operations import Operations
from epassport.outbox import write_tombstones
from epassport.pauses import PausesHandler
from epassport.projector import ForeignProjection, OwnPages, OwnReactions, projector, wait_for
from epassport.reactions import Reaction, ReactionHandler, Send, reactions_of, topics_of
from epassport.readmodel import ReadModel
from epassport.records import Incoming
from epassport.refused import RefusedReactions
from epassport.relay import Relay
from epassport.republish import Republisher
from epassport.restore import refuse_unrestored
from epassport.rests import Rests
from epassport.settings import Settings
from epassport.shell import build_app, build_health_app, serve
from epassport.signals import Signals
from epassport.signing import SigningPurpose
from epassport.slices import SliceHandler
from epassport.tasks import Task, Work, Workers, starters_of
from epassport.timers import Timer
from epassport.trustfile import TrustFile, read_public_key
from epassport_contracts import ServiceName
from epassport_contracts.events.enrollment import ErasureOrdered
from epassport_contracts.registry import BY_NAME, SUBJECT_KEYS

STEPPED_WITHIN_SECONDS = 30.0


@dataclass(frozen=True)
class Essentials:
    """What a service's own context (`App`) is made from."""

    settings: Settings
    database: Database
    keystore: KeyStore
    keyring: SubjectKeyring
    trust: TrustFile
    search: SearchKey
    clock: Clock


MakeWork = Callable[[Any], Work]


@dataclass(frozen=True)
class Service:
    """What one service declares.

    app: makes the service's own context, handed to routes and tasks; it is an async context
    manager, so that what it opens is closed. signs: the signing keys its processes open.
    works: each kind of task with the function that makes its work from the context; none where
    other processes do it. begin_working: of a process that works; begin_serving:
    called with the context when `serve` starts; begins what shall not wait for the first request,
    and returns checks for /readyz by name. before_work: `all` starts its process that works when
    this has returned, so that what people wait for starts first. fleeting_claims: kinds of claims
    that nobody needs this long after they were taken.
    """

    name: ServiceName
    package: str
    settings: Settings
    aggregates: Sequence[Aggregate]
    publications: Sequence[ModuleType]
    reactions: Sequence[ModuleType]
    read_models: Sequence[ReadModel]
    routes: Sequence[Routes]
    app: Callable[[Essentials], Any]
    works: Sequence[tuple[Task, MakeWork | None]] = ()
    signs: frozenset[SigningPurpose] = frozenset()
    fleeting_claims: Mapping[str, timedelta] = field(default_factory=dict)
    begin_serving: Callable[[Any], Mapping[str, Check]] = lambda _app: {}
    begin_working: Callable[[Any], Mapping[str, Check]] | None = None
    before_work: Callable[[Any], Awaitable[None]] | None = None


class KeysHandler:
    """Receives data keys that their owners send (a `SliceHandler`)."""

    name = "keys"
    one_per_stream = False
    topics = (SUBJECT_KEYS,)
    types = frozenset({"SubjectKey"})

    def __init__(self, keyring: SubjectKeyring) -> None:
        self._keyring = keyring

    def streams_of(self, _record: Incoming) -> frozenset[str]:
        return frozenset()

    def can_wait(self, key: bytes) -> bool:
        return self._keyring.is_for_another(key)

    async def apply(self, connection: Connection, records: Sequence[Incoming]) -> None:
        await self._keyring.receive(connection, records)


@dataclass
class Running:
    """A service with everything opened."""

    service: Service
    essentials: Essentials
    app: Any
    catalog: Catalog
    group: Group
    signals: Signals
    kafka: KafkaClients
    tokens: TokenVerifier
    bus: CommandBus = field(init=False)
    consumer: ConsumerRunner | None = None
    timer: Timer | None = None

    def __post_init__(self) -> None:
        self.bus = CommandBus(self.group.execute)
        self._reactions = _all_reactions(self.service)

    async def serve(self) -> None:
        """HTTP: commands, queries, health, metrics."""
        settings = self.service.settings
        app = build_app(
            f"epassport {self.service.name}",
            self.service.routes,
            self._backing(),
            checks={
                "database": self._database_answers,
                "consumer": self._consumer_polls,
                **self.service.begin_serving(self.app),
            },
            operations=self.operations(),
        )
        async with asyncio.TaskGroup() as parent:
            forming_groups = parent.create_task(self.bus.run())
            try:
                await serve(app, settings.http_host, settings.http_port)
            finally:
                forming_groups.cancel()

    async def health(self, command: str) -> None:
        """/livez, /readyz and /metrics of a process that answers nothing else."""
        checks: dict[str, Check] = {"database": self._database_answers}
        if command == "consume":
            checks["consumer"] = self._consumer_polls
        if command == "timers":
            checks["timers"] = self._timers_step
        if command == "work" and self.service.begin_working is not None:
            checks |= self.service.begin_working(self.app)
        settings = self.service.settings
        app = build_health_app(self.essentials.database, checks=checks)
        await serve(app, settings.health_host, settings.health_port)

    async def consume(self) -> None:
        """Everything this service hears on Kafka."""
        self.consumer = ConsumerRunner(
            self.essentials.database, self.service.name, self.handlers(), self.kafka
        )
        await self.consumer.run()

    def operations(self) -> Operations:
        """What operators do; needs no Kafka."""
        database = self.essentials.database
        parked = [
            ParkedStreams(database, self.service.name, handler, BY_NAME[topic])
            for handler in self.handlers()
            for topic in handler.topics
        ]
        refused = RefusedReactions(
            self.service.name, self.group, self.catalog.codec, self._reactions
        )
        return Operations(
            database, self.essentials.clock, parked, refused, Republisher(self.catalog)
        )

    def handlers(self) -> list[SliceHandler]:
        """Of everything that this service hears."""
        handlers: list[SliceHandler] = [KeysHandler(self.essentials.keyring), PausesHandler()]
        reactions = ReactionHandler(self.service.name, self._reactions, self.group)
        handlers += [reactions] if reactions.topics else []
        foreign = (ForeignProjection(model) for model in self.service.read_models)
        handlers += [projection for projection in foreign if projection.topics]
        return handlers

    async def project(self) -> None:
        """Read models from the own store, and reactions to own events."""
        database, codec = self.essentials.database, self.catalog.codec
        pages = OwnPages(database, codec, Rests(self.service.settings.linger))
        own = OwnReactions(database, codec, self.signals, self._reactions, self.group, pages)
        async with asyncio.TaskGroup() as parent:
            parent.create_task(own.run())
            parent.create_task(self.history().run())
            for model in self.service.read_models:
                parent.create_task(projector(model, database, codec, self.signals, pages).run())

    async def relay(self) -> None:
        settings = self.service.settings
        sign = None
        if SigningPurpose.PUBLIC_EVENT in self.service.signs:
            signer = self.essentials.keystore.signer(SigningPurpose.PUBLIC_EVENT)

            def sign(event: bytes) -> bytes:
                return sign_compact({"typ": "cloudevent+jwt"}, event, signer).encode()

        await Relay(
            settings.postgres_dsn(),
            self.service.name,
            self.kafka,
            self.signals,
            sign,
            linger=settings.linger,
        ).run()

    async def work(self) -> None:
        works = {
            task.kind: (task, make(self.app))
            for task, make in self.service.works
            if make is not None
        }
        await Workers(self.essentials.database, self.group, self.signals, works).run()

    async def hints(self) -> None:
        """Every process runs this beside its own part."""
        settings = self.service.settings
        await Hints(settings.postgres_dsn(), self.signals, linger=settings.linger).run()

    async def timers(self) -> None:
        self.timer = Timer(
            self.service.name, self.essentials.database, self.group, self.essentials.clock
        )
        cleaner = Cleaner(self.essentials.database, cleanups_of(self.service.fleeting_claims))
        async with asyncio.TaskGroup() as parent:
            parent.create_task(cleaner.run())
            parent.create_task(self.timer.run())

    def history(self) -> History:
        essentials = self.essentials
        return History(self.service.name, essentials.database, self.signals, essentials.clock.now)

    def _backing(self) -> Backing[Any]:
        essentials = self.essentials
        return Backing(
            tokens=self.tokens,
            clock=essentials.clock,
            execute=self._execute,
            visible=self._visible,
            answers_key=essentials.keystore.answers,
            database=essentials.database,
            keyring=essentials.keyring,
            app=self.app,
        )

    async def _execute(self, envelope: Envelope) -> Outcome:
        return await self.bus.execute(envelope)

    async def _visible(self, readers: tuple[str, ...], token: Token) -> None:
        models = {model.name: model.reader for model in self.service.read_models}
        for name in readers:
            await wait_for(self.essentials.database, models[name], token, within=10)

    async def _database_answers(self) -> None:
        async with self.essentials.database.connection() as connection:
            await connection.fetchval("SELECT 1")

    async def _consumer_polls(self) -> None:
        """Only where this process consumes at all."""
        if self.consumer is not None and (unready := self.consumer.unready()):
            raise NotReady("; ".join(unready))

    async def _timers_step(self) -> None:
        if self.timer is not None and self.timer.idle_seconds > STEPPED_WITHIN_SECONDS:
            raise NotReady("the timer's last step is too long ago")


def consumers_of(service: Service) -> dict[str, tuple[str, ...]]:
    """The topics that each of its consumers hears, as in `Running.handlers`; nothing is opened."""
    foreign = map(ForeignProjection, service.read_models)
    return {
        KeysHandler.name: KeysHandler.topics,
        PausesHandler.name: PausesHandler.topics,
        ReactionHandler.name: topics_of(_all_reactions(service)),
        **{projection.name: projection.topics for projection in foreign},
    }


def _all_reactions(service: Service) -> dict[type, list[Reaction]]:
    """Those that it declares, and the one of every service."""
    reactions = reactions_of(service.reactions)
    reactions.setdefault(ErasureOrdered, []).append(_destroy_keys)
    return reactions


def _destroy_keys(event: ErasureOrdered) -> list[Send]:
    """Every service destroys what it holds of a person itself, and reports it."""
    stream, command = keyring_stream.destroy_on_order(event)
    return [Send(stream, command)]


def catalog_of(service: Service, keyring: SubjectKeyring) -> Catalog:
    """The service's own parts and the runtime's keyring stream."""
    catalog = Catalog(
        service.name,
        [*service.aggregates, keyring_stream.KEYRING],
        service.publications,
        starters_of([task for task, _ in service.works]),
    )

    async def destroy(connection: Connection, fact: keyring_stream.KeysDestroyed, at: Any) -> None:
        own_messages = await keyring.destroy(connection, fact.holder_id, at)
        await write_tombstones(connection, SUBJECT_KEYS, own_messages, "SubjectKey")

    catalog.effects[keyring_stream.KeysDestroyed] = destroy
    catalog.add_publisher(
        keyring_stream.KeysDestroyed,
        lambda event: keyring_stream.report(event.fact, service.name),
    )
    return catalog


@asynccontextmanager
async def running(
    service: Service, *, connections: int | None = None, restoring: bool = False
) -> AsyncIterator[Running]:
    """Open everything; close it again. Raises Unsafe and SchemaMismatch.

    restoring: the database may have come from another cluster, and is about to be made fit
    """
    settings = service.settings
    sandbox = settings.profile == "sandbox"
    keystore = open_key_store(
        settings.key_store_address(),
        settings.key_store_passphrase_file,
        service.signs,
        sandbox=sandbox,
    )
    if keystore.service != service.name:
        raise Unsafe(f"the key store belongs to {keystore.service}, not to {service.name}")
    root = read_public_key(settings.trust_root_file)
    trust = TrustFile.open(settings.trust_file, root, sandbox=sandbox)
    clock = Clock(settings.clock_file)
    keyring = SubjectKeyring(service.name, keystore, trust, clock.now)
    async with AsyncExitStack() as closing:
        closing.callback(keystore.close)
        database = await Database.connect(
            settings.postgres_dsn(), connections=connections or settings.postgres_connections
        )
        closing.push_async_callback(database.close)
        await check_schema(database, service.package)
        if not restoring:
            await refuse_unrestored(database)
        client = await closing.enter_async_context(httpx.AsyncClient(timeout=5))
        essentials = Essentials(
            settings, database, keystore, keyring, trust, SearchKey(keystore.search), clock
        )
        app = await closing.enter_async_context(service.app(essentials))
        catalog = catalog_of(service, keyring)
        signals = Signals()
        yield Running(
            service=service,
            essentials=essentials,
            app=app,
            catalog=catalog,
            group=Group(catalog, database, keyring, clock, signals),
            signals=signals,
            kafka=KafkaClients(settings.kafka(), client_id=f"epassport-{service.name}"),
            tokens=TokenVerifier(
                settings.oidc_issuer,
                settings.oidc_audience,
                PublicKeys(settings.oidc_jwks_url, client),
                clock,
            ),
        )
