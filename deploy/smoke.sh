#!/bin/sh
# The smoke test of a deployment, whichever way it was made: deploy/smoke.sh URL [TOKEN] [--gpus N]; --help says all.
# Needs sh and python3 (3.9 or newer) with its standard library: the project itself need not be installed here.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null 2>&1; then
    echo "smoke: $python: not found; allowed: Python 3.9 or newer, as python3 or by PYTHON=…" >&2
    exit 2
fi
exec env PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 "$python" -m smoke "$@"
