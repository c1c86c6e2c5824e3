#!/usr/bin/python3
"""The example programs: the echo server with OpenSSH's ssh, the two clients with nacre-sshd."""
import os
import subprocess
import unittest

from harness import *

EXAMPLES = BUILD / "examples"


def setUpModule():
    global place
    place = Place()


def echo_server(*arguments):
    return Server(place, lambda port: [str(EXAMPLES / "example-echo_server"), *map(str, arguments),
                                       str(place.host_keys["ed25519"]), str(port)], "echo_server")


class EchoServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = echo_server("-k", f"{place.keys['ed25519']}.pub", "-w", "open sesame")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_exec_and_shell(self):
        for command in (["whatever"], []):
            result = ssh("ssh", place, self.server, *command, args=["-T"], stdin=b"over\nthere\n", check=0)
            self.assertEqual(result.stdout, b"over\nthere\n")
        self.assertIn(b"listening on 127.0.0.1 port %d" % self.server.port, self.server.text().encode())

    def test_much_both_ways(self):
        data = os.urandom(1 << 20) * 24
        result = ssh("ssh", place, self.server, "x", options=["RekeyLimit=4M"], stdin=data, check=0)
        self.assertEqual(result.stdout, data)

    def test_terminal_ends_with_control_d(self):
        result = ssh("ssh", place, self.server, args=["-tt"], stdin=b"hello\x04", check=0)
        self.assertTrue(result.stdout.startswith(b"hello"))

    def test_our_client_too(self):
        result = ssh(NACRE_SSH, place, self.server, "x", stdin=b"over there", check=0)
        self.assertEqual(result.stdout, b"over there")

    def test_password(self):
        command = ["ssh", "-F", "none", "-p", self.server.port, "-o", "PreferredAuthentications=password", "-o",
                   f"UserKnownHostsFile={place.known_hosts(self.server.port)}", "-o", "NumberOfPasswordPrompts=1",
                   "-o", "PubkeyAuthentication=no", "anybody@127.0.0.1", "x"]
        good = run(command, stdin=b"in", env=askpass(place, "open sesame"), check=0)
        self.assertEqual(good.stdout, b"in")
        for wrong in ("", "open", "open sesamE", "open sesame!"):
            self.assertEqual(run(command, stdin=b"in", env=askpass(place, wrong), check=255).stdout, b"")

    def test_what_it_refuses(self):
        result = ssh("ssh", place, self.server, "x", key="rsa", check=255)
        self.assertIn(b"ermission denied", result.stderr)
        result = ssh("ssh", place, self.server, "sftp", args=["-s"])
        self.assertNotEqual(result.returncode, 0)
        result = ssh("ssh", place, self.server, args=["-W", f"127.0.0.1:{self.server.port}"])
        self.assertNotEqual(result.returncode, 0)
        self.assertTrue(self.server.alive())

    def test_neither_key_nor_password_lets_nobody_in(self):
        server = echo_server()
        ssh("ssh", place, server, "x", check=255)
        server.stop()
        self.assertEqual(server.process.returncode, 0, server.text())

    def test_mistakes_on_the_command_line(self):
        program = EXAMPLES / "example-echo_server"
        run([program], check=2)
        self.assertIn(b"nonexistent", run([program, "/nonexistent", "0"], check=1).stderr)
        run([program, "-k", "/nonexistent", place.host_keys["ed25519"], "0"], check=1)


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = nacre_server(place)
        cls.home = place.fresh("home")
        (cls.home / ".ssh").mkdir(parents=True)
        (cls.home / ".ssh/known_hosts").write_bytes(place.known_hosts(cls.server.port).read_bytes())

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def exec(self, command, **kwargs):
        return run([EXAMPLES / "example-exec", ME, "127.0.0.1", command, self.server.port, place.keys["ed25519"]],
                   env={"HOME": str(self.home)}, **kwargs)

    def test_exec(self):
        result = self.exec("echo out; echo err >&2; exit 7", check=7)
        self.assertEqual((result.stdout, result.stderr), (b"out\n", b"err\n"))

    def test_exec_trusts_nobody_unknown(self):
        known = self.home / ".ssh/known_hosts"
        text = known.read_bytes()
        known.write_text("")
        result = self.exec("echo never", check=255)
        known.write_bytes(text)
        self.assertEqual(result.stdout, b"")
        self.assertIn(b"host key", result.stderr)

    def event_loop(self, command, fingerprint, **kwargs):
        return run([EXAMPLES / "example-event_loop", "127.0.0.1", self.server.port, ME, place.keys["ed25519"], command],
                   env={"HOST_FINGERPRINT": fingerprint}, **kwargs)

    def test_event_loop(self):
        shown = self.event_loop("echo never", "SHA256:x", check=255)
        self.assertEqual(shown.stdout, b"")
        fingerprint = shown.stderr.decode().split("host key: ")[1].split()[0]
        listed = subprocess.run(["ssh-keygen", "-l", "-f", f"{place.host_keys['ed25519']}.pub"], check=True,
                                capture_output=True, text=True).stdout.split()[1]
        self.assertEqual(fingerprint, listed)
        result = self.event_loop("echo out; exit 7", fingerprint, check=7)
        self.assertEqual(result.stdout, b"out\n")

    def test_event_loop_takes_much(self):
        fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", f"{place.host_keys['ed25519']}.pub"], check=True,
                                     capture_output=True, text=True).stdout.split()[1]
        result = self.event_loop("head -c 20000000 /dev/zero", fingerprint, check=0)
        self.assertEqual(result.stdout, bytes(20000000))


if __name__ == "__main__":
    main()
