#!/bin/sh
# ThreadSanitizer over all that uses threads: many connections with a thread for each end, calls that are cancelled and
# servers that are stopped from other threads, the threads that ask for names, descriptors that threads of the application read.
# Nothing of this project is suppressed. Usage: scripts/tsan.sh [build folder, default build-tsan]
set -eu
cd "$(dirname "$0")/.."
dir=${1:-build-tsan}
tests="loop_threads client client_stream client_mux client_mux_listen client_trust sftp_file io_net server_session"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
[ -f "$dir/build.ninja" ] || quietly env CC="${CC:-clang}" meson setup "$dir" --werror -Db_sanitize=thread \
    -Db_lundef=false -Doptimization=1 -Ddocs=false -Dexamples=false -Dbench=false
programs=
for test in $tests; do
    case $test in loop_*) folder=loop ;; *) folder=unit ;; esac
    programs="$programs tests/$folder/test_$test"
done
# shellcheck disable=SC2086
quietly ninja -C "$dir" $programs
# Kernels that scatter addresses over 32 bits put them where clang 14's runtime wants none.
still=
setarch -R true 2>/dev/null && still="setarch -R"
# shellcheck disable=SC2086
TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1" $still meson test -C "$dir" --no-rebuild --print-errorlogs $tests
./scripts/report-tests.sh "$dir"
