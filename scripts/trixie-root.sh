#!/bin/sh
# Makes a root directory with Debian 13's own OpenSSH 10 in it, once, for the tests that want that peer.
# Prints where it is. Needs root, debootstrap, and the mirror that apt uses here.
# Usage: scripts/trixie-root.sh [directory]   (default: $NACRE_TRIXIE_ROOT, else build/trixie)
set -eu
cd "$(dirname "$0")/.."

root=${1:-${NACRE_TRIXIE_ROOT:-build/trixie}}
case $root in
/*) ;;
*) root=$PWD/$root ;;
esac
packages=openssh-client,openssh-server,openssh-sftp-server

# A root that was finished carries a mark; one that was interrupted is made anew.
if [ -e "$root/.nacre-finished" ]; then
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
touch "$root.new/.nacre-finished"
rm -rf "$root"
mv "$root.new" "$root"
rm -f "$root.log"
echo "$root"
