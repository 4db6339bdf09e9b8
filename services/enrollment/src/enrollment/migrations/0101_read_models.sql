-- What the desks' pages ask. Filled from events alone; personal data only as sealed envelopes.

CREATE TABLE application_v1 (
    application_id uuid PRIMARY KEY,
    holder_id uuid NOT NULL,
    kind text NOT NULL,
    region text NOT NULL,
    office text NOT NULL,
    identity jsonb NOT NULL,              -- sealed
    submitted_at timestamptz NOT NULL,
    status text NOT NULL,
    biometrics text NOT NULL,
    information_missing boolean NOT NULL,
    document_ref uuid,
    valid_until date,
    card text,
    overdue text,                         -- the wait that has passed, until something happens
    changed_at timestamptz NOT NULL,
    version int NOT NULL,
    -- What an officer does next with it: the queue it stands in.
    state text NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN status = 'approved' AND card = 'at-office' THEN 'ready-for-hand-over'
            WHEN status = 'approved' THEN 'card-' || card
            WHEN status <> 'submitted' THEN status
            WHEN information_missing THEN 'waiting-for-information'
            WHEN biometrics = 'awaited' THEN 'waiting-for-biometrics'
            WHEN biometrics = 'duplicate' THEN 'duplicate-confirmed'
            ELSE 'ready-for-decision'
        END
    ) STORED
) WITH (fillfactor = 80);
CREATE INDEX application_v1_queue ON application_v1 (office, state, changed_at);

CREATE TABLE application_event_v1 (
    application_id uuid NOT NULL,
    version int NOT NULL,
    event text NOT NULL,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    PRIMARY KEY (application_id, version)
);

CREATE TABLE holder_v1 (
    holder_id uuid PRIMARY KEY,
    registered_at timestamptz NOT NULL,
    erasure text NOT NULL,
    erasure_ordered_at timestamptz,
    erasure_completed_at timestamptz,
    keys_destroyed text[] NOT NULL,
    version int NOT NULL
) WITH (fillfactor = 80);

-- A document may be revoked without ever having been in hand.
CREATE TABLE holder_document_v1 (
    document_ref uuid PRIMARY KEY,
    holder_id uuid NOT NULL,
    application_id uuid,
    standing text NOT NULL,
    since timestamptz NOT NULL,
    version int NOT NULL
);
CREATE INDEX holder_document_v1_by_holder ON holder_document_v1 (holder_id, document_ref);

CREATE TABLE rollout_v1 (
    region text PRIMARY KEY,
    opens_on date NOT NULL,
    quota int NOT NULL,
    version int NOT NULL
);

CREATE TABLE rollout_pause_v1 (
    region text NOT NULL,
    step text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz,
    reason text NOT NULL,
    version int NOT NULL,
    PRIMARY KEY (region, step, since)
);
