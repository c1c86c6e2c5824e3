#!/usr/bin/python3
"""Post-quantum key exchange with OpenSSH, both ways. Without arguments: with this system's OpenSSH; with a root
directory (see scripts/trixie-root.sh): with the OpenSSH in there, over loopback. Only root can enter it."""
import atexit
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import harness
from harness import *

SNTRUP = "sntrup761x25519-sha512@openssh.com"
CLASSICAL = "curve25519-sha256"
WARNING = b"not using a post-quantum key exchange"
root = None
if len(sys.argv) > 1 and sys.argv[1].startswith("/"):
    root = pathlib.Path(sys.argv.pop(1))
enter = ["chroot", str(root)] if root else []


def their_kex():
    """What their client knows, in no order."""
    return subprocess.run([*enter, "ssh", "-Q", "kex"], check=True, capture_output=True, text=True).stdout.split()


def agreed(result):
    """The method that a client with -v says was agreed on."""
    match = re.search(r"^debug1: kex: algorithm: (\S+)", result.stderr.decode(errors="replace"), re.M)
    return match and match.group(1)


def in_root():
    """A Place that is at the same path within the root and without."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="nacre-test-", dir=root / "tmp"))
    atexit.register(shutil.rmtree, base, True)
    # mkdtemp's name is new: the link cannot be in anybody's way.
    outside = pathlib.Path("/tmp") / base.name
    os.symlink(base, outside)
    atexit.register(os.unlink, outside)
    real = tempfile.mkdtemp
    harness.tempfile.mkdtemp = lambda **_: (outside / "place").mkdir() or str(outside / "place")
    try:
        os.chmod(base, 0o755)
        return Place()
    finally:
        harness.tempfile.mkdtemp = real


def prepare_root():
    """What sshd and ssh want of a root: null and random, the directory for privilege separation, and us."""
    for name in ("null", "urandom", "random", "tty", "zero"):
        if not (root / "dev" / name).exists():
            subprocess.run(["cp", "-a", f"/dev/{name}", str(root / "dev" / name)], check=True)
    (root / "run/sshd").mkdir(parents=True, exist_ok=True)


def their_server(*lines):
    if not root:
        return openssh_server(place, *lines)
    return Server(place, lambda port: [*enter, "/usr/sbin/sshd", "-D", "-e", "-f",
                                       str(sshd_config(place, port, list(lines)))], "sshd")


def their_client(server, *options, **kwargs):
    command = [*enter, "ssh", "-v", "-p", server.port, *client_options(place, server, extra=options)]
    return run([*command, f"{ME}@127.0.0.1", "cat"], stdin=b"x" * 70000, **kwargs)


def our_client(server, *options, args=("-v",), **kwargs):
    """Not by harness.ssh, which silences the warning."""
    command = [NACRE_SSH, *args, "-p", server.port, *client_options(place, server, extra=options)]
    return run([*command, f"{ME}@127.0.0.1", "cat"], stdin=b"x" * 70000, **kwargs)


def setUpModule():
    global place, ours, theirs, known
    if root:
        prepare_root()
    place = in_root() if root else Place()
    known = their_kex()
    everything = ",".join(m for m in known if m.startswith(("mlkem", "sntrup", "curve25519")))
    ours = nacre_server(place, "KexAlgorithms +mlkem768nistp256-sha256,mlkem1024nistp384-sha384")
    theirs = their_server(f"KexAlgorithms +{everything}")


def best():
    """What must come out when both sides go by their own preference."""
    order = ["mlkem768x25519-sha256", "sntrup761x25519-sha512", SNTRUP]
    return next(method for method in order if method in known)


class PostQuantum(unittest.TestCase):
    def methods(self):
        names = [m for m in known if m.startswith(("mlkem", "sntrup"))]
        self.assertIn(SNTRUP, names)
        if root:
            self.assertIn("mlkem768x25519-sha256", names)
        return names

    def check(self, result, method):
        self.assertEqual(result.stdout, b"x" * 70000)
        self.assertEqual(agreed(result), method)

    def test_our_client_by_default(self):
        result = our_client(theirs, check=0)
        self.check(result, best())
        self.assertNotIn(WARNING, result.stderr)
        self.assertIn(b"kex: post-quantum: yes", result.stderr)

    def test_their_client_by_default(self):
        result = their_client(ours, check=0)
        self.check(result, best())
        self.assertNotIn(b"post-quantum", result.stderr)

    def test_our_client_by_name(self):
        for method in self.methods():
            for _ in range(3):
                with self.subTest(method):
                    self.check(our_client(theirs, f"KexAlgorithms={method}", check=0), method)

    def test_their_client_by_name(self):
        for method in self.methods():
            for _ in range(3):
                with self.subTest(method):
                    self.check(their_client(ours, f"KexAlgorithms={method}", check=0), method)

    def test_rekey(self):
        for method in self.methods():
            with self.subTest(method):
                options = [f"KexAlgorithms={method}", "RekeyLimit=16K"]
                self.check(our_client(theirs, *options, check=0), method)
                self.check(their_client(ours, *options, check=0), method)

    def test_ours_with_ours(self):
        for method in ("mlkem768x25519-sha256", "sntrup761x25519-sha512", SNTRUP, "mlkem768nistp256-sha256",
                       "mlkem1024nistp384-sha384"):
            with self.subTest(method):
                self.check(our_client(ours, f"KexAlgorithms={method}", check=0), method)


class Warning_(unittest.TestCase):
    def test_said_and_silenced(self):
        said = our_client(theirs, f"KexAlgorithms={CLASSICAL}", args=(), check=0)
        self.assertEqual(said.stdout, b"x" * 70000)
        self.assertEqual(said.stderr.count(WARNING), 1)
        for options, args in ((["WarnWeakCrypto=yes"], ()), (["RekeyLimit=16K"], ())):
            result = our_client(theirs, f"KexAlgorithms={CLASSICAL}", *options, args=args, check=0)
            self.assertEqual(result.stderr.count(WARNING), 1, options)
        for options, args in ((["WarnWeakCrypto=no"], ()), (["WarnWeakCrypto=no-pq-kex"], ()), ([], ("-q",)),
                              (["LogLevel=QUIET"], ())):
            result = our_client(theirs, f"KexAlgorithms={CLASSICAL}", *options, args=args, check=0)
            self.assertEqual(result.stderr, b"", options)
        self.assertEqual(our_client(theirs, args=(), check=0).stderr, b"")

    def test_value_that_is_none(self):
        result = our_client(theirs, "WarnWeakCrypto=perhaps", check=255)
        self.assertIn(b"warnweakcrypto", result.stderr.lower())


if __name__ == "__main__":
    main()
