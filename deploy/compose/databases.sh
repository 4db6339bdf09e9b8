#!/bin/bash
# Five databases and five owners; nobody connects to another's. Runs once, as a new cluster is made.
set -eu

for file in /run/secrets/databases/epassport_*; do
    psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
        -v name="$(basename "$file")" -v password="$(cat "$file")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
-- The oldest transaction of the whole cluster holds back every reader: each service watches it.
GRANT pg_read_all_stats TO :"name";
SQL
done
