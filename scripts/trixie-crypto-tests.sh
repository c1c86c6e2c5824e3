#!/bin/sh
# Builds nacre inside a root of Debian 13 and runs its post-quantum tests there: libcrypto has an ML-KEM of
# its own since 3.5 and libntruprime is packaged, so both are held against ours; and that gcc is newer.
# Needs root. Usage: scripts/trixie-crypto-tests.sh ROOT   (ROOT: what scripts/trixie-root.sh printed)
set -eu
cd "$(dirname "$0")/.."

[ $# = 1 ] || {
    echo "usage: $0 ROOT" >&2
    exit 2
}
root=$1
[ -e "$root/.nacre-finished" ] || {
    echo "$0: $root is no finished root: scripts/trixie-root.sh makes one" >&2
    exit 1
}
tests="crypto_mlkem crypto_sntrup761 crypto_hybrid"

# The files as they are now, without what git ignores. Nothing is mounted: the build reads no /proc, and the root has
# device nodes of its own.
rm -rf "$root/src-nacre"
mkdir "$root/src-nacre"
git ls-files -z --cached --others --exclude-standard | tar -c --null -T - | tar -x --no-same-owner -C "$root/src-nacre"

inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"; }
# quietly COMMAND...: what it says matters only when it fails.
quietly() {
    if ! "$@" >"$root/src-nacre.log" 2>&1; then
        cat "$root/src-nacre.log" >&2
        exit 1
    fi
}

quietly inside meson setup --werror -Dexamples=false -Dbench=false -Ddocs=false /src-nacre/build /src-nacre
programs=
for name in $tests; do
    programs="$programs tests/unit/test_$name"
done
# The library and the programs are there for their warnings only.
# shellcheck disable=SC2086
quietly inside ninja -C /src-nacre/build src/libnacre.a \
    apps/nacre-ssh apps/nacre-sshd apps/nacre-sftp apps/nacre-sftp-server $programs

for name in $tests; do
    quietly inside NACRE_TEST_DATA=/src-nacre/tests/data "/src-nacre/build/tests/unit/test_$name"
    # A test that passed without the second implementation proves nothing here.
    case $name in
    crypto_mlkem) proof='^providers: 2$' ;;
    crypto_sntrup761) proof='OK \] second_opinion$' ;;
    *) proof='PASSED' ;;
    esac
    grep -q "$proof" "$root/src-nacre.log" || {
        cat "$root/src-nacre.log" >&2
        echo "$0: test_$name did not say: $proof" >&2
        exit 1
    }
    echo "test_$name: $(grep -c 'OK \]' "$root/src-nacre.log") passed"
done
rm -rf "$root/src-nacre" "$root/src-nacre.log"
