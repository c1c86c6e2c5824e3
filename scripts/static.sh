#!/bin/sh
# Static analysis of src, apps and fuzz: clang-tidy with .clang-tidy (bugprone, cert, clang's analyzer), and gcc -fanalyzer.
# Fails on every finding that scripts/static.txt does not answer, and on every answer that nothing asks for any more.
# Usage: scripts/static.sh [deep] [FILE.c ...]   deep: the analyzer follows every path (ten times as long)
set -eu
cd "$(dirname "$0")/.."
[ -f build/compile_commands.json ] || meson setup build --werror >/dev/null
# The tables that programs write must be there to be read.
ninja -C build src/crypto/blowfish_pi.c src/crypto/dh_groups.c >/dev/null
exec python3 scripts/static.py "$@"
