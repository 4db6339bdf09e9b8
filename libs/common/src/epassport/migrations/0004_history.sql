-- The hash chain over events (epassport.history). A link covers one page of events.

CREATE TABLE history_links (
    link int PRIMARY KEY,                 -- from 1
    events bigint NOT NULL,               -- covered by this and all links before
    transaction_id xid8 NOT NULL,         -- of the last event covered
    position bigint NOT NULL,
    positions bigint[] NOT NULL,          -- of every event of the page, in reading order
    marks bytea NOT NULL,                 -- 8 octets of each event's digest: where a page changed
    head bytea NOT NULL,                  -- SHA-256 over the head before and the digests
    linked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION refuse_change_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'history is append-only';
END $$;
CREATE TRIGGER history_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON history_links
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_history();
