#!/bin/sh
# Makes a root directory of Debian 13, once: its OpenSSH 10 is the peer of some tests, and its compiler and
# libraries build nacre for others (scripts/trixie-crypto-tests.sh).
# Prints where it is. Needs root, debootstrap, and the mirror that apt uses here.
# Usage: scripts/trixie-root.sh [directory]   (default: $NACRE_TRIXIE_ROOT, else build/trixie)
set -eu
cd "$(dirname "$0")/.."

root=${1:-${NACRE_TRIXIE_ROOT:-build/trixie}}
case $root in
/*) ;;
*) root=$PWD/$root ;;
esac
peer=openssh-client,openssh-server,openssh-sftp-server
compiler=gcc,libc6-dev,meson,ninja-build,pkg-config,python3
libraries=libssl-dev,libsodium-dev,zlib1g-dev,libcrypt-dev,libedit-dev,libcmocka-dev,libcjson-dev,libntruprime-dev
packages=$peer,$compiler,$libraries

# A root that was finished carries a mark; one that was interrupted is made anew, and so is one with other
# packages: the mark holds their list.
if [ "$(cat "$root/.nacre-finished" 2>/dev/null)" = "$packages" ]; then
    echo "$root"
    exit 0
fi
[ "$(id -u)" = 0 ] || {
    echo "$0: only root can make a root directory" >&2
    exit 1
}
command -v debootstrap >/dev/null || {
    echo "$0: debootstrap is missing (it is in scripts/deps.sh ci)" >&2
    exit 1
}

# What somebody mounted in there is not ours to delete.
if grep -q " $root/" /proc/self/mounts; then
    echo "$0: something is mounted below $root: unmount it first" >&2
    exit 1
fi

# The archive that this system's base packages come from, whatever mirror that is.
# shellcheck disable=SC2016
mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL) $(COMPONENT)' 'Created-By: Packages' |
    awk '$2 == "Debian" && $3 == "Debian" && $4 == "main" { print $1; exit }')
[ -n "$mirror" ] || {
    echo "$0: apt names no mirror of Debian" >&2
    exit 1
}

mkdir -p "$(dirname "$root")"
rm -rf "$root.new"
# What it says matters only when it fails.
if ! debootstrap --variant=minbase --include="$packages" trixie "$root.new" "$mirror" >"$root.log" 2>&1; then
    tail -n 30 "$root.log" >&2
    exit 1
fi
rm -rf "$root.new/var/cache/apt/archives" "$root.new/var/lib/apt/lists"
echo "$packages" >"$root.new/.nacre-finished"
rm -rf --one-file-system "$root"
mv "$root.new" "$root"
rm -f "$root.log"
echo "$root"
