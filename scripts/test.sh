#!/bin/sh
# One of the README's two commands: installs what is missing, builds, shows the demo, runs every test.
set -eu
cd "$(dirname "$0")/.."
./scripts/deps.sh test
./scripts/demo.sh
# Two at a time and no more: the interop tests move real data, and would time each other out.
meson test -C build --print-errorlogs --no-rebuild --num-processes 2 "$@"
./scripts/report-tests.sh build
