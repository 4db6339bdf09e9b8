CREATE TABLE tally_v1 (stream text PRIMARY KEY, operations int NOT NULL, digest text NOT NULL);
