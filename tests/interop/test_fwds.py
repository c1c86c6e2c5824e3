#!/usr/bin/python3
"""Forwarding by nacre-sshd: OpenSSH's ssh, dropbear's dbclient, PuTTY's plink and asyncssh ask for connections and
listeners of every kind, and for what the configuration or their key forbids."""
import asyncio
import contextlib
import os
import pathlib
import socket
import stat
import subprocess
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
    server = nacre_server(place)
    service = Service()
    path_service = Service(place.path("service"))


class Client:
    """A client program that forwards and does nothing else; ends with the block."""

    def __init__(self, command, ready, env=None):
        self.log = place.fresh("client.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent)
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


def openssh(*args, ready, options=()):
    return Client(["ssh", "-N", "-p", server.port, *client_options(place, server), *args, "-o", "ExitOnForwardFailure=yes",
                   *options, f"{ME}@127.0.0.1"], ready)


class OpenSSH(Traffic, unittest.TestCase):
    own_path = "R"  # the socket that nacre makes

    @classmethod
    def setUpClass(cls):
        cls.service, cls.path_service = service, path_service
        cls.ports = {name: free_port() for name in "LRUDSX"}
        cls.paths = {name: place.fresh("socket." + name) for name in ("L", "R", "master")}
        p = cls.ports
        cls.master = cls.enterClassContext(openssh(
            "-M", "-S", cls.paths["master"], "-L", f"{p['L']}:127.0.0.1:{service.port}",
            "-L", f"{p['U']}:{path_service.path}", "-L", f"{cls.paths['L']}:localhost:{service.port}",
            "-R", f"{p['R']}:127.0.0.1:{service.port}", "-R", f"{cls.paths['R']}:{path_service.path}",
            "-R", f"0:127.0.0.1:{service.port}", "-R", str(p["S"]), "-D", str(p["D"]), "-R", f"{p['X']}:127.0.0.1:1",
            ready=lambda: all(map(listens, p.values())) and cls.paths["R"].exists()))

    if not hasattr(unittest.TestCase, "enterClassContext"):  # Python 3.10
        @classmethod
        def enterClassContext(cls, context):
            cls.addClassCleanup(context.__exit__, None, None, None)
            return context.__enter__()

    def test_socks(self):
        for port in (self.ports["D"], self.ports["S"]):
            bulk(lambda: socks5(port, "localhost", service.port), SOME)
        with self.assertRaises((ConnectionError, AssertionError)):  # ssh closes where it knows no better
            socks5(self.ports["D"], "localhost", 1)

    def test_keys_that_change_meanwhile(self):
        port = free_port()
        with openssh("-L", f"{port}:127.0.0.1:{service.port}", options=["-o", "RekeyLimit=1M"], ready=lambda: listens(port)):
            bulk(lambda: dial(port), 8 << 20)

    def test_nobody_is_there(self):
        with dial(self.ports["X"]) as s:
            self.assertEqual(s.recv(1), b"")

    def test_port_that_the_server_chooses(self):
        words = self.master.text().split("Allocated port ")[1].split()
        bulk(lambda: dial(int(words[0])), SOME)

    def test_stdio(self):
        result = ssh("ssh", place, server, args=["-W", f"localhost:{service.port}"], stdin=b"e" + b"w" * 300000, check=0)
        self.assertEqual(result.stdout, b"w" * 300000 + b"end")

    def test_cancel(self):
        port, path = free_port(), place.fresh("socket")
        ask = ["ssh", "-F", "none", "-S", self.paths["master"], "-O"]
        rows = [(f"{port}:127.0.0.1:{service.port}", port, lambda: listens(port)),
                (f"{path}:{path_service.path}", path, path.exists)]
        for spec, where, is_there in rows:
            run([*ask, "forward", "-R", spec, "x"], check=0)
            with dial(where) as s:
                s.sendall(b"e1")
                self.assertEqual(s.recv(1), b"1")
                run([*ask, "cancel", "-R", spec, "x"], check=0)
                wait_until(lambda: not is_there(), "the cancelled listener's end")
                s.sendall(b"2")  # what runs goes on
                self.assertEqual(s.recv(1), b"2")
        with self.assertRaises(ConnectionRefusedError):
            dial(port)


class OthersTests:
    """Both directions through a program that forwards ports."""

    def start(self, *forwards, ready):
        raise NotImplementedError

    def test_both_directions(self):
        local, remote = free_port(), free_port()
        with self.start("-L", f"{local}:127.0.0.1:{service.port}", "-R", f"{remote}:127.0.0.1:{service.port}",
                        ready=lambda: listens(local) and listens(remote)):
            for port in (local, remote):
                bulk(lambda: dial(port), SOME)
                many(lambda: dial(port), 20)
                half_closes(lambda: dial(port), service)


class Dropbear(OthersTests, unittest.TestCase):
    def start(self, *forwards, ready):
        key = place.fresh("dbkey")
        subprocess.run(["dropbearconvert", "openssh", "dropbear", place.keys["ed25519"], key], check=True,
                       capture_output=True)
        return Client(["dbclient", "-N", "-y", "-y", "-i", key, "-p", server.port, *forwards, f"{ME}@127.0.0.1"], ready,
                      {"HOME": str(place.dir)})


class Putty(OthersTests, unittest.TestCase):
    def start(self, *forwards, ready):
        key = place.fresh("putty.ppk")
        subprocess.run(["puttygen", place.keys["ed25519"], "-o", key, "-O", "private"], check=True)
        fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", place.dir / "host_ed25519.pub"], check=True,
                                     capture_output=True, text=True).stdout.split()[1]
        return Client(["plink", "-N", "-batch", "-hostkey", fingerprint, "-i", key, "-P", server.port, "-ssh", *forwards,
                       f"{ME}@127.0.0.1"], ready, {"HOME": str(place.dir)})

    def test_socks(self):
        port = free_port()
        with self.start("-D", str(port), ready=lambda: listens(port)):
            bulk(lambda: socks5(port, "localhost", service.port), SOME)


class Ours(OthersTests, unittest.TestCase):
    def start(self, *forwards, ready):
        return Client([NACRE_SSH, "-N", "-p", server.port, *client_options(place, server), "-o", "ExitOnForwardFailure=yes",
                       *forwards, f"{ME}@127.0.0.1"], ready)

    test_socks = Putty.test_socks


async def connect(to, key="ed25519", cert=None):
    key = str(place.keys[key])
    return await asyncssh.connect("127.0.0.1", to.port, username=ME, client_keys=[(key, str(cert)) if cert else key],
                                  known_hosts=str(place.known_hosts(to.port)), config=None, agent_path=None)


class AsyncSSH(unittest.TestCase):
    def test_every_kind(self):
        async def both():
            async with await connect(server) as c:
                listeners = [await c.forward_local_port("127.0.0.1", 0, "localhost", service.port),
                             await c.forward_remote_port("localhost", 0, "127.0.0.1", service.port),
                             await c.forward_local_path(str(place.fresh("l")), str(path_service.path)),
                             await c.forward_remote_path(str(place.fresh("r")), str(path_service.path))]
                where = [l.get_port() for l in listeners[:2]] + [place.path(f"{s}.{place.count - i}")
                                                                for s, i in (("l", 1), ("r", 0))]
                for at in where:
                    await asyncio.to_thread(bulk, lambda: dial(at), SOME)
                    await asyncio.to_thread(many, lambda: dial(at), 20)
                port = where[1]
                listeners[1].close()
                await listeners[1].wait_closed()
                self.assertFalse(listens(port))

        asyncio.run(both())


# ---- what is forbidden -----------------------------------------------------------------------------------

LOCAL, REMOTE, PATH, LISTEN_PATH = "L", "R", "U", "V"


async def may(c, what, host="127.0.0.1", port=None):
    """Is it granted? None: it is, but nobody is there."""
    port = service.port if port is None and what == LOCAL else port or 0
    try:
        if what == LOCAL:
            (await c.open_connection(host, port))[1].close()
        elif what == PATH:
            (await c.open_unix_connection(str(path_service.path)))[1].close()
        elif what == REMOTE:
            (await c.start_server(lambda *_: True, host, port)).close()
        else:
            (await c.start_unix_server(lambda *_: True, str(place.fresh("listen")))).close()
        return True
    except asyncssh.ChannelOpenError as e:
        return None if e.code == 2 else False if e.code == 1 else e
    except asyncssh.ChannelListenError:
        return False


class Policy(unittest.TestCase):
    def check(self, to, rows, key="ed25519", cert=None):
        async def all_rows():
            async with await connect(to, key, cert) as c:
                return [await may(c, *row[:-1]) for row in rows]

        self.assertEqual(asyncio.run(all_rows()), [row[-1] for row in rows])

    def serve(self, *lines):
        to = nacre_server(place, *lines)
        self.addCleanup(to.stop)
        return to

    EVERYTHING = [(LOCAL, True), (REMOTE, True), (PATH, True), (LISTEN_PATH, True), (LOCAL, "127.0.0.1", 1, None)]

    def only(self, *granted):
        return [(what, what in granted) for what in (LOCAL, REMOTE, PATH, LISTEN_PATH)]

    def test_default(self):
        self.check(server, self.EVERYTHING)

    def test_allow_keywords(self):
        for lines, granted in (
                (["AllowTcpForwarding no"], (PATH, LISTEN_PATH)),
                (["AllowTcpForwarding local", "AllowStreamLocalForwarding remote"], (LOCAL, LISTEN_PATH)),
                (["AllowTcpForwarding remote", "AllowStreamLocalForwarding no"], (REMOTE,)),
                (["DisableForwarding yes", "AllowTcpForwarding yes", "PermitOpen any"], ()),
                (["AllowTcpForwarding no", "AllowStreamLocalForwarding no", f"Match User {ME}",
                  "AllowTcpForwarding local"], (LOCAL,))):
            with self.subTest(lines):
                self.check(self.serve(*lines), self.only(*granted))

    def test_permit_open_and_listen(self):
        port, other = free_port(), free_port()
        to = self.serve(f"PermitOpen 127.0.0.1:{service.port} localhost:*", f"PermitListen localhost:{port} 127.*:*")
        self.check(to, [(LOCAL, True), (LOCAL, "127.0.0.1", 1, False), (LOCAL, "localhost", 1, None),
                        (LOCAL, "127.0.0.2", service.port, False), (REMOTE, "localhost", port, True),
                        (REMOTE, "localhost", other, False), (REMOTE, "localhost", 0, False), (REMOTE, "127.0.0.1", 0, True),
                        (REMOTE, "", port, False), (PATH, False), (LISTEN_PATH, False)])
        to = self.serve("PermitOpen none", "PermitListen none")
        self.check(to, self.only())

    def test_gateway_ports(self):
        """127.0.0.2 is this machine as well, and none that "localhost" means."""
        async def where(to, host):
            async with await connect(to) as c:
                listener = await c.forward_remote_port(host, 0, "127.0.0.1", service.port)
                return [a for a in ("127.0.0.1", "127.0.0.2", "0.0.0.0") if listens(listener.get_port(), a)]

        for value, expected in (("no", ["127.0.0.1"] * 3), ("yes", ["0.0.0.0"] * 3),
                                ("clientspecified", ["0.0.0.0", "127.0.0.1", "127.0.0.2"])):
            to = self.serve(f"GatewayPorts {value}")
            for host, address in zip(("", "localhost", "127.0.0.2"), expected):
                with self.subTest(f"{value} {host}"):
                    self.assertEqual(asyncio.run(where(to, host)), [address])

    def test_socket_files(self):
        """StreamLocalBindMask and StreamLocalBindUnlink."""
        async def modes(to, path):
            async with await connect(to) as c:
                await c.forward_remote_path(str(path), str(path_service.path))
                mode = stat.S_IMODE(os.stat(path).st_mode)
                await asyncio.to_thread(bulk, lambda: dial(path), 1000)
                return mode

        to = self.serve("StreamLocalBindMask 0007", "StreamLocalBindUnlink yes")
        path = place.fresh("stale")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
        self.assertEqual(asyncio.run(modes(to, path)), 0o770)
        wait_until(lambda: not path.exists(), "the end of a socket's file")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
        with self.assertRaises(asyncssh.ChannelListenError):
            asyncio.run(modes(server, path))
        path.unlink()
        path.write_text("no socket")  # is not removed, whatever the configuration says
        with self.assertRaises(asyncssh.ChannelListenError):
            asyncio.run(modes(to, path))
        self.assertEqual(path.read_text(), "no socket")

    def test_options_of_keys(self):
        port = free_port()
        options = {"ed25519": ("no-port-forwarding", self.only()),
                   "rsa": ("restrict", self.only()),
                   "ecdsa256": (f'permitopen="127.0.0.1:{service.port}",permitlisten="{port}"',
                                [(LOCAL, True), (LOCAL, "localhost", service.port, False), (REMOTE, "localhost", port, True),
                                 (REMOTE, "localhost", 0, False), (PATH, False), (LISTEN_PATH, False)]),
                   "ecdsa384": ('restrict,port-forwarding,command="false"', self.only(LOCAL, REMOTE, PATH, LISTEN_PATH)),
                   "ecdsa521": ('permitopen="*:*"', self.only(LOCAL, REMOTE, PATH, LISTEN_PATH))}
        keys = place.fresh("authorized")
        keys.write_text("".join(f"{text} {pathlib.Path(f'{place.keys[kind]}.pub').read_text()}"
                                for kind, (text, _) in options.items()))
        to = self.serve(f"AuthorizedKeysFile {keys}")
        for kind, (text, rows) in options.items():
            with self.subTest(text):
                self.check(to, rows, kind)
        # What the configuration forbids no key grants, and the other way round.
        to = self.serve(f"AuthorizedKeysFile {keys}", "AllowTcpForwarding no", "AllowStreamLocalForwarding local")
        self.check(to, self.only(PATH), "ecdsa521")

    def test_certificates(self):
        ca = make_key(place.fresh("ca"))
        to = self.serve(f"TrustedUserCAKeys {ca}.pub", "AuthorizedKeysFile none")
        for options, granted in ((["-O", "no-port-forwarding"], ()), (["-O", "clear"], ()),
                                 (["-O", "clear", "-O", "permit-port-forwarding"], (LOCAL, REMOTE, PATH, LISTEN_PATH))):
            key = place.fresh("key")
            pathlib.Path(f"{key}.pub").write_text(pathlib.Path(f"{place.keys['ed25519']}.pub").read_text())
            subprocess.run(["ssh-keygen", "-q", "-s", ca, "-I", "id", "-n", ME, *options, f"{key}.pub"], check=True)
            with self.subTest(options):
                self.check(to, self.only(*granted), cert=f"{key}-cert.pub")

    def test_what_the_client_is_told(self):
        to = self.serve("PermitOpen localhost:9", "PermitListen none")
        result = ssh("ssh", place, to, args=["-W", f"localhost:{service.port}"])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"administratively prohibited", result.stderr)
        result = ssh("ssh", place, server, args=["-W", "localhost:1"])
        self.assertIn(b"connect failed: ", result.stderr)
        self.assertIn(b"refused", result.stderr)
        result = ssh("ssh", place, to, args=["-N", "-R", "0:localhost:9"], options=["ExitOnForwardFailure=yes"])
        self.assertEqual(result.returncode, 255)
        self.assertIn(b"remote port forwarding failed", result.stderr)
        self.assertIn("not permitted", to.text())


if __name__ == "__main__":
    main()
