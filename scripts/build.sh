#!/bin/sh
# Builds, quietly unless something is wrong: scripts/build.sh [directory] [meson options ...]
set -eu
cd "$(dirname "$0")/.."
dir=${1:-build}
[ $# -eq 0 ] || shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
if [ ! -f "$dir/build.ninja" ]; then
    quietly meson setup "$dir" --werror "$@"
elif [ $# -gt 0 ]; then
    quietly meson configure "$dir" "$@"
fi
quietly ninja -C "$dir"
