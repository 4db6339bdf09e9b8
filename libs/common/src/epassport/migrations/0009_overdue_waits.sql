-- A wait whose deadline has passed stays until an event or an operator ends it: overdue since then,
-- and due no more, unless it was started anew by its own deadline or is sent again by an operator.
ALTER TABLE deadlines ALTER COLUMN due_at DROP NOT NULL;
ALTER TABLE deadlines ADD COLUMN overdue_since timestamptz;
CREATE INDEX deadlines_overdue ON deadlines (overdue_since) WHERE overdue_since IS NOT NULL;
