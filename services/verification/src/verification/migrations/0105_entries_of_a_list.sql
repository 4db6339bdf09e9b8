-- A full list is read a part at a time: no statement may last longer than a second.
CREATE INDEX document_v1_by_entry ON document_v1 (status_list_uri, status_index);
DROP INDEX document_v1_by_list;
