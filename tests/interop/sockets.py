"""What stands at the two ends of a forwarding: a service that is reached through it, and what is asked of it.

The first byte of a connection says what the service shall do with it: b"e" sends everything back and ends when the
other side has ended, with b"end" behind; b"f" ends its own half first, after b"first", and counts what still comes;
b"r" resets the connection in the middle of things.
"""
import contextlib
import hashlib
import os
import socket
import stat
import struct
import threading

from harness import DEADLINE, wait_until

BLOCK = os.urandom(1 << 20)
BULK = 64 << 20
SOME = 2 << 20


def reset(s):
    """Ends a connection as a machine does that lost power: what is on its way is lost."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def stream(size):
    """size bytes in pieces, none of which is like another."""
    at = 0
    while at < size:
        piece = memoryview(BLOCK)[(at >> 20) * 4099 % (1 << 19):][:min(size - at, 1 << 19)]
        yield piece
        at += len(piece)


def hash_of(size):
    h = hashlib.sha256()
    for piece in stream(size):
        h.update(piece)
    return h.hexdigest()


class Service:
    """On a free port of 127.0.0.1, or on a path. Its threads end with the process."""

    def __init__(self, path=None):
        self.path = path
        self.late = []  # bytes that came after our own end, a number per connection
        self.ends = []  # how connections ended: "end", "reset"
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.listener.listen(200)
        else:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=200)
            self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                one = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, s):
        try:
            kind = s.recv(1)
            if kind == b"r":
                reset(s)
                return
            if kind == b"f":
                s.sendall(b"first")
                s.shutdown(socket.SHUT_WR)
                count = 0
                while data := s.recv(1 << 18):
                    count += len(data)
                self.late.append(count)
            else:
                while kind and (data := s.recv(1 << 18)):
                    s.sendall(data)
                s.sendall(b"end" if kind else b"")
            self.ends.append("end")
        except OSError:
            self.ends.append("reset")
        finally:
            with contextlib.suppress(OSError):
                s.close()

    def close(self):
        self.listener.close()


def dial(where):
    """A port of 127.0.0.1, or a path."""
    s = socket.socket(socket.AF_INET if isinstance(where, int) else socket.AF_UNIX)
    s.settimeout(DEADLINE)
    try:
        s.connect(("127.0.0.1", where) if isinstance(where, int) else str(where))
    except OSError:
        s.close()
        raise
    return s


def read_all(s):
    data = b""
    while piece := s.recv(1 << 16):
        data += piece
    return data


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        piece = s.recv(n - len(data))
        if not piece:
            raise AssertionError(f"the end after {len(data)} of {n} bytes")
        data += piece
    return data


def bulk(connect, size):
    """size bytes there and back at the same time; both arrive whole, and the ends in their order."""
    with connect() as s:
        def send():
            s.sendall(b"e")
            for piece in stream(size):
                s.sendall(piece)
            s.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        h, left, tail = hashlib.sha256(), size, b""
        while piece := s.recv(1 << 18):
            h.update(piece[:left])
            tail += piece[left:]
            left -= min(left, len(piece))
        sender.join(DEADLINE)
    if (left, tail, h.hexdigest()) != (0, b"end", hash_of(size)):
        raise AssertionError(f"{size} bytes there and back: {left} missing, {tail!r} at the end, or other bytes")


def half_closes(connect, service):
    """Each side ends first in turn, and the other goes on: nothing of it is lost."""
    with connect() as s:
        s.sendall(b"e" + b"x" * 70000)
        s.shutdown(socket.SHUT_WR)
        if read_all(s) != b"x" * 70000 + b"end":
            raise AssertionError("an end of ours: what came after it is not what was sent")
    count = len(service.late)
    with connect() as s:
        s.sendall(b"f")
        if read_all(s) != b"first":
            raise AssertionError("an end of the service's was not seen")
        s.sendall(b"y" * 300000)
    wait_until(lambda: len(service.late) > count, "what comes after the service's own end")
    if service.late[-1] != 300000:
        raise AssertionError(f"{service.late[-1]} of 300000 bytes came after the service's own end")


def many(connect, n=100):
    """n connections at once, each of them with bytes of its own, in another order than they were made."""
    with contextlib.ExitStack() as stack:
        all_of_them = [stack.enter_context(connect()) for _ in range(n)]
        for i, s in enumerate(all_of_them):
            s.sendall(b"e" + b"%06d" % i * 500)
        for i, s in reversed(list(enumerate(all_of_them))):
            if read_exactly(s, 3000) != b"%06d" % i * 500:
                raise AssertionError(f"connection {i} of {n} got other bytes")
            s.shutdown(socket.SHUT_WR)
        for s in all_of_them:
            if read_all(s) != b"end":
                raise AssertionError("a connection did not end in order")


def vanishing(connect, service):
    """Either end is gone in the middle of things: the other hears of it, and the rest goes on."""
    with connect() as bystander:
        bystander.sendall(b"e1")
        count = len(service.ends)
        s = connect()
        s.sendall(b"e" + b"z" * 100000)
        read_exactly(s, 10)
        reset(s)
        wait_until(lambda: len(service.ends) > count, "the end of a connection that was reset")
        with connect() as s:
            s.sendall(b"r")
            with contextlib.suppress(ConnectionError):
                if s.recv(1) != b"":
                    raise AssertionError("bytes from a service that is gone")
        bystander.sendall(b"2")
        bystander.shutdown(socket.SHUT_WR)
        if read_all(bystander) != b"12end":
            raise AssertionError("a connection beside one that vanished is damaged")


def listens(port, address="127.0.0.1"):
    """Is there a listener on this very address? Asked of the system, so that nobody is connected to."""
    want = "%s:%04X" % (socket.inet_aton(address)[::-1].hex().upper(), port)
    with open("/proc/net/tcp", encoding="ascii") as f:
        return any(fields[1] == want and fields[3] == "0A" for fields in map(str.split, f))


def socks5(port, host, to_port):
    """A connection by SOCKS 5, with the name left to the other end."""
    s = dial(port)
    try:
        s.sendall(b"\5\1\0")
        if read_exactly(s, 2) != b"\5\0":
            raise AssertionError("SOCKS without authentication was not agreed to")
        s.sendall(b"\5\1\0\3" + bytes([len(host)]) + host.encode() + struct.pack("!H", to_port))
        reply = read_exactly(s, 10)
        if reply[1] != 0:
            raise ConnectionError(f"SOCKS reply {reply[1]}")
    except BaseException:
        s.close()
        raise
    return s


class Traffic:
    """For a test case whose class has ports and paths (L, R: forwarded from here and from there to the service;
    U: to the service at a path) and that imports the services: what every forwarding has to carry, whoever makes it."""

    def local(self):
        return dial(self.ports["L"])

    def remote(self):
        return dial(self.ports["R"])

    def test_bulk_local(self):
        bulk(self.local, BULK)

    def test_bulk_remote(self):
        bulk(self.remote, BULK)

    def test_bulk_of_sockets(self):
        bulk(lambda: dial(self.ports["U"]), SOME)  # direct-streamlocal
        bulk(lambda: dial(self.paths["L"]), SOME)  # a socket here, direct-tcpip
        bulk(lambda: dial(self.paths["R"]), SOME)  # streamlocal-forward
        self.assertEqual(stat.S_IMODE(os.stat(self.paths[self.own_path]).st_mode), 0o600)

    def test_hundred_at_once(self):
        many(self.local)
        many(self.remote)

    def test_half_closes(self):
        half_closes(self.local, self.service)
        half_closes(self.remote, self.service)
        half_closes(lambda: dial(self.ports["U"]), self.path_service)
        half_closes(lambda: dial(self.paths["R"]), self.path_service)

    def test_sockets_that_vanish(self):
        vanishing(self.local, self.service)
        vanishing(self.remote, self.service)
