#!/usr/bin/python3
"""An SFTP server on stdin and stdout that breaks one rule, named by its argument; "honest" breaks none.

It serves a small tree in memory. A scenario is a subclass that overrides what it lies about.
"""
import os
import stat as st
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from sftp_wire import *

FILE = bytes(i * 7 & 255 for i in range(300_000))


class Honest:
    extensions = [("posix-rename@openssh.com", "1"), ("fsync@openssh.com", "1")]
    version = 3
    longname = b"-rw-r--r--    1 u g 1 Jan  1  2020 name"

    def __init__(self):
        self.files = {b"/d/file": bytearray(FILE), b"/d/small": bytearray(b"small\n")}
        self.directories = {b"/", b"/d"}
        self.links = {}
        self.handles = {}
        self.count = 0
        self.out = sys.stdout.buffer
        self.into = sys.stdin.buffer

    # ---- the wire

    left = None  # bytes that may still leave, then it ends

    def send(self, data):
        self.out.write(data if self.left is None else data[:self.left])
        self.out.flush()
        if self.left is not None:
            self.left -= len(data)
            if self.left <= 0:
                sys.exit(1)

    def reply(self, kind, number, *parts):
        self.send(packet(kind, u32(number), *parts))

    def status(self, number, code, text="as you like it"):
        self.reply(STATUS, number, u32(code), string(text), string(""))

    def exactly(self, n):
        data = self.into.read(n)
        if len(data) < n:
            sys.exit(0)
        return data

    def hello(self):
        self.send(packet(VERSION, u32(self.version), *[string(s) for pair in self.extensions for s in pair]))

    def serve(self):
        self.exactly(4 + 5)
        self.hello()
        while True:
            length = int.from_bytes(self.exactly(4), "big")
            body = self.exactly(length)
            r = Reader(body[1:])
            self.dispatch(body[0], r.u32(), r)

    def dispatch(self, kind, number, r):
        names = {OPEN: "open", CLOSE: "close", READ: "read", WRITE: "write", LSTAT: "stat", FSTAT: "fstat", SETSTAT: "setstat",
                 FSETSTAT: "fsetstat", OPENDIR: "opendir", READDIR: "readdir", REMOVE: "remove", MKDIR: "mkdir", RMDIR: "rmdir",
                 REALPATH: "realpath", STAT: "stat", RENAME: "rename", READLINK: "readlink", SYMLINK: "symlink", EXTENDED: "extended"}
        getattr(self, "on_" + names[kind])(number, r)

    # ---- the tree

    def path(self, r):
        return os.path.normpath(b"/" + r.string()).replace(b"//", b"/")

    def attrs_of(self, path):
        if path in self.files:
            return attrs(size=len(self.files[path]), mode=st.S_IFREG | 0o644, times=(1000000000, 1000000000))
        if path in self.links:
            return attrs(size=1, mode=st.S_IFLNK | 0o777, times=(1000000000, 1000000000))
        return attrs(size=0, mode=st.S_IFDIR | 0o755, times=(1000000000, 1000000000)) if path in self.directories else None

    def handle(self, number, what):
        self.count += 1
        name = b"handle%d" % self.count
        self.handles[name] = what
        self.reply(HANDLE, number, string(name))

    def on_realpath(self, number, r):
        self.reply(NAME, number, u32(1), string(self.path(r)), string(b""), attrs())

    def on_stat(self, number, r):
        a = self.attrs_of(self.path(r))
        self.reply(ATTRS, number, a) if a else self.status(number, NO_SUCH_FILE, "no such file")

    def on_fstat(self, number, r):
        self.reply(ATTRS, number, self.attrs_of(self.handles[r.string()]))

    def on_open(self, number, r):
        path, flags = self.path(r), r.u32()
        if flags & F_CREAT and path not in self.files and os.path.dirname(path) in self.directories:
            self.files[path] = bytearray()
        if path not in self.files:
            self.status(number, NO_SUCH_FILE, "no such file")
            return
        if flags & F_TRUNC:
            self.files[path] = bytearray()
        self.handle(number, path)

    def on_read(self, number, r):
        path, offset, n = self.handles[r.string()], r.u64(), r.u32()
        data = bytes(self.files[path][offset:offset + n])
        self.reply(DATA, number, string(data)) if data else self.status(number, EOF, "end of file")

    def on_write(self, number, r):
        path, offset, data = self.handles[r.string()], r.u64(), r.string()
        file = self.files[path]
        file.extend(bytes(max(0, offset - len(file))))
        file[offset:offset + len(data)] = data
        self.status(number, OK)

    def on_close(self, number, r):
        del self.handles[r.string()]
        self.status(number, OK)

    def on_opendir(self, number, r):
        path = self.path(r)
        if path not in self.directories:
            self.status(number, NO_SUCH_FILE, "no such directory")
            return
        self.handle(number, [path, False])

    def entries(self, path):
        for name in [*self.directories, *self.files, *self.links]:
            if name != b"/" and os.path.dirname(name) == path:
                yield os.path.basename(name), self.attrs_of(name)

    def on_readdir(self, number, r):
        directory = self.handles[r.string()]
        if directory[1]:
            self.status(number, EOF, "no more")
            return
        directory[1] = True
        found = list(self.entries(directory[0]))
        self.reply(NAME, number, u32(len(found)), *[string(name) + string(self.longname) + a for name, a in found])

    def on_mkdir(self, number, r):
        self.directories.add(self.path(r))
        self.status(number, OK)

    def on_setstat(self, number, r):
        self.status(number, OK)

    on_fsetstat = on_setstat

    def on_remove(self, number, r):
        self.status(number, OK if self.files.pop(self.path(r), None) is not None else NO_SUCH_FILE)

    def on_rmdir(self, number, r):
        self.status(number, OK)

    def on_rename(self, number, r):
        self.files[self.path(r)] = self.files.pop(self.path(r), bytearray())
        self.status(number, OK)

    def on_readlink(self, number, r):
        self.reply(NAME, number, u32(1), string(self.links[self.path(r)]), string(b""), attrs())

    def on_symlink(self, number, r):
        self.status(number, OK)

    def on_extended(self, number, r):
        name = r.string()
        if name == b"posix-rename@openssh.com":
            source, target = self.path(r), self.path(r)
            self.files[target] = self.files.pop(source)
            self.status(number, OK)
        elif name == b"fsync@openssh.com":
            self.status(number, OK)
        else:
            self.status(number, OP_UNSUPPORTED, "what is that?")


# ---- replies that are not what was asked for ------------------------------------------------------------


class IdNeverAsked(Honest):
    def on_read(self, number, r):
        self.reply(DATA, number + 1000, string(b"x"))


class TwiceAnswered(Honest):
    def on_read(self, number, r):
        self.reply(DATA, number, string(b"x"))
        self.reply(DATA, number, string(b"y"))


class AttrsForRead(Honest):
    def on_read(self, number, r):
        self.reply(ATTRS, number, attrs(size=1))


class OkForRead(Honest):
    def on_read(self, number, r):
        self.status(number, OK)


class OkForOpen(Honest):
    def on_open(self, number, r):
        self.status(number, OK)


class NameForOpen(Honest):
    def on_open(self, number, r):
        self.reply(NAME, number, u32(0))


class DataForClose(Honest):
    def on_close(self, number, r):
        self.reply(DATA, number, string(b"surprise"))


class HandleForStat(Honest):
    def on_stat(self, number, r):
        self.reply(HANDLE, number, string(b"h"))

    on_fstat = on_stat


class UnknownReply(Honest):
    def on_read(self, number, r):
        self.reply(99, number, b"?")


class RequestToTheClient(Honest):
    def on_read(self, number, r):
        self.reply(READ, number, string(b"h"), u64(0), u32(1))


class EmptyHandle(Honest):
    def on_open(self, number, r):
        self.reply(HANDLE, number, string(b""))


class LongHandle(Honest):
    def on_open(self, number, r):
        self.reply(HANDLE, number, string(b"h" * 257))


class HugeHandle(Honest):
    def on_open(self, number, r):
        self.reply(HANDLE, number, string(b"h" * 100_000))


# ---- lengths ----------------------------------------------------------------------------------------------


class PacketOfNothing(Honest):
    def on_read(self, number, r):
        self.send(u32(0))


class PacketOf4GiB(Honest):
    def on_read(self, number, r):
        self.send(u32(0xFFFFFFFF) + b"\x67" + u32(number))


class DataBeyondPacket(Honest):
    def on_read(self, number, r):
        self.send(u32(4 + 1 + 4 + 5) + bytes([DATA]) + u32(number) + u32(100_000) + b"x" * 5)


class MoreThanAsked(Honest):
    def on_read(self, number, r):
        _, _, n = r.string(), r.u64(), r.u32()
        self.reply(DATA, number, string(b"x" * (n + 1)))


class EmptyData(Honest):
    def on_read(self, number, r):
        self.reply(DATA, number, string(b""))


class TruncatedReply(Honest):
    def on_open(self, number, r):
        self.send(u32(7) + bytes([HANDLE]) + u32(number) + b"\0\0")


class CountLies(Honest):
    def on_readdir(self, number, r):
        self.reply(NAME, number, u32(0xFFFFFFFF), string(b"one"), string(b"l"), attrs())


class FlagsWithoutData(Honest):
    def on_stat(self, number, r):
        self.reply(ATTRS, number, u32(A_SIZE | A_UIDGID | A_PERMISSIONS | A_TIMES), u32(1))

    on_fstat = on_stat


class ManyExtendedPairs(Honest):
    def on_stat(self, number, r):
        self.reply(ATTRS, number, u32(A_EXTENDED), u32(0x7FFFFFFF), string(b"a"), string(b"b"))

    on_fstat = on_stat


# ---- beginnings and ends ----------------------------------------------------------------------------------


class Version2(Honest):
    version = 2


class Version6(Honest):
    version = 6


class ShellText(Honest):
    def hello(self):
        self.send(b"Welcome to the machine!\r\n" * 3)
        super().hello()


class SaysNothing(Honest):
    def hello(self):
        sys.exit(3)


class NeverAnswers(Honest):
    def on_read(self, number, r):
        pass


class EndsInTheMiddle(Honest):
    def on_read(self, number, r):
        path, offset, n = self.handles[r.string()], r.u64(), r.u32()
        if offset > 0:
            sys.exit(1)
        self.send(packet(DATA, u32(number), string(bytes(self.files[path][:n])))[:-5])
        sys.exit(1)


# ---- sizes that lie ---------------------------------------------------------------------------------------


class Size(Honest):
    size = 0

    def attrs_of(self, path):
        real = super().attrs_of(path)
        return attrs(size=self.size, mode=st.S_IFREG | 0o644) if path in self.files else real


class SizeTooLong(Size):
    size = len(FILE) + 10


class SizeTooShort(Size):
    size = len(FILE) - 100_000


class SizeZero(Size):
    size = 0


class Size2To63(Size):
    size = 1 << 63


class SizeAllOnes(Size):
    size = (1 << 64) - 1


class Size2To62(Size):
    size = 1 << 62


# ---- data -------------------------------------------------------------------------------------------------


class OneByteReads(Honest):
    def __init__(self):
        super().__init__()
        self.files[b"/d/file"] = bytearray(FILE[:700])

    def on_read(self, number, r):
        path, offset, n = self.handles[r.string()], r.u64(), r.u32()
        data = bytes(self.files[path][offset:offset + min(n, 1)])
        self.reply(DATA, number, string(data)) if data else self.status(number, EOF)


class ShortReads(Honest):
    def on_read(self, number, r):
        path, offset, n = self.handles[r.string()], r.u64(), r.u32()
        data = bytes(self.files[path][offset:offset + max(1, min(n, 1000 + offset % 777))])
        self.reply(DATA, number, string(data)) if data else self.status(number, EOF)


class OutOfOrder(Honest):
    """Works in order, and answers what has come so far from the last to the first."""

    answers = None

    def send(self, data):
        super().send(data) if self.answers is None else self.answers.append(data)

    def serve(self):
        self.exactly(4 + 5)
        self.hello()
        pending = b""
        while True:
            data = os.read(0, 1 << 20)
            if not data:
                sys.exit(0)
            pending += data
            requests = []
            while len(pending) >= 4 and len(pending) >= 4 + int.from_bytes(pending[:4], "big"):
                n = int.from_bytes(pending[:4], "big")
                requests.append(pending[4:4 + n])
                pending = pending[4 + n:]
            self.answers = []
            for q in requests:
                r = Reader(q[1:])
                self.dispatch(q[0], r.u32(), r)
            answers, self.answers = self.answers, None
            for answer in reversed(answers):
                self.send(answer)


class EndsEarly(Honest):
    """EOF where there is more, while later pieces were sent already."""

    def on_read(self, number, r):
        path, offset, n = self.handles[r.string()], r.u64(), r.u32()
        data = bytes(self.files[path][offset:offset + n])
        self.status(number, EOF) if offset == 0 or not data else self.reply(DATA, number, string(data))


class FailsHalfWay(Honest):
    def on_read(self, number, r):
        path, offset, n = self.handles[r.string()], r.u64(), r.u32()
        if offset >= 100_000 or n > 100_000:
            self.status(number, FAILURE, "the disk \x1b[31mbroke\n")
            return
        self.reply(DATA, number, string(bytes(self.files[path][offset:offset + n])))


class TinyLimits(Honest):
    extensions = [("limits@openssh.com", "1")]

    def on_extended(self, number, r):
        self.reply(EXTENDED_REPLY, number, u64(4096), u64(100), u64(100), u64(1))

    def on_read(self, number, r):
        path, offset, n = self.handles[r.string()], r.u64(), r.u32()
        assert n <= 100 and len(self.handles) <= 1
        data = bytes(self.files[path][offset:offset + n])
        self.reply(DATA, number, string(data)) if data else self.status(number, EOF)

    def on_write(self, number, r):
        path, offset, data = self.handles[r.string()], r.u64(), r.string()
        assert len(data) <= 100
        self.files[path][offset:offset + len(data)] = data
        self.status(number, OK)


class AbsurdLimits(Honest):
    extensions = [("limits@openssh.com", "1")]

    def on_extended(self, number, r):
        self.reply(EXTENDED_REPLY, number, u64(1 << 63), u64((1 << 64) - 1), u64((1 << 64) - 1), u64((1 << 64) - 1))


class RefusesWhatItAnnounced(Honest):
    extensions = [(name, version) for name, version in (
        ("posix-rename@openssh.com", "1"), ("limits@openssh.com", "1"), ("fsync@openssh.com", "1"), ("copy-data", "1"),
        ("expand-path@openssh.com", "1"), ("users-groups-by-id@openssh.com", "1"), ("check-file", "md5,sha1,sha256"))]

    def on_extended(self, number, r):
        self.status(number, OP_UNSUPPORTED, "changed my mind")


# ---- uploads ----------------------------------------------------------------------------------------------


class DiskFull(Honest):
    def on_write(self, number, r):
        path, offset, data = self.handles[r.string()], r.u64(), r.string()
        if offset + len(data) > 100_000:
            self.status(number, FAILURE, "No space left on device")
            return
        self.files[path][offset:offset + len(data)] = data
        self.status(number, OK)


class LosesBytes(Honest):
    """Says OK to every write and keeps nothing of the last ones."""

    def on_write(self, number, r):
        path, offset, data = self.handles[r.string()], r.u64(), r.string()
        if offset < 100_000:
            self.files[path][offset:offset + len(data)] = data[:100]
        self.status(number, OK)


class FailsAtClose(Honest):
    def on_close(self, number, r):
        del self.handles[r.string()]
        self.status(number, FAILURE, "quota exceeded")


class ReadOnlyServer(Honest):
    def on_open(self, number, r):
        path, flags = self.path(r), r.u32()
        if flags & (F_WRITE | F_CREAT | F_TRUNC):
            self.status(number, PERMISSION_DENIED, "Permission denied")
            return
        self.handle(number, path)


# ---- names ------------------------------------------------------------------------------------------------


class BadNames(Honest):
    names = []

    def entries(self, path):
        if path == b"/d":
            for name in self.names:
                yield name, attrs(size=4, mode=st.S_IFREG | 0o644)
        yield from super().entries(path)

    def on_open(self, number, r):
        self.handle(number, self.path(r))

    def attrs_of(self, path):
        return super().attrs_of(path) or attrs(size=4, mode=st.S_IFREG | 0o644)

    def on_read(self, number, r):
        path, offset, n = self.handles[r.string()], r.u64(), r.u32()
        data = bytes(self.files.get(path, b"evil")[offset:offset + n])
        self.reply(DATA, number, string(data)) if data else self.status(number, EOF)


class NamesThatClimb(BadNames):
    names = [b"../evil", b"..", b"../../evil", b"/tmp/evil", b"a/b", b"d/../../evil", b"", b".", b"./x", b"x/", b"/"]


class NamesWithZero(BadNames):
    names = [b"evil\0.txt", b"\0"]


class NamesForTerminals(BadNames):
    names = [b"\x1b[31mred\x1b[0m", b"bell\x07", b"new\nline", b"\x9b31m", b"\xc2\x9b31m", b"back\b\b\bspace", b"cr\rover"]

    longname = b"\x1b]0;title\x07-rw-r--r-- \x1b[2J"


class SameNameTwice(BadNames):
    """A link and then a file of the same name: whoever writes through the link is led away."""

    def entries(self, path):
        if path == b"/d":
            yield b"twin", attrs(size=1, mode=st.S_IFLNK | 0o777)
            yield b"twin", attrs(size=4, mode=st.S_IFREG | 0o644)
            yield b"twins", attrs(size=1, mode=st.S_IFLNK | 0o777)
            yield b"twins", attrs(size=4, mode=st.S_IFDIR | 0o755)
        elif path == b"/d/twins":
            yield b"evil", attrs(size=4, mode=st.S_IFREG | 0o644)
        else:
            yield from super().entries(path)

    def on_readlink(self, number, r):
        name = self.path(r)
        target = b"../../outside/evil" if name.endswith(b"twin") else b"../../outside"
        self.reply(NAME, number, u32(1), string(target), string(b""), attrs())

    def on_opendir(self, number, r):
        self.handle(number, [self.path(r), False])


class EndlessDirectory(Honest):
    """A directory without an end."""

    def on_readdir(self, number, r):
        self.count += 1
        found = [(b"%d-%d" % (self.count, i), attrs(size=0, mode=st.S_IFREG | 0o644)) for i in range(500)]
        self.reply(NAME, number, u32(len(found)), *[string(n) + string(b"l") + a for n, a in found])

    def on_open(self, number, r):
        self.handle(number, b"/d/small")


class MillionEntries(EndlessDirectory):
    def on_readdir(self, number, r):
        self.status(number, EOF) if self.count >= 2000 else super().on_readdir(number, r)


class DeepForEver(Honest):
    """Every directory has a directory in it."""

    def attrs_of(self, path):
        return attrs(size=0, mode=st.S_IFDIR | 0o755)

    def on_opendir(self, number, r):
        self.handle(number, [self.path(r), False])

    def entries(self, path):
        yield b"deeper", attrs(size=0, mode=st.S_IFDIR | 0o755)


if __name__ == "__main__":
    server = globals()[sys.argv[1]]()
    server.left = int(sys.argv[2]) if len(sys.argv) > 2 else None
    server.serve()
