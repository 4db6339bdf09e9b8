-- Read models, second version: a capture has several fingers. Filled from the events beside the
-- first, whose tables go with the release after this one.

CREATE TABLE enrolment_v2 (
    application_id uuid PRIMARY KEY,
    holder_id uuid NOT NULL,
    kind text,
    status text NOT NULL,
    officer text,
    face text,
    positions text[] NOT NULL DEFAULT '{}',  -- of the fingers; none: excepted, or not captured yet
    fingers text[] NOT NULL DEFAULT '{}',    -- digests of their images, in the same order
    templates text[] NOT NULL DEFAULT '{}',
    qualities int[] NOT NULL DEFAULT '{}',
    gate text,
    missing text[] NOT NULL DEFAULT '{}',
    by_exception boolean NOT NULL DEFAULT false,
    rejected_because text,
    changed_at timestamptz NOT NULL,
    version int NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX enrolment_v2_by_holder ON enrolment_v2 (holder_id);

CREATE TABLE adjudication_v2 (
    case_id uuid PRIMARY KEY,
    holder_id uuid NOT NULL,
    application_id uuid NOT NULL,
    against uuid[] NOT NULL,
    state text NOT NULL,
    overdue boolean NOT NULL DEFAULT false,
    answered_by text[] NOT NULL DEFAULT '{}',
    requested_at timestamptz NOT NULL,
    version int NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX adjudication_v2_waiting ON adjudication_v2 (state, requested_at)
    WHERE state <> 'closed';

CREATE TABLE gallery_entry_v2 (
    capture_id uuid PRIMARY KEY,
    application_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    positions text[] NOT NULL,
    templates text[] NOT NULL,            -- digests, in the order of the positions
    engine text NOT NULL,
    present boolean NOT NULL DEFAULT true,
    entered_transaction bigint NOT NULL,
    entered_position bigint NOT NULL,
    changed_transaction bigint NOT NULL,
    changed_position bigint NOT NULL
);
CREATE INDEX gallery_entry_v2_changes
    ON gallery_entry_v2 (changed_transaction, changed_position);
CREATE INDEX gallery_entry_v2_by_application ON gallery_entry_v2 (application_id);
CREATE INDEX gallery_entry_v2_by_holder ON gallery_entry_v2 (holder_id);
