-- Read models that have a second set of tables beside the one that is read (epassport.rebuild).

CREATE TABLE rebuilds (
    reader text PRIMARY KEY,              -- of the set that is read: '<model>_v<n>'
    phase text NOT NULL,                  -- of the other: filling, kept, dropping
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    switched_at timestamptz               -- since when what was read before is kept
);
