#!/usr/bin/python3
"""The example programs: the servers with OpenSSH's ssh and sftp, the clients with nacre-sshd."""
import os
import pathlib
import socket
import subprocess
import unittest

import paramiko

from harness import *
from sockets import *
from terminal import Terminal

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

    def test_lines(self):
        result = run([EXAMPLES / "example-lines", ME, "127.0.0.1", "echo one; echo two; printf three; exit 5",
                      self.server.port, place.keys["ed25519"]], env={"HOME": str(self.home)}, check=5)
        self.assertEqual(result.stdout, b"     1  one\n     2  two\n     3  three\n")

    def test_forward(self):
        service = Service()
        process = subprocess.Popen([EXAMPLES / "example-forward", ME, "127.0.0.1", str(self.server.port), place.keys["ed25519"],
                                    f"L{free_port()}:127.0.0.1:{service.port}", f"R0:127.0.0.1:{service.port}",
                                    f"D{free_port()}"],
                                   stdout=subprocess.PIPE, env={**os.environ, "HOME": str(self.home)}, text=True)
        try:
            ports = {line[0]: int(line.split()[-1]) for line in (process.stdout.readline() for _ in range(3))}
            for connect in (lambda: dial(ports["L"]), lambda: dial(ports["R"]),
                            lambda: socks5(ports["D"], "localhost", service.port)):
                bulk(connect, 1 << 20)
        finally:
            process.kill()
            process.communicate()

    def test_terminal(self):
        t = Terminal([EXAMPLES / "example-terminal", ME, "127.0.0.1", self.server.port, place.keys["ed25519"]], rows=30, columns=90,
                     env={"HOME": str(self.home)})
        self.addCleanup(t.close)
        wait_until(t.is_raw, "raw mode")
        t.send(b"stty size; echo $TERM; while test \"`stty size`\" != '31 91'; do sleep 0.1; done; echo resi''zed\r")
        t.expect(b"30 90\r\nxterm\r\n")
        t.resize(31, 91)
        t.expect(b"resized")
        t.send(b"exit 9\r")
        self.assertEqual(t.wait(), 9)
        self.assertEqual(t.attributes(), t.before)

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

    def sftp_file(self, path, word, check):
        return run([EXAMPLES / "example-sftp_file", ME, "127.0.0.1", path, word, self.sftp_server.port,
                    place.keys["ed25519"]], env={"HOME": str(self.home)}, check=check)

    def test_sftp_file(self):
        type(self).sftp_server = openssh_server(place)
        self.addCleanup(self.sftp_server.stop)
        known = self.home / ".ssh/known_hosts"
        before = known.read_bytes()
        self.addCleanup(known.write_bytes, before)
        known.write_bytes(before + place.known_hosts(self.sftp_server.port).read_bytes())
        log = place.fresh("log")
        text = "".join(f"{i} {'needle' if i % 1000 == 7 else 'hay'} \x1b[1m\n" for i in range(20000))
        log.write_text(text)
        result = self.sftp_file(log, "needle", 0)
        self.assertEqual(result.stdout.decode().splitlines(), [f"{i} needle \\033[1m" for i in range(7, 20000, 1000)])
        self.assertEqual(log.read_text(), text + "needle was seen in 20 lines\n")
        self.assertIn(b"No such file", self.sftp_file(place.fresh("none"), "x", 1).stderr)

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


def sftp_server(*arguments):
    options = [a for a in arguments if str(a).startswith("-")]
    rest = [str(a) for a in arguments if a not in options]
    return Server(place, lambda port: [str(EXAMPLES / "example-sftp_server"), *options, "-k",
                                       f"{place.keys['ed25519']}.pub", str(place.host_keys["ed25519"]), str(port), *rest],
                  "sftp_server")


class SftpServer(unittest.TestCase):
    """A directory as a jail, and a tree in memory."""

    def setUp(self):
        self.dir = place.fresh("jail")
        self.dir.mkdir()
        (self.dir / "in").write_text("inside")
        self.secret = place.fresh("secret")
        self.secret.write_text("outside")
        self.got = place.fresh("got")

    def serve(self, *arguments):
        server = sftp_server(*arguments)
        self.addCleanup(server.stop)
        return server

    def test_directory(self):
        server = self.serve(self.dir)
        (self.dir / "absolute").symlink_to("/in")
        data = make_file(place.fresh("data"), 10_000_000)
        more = ["cp up copy", "mkdir d", "rename copy d/copy", "ln -s up l", "df"]
        for program, lines in (("sftp", more), (NACRE_SFTP, [])):
            result = sftp(program, place, server, ["pwd", f"put {data} up", f"get up {self.got}", *lines, "cd ../../..",
                                                   "pwd", f"get absolute {self.got}.2"], check=0)
            self.assertIn(b"Remote working directory: /\n", result.stdout)
            self.assertEqual(digest(self.got), digest(data))
            self.assertEqual(pathlib.Path(f"{self.got}.2").read_text(), "inside")

    def test_nothing_outside(self):
        server = self.serve(self.dir)
        (self.dir / "out").symlink_to(self.secret)
        (self.dir / "up").symlink_to("..")
        name = self.secret.name
        for path in (self.secret, f"../{name}", f"/../{name}", "out", f"up/{name}"):
            for line in (f"get {path} {self.got}", f"put {self.dir}/in {path}/x", f"ln {path} in/took",
                         f"chmod 600 {path}"):
                with self.subTest(line=line):
                    self.assertNotEqual(sftp("sftp", place, server, [line]).returncode, 0)
                    self.assertFalse(self.got.exists())
        self.assertEqual(self.secret.read_text(), "outside")

    def test_read_only(self):
        server = self.serve("-r", self.dir)
        sftp("sftp", place, server, [f"get in {self.got}"], check=0)
        for line in (f"put {self.got} new", "rm in", "mkdir d", "chmod 600 in"):
            self.assertNotEqual(sftp("sftp", place, server, [line]).returncode, 0)

    def test_memory(self):
        server = self.serve("-m")
        tree = place.fresh("tree")
        (tree / "a").mkdir(parents=True)
        make_file(tree / "a" / "f", 5_000_000)
        sftp("sftp", place, server, [f"put -R {tree} tree", "ln -s tree/a l"], check=0)
        sftp(NACRE_SFTP, place, server, [f"get l/f {self.got}", "ls -l"], check=0)
        self.assertEqual(digest(self.got), digest(tree / "a" / "f"))
        sftp("sftp", place, server, ["get README " + str(place.fresh("readme")), "df"], check=0)
        hole = place.fresh("hole")
        hole.touch()
        os.truncate(hole, 1 << 32)
        self.assertNotEqual(sftp("sftp", place, server, [f"put {hole} hole"]).returncode, 0)
        self.assertTrue(server.alive())

    def test_mistakes(self):
        program = EXAMPLES / "example-sftp_server"
        run([program], check=2)
        run([program, "-k", "/nonexistent", place.host_keys["ed25519"], "0", "/"], check=1)
        server = self.serve("/nonexistent")
        self.assertNotEqual(sftp("sftp", place, server, ["pwd"]).returncode, 0)


class GuardedServer(unittest.TestCase):
    """Every limit of a server for strangers, with real clients, and what it counted of them."""

    def setUp(self):
        hashed = run(["openssl", "passwd", "-6", "open sesame"], check=0).stdout.decode().strip()
        self.server = Server(place, lambda port: [str(EXAMPLES / "example-guarded_server"), "-g", "2", "-i", "1", "-e",
                                                  "127.0.0.1", "somebody", hashed, str(place.host_keys["ed25519"]),
                                                  str(port)], "guarded_server")
        self.addCleanup(self.server.stop)

    def dial(self, source):
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=DEADLINE, source_address=(source, 0))

    def client(self, source="127.0.0.1"):
        client = paramiko.Transport(self.dial(source))
        self.addCleanup(client.close)
        client.start_client(timeout=DEADLINE)
        return client

    def greeting(self, connection):
        with connection.makefile("rb") as f:
            return f.readline().decode().rstrip()

    def greeted(self, source):
        with self.dial(source) as connection:
            return self.greeting(connection)

    def counted(self):
        """What it prints at its end: words -> number."""
        self.server.stop()
        self.assertEqual(self.server.process.returncode, 0, self.server.text())
        rows = [line.split(None, 1) for line in self.server.text().splitlines() if line[:8].strip().isdigit()]
        return {what: int(n) for n, what in rows}

    def test_strangers(self):
        held = [self.dial("127.0.0.2") for _ in range(6)]
        for connection in held:
            self.addCleanup(connection.close)
        self.assertEqual([self.greeting(c)[:8] for c in held], ["SSH-2.0-"] * 5 + ["Exceeded"])
        # Neither name nor password: the same answers, until there were three.
        for name in ("somebody", "nobody-here"):
            client = self.client()
            for word in ("", "x" * 1024):
                self.assertRaises(paramiko.AuthenticationException, client.auth_password, name, word, fallback=False)
            self.assertRaises(paramiko.SSHException, client.auth_password, name, "open sesamE", fallback=False)
            wait_until(lambda: not client.is_active(), "the third failure to end it")
        # What is not exempt is refused for ten seconds after one such.
        client = self.client("127.0.0.3")
        self.assertRaises(paramiko.AuthenticationException, client.auth_password, "somebody", "x", fallback=False)
        client.close()
        wait_until(lambda: self.greeted("127.0.0.3") == "Not allowed at this time", "a penalty")
        # The others have had their two seconds.
        for connection in held[:5]:
            while connection.recv(4096):
                pass
        client = self.client()
        client.auth_password("somebody", "open sesame", fallback=False)
        client.close()
        n = self.counted()
        self.assertEqual(n["refused: too many of their source"], 1)
        self.assertGreaterEqual(n["refused: penalties"], 1)
        self.assertEqual(n["attempts to log in"], 2 * 3 + 1 + 1)
        self.assertEqual(n["logins"], 1)
        self.assertEqual(n["ended by a cap"], 2)
        self.assertEqual(n["grace-exceeded"], 5)
        self.assertEqual(n["authfail"], 3)  # counted of the exempt as well, but not against them

    def test_users(self):
        client = self.client()
        client.auth_password("somebody", "open sesame", fallback=False)
        files = paramiko.SFTPClient.from_transport(client)
        opened = [files.open(f"f{i}", "w") for i in range(16)]
        self.assertRaises(OSError, files.open, "one-too-many", "w")
        opened.pop().close()
        opened.append(files.open("again", "w"))
        sessions = [client.open_session(timeout=DEADLINE) for _ in range(3)]
        self.assertRaises(paramiko.ChannelException, client.open_session)
        # Nothing goes over them: they are closed, and then what has no channel any more.
        wait_until(lambda: all(s.closed for s in sessions), "idle sessions to be closed")
        wait_until(lambda: not client.is_active(), "the unused connection to be ended")
        n = self.counted()
        self.assertEqual(n["sessions refused"], 1)
        self.assertEqual(n["sessions closed idle"], 4)
        self.assertEqual(n["ended unused"], 1)

    def test_mistakes(self):
        program = EXAMPLES / "example-guarded_server"
        run([program], check=2)
        run([program, "me", "*", "/nonexistent", "0"], check=1)


class ForwardServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service, cls.port = Service(), free_port()
        options = {"ed25519": f'permitopen="localhost:{cls.service.port}",permitlisten="{cls.port}"', "rsa": "restrict",
                   "ecdsa256": 'from="192.0.2.1"'}
        keys = place.fresh("keys")
        keys.write_text("".join(f"{text} {pathlib.Path(f'{place.keys[kind]}.pub').read_text()}"
                                for kind, text in options.items()))
        cls.server = Server(place, lambda port: [str(EXAMPLES / "example-forward_server"), str(place.host_keys["ed25519"]),
                                                 str(keys), str(port)], "forward_server")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.service.close()

    def stdio(self, where, **kwargs):
        return ssh("ssh", place, self.server, args=["-W", where], stdin=b"ehello", **kwargs)

    def test_what_the_key_permits(self):
        there = f"localhost:{self.service.port}"
        self.assertEqual(self.stdio(there, check=0).stdout, b"helloend")
        self.assertIn(b"prohibited", self.stdio(f"127.0.0.1:{self.service.port}").stderr)
        self.assertIn(b"prohibited", self.stdio(there, key="rsa").stderr)
        self.assertIn(b"ermission denied", self.stdio(there, key="ecdsa256", check=255).stderr)
        self.assertNotEqual(ssh("ssh", place, self.server, "id").returncode, 0)

    def test_listening(self):
        command = ["ssh", "-N", "-p", str(self.server.port), *client_options(place, self.server), "-R",
                   f"*:{self.port}:localhost:{self.service.port}", f"{ME}@127.0.0.1"]
        client = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: listens(self.port), "the listener")
            half_closes(lambda: dial(self.port), self.service)
        finally:
            client.terminate()
            client.wait(DEADLINE)
        wait_until(lambda: not listens(self.port), "its end")


if __name__ == "__main__":
    main()
