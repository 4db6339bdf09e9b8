-- The runtime's tables, the same in every service's database.

CREATE TABLE streams (
    stream_id text COLLATE "C" PRIMARY KEY,
    version int NOT NULL DEFAULT 0,
    sequence int NOT NULL DEFAULT 0,  -- last one used on the stream kind's own topic
    last_transaction_id xid8 NOT NULL DEFAULT '0'
) WITH (fillfactor = 70);

CREATE TABLE events (
    position bigint GENERATED ALWAYS AS IDENTITY,
    transaction_id xid8 NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    version int NOT NULL,
    event_id uuid NOT NULL UNIQUE,
    type text NOT NULL,
    schema_version smallint NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream_id, version)
);
CREATE INDEX events_in_reading_order ON events (transaction_id, position);

-- Column names id, aggregatetype, aggregateid, type, payload are those of Debezium's
-- outbox event router, so that a platform team can put CDC in the relay's place.
CREATE TABLE outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id xid8 NOT NULL,
    shard smallint NOT NULL,
    id uuid NOT NULL,
    aggregatetype text NOT NULL,   -- topic
    aggregateid text NOT NULL,     -- record key
    type text NOT NULL,
    headers jsonb NOT NULL,        -- ce_* attributes, text to text
    payload bytea,                 -- null: a tombstone on a compacted topic
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX outbox_in_sending_order ON outbox (shard, transaction_id, position);

CREATE TABLE claims (
    kind text COLLATE "C" NOT NULL,
    digest bytea NOT NULL,
    stream_id text COLLATE "C" NOT NULL,  -- the owner; only it releases
    subject uuid,                         -- whose personal data the digest was made from
    PRIMARY KEY (kind, digest)
);
CREATE INDEX claims_by_subject ON claims (subject) WHERE subject IS NOT NULL;

CREATE TABLE capacities (
    kind text COLLATE "C" PRIMARY KEY,
    remaining bigint NOT NULL CHECK (remaining >= 0)
) WITH (fillfactor = 20);

CREATE TABLE tasks (
    task_id uuid PRIMARY KEY,
    kind text NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    input jsonb NOT NULL,
    metadata jsonb NOT NULL,              -- actor and correlation of the event that started it
    step text,                            -- with region: what a pause can stop
    region text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts int NOT NULL DEFAULT 0,
    lease uuid,
    leased_until timestamptz,
    last_error text,
    stuck boolean NOT NULL DEFAULT false  -- gave up; an operator retries or discards
);
CREATE INDEX tasks_due ON tasks (kind, due_at) WHERE NOT stuck;

CREATE TABLE deadlines (
    stream_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    started_by_version int NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (stream_id, kind)
);
CREATE INDEX deadlines_due ON deadlines (due_at);

CREATE TABLE idempotency (
    scope text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    body_hmac bytea NOT NULL,
    reason text,                          -- set: the kept answer is this refusal
    version int,
    transaction_id xid8,
    position bigint,
    answer jsonb NOT NULL,                -- ids only
    kept_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (scope, key)
) WITH (fillfactor = 70);
CREATE INDEX idempotency_by_age ON idempotency (kept_at);

-- What a consumer (a Kafka group of this service) has applied, written in the slice's transaction.
CREATE TABLE consumer_offsets (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    next_offset bigint NOT NULL,
    PRIMARY KEY (consumer, topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE consumer_sequences (
    consumer text NOT NULL,
    topic text NOT NULL,
    key text COLLATE "C" NOT NULL,
    sequence int NOT NULL,
    PRIMARY KEY (consumer, topic, key)
) WITH (fillfactor = 70);

-- Records that could not be applied, together with every later one of their stream.
CREATE TABLE parked (
    consumer text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    record_offset bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    headers jsonb NOT NULL,               -- text to base64
    value bytea,
    cause text NOT NULL,                  -- reason code; 'behind' for those that only wait
    detail text NOT NULL DEFAULT '',
    parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, topic, partition, record_offset)
);
CREATE INDEX parked_by_key ON parked (consumer, topic, key, record_offset);

CREATE TABLE discarded (
    LIKE parked,
    discarded_by jsonb NOT NULL,
    discard_reason text NOT NULL,
    discarded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE reaction_refusals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    stream_id text NOT NULL,
    command text NOT NULL,
    reason text NOT NULL,
    declared boolean NOT NULL,            -- false: an operator's case
    refused_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- How far a reader of the own store has come: read models ('<model>_v<n>') and own reactions.
CREATE TABLE checkpoints (
    reader text PRIMARY KEY,
    transaction_id xid8 NOT NULL DEFAULT '0',
    position bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- Steps of the road that are stopped in a region, copied from enrollment's rollout topic.
CREATE TABLE pauses (
    region text NOT NULL,
    step text NOT NULL,
    reason text NOT NULL,
    since timestamptz NOT NULL,
    PRIMARY KEY (region, step)
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only';
END $$;
CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
