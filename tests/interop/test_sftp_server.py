#!/usr/bin/python3
"""nacre-sftp-server on pipes: every command of OpenSSH's sftp, every option, check-file as paramiko asks for it."""
import hashlib
import os
import stat
import unittest
import zlib

import paramiko

from harness import *
from sftp_wire import *

SERVER = APPS / "nacre-sftp-server"


def setUpModule():
    global place
    place = Place()


class Base(unittest.TestCase):
    def setUp(self):
        self.dir = place.fresh("dir")
        self.dir.mkdir()

    def file(self, name, data=b"text\n", mode=0o644):
        path = self.dir / name
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def sftp(self, *lines, options=(), check=0):
        """OpenSSH's sftp over our server, begun in the test's directory."""
        script = place.fresh("batch")
        script.write_text("".join(line + "\n" for line in lines))
        command = " ".join([str(SERVER), *map(str, options)])
        return run(["sftp", "-D", command, "-b", script], check=check)

    def here(self, *lines, **kwargs):
        return self.sftp(f"cd {self.dir}", *lines, **kwargs)

    def session(self, *options):
        s = Session([SERVER, *options])
        self.addCleanup(s.kill)
        return s


class Commands(Base):
    """OpenSSH's client uses an extension for each of these where the server offers it."""

    def test_files(self):
        data = make_file(place.fresh("data"), 3_000_001)
        self.here(f"put {data} up", f"put -p {data} kept", f"get up {self.dir}/down")
        self.assertEqual(digest(self.dir / "down"), digest(data))
        self.assertEqual((self.dir / "kept").stat().st_mtime, int(data.stat().st_mtime))
        half = self.dir / "half"
        half.write_bytes(data.read_bytes()[:1_000_000])
        self.here(f"reget up {half}")
        self.assertEqual(digest(half), digest(data))

    def test_trees(self):
        tree = place.fresh("tree")
        (tree / "a" / "b").mkdir(parents=True)
        (tree / "a" / "b" / "f").write_bytes(b"f")
        (tree / "empty").mkdir()
        self.here(f"put -R {tree} up", f"get -R up {self.dir}/down")
        self.assertEqual((self.dir / "down" / "a" / "b" / "f").read_bytes(), b"f")
        self.assertTrue((self.dir / "down" / "empty").is_dir())

    def test_copy(self):
        data = os.urandom(40_000_003)  # several turns of the server
        self.file("from", data)
        self.here("cp from to")
        self.assertEqual((self.dir / "to").read_bytes(), data)
        self.assertNotEqual(self.here("cp from from", check=None).returncode, 0)

    def test_links(self):
        self.file("f")
        self.here("ln f hard", "ln -s f soft", "ls -l")
        self.assertEqual((self.dir / "hard").stat().st_nlink, 2)
        self.assertEqual(os.readlink(self.dir / "soft"), "f")
        self.assertNotEqual(self.here("ln f hard", check=None).returncode, 0)

    def test_rename(self):
        self.file("a", b"a")
        self.file("b", b"b")
        self.here("rename a b")  # by posix-rename: replaces
        self.assertEqual((self.dir / "b").read_bytes(), b"a")
        self.assertNotEqual(self.here("rename none c", check=None).returncode, 0)
        self.file("a", b"a")
        result = self.here("rename -l a b", check=None)  # the protocol's own: does not
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual((self.dir / "a").read_bytes(), b"a")

    def test_attributes(self):
        f = self.file("f")
        self.here("chmod 640 f")
        self.assertEqual(stat.S_IMODE(f.stat().st_mode), 0o640)
        self.here(f"chown {os.getuid()} f", f"chgrp {os.getgid()} f")
        if ROOT:
            (self.dir / "l").symlink_to("f")
            self.here("chown 12 f", "chgrp 13 f", "chown -h 14 l", "chgrp -h 15 l", "chmod -h 600 f")
            self.assertEqual((f.stat().st_uid, f.stat().st_gid), (12, 13))
            link = (self.dir / "l").lstat()
            self.assertEqual((link.st_uid, link.st_gid), (14, 15))

    def test_directories(self):
        self.here("mkdir d", "mkdir d/e", "rmdir d/e", "rmdir d")
        self.file("f")
        self.here("rm f")
        self.assertEqual(list(self.dir.iterdir()), [])
        self.assertNotEqual(self.here("rmdir none", check=None).returncode, 0)

    def test_df(self):
        v = os.statvfs(self.dir)
        text = self.here("df").stdout.decode()
        self.assertEqual(int(text.splitlines()[-1].split()[0]), v.f_frsize * v.f_blocks // 1024)
        self.here("df -hi")

    def test_listing(self):
        self.file("f", b"12345", 0o4751)
        (self.dir / "d").mkdir()
        for i in range(250):
            self.file(f"n{i:03}", b"")
        lines = [l.split() for l in self.here("ls -la").stdout.decode().splitlines() if not l.startswith("sftp>")]
        rows = {l[-1]: l for l in lines}
        self.assertEqual(len(rows), 254)
        self.assertEqual(rows["f"][0], "-rwsr-x--x")
        self.assertEqual(rows["f"][4], "5")
        self.assertEqual(rows["d"][0][0], "d")
        self.assertEqual(rows["f"][2], ME)

    def test_paths(self):
        self.assertIn(str(self.dir).encode(), self.here("pwd").stdout)
        self.assertEqual(run([SERVER], stdin=b"", check=0).stdout, b"")
        s = self.session("-d", self.dir)
        home = os.path.realpath(os.path.expanduser("~"))
        for name, given, expected in (("expand-path@openssh.com", "~/x", f"{home}/x"), ("home-directory", ME, home),
                                      ("expand-path@openssh.com", f"~{ME}", home),
                                      ("expand-path@openssh.com", "x/../y", None),
                                      ("expand-path@openssh.com", "y", f"{self.dir}/y")):
            kind, body = s.request(EXTENDED, string(name), string(given))
            if expected is None:
                self.assertEqual((kind, body.u32()), (STATUS, NO_SUCH_FILE))
            else:
                self.assertEqual((kind, body.u32(), body.string()), (NAME, 1, os.path.realpath(expected).encode()))

    def test_names_of_numbers(self):
        s = self.session()
        kind, body = s.request(EXTENDED, string("users-groups-by-id@openssh.com"), string(u32(os.getuid()) + u32(4294967290)),
                               string(u32(0)))
        self.assertEqual(kind, EXTENDED_REPLY)
        self.assertEqual(body.string(), string(ME) + string(""))
        self.assertEqual(body.string(), string("root"))

    def test_names_of_very_many_numbers(self):
        s = self.session()
        row = b"".join(u32(4000000000 + i) for i in range(4096))
        kind, body = s.request(EXTENDED, string("users-groups-by-id@openssh.com"), string(row), string(""))
        self.assertEqual((kind, body.string()), (EXTENDED_REPLY, string("") * 4096))
        self.assertEqual(s.status(EXTENDED, string("users-groups-by-id@openssh.com"), string(row), string(u32(0))), FAILURE)

    def test_fsync_and_limits(self):
        s = self.session()
        h = s.handle(OPEN, string(self.file("f")), u32(F_WRITE), attrs())
        self.assertEqual(s.status(EXTENDED, string("fsync@openssh.com"), string(h)), OK)
        kind, body = s.request(EXTENDED, string("fstatvfs@openssh.com"), string(h))
        self.assertEqual((kind, body.u64()), (EXTENDED_REPLY, os.statvfs(self.dir).f_bsize))
        kind, body = s.request(EXTENDED, string("limits@openssh.com"))
        self.assertEqual((kind, body.u64()), (EXTENDED_REPLY, 256 * 1024))


class Options(Base):
    def test_read_only(self):
        f = self.file("f", b"before")
        for line in ("put /dev/null f", "put /dev/null g", "rm f", "mkdir d", "rename f g", "ln f g", "ln -s f g",
                     "chmod 600 f", "cp f g"):
            with self.subTest(line):
                self.assertNotEqual(self.here(line, options=["-R"], check=None).returncode, 0)
        self.assertEqual([p.name for p in self.dir.iterdir()], ["f"])
        self.assertEqual((f.read_bytes(), stat.S_IMODE(f.stat().st_mode)), (b"before", 0o644))
        self.here(f"get f {self.dir}/got", options=["-R"])
        self.assertEqual((self.dir / "got").read_bytes(), b"before")

    def test_denied(self):
        self.file("f")
        self.assertNotEqual(self.here("rm f", options=["-P", "remove,mkdir"], check=None).returncode, 0)
        self.assertNotEqual(self.here("mkdir d", options=["-P", "remove,mkdir"], check=None).returncode, 0)
        self.here(f"get f {self.dir}/g", options=["-P", "remove,mkdir"])
        s = self.session("-P", "check-file,check-file-name,check-file-handle,posix-rename")
        self.assertFalse([e for e in s.extensions if e.startswith(("check-file", "posix"))])

    def test_allowed(self):
        self.file("f")
        few = "open,close,read,stat,lstat,fstat,realpath,limits"
        self.here(f"get f {self.dir}/g", options=["-p", few])
        for line in ("rm f", "mkdir d", "put f x"):
            with self.subTest(line):
                self.assertNotEqual(self.here(line, options=["-p", few], check=None).returncode, 0)
        self.assertNotEqual(self.here(f"get f {self.dir}/h", options=["-p", few, "-P", "read"], check=None).returncode, 0)

    def test_umask(self):
        for mask in (0o77, 0o27):
            self.here(f"put {self.file('f', mode=0o666)} up{mask}", f"mkdir d{mask}", options=["-u", f"{mask:o}"])
            self.assertEqual(stat.S_IMODE((self.dir / f"up{mask}").stat().st_mode), 0o666 & ~mask)
            self.assertEqual(stat.S_IMODE((self.dir / f"d{mask}").stat().st_mode), 0o777 & ~mask)

    def test_start(self):
        self.assertIn(f"{self.dir}".encode(), self.sftp("pwd", options=["-d", self.dir]).stdout)
        home = os.path.expanduser("~")
        self.assertIn(home.encode(), self.sftp("pwd", options=["-d", "%d"]).stdout)
        self.assertEqual(run([SERVER, "-d", "/nonexistent"]).returncode, 255)
        self.assertEqual(run([SERVER, "-P", "nonsense"]).returncode, 255)

    def test_log(self):
        self.file("logged")
        result = self.here("rm logged", options=["-e", "-l", "INFO"])
        self.assertIn(b"logged", result.stderr)
        self.assertNotIn(b"logged", self.here("ls", options=["-e", "-l", "ERROR"]).stderr)
        for wrong in (["-l", "LOUD"], ["-f", "NOWHERE"], ["-u", "9"], ["-P", "nonsense"], ["-p", "nonsense"], ["-x"]):
            self.assertNotEqual(run([SERVER, *wrong]).returncode, 0, wrong)
        self.assertIn(b"usage", run([SERVER, "-h"]).stderr)

    def test_requests(self):
        ours = run([SERVER, "-Q", "requests"], check=0).stdout.decode().split()
        self.assertEqual(len(set(ours)), len(ours))
        theirs = run([SFTP_SERVER, "-Q", "requests"], check=0).stdout.decode().split()
        self.assertLessEqual(set(theirs), set(ours))
        self.assertIn("check-file", ours)


class CheckFile(Base):
    algorithms = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")

    def check(self, s, name, which, algorithms, offset=0, length=0, block=0):
        kind, body = s.request(EXTENDED, string(name), string(which), string(algorithms), u64(offset), u64(length),
                               u32(block))
        if kind == STATUS:
            return body.u32()
        self.assertEqual(kind, EXTENDED_REPLY)
        if name == "check-file":
            self.assertEqual(body.string(), b"check-file")
        return body.string().decode(), body.data

    def test_all_algorithms(self):
        data = os.urandom(1_000_000)
        f = self.file("f", data)
        s = self.session()
        self.assertEqual(set(s.extensions["check-file"].decode().split(",")), {*self.algorithms, "crc32"})
        for algorithm in self.algorithms:
            self.assertEqual(self.check(s, "check-file-name", f, algorithm),
                             (algorithm, hashlib.new(algorithm, data).digest()))
        self.assertEqual(self.check(s, "check-file-name", f, "crc32"), ("crc32", u32(zlib.crc32(data))))

    def test_blocks(self):
        data = os.urandom(100_000)
        s = self.session()
        h = s.handle(OPEN, string(self.file("f", data)), u32(F_READ), attrs())
        for offset, length, block in ((0, 0, 4096), (1, 1000, 256), (99_000, 5000, 300), (100_000, 0, 0), (5, 0, 99_999)):
            end = min(len(data), offset + length) if length else len(data)
            part = data[offset:end]
            blocks = [part[i:i + block] for i in range(0, len(part), block)] if block else [part]
            for name in ("check-file", "check-file-handle"):
                self.assertEqual(self.check(s, name, h, "none,sha256", offset, length, block),
                                 ("sha256", b"".join(hashlib.sha256(b).digest() for b in blocks)))
        self.assertEqual(self.check(s, "check-file", h, "md5", 0, 0, 255), FAILURE)
        self.assertEqual(self.check(s, "check-file", h, "md6"), FAILURE)

    def test_who_may(self):
        f = self.file("f", b"x")
        s = self.session()
        h = s.handle(OPEN, string(f), u32(F_WRITE), attrs())
        self.assertEqual(self.check(s, "check-file", h, "md5"), PERMISSION_DENIED)
        self.assertEqual(self.check(s, "check-file", b"\0" * 16, "md5"), FAILURE)
        self.assertEqual(self.check(s, "check-file-name", self.dir, "md5"), FAILURE)
        self.assertEqual(self.check(s, "check-file-name", self.dir / "none", "md5"), NO_SUCH_FILE)
        self.assertEqual(self.check(self.session("-P", "read"), "check-file-name", f, "md5"), PERMISSION_DENIED)
        self.assertEqual(self.check(self.session("-R"), "check-file-name", f, "md5"), ("md5", hashlib.md5(b"x").digest()))

    def test_nobody_waits_any_more(self):
        """A file without an end is hashed for as long as somebody is there."""
        s = self.session()
        s.send(packet(EXTENDED, u32(1), string("check-file-name"), string("/dev/zero"), string("md5"), u64(0), u64(0), u32(0)))
        s.process.stdin.close()
        s.process.stdout.close()
        self.assertIsNotNone(s.process.wait(DEADLINE))

    def test_paramiko(self):
        server = nacre_server(place)
        client = paramiko.SSHClient()
        client.load_host_keys(str(place.known_hosts(server.port)))
        client.connect("127.0.0.1", server.port, ME, key_filename=str(place.keys["ed25519"]), look_for_keys=False,
                       allow_agent=False)
        data = os.urandom(20_000_000)
        path = self.file("f", data)
        with client.open_sftp() as files, files.open(str(path), "rb") as f:
            self.assertEqual(f.check("sha1"), hashlib.sha1(data).digest())
            self.assertEqual(f.check("md5", 10, 1000, 512),
                             hashlib.md5(data[10:522]).digest() + hashlib.md5(data[522:1010]).digest())
            with self.assertRaises(OSError):
                f.check("md6")
            # A long one holds up nobody else: another session answers before it does.
            with client.open_sftp() as other:
                self.assertEqual(other.stat(str(path)).st_size, len(data))
        client.close()
        server.stop()


if __name__ == "__main__":
    main()
