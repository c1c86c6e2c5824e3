#!/usr/bin/python3
"""One file by the library's transfers: streams, resume, verify, copies, against OpenSSH's and our server."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import *

DRIVER = BUILD / "tests" / "interop" / "drive_transfer"
SIZE = 3_000_017


class Transfers:
    has_hashes = False

    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="nacre-transfers-")
        self.addCleanup(self.temporary.cleanup)
        self.dir = Path(os.path.realpath(self.temporary.name))
        self.data = os.urandom(SIZE)
        self.source, self.target = self.dir / "source", self.dir / "target"
        self.source.write_bytes(self.data)
        self.source.chmod(0o640)

    def drive(self, *args):
        result = subprocess.run([str(DRIVER), *args, str(self.source), str(self.target), "--", *map(str, self.server)],
                                cwd=self.dir, capture_output=True, timeout=DEADLINE, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.decode().split(" ", 1)[0]

    def whole(self):
        self.assertEqual(self.target.read_bytes(), self.data)
        self.assertEqual(sorted(os.listdir(self.dir)), ["source", "target"])

    def test_every_way(self):
        for operation in ("get", "put", "getfo", "putfo", "copy"):
            for options in ([], ["atomic", "sync"]):
                with self.subTest(operation, options=options):
                    self.assertEqual(self.drive(operation, *options), "NACRE_OK")
                    self.whole()
                    self.assertEqual(self.drive(operation, *options), "NACRE_OK")  # over what is there
                    self.whole()
                    self.target.unlink()

    def test_preserve(self):
        os.utime(self.source, (1_100_000_000, 1_000_000_000))
        for operation in ("get", "put", "copy"):
            with self.subTest(operation):
                self.assertEqual(self.drive(operation, "preserve"), "NACRE_OK")
                self.assertEqual(self.target.stat().st_mtime, 1_000_000_000)
                self.assertEqual(self.target.stat().st_mode & 0o7777, 0o640)
                self.target.unlink()

    def test_resume(self):
        for operation in ("get", "put"):
            for there in (0, 1, 1_500_000, SIZE):
                with self.subTest(operation, there=there):
                    self.target.write_bytes(self.data[:there])
                    self.assertEqual(self.drive(operation, "resume"), "NACRE_OK")
                    self.whole()
            for other in (self.data[:1_000_000] + b"x", self.data + b"x"):
                with self.subTest(operation, other=len(other)):
                    self.target.write_bytes(other)
                    self.assertEqual(self.drive(operation, "resume"), "NACRE_MISMATCH")
                    self.assertEqual(self.target.read_bytes(), other)
            self.target.unlink()

    def test_verify(self):
        for operation in ("get", "put", "getfo", "putfo"):
            with self.subTest(operation):
                if self.has_hashes:
                    self.assertEqual(self.drive(operation, "verify"), "NACRE_OK")
                    self.whole()
                else:
                    self.assertEqual(self.drive(operation, "verify"), "NACRE_UNSUPPORTED")

    def test_a_fifo(self):
        os.mkfifo(self.target)
        reader = subprocess.Popen(["/bin/cat", self.target], stdout=subprocess.PIPE)
        self.addCleanup(reader.stdout.close)
        self.addCleanup(reader.wait)
        driver = subprocess.Popen([str(DRIVER), "get", str(self.source), str(self.target), "--", *map(str, self.server)],
                                  stdout=subprocess.DEVNULL)
        self.assertEqual(reader.stdout.read(), self.data)
        self.assertEqual(driver.wait(DEADLINE), 0)

    def test_onto_itself(self):
        self.target.symlink_to("source")
        self.assertEqual(self.drive("copy"), "NACRE_INVALID_ARGUMENT")
        self.assertEqual(self.source.read_bytes(), self.data)


class OpenSSH(Transfers, unittest.TestCase):
    server = [SFTP_SERVER]


class Ours(Transfers, unittest.TestCase):
    server = [BUILD / "apps" / "nacre-sftp-server"]
    has_hashes = True


if __name__ == "__main__":
    unittest.main(verbosity=2)
