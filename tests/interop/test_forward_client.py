#!/usr/bin/python3
"""Forwarding by nacre-ssh: -L, -R, -D and -W of every kind through OpenSSH's sshd, and ports through dropbear and an
asyncssh server; what fails, and what is said about it."""
import asyncio
import contextlib
import fcntl
import os
import pathlib
import signal
import socket
import stat
import struct
import subprocess
import threading
import unittest
import warnings

from harness import *
from harness import _die_with_parent, _running
from sockets import *

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import asyncssh


def setUpModule():
    global place, server, service, path_service
    place = Place()
    server = openssh_server(place)
    service = Service()
    path_service = Service(place.path("service"))


class Client:
    """nacre-ssh, which forwards and does nothing else; ends with the block."""

    def __init__(self, *args, to=None, ready=lambda: True, options=()):
        to = to or server
        self.log = place.fresh("client.log")
        command = [NACRE_SSH, "-N", "-p", to.port, *client_options(place, to, extra=["WarnWeakCrypto=no", *options]), *args,
                   f"{ME}@127.0.0.1"]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=_die_with_parent)
        _running.append(self.process)
        wait_until(lambda: ready() or self.process.poll() is not None, "the forwardings")
        if self.process.poll() is not None:
            raise AssertionError(f"{command}\n{self.text()}")

    def text(self):
        return self.log.read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(DEADLINE)


def socks4(port, host, to_port, name=True):
    """4a with a name, 4 with an address."""
    s = dial(port)
    address = b"\0\0\0\1" if name else socket.inet_aton(host)
    s.sendall(b"\4\1" + struct.pack("!H", to_port) + address + b"me\0" + (host.encode() + b"\0" if name else b""))
    if read_exactly(s, 8)[:2] != b"\0\x5a":
        s.close()
        raise ConnectionError("SOCKS 4 says no")
    return s


class OpenSSH(Traffic, unittest.TestCase):
    own_path = "L"  # the socket that nacre makes

    @classmethod
    def setUpClass(cls):
        cls.service, cls.path_service = service, path_service
        cls.ports = {name: free_port() for name in "LRUDSX"}
        cls.paths = {name: place.fresh("socket." + name) for name in "LR"}
        p = cls.ports
        cls.client = Client(
            "-L", f"{p['L']}:127.0.0.1:{service.port}", "-L", f"{p['U']}:{path_service.path}",
            "-L", f"{cls.paths['L']}:localhost:{service.port}", "-R", f"{p['R']}:127.0.0.1:{service.port}",
            "-R", f"{cls.paths['R']}:{path_service.path}", "-R", f"0:127.0.0.1:{service.port}", "-R", str(p["S"]),
            "-D", str(p["D"]), "-L", f"{p['X']}:127.0.0.1:1", options=["ExitOnForwardFailure=yes"],
            ready=lambda: all(map(listens, p.values())) and cls.paths["R"].exists())
        cls.addClassCleanup(cls.client.__exit__)

    def test_hundred_by_socks(self):
        many(lambda: socks5(self.ports["D"], "localhost", service.port), 20)

    def test_both_loopbacks(self):
        with socket.create_connection(("::1", self.ports["L"]), DEADLINE) as s:
            s.sendall(b"e6")
            s.shutdown(socket.SHUT_WR)
            self.assertEqual(read_all(s), b"6end")

    def test_socks(self):
        for port in (self.ports["D"], self.ports["S"]):
            for connect in (lambda: socks5(port, "localhost", service.port), lambda: socks5(port, "127.0.0.1", service.port),
                            lambda: socks4(port, "localhost", service.port),
                            lambda: socks4(port, "127.0.0.1", service.port, False)):
                bulk(connect, SOME // 4)
            half_closes(lambda: socks5(port, "localhost", service.port), service)
            with self.assertRaisesRegex(ConnectionError, "reply 5"):
                socks5(port, "127.0.0.1", 1)
            with self.assertRaises(ConnectionError):
                socks4(port, "127.0.0.1", 1)

    def test_socks_in_one_packet(self):
        """Greeting, request and data at once, and then byte by byte."""
        words = b"\5\1\0\5\1\0\1\x7f\0\0\1" + struct.pack("!H", service.port) + b"e" + b"w" * 3000
        for port in (self.ports["D"], self.ports["S"]):
            for step in (len(words), 1):
                with dial(port) as s:
                    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    for at in range(0, 20 if step == 1 else len(words), step):
                        s.sendall(words[at:at + step])
                    s.sendall(words[20:] if step == 1 else b"")
                    s.shutdown(socket.SHUT_WR)
                    answer = read_all(s)
                    self.assertEqual((answer[:2], answer[2:4], answer[12:]), (b"\5\0", b"\5\0", b"w" * 3000 + b"end"))

    def test_socks_garbage(self):
        for port in (self.ports["D"], self.ports["S"]):
            for words in (b"GET / HTTP/1.1\r\n\r\n", b"\5\1\2", b"\5\1\0\5\2\0\1" + bytes(6), b"\4" + b"x" * 600, b"\0"):
                with dial(port) as s, contextlib.suppress(OSError):  # reset by then, or not even connected
                    s.sendall(words)
                    s.shutdown(socket.SHUT_WR)
                    self.assertLess(len(read_all(s)), 20)
            bulk(lambda: socks5(port, "localhost", service.port), 1000)

    def test_nobody_is_there(self):
        with dial(self.ports["X"]) as s:
            self.assertEqual(s.recv(1), b"")
        wait_until(lambda: "127.0.0.1 port 1: open failed: connect failed" in self.client.text(), "the message")

    def test_port_that_the_server_chooses(self):
        words = self.client.text().split("Allocated port ")[1].split()
        self.assertEqual(words[1:5], ["for", "remote", "forward", "to"])
        bulk(lambda: dial(int(words[0])), SOME)


class Programs(unittest.TestCase):
    def test_stdio(self):
        for where in (f"localhost:{service.port}", str(path_service.path)):
            result = ssh(NACRE_SSH, place, server, args=["-W", where], stdin=b"e" + b"w" * 300000, check=0)
            self.assertEqual((result.stdout, result.stderr), (b"w" * 300000 + b"end", b""))
        result = ssh(NACRE_SSH, place, server, args=["-W", "127.0.0.1:1"], check=255)
        self.assertIn(b"stdio forwarding failed", result.stderr)
        result = ssh("ssh", place, server, "true", options=[
            "ProxyCommand=" + " ".join(map(str, [NACRE_SSH, "-p", server.port, *client_options(place, server),
                                                 "-W", "%h:%p", f"{ME}@127.0.0.1"]))], check=0)

    def test_beside_a_command(self):
        """The session and forwardings at once; all of it ends with the command."""
        port, path = free_port(), place.fresh("socket")
        command = [NACRE_SSH, "-p", server.port, *client_options(place, server, extra=["WarnWeakCrypto=no"]), "-L",
                   f"{path}:127.0.0.1:{service.port}", "-R", f"127.0.0.1:{port}:{path_service.path}", f"{ME}@127.0.0.1", "cat"]
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   preexec_fn=_die_with_parent)
        _running.append(process)
        wait_until(lambda: listens(port), "the forwarding")
        bulk(lambda: dial(port), SOME)
        bulk(lambda: dial(path), SOME)
        self.assertEqual(process.communicate(b"words", DEADLINE)[0], b"words")
        self.assertEqual(process.returncode, 0)
        self.assertFalse(path.exists())
        wait_until(lambda: not listens(port), "the end of the server's listener")

    def test_failures(self):
        with contextlib.ExitStack() as stack:
            mine, theirs = (stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(2))
            # sshd is content with half of localhost
            stack.enter_context(socket.create_server(("::1", theirs), family=socket.AF_INET6))
            for args, status, words in ((["-L", f"{mine}:a:1"], 255, b"Could not request local forwarding"),
                                        (["-D", f"127.0.0.1:{mine}"], 255, b"Address already in use"),
                                        (["-R", f"{theirs}:a:1"], 255, b"remote port forwarding failed for listen port")):
                result = ssh(NACRE_SSH, place, server, "true", args=args, options=["ExitOnForwardFailure=yes"], check=status)
                self.assertIn(words, result.stderr)
                if args[0] != "-R":
                    result = ssh(NACRE_SSH, place, server, "echo on", args=args, check=0)
                    self.assertEqual(result.stdout, b"on\n")
                    self.assertIn(words, result.stderr)
        for args, words in ((["-L", "8080"], "local"), (["-L", "x:y:z"], "local"), (["-L", "1:a:0"], "local"),
                            (["-L", "0:a:1"], "local"), (["-L", "65536:a:1"], "local"), (["-R", "a:b:c:d:e"], "remote"),
                            (["-D", "0"], "dynamic"), (["-D", "a:b:1"], "dynamic"), (["-W", "host"], "stdio"),
                            (["-W", "[::1"], "stdio"), (["-L", ""], "local"), (["-R", "[::1:80:a:1"], "remote")):
            result = run([NACRE_SSH, *args, "nowhere.invalid"], check=255)
            self.assertIn(f"Bad {words} forwarding specification".encode(), result.stderr)

    def test_configuration(self):
        port, other, path = free_port(), free_port(), place.fresh("socket-%d")
        config = place.fresh("ssh_config")
        real = str(path).replace("%d", "x")
        stale = socket.socket(socket.AF_UNIX)
        stale.bind(real)
        stale.close()
        config.write_text(f"GatewayPorts yes\nStreamLocalBindMask 0111\nStreamLocalBindUnlink yes\nPermitRemoteOpen "
                          f"localhost:{service.port}\nLocalForward {port} localhost:{service.port}\n"
                          f"LocalForward {str(path).replace('%d', '${LETTER}')} localhost:{service.port}\n"
                          f"RemoteForward {other}\n")
        options = client_options(place, server, extra=["WarnWeakCrypto=no"])[2:]
        os.environ["LETTER"] = "x"
        client = Client("-F", config, ready=lambda: listens(port, "0.0.0.0") and listens(other))
        with client:
            bulk(lambda: dial(port), 1000)
            bulk(lambda: dial(real), 1000)
            self.assertEqual(stat.S_IMODE(os.stat(real).st_mode), 0o666)
            bulk(lambda: socks5(other, "localhost", service.port), 1000)
            with self.assertRaisesRegex(ConnectionError, "reply 2"):
                socks5(other, "127.0.0.1", service.port)
        result = run([NACRE_SSH, "-F", config, *options, "-p", server.port, "-o", "ClearAllForwardings=yes", "-o",
                      "ExitOnForwardFailure=yes", f"{ME}@127.0.0.1", f"grep -c ':{other:04X} 00000000:0000 0A' /proc/net/tcp; true"],
                     check=0)
        self.assertEqual(result.stdout, b"0\n")

    def test_paths_with_colons_and_blanks(self):
        """As the same texts in OpenSSH's client make them: sockets at both ends, here and at the server."""
        folder = place.fresh("colon:and blank")
        folder.mkdir()
        there = Service(str(folder / "the:re"))
        self.addCleanup(there.close)
        near = str(folder).replace(":", "\\:")
        config = place.fresh("ssh_config")
        config.write_text(f'LocalForward "{near}/from file" "{near}/the\\:re"\n')
        args = ("-F", config, "-L", f"{near}/by\\:name:{near}/the\\:re", "-L", f"[{folder}/in:brackets]:127.0.0.1:{service.port}",
                "-R", f"{near}/re mote:{near}/the\\:re")
        made = [folder / name for name in ("from file", "by:name", "in:brackets", "re mote")]
        with Client(*args, ready=lambda: all(p.exists() for p in made)):
            for path in made:
                bulk(lambda: dial(str(path)), 1000)
        self.assertEqual([p for p in made[:3] if p.exists()], [])

    def test_refusing_server(self):
        to = openssh_server(place, "AllowTcpForwarding no", "AllowStreamLocalForwarding no")
        self.addCleanup(to.stop)
        port, dynamic = free_port(), free_port()
        with Client("-L", f"{port}:127.0.0.1:{service.port}", "-D", str(dynamic), "-R", "0:127.0.0.1:1",
                    to=to, ready=lambda: listens(port) and listens(dynamic)) as client:
            with dial(port) as s:
                self.assertEqual(s.recv(1), b"")
            with self.assertRaisesRegex(ConnectionError, "reply 2"):
                socks5(dynamic, "localhost", service.port)
            wait_until(lambda: "administratively prohibited" in client.text(), "the refusal")
            wait_until(lambda: "Warning: remote port forwarding failed for listen port 0" in client.text(), "the warning")

    def test_server_that_goes(self):
        to = openssh_server(place)
        port = free_port()
        with Client("-L", f"{port}:127.0.0.1:{service.port}", to=to, ready=lambda: listens(port)) as client:
            with dial(port) as s:
                s.sendall(b"e1")
                self.assertEqual(s.recv(1), b"1")
                children = subprocess.run(["pgrep", "-P", str(to.process.pid)], capture_output=True, text=True, check=True)
                for pid in children.stdout.split():
                    os.kill(int(pid), signal.SIGKILL)
                with contextlib.suppress(ConnectionError):
                    self.assertEqual(s.recv(1), b"")
            self.assertEqual(client.process.wait(DEADLINE), 255)
            self.assertFalse(listens(port))


class OthersTests:
    """Ports both ways through another server."""

    def forward(self, to):
        local, remote = free_port(), free_port()
        with Client("-L", f"{local}:127.0.0.1:{service.port}", "-R", f"{remote}:127.0.0.1:{service.port}", to=to,
                    options=["ExitOnForwardFailure=yes"], ready=lambda: listens(local) and listens(remote)):
            for port in (local, remote):
                bulk(lambda: dial(port), SOME)
                many(lambda: dial(port), 20)
                half_closes(lambda: dial(port), service)


class Dropbear(OthersTests, unittest.TestCase):
    def test_both_directions(self):
        key = place.fresh("dropbear_host")
        subprocess.run(["dropbearconvert", "openssh", "dropbear", place.host_keys["ed25519"], key], check=True,
                       capture_output=True)
        # dropbear looks for authorized_keys in the user's home only: lend it one.
        home = pathlib.Path.home() / ".ssh"
        home.mkdir(mode=0o700, exist_ok=True)
        lock = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test may lend one too
        file = home / "authorized_keys"
        old = file.read_bytes() if file.exists() else None
        try:
            file.write_bytes((old or b"") + place.authorized.read_bytes())
            os.chmod(file, 0o600)
            to = Server(place, lambda port: ["dropbear", "-F", "-E", "-s", "-p", f"127.0.0.1:{port}", "-P",
                                             str(place.fresh("pid")), "-r", str(key)], "dropbear")
            self.forward(to)
            to.stop()
        finally:
            file.unlink() if old is None else file.write_bytes(old)
            os.close(lock)


class AsyncSSH(OthersTests, unittest.TestCase):
    class Everything(asyncssh.SSHServer):
        def connection_requested(self, *_):
            return True

        def server_requested(self, *_):
            return True

        def unix_connection_requested(self, *_):
            return True

        def unix_server_requested(self, *_):
            return True

    def test_both_directions(self):
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()

        async def serve():
            return await asyncssh.create_server(self.Everything, "127.0.0.1", 0, server_host_keys=[str(place.host_keys["ed25519"])],
                                                authorized_client_keys=str(place.authorized))

        acceptor = asyncio.run_coroutine_threadsafe(serve(), loop).result(DEADLINE)
        self.addCleanup(loop.call_soon_threadsafe, acceptor.close)

        class To:
            port = acceptor.sockets[0].getsockname()[1]

        self.forward(To)
        path, there = place.fresh("socket"), place.fresh("socket")
        with Client("-L", f"{path}:{path_service.path}", "-R", f"{there}:{path_service.path}", to=To,
                    options=["ExitOnForwardFailure=yes"], ready=lambda: path.exists() and there.exists()):
            bulk(lambda: dial(path), SOME)
            bulk(lambda: dial(there), SOME)


if __name__ == "__main__":
    main()
