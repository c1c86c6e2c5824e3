#!/usr/bin/python3
"""nacre-sshd as it is set up: run by an ordinary user, with a moduli file, closed to root."""
import os
import pathlib
import shutil
import subprocess
import unittest

from harness import *

MODULI = pathlib.Path("/etc/ssh/moduli")
GEX = "diffie-hellman-group-exchange-sha256"


def setUpModule():
    global place
    place = Place()


@unittest.skipUnless(ROOT, "an ordinary user can only be made, and become, by root")
class RunByAnOrdinaryUser(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = TestUser()
        cls.addClassCleanup(cls.user.remove)
        keys = place.fresh("user")
        keys.mkdir()
        lines = ["Subsystem sftp internal-sftp", "PerSourcePenalties no"]
        for key in place.host_keys.values():
            lines.append(f"HostKey {shutil.copy(key, keys)}")
        for path in (keys, *keys.iterdir()):
            shutil.chown(path, cls.user.name, cls.user.name)
        become = ["setpriv", f"--reuid={cls.user.name}", f"--regid={cls.user.name}", "--init-groups"]
        cls.server = Server(place, lambda port: [*become, str(APPS / "nacre-sshd"), "-D", "-e", "-f",
                                                 str(sshd_config(place, port, lines))], "nacre-sshd")
        cls.addClassCleanup(cls.server.stop)

    def ssh(self, *command, **kwargs):
        return ssh("ssh", place, self.server, *command, **{"user": self.user.name, **kwargs})

    def test_the_session_is_the_users(self):
        result = self.ssh("id -un; pwd; echo $HOME; exit 4", check=4)
        self.assertEqual(result.stdout.decode().split(),
                         [self.user.name, f"/home/{self.user.name}", f"/home/{self.user.name}"])

    def test_one_process_serves_everybody(self):
        base = ["ssh", "-p", str(self.server.port), *client_options(place, self.server), f"{self.user.name}@127.0.0.1"]
        sessions = [subprocess.Popen([*base, "echo $PPID; cat; exit 3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                    for _ in range(6)]
        try:
            # All have said who serves them before any may end, so all are served at once.
            for s in sessions:
                self.assertEqual(s.stdout.readline(), b"%d\n" % self.server.process.pid)
            for i, s in enumerate(sessions):
                self.assertEqual((s.communicate(b"text %d" % i, timeout=DEADLINE)[0], s.returncode),
                                 (b"text %d" % i, 3))
        finally:
            for s in sessions:
                s.kill()
                s.communicate()
        self.assertTrue(self.server.alive())

    def test_others_are_refused(self):
        for name in ("root", "nobody", "no-such-user-here"):
            with self.subTest(name):
                result = self.ssh("echo never", user=name, check=255)
                self.assertEqual(result.stdout, b"")
                self.assertIn(b"Permission denied", result.stderr)
        self.ssh("true", check=0)

    def test_sftp(self):
        big = make_file(place.fresh("big"), 4 << 20)
        home, down = pathlib.Path("/home", self.user.name), place.fresh("down")
        sftp("sftp", place, self.server, [f"put {big} up", f"get up {down}"], user=self.user.name, check=0)
        self.assertEqual((digest(home / "up"), digest(down)), (digest(big), digest(big)))
        self.assertEqual((home / "up").owner(), self.user.name)
        denied = sftp("sftp", place, self.server, [f"put {big} /etc/nacre-test-never"], user=self.user.name)
        self.assertNotEqual(denied.returncode, 0)
        self.assertIn(b"Permission denied", denied.stderr)

    def test_the_pty_is_the_users(self):
        result = self.ssh("stat -c '%U %a' $(tty)", args=["-tt"], check=0)
        self.assertRegex(result.stdout, rb"^" + self.user.name.encode() + rb" 6[02]0\r?\n")


class Keywords(unittest.TestCase):
    @unittest.skipUnless(MODULI.exists(), f"no {MODULI}")
    def test_moduli_file(self):
        lines = [line for line in MODULI.read_text().splitlines() if not line.startswith("#")]
        for size in (3072, 4096):
            with self.subTest(size):
                # Only groups of one size, which is not what the client would like best: what it gets is the file's.
                moduli = place.fresh("moduli")
                moduli.write_text("".join(l + "\n" for l in lines if l.split()[4] == str(size - 1)))
                other = nacre_server(place, f"ModuliFile {moduli}", f"KexAlgorithms +{GEX}")
                result = ssh("ssh", place, other, "echo in", options=[f"KexAlgorithms={GEX}"], args=["-vv"], check=0)
                self.assertEqual(result.stdout, b"in\n")
                self.assertRegex(result.stderr, rb"bits set: \d+/%d\b" % size)
                other.stop()

    @unittest.skipUnless(MODULI.exists(), f"no {MODULI}")
    def test_the_systems_moduli_file(self):
        other = nacre_server(place, f"ModuliFile {MODULI}", f"KexAlgorithms +{GEX}")
        for program in ("ssh", NACRE_SSH):
            with self.subTest(program):
                result = ssh(program, place, other, "echo in", options=[f"KexAlgorithms={GEX}"], check=0)
                self.assertEqual(result.stdout, b"in\n")
        other.stop()

    @unittest.skipUnless(ROOT, "only root's server has root to refuse and others to let in")
    def test_permit_root_login_no(self):
        user = TestUser()
        self.addCleanup(user.remove)
        other = nacre_server(place, "PermitRootLogin no")
        result = ssh("ssh", place, other, "echo never", user="root", check=255)
        self.assertEqual(result.stdout, b"")
        self.assertIn(b"Permission denied", result.stderr)
        self.assertEqual(ssh("ssh", place, other, "id -un", user=user.name, check=0).stdout.decode(), user.name + "\n")
        other.stop()


if __name__ == "__main__":
    main()
