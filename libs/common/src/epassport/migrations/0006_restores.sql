-- What a database restored from a backup is known by, and what it does not know (epassport.restore).

CREATE TABLE clusters (
    system_identifier bigint PRIMARY KEY, -- of the PostgreSQL cluster, made by its initdb
    accepted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO clusters (system_identifier) SELECT system_identifier FROM pg_control_system();

-- Records of this service's own topics whose events the restored store has lost.
CREATE TABLE lost_publications (
    topic text NOT NULL,
    partition int NOT NULL,
    record_offset bigint NOT NULL,
    stream_id text COLLATE "C" NOT NULL,
    sequence int NOT NULL,
    event_id text NOT NULL,               -- of the record, as it stands there
    type text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_by uuid REFERENCES operator_actions DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (topic, partition, record_offset)
);
CREATE INDEX lost_publications_open ON lost_publications (topic) WHERE settled_by IS NULL;
