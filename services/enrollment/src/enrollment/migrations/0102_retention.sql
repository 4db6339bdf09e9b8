-- When nothing obliges anybody any longer to keep a holder's data.
ALTER TABLE holder_v1 ADD COLUMN retention_ended_at timestamptz;
CREATE INDEX holder_v1_erasure_work ON holder_v1 (coalesce(erasure_ordered_at, retention_ended_at))
 WHERE erasure = 'overdue' OR (erasure = 'none' AND retention_ended_at IS NOT NULL);
