#!/usr/bin/python3
"""nacre-sftp-server and clients that send what no client should: it refuses, in few words and little memory."""
import os
import unittest

from harness import *
from sftp_wire import *

SERVER = [APPS / "nacre-sftp-server"]
ODD_LENGTHS = [0, 1, 3, 5, 255, 257, 4096, 100_000]


def setUpModule():
    global place
    place = Place()


class Base(unittest.TestCase):
    options = []

    def setUp(self):
        self.dir = place.fresh("dir")
        self.dir.mkdir()
        self.s = self.session()

    def session(self):
        s = Session([*SERVER, *self.options])
        self.addCleanup(s.kill)
        return s

    def open(self, name, flags=F_READ | F_WRITE | F_CREAT, mode=0o644):
        return self.s.handle(OPEN, string(self.dir / name), u32(flags), attrs(mode=mode))


class Handles(Base):
    def uses(self, handle):
        """Every request that names a handle."""
        h = string(handle)
        return [(CLOSE, h), (READ, h, u64(0), u32(10)), (WRITE, h, u64(0), string("x")), (FSTAT, h),
                (FSETSTAT, h, attrs(mode=0o600)), (READDIR, h), (EXTENDED, string("fsync@openssh.com"), h),
                (EXTENDED, string("fstatvfs@openssh.com"), h),
                (EXTENDED, string("copy-data"), h, u64(0), u64(0), h, u64(0))]

    def refused(self, handle):
        for request in self.uses(handle):
            with self.subTest(request=request[0], handle=handle[:20]):
                self.assertIn(self.s.status(*request), (FAILURE, BAD_MESSAGE, OP_UNSUPPORTED))

    def test_never_given(self):
        real = self.open("file")
        for length in ODD_LENGTHS:
            self.refused(b"\0" * length)
            self.refused(b"\xff" * length)
        for i in range(len(real)):
            self.refused(real[:i] + bytes([real[i] ^ 1]) + real[i + 1:])
        self.refused(real[:-1])
        self.refused(real + b"\0")
        self.assertTrue(self.s.alive())

    def test_closed_ones_stay_closed(self):
        """The next file in the same place has another handle."""
        old = self.open("file")
        self.assertEqual(self.s.status(CLOSE, string(old)), OK)
        self.refused(old)
        for _ in range(50):
            new = self.open("file")
            self.assertNotEqual(new, old)
            self.refused(old)
            self.assertEqual(self.s.status(CLOSE, string(new)), OK)

    def test_directories_are_no_files(self):
        directory = self.s.handle(OPENDIR, string(self.dir))
        for request in ((READ, string(directory), u64(0), u32(10)), (WRITE, string(directory), u64(0), string("x"))):
            self.assertIn(self.s.status(*request), (FAILURE, BAD_MESSAGE))
        file = self.open("file")
        self.assertIn(self.s.status(READDIR, string(file)), (FAILURE, BAD_MESSAGE))

    def test_another_sessions_handle(self):
        mine = self.open("file")
        other = self.session()
        self.assertIn(other.status(FSTAT, string(mine)), (FAILURE, BAD_MESSAGE))
        self.assertEqual(other.close(), 0)

    def test_there_are_only_so_many(self):
        handles = []
        while True:
            kind, body = self.s.request(OPEN, string(self.dir / "file"), u32(F_READ | F_WRITE | F_CREAT), attrs())
            if kind == STATUS:
                self.assertEqual(body.u32(), FAILURE)
                break
            handles.append(body.string())
            self.assertLess(len(handles), 100_000)
        self.assertGreater(len(handles), 100)
        self.assertEqual(len(set(handles)), len(handles))
        self.assertEqual(self.s.status(CLOSE, string(handles[7])), OK)
        handles[7] = self.open("file")
        for handle in handles:
            self.assertEqual(self.s.status(CLOSE, string(handle)), OK)
        self.assertTrue(self.s.alive())


class Requests(Base):
    def test_numbers_at_their_ends(self):
        h = string(self.open("file"))
        self.assertEqual(self.s.status(WRITE, h, u64(0), string("0123456789")), OK)
        for offset in (10, 1 << 31, 1 << 32, 1 << 62):
            self.assertEqual(self.s.status(READ, h, u64(offset), u32(10)), EOF)
        for offset in ((1 << 63) - 1, 1 << 63, (1 << 64) - 1):
            self.assertIn(self.s.status(READ, h, u64(offset), u32(10)), (EOF, FAILURE, BAD_MESSAGE))
            self.assertIn(self.s.status(WRITE, h, u64(offset), string("x")), (FAILURE, BAD_MESSAGE))
        for length in (1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1):
            kind, body = self.s.request(READ, h, u64(0), u32(length))
            self.assertEqual((kind, body.string()), (DATA, b"0123456789"))
        for size in (1 << 63, (1 << 64) - 1):
            self.assertIn(self.s.status(FSETSTAT, h, attrs(size=size)), (FAILURE, BAD_MESSAGE))
        self.assertEqual(os.path.getsize(self.dir / "file"), 10)

    def test_paths(self):
        for path in (b"a\0b", b"\0", b"x" * 5000, b"x/" * 8000, b"y" * 20_000, b"z" * 200_000):
            for kind, rest in ((OPEN, (u32(F_READ), attrs())), (STAT, ()), (LSTAT, ()), (OPENDIR, ()), (REMOVE, ()),
                               (RMDIR, ()), (MKDIR, (attrs(),)), (SETSTAT, (attrs(mode=0o600),)), (READLINK, ())):
                with self.subTest(kind=kind, path=path[:10], length=len(path)):
                    self.assertIn(self.s.status(kind, string(path), *rest), (NO_SUCH_FILE, FAILURE, BAD_MESSAGE))
        self.assertTrue(self.s.alive())

    def test_odd_flags_of_open(self):
        (self.dir / "there").write_text("kept")
        for flags in (0, F_CREAT, F_TRUNC, F_EXCL, F_CREAT | F_EXCL, 0x40, 0xFFFFFFC0, 0xFFFFFFFF, F_APPEND):
            with self.subTest(flags=flags):
                kind, body = self.s.request(OPEN, string(self.dir / "there"), u32(flags), attrs())
                self.assertIn(kind, (STATUS, HANDLE))
                if kind == HANDLE:
                    self.s.status(CLOSE, string(body.string()))
                if not flags & (F_TRUNC | F_WRITE):
                    self.assertEqual((self.dir / "there").read_text(), "kept")
                (self.dir / "there").write_text("kept")
        self.assertTrue(self.s.alive())

    def test_attributes_that_are_not_there(self):
        """Flags that promise more than follows; counts of extended pairs that cannot be."""
        target = string(self.dir)
        for raw in (u32(A_SIZE), u32(A_UIDGID) + u32(1), u32(A_PERMISSIONS), u32(A_TIMES) + u32(1), u32(A_EXTENDED),
                    u32(A_EXTENDED) + u32(1), u32(A_EXTENDED) + u32(0xFFFFFFFF), u32(A_EXTENDED) + u32(1) + string("a"),
                    u32(A_EXTENDED) + u32(1) + string("a") + u32(0xFFFFFFF0) + b"x", b"", b"\0\0"):
            with self.subTest(raw=raw):
                self.assertEqual(self.s.status(SETSTAT, target, raw), BAD_MESSAGE)
        self.assertTrue(self.s.alive())

    def test_unknown_types_and_extensions(self):
        for kind in (0, 21, 100, 101, 102, 105, 201, 255):
            with self.subTest(kind=kind):
                self.assertIn(self.s.status(kind, string("x")), (OP_UNSUPPORTED, BAD_MESSAGE))
        for name in ("", "nobody@example.com", "x" * 10_000, "fsync@openssh.com\0"):
            self.assertEqual(self.s.status(EXTENDED, string(name), b"rest"), OP_UNSUPPORTED)
        self.assertTrue(self.s.alive())

    def test_truncated_requests_are_refused_one_by_one(self):
        whole = {OPEN: string("/nowhere/x") + u32(F_READ) + attrs(mode=0o600), READ: string(b"abcd") + u64(0) + u32(1),
                 WRITE: string(b"abcd") + u64(0) + string("data"), STAT: string("/nowhere"), REMOVE: string("/nowhere/x"),
                 RENAME: string("/nowhere/a") + string("/nowhere/b"), SYMLINK: string("/nowhere/a") + string("/nowhere/b"),
                 EXTENDED: string("posix-rename@openssh.com") + string("/nowhere/a") + string("/nowhere/b")}
        for kind, body in whole.items():
            for n in range(len(body)):
                with self.subTest(kind=kind, n=n):
                    self.assertIn(self.s.status(kind, body[:n]), (BAD_MESSAGE, OP_UNSUPPORTED))
        self.assertTrue(self.s.alive())


class Ends(Base):
    """What ends the session: afterwards the program is gone, with a status and without a signal."""

    def over(self, data):
        try:
            self.s.send(data)
        except BrokenPipeError:
            pass
        return self.s.close()

    def test_lengths_that_cannot_be(self):
        for length in (0, 1, 4, 256 * 1024 + 1, 1 << 24, 1 << 31, (1 << 32) - 1):
            with self.subTest(length=length):
                self.s = self.session()
                self.assertGreater(self.over(u32(length) + b"\x11" + b"\0" * 64), 0)

    def test_cut_anywhere(self):
        """At any byte of a request the input ends: no crash, and nothing half done."""
        request = packet(WRITE, u32(2), string(b"0123"), u64(0), string(b"data"))
        for n in range(1, len(request)):
            self.s = self.session()
            self.assertGreaterEqual(self.over(request[:n]), 0)

    def test_second_init(self):
        self.s.send(packet(INIT, u32(3)))
        self.assertGreaterEqual(self.s.close(), 0)

    def test_no_init(self):
        for first in (packet(STAT, u32(1), string("/")), packet(VERSION, u32(3)), packet(INIT, b"\0\0"), b"SSH-2.0-x\r\n"):
            with self.subTest(first=first):
                result = run(SERVER, stdin=first)
                self.assertNotIn(b"\0\0\0\x0b", result.stdout[:4])
                self.assertGreaterEqual(result.returncode, 0)


class ManyRequests(Base):
    def test_without_reading_the_answers(self):
        """Answers that nobody reads stop the reading of requests; memory stays where it is."""
        make_file(self.dir / "file", 1 << 20)
        h = self.open("file", F_READ)
        request = packet(READ, u32(9), string(h), u64(0), u32(255 * 1024))
        os.set_blocking(self.s.process.stdin.fileno(), False)
        sent = 0
        try:
            while sent < 100_000:
                n = self.s.process.stdin.write(request * 100)
                if n is None or n < len(request) * 100:
                    break
                sent += 100
        except BlockingIOError:
            pass
        self.assertLess(sent, 100_000)
        # It stands still with what it has: far below the 25 GB that were asked for.
        wait_until(lambda: "S" in state(self.s.process.pid), "the server to wait")
        self.assertLess(memory(self.s.process.pid), 64 << 20)


class Cut(unittest.TestCase):
    """The connection ends somewhere in an upload: the server goes on, its process for it ends, the file closes."""

    def test_an_upload_cut_at_many_places(self):
        server = nacre_server(place)
        source = make_file(place.fresh("source"), 400_000)
        for limit in [*range(1500, 7000, 550), 50_000, 200_000, 399_000]:
            with self.subTest(limit=limit):
                proxy = CuttingProxy(server.port, limit)
                options = client_options(place, server, extra=["HostKeyAlias=[127.0.0.1]:%d" % server.port])
                script = place.fresh("batch")
                script.write_text(f"put {source} {place.fresh('up')}\n")
                result = run(["sftp", "-b", script, "-P", proxy.port, *options, f"{ME}@127.0.0.1"])
                self.assertNotEqual(result.returncode, 0)
                proxy.thread.join(DEADLINE)
                self.assertTrue(proxy.cut)
                self.assertTrue(server.alive())
        wait_until(lambda: run(["pgrep", "-P", server.process.pid]).stdout == b"", "the sessions' processes to end")
        server.stop()


def state(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def memory(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class ReadOnly(Base):
    options = ["-R"]

    def test_nothing_changes_by_any_request(self):
        """Every request that could change something, by path and by handle."""
        (self.dir / "file").write_text("as it was")
        (self.dir / "sub").mkdir()
        os.symlink("file", self.dir / "link")
        before = self.look()
        path, new = string(self.dir / "file"), string(self.dir / "new")
        h = string(self.s.handle(OPEN, path, u32(F_READ), attrs()))
        refused = [(OPEN, new, u32(F_WRITE | F_CREAT), attrs()), (OPEN, new, u32(F_READ | F_CREAT), attrs()),
                   (OPEN, path, u32(F_READ | F_TRUNC), attrs()), (OPEN, path, u32(F_READ | F_WRITE), attrs()),
                   (OPEN, path, u32(F_WRITE), attrs()), (OPEN, path, u32(F_APPEND), attrs()),
                   (OPEN, path, u32(F_READ | F_APPEND), attrs()),
                   (WRITE, h, u64(0), string("x")), (FSETSTAT, h, attrs(size=1)), (FSETSTAT, h, attrs(mode=0o777)),
                   (SETSTAT, path, attrs(size=1)), (SETSTAT, path, attrs(mode=0o777)), (SETSTAT, path, attrs(times=(1, 1))),
                   (REMOVE, path), (MKDIR, new, attrs()), (RMDIR, string(self.dir / "sub")), (RENAME, path, new),
                   (SYMLINK, path, new), (EXTENDED, string("posix-rename@openssh.com"), path, new),
                   (EXTENDED, string("hardlink@openssh.com"), path, new),
                   (EXTENDED, string("lsetstat@openssh.com"), string(self.dir / "link"), attrs(times=(1, 1))),
                   (EXTENDED, string("copy-data"), h, u64(0), u64(0), h, u64(0)),
                   (EXTENDED, string("fsync@openssh.com"), h)]
        for request in refused:
            with self.subTest(request=request):
                kind, body = self.s.request(*request)
                self.assertEqual(kind, STATUS)
                self.assertIn(body.u32(), (PERMISSION_DENIED, OP_UNSUPPORTED, FAILURE, BAD_MESSAGE))
        self.assertEqual(self.look(), before)
        kind, body = self.s.request(READ, h, u64(0), u32(100))
        self.assertEqual((kind, body.string()), (DATA, b"as it was"))

    def look(self):
        return sorted((e.name, e.stat(follow_symlinks=False).st_mode, e.stat(follow_symlinks=False).st_mtime_ns,
                       e.is_file(follow_symlinks=False) and (self.dir / e.name).read_bytes()) for e in os.scandir(self.dir))


if __name__ == "__main__":
    main()
