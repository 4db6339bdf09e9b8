"""What desks and adjudicators ask: enrolments, and cases without the answers given."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from uuid import UUID

from asyncpg import Record

from biometrics.record_events import (
    AdjudicationEscalated,
    AdjudicationOverdue,
    AdjudicationRequested,
    AdjudicatorDecided,
    AppealOpened,
    BiometricsAccepted,
    DuplicateConfirmed,
    DuplicateDismissed,
    FingersExcepted,
    OwnRecordMissing,
    RecordRetired,
    SampleRejected,
    SamplesReceived,
    Status,
)
from epassport import Actor, Recorded
from epassport.readmodel import ReadModel, Tables
from epassport_contracts.desk import TicketPurpose

records = ReadModel("records", version=2, tables=("enrolment", "adjudication"))

CASES_LIMIT = 200


@records.projects(SamplesReceived)
async def samples_received(wave: Sequence[Recorded[SamplesReceived]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {enrolment} AS known
               (application_id, holder_id, kind, status, officer, face, positions, fingers,
                templates, qualities, gate, missing, changed_at, version)
        SELECT a, h, k, 'searching', o, f, string_to_array(p, ' '), string_to_array(i, ' '),
               string_to_array(e, ' '), string_to_array(q, ' ', '-')::int[], g,
               string_to_array(m, ' '), t, v
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                      $7::text[], $8::text[], $9::text[], $10::text[], $11::text[],
                      $12::timestamptz[], $13::int[])
               AS new (a, h, k, o, f, p, i, e, q, g, m, t, v)
            ON CONFLICT (application_id) DO UPDATE
           SET kind = excluded.kind, status = excluded.status, officer = excluded.officer,
               face = excluded.face, positions = excluded.positions, fingers = excluded.fingers,
               templates = excluded.templates, qualities = excluded.qualities,
               gate = excluded.gate, missing = excluded.missing, rejected_because = NULL,
               changed_at = excluded.changed_at, version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.fact.application_id for event in wave],
        [event.stream_key for event in wave],
        [event.fact.kind for event in wave],
        [event.actor.name for event in wave],
        [event.fact.samples.face for event in wave],
        [_joined(each.position for each in event.fact.samples.fingers) for event in wave],
        [_joined(each.image for each in event.fact.samples.fingers) for event in wave],
        [_joined(each.template for each in event.fact.samples.fingers) for event in wave],
        [_joined(_number(each.quality) for each in event.fact.samples.fingers) for event in wave],
        [event.fact.samples.gate for event in wave],
        [_joined(each.position for each in event.fact.samples.missing) for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


def _joined(values: Iterable[str]) -> str:
    """An array as one text: unnest would take an array of arrays apart."""
    return " ".join(values)


def _number(value: int | None) -> str:
    return "-" if value is None else str(value)


@records.projects(SampleRejected)
async def sample_rejected(wave: Sequence[Recorded[SampleRejected]], tables: Tables) -> int:
    return await tables.upsert(
        """
        INSERT INTO {enrolment} AS known
               (application_id, holder_id, status, rejected_because, changed_at, version)
        SELECT a, h, 'awaited', r, t, v
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[], $5::int[])
               AS new (a, h, r, t, v)
            ON CONFLICT (application_id) DO UPDATE
           SET rejected_because = excluded.rejected_because, changed_at = excluded.changed_at,
               version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.fact.application_id for event in wave],
        [event.stream_key for event in wave],
        [event.fact.reason for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@records.projects(FingersExcepted, changes="any")
async def fingers_excepted(wave: Sequence[Recorded[FingersExcepted]], tables: Tables) -> int:
    """An exception at the counter concerns a ticket, not an enrolment."""
    enrolled = [event for event in wave if event.fact.instead_of is TicketPurpose.ENROL]
    return await tables.upsert(
        """
        INSERT INTO {enrolment} AS known
               (application_id, holder_id, kind, status, officer, face, changed_at, version)
        SELECT a, h, k, 'awaited', o, f, t, v
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                      $6::timestamptz[], $7::int[]) AS new (a, h, k, o, f, t, v)
            ON CONFLICT (application_id) DO UPDATE
           SET kind = excluded.kind, officer = excluded.officer, face = excluded.face,
               positions = '{}', fingers = '{}', templates = '{}', qualities = '{}',
               gate = NULL, rejected_because = NULL, changed_at = excluded.changed_at,
               version = excluded.version
         WHERE known.version < excluded.version
        """,
        [event.fact.application_id for event in enrolled],
        [event.stream_key for event in enrolled],
        [event.fact.kind for event in enrolled],
        [event.actor.name for event in enrolled],
        [event.fact.face for event in enrolled],
        [event.fact.at for event in enrolled],
        [event.version for event in enrolled],
    )


_STATUS: Mapping[type, Status] = {
    OwnRecordMissing: Status.AWAITED,
    AdjudicationRequested: Status.SUSPECTED,
    DuplicateConfirmed: Status.DUPLICATE,
    BiometricsAccepted: Status.ACCEPTED,
    AppealOpened: Status.SUSPECTED,
}

Settled = (
    AppealOpened
    | OwnRecordMissing
    | AdjudicationRequested
    | DuplicateConfirmed
    | BiometricsAccepted
)


@records.projects(*_STATUS)
async def settled(wave: Sequence[Recorded[Settled]], tables: Tables) -> int:
    return await tables.upsert(
        """
        UPDATE {enrolment} AS known
           SET status = new.status, by_exception = new.by_exception, changed_at = new.at,
               version = new.version
          FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::timestamptz[], $5::int[])
               AS new (application_id, status, by_exception, at, version)
         WHERE known.application_id = new.application_id AND known.version < new.version
        """,
        [event.fact.application_id for event in wave],
        [_STATUS[type(event.fact)] for event in wave],
        [getattr(event.fact, "by_exception", False) for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@records.projects(RecordRetired, changes="any")
async def enrolments_retired(wave: Sequence[Recorded[RecordRetired]], tables: Tables) -> int:
    return await tables.upsert(
        """
        UPDATE {enrolment} AS known
           SET status = 'retired', changed_at = new.at, version = new.version
          FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::timestamptz[], $5::int[])
               AS new (application_id, holder_id, wholly, at, version)
         WHERE known.version < new.version
           AND (known.application_id = new.application_id
                OR new.wholly AND known.holder_id = new.holder_id)
        """,
        [event.fact.application_id for event in wave],
        [event.stream_key for event in wave],
        [event.fact.wholly for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@records.projects(RecordRetired, changes="any")
async def cases_ended(wave: Sequence[Recorded[RecordRetired]], tables: Tables) -> int:
    cases = [(case_id, event.version) for event in wave for case_id in event.fact.cases]
    return await tables.upsert(
        """
        UPDATE {adjudication} AS known SET state = 'closed', version = new.version
          FROM unnest($1::uuid[], $2::int[]) AS new (case_id, version)
         WHERE known.case_id = new.case_id AND known.version < new.version
        """,
        [case_id for case_id, _ in cases],
        [version for _, version in cases],
    )


@records.projects(AdjudicationRequested)
async def case_opened(wave: Sequence[Recorded[AdjudicationRequested]], tables: Tables) -> int:
    """A case is opened once in its life."""
    return await tables.upsert(
        """
        INSERT INTO {adjudication}
               (case_id, holder_id, application_id, against, state, requested_at, version)
        SELECT c, h, a, string_to_array(g, ' ')::uuid[], 'open', t, v
          FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::int[])
               AS new (c, h, a, g, t, v)
        """,
        [event.fact.case_id for event in wave],
        [event.stream_key for event in wave],
        [event.fact.application_id for event in wave],
        [" ".join(str(holder) for holder in event.fact.against) for event in wave],
        [event.fact.at for event in wave],
        [event.version for event in wave],
    )


@records.projects(AdjudicatorDecided)
async def case_answered(wave: Sequence[Recorded[AdjudicatorDecided]], tables: Tables) -> int:
    """Who, so that nobody is asked twice; never what."""
    return await tables.upsert(
        """
        UPDATE {adjudication} AS known
           SET answered_by = array_append(answered_by, new.actor), version = new.version
          FROM unnest($1::uuid[], $2::text[], $3::int[]) AS new (case_id, actor, version)
         WHERE known.case_id = new.case_id AND known.version < new.version
        """,
        [event.fact.case_id for event in wave],
        [event.actor.name for event in wave],
        [event.version for event in wave],
    )


_STATE: Mapping[type, tuple[str | None, bool | None]] = {  # state, is it overdue?
    AdjudicationEscalated: ("escalated", False),
    AdjudicationOverdue: (None, True),
    DuplicateConfirmed: ("closed", None),
    DuplicateDismissed: ("closed", None),
}

CaseMoved = AdjudicationEscalated | AdjudicationOverdue | DuplicateConfirmed | DuplicateDismissed


@records.projects(*_STATE)
async def case_moved(wave: Sequence[Recorded[CaseMoved]], tables: Tables) -> int:
    return await tables.upsert(
        """
        UPDATE {adjudication} AS known
           SET state = coalesce(new.state, known.state),
               overdue = coalesce(new.overdue, known.overdue), version = new.version
          FROM unnest($1::uuid[], $2::text[], $3::boolean[], $4::int[])
               AS new (case_id, state, overdue, version)
         WHERE known.case_id = new.case_id AND known.version < new.version
        """,
        [event.fact.case_id for event in wave],
        [_STATE[type(event.fact)][0] for event in wave],
        [_STATE[type(event.fact)][1] for event in wave],
        [event.version for event in wave],
    )


@records.projects(AppealOpened)
async def case_appealed(wave: Sequence[Recorded[AppealOpened]], tables: Tables) -> int:
    """Through whom, so that this person is not asked to decide it."""
    return await tables.upsert(
        """
        UPDATE {adjudication} AS known
           SET state = 'escalated', overdue = false, appealed_by = new.actor,
               version = new.version
          FROM unnest($1::uuid[], $2::text[], $3::int[]) AS new (case_id, actor, version)
         WHERE known.case_id = new.case_id AND known.version < new.version
        """,
        [event.fact.case_id for event in wave],
        [event.actor.name for event in wave],
        [event.version for event in wave],
    )


async def enrolments_of(tables: Tables, holder_id: UUID) -> list[Record]:
    """Oldest change first."""
    return await tables.fetch(
        "SELECT * FROM {enrolment} WHERE holder_id = $1 ORDER BY changed_at, application_id",
        holder_id,
    )


async def cases_for(tables: Tables, actor: Actor, states: Collection[str]) -> list[Record]:
    """Cases this person may answer, the oldest first: neither answered before nor enrolled by
    them, nor appealed through them."""
    return await tables.fetch(
        """
        SELECT c.case_id, c.state, c.appealed_by IS NOT NULL AS appealed, c.overdue,
               c.requested_at
          FROM {adjudication} AS c JOIN {enrolment} AS e USING (application_id)
         WHERE c.state = ANY($1::text[]) AND NOT $2 = ANY(c.answered_by)
           AND e.officer IS DISTINCT FROM $2 AND c.appealed_by IS DISTINCT FROM $2
         ORDER BY c.requested_at, c.case_id LIMIT $3
        """,
        list(states),
        actor.name,
        CASES_LIMIT,
    )


async def case_of(tables: Tables, case_id: UUID) -> Record | None:
    return await tables.fetchrow(
        """
        SELECT c.*, e.officer FROM {adjudication} AS c
          LEFT JOIN {enrolment} AS e USING (application_id) WHERE c.case_id = $1
        """,
        case_id,
    )


async def pictures_in(tables: Tables, case: Record) -> list[Record]:
    """Digests of what the applicant brought, then of every holder it is compared with.

    Of such a holder every enrolment that the gallery holds, as any of them may be the one that
    was found; where none is left there, the latest. What was captured and was not the holder's
    finger has left the gallery, though it is the latest.
    """
    return await tables.fetch(
        """
        SELECT holder_id, face, positions, fingers, templates
          FROM {enrolment} WHERE application_id = $1
         UNION ALL
        (SELECT holder_id, face, positions, fingers, templates
           FROM (SELECT e.*, against.place,
                        rank() OVER (PARTITION BY against.place ORDER BY gone.gone,
                                     CASE WHEN gone.gone THEN -e.version END) AS choice
                   FROM unnest($2::uuid[]) WITH ORDINALITY AS against (holder_id, place)
                   JOIN {enrolment} AS e USING (holder_id)
                  CROSS JOIN LATERAL (SELECT e.status = ANY($3::text[])) AS gone (gone)
                  WHERE e.positions <> '{}') AS shown
          WHERE choice = 1
          ORDER BY place, version DESC)
        """,
        case["application_id"],
        case["against"],
        [Status.AWAITED, Status.RETIRED],
    )
