-- The lists that have an entry; the next is begun when the last is full.
CREATE TABLE status_list_v1 (
    uri text COLLATE "C" PRIMARY KEY,
    first_entry_at timestamptz NOT NULL
);

-- A list is issued from its own rows, whatever the others hold.
CREATE INDEX document_v1_by_list ON document_v1 (status_list_uri);
