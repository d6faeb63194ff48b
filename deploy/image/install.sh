#!/bin/sh
# What the Dockerfiles share: steps towards the environment /opt/venv, run beside constraints.txt.
#   install.sh torch       torch alone, before the rest: it is the largest; TORCH_INDEX says which build; empty: pip's own index
#   install.sh libraries   what requirements.txt asks for
#   install.sh code DIR    the project itself, from DIR
#   install.sh licences    what is installed under which licence, below /usr/share/licenses
set -eu

here=$(dirname "$0")
venv=/opt/venv

# A machine whose network has a certificate authority of its own hands it in as the build secret `ca`.
if [ -s /run/secrets/ca.crt ]; then
    PIP_CERT=/run/secrets/ca.crt
    export PIP_CERT
fi

pip() { "$venv/bin/python" -m pip --no-cache-dir --disable-pip-version-check --no-input "$@"; }
pinned() { sed -n "s/^$1==//p" constraints.txt; }

environment() {
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    pip install --quiet -c constraints.txt setuptools
}

case $1 in
torch)
    environment
    pip install --quiet -c constraints.txt ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} "torch==$(pinned torch)"
    ;;
libraries)
    environment
    pip install --quiet -c constraints.txt -r requirements.txt
    # Servers have no desktop libraries, which opencv-python's wheel wants. Only one of the two may be there.
    if [ -d "$venv/lib/python3.11/site-packages/cv2" ]; then
        pip uninstall --quiet --yes opencv-python
        pip install --quiet --no-deps "opencv-python-headless==$(pinned opencv-python-headless)"
    fi
    ;;
code)
    pip install --quiet --no-deps --no-build-isolation "$2"
    ;;
licences)
    mkdir -p /usr/share/licenses/region-rebalance
    cp LICENSE /usr/share/licenses/region-rebalance/
    "$venv/bin/python" "$here/licences.py" >/usr/share/licenses/region-rebalance/packages.tsv
    ;;
*)
    echo "install.sh: $1 is no step; allowed: torch, libraries, code, licences" >&2
    exit 2
    ;;
esac
