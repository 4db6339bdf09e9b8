CREATE TABLE document_v1 (
    document_ref uuid PRIMARY KEY,
    status text NOT NULL,
    since timestamptz NOT NULL,
    reason text,
    holder_id uuid NOT NULL,
    application_id uuid,
    predecessor uuid,
    valid_until date,
    status_list_uri text,
    status_index int,
    version int NOT NULL
);
CREATE INDEX document_v1_by_predecessor ON document_v1 (predecessor) WHERE predecessor IS NOT NULL;

-- Phone keys that stand for a document. Unbound ones stay, so that a refusal can say why.
CREATE TABLE device_key_v1 (
    thumbprint text COLLATE "C" PRIMARY KEY,
    document_ref uuid NOT NULL,
    holder_id uuid NOT NULL,
    device_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    unbound_at timestamptz,
    version int NOT NULL
);
CREATE INDEX device_key_v1_by_device ON device_key_v1 (device_id);

CREATE TABLE relying_party_v1 (
    relying_party_id text PRIMARY KEY,
    name text NOT NULL,
    registered_at timestamptz NOT NULL
);

CREATE TABLE purpose_v1 (
    relying_party_id text NOT NULL,
    purpose text NOT NULL,
    claims text[] NOT NULL,
    basis text NOT NULL,
    registered_at timestamptz NOT NULL,
    PRIMARY KEY (relying_party_id, purpose)
);

-- In the order of the store, which is the order of the cursor.
CREATE TABLE public_event_v1 (
    transaction_id xid8 NOT NULL,
    position bigint NOT NULL,
    event jsonb NOT NULL,
    PRIMARY KEY (transaction_id, position)
);
