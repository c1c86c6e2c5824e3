"""Shared connections (ControlMaster): OpenSSH's ssh and nacre-ssh as master and as client of each, in every pairing, on a
connection to OpenSSH's sshd; ControlPersist; programs at the socket that lie."""
import contextlib
import hashlib
import os
import re
import socket
import struct
import subprocess
import threading
import time
import unittest

from harness import *
from terminal import Terminal

OPENSSH = "/usr/bin/ssh"
PAIRS = [(OPENSSH, NACRE_SSH), (NACRE_SSH, OPENSSH), (NACRE_SSH, NACRE_SSH)]
BULK = 4 * 1024 * 1024
place = server = echo = None


def setUpModule():
    global place, server, echo
    place = Place()
    server = openssh_server(place, "MaxSessions 100", "AcceptEnv MUX_*")
    echo = Echo()


class Echo:
    """Sends back what comes, as far as its end."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.carry, args=(connection,), daemon=True).start()

    @staticmethod
    def carry(connection):
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)


def options(*more):
    return client_options(place, server, extra=[f"Port={server.port}", f"User={ME}", *more])


def plain(program):
    return ["-o", "WarnWeakCrypto=no"] if program == NACRE_SSH else []


class Master:
    """A program with a connection, which listens at path."""

    def __init__(self, program, *args, more=(), env=None):
        self.path = place.fresh("ctl")
        self.log = place.fresh("master.log")
        self.program = program
        before = logins()
        environment = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY")}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(program), "-M", "-N", "-S", str(self.path), *options(*more), *plain(program),
                                             *args, "127.0.0.1"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**environment, **(env or {})}, start_new_session=True)
        wait_until(lambda: self.path.exists() or self.process.poll() is not None, "the master's socket")
        if self.process.poll() is not None:
            raise AssertionError(self.log.read_text())
        wait_until(lambda: logins() >= before + 1, "the server's word of the login")

    def client(self, program, *args, more=(), **kwargs):
        return run([program, "-S", self.path, *options("BatchMode=yes", *more), *plain(program), *args], **kwargs)

    def ask(self, program, command, *args, **kwargs):
        return self.client(program, "-O", command, *args, "127.0.0.1", **kwargs)

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(DEADLINE)


def through(where, greeting=b""):
    """Whether what is sent to where comes back. A connection that is reset does not bring it."""
    data = os.urandom(100000)

    def send(s):
        with contextlib.suppress(OSError):
            s.sendall(data)

    with socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET) as s, contextlib.suppress(ConnectionError):
        s.settimeout(DEADLINE)
        if s.connect_ex(where) != 0:
            return False
        s.sendall(greeting)
        if greeting and s.recv(8, socket.MSG_WAITALL)[1:2] != b"\x5a":
            return False
        sender = threading.Thread(target=send, args=(s,))
        sender.start()
        back = b""
        try:
            while len(back) < len(data) and (more := s.recv(65536)):
                back += more
        finally:
            sender.join()
        return back == data
    return False


def under_way():
    """Ports whose connections began, and of which the server has not yet said what became of them."""
    text = server.text()
    decided = re.findall(r"(?:Accepted publickey|Connection closed by|Connection reset by|Disconnected from) .*?port (\d+)", text)
    return set(re.findall(r"Connection from \S+ port (\d+) on ", text)) - set(decided)


def logins():
    """How many were let in, of all that began: the server writes it a moment after the client knows."""
    wait_until(lambda: not under_way(), "the server's word of all logins")
    return server.text().count("Accepted publickey")


class Pairs(unittest.TestCase):
    def each(self, what, **kwargs):
        for master_program, client_program in PAIRS:
            with self.subTest(master=str(master_program), client=str(client_program)):
                master = Master(master_program, **kwargs)
                try:
                    before = logins()
                    what(master, client_program)
                    self.assertEqual(logins(), before, "the client made a connection of its own")
                finally:
                    master.stop()

    def test_sessions_and_commands(self):
        self.each(self.sessions_and_commands, more=["SendEnv=MUX_*"])

    def sessions_and_commands(self, master, program):
        result = master.ask(program, "check", check=0)
        self.assertIn(b"Master running (pid=%d)" % master.process.pid, result.stderr)
        data = os.urandom(BULK)
        result = master.client(program, "127.0.0.1", "cat; echo aside >&2; exit 3", stdin=data, check=3)
        self.assertEqual(hashlib.sha256(result.stdout).digest(), hashlib.sha256(data).digest())
        self.assertIn(b"aside\n", result.stderr)
        result = master.client(program, "127.0.0.1", "echo $MUX_A-$MUX_B-$MUX_C", more=["SendEnv=MUX_A", "SetEnv=MUX_B=2"],
                               env={"MUX_A": "1", "MUX_C": "3"}, check=0)
        self.assertEqual(result.stdout, b"1-2-\n")
        self.assertEqual(master.client(program, "127.0.0.1", "kill -9 $$").returncode, 255)
        with self.beside(master, program, "-s", "127.0.0.1", "sftp") as p:
            p.stdin.write(struct.pack(">IBI", 5, 1, 3))
            p.stdin.flush()
            self.assertEqual(p.stdout.read(9)[4:], struct.pack(">BI", 2, 3))
        result = master.client(program, "-s", "127.0.0.1", "nothing-like-it")
        self.assertNotEqual(result.returncode, 0)
        self.many(master, program)
        self.stop_and_exit(master, program)

    @staticmethod
    def beside(master, program, *args):
        return subprocess.Popen([str(program), "-S", str(master.path), *options(), *plain(program), *args],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def many(self, master, program):
        """Sessions side by side, each with its own bytes."""
        many = [self.beside(master, program, "127.0.0.1", "cat") for _ in range(8)]
        for i, p in enumerate(many):
            p.stdin.write(b"%d" % i * 100000)
            p.stdin.flush() if i % 2 else None
        for i, p in enumerate(many):
            out, _ = p.communicate(timeout=DEADLINE)
            self.assertEqual((out, p.returncode), (b"%d" % i * 100000, 0))

    def stop_and_exit(self, master, program):
        held = self.beside(master, program, "127.0.0.1", "cat")
        held.stdin.write(b"a\n")
        held.stdin.flush()
        self.assertEqual(held.stdout.readline(), b"a\n")
        self.assertIn(b"Stop listening request sent.", master.ask(program, "stop", check=0).stderr)
        wait_until(lambda: not master.path.exists(), "the socket to go")
        self.assertEqual(master.ask(program, "check").returncode, 255)
        held.stdin.write(b"b\n")
        held.stdin.close()
        self.assertEqual((held.stdout.read(), held.wait(DEADLINE)), (b"b\n", 0))
        held.stdout.close()
        master.process.wait(DEADLINE)  # with the last session, its work is done

    def test_connections_and_proxies(self):
        self.each(self.connections_and_proxies)

    def connections_and_proxies(self, master, program):
        data = os.urandom(1024 * 1024)
        result = master.client(program, "-W", f"127.0.0.1:{echo.port}", "127.0.0.1", stdin=data, check=0)
        self.assertEqual(result.stdout, data)
        data = os.urandom(BULK)
        result = master.client(program, "-O", "proxy", "127.0.0.1", "cat; echo aside >&2; exit 5", stdin=data, check=5)
        self.assertEqual(hashlib.sha256(result.stdout).digest(), hashlib.sha256(data).digest())
        self.assertIn(b"aside\n", result.stderr)
        # its end was not the master's
        self.assertEqual(master.client(program, "127.0.0.1", "echo on", check=0).stdout, b"on\n")
        self.assertIn(b"Exit request sent.", master.ask(program, "exit", check=0).stderr)
        master.process.wait(DEADLINE)

    def test_forwardings(self):
        self.each(self.forwardings)

    def forwardings(self, master, program):
        target = f"127.0.0.1:{echo.port}"
        local, dynamic, path = free_port(), free_port(), place.fresh("sock")
        ways = (["-L", f"127.0.0.1:{local}:{target}"], ["-L", f"{path}:{target}"], ["-D", f"127.0.0.1:{dynamic}"])
        for way in ways:
            master.ask(program, "forward", *way, check=0)
            master.ask(program, "forward", *way, check=0)  # it is there: that is good
        self.assertTrue(through(("127.0.0.1", local)))
        self.assertTrue(through(str(path)))
        self.assertTrue(through(("127.0.0.1", dynamic), b"\4\1" + struct.pack(">H", echo.port) + b"\x7f\0\0\1me\0"))
        remote = int(master.ask(program, "forward", "-R", f"127.0.0.1:0:{target}", check=0).stdout)
        self.assertTrue(through(("127.0.0.1", remote)))
        self.assertEqual(master.ask(program, "forward", "-R", f"127.0.0.1:{server.port}:{target}").returncode, 255)
        master.ask(program, "check", check=0)
        for way in ways:
            master.ask(program, "cancel", *way, check=0)
        self.assertFalse(through(("127.0.0.1", local)))
        self.assertFalse(through(("127.0.0.1", dynamic)))
        self.assertIn(b"port not forwarded", master.ask(program, "cancel", *ways[0]).stderr)
        # those that are asked for with a session stay
        self.assertEqual(master.client(program, "-L", f"127.0.0.1:{local}:{target}", "127.0.0.1", "echo x", check=0).stdout, b"x\n")
        self.assertTrue(through(("127.0.0.1", local)))

    def test_terminals(self):
        self.each(self.terminals)

    def terminals(self, master, program):
        t = Terminal([program, "-S", master.path, *options(), *plain(program), "-tt", "127.0.0.1",
                      "stty size; echo ready; while read -r x; do stty size; [ \"$x\" = end ] && echo over && exit 6; done"],
                     rows=30, columns=99)
        t.expect(b"30 99")
        t.expect(b"ready")
        t.resize(41, 107)
        end = time.monotonic() + DEADLINE
        while b"41 107" not in t.seen and time.monotonic() < end:  # it is told by signals, beside what is typed
            t.send(b"\n")
            t.read(0.1)
        t.expect(b"41 107")
        t.send(b"end\n")
        t.expect(b"over")
        t.expect(b"Shared connection to 127.0.0.1 closed.")
        self.assertEqual(t.process.wait(DEADLINE), 6)
        self.assertEqual(t.attributes(), t.before)
        # an escape ends this session, and no other
        t = Terminal([program, "-S", master.path, *options(), *plain(program), "-tt", "127.0.0.1", "echo ready; cat"])
        t.expect(b"ready")
        t.send(b"\r~.")
        t.expect(b"closed.")
        self.assertEqual(t.process.wait(DEADLINE), 255)
        self.assertEqual(t.attributes(), t.before)
        master.ask(program, "check", check=0)


class Ours(unittest.TestCase):
    """What is of nacre-ssh alone."""

    def test_persist(self):
        path = place.fresh("ctl")
        args = ["-S", path, *options("ControlMaster=auto", "ControlPersist=1"), *plain(NACRE_SSH), "127.0.0.1"]
        before = logins()
        self.assertEqual(run([NACRE_SSH, *args, "cat; exit 4"], stdin=b"first", check=4).stdout, b"first")
        self.assertEqual(run([NACRE_SSH, *args, "cat"], stdin=b"second", check=0).stdout, b"second")
        self.assertEqual(run([OPENSSH, "-S", path, *options(), "127.0.0.1", "cat"], stdin=b"third", check=0).stdout, b"third")
        wait_until(lambda: logins() >= before + 1, "the server's word of the login")
        self.assertEqual(logins(), before + 1)
        wait_until(lambda: not path.exists(), "the connection that nobody uses to go")
        # one that nobody serves is in nobody's way
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(str(path))
        stale.close()
        self.assertEqual(run([NACRE_SSH, *args, "echo again"], check=0).stdout, b"again\n")
        wait_until(lambda: logins() >= before + 2, "the server's word of the login")
        self.assertEqual(logins(), before + 2)
        run([NACRE_SSH, "-O", "exit", *args], check=0)
        wait_until(lambda: not path.exists(), "the master to end")

    def test_proxied_clients_have_the_server_listen(self):
        master, path = Master(NACRE_SSH), place.fresh("sock")
        try:
            for program in (OPENSSH, NACRE_SSH):
                with self.subTest(client=str(program)):
                    self.listening(master, program, path)
                    wait_until(lambda: not path.exists() or not through(str(path)), "the socket that listened for it")
                    path.unlink(missing_ok=True)
            master.ask(NACRE_SSH, "check", check=0)
        finally:
            master.stop()

    def listening(self, master, program, path):
        log, target = place.fresh("proxied.log"), f"127.0.0.1:{echo.port}"
        with open(log, "wb") as out:
            p = subprocess.Popen([str(program), "-S", str(master.path), *options("BatchMode=yes", "LogLevel=INFO"), *plain(program),
                                  "-O", "proxy", "-N", "-R", f"127.0.0.1:0:{target}", "-R", f"{path}:{target}",
                                  "-R", f"127.0.0.1:{server.port}:{target}", "127.0.0.1"],
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            wait_until(lambda: b"Allocated port" in log.read_bytes() and b"failed for listen port" in log.read_bytes()
                       or p.poll() is not None, "the server's answers")
            port = int(log.read_bytes().split(b"Allocated port ")[1].split()[0])
            for where in (("127.0.0.1", port), str(path), ("127.0.0.1", port)):
                self.assertTrue(through(where), (where, log.read_text()))
        finally:
            p.terminate()
            p.wait(DEADLINE)
        wait_until(lambda: not through(("127.0.0.1", port)), "the port that listened for it")

    def test_nothing_to_run(self):
        """-N: what is forwarded stays, and there is nothing to wait for."""
        master, local = Master(NACRE_SSH), free_port()
        try:
            result = master.client(NACRE_SSH, "-N", "-L", f"127.0.0.1:{local}:127.0.0.1:{echo.port}", "127.0.0.1", stdin=b"echo x\n", check=0)
            self.assertEqual(result.stdout, b"")
            self.assertTrue(through(("127.0.0.1", local)))
        finally:
            master.stop()

    def test_files(self):
        """nacre-sftp and nacre-scp take a connection that is there."""
        for program in (OPENSSH, NACRE_SSH):
            master, before = Master(program), logins()
            try:
                source, there, back = (place.fresh(name) for name in ("source", "there", "back"))
                source.write_bytes(os.urandom(3000000))
                sftp(NACRE_SFTP, place, server, [f"put {source} {there}", f"get {there} {back}"],
                     options=[f"ControlPath={master.path}"], check=0)
                self.assertEqual(back.read_bytes(), source.read_bytes())
                run([APPS / "nacre-scp", "-q", *options(f"ControlPath={master.path}", "WarnWeakCrypto=no"),
                     f"127.0.0.1:{there}", back], check=0)
                self.assertEqual(back.read_bytes(), source.read_bytes())
                self.assertEqual(logins(), before)
                master.ask(NACRE_SSH, "check", check=0)
            finally:
                master.stop()

    def test_a_master_with_a_session_waits_for_others(self):
        path = place.fresh("ctl")
        first = subprocess.Popen([NACRE_SSH, "-M", "-S", path, *options(), *plain(NACRE_SSH), "127.0.0.1", "cat"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        wait_until(path.exists, "the master's socket")
        second = subprocess.Popen([NACRE_SSH, "-S", path, *options(), *plain(NACRE_SSH), "127.0.0.1", "cat"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        second.stdin.write(b"x\n")
        second.stdin.flush()
        self.assertEqual(second.stdout.readline(), b"x\n")
        first.stdin.close()
        second.stdin.write(b"y\n")
        second.stdin.close()
        self.assertEqual((second.stdout.read(), second.wait(DEADLINE)), (b"y\n", 0))
        self.assertEqual(first.wait(DEADLINE), 0)
        self.assertEqual(first.stdout.read(), b"")
        first.stdout.close(), second.stdout.close()

    def test_asking(self):
        for answer, status in (("yes", 0), ("no", 255)):
            master = Master(NACRE_SSH, "-M", more=["BatchMode=no"], env=askpass(place, answer))
            try:
                result = master.ask(OPENSSH, "stop")
                self.assertEqual(result.returncode, status, result.stderr)
                self.assertEqual(b"Permission denied" in result.stderr, status != 0)
            finally:
                master.stop()

    def test_without_a_master(self):
        path = place.fresh("ctl")
        result = run([NACRE_SSH, "-O", "check", "-S", path, *options(), "127.0.0.1"], check=255)
        self.assertIn(b"Control socket connect", result.stderr)
        self.assertIn(b"No ControlPath", run([NACRE_SSH, "-F", "none", "-O", "check", "h"], check=255).stderr)
        self.assertIn(b"Invalid multiplex command", run([NACRE_SSH, "-F", "none", "-O", "dance", "h"], check=255).stderr)
        self.assertEqual(run([NACRE_SSH, "-S", path, *options(), *plain(NACRE_SSH), "127.0.0.1", "echo alone"],
                             check=0).stdout, b"alone\n")
        taken = Master(NACRE_SSH)
        try:
            result = run([NACRE_SSH, "-M", "-S", taken.path, *options(), *plain(NACRE_SSH), "127.0.0.1", "echo mine"], check=0)
            self.assertEqual(result.stdout, b"mine\n")
            self.assertIn(b"already exists, disabling multiplexing", result.stderr)
        finally:
            taken.stop()
        self.assertFalse(taken.path.exists())

    def test_information(self):
        master = Master(NACRE_SSH)
        try:
            text = master.ask(NACRE_SSH, "conninfo", check=0).stdout.decode()
            self.assertIn("cipher ", text)
            self.assertIn(f"127.0.0.1 port {server.port}", text)
            self.assertIn("open: 0", master.ask(NACRE_SSH, "channels", check=0).stdout.decode())
        finally:
            master.stop()
        master = Master(OPENSSH)
        try:
            self.assertIn(b"does not tell", master.ask(NACRE_SSH, "conninfo", check=255).stderr)
        finally:
            master.stop()

    def test_liars(self):
        hello = struct.pack(">III", 8, 1, 4)
        master = Master(NACRE_SSH)
        try:
            for lie in (b"\xff" * 64, hello * 2, hello + struct.pack(">I", 1 << 30), b"GET / HTTP/1.0\r\n\r\n",
                        hello + struct.pack(">II", 4, 0x10000002), struct.pack(">III", 8, 0x10000005, 1)):
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(DEADLINE)
                    s.connect(str(master.path))
                    s.sendall(lie)
                    heard = b""
                    try:
                        while data := s.recv(4096):
                            heard += data
                    except ConnectionResetError:
                        pass
                    self.assertTrue(heard.startswith(b"\0\0\0") or not heard)
            # a proxied client that speaks of what is none of its business, or nonsense, ends itself only
            for lie in (struct.pack(">IBB", 2, 0, 1), struct.pack(">IBB", 2, 0, 20), struct.pack(">IBBI", 6, 0, 94, 7),
                        struct.pack(">IBB", 2, 4, 80), b"\xff" * 16):
                with socket.socket(socket.AF_UNIX) as s:
                    s.settimeout(DEADLINE)
                    s.connect(str(master.path))
                    s.sendall(hello + struct.pack(">III", 8, 0x1000000f, 1))
                    s.sendall(lie)
                    try:
                        while s.recv(4096):
                            pass
                    except ConnectionResetError:
                        pass
            self.assertEqual(master.client(OPENSSH, "127.0.0.1", "echo on", check=0).stdout, b"on\n")
            master.ask(NACRE_SSH, "check", check=0)
        finally:
            master.stop()


if __name__ == "__main__":
    main()
