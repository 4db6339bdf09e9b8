-- A holder's ended keys are forgotten as new ones come.
CREATE INDEX device_key_v1_by_holder ON device_key_v1 (holder_id, expires_at);
