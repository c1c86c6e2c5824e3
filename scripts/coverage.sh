#!/bin/sh
# Prints how much of the protocol (src/wire to src/scp and src/publickey) the unit, loop and fuzz tests run, folder by
# folder, and which lines they do not, each with its reason. Fails below 90 % of the lines.
# Usage: scripts/coverage.sh [build directory]   (default: build-coverage)
set -eu
cd "$(dirname "$0")/.."
./scripts/deps.sh ci
dir=${1:-build-coverage}
./scripts/build.sh "$dir" -Db_coverage=true -Doptimization=1
find "$dir" -name '*.gcda' -delete
meson test -C "$dir" --no-rebuild --print-errorlogs --suite unit --suite loop >"$dir/tests.log" || {
    cat "$dir/tests.log" >&2
    exit 1
}
gcovr --root . --object-directory "$dir" --exclude-unreachable-branches --json "$dir/coverage.json" \
    --filter 'src/(wire|crypto|keys|transport|auth|channel|engine|sftp|scp|publickey)/' "$dir" 2>"$dir/gcovr.log" || {
    cat "$dir/gcovr.log" >&2
    exit 1
}
exec python3 scripts/coverage.py "$dir/coverage.json"
