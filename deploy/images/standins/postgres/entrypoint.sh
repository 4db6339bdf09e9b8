#!/bin/bash
# Makes the cluster at the first start, then becomes the server, as the upstream image does it:
# POSTGRES_USER, POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_DB, POSTGRES_INITDB_ARGS,
# PGDATA, and what lies in /docker-entrypoint-initdb.d (*.sql, *.sh).
set -Eeuo pipefail

[[ ${1:-} == -* ]] && set -- postgres "$@"
[[ ${1:-} == postgres ]] || exec "$@"

if [[ $(id -u) == 0 ]]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chown -R postgres:postgres "$(dirname "$PGDATA")" "$PGDATA" /var/run/postgresql
    chmod 0700 "$PGDATA"
    exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

run_sql() { psql -v ON_ERROR_STOP=1 --no-psqlrc --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" "$@"; }

initialise() {
    local password=${POSTGRES_PASSWORD:-}
    [[ -n ${POSTGRES_PASSWORD_FILE:-} ]] && password=$(<"$POSTGRES_PASSWORD_FILE")
    if [[ -z $password ]]; then
        echo "PostgreSQL needs POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE" >&2
        exit 1
    fi
    export POSTGRES_USER=${POSTGRES_USER:-postgres}
    export POSTGRES_DB=${POSTGRES_DB:-$POSTGRES_USER}
    # shellcheck disable=SC2086 # several arguments in one variable, as upstream has it
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$password") \
        --auth-local=trust --auth-host=scram-sha-256 ${POSTGRES_INITDB_ARGS:-}
    echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
    echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
    # Over its socket only: nobody from outside sees a server whose databases are not made yet.
    pg_ctl --wait -o "-c listen_addresses=''" start
    if [[ $POSTGRES_DB != postgres ]]; then
        createdb --username "$POSTGRES_USER" --maintenance-db postgres "$POSTGRES_DB"
    fi
    local script
    for script in /docker-entrypoint-initdb.d/*; do
        case $script in
            *.sh) bash "$script" ;;
            *.sql) run_sql -f "$script" ;;
        esac
    done
    pg_ctl --wait --mode=fast stop
}

if [[ ! -s $PGDATA/PG_VERSION ]]; then
    # Half a cluster would be taken for a whole one at the next start.
    trap 'rm -rf "${PGDATA:?}"/*' ERR
    initialise
    trap - ERR
fi
exec "$@"
