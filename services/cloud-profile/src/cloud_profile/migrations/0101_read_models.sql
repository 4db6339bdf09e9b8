CREATE TABLE profile_v1 (
    holder_id uuid PRIMARY KEY,
    opened_at timestamptz,
    closed_at timestamptz,
    version int NOT NULL
);

CREATE TABLE profile_document_v1 (
    document_ref uuid PRIMARY KEY,
    holder_id uuid NOT NULL,
    document_number jsonb NOT NULL,  -- sealed
    identity jsonb NOT NULL,         -- sealed
    valid_until date NOT NULL,
    added_at timestamptz NOT NULL
);
CREATE INDEX profile_document_v1_by_holder ON profile_document_v1 (holder_id);

-- Heard of before or after the document itself, so in a table of its own.
CREATE TABLE profile_standing_v1 (
    document_ref uuid PRIMARY KEY,
    standing text NOT NULL,
    since timestamptz NOT NULL,
    version int NOT NULL
);

CREATE TABLE profile_portrait_v1 (
    document_ref uuid PRIMARY KEY,
    holder_id uuid NOT NULL,
    digest text NOT NULL,
    version int NOT NULL
);

CREATE TABLE profile_device_v1 (
    device_id uuid PRIMARY KEY,
    holder_id uuid NOT NULL,
    bound_at timestamptz NOT NULL,
    unbound_at timestamptz
);
CREATE INDEX profile_device_v1_by_holder ON profile_device_v1 (holder_id);

CREATE TABLE asked_v1 (
    presentation_id uuid PRIMARY KEY,
    holder_id uuid NOT NULL,
    document_ref uuid NOT NULL,
    form text NOT NULL,
    asked jsonb,  -- sealed; null where the holder's key had not come to verification
    refused_because text,
    at timestamptz NOT NULL
);
CREATE INDEX asked_v1_by_holder ON asked_v1 (holder_id, at);
