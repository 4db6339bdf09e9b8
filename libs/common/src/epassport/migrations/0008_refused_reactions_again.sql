-- What an undeclared refusal came from, so that an operator can have it sent again: another
-- service's event as this one read it, its personal values sealed. An own event is in the store.
ALTER TABLE reaction_refusals
    ADD COLUMN source_type text,
    ADD COLUMN source_event jsonb,
    ADD COLUMN correlation_id uuid;
