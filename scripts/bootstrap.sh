#!/bin/sh
# Makes .venv and installs the project into it with the exact versions of constraints.txt.
# Does nothing when that was already done for these files. An interrupted run is simply run again.
#   PYTHON=/path/to/python3.11 sh scripts/bootstrap.sh
set -eu

cd "$(dirname "$0")/.."
root=$(pwd)
venv=.venv
python=$venv/bin/python
stamp=$venv/.bootstrapped
log=$venv/bootstrap.log
started=$(date +%s)

say() { echo "bootstrap: $*"; }
fail() {
    echo "bootstrap: $*" >&2
    exit 1
}

new_enough() { # is interpreter $1 there, does it run, is it >= 3.11?
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() { # prints the interpreter to use, or nothing
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

fingerprint() { # what an installation depends on, as text
    echo "$root"
    cksum pyproject.toml constraints.txt scripts/bootstrap.sh
}

pinned() { # the version of package $1 in constraints.txt
    sed -n "s/^$1==//p" constraints.txt
}

unreachable() { # does the log end as it does when there is no way to the package index?
    grep -qE 'NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|NameResolution|SSLError|MaxRetryError|Connection(Reset|Refused)|from versions: none' "$log"
}

explain() { # one line for a failed step $1
    if unreachable; then
        fail "no network: pip cannot reach its package index ($1). Check the connection, the proxy and pip's configuration, then run the same command again."
    fi
    fail "$1 failed: $(grep -E '^ *(ERROR|error):' "$log" | tail -n 1 | cut -c 1-300) (whole log: $log)"
}

child=
interrupted() {
    [ -z "$child" ] || kill "$child" 2>/dev/null || true
    fail "interrupted; the same command takes it up again"
}
trap interrupted INT TERM HUP

pip_step() { # $1: what is shown; the rest: arguments for pip. A line every 15 seconds while it lasts.
    title=$1
    shift
    say "$title"
    # Without a stdin pip can ask nothing; one child at a time so that Ctrl-C finds it.
    "$python" -m pip --disable-pip-version-check --no-input "$@" </dev/null >"$log" 2>&1 &
    child=$!
    waited=0
    while kill -0 "$child" 2>/dev/null; do
        sleep 1
        waited=$((waited + 1))
        if [ $((waited % 15)) -eq 0 ]; then
            say "  … ${waited} s, $(du -sm "$venv" | cut -f 1) MB in $venv"
        fi
    done
    status=0
    wait "$child" || status=$?
    child=
    [ "$status" -eq 0 ] || explain "$title"
}

make_venv() {
    chosen=$(find_python)
    if [ -z "$chosen" ]; then
        here=$("${PYTHON:-python3}" --version 2>/dev/null || echo nothing)
        fail "Python 3.11 or newer is needed (tried: ${PYTHON:-python3.11, python3.12, python3.13, python3}; found: $here). Install one, or name it: PYTHON=/path/to/python3.11"
    fi
    if ! "$chosen" -c 'import venv, ensurepip' >/dev/null 2>&1; then
        version=$("$chosen" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        fail "$chosen has no venv module. Install it (Debian and Ubuntu: apt install $version-venv), or name another interpreter: PYTHON=/path/to/python3.11"
    fi
    say "virtual environment $venv from $("$chosen" --version)"
    "$chosen" -m venv --clear "$venv" || fail "$chosen -m venv failed (disk full, or no right to write into $root?)"
}

usable_venv() { # here, whole, new enough, and not moved or copied from another directory
    new_enough "$python" && "$python" -m pip --version >/dev/null 2>&1 || return 1
    [ ! -f "$venv/.root" ] || [ "$(cat "$venv/.root")" = "$root" ] || return 1
    # pip writes a package's RECORD last: one without it was cut short, yet pip would call it installed.
    "$python" -c 'import importlib.metadata as m, sys; sys.exit(any(d.files is None for d in m.distributions()))'
}

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] && new_enough "$python"; then
    exit 0
fi
rm -f "$stamp"
usable_venv || make_venv
echo "$root" >"$venv/.root"

probe=$venv/.probe
pip_step "looking for the package index" \
    download --quiet --no-deps --no-cache-dir --retries 1 --timeout 20 -d "$probe" "iniconfig==$(pinned iniconfig)"
rm -rf "$probe"
pip_step "1/3 torch $(pinned torch) (the largest download)" \
    install -c constraints.txt "torch==$(pinned torch)" "setuptools==$(pinned setuptools)"
# Built in isolation, where there is no torch: onedl-mmcv compiles its operators if it sees one (over 6 minutes).
pip_step "2/3 the project and everything else it needs (about 130 packages)" \
    install -c constraints.txt -e '.[service,train,s3,onnx,dev]'

say "3/3 trying the imports"
if ! "$python" -c 'import cv2' >"$log" 2>&1; then
    # opencv-python's wheel wants libGL and X libraries that servers and containers often lack. Only one of the
    # two distributions may be there, for both own the package cv2.
    pip_step "  the desktop libraries of OpenCV are missing here: its headless build instead" \
        uninstall --yes opencv-python opencv-python-headless
    pip_step "  opencv-python-headless $(pinned opencv-python-headless)" \
        install --no-deps "opencv-python-headless==$(pinned opencv-python-headless)"
fi
"$python" -c 'import cv2, fastapi, mlflow, mmseg, ray, torch' >"$log" 2>&1 ||
    fail "the installation does not import: $(tail -n 1 "$log") (whole log: $log)"

fingerprint >"$stamp"
say "ready after $(($(date +%s) - started)) s"
