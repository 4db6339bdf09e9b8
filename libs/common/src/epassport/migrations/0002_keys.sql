-- Data keys of persons, blobs, and who looked. Wrapped: AES-256-GCM under the service's own key.

CREATE TABLE subject_keys (
    subject uuid NOT NULL,
    purpose text NOT NULL,
    generation int NOT NULL,
    owner text NOT NULL,
    wrapped bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject, purpose, generation)
);

-- HPKE messages as received; opened only by tasks and queries, never while consuming.
CREATE TABLE received_keys (
    subject uuid NOT NULL,
    owner text NOT NULL,
    generation int NOT NULL,
    purposes text[] NOT NULL,
    message bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (subject, owner, generation)
);

CREATE TABLE erased_subjects (
    subject uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL
);

-- One sealed image or file, named by the SHA-256 of its ciphertext.
CREATE TABLE blobs (
    digest text PRIMARY KEY,
    subject uuid NOT NULL,
    media_type text NOT NULL,
    envelope jsonb NOT NULL,              -- every member but ct
    ct bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX blobs_by_subject ON blobs (subject);

-- Written before a person's data is opened for another person.
CREATE TABLE openings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject uuid NOT NULL,
    fields text[] NOT NULL,
    actor jsonb NOT NULL,
    reason text NOT NULL,
    correlation_id uuid NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX openings_by_subject ON openings (subject, opened_at);
