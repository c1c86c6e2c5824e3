"""SFTP packets by hand: for tests that must send what no client or server would."""
import struct
import subprocess

INIT, VERSION, OPEN, CLOSE, READ, WRITE, LSTAT, FSTAT, SETSTAT, FSETSTAT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
OPENDIR, READDIR, REMOVE, MKDIR, RMDIR, REALPATH, STAT, RENAME, READLINK, SYMLINK = 11, 12, 13, 14, 15, 16, 17, 18, 19, 20
STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED, EXTENDED_REPLY = 101, 102, 103, 104, 105, 200, 201
OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE, BAD_MESSAGE, OP_UNSUPPORTED = 0, 1, 2, 3, 4, 5, 8
F_READ, F_WRITE, F_APPEND, F_CREAT, F_TRUNC, F_EXCL = 1, 2, 4, 8, 16, 32
A_SIZE, A_UIDGID, A_PERMISSIONS, A_TIMES, A_EXTENDED = 1, 2, 4, 8, 0x80000000


def u32(n):
    return struct.pack(">I", n & 0xFFFFFFFF)


def u64(n):
    return struct.pack(">Q", n & 0xFFFFFFFFFFFFFFFF)


def string(b):
    b = b if isinstance(b, bytes) else str(b).encode(errors="surrogateescape")
    return u32(len(b)) + b


def attrs(size=None, mode=None, times=None, owner=None):
    flags, body = 0, b""
    if size is not None:
        flags, body = flags | A_SIZE, body + u64(size)
    if owner is not None:
        flags, body = flags | A_UIDGID, body + u32(owner[0]) + u32(owner[1])
    if mode is not None:
        flags, body = flags | A_PERMISSIONS, body + u32(mode)
    if times is not None:
        flags, body = flags | A_TIMES, body + u32(times[0]) + u32(times[1])
    return u32(flags) + body


def packet(kind, *parts):
    body = bytes([kind]) + b"".join(parts)
    return u32(len(body)) + body


class Reader:
    def __init__(self, data):
        self.data = data

    def take(self, n):
        piece, self.data = self.data[:n], self.data[n:]
        if len(piece) != n:
            raise ValueError("the packet is too short")
        return piece

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def u64(self):
        return struct.unpack(">Q", self.take(8))[0]

    def string(self):
        return self.take(self.u32())


class Session:
    """A raw client of an SFTP server program on pipes."""

    def __init__(self, command, version=3):
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0)
        self.number = 0
        self.send(packet(INIT, u32(version)))
        kind, body = self.receive()
        assert kind == VERSION and body.u32() == 3, (kind, body.data)
        self.extensions = {}
        while body.data:
            name = body.string()
            self.extensions[name.decode()] = body.string()

    def send(self, data):
        while data:
            data = data[self.process.stdin.write(data):]

    def exactly(self, n):
        got = b""
        while len(got) < n:
            piece = self.process.stdout.read(n - len(got))
            if not piece:
                raise EOFError("the server ended")
            got += piece
        return got

    def receive(self):
        length = struct.unpack(">I", self.exactly(4))[0]
        body = self.exactly(length)
        return body[0], Reader(body[1:])

    def request(self, kind, *parts):
        """Sends one and returns its answer: type, reader behind the id."""
        self.number += 1
        self.send(packet(kind, u32(self.number), *parts))
        kind, body = self.receive()
        number = body.u32()
        assert number == self.number, f"answer to {number} instead of {self.number}"
        return kind, body

    def status(self, kind, *parts):
        """The status code of an answer that must be one."""
        kind, body = self.request(kind, *parts)
        assert kind == STATUS, f"a reply of type {kind}"
        return body.u32()

    def handle(self, kind, *parts):
        kind, body = self.request(kind, *parts)
        assert kind == HANDLE, f"a reply of type {kind}: {body.data!r}"
        return body.string()

    def alive(self):
        kind, _ = self.request(REALPATH, string("."))
        return kind == NAME

    def close(self):
        """Ends the session; the exit status."""
        self.process.stdin.close()
        while self.process.stdout.read(1 << 16):
            pass
        self.errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.process.wait(60)

    def kill(self):
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
