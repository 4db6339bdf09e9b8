-- What desks and adjudicators ask. Images and templates are named by digest; they are in `blobs`.

CREATE TABLE enrolment_v1 (
    application_id uuid PRIMARY KEY,
    holder_id uuid NOT NULL,
    kind text,
    status text NOT NULL,
    officer text,
    face text,
    finger text,                          -- null: excepted, or nothing captured yet
    by_exception boolean NOT NULL DEFAULT false,
    rejected_because text,
    changed_at timestamptz NOT NULL,
    version int NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX enrolment_v1_by_holder ON enrolment_v1 (holder_id);

CREATE TABLE adjudication_v1 (
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
CREATE INDEX adjudication_v1_waiting ON adjudication_v1 (state, requested_at)
    WHERE state <> 'closed';

-- The gallery. Places are those of events: (transaction id, position), the store's reading order.
CREATE TABLE gallery_entry_v1 (
    capture_id uuid PRIMARY KEY,
    application_id uuid NOT NULL,
    holder_id uuid NOT NULL,
    template text NOT NULL,
    engine text NOT NULL,
    present boolean NOT NULL DEFAULT true,
    entered_transaction bigint NOT NULL,
    entered_position bigint NOT NULL,
    changed_transaction bigint NOT NULL,
    changed_position bigint NOT NULL
);
CREATE INDEX gallery_entry_v1_changes
    ON gallery_entry_v1 (changed_transaction, changed_position);
CREATE INDEX gallery_entry_v1_by_application ON gallery_entry_v1 (application_id);
CREATE INDEX gallery_entry_v1_by_holder ON gallery_entry_v1 (holder_id);
