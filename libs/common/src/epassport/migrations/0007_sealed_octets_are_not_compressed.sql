-- What is sealed looks like noise: trying to compress it took a tenth of PostgreSQL's time.

ALTER TABLE blobs ALTER COLUMN ct SET STORAGE EXTERNAL;
ALTER TABLE outbox ALTER COLUMN payload SET STORAGE EXTERNAL;
