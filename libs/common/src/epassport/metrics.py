"""Every metric of the runtime. No label and no value is about a person.

Counters and gauges are set where the thing happens; what only the database knows is read by
`sample`, once per scrape.
"""

from prometheus_client import Counter, Gauge, Histogram

from epassport.database import Database
from epassport.tasks import IS_CASE

RELAY_SENT = Counter("epassport_relay_sent", "Records confirmed by Kafka.", ("service", "shard"))
RELAY_FAULTS = Counter(
    "epassport_relay_faults", "Times a shard stopped and started again.", ("service", "shard")
)
RELAY_HOLDS_SHARD = Gauge(
    "epassport_relay_holds_shard", "1 where this process sends the shard.", ("service", "shard")
)
OUTBOX_OLDEST_SECONDS = Gauge(
    "epassport_outbox_oldest_seconds",
    "Age of the record that has waited longest, as the shard's relay sees it.",
    ("service", "shard"),
)

CONSUMER_RECORDS = Counter(
    "epassport_consumer_records",
    "Records by what became of them: applied, passed, duplicate, parked.",
    ("consumer", "topic", "outcome"),
)
CONSUMER_SLICE_SECONDS = Histogram(
    "epassport_consumer_slice_seconds",
    "Time of one partition slice from decoding to commit.",
    ("consumer", "topic"),
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
CONSUMER_POSTPONED = Counter(
    "epassport_consumer_postponed",
    "Slices put back, by the fault that will pass or the lost fence.",
    ("consumer", "topic", "fault"),
)
CONSUMER_LAG_RECORDS = Gauge(
    "epassport_consumer_lag_records",
    "Records of a partition not yet applied.",
    ("consumer", "topic", "partition"),
)
CONSUMER_LAG_SECONDS = Gauge(
    "epassport_consumer_lag_seconds",
    "Age of the last applied record at the moment it was applied.",
    ("consumer", "topic", "partition"),
)
CONSUMER_CIRCUIT_OPEN = Gauge(
    "epassport_consumer_circuit_open",
    "1 while a consumer stands still because too much of its topic is bad.",
    ("consumer", "topic"),
)
PARKED_RECORDS = Gauge("epassport_parked_records", "Records parked now.", ("consumer", "topic"))
STREAMS_HELD_BY_GAP = Gauge(
    "epassport_streams_held_by_gap",
    "Streams whose next record has been missing for longer than the alarm's limit.",
    ("consumer", "topic"),
)

DEADLINES_OVERDUE = Gauge(
    "epassport_deadlines_overdue", "Deadlines that are due and that no timer has sent yet."
)
WAITS_OVERDUE = Gauge(
    "epassport_waits_overdue",
    "Waits whose deadline has passed and that nothing has ended yet, by kind of stream and wait.",
    ("stream", "wait"),
)
DEADLINES_FAILING = Gauge(
    "epassport_deadlines_failing", "Deadlines whose command failed and is sent again later."
)
REFUSALS_OPEN = Gauge(
    "epassport_refusals_open", "Undeclared refusals of reactions that nobody has closed."
)
ROWS_CLEANED = Counter(
    "epassport_rows_cleaned", "Rows that had served their time and are gone.", ("what",)
)
TASKS_WAITING = Gauge("epassport_tasks_waiting", "Tasks that are due and not stuck.")
TASKS_STUCK = Gauge(
    "epassport_tasks_stuck",
    "Tasks that failed twelve times; where the fault may pass, they are tried on.",
)
OLDEST_TRANSACTION_SECONDS = Gauge(
    "epassport_oldest_transaction_seconds",
    "Age of the oldest writing transaction in the cluster; every reader of events waits for it.",
)
HISTORY_UNLINKED_SECONDS = Gauge(
    "epassport_history_unlinked_seconds",
    "Age of the oldest event that the hash chain does not cover yet.",
)


async def sample(database: Database) -> None:
    """Set the gauges that only the database knows."""
    async with database.connection() as connection:
        row = await connection.fetchrow(
            f"""
            SELECT (SELECT count(*) FROM deadlines WHERE due_at < clock_timestamp()) AS overdue,
                   (SELECT count(*) FROM failing_deadlines
                      JOIN deadlines USING (stream_id, kind, started_by_version)
                     WHERE due_at IS NOT NULL) AS failing,
                   (SELECT count(*) FROM reaction_refusals
                     WHERE NOT declared AND closed_by IS NULL) AS refusals,
                   (SELECT count(*) FROM tasks
                     WHERE NOT stuck AND due_at < clock_timestamp()) AS waiting,
                   (SELECT count(*) FROM tasks WHERE {IS_CASE}) AS stuck,
                   (SELECT COALESCE(EXTRACT(EPOCH FROM clock_timestamp() - min(xact_start)), 0)
                      FROM pg_stat_activity WHERE backend_xid IS NOT NULL)::float8 AS oldest,
                   (SELECT EXTRACT(EPOCH FROM clock_timestamp() - recorded_at)::float8 FROM events
                     WHERE (transaction_id, position) > (
                           COALESCE((SELECT transaction_id FROM history_links
                                      ORDER BY link DESC LIMIT 1), '0'::xid8),
                           COALESCE((SELECT position FROM history_links
                                      ORDER BY link DESC LIMIT 1), 0))
                     ORDER BY transaction_id, position LIMIT 1) AS unlinked
            """  # noqa: S608 - a constant
        )
        overdue = await connection.fetch(
            """
            SELECT split_part(stream_id, '/', 1) AS stream, split_part(kind, '/', 1) AS wait,
                   count(*) AS waits
              FROM deadlines WHERE overdue_since IS NOT NULL GROUP BY 1, 2
            """
        )
    if row is None:
        raise LookupError("a SELECT of scalars gave no row")
    DEADLINES_OVERDUE.set(row["overdue"])
    WAITS_OVERDUE.clear()
    for kind in overdue:
        WAITS_OVERDUE.labels(kind["stream"], kind["wait"]).set(kind["waits"])
    DEADLINES_FAILING.set(row["failing"])
    REFUSALS_OPEN.set(row["refusals"])
    TASKS_WAITING.set(row["waiting"])
    TASKS_STUCK.set(row["stuck"])
    OLDEST_TRANSACTION_SECONDS.set(row["oldest"])
    HISTORY_UNLINKED_SECONDS.set(row["unlinked"] or 0.0)
