#!/bin/sh
# Runs every benchmark in benchmarks/ and keeps the last line it prints, one JSON object, in docs/results/.
set -eu

cd "$(dirname "$0")/.."
mkdir -p docs/results
ran=0
for file in benchmarks/*.py benchmarks/*/__main__.py; do
    name=${file#benchmarks/}
    name=${name%/__main__.py}
    name=${name%.py}
    case $name in
    \** | _*) continue ;;
    esac
    echo "benchmark $name"
    output=$(.venv/bin/python -m "benchmarks.$name" --json)
    printf '%s\n' "$output" | tail -n 1 | .venv/bin/python -m json.tool >"docs/results/$name.json"
    cat "docs/results/$name.json"
    ran=$((ran + 1))
done
echo "$ran benchmarks; their results are in docs/results/"
