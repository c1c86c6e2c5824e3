#!/bin/sh
# Fuzzes every target for so many seconds each, by libFuzzer with AddressSanitizer and UBSan, and says how fast each
# went, by the clock and by processor time: scripts/fuzz.sh [-j AT-A-TIME] SECONDS [target ...]
# What is found is kept in build-fuzz/findings, what was learnt in build-fuzz/corpus; both are used again.
set -eu
cd "$(dirname "$0")/.."
at_a_time=1
if [ "${1:-}" = -j ]; then
    at_a_time=$2
    shift 2
fi
seconds=${1:?usage: scripts/fuzz.sh [-j AT-A-TIME] SECONDS [target ...]}
shift
dir=$PWD/build-fuzz
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
quietly() { "$@" >"$logs/build" 2>&1 || { cat "$logs/build" >&2; exit 1; }; }
if [ ! -f "$dir/build.ninja" ]; then
    CC="${CC:-clang}" CXX="${CXX:-clang++}" quietly meson setup "$dir" --werror -Dfuzz=libfuzzer -Dtests=false \
        -Dexamples=false -Dbench=false -Ddocs=false -Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1
fi
quietly ninja -C "$dir" build.ninja # what the targets are is written when it is configured
names=${*:-$(cut -d' ' -f1 "$dir/fuzz/targets")}
for name in $names; do
    grep -q "^$name " "$dir/fuzz/targets" || { echo "no target $name" >&2; exit 2; }
done
# shellcheck disable=SC2046,SC2086
quietly ninja -C "$dir" $(printf 'fuzz/fuzz_%s ' $names) fuzz/recorded.stamp

# Freed memory is kept from reuse up to this size; the default would make a small target mostly wait for memory.
export ASAN_OPTIONS="quarantine_size_mb=16:${ASAN_OPTIONS:-}"
mkdir -p "$dir/findings"

# One target: a line about it, and its last words when it failed.
fuzz() {
    log=$logs/$1
    seeds=$(sed -n "s/^$1 //p" "$dir/fuzz/targets")
    mkdir -p "$dir/corpus/$1"
    verdict=clean
    times >"$log.before"
    # Without -entropic=0 targets of thousands of edges spend most of their time on statistics.
    # shellcheck disable=SC2086
    "$dir/fuzz/fuzz_$1" -entropic=0 -max_total_time="$seconds" -max_len=65536 -timeout=25 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$dir/findings/$1-" "$dir/corpus/$1" $seeds >"$log" 2>&1 ||
        verdict=FAILED
    times >"$log.after"
    if [ $verdict = FAILED ]; then
        tail -40 "$log"
        touch "$logs/.failed"
    fi
    count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%-16s %8s inputs %7s a second %7s of processor time %6s edges  %s\n' "$1" "$count" \
        "$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")" \
        "$(sed 's/[ms]/ /g' "$log.before" "$log.after" | awk -v n="${count:-0}" '
            NR % 2 == 0 { used = $1 * 60 + $2 + $3 * 60 + $4 - used } # of the children, before it and behind it
            END { printf "%d", n / (used + 0.01) }')" \
        "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)" "$verdict"
}

# So many loops take the targets in turn.
loop=0
while [ $loop -lt "$at_a_time" ]; do
    (
        i=0
        for name in $names; do
            [ $((i % at_a_time)) -ne $loop ] || fuzz "$name"
            i=$((i + 1))
        done
    ) &
    loop=$((loop + 1))
done
wait
[ ! -e "$logs/.failed" ]
