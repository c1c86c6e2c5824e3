"""What the interop tests share: temporary keys, servers that end with the test, and programs to run.

Servers listen on 127.0.0.1, on a free port, with their own keys and configuration in a temporary
directory. They die with this process, whatever happens to it (PR_SET_PDEATHSIG, and a kill at exit).
Nothing here sleeps for a fixed time: it waits for conditions, up to a deadline.
"""
import atexit
import ctypes
import hashlib
import os
import pathlib
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BUILD = pathlib.Path(os.environ["NACRE_BUILD"])
APPS = BUILD / "apps"
DEADLINE = float(os.environ.get("NACRE_TEST_DEADLINE", "120"))
ME = pwd.getpwuid(os.getuid()).pw_name
ROOT = os.getuid() == 0

KEX = ["curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
       "ecdh-sha2-nistp521", "diffie-hellman-group14-sha256", "diffie-hellman-group16-sha512",
       "diffie-hellman-group18-sha512", "diffie-hellman-group-exchange-sha256"]
HOST_KEYS = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
             "rsa-sha2-256", "rsa-sha2-512"]
AEADS = ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"]
CTRS = ["aes128-ctr", "aes192-ctr", "aes256-ctr"]
MACS = ["hmac-sha2-256", "hmac-sha2-512", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"]
KEY_TYPES = {"ed25519": [], "ecdsa256": ["-t", "ecdsa", "-b", "256"], "ecdsa384": ["-t", "ecdsa", "-b", "384"],
             "ecdsa521": ["-t", "ecdsa", "-b", "521"], "rsa": ["-t", "rsa", "-b", "3072"]}

_libc = ctypes.CDLL(None, use_errno=True)
_running = []


def _die_with_parent():
    os.setsid()
    _libc.prctl(1, signal.SIGKILL)


@atexit.register
def _stop_all():
    for process in _running:
        _stop(process)


def _stop(process):
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def wait_until(condition, what, deadline=DEADLINE):
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline} s for {what}")
        time.sleep(0.01)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def greets(port):
    """True when an SSH server answers on the port."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as s:
            s.settimeout(5)
            return s.recv(4) == b"SSH-"
    except OSError:
        return False


def make_key(path, kind="ed25519", passphrase="", extra=()):
    subprocess.run(["ssh-keygen", "-q", "-N", passphrase, "-C", f"{kind} test key", "-f", str(path),
                    *(KEY_TYPES[kind] or ["-t", kind]), *extra], check=True, stdin=subprocess.DEVNULL)
    return path


def digest(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            h.update(block)
    return h.hexdigest()


def make_file(path, size):
    """size bytes that do not repeat within any transfer unit."""
    with open(path, "wb") as f:
        left, seed = size, 0
        while left > 0:
            block = hashlib.shake_256(seed.to_bytes(8, "big")).digest(min(left, 1 << 16))
            f.write(block)
            left -= len(block)
            seed += 1
    return path


class Place:
    """A temporary directory with host keys, a user key of every type, and an authorized_keys file."""

    def __init__(self):
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="nacre-test-", dir=base))
        atexit.register(shutil.rmtree, self.dir, True)
        os.chmod(self.dir, 0o755)
        self.keys = {kind: make_key(self.dir / f"user_{kind}", kind) for kind in KEY_TYPES}
        self.host_keys = {kind: make_key(self.dir / f"host_{kind}", kind) for kind in KEY_TYPES}
        self.authorized = self.dir / "authorized_keys"
        self.authorized.write_text("".join((self.dir / f"user_{k}.pub").read_text() for k in KEY_TYPES))
        os.chmod(self.authorized, 0o644)
        self.count = 0

    def path(self, name):
        return self.dir / name

    def fresh(self, stem):
        self.count += 1
        return self.dir / f"{stem}.{self.count}"

    def known_hosts(self, port, kinds=KEY_TYPES):
        path = self.fresh("known_hosts")
        lines = []
        for kind in kinds:
            fields = pathlib.Path(f"{self.host_keys[kind]}.pub").read_text().split()
            lines.append(f"[127.0.0.1]:{port} {fields[0]} {fields[1]}\n")
        path.write_text("".join(lines))
        return path


class Server:
    """A server program in the foreground. start() again after stop() takes the same port."""

    def __init__(self, place, make_command, name):
        self.place, self.make_command, self.name = place, make_command, name
        self.log = place.fresh(name + ".log")
        self.port = None
        self.start()

    def start(self):
        for attempt in range(5):
            self.port = free_port()
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(self.make_command(self.port), stdin=subprocess.DEVNULL, stdout=log,
                                                stderr=log, preexec_fn=_die_with_parent, cwd="/")
            _running.append(self.process)
            wait_until(lambda: greets(self.port) or self.process.poll() is not None, self.name)
            if self.process.poll() is None:
                return
        raise AssertionError(f"{self.name} did not start:\n{self.text()}")

    def text(self):
        return self.log.read_text(errors="replace")

    def stop(self):
        _stop(self.process)

    def alive(self):
        return self.process.poll() is None and greets(self.port)


# Debian's bash reads ~/.bashrc under any sshd unless it is a shell inside a shell. What the tester's own file does, and
# how long it takes, belongs in no test.
NO_BASHRC = "SetEnv SHLVL=2"


def sshd_config(place, port, lines, host_kinds=KEY_TYPES):
    config = place.fresh("sshd_config")
    text = [f"Port {port}", "ListenAddress 127.0.0.1", "PidFile none", "UsePAM no", "StrictModes no",
            f"AuthorizedKeysFile {place.authorized}", "PermitRootLogin yes", "MaxStartups 100:30:200",
            "LogLevel VERBOSE", "UseDNS no", NO_BASHRC]
    text += [f"HostKey {place.host_keys[kind]}" for kind in host_kinds]
    # Of several SetEnv the first counts.
    lines = [line.replace("SetEnv", NO_BASHRC, 1) if line.startswith("SetEnv ") else line for line in lines]
    keywords = {line.split()[0].lower() for line in lines}
    text = [line for line in text if line.split()[0].lower() not in keywords] + list(lines)
    config.write_text("\n".join(text) + "\n")
    return config


SFTP_SERVER = "/usr/lib/openssh/sftp-server"


def openssh_version():
    """(9, 2) of OpenSSH_9.2p1"""
    text = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr
    return tuple(int(n) for n in re.search(r"OpenSSH_(\d+)\.(\d+)", text).groups())


# All that tests do wrong comes from one address, and sshd has penalties for that since 9.8.
NO_PENALTIES = ["PerSourcePenalties no"] if openssh_version() >= (9, 8) else []


def openssh_server(place, *lines, sftp=SFTP_SERVER, **kwargs):
    os.makedirs("/run/sshd", exist_ok=True) if ROOT else None
    all_lines = [f"Subsystem sftp {sftp}", *NO_PENALTIES, *lines]
    return Server(place, lambda port: ["/usr/sbin/sshd", "-D", "-e", "-f",
                                       str(sshd_config(place, port, all_lines, **kwargs))], "sshd")


def nacre_server(place, *lines, **kwargs):
    all_lines = ["Subsystem sftp internal-sftp", *lines]
    if not any(line.lower().startswith("persourcepenalties") for line in lines):
        all_lines.insert(0, "PerSourcePenalties no")  # all that tests do wrong comes from one address
    return Server(place, lambda port: [str(APPS / "nacre-sshd"), "-D", "-e", "-f",
                                       str(sshd_config(place, port, all_lines, **kwargs))], "nacre-sshd")


def run(command, stdin=b"", timeout=DEADLINE, env=None, check=None):
    """Runs a program to its end. check: the exit status that is expected, with output on a mismatch."""
    environment = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY")}
    environment.update(env or {})
    result = subprocess.run([str(c) for c in command], input=stdin, capture_output=True, timeout=timeout,
                            env=environment, start_new_session=True)
    if check is not None and result.returncode != check:
        raise AssertionError(f"{' '.join(str(c) for c in command)}\nexit {result.returncode} instead of {check}\n"
                             f"stdout: {result.stdout[-2000:]!r}\nstderr: {result.stderr[-4000:].decode(errors='replace')}")
    return result


def run_on_files(place, command, stdin=b"", env=None, check=None):
    """run(), with files in place of pipes: dbclient with a pipe for its output sometimes never ends, whatever
    the server."""
    source, out, err = (place.fresh(name) for name in ("in", "out", "err"))
    source.write_bytes(stdin)
    with open(source, "rb") as i, open(out, "wb") as o, open(err, "wb") as e:
        status = subprocess.run([str(c) for c in command], stdin=i, stdout=o, stderr=e, timeout=DEADLINE,
                                env={**os.environ, **(env or {})}, start_new_session=True).returncode
    result = subprocess.CompletedProcess(command, status, out.read_bytes(), err.read_bytes())
    if check is not None and status != check:
        raise AssertionError(f"{command}\nexit {status} instead of {check}\n{result.stderr[-4000:]!r}")
    return result


def client_options(place, server, key="ed25519", known=None, extra=()):
    options = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
               "-o", f"UserKnownHostsFile={known or place.known_hosts(server.port)}",
               "-o", "GlobalKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes"]
    options += ["-i", str(place.keys[key])] if key else []
    for option in extra:
        options += ["-o", option]
    return options


def with_defaults(program, options):
    """Ours warns of exchanges that are not post-quantum, which tests of other things do not want to see. OpenSSH's own
    default takes 90 ms of processor time a login where Debian builds it; test_pq.py is where it is tried."""
    if program in (NACRE_SSH, NACRE_SFTP):
        return [*options, "WarnWeakCrypto=no"]
    named = any(option.lower().startswith("kexalgorithms") for option in options)
    return options if named else [*options, "KexAlgorithms=curve25519-sha256"]


def ssh(program, place, server, *command, user=ME, key="ed25519", known=None, options=(), args=(), **kwargs):
    options = client_options(place, server, key, known, with_defaults(program, options))
    return run([program, "-p", server.port, *options, *args, f"{user}@127.0.0.1", *command], **kwargs)


def sftp(program, place, server, batch, user=ME, key="ed25519", options=(), args=(), **kwargs):
    script = place.fresh("batch")
    script.write_text("\n".join(batch) + "\n")
    options = client_options(place, server, key, None, with_defaults(program, options))
    return run([program, "-b", script, "-P", server.port, *options, *args,
                f"{user}@127.0.0.1"], **kwargs)


NACRE_SSH = APPS / "nacre-ssh"
NACRE_SFTP = APPS / "nacre-sftp"


def lent(place, program):
    """A program where every user can run it: the build folder may be closed to others."""
    copy = place.path("lent")
    copy.mkdir(exist_ok=True)
    os.chmod(copy, 0o755)
    for source in [pathlib.Path(program), *(BUILD / "src").glob("libnacre.so*")]:
        if source.is_file():
            shutil.copy(source, copy)
    return copy / pathlib.Path(program).name


class CuttingProxy:
    """Carries one connection to a port, and ends it after so many bytes of one direction."""

    def __init__(self, port, limit, upwards=True):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.cut = False
        self.thread = threading.Thread(target=self._carry, args=(port, limit, upwards), daemon=True)
        self.thread.start()

    def _carry(self, port, limit, upwards):
        with self.listener, self.listener.accept()[0] as client, socket.create_connection(("127.0.0.1", port)) as server:
            ends = {client: server, server: client}
            while True:
                for end in select.select(list(ends), [], [])[0]:
                    try:
                        data = end.recv(65536)
                        if upwards == (end is client):
                            data, limit = data[:limit], limit - len(data)
                            self.cut = limit <= 0
                        ends[end].sendall(data)
                    except OSError:
                        return
                    if not data or self.cut:
                        return


class TestUser:
    """A system user with a password, for the time of a test. Only root can make one."""

    password = "Nacre-test-7341"

    def __init__(self):
        self.name = f"nacretest{os.getpid()}"
        crypted = subprocess.run(["openssl", "passwd", "-6", self.password], check=True, capture_output=True,
                                 text=True).stdout.strip()
        subprocess.run(["useradd", "-m", "-s", "/bin/sh", "-p", crypted, self.name], check=True)
        atexit.register(self.remove)

    def remove(self):
        subprocess.run(["pkill", "-KILL", "-u", self.name], check=False)
        subprocess.run(["userdel", "-r", self.name], check=False, stderr=subprocess.DEVNULL)


def askpass(place, answer):
    """Environment that makes ssh programs ask a script that prints answer."""
    script = place.fresh("askpass")
    script.write_text(f"#!/bin/sh\necho '{answer}'\n")
    os.chmod(script, 0o755)
    return {"SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":none"}


class EveryAlgorithm:
    """For a TestCase whose module has place and server, and that names the program to run."""

    program = None

    def module(self):
        return sys.modules[type(self).__module__]

    def check(self, *options):
        with self.subTest(options):
            m = self.module()
            result = ssh(self.program, m.place, m.server, "cat; echo done >&2", options=options,
                         stdin=b"x" * 70000, check=0)
            self.assertEqual(result.stdout, b"x" * 70000)
            self.assertEqual(result.stderr, b"done\n")

    def test_every_kex(self):
        for kex in KEX:
            self.check(f"KexAlgorithms={kex}")

    def test_every_host_key(self):
        for name in HOST_KEYS:
            self.check(f"HostKeyAlgorithms={name}")

    def test_every_aead(self):
        for cipher in AEADS:
            self.check(f"Ciphers={cipher}")

    def test_every_cipher_with_every_mac(self):
        for cipher in CTRS:
            for mac in MACS:
                self.check(f"Ciphers={cipher}", f"MACs={mac}")

    def test_compression(self):
        for cipher in (AEADS[0], CTRS[0]):
            self.check("Compression=yes", f"Ciphers={cipher}")


def main():
    unittest.main(verbosity=2)
