#!/bin/sh
# Builds into build/ (or $1), quietly unless something is wrong.
set -eu
cd "$(dirname "$0")/.."
dir=${1:-build}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ ! -f "$dir/build.ninja" ]; then
    meson setup "$dir" --werror >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
ninja -C "$dir" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
