-- Of a link over no event: after which order the links before it, lost in a restore, are missed no
-- more (epassport.history).
ALTER TABLE history_links ADD COLUMN accepted_by uuid REFERENCES operator_actions;
