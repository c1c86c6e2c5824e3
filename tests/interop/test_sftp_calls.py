#!/usr/bin/python3
"""Open files, batches and what is put together from requests, against OpenSSH's, paramiko's and our servers."""
import hashlib
import os
import pwd
import subprocess
import tempfile
import unittest
from pathlib import Path

from harness import *

DRIVER = BUILD / "tests" / "interop" / "drive_sftp"
PARAMIKO = ["/usr/bin/python3", str(Path(__file__).resolve().parent / "paramiko_sftp.py")]
SIZE = 5_000_017


class Calls:
    has_hashes = has_names = False

    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(prefix="nacre-calls-")
        self.addCleanup(self.temporary.cleanup)
        self.dir = Path(os.path.realpath(self.temporary.name))
        self.data = os.urandom(SIZE)
        (self.dir / "in").write_bytes(self.data)
        (self.dir / "text").write_text("".join(f"line {i}\n" for i in range(5000)))
        (self.dir / "log").write_text("before")
        (self.dir / "cut").write_text("0123456789")
        (self.dir / "tree").mkdir()
        (self.dir / "tree" / "file").write_text("x")
        (self.dir / "dangling").symlink_to("nowhere")

    def drive(self, scenario):
        result = subprocess.run([str(DRIVER), scenario, *map(str, self.server)], cwd=self.dir, capture_output=True,
                                timeout=DEADLINE, check=False)
        output = result.stdout.decode()
        self.assertTrue(output.endswith("done\n"), (result.stdout, result.stderr))
        return output

    def test_files(self):
        output = self.drive("files")
        end = (self.dir / "text").stat().st_size
        self.assertEqual(output, "copy ended NACRE_END\nlines 5000 NACRE_END\n" f"last  4999\n at {end}\n"
                         "pieces line e 1\n 0\nlog at 6\nbegins before\nlog has 14\nrest 234\n"
                         "x NACRE_SFTP_STATUS\ndone\n")
        self.assertEqual((self.dir / "out").read_bytes(), self.data)
        self.assertEqual((self.dir / "log").read_text(), "beforeone\ntwo\n")
        self.assertEqual((self.dir / "cut").read_text(), "XY234")

    def test_comfort(self):
        output = self.drive("comfort")
        wanted = ["in 1101", "none 0000", "tree 1110", "dangling 0100", f"link {self.dir}/tree/new/deep",
                  f"cwd {self.dir}/tree/new", "walked tree/file", "walked tree/new", "walked tree/new/deep",
                  "walked tree/new/deep/er", "walked tree/new/link", f"refused 150, size {SIZE}"]
        lines = output.splitlines()
        self.assertEqual(lines[:len(wanted)], wanted)
        self.assertEqual(os.readlink(self.dir / "tree/new/link"), "deep")
        # paramiko 3.0 reads at wrong offsets beyond 64 KiB
        sha1 = hashlib.sha1((self.dir / "text").read_bytes()).hexdigest()
        self.assertIn(f"hash NACRE_OK {sha1}" if self.has_hashes else "hash NACRE_UNSUPPORTED", lines)
        me = pwd.getpwuid(os.getuid())
        self.assertIn(f"name NACRE_OK {me.pw_name}" if self.has_names else "name NACRE_UNSUPPORTED ", lines)
        if self.has_names:
            # OpenSSH 9.2 only knows where the session began, which is where sshd starts it: at home.
            self.assertTrue({f"home NACRE_OK {me.pw_dir}", f"home NACRE_OK {self.dir}"} & set(lines), lines)
        for name in ("in", "text", "tree", "dangling"):
            st = os.lstat(self.dir / name)
            if name == "tree":
                self.assertTrue(any(line.startswith("line tree NACRE_OK ") for line in lines), lines)
            else:
                self.assertIn(f"line {name} NACRE_OK {st.st_size} {st.st_mode:o}", lines)


class WithOpenSSH(Calls, unittest.TestCase):
    server = [SFTP_SERVER]
    has_names = True


class WithParamiko(Calls, unittest.TestCase):
    server = PARAMIKO
    has_hashes = True


class WithNacre(Calls, unittest.TestCase):
    server = [BUILD / "apps" / "nacre-sftp-server"]
    has_names = True

    def setUp(self):
        super().setUp()
        sizes = subprocess.run([str(self.server[0]), "-Q", "requests"], capture_output=True, text=True, check=True)
        self.has_hashes = "check-file" in sizes.stdout


if __name__ == "__main__":
    main()
