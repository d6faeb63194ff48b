#!/bin/sh
# `make secrets`: secrets/ with one random secret a file, and .env (mode 600), which names it for docker compose.
# Never touches what is there: a database that exists knows its passwords. docs/containers.md says how to change them.
#   sh scripts/secrets.sh [DIRECTORY]   there instead of at the top of the project
set -eu

top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "${1:-$top}"
named=./secrets # as .env has it, from the project's top
[ "$(pwd)" = "$top" ] || named=$(pwd)/secrets

for there in .env secrets; do
    if [ -e "$there" ]; then
        echo "secrets: $(pwd)/$there exists and is kept; move it away to make new ones (docs/containers.md)" >&2
        exit 2
    fi
done

# The directory keeps others out (700). The files in it are readable, so that a container's user can read what is
# mounted into that container; nothing else is.
umask 077
making=$(mktemp -d ./secrets.XXXXXX)
trap 'rm -rf "$making" ".env.$$"' EXIT
trap 'exit 1' INT TERM HUP

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
keep() { # stdin as the file $1
    cat >"$making/$1"
    chmod 0444 "$making/$1"
}

database=$(random 24)
access=$(random 10)
key=$(random 24)
for each in postgres_password mlflow_database_password mlflow_admin_password; do
    random 24 | keep "$each"
done
for each in mlflow_session_key ray_token; do
    random 32 | keep "$each"
done
keep database_password <<END
$database
END
keep database_url <<END
postgresql://rebalance:$database@postgres:5432/rebalance
END
keep s3_identities <<END
{"identities": [{"name": "mlflow", "credentials": [{"accessKey": "$access", "secretKey": "$key"}],
                 "actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}
END
keep s3_credentials <<END
[default]
aws_access_key_id = $access
aws_secret_access_key = $key
END
sed "s|^REBALANCE_SECRETS=.*|REBALANCE_SECRETS=$named|" "$top/.env.example" >".env.$$"
mv "$making" secrets
mv ".env.$$" .env
echo "secrets: $(pwd)/secrets and .env are made; keep a copy where your backups are"
