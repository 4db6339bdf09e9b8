CREATE TABLE card_v1 (
    document_ref uuid PRIMARY KEY,
    status text NOT NULL,
    since timestamptz NOT NULL,
    application_id uuid,  -- NULL where the card was blocked before it was ordered
    holder_id uuid,
    office text,
    region text,
    version int NOT NULL
);
CREATE INDEX card_v1_by_status ON card_v1 (status, since);

CREATE TABLE card_event_v1 (
    document_ref uuid NOT NULL,
    version int NOT NULL,
    event text NOT NULL,
    detail text,          -- lot, batch, courier or a reason code
    at timestamptz NOT NULL,
    actor text NOT NULL,
    PRIMARY KEY (document_ref, version)
);

-- Digests of the blobs that hold a card's files, in order; a remade card writes anew.
CREATE TABLE card_file_v1 (
    document_ref uuid NOT NULL,
    name text NOT NULL,
    digests text[] NOT NULL,
    version int NOT NULL,
    PRIMARY KEY (document_ref, name)
);

CREATE TABLE blank_lot_v1 (
    lot_id text PRIMARY KEY,
    received int NOT NULL,
    used int NOT NULL,
    spoiled int NOT NULL,
    received_at timestamptz NOT NULL,
    version int NOT NULL
);

CREATE TABLE batch_v1 (
    batch_id uuid PRIMARY KEY,
    office text NOT NULL,
    status text NOT NULL,
    since timestamptz NOT NULL,
    courier text,
    version int NOT NULL
);

CREATE TABLE batch_card_v1 (
    batch_id uuid NOT NULL,
    document_ref uuid NOT NULL,
    PRIMARY KEY (batch_id, document_ref)
);
