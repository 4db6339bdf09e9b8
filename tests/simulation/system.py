"""Two services, a broker and their clients, put together for one run of one seed.

The source takes commands (two replicas), sends its outbox (two relays for each shard) and fills a
read model (two projectors). The sink hears both topics with three consumers, each a group of two
members.
"""

from dataclasses import dataclass, field
from functools import partial

from tests.simulation import facts
from tests.simulation.consumers import HANDLERS, Consumer, Handler
from tests.simulation.group import CURRENT, FACTS, SHARD_OF, Answer, Envelope, run_group
from tests.simulation.kafka import Broker
from tests.simulation.postgres import Database, Session
from tests.simulation.readers import IDLE_TICKS, project, relay
from tests.simulation.rules import Rules
from tests.simulation.scheduler import Disconnected, Process, Scheduler, Steps

LEDGERS = 3
COMMANDS = 9
CLIENTS_TICKS = 600
GROUP_LIMIT = 2
IDLE_BOUND = 150
"""Ticks after which a server ends a session that nobody uses."""


@dataclass
class System:
    scheduler: Scheduler
    rules: Rules
    source: Database = field(init=False)
    sink: Database = field(init=False)
    broker: Broker = field(init=False)
    coming: dict[int, Envelope] = field(default_factory=dict)
    """By the tick at which a client first sends it."""
    pending: list[Envelope] = field(default_factory=list)
    in_hand: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, Answer] = field(default_factory=dict)
    twice: float = 0.0
    """The chance that a client sends a command again while another replica has it in hand."""

    def __post_init__(self) -> None:
        scheduler = self.scheduler

        def now() -> int:
            return scheduler.tick

        self.source, self.sink = Database("source", now), Database("sink", now)
        self.broker = Broker(scheduler.random, now, topics={FACTS: [[], []], CURRENT: [[]]})
        for number in range(COMMANDS):
            ledger = f"ledger/{scheduler.random.randrange(LEDGERS)}"
            command = facts.Note(scheduler.random.randint(1, 9))
            at = scheduler.random.randrange(CLIENTS_TICKS)
            self.coming[at] = Envelope(ledger, command, f"key-{number}")
        self._start_source()
        self._start_sink()

    def _start_source(self) -> None:
        for replica in "ab":
            self.scheduler.add(f"api-{replica}", self.api)
            self.scheduler.add(
                f"projector-{replica}", lambda own: project(own, self.source, self.rules)
            )
            for shard in sorted(set(SHARD_OF.values())):
                self._start_relay(f"relay-{shard}-{replica}", shard)

    def _start_relay(self, name: str, shard: int) -> None:
        self.scheduler.add(
            name, lambda own: relay(own, self.source, self.broker, shard, self.rules)
        )

    def _start_sink(self) -> None:
        for handler in HANDLERS:
            for replica in "ab":
                self.scheduler.add(
                    f"consumer-{handler.name}-{replica}", partial(self._consume, handler)
                )

    def _consume(self, handler: Handler, process: Process) -> Steps[None]:
        return Consumer(process, self.sink, self.broker, handler, self.rules).run()

    def api(self, process: Process) -> Steps[None]:
        """Commands of clients who ask again under the same key until they have an answer."""
        while True:
            try:
                session = Session(self.source, process)
                while True:
                    yield from self._serve(session, process)
            except Disconnected:
                self._let_go(process)
                yield IDLE_TICKS

    def _serve(self, session: Session, process: Process) -> Steps[None]:
        envelopes = self._take(process)
        if not envelopes:
            yield IDLE_TICKS
            session.touch()
            return
        yield 0
        answers = yield from run_group(session, facts.ledger, envelopes, self.rules, publishes=True)
        session.commit()
        yield 0  # killed here, it has done what nobody was told
        for envelope, answer in zip(envelopes, answers, strict=True):
            if envelope.key is not None:
                self.acknowledged.setdefault(envelope.key, answer)
        self.pending = [one for one in self.pending if one.key not in self.acknowledged]
        self._let_go(process)

    def _take(self, process: Process) -> list[Envelope]:
        """At most one command of a stream; those of a dead replica are sent again."""
        living = {p.name for p in self.scheduler.processes if p.running is not None}
        taken: dict[str, Envelope] = {}
        for envelope in self.pending:
            holder = self.in_hand.get(envelope.key or "")
            free = holder not in living - {process.name}
            if free or self.scheduler.random.random() < self.twice:
                taken.setdefault(envelope.stream, envelope)
        chosen = list(taken.values())[:GROUP_LIMIT]
        self.in_hand |= {envelope.key or "": process.name for envelope in chosen}
        return chosen

    def _let_go(self, process: Process) -> None:
        self.in_hand = {key: who for key, who in self.in_hand.items() if who != process.name}

    def outside(self) -> None:
        """Clients send what is due; servers end what is not used and expel who is not heard of."""
        due = [at for at in sorted(self.coming) if at <= self.scheduler.tick]
        self.pending += [self.coming.pop(at) for at in due]
        self.source.end_idle(IDLE_BOUND)
        self.sink.end_idle(IDLE_BOUND)
        self.broker.expire()

    def is_at_rest(self) -> bool:
        """Everything acknowledged, sent, read and applied: all lags are zero."""
        events = self.source.table("events").values()
        last = max((event.place for event in events), default=(0, 0))
        seen = self.source.table("checkpoints").get("totals", (0, 0))
        return (
            not self.coming
            and not self.pending
            and not self.source.table("outbox")
            and seen == last
            and not self.sink.table("parked")
            and all(self._is_read(handler.name, handler.topic) for handler in HANDLERS)
        )

    def _is_read(self, name: str, topic: str) -> bool:
        offsets = self.sink.table("offsets")
        return self.broker.is_settled(topic) and not any(
            self.broker.fetch(topic, partition, offsets.get((name, partition), 0), 1)
            for partition in range(len(self.broker.topics[topic]))
        )
