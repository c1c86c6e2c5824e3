#!/bin/sh
# Installs what is missing to build, test and demonstrate nacre on Debian 12 or 13; silent when all is
# there. Usage: scripts/deps.sh [build|demo|test|ci]   (default: test; each set includes the one before)
set -eu

set_wanted=${1:-test}

build_packages="gcc libc6-dev meson ninja-build pkg-config python3 libssl-dev libsodium-dev zlib1g-dev libcrypt-dev libedit-dev"
demo_packages="openssh-client"
# The tests talk to real peers: OpenSSH, dropbear, paramiko, PuTTY, and everybody's file clients.
test_packages="g++ libcmocka-dev libcjson-dev openssh-server openssh-sftp-server dropbear-bin python3-paramiko putty-tools openssl passwd procps binutils valgrind"
test_packages="$test_packages python3-asyncssh curl lftp rclone sshfs fuse3 less xauth"
# One that takes the terminal over; any vi will do.
command -v vi >/dev/null || test_packages="$test_packages vim-tiny"
ci_packages="clang clang-format clang-tidy lld debootstrap gcovr"

case $set_wanted in
build) packages=$build_packages ;;
demo) packages="$build_packages $demo_packages" ;;
test) packages="$build_packages $demo_packages $test_packages" ;;
ci) packages="$build_packages $demo_packages $test_packages $ci_packages" ;;
*)
    echo "usage: $0 [build|demo|test|ci]" >&2
    exit 2
    ;;
esac

missing=
for package in $packages; do
    # ${db:Status-Abbrev} is "ii " for a package that is installed and configured.
    case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true) in
    ii*) ;;
    *) missing="$missing $package" ;;
    esac
done
# clang's sanitizer runtime is a package of its own, named after clang's version.
if [ "$set_wanted" = ci ] && [ -z "$missing" ]; then
    version=$(clang -dumpversion | cut -d. -f1)
    dpkg-query -W "libclang-rt-$version-dev" >/dev/null 2>&1 || missing=" libclang-rt-$version-dev"
fi
[ -n "$missing" ] || exit 0

echo "installing:$missing"
run=
[ "$(id -u)" = 0 ] || run=sudo
export DEBIAN_FRONTEND=noninteractive
$run apt-get update -qq
# sshd is only ever started by tests, on loopback, with its own configuration: keep the packaged service
# from starting.
if [ ! -e /usr/sbin/policy-rc.d ] && [ -w /usr/sbin ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
    chmod 755 /usr/sbin/policy-rc.d
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
# shellcheck disable=SC2086
$run apt-get install -y -qq --no-install-recommends $missing >/dev/null
if [ "$set_wanted" = ci ]; then
    version=$(clang -dumpversion | cut -d. -f1)
    dpkg-query -W "libclang-rt-$version-dev" >/dev/null 2>&1 ||
        $run apt-get install -y -qq --no-install-recommends "libclang-rt-$version-dev" >/dev/null
fi
