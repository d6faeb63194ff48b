#!/bin/sh
# What of the public image's entrypoint docker-compose.yml relies on: a database made once, from a password file.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username postgres --pwfile "$POSTGRES_PASSWORD_FILE" --auth-local trust --auth-host scram-sha-256 \
        --encoding UTF8
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    pg_ctl -w start --options "-c listen_addresses=''"
    for each in /docker-entrypoint-initdb.d/*.sh; do
        sh "$each"
    done
    pg_ctl -w -m fast stop
fi
exec "$@" -c "listen_addresses=*"
