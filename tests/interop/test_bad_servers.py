#!/usr/bin/python3
"""Our clients and servers that break the rules: an error that names the file, and nothing lost or led astray.

Each scenario is a class of bad_server.py, run by nacre-sftp's -D.
"""
import os
import re
import resource
import subprocess
import sys
import unittest

import bad_server
from harness import *

HERE = pathlib.Path(__file__).resolve().parent


def setUpModule():
    global place
    place = Place()


class Base(unittest.TestCase):
    def setUp(self):
        self.base = place.fresh("base")
        self.dir = self.base / "target"
        self.dir.mkdir(parents=True)
        (self.base / "outside").mkdir()

    def server(self, *scenario):
        script = place.fresh("server")
        script.write_text(f"#!/bin/sh\nexec {sys.executable} -B {HERE / 'bad_server.py'} {' '.join(map(str, scenario))}\n")
        os.chmod(script, 0o755)
        return script

    def sftp(self, scenario, *commands, timeout=DEADLINE, **kwargs):
        """Runs a batch in self.dir; the result has everything that reached the terminal in .text."""
        script = place.fresh("batch")
        script.write_bytes(b"".join(os.fsencode(c) + b"\n" for c in commands))
        result = subprocess.run([NACRE_SFTP, "-b", script, "-D", self.server(scenario)], cwd=self.dir, capture_output=True,
                                timeout=timeout, stdin=subprocess.DEVNULL, **kwargs)
        result.text = result.stdout + result.stderr
        self.assertGreaterEqual(result.returncode, 0, f"{scenario}: ended by a signal\n{result.stderr!r}")
        control = re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]", result.text)
        self.assertIsNone(control, f"{scenario}: a control character reached the terminal: {result.text[-3000:]!r}")
        return result

    def nothing_outside(self):
        self.assertEqual(sorted(os.listdir(self.base)), ["outside", "target"])
        self.assertEqual(os.listdir(self.base / "outside"), [])
        self.assertFalse(os.path.exists("/tmp/evil"))

    def no_leftovers(self, *expected):
        self.assertEqual(sorted(os.listdir(self.dir)), sorted(expected))


class Get(Base):
    """One file from /d/file to a name that is there already, and to one that is not."""

    BREAKS = ["IdNeverAsked", "TwiceAnswered", "AttrsForRead", "OkForRead", "OkForOpen", "NameForOpen", "UnknownReply",
              "RequestToTheClient", "EmptyHandle", "LongHandle", "HugeHandle", "PacketOfNothing", "PacketOf4GiB", "DataBeyondPacket",
              "MoreThanAsked", "EmptyData", "TruncatedReply", "FlagsWithoutData", "ManyExtendedPairs", "HandleForStat", "Version2",
              "SaysNothing", "EndsInTheMiddle", "SizeTooLong", "Size2To63", "SizeAllOnes", "Size2To62", "EndsEarly", "FailsHalfWay"]
    WORKS = ["Honest", "SizeTooShort", "SizeZero", "OneByteReads", "ShortReads", "OutOfOrder", "TinyLimits", "AbsurdLimits",
             "RefusesWhatItAnnounced"]

    def test_what_breaks_leaves_the_target_alone(self):
        for scenario in self.BREAKS:
            with self.subTest(scenario):
                for name in ("old", "new"):
                    (self.dir / "old").write_text("as it was")
                    result = self.sftp(scenario, f"get /d/file {name}")
                    self.assertNotEqual(result.returncode, 0, result.text)
                    self.assertNotEqual(result.stderr.strip(), b"")
                    self.no_leftovers("old")
                    self.assertEqual((self.dir / "old").read_text(), "as it was")

    def test_a_small_file_that_ends_early_is_none(self):
        (self.dir / "old").write_text("as it was")
        result = self.sftp("EndsEarly", "get /d/small old")
        self.assertNotEqual(result.returncode, 0, result.text)
        self.no_leftovers("old")
        self.assertEqual((self.dir / "old").read_text(), "as it was")

    def test_the_error_names_file_and_operation(self):
        for scenario, words in (("FailsHalfWay", [b"/d/file", b"read", b"broke"]), ("EndsEarly", [b"/d/file"]),
                                ("SizeTooLong", [b"/d/file", b"300010"]), ("ReadOnlyServer", None)):
            if words:
                with self.subTest(scenario):
                    result = self.sftp(scenario, "get /d/file new")
                    for word in words:
                        self.assertIn(word, result.stderr)

    def test_what_is_odd_but_right_arrives_whole(self):
        for scenario in self.WORKS:
            with self.subTest(scenario):
                result = self.sftp(scenario, "get /d/file new")
                self.assertEqual(result.returncode, 0, result.text)
                want = bad_server.FILE[:700] if scenario == "OneByteReads" else bad_server.FILE
                self.assertEqual((self.dir / "new").read_bytes(), want)
                (self.dir / "new").unlink()

    def test_memory_is_not_taken_for_a_size(self):
        for scenario in ("Size2To63", "SizeAllOnes", "Size2To62", "PacketOf4GiB", "HugeHandle"):
            with self.subTest(scenario):
                self.sftp(scenario, "get /d/file new",
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (256 << 20, 256 << 20)))
                self.no_leftovers()

    def test_shell_text_is_told(self):
        result = self.sftp("ShellText", "get /d/file new")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"Welcome to the machine", result.stderr)


class Put(Base):
    def put(self, scenario, *options):
        (self.dir / "mine").write_bytes(bad_server.FILE)
        return self.sftp(scenario, " ".join(["put", *options, "mine", "/d/up"]))

    def test_failures_are_told(self):
        for scenario, words in (("DiskFull", [b"No space left"]), ("LosesBytes", [b"/d/up"]), ("FailsAtClose", [b"quota exceeded"]),
                                ("ReadOnlyServer", [b"ermission denied"]), ("OkForOpen", []), ("DataForClose", []),
                                ("EmptyHandle", [])):
            with self.subTest(scenario):
                result = self.put(scenario)
                self.assertNotEqual(result.returncode, 0, result.text)
                for word in words:
                    self.assertIn(word, result.stderr)
                self.assertIn(b"up", result.stderr)

    def test_how_much_is_there_is_said(self):
        self.assertRegex(self.put("DiskFull").stderr, rb"\d+ of 300000 bytes")

    def test_what_is_odd_but_right(self):
        for scenario in ("Honest", "TinyLimits", "AbsurdLimits", "OutOfOrder"):
            with self.subTest(scenario):
                result = self.put(scenario)
                self.assertEqual(result.returncode, 0, result.text)


class Trees(Base):
    def test_names_that_lead_elsewhere(self):
        for scenario in ("NamesThatClimb", "NamesWithZero"):
            with self.subTest(scenario):
                for command in ("get -R /d new", "get -R /d", "get /d/* .", "mget /d/*"):
                    result = self.sftp(scenario, command)
                    self.assertNotEqual(result.returncode, 0, result.text)
                    self.nothing_outside()

    def test_the_good_ones_beside_them_arrive(self):
        self.sftp("NamesThatClimb", "get -R /d new")
        self.assertEqual((self.dir / "new" / "file").read_bytes(), bad_server.FILE)
        self.assertEqual((self.dir / "new" / "small").read_bytes(), b"small\n")
        self.assertEqual(sorted(os.listdir(self.dir / "new")), ["file", "small"])

    def test_a_name_that_comes_twice(self):
        result = self.sftp("SameNameTwice", "get -R /d new")
        self.nothing_outside()
        self.assertNotEqual(result.returncode, 0, result.text)

    def test_terminal_never_sees_raw_names(self):
        for command in ("ls /d", "ls -l /d", "ls -1 /d", "get -R /d new", "get /d/* .", "ls /d/*"):
            self.sftp("NamesForTerminals", command)

    def test_lying_counts(self):
        for command in ("ls /d", "get -R /d new"):
            self.assertNotEqual(self.sftp("CountLies", command).returncode, 0)

    def test_deep_for_ever(self):
        result = self.sftp("DeepForEver", "get -R /d new")
        self.assertNotEqual(result.returncode, 0)
        self.nothing_outside()

    def test_a_million_entries(self):
        """Listed in memory that fits; copied in memory that does not depend on their number."""
        self.sftp("MillionEntries", "ls -f /d",
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30)))
        process = subprocess.Popen([NACRE_SFTP, "-b", "-", "-D", self.server("EndlessDirectory")], cwd=self.dir,
                                   stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.stdin.write(b"get -R /d new\n")
        process.stdin.close()
        wait_until(lambda: os.path.isdir(self.dir / "new") and len(os.listdir(self.dir / "new")) > 3000, "files to arrive")
        with open(f"/proc/{process.pid}/statm") as f:
            self.assertLess(int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"), 300 << 20)


class LocalTrouble(Base):
    def test_a_limit_of_file_size(self):
        """As a quota does: the write fails."""
        (self.dir / "old").write_text("as it was")
        for name in ("old", "new"):
            result = self.sftp("Honest", f"get /d/file {name}",
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(name.encode(), result.stderr)
            self.no_leftovers("old")
            self.assertEqual((self.dir / "old").read_text(), "as it was")

    @unittest.skipUnless(ROOT, "only root can mount a small disk")
    def test_a_disk_that_fills(self):
        small = self.base / "target" / "small"
        small.mkdir()
        script = place.fresh("batch")
        script.write_text("get /d/file old\n")
        inner = f"mount --make-rprivate / 2>/dev/null; mount -t tmpfs -o size=128k none {small} && cd {small} && echo as it was > old && " \
                f"{NACRE_SFTP} -b {script} -D {self.server('Honest')}; s=$?; ls -A; cat old; cd /; umount {small}; exit $s"
        result = run(["unshare", "-m", "--propagation", "unchanged", "sh", "-c", inner])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"No space left on device", result.stderr)
        self.assertEqual(result.stdout.splitlines()[-2:], [b"old", b"as it was"])

    def test_a_target_that_cannot_be_written(self):
        if ROOT:
            result = self.sftp("Honest", "get /d/file /proc/self/nothing")
        else:
            os.chmod(self.dir, 0o555)
            self.addCleanup(os.chmod, self.dir, 0o755)
            result = self.sftp("Honest", "get /d/file new")
        self.assertNotEqual(result.returncode, 0)
        self.no_leftovers()

    def test_cut_at_any_byte(self):
        """The server's output ends after n bytes: whole or as before, nothing between."""
        whole = self.sftp("Honest", "get /d/small new")
        self.assertEqual(whole.returncode, 0)
        (self.dir / "new").unlink()
        outcomes = set()
        for n in [*range(0, 400, 7), 1000]:
            batch = place.fresh("batch")
            batch.write_text("get /d/small old\n")
            (self.dir / "old").write_text("as it was")
            result = subprocess.run([NACRE_SFTP, "-b", batch, "-D", self.server("Honest", n)], cwd=self.dir,
                                    capture_output=True, timeout=DEADLINE, stdin=subprocess.DEVNULL)
            self.assertGreaterEqual(result.returncode, 0)
            text = (self.dir / "old").read_text()
            self.assertIn(text, ("as it was", "small\n"))
            if result.returncode == 0:
                self.assertEqual(text, "small\n")
            outcomes.add(text)
            self.no_leftovers("old")
        self.assertEqual(outcomes, {"as it was", "small\n"})


if __name__ == "__main__":
    main()
