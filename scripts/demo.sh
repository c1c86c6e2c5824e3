#!/bin/sh
# One of the README's two commands: installs what is missing, builds, starts our server on loopback, runs
# a command and moves files through our client, and shows what was negotiated and how fast.
set -eu
cd "$(dirname "$0")/.."
./scripts/deps.sh demo
# The tests need a little more than the demo does; where that is there, one build serves both.
tests=true
pkg-config --exists cmocka libcjson || tests=false
./scripts/build.sh build -Dtests=$tests
apps=$PWD/build/apps

dir=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

say() { printf '\n== %s\n' "$*"; }

say "keys for the server and for you, in a temporary directory"
ssh-keygen -q -t ed25519 -N '' -C 'demo host key' -f "$dir/host"
ssh-keygen -q -t ed25519 -N '' -C 'demo user key' -f "$dir/user"
cp "$dir/user.pub" "$dir/authorized_keys"
ssh-keygen -l -f "$dir/host.pub"

say "nacre-sshd on a free port of 127.0.0.1"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$dir/sshd_config" <<CONFIG
Port $port
ListenAddress 127.0.0.1
HostKey $dir/host
AuthorizedKeysFile $dir/authorized_keys
StrictModes no
PidFile none
PermitRootLogin yes
Subsystem sftp internal-sftp
CONFIG
"$apps/nacre-sshd" -D -e -f "$dir/sshd_config" 2>"$dir/server.log" &
server=$!
python3 - "$port" <<'PY'
import socket, sys, time
for _ in range(500):
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1) as s:
            sys.exit(0 if s.recv(4) == b"SSH-" else 1)
    except OSError:
        time.sleep(0.02)
sys.exit("the server did not start")
PY
printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d' ' -f1,2 "$dir/host.pub")" >"$dir/known_hosts"

user=$(id -un)
options="-F none -i $dir/user -o UserKnownHostsFile=$dir/known_hosts -o StrictHostKeyChecking=yes -o BatchMode=yes"

say "a command: both streams apart, and its exit status"
status=0
# shellcheck disable=SC2086
"$apps/nacre-ssh" -v -p "$port" $options "$user@127.0.0.1" \
    'echo "out: hello from $(id -un)"; echo "err: and on the other stream" >&2; exit 7' \
    >"$dir/out" 2>"$dir/err" || status=$?
cat "$dir/out"
grep '^err:' "$dir/err"
echo "exit status $status"
[ "$status" = 7 ]

say "what was negotiated"
grep -E 'kex:|negotiated|cipher|host key' "$dir/err" | head -12

say "256 MiB up and down by nacre-sftp, with every AEAD cipher"
data=$dir
[ -w /dev/shm ] && data=$(mktemp -d /dev/shm/nacre-demo.XXXXXX)
trap 'finish; [ "$data" = "$dir" ] || rm -rf "$data"' EXIT
head -c 268435456 /dev/urandom >"$data/original"
sha256sum <"$data/original" >"$dir/wanted"
for cipher in chacha20-poly1305@openssh.com aes128-gcm@openssh.com aes256-gcm@openssh.com; do
    rm -f "$data/up" "$data/down"
    for step in "put $data/original $data/up" "get $data/up $data/down"; do
        printf '%s\n' "$step" >"$dir/batch"
        begin=$(date +%s%N)
        # shellcheck disable=SC2086
        "$apps/nacre-sftp" -b "$dir/batch" -P "$port" $options -o "Ciphers=$cipher" "$user@127.0.0.1" >"$dir/sftp.out"
        end=$(date +%s%N)
        printf '%-32s %s  %5d MB/s (whole process, login included)\n' "$cipher" "${step%% *}" \
            $((268435456 / ((end - begin) / 1000 + 1)))
    done
    sha256sum <"$data/down" | cmp - "$dir/wanted"
done
echo "hashes match: $(cut -c1-64 "$dir/wanted")"

say "done"
