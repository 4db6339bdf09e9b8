CREATE TABLE heard_v1 (stream text PRIMARY KEY, operations int NOT NULL, digest text NOT NULL);
CREATE TABLE echoes_v1 (stream text PRIMARY KEY, operations int NOT NULL, digest text NOT NULL);
