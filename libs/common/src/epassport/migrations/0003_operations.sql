-- What operators see and do, and what the runtime remembers for them.

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% are append-only', TG_TABLE_NAME;
END $$;

CREATE TABLE operator_actions (
    action_id uuid PRIMARY KEY,           -- the same order sent again has the same id
    action text NOT NULL,
    target jsonb NOT NULL,                -- what the order named: ids, offsets, kinds
    found jsonb NOT NULL,                 -- what was there: counts, reason codes
    actor jsonb NOT NULL,
    reason text NOT NULL,
    done_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX operator_actions_by_time ON operator_actions (done_at);
CREATE TRIGGER operator_actions_are_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_actions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

ALTER TABLE reaction_refusals ADD COLUMN closed_by uuid
    REFERENCES operator_actions DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX reaction_refusals_open ON reaction_refusals (declared, id) WHERE closed_by IS NULL;

-- Deadlines whose command failed. A row counts only for the wait that it names: one that was
-- started anew has another version and begins without failures.
CREATE TABLE failing_deadlines (
    stream_id text COLLATE "C" NOT NULL,
    kind text NOT NULL,
    started_by_version int NOT NULL,
    failures int NOT NULL,
    last_error text NOT NULL,
    failed_since timestamptz NOT NULL DEFAULT clock_timestamp(),
    retry_at timestamptz NOT NULL,        -- the database's clock: back-off is not business time
    PRIMARY KEY (stream_id, kind)
) WITH (fillfactor = 70);

-- How many more bad records an operator lets a consumer park although its circuit would open.
CREATE TABLE circuit_allowances (
    consumer text NOT NULL,
    topic text NOT NULL,
    remaining int NOT NULL CHECK (remaining >= 0),
    PRIMARY KEY (consumer, topic)
);

-- Claims that mean something for a while only (a challenge's use) are cleaned up by this time.
ALTER TABLE claims ADD COLUMN taken_at timestamptz;
ALTER TABLE claims ALTER COLUMN taken_at SET DEFAULT clock_timestamp();
UPDATE claims SET taken_at = clock_timestamp();
CREATE INDEX claims_by_time ON claims (kind, taken_at);
