-- The latest timestamp of a partition's applied records: a topic of the same name whose first record
-- is later is another topic, and the offset says nothing of it.
ALTER TABLE consumer_offsets ADD COLUMN latest_ms bigint;
