#!/usr/bin/env bash
# The GPU's benchmark: at most eight minutes, for a machine that is lent for minutes.
#
#   benchmarks/gpu/run.sh [OUT]      PYTHON=python3 JULIA_PROJECT=... MINUTES=8
#
# Installs nothing. A part that cannot run (no numba-cuda, no nvQSP, no Julia, no torch with CUDA) is
# skipped and says why. Each part is a process of its own with a time limit, so that one that
# crashes or hangs takes nothing from the others. Results: OUT/gpu.json and OUT/gpu.md.
set -u
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
out="${1:-$root/benchmarks/results}"
python="${PYTHON:-python3}"
export PYTHONPATH="$root/python:$root/benchmarks${PYTHONPATH:+:$PYTHONPATH}"
until=$(( $(date +%s) + ${MINUTES:-8} * 60 - 10 ))
mkdir -p "$out/gpu_parts"
rm -f "$out"/gpu_parts/*.json

part() { # name, seconds it may take
    local left=$(( until - $(date +%s) ))
    local most=$(( $2 < left ? $2 : left ))
    if [ "$most" -lt 5 ]; then
        echo "$1: no time left"
        return
    fi
    echo "== $1 (at most $most s)"
    timeout --kill-after=5 "$most" "$python" "$here/parts.py" "$1" "$out/gpu_parts/$1.json" "${@:3}" \
        || echo "$1: ended with $?"
}

part machine 30
part correctness 90
part yardstick 100
part permeability 60
part nvqsp 50
part networks 70
if command -v julia > /dev/null; then
    part julia 120
else
    echo "julia: skipped, there is none on this machine"
fi
"$python" "$here/parts.py" report "$out"
