-- Since when a partition's records wait because its consumer stands still: most of them are bad, or
-- the topic was made anew. What they say is not known then, also to other processes.
ALTER TABLE consumer_offsets ADD COLUMN stands_since timestamptz;
CREATE INDEX consumer_offsets_standing ON consumer_offsets (consumer) WHERE stands_since IS NOT NULL;
