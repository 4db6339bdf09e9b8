"""Any life of a document: whatever is asked of it, in whatever order, the rules hold."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from epassport.decider import DeadlinePassed, EndWait, Refused, StartWait
from epassport_contracts.events.verification import StatusReason
from verification.document_status import Wait, aggregate
from verification.document_status_commands import (
    ActivateDocument,
    ExpectDocument,
    LiftSuspension,
    RegisterDocument,
    RestoreDocument,
    RevokeDocument,
    SuspendDocument,
)
from verification.document_status_events import (
    Document,
    DocumentActivated,
    DocumentRegistered,
    DocumentRestored,
    Standing,
)

HOLDER, STRANGER = UUID(int=1), UUID(int=2)
START = datetime(2026, 11, 22, tzinfo=UTC)
FINAL = (Standing.REVOKED, Standing.EXPIRED)

suspensions = st.sampled_from([StatusReason.LOSS_REPORTED, StatusReason.ORDERED])
checks = st.integers(0, 3).map(lambda n: UUID(int=100 + n))


class DocumentLife(RuleBasedStateMachine):
    """The aggregate with its deadlines, as the group and the timer would run it."""

    def __init__(self) -> None:
        super().__init__()
        self.document: Document = aggregate.initial
        self.events: list[Any] = []
        self.waits: dict[str, datetime] = {}
        self.now = START

    def send(self, command: Any) -> None:
        before = self.document
        decision = aggregate.decide(command, before)
        if isinstance(decision, Refused):
            return
        for fact in decision:
            if isinstance(fact, aggregate.events):
                self.record(fact)
        if before.standing is Standing.REVOKED:
            assert self.document == before, "revocation went back"
        if before.standing is Standing.EXPIRED:
            assert self.document.standing in FINAL
        if not isinstance(command, DeadlinePassed) and self.document != before:
            again = aggregate.decide(command, self.document)
            facts = [] if isinstance(again, Refused) else [*again]
            assert facts == [], "said twice, recorded twice"

    def record(self, fact: Any) -> None:
        self.document = aggregate.evolve(self.document, fact)
        self.events.append(fact)
        for wait in aggregate.waits(fact):
            match wait:
                case StartWait(kind, due_at):
                    self.waits[kind] = due_at
                case EndWait(kind):
                    self.waits.pop(kind, None)

    @rule()
    def expect(self) -> None:
        last_day = date(2036, 11, 21)
        self.send(ExpectDocument(self.now, UUID(int=3), HOLDER, "RU-TA", last_day, None))

    @rule(index=st.integers(0, 2))
    def register(self, index: int) -> None:
        self.send(RegisterDocument(self.now, "list", index))

    @rule()
    def activate(self) -> None:
        self.send(ActivateDocument(self.now))

    @rule(reason=suspensions)
    def suspend(self, reason: StatusReason) -> None:
        self.send(SuspendDocument(self.now, reason))

    @rule(check=checks, holder=st.sampled_from([HOLDER, STRANGER]))
    def restore(self, check: UUID, holder: UUID) -> None:
        self.send(RestoreDocument(self.now, holder, check))

    @rule()
    def lift(self) -> None:
        self.send(LiftSuspension(self.now))

    @precondition(lambda self: len(self.events) > 5)
    @rule(reason=st.sampled_from(StatusReason))
    def revoke(self, reason: StatusReason) -> None:
        self.send(RevokeDocument(self.now, reason, HOLDER))

    @rule(days=st.integers(0, 20))
    def time_passes(self, days: int) -> None:
        self.now += timedelta(days=days)
        for kind, due_at in sorted(self.waits.items(), key=lambda item: item[1]):
            if due_at <= self.now and kind in self.waits:
                del self.waits[kind]  # the group takes it out with the command
                self.send(DeadlinePassed(kind, 1, self.now))

    @invariant()
    def only_an_activated_document_holds(self) -> None:
        if self.document.standing is Standing.VALID:
            assert any(isinstance(fact, DocumentActivated) for fact in self.events)
            assert self.document.suspended_for == frozenset()

    @invariant()
    def it_has_one_index_at_most(self) -> None:
        assert sum(isinstance(fact, DocumentRegistered) for fact in self.events) <= 1

    @invariant()
    def a_check_is_used_once(self) -> None:
        restored = [fact for fact in self.events if isinstance(fact, DocumentRestored)]
        used = [fact.check_id for fact in restored if fact.check_id is not None]
        assert len(used) == len(set(used))

    @invariant()
    def a_loss_in_force_has_its_deadline(self) -> None:
        lost = StatusReason.LOSS_REPORTED in self.document.suspended_for
        suspended = self.document.standing is Standing.SUSPENDED
        assert (Wait.LOSS_WITHDRAWAL in self.waits) == (suspended and lost)

    @invariant()
    def what_is_over_waits_for_nothing(self) -> None:
        if self.document.standing in FINAL:
            assert self.waits == {}


DocumentLife.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_any_life_of_a_document = DocumentLife.TestCase
