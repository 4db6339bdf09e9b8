-- Codes of phones that were shown, one table for all replicas. A row is written before the
-- verdict; presentation_id tells the same command sent again from somebody who copied the code.
CREATE TABLE replays (
    thumbprint bytea NOT NULL,
    cti bytea NOT NULL,
    presentation_id uuid NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (thumbprint, cti)
);
CREATE INDEX replays_by_expiry ON replays (expires_at);
