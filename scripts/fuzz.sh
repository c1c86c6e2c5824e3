#!/bin/sh
# Fuzzes every target for so many seconds each, by libFuzzer with AddressSanitizer and UBSan, and says how fast each
# went: scripts/fuzz.sh SECONDS [target ...]
# What is found is kept in build-fuzz/findings, what was learnt in build-fuzz/corpus; both are used again.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:?usage: scripts/fuzz.sh SECONDS [target ...]}
shift
dir=$PWD/build-fuzz
if [ ! -f "$dir/build.ninja" ]; then
    CC="${CC:-clang}" CXX="${CXX:-clang++}" ./scripts/build.sh "$dir" -Dfuzz=libfuzzer -Dtests=false -Dexamples=false \
        -Dbench=false -Ddocs=false -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ $# -gt 0 ]; then
    names=$*
    for name in $names; do
        ninja -C "$dir" "fuzz/fuzz_$name" fuzz/recorded.stamp >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    done
else
    ninja -C "$dir" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
    names=$(cut -d' ' -f1 "$dir/fuzz/targets")
fi

# Freed memory is kept from reuse up to this size; the default would make a small target mostly wait for memory.
export ASAN_OPTIONS="quarantine_size_mb=16:${ASAN_OPTIONS:-}"
failed=0
mkdir -p "$dir/findings"
for name in $names; do
    seeds=$(sed -n "s/^$name //p" "$dir/fuzz/targets")
    [ -n "$seeds" ] || { echo "no target $name" >&2; exit 2; }
    mkdir -p "$dir/corpus/$name"
    # shellcheck disable=SC2086
    if "$dir/fuzz/fuzz_$name" -max_total_time="$seconds" -max_len=65536 -timeout=25 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$dir/findings/$name-" "$dir/corpus/$name" $seeds >"$log" 2>&1; then
        verdict=clean
    else
        verdict=FAILED
        failed=1
        tail -40 "$log"
    fi
    printf '%-16s %8s inputs %7s a second  %6s edges  %s\n' "$name" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")" \
        "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)" "$verdict"
done
exit $failed
