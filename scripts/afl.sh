#!/bin/sh
# The same targets by AFL++ (afl-clang-fast, afl-fuzz), with nacre's mutator beside its own: scripts/afl.sh SECONDS TARGET...
# What was learnt and found lies in build-afl/out/TARGET, and is gone on with.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:?usage: scripts/afl.sh SECONDS TARGET...}
shift
dir=$PWD/build-afl
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { "$@" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
if [ ! -f "$dir/build.ninja" ]; then
    CC="${CC:-afl-clang-fast}" quietly meson setup "$dir" -Dfuzz=afl -Dtests=false -Dexamples=false -Dbench=false -Ddocs=false
fi
# shellcheck disable=SC2046
quietly ninja -C "$dir" fuzz/nacre_afl_mutator.so fuzz/recorded.stamp $(printf 'fuzz/fuzz_%s ' "$@")

# It wants a governor, a core pattern and a processor of its own, none of which is ours to set.
export AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 AFL_NO_UI=1 AFL_AUTORESUME=1
failed=0
for name; do
    case $name in
        client_* | server_*) source=fuzz/whole.c ;;
        *) source=fuzz/$name.c ;;
    esac
    # What the input looks like says the target to libFuzzer itself; AFL++'s library is told.
    shape=$(sed -n 's/.*fuzz_input_shape = {FUZZ_\([A-Z]*\), \([0-9]*\)};/\1:\2/p' "$source" | tr '[:upper:]' '[:lower:]')
    unset AFL_CUSTOM_MUTATOR_LIBRARY
    if [ -n "$shape" ]; then
        export AFL_CUSTOM_MUTATOR_LIBRARY="$dir/fuzz/nacre_afl_mutator.so" NACRE_FUZZ_SHAPE="$shape"
    fi
    rm -rf "$dir/in"
    mkdir -p "$dir/in" "$dir/out"
    sed -n "s/^$name //p" "$dir/fuzz/targets" | tr ' ' '\n' | while read -r folder; do
        cp -r "$folder/." "$dir/in"
    done
    quietly afl-fuzz -V "$seconds" -i "$dir/in" -o "$dir/out/$name" -- "$dir/fuzz/fuzz_$name"
    stats=$dir/out/$name/default/fuzzer_stats
    of() { sed -n "s/^$1 *: *//p" "$stats"; }
    printf '%-16s %8s inputs %9s a second  %6s kept  %s crashes  %s hangs\n' "$name" "$(of execs_done)" \
        "$(of execs_per_sec)" "$(of corpus_count)" "$(of saved_crashes)" "$(of saved_hangs)"
    [ "$(of saved_crashes)" = 0 ] || failed=1
done
exit $failed
