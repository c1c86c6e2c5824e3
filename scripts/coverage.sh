#!/bin/sh
# Prints how much of the protocol (src/wire to src/scp and src/publickey) the unit and loop tests and the fuzz targets'
# seeds run, folder by folder, and which lines they do not, each with its reason (scripts/coverage.txt; what has none
# stands last). Fails below 90 % of the lines.
# Usage: scripts/coverage.sh [build directory]   (default: build-coverage; 8 minutes on two idle cores)
set -eu
cd "$(dirname "$0")/.."
./scripts/deps.sh ci
dir=${1:-build-coverage}
# No optimisation: what is inlined or merged would be counted where it does not stand. Atomic: tests with threads
# would make counters negative, and gcovr then refuses the file.
./scripts/build.sh "$dir" -Db_coverage=true -Dc_args=-fprofile-update=atomic -Doptimization=0 -Dbench=false -Dexamples=false -Ddocs=false
find "$dir" -name '*.gcda' -delete
# The seeds of the fuzz targets are tests of suite unit.
meson test -C "$dir" --no-rebuild --print-errorlogs --num-processes 2 --suite unit --suite loop >"$dir/tests.log" || {
    cat "$dir/tests.log" >&2
    exit 1
}
gcovr -j 2 --gcov-ignore-parse-errors --root . --object-directory "$dir" --json "$dir/coverage.json" \
    --filter 'src/(wire|crypto|keys|transport|auth|channel|engine|sftp|scp|publickey)/' "$dir/src" 2>"$dir/gcovr.log" || {
    cat "$dir/gcovr.log" >&2
    exit 1
}
exec python3 scripts/coverage.py "$dir/coverage.json" scripts/coverage.txt
