-- Without octets: others have this key, and the restored store has lost it (epassport.keyring).
ALTER TABLE subject_keys ALTER COLUMN wrapped DROP NOT NULL;
