#!/usr/bin/python3
"""nacre-sftp beside OpenSSH's sftp: the same commands on the same server, output, exit status and files compared; then
what a person at a terminal does with it."""
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import unittest

import trees
from harness import *
from test_terminal import TerminalTest

SERVERS = {"sftp-server": SFTP_SERVER, "nacre-sftp-server": str(APPS / "nacre-sftp-server")}


def setUpModule():
    global place
    place = Place()


def make_corner(root):
    """A small tree with something of each kind, always the same."""
    (root / "d1").mkdir(parents=True)
    (root / "d2/sub/empty").mkdir(parents=True)
    (root / "d1/a").write_text("1")
    (root / "d1/.hidden").write_text("12")
    (root / "d2/x y").write_text("123")
    (root / "d2/sub/deep").write_text("deep")
    (root / "f").write_text("content\n")
    (root / "f2").write_text("more content\n")
    (root / "old*").write_text("a star")
    (root / "big").write_bytes(b"0123456789" * 9999)
    (root / "grün").write_text("green")
    (root / "part").write_text("cont")
    os.symlink("d1", root / "ld")
    os.symlink("f", root / "lf")
    os.symlink("nowhere", root / "dangling")
    (root / "here").mkdir()
    (root / "here/local").write_text("local\n")
    (root / "here/local2").write_text("local2\n")
    os.chmod(root / "f2", 0o600)
    for directory, directories, files in os.walk(root, topdown=False):
        for i, name in enumerate(sorted(directories + files)):
            os.utime(os.path.join(directory, name), (1100000000, 1200000000 + i), follow_symlinks=False)


# Each is a batch. Both programs must say the same, end the same and leave the same files.
SAME = [
    # where we are
    "pwd", "lpwd", "cd d1;pwd", "cd d1;cd;pwd", "cd ld;pwd", "cd nope", "cd f", "cd ''", "CD d1;PWD", "chdir d2;pwd", "cd 'd2'/sub;pwd",
    "lcd here;lpwd", "lchdir here;lpwd", "lcd nope", "lcd f", "lcd here/local", "cd -x",
    # listings
    "ls", "ls -1", "ls -a", "ls -1a", "ls -l", "ls -la", "ls -ln", "ls -n", "ls -lh", "ls -h", "ls -lt", "ls -ltr", "ls -1t",
    "ls -1r", "ls -l -1", "ls -1 -l", "ls -hl1", "ls -z", "ls -1z", "dir -1", "ls d1", "ls -1 d1", "ls -l d1", "ls -la d1",
    "ls -1 ./d1", "ls -1 d1/", "ls -l f", "ls -n f", "ls -lh big", "ls -l lf", "ls -l dangling", "ls -l ld", "ls -1 ld", "ls -1 d*", "ls -1 f*",
    "ls -l f*", "ls -l d?", "ls -lt f*", "ls -lS f*", "ls -lSr f*", "ls -1 [df]*", "ls -1 {f,d1}", "ls -1 {f,f2}", "ls -l {f,b}*", 
    "ls -1 l*", "ls -l l*", "ls -1 'old*'", "ls -1 old\\*", "ls -1 nope", "ls nope*", "ls -1 */sub", "ls -1 d2/*",
    "cd d2;ls -1", "cd d2;ls -1 ..", "cd d2;ls -1 ../f*", "ls -1 d2/sub/empty", "ls d2/sub/empty", "ls -1 gr*", "ls -1 \"d2/x y\"", "ls -1 d2/x\\ y",
    "ls -1 dangling", "ls -1 f/x",
    # space; figures change while others write
    "df -z",
    # attributes
    "chmod 600 f;ls -l f", "chmod 640 f*;ls -l f*", "chmod 600 nope", "chmod 600 nope*", "chmod 600 nope f;ls -l f", "chmod x f", "chmod 900 f",
    "chmod 600", "chmod", "chmod -z 600 f", "chmod 755 d1;ls -l d1/..", "chmod 4755 f;ls -l f", "chown x f", "chown nope", "chgrp f", "chown 0 nope",
    "chown -1 f", "chmod -- 640 f;ls -l f",
    # names
    "mkdir new;ls -1", "mkdir d1", "mkdir", "mkdir d1/b/c", "mkdir 'a b';ls -1", "rmdir d2/sub/empty;ls -1 d2/sub", "rmdir d2", "rmdir nope", "rmdir",
    "rmdir f", "rm f;ls -1", "rm f*;ls -1", "rm nope", "rm nope*", "rm d1", "rm", "rm 'old*';ls -1", "rm lf;ls -1", "rename f g;ls -1", "rename f f2;ls -1",
    "rename nope g", "rename f", "rename -z f g", "rename -l f f2;ls -1", "rename -l f g;ls -1", "rename 'old*' new;ls -1", "ln f hard;ls -1",
    "ln nope hard", "ln f f2", "ln f", "ln -z f g", "ln -s f soft;ls -l soft", "ln -s f f2", "symlink f soft;ls -1", "symlink f", "ln -s d1 f2",
    "lmkdir new", "lmkdir d1", "lmkdir", "cp f copy;ls -1", "copy f copy;ls -1", "cp d1 copy", "cp nope copy", "cp f", "cp f nope/x",
    # transfers
    "get f here/g", "get f here", "get f here/", "get f* here", "get nope", "get nope here/x", "get nope*", "get f f3", "get d1", "get d1 here", "get f nope/x",
    "get", "get -z f", "get f2 here/p", "get -p f2 here/p", "get -P f2 here", "get f* nope", "get 'old*' here", "get old\\* here/q", "get lf here", "mget f* here",
    "get dangling here", "lcd here;get f", "lcd here;get ../f", "get /etc/nope here", "get -f f here", "get d2/x\\ y 'here/x z'", "get \"d2/x y\" here",
    "get -R d1 here", "get -r d1 here", "get -R d1 here/d9", "get -Rp d1 here", "get -R f here", "get -R f* here", "get -R d1 here/local",
    "put f d1", "put f d1/", "put f d1/g", "cd d1;put f", "put nope", "put nope d1", "put nope*", "put f* d1", "put f* f", "put d1", "put d1 d2", "put f nope/x", "put",
    "put -z f", "put -p f2 d1", "put f2 d1/p", "put -f f d1", "put lf d1", "put dangling d1", "mput f* d1", "put 'old*' d1", "put old\\* d1/q", "lcd here;put local",
    "lcd here;put local* ../d1", "put -R d1 here", "put -r d1 here", "put -R d1 here/d9", "put -Rp d1 here", "put -R f d1", "put -R d1 f",
    "put part d1;ls -l d1/part", "reget f part", "reget f here/new", "reget f f", "get -a f part", "reput part f", "put -a part lf",
    # this machine
    "!echo hello", "! echo hello", "!echo 'a  b' \"c\"", "!exit 3", "!false;pwd", "lls here", "lls -1 d1", "lls nope;pwd", "lls 'd2/x y'", "lls -1 d*", "lumask 022",
    "lumask 077;get f here/m", "lumask 9", "lumask", "lumask x", "version", "progress", "progress;progress",
    # lines
    "", "   ", "# a comment", "pwd # a comment", "bye;pwd", "exit;pwd", "quit;pwd", "BYE;pwd", "nope", "nope;pwd", "-nope;pwd", "@pwd", "-@pwd", "@-nope;pwd", "@nope;pwd",
    "- nope;pwd", "@ pwd", "ls 'open", "ls \"open", "  pwd", "\tpwd", "get nope;pwd", "-get nope;pwd", "put nope;pwd", "-put nope;pwd", "rm nope;pwd",
    "-rm nope;pwd", "mkdir d1;pwd", "-mkdir d1;pwd", "ls nope;pwd", "-ls nope;pwd", "lcd nope;pwd", "lmkdir d1;pwd", "chmod 600 nope;pwd",
    "-chmod x f;pwd", "rename nope x;pwd", "ln nope x;pwd", "cp nope x;pwd", "symlink a f;pwd", "cd nope;pwd", "-get f nope/x;pwd", "?", "help",
]

# What OpenSSH says of these is its own matter: the first words must be the same, or nothing but the exit status and the files.
HELP = {"?", "help"}


class BesideOpenSSH(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.corner = place.fresh("corner")

    def tearDown(self):
        shutil.rmtree(self.corner, ignore_errors=True)

    def said(self, program, batch, server, *args):
        """stdout, stderr, status, and what the files are then."""
        shutil.rmtree(self.corner, ignore_errors=True)
        make_corner(self.corner)
        script = place.path("batch")
        script.write_text("".join(line + "\n" for line in batch.split(";")))
        result = run(["env", "-C", self.corner, "LC_ALL=C.UTF-8", program, "-b", script, *args, "-D", server])
        lines = [re.sub(rb" +$", b"", line) for line in result.stdout.splitlines()]
        return lines, plain(result.stderr).splitlines(), result.returncode, trees.snapshot(self.corner)

    def compare(self, batch, server, *args):
        theirs = self.said("sftp", batch, server, *args)
        ours = self.said(NACRE_SFTP, batch, server, *args)
        self.assertEqual(ours[2], theirs[2], f"exit status\n{ours[1]}\n{theirs[1]}")
        self.assertEqual(self.without_times(ours[0], batch), self.without_times(theirs[0], batch))
        if batch in HELP:
            return
        self.assertEqual(len(ours[1]) > 0, len(theirs[1]) > 0, f"{ours[1]}\n{theirs[1]}")
        if batch not in OUR_WORDS:
            self.assertEqual(ours[1], theirs[1])
        self.assertEqual(ours[3], theirs[3])

    @staticmethod
    def without_times(lines, batch):
        """Of help only the commands; of what was made just now not the minute."""
        if batch in HELP:
            return sorted({line.split()[0] for line in lines if re.match(rb"[a-z]", line)})
        if re.match(r"ls( -a| -h)?( [^-]\S*)?$", batch):
            lines = [re.sub(rb"  +", b" ", line) for line in lines]  # columns: ours are as narrow as the names allow
        if "ls -n" in batch or "ls -ln" in batch:
            lines = [line.replace(b"root    ", b"0       ") for line in lines]  # OpenSSH gave names before 9.3
        return [re.sub(rb" [A-Z][a-z][a-z] [ 0-9][0-9] [0-9][0-9]:[0-9][0-9] ", b" (now) ", line) for line in lines]

    def test_on_openssh_server(self):
        for batch in SAME:
            with self.subTest(batch):
                self.compare(batch, SFTP_SERVER)

    def test_on_our_server(self):
        for batch in SAME:
            with self.subTest(batch):
                self.compare(batch, SERVERS["nacre-sftp-server"])

    def test_noisy_batches(self):
        for batch in ("get f here", "get f* here", "put f d1", "put f* d1", "rm f", "rm f*", "chmod 600 f", "chown 0 f", "chgrp 0 f*", "reget f part", "get -R d2 here",
                      "put -R d2 here", "get d1", "put d1", "get nope", "-get f* nope;pwd"):
            if ROOT or not batch.startswith("ch"):
                with self.subTest(batch):
                    self.compare(batch, SFTP_SERVER, "-N")

    def test_flags_for_every_transfer(self):
        for flags in (["-r"], ["-p"], ["-rp"], ["-a"], ["-f"]):
            for batch in ("get d1 here", "put d1 here", "get f2 here", "put f2 d1", "get f part"):
                if flags == ["-a"] and batch.startswith("put"):
                    continue  # which OpenSSH takes only where something is there
                with self.subTest((flags, batch)):
                    self.compare(batch, SFTP_SERVER, *flags)

    def test_commands_from_a_pipe(self):
        """Without -b nothing stops them, and the end is a good one."""
        make_corner(self.corner)
        for text in (b"pwd\nget nope\npwd\n", b"get nope\n", b"pwd", b"bye\npwd\n", b"", b"nope\n", b"-nope\n@pwd\n"):
            with self.subTest(text):
                said = []
                for program in ("sftp", NACRE_SFTP):
                    result = run(["env", "-C", self.corner, program, "-D", SFTP_SERVER], stdin=text)
                    said.append((result.returncode, result.stdout.splitlines(), plain(result.stderr).splitlines()))
                self.assertEqual(said[1], said[0])

    def test_batch_from_stdin(self):
        make_corner(self.corner)
        for text in (b"pwd\nget nope\npwd\n", b"-get nope\npwd\n", b"@pwd"):
            said = [run(["env", "-C", self.corner, program, "-b", "-", "-D", SFTP_SERVER], stdin=text) for program in ("sftp", NACRE_SFTP)]
            self.assertEqual([(r.returncode, r.stdout) for r in said][1], (said[0].returncode, said[0].stdout))

    def test_wrong_options(self):
        for args in (["-b", "/nope"], ["-b", "-", "-b", "-"], ["-P", "0", "h"], ["-P", "x", "h"], ["-B", "0", "h"], ["-B", "x", "h"], ["-R", "0", "h"], ["-l", "0", "h"],
                     ["-X", "nope=1", "h"], ["-X", "buffer=x", "h"], ["-X", "nrequests=0", "h"], [], ["-h"], ["-z"], ["a", "b", "c"]):
            with self.subTest(args):
                said = [run([program, *args]) for program in ("sftp", NACRE_SFTP)]
                if b"unknown option" in said[0].stderr or b"illegal option" in said[0].stderr or b"invalid option" in said[0].stderr:
                    continue  # -X is younger than some
                self.assertEqual(said[1].returncode, said[0].returncode, said[1].stderr)
                first = [re.split(rb"[:\r\n]", r.stderr)[0] for r in said]
                self.assertTrue(first[1].startswith(first[0]), first)

    def test_sizes_and_counts_of_requests(self):
        make_corner(self.corner)
        for args in (["-B", "1000"], ["-R", "1"], ["-B", "512", "-R", "3"], ["-X", "buffer=2K"], ["-X", "nrequests=2"]):
            with self.subTest(args):
                run(["env", "-C", self.corner, NACRE_SFTP, *args, "-b", "-", "-D", SFTP_SERVER], stdin=b"put big up\nget up down\n", check=0)
                self.assertEqual(digest(self.corner / "down"), digest(self.corner / "big"))


# Failures that ours tells in its own words, because it knows more of them or does better.
OUR_WORDS = {"get f nope/x", "-get f nope/x;pwd", "get -R d1 here/local", "put -R d1 f", "reget f f", "reput part f",
             "put -a part lf", "reput part here/y"}


def plain(stderr):
    """Without carriage returns, and without what OpenSSH says now and then when its program ends first."""
    return stderr.replace(b"\r", b"").replace(b"Connection closed.  \n", b"")


class OneShot(unittest.TestCase):
    """host:path and URIs; the way to the server is a script that keeps what it was called with."""

    def setUp(self):
        self.there, self.here = place.fresh("there"), place.fresh("here")
        make_corner(self.there)
        self.here.mkdir()
        self.args = place.fresh("args")
        self.through = place.fresh("through")
        self.through.write_text(f"#!/bin/sh\necho \"$@\" >'{self.args}'\ncd '{self.there}' && exec {SFTP_SERVER}\n")
        self.through.chmod(0o700)

    def shot(self, program, *args, stdin=b""):
        shutil.rmtree(self.here)
        self.here.mkdir()
        result = run(["env", "-C", self.here, program, "-S", self.through, *args], stdin=stdin)
        return (result.returncode, result.stdout, plain(result.stderr), trees.snapshot(self.here))

    def test_same_as_openssh(self):
        for args in (["h:f"], ["h:f", "g"], ["h:f*"], ["h:f*", "."], ["h:nope"], ["h:nope", "x"], ["h:d1"], ["h:d1/"], ["h:d2/sub"], ["-r", "h:d1", "x"], ["h:d1", "x"],
                     ["-q", "h:f"], ["-p", "h:f2"], ["h:./f"], ["u@h:f"], ["sftp://h/f"], ["sftp://u@h/f"], ["sftp://u@h:2222/d1"],
                     ["sftp://h"], ["h"], ["u@h"], ["[::1]:f"], ["-q", "[::1]"], ["-b", "-", "h:d1"], ["-b", "-", "h:f"], ["-b", "-", "h:nope"]):
            with self.subTest(args):
                theirs, ours = self.shot("sftp", *args, stdin=b"pwd\n"), self.shot(NACRE_SFTP, *args, stdin=b"pwd\n")
                self.assertEqual(ours, theirs)

    def test_what_the_program_is_called_with(self):
        for args in (["h"], ["u@h"], ["sftp://u@h:2222/"], ["-P", "2222", "h"], ["-4", "h"], ["-6", "-C", "h"], ["-A", "h"], ["-J", "a,b", "h"], ["-F", "none", "h"],
                     ["-c", "aes128-ctr", "h"], ["-i", "key", "h"], ["-o", "User=x", "h"], ["-q", "h"], ["-v", "h"], ["-s", "other", "h"],
                     ["-s", "/usr/lib/sftp", "h"], ["-b", "-", "h"]):
            with self.subTest(args):
                asked = []
                for program in ("sftp", NACRE_SFTP):
                    self.shot(program, *args)
                    words = self.args.read_text().split()
                    front = words[:words.index("--")]
                    text = " ".join(front).replace("-oPort ", "-p ").replace("=", " ").lower()
                    text = text.replace("-ocontrolmaster no", "")  # which OpenSSH gives since 10
                    asked.append((sorted(text.split()), words[words.index("--"):]))
                self.assertEqual(asked[1], asked[0])


class Trees(unittest.TestCase):
    def setUp(self):
        self.source, self.up, self.down = (place.fresh(n) for n in ("source", "up", "down"))
        trees.make_tree(self.source, wide=100, big=1 << 20)

    def go(self, server, *flags):
        for path in (self.up, self.down):
            shutil.rmtree(path, ignore_errors=True)
        lines = f"put -R {' '.join(flags)} {self.source} {self.up}\nget -R {' '.join(flags)} {self.up} {self.down}\n"
        return run([NACRE_SFTP, "-b", "-", "-D", server], stdin=lines.encode(), check=0)

    def test_identical_with_times(self):
        for name, server in SERVERS.items():
            with self.subTest(name):
                self.go(server, "-p")
                wanted = trees.snapshot(self.source, times=True, directory_times=True)
                self.assertEqual(trees.snapshot(self.up, times=True, directory_times=True), wanted)
                self.assertEqual(trees.snapshot(self.down, times=True, directory_times=True), wanted)

    def test_without_preserving(self):
        for name, server in SERVERS.items():
            with self.subTest(name):
                self.go(server)
                self.assertEqual(trees.snapshot(self.down, modes=False), trees.snapshot(self.source, modes=False))

    def test_one_bad_file_does_not_end_the_tree(self):
        os.chmod(self.source / "one", 0)
        ours = place.fresh("ours")
        ours.mkdir()
        os.chmod(ours, 0o777)
        # Root may read everything: somebody else then.
        somebody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if ROOT else []
        result = run([*somebody, lent(place, NACRE_SFTP), "-b", "-", "-D", SFTP_SERVER],
                     stdin=f"put -R {self.source} {ours}/up\npwd\n".encode(), env={"LD_LIBRARY_PATH": str(place.path("lent"))})
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"one", result.stderr)
        self.assertNotIn(b"sftp> pwd", result.stdout)
        self.assertFalse((ours / "up" / "one").exists())
        self.assertTrue((ours / "up" / "program").exists())

    def test_a_directory_in_the_way(self):
        """One file of the tree cannot be made; the others are."""
        (self.up / "one").mkdir(parents=True)
        result = run([NACRE_SFTP, "-b", "-", "-D", SFTP_SERVER], stdin=f"put -R {self.source}/. {self.up}\npwd\n".encode())
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"one", result.stderr)
        self.assertNotIn(b"sftp> pwd", result.stdout)
        self.assertTrue((self.up / "program").exists())


class Resuming(unittest.TestCase):
    def setUp(self):
        self.dir = place.fresh("resume")
        self.dir.mkdir()
        self.whole = make_file(self.dir / "whole", 3_000_000)

    def part(self, size, name="part"):
        data = self.whole.read_bytes()[:size]
        (self.dir / name).write_bytes(data)
        return self.dir / name

    def sftp(self, line, server=SFTP_SERVER, **kwargs):
        return run(["env", "-C", self.dir, NACRE_SFTP, "-b", "-", "-N", "-D", server], stdin=line.encode() + b"\n", **kwargs)

    def test_goes_on(self):
        for name, server in SERVERS.items():
            for line, words in (("reget whole part", b"Resuming"), ("get -a whole part", b"Resuming"), ("reput whole part", b"Resuming upload of"),
                                ("put -a whole part", b"Resuming upload of")):
                for size in (1, 100_000, 2_999_999):
                    with self.subTest((name, line, size)):
                        part = self.part(size)
                        inode = part.stat().st_ino
                        said = self.sftp(line, server, check=0).stdout
                        self.assertIn(words, said)
                        self.assertEqual(digest(part), digest(self.whole))
                        self.assertEqual(part.stat().st_ino, inode)

    def test_another_beginning_is_left_alone(self):
        for line in ("reget whole part", "reput whole part"):
            with self.subTest(line):
                part = self.dir / "part"
                part.write_bytes(b"something else entirely")
                result = self.sftp(line)
                self.assertEqual(result.returncode, 1)
                self.assertEqual(part.read_bytes(), b"something else entirely")

    def test_whole_already(self):
        part = self.part(3_000_000)
        self.assertIn(b"was not modified", self.sftp("reget whole part", check=0).stderr)
        self.assertEqual(digest(part), digest(self.whole))

    def test_larger_than_the_source(self):
        (self.dir / "part").write_bytes(self.whole.read_bytes() + b"more")
        self.assertEqual(self.sftp("reget whole part").returncode, 1)
        self.assertEqual((self.dir / "part").stat().st_size, 3_000_004)

    def test_nothing_there_yet(self):
        self.sftp("reget whole new", check=0)
        self.assertEqual(digest(self.dir / "new"), digest(self.whole))


class PromptTest(TerminalTest):
    def prompt(self, t):
        """Until it waits for keys: the line editor shows its prompt just before it takes them one by one."""
        got = t.expect(b"sftp> ")
        wait_until(lambda: not t.attributes()[3] & termios.ICANON, "the line editor")
        return got


class Typing(PromptTest):
    """A person at the prompt."""

    def setUp(self):
        self.dir = place.fresh("typing")
        (self.dir / "sub dir/inner").mkdir(parents=True)
        (self.dir / "subway").mkdir()
        for name in ("alpha one", "alpha two", "beta", "grün", 'qu"ote', "st*r", "apo's"):
            (self.dir / name).write_text(name)

    def start(self, *args, server=SFTP_SERVER, columns=120):
        t = self.in_terminal(["env", "-C", self.dir, NACRE_SFTP, *args, "-D", server], columns=columns)
        self.prompt(t)
        return t

    def says(self, t, keys, wanted):
        """Types, and waits for wanted and for the next prompt."""
        t.send(keys + b"\r")
        got = t.expect(wanted) if wanted else b""
        return got + self.prompt(t)

    def leave(self, t):
        t.send(b"bye\r")
        self.assertEqual(t.wait(), 0)
        self.assertEqual(t.attributes(), t.before)

    def test_commands_are_completed(self):
        t = self.start()
        self.says(t, b"pw\t", b"Remote working directory: ")
        t.send(b"lp\t\t\r")
        t.expect(b"Local working directory: ")
        self.prompt(t)
        t.send(b"chm\t\t")
        t.expect(b"od")
        t.send(b"\x15re\t")
        for name in (b"reget", b"rename", b"reput"):
            t.expect(name)
        t.send(b"\x15")
        self.leave(t)

    def test_paths_are_completed_and_quoted(self):
        """What was completed is proved by what the command then finds."""
        t = self.start()
        for typed, found in ((b"ls -1 be\t", b"\r\nbeta"), (b"ls -1 alpha\\ o\t", b"\r\nalpha one"), (b"ls -1 \"alpha t\t", b"\r\nalpha two"),
                             (b"ls -1 'alpha t\t", b"\r\nalpha two"), (b"ls -1 qu\t", b"\r\nqu\"ote"), (b"ls -1 st\t", b"\r\nst*r"), (b"ls -1 'st\t", b"\r\nst*r"),
                             (b"ls -1 ap\t", b"\r\napo's"), (b"ls -1 'ap\t", b"\r\napo's"), (b"ls -1 gr\t", "\r\ngrün".encode()), (b"ls -1 sub\\ \t", b"\r\nsub dir/inner"),
                             (b"ls -1 " + os.fsencode(self.dir) + b"/be\t", b"\r\n" + os.fsencode(self.dir) + b"/beta"),
                             (b"lls be\t", b"\r\nbeta"), (b"lls sub\\ d\t", b"\r\ninner"), (b"!echo be\t", b"\r\nbeta")):
            with self.subTest(typed):
                self.says(t, typed, found)
        self.leave(t)

    def test_directories_only_where_only_they_go(self):
        t = self.start()
        self.says(t, b"cd subw\t", b"")
        self.assertIn(b"/subway", self.says(t, b"pwd", b"Remote working directory: "))
        self.says(t, b"cd ..", b"")
        t.send(b"cd s\t")
        t.expect(b"sub dir/")
        shown = t.expect(b"subway/")
        self.assertNotIn(b"st*r", shown)
        t.send(b"\x15")
        self.leave(t)

    def test_second_argument_is_of_the_other_side(self):
        (self.dir / "only here").mkdir()
        t = self.start()
        self.says(t, b"cd sub\\ dir", b"")
        self.says(t, b"get ../be\t ./on\t", b"Fetching")
        wait_until((self.dir / "only here/beta").exists, "the file")
        self.leave(t)

    def test_history(self):
        t = self.start()
        self.says(t, b"lpwd", b"Local working directory")
        self.says(t, b"version", b"SFTP protocol version 3")
        self.says(t, b"\x1b[A\x1b[A", b"Local working directory")
        self.leave(t)

    def test_editing(self):
        t = self.start()
        self.says(t, b"xxlpwd\x01\x04\x04", b"Local working directory")  # to the front, and delete twice
        self.says(t, b"pwd more words\x17\x17", b"Remote working directory")
        self.says(t, b"nonsense\x15lpwd", b"Local working directory")
        self.leave(t)

    def test_interrupt_at_the_prompt(self):
        t = self.start()
        t.send(b"half a li")
        t.expect(b"half a li")
        t.send(b"\x03")
        self.prompt(t)
        self.says(t, b"pwd", b"Remote working directory")
        self.leave(t)

    def test_end_of_input(self):
        t = self.start()
        t.send(b"\x04")
        self.assertEqual(t.wait(), 0)
        self.assertEqual(t.attributes(), t.before)

    def test_failures_do_not_end_it(self):
        t = self.start()
        self.says(t, b"get nope", b"not found")
        self.says(t, b"nope", b"Invalid command")
        self.says(t, b"!exit 3", b"status 3")
        self.leave(t)

    def test_interrupt_ends_the_command_alone(self):
        make_file(self.dir / "big", 8_000_000)
        t = self.start("-l", "8000")
        for line, left in ((b"get big copy", None), (b"put big copy2", b"copy2")):
            t.send(line + b"\r")
            t.expect(b"ETA")
            t.send(b"\x03")
            t.expect(b"Interrupt")
            self.prompt(t)
            self.says(t, b"pwd", b"Remote working directory")
        self.assertFalse((self.dir / "copy").exists())
        self.leave(t)

    def test_interrupt_with_a_program_between(self):
        """^C goes to every program of the terminal; the way to the server must outlive it."""
        through = place.fresh("through")
        through.write_text(f"#!/bin/sh\ncd '{self.dir}' && exec {SFTP_SERVER}\n")
        through.chmod(0o700)
        make_file(self.dir / "big", 8_000_000)
        t = self.in_terminal(["env", "-C", self.dir, NACRE_SFTP, "-l", "8000", "-S", through, "h"])
        self.prompt(t)
        t.send(b"get big copy\r")
        t.expect(b"ETA")
        t.send(b"\x03")
        self.prompt(t)
        self.says(t, b"pwd", b"Remote working directory")
        self.leave(t)

    def test_hostile_names_are_shown_escaped(self):
        (self.dir / "evil\x1b]0;title\x07\x1b[31m").write_text("")
        (self.dir / "evil\x9b31m").write_text("")
        t = self.start()
        t.send(b"ls -1 ev\t\t")
        t.expect(b"evil")
        t.send(b"\x15")
        seen = self.prompt(t) + self.says(t, b"ls -l", b"evil")
        for bad in (b"\x1b]", b"\x07", b"\x1b[31m", b"\xc2\x9b"):
            self.assertNotIn(bad, seen.replace(b"\x07\x07", b""))
        self.assertIn("grün".encode(), self.says(t, b"ls", b"alpha one"))
        self.leave(t)


class Progress(PromptTest):
    def setUp(self):
        self.dir = place.fresh("progress")
        self.dir.mkdir()
        make_file(self.dir / "big", 2_000_000)
        make_file(self.dir / "other", 5000)
        (self.dir / "esc\x1b[31mape").write_text("x" * 100)

    def start(self, *args, columns=90):
        t = self.in_terminal(["env", "-C", self.dir, NACRE_SFTP, *args, "-D", SFTP_SERVER], columns=columns)
        self.prompt(t)
        return t

    def test_line(self):
        t = self.start("-l", "16000")
        for line in (b"get big copy", b"put big copy"):
            t.send(line + b"\r")
            first = t.expect(b" ETA")
            self.assertIn(b"big", first)
            whole = t.expect(b"100%")
            self.assertRegex(whole, rb"\rbig +[0-9]+% +[0-9]+(KB|MB|) +[0-9.]+[KM]B/s +[0-9]+:[0-9]{2} ETA")
            self.assertRegex(self.prompt(t), rb" 19[0-9]{2}KB .*/s   00:0[0-9]    \r\n")
        t.send(b"bye\r")
        self.assertEqual(t.wait(), 0)

    def test_as_wide_as_the_window(self):
        for columns in (120, 60, 30, 20):
            t = self.start(columns=columns)
            t.send(b"get other copy\r")
            t.expect(b"/other to copy\r\n")
            line = t.expect(b"\n")
            self.assertIn(b"100%", line)
            last = line.rstrip(b"\r").split(b"\r")[-1]
            self.assertLess(len(last), columns)
            self.assertTrue(last.startswith(b"other"), last)
            self.assertEqual(b"/s" in last, columns >= 60, last)

    def test_a_new_size_is_noticed(self):
        t = self.start("-l", "8000", columns=90)
        t.send(b"get big copy\r")
        t.expect(b" ETA")
        t.resize(24, 50)
        end = time.monotonic() + DEADLINE
        while True:
            t.expect(b"\r")
            line = t.expect(b"ETA")
            if 0 < len(line.split(b"\r")[-1]) + 3 < 50:
                break
            self.assertLess(time.monotonic(), end)
        t.send(b"\x03")
        self.prompt(t)

    def test_every_file_of_a_tree_leaves_a_line(self):
        tree = self.dir / "tree"
        tree.mkdir()
        for i in range(40):
            (tree / f"file{i:02}").write_bytes(b"x" * (1000 + i))
        t = self.start()
        t.send(b"get -r tree copy\r")
        seen = self.prompt(t)
        for i in range(40):
            self.assertRegex(seen, rb"file%02d +100%%[^\r\n]*\r\n" % i)

    def test_names_are_escaped(self):
        t = self.start()
        t.send(b"get esc* copy\r")
        seen = t.expect(b"100%")
        self.assertIn(b"esc\\033[31mape", seen)
        self.assertNotIn(b"\x1b[31mape", seen)

    def test_can_be_turned_off(self):
        t = self.start()
        t.send(b"progress\r")
        t.expect(b"Progress meter disabled")
        t.send(b"get other copy\r")
        t.expect(b"/other to copy\r\n")
        self.assertNotIn(b"%", self.prompt(t))
        t.send(b"progress\r")
        t.expect(b"Progress meter enabled")
        t.send(b"get other copy\r")
        t.expect(b"100%")

    def test_none_where_nobody_looks(self):
        for args in (["-q"], []):
            result = run(["env", "-C", self.dir, NACRE_SFTP, *args, "-D", SFTP_SERVER], stdin=b"get big copy\n", check=0)
            self.assertNotIn(b"%", result.stdout + result.stderr)
        t = self.in_terminal(["env", "-C", self.dir, NACRE_SFTP, "-q", "-D", SFTP_SERVER])
        self.prompt(t)
        t.send(b"get other copy\r")
        self.assertNotIn(b"%", self.prompt(t))

    def test_a_stall_is_shown(self):
        """The server stops in the middle of a file."""
        server = place.fresh("server")
        server.write_text(f"#!/bin/sh\nexec {sys.executable} -B {pathlib.Path(__file__).parent / 'bad_server.py'} NeverAnswers\n")
        server.chmod(0o700)
        t = self.in_terminal(["env", "-C", self.dir, NACRE_SFTP, "-D", server])
        self.prompt(t)
        t.send(b"get /d/file copy\r")
        t.expect(b"- stalled -")
        t.send(b"\x03")
        self.prompt(t)


class Connected(PromptTest):
    """Over the library's own connection."""

    def test_the_connection_lives_while_nobody_types(self):
        server = openssh_server(place, "ClientAliveInterval 1", "ClientAliveCountMax 1", "LogLevel DEBUG1")
        options = client_options(place, server, extra=with_defaults(NACRE_SFTP, []))
        t = self.in_terminal([NACRE_SFTP, "-P", server.port, *options, f"{ME}@127.0.0.1"])
        self.prompt(t)
        wait_until(lambda: server.text().count("Got 1") >= 4 or t.process.poll() is not None, "answers to the server's questions")
        t.send(b"pwd\r")
        t.expect(b"Remote working directory")
        t.send(b"bye\r")
        self.assertEqual(t.wait(), 0)

    def test_a_tree_there_and_back(self):
        source = trees.make_tree(place.fresh("tree"), wide=200, big=1 << 20)
        wanted = trees.snapshot(source, times=True, directory_times=True)
        for name, server in (("sshd", openssh_server(place)), ("nacre-sshd", nacre_server(place))):
            with self.subTest(name):
                up, down = place.fresh("up"), place.fresh("down")
                sftp(NACRE_SFTP, place, server, [f"put -Rp {source} {up}", f"get -Rp {up} {down}"], check=0)
                self.assertEqual(trees.snapshot(up, times=True, directory_times=True), wanted)
                self.assertEqual(trees.snapshot(down, times=True, directory_times=True), wanted)

    def end_a_batch(self, signo):
        server = openssh_server(place)
        big, copy = make_file(place.fresh("big"), 20_000_000), place.fresh("copy")
        script = place.fresh("batch")
        script.write_text(f"get {big} {copy}\nmkdir {copy}.after\n")
        options = client_options(place, server, extra=with_defaults(NACRE_SFTP, []))
        process = subprocess.Popen([NACRE_SFTP, "-l", "8000", "-b", script, "-P", str(server.port), *map(str, options), f"{ME}@127.0.0.1"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.addCleanup(process.stdout.close)
        wait_until(lambda: any(p.name.startswith("." + copy.name) and p.stat().st_size > 0 for p in copy.parent.iterdir()), "some of the file")
        process.send_signal(signo)
        process.stdout.read()
        self.assertEqual(process.wait(DEADLINE), 1)
        left = [p.name for p in copy.parent.iterdir() if copy.name in p.name]
        self.assertEqual(left, [])

    def test_signals_end_a_batch(self):
        for signo in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signo):
                self.end_a_batch(signo)

    def test_an_interrupted_reget_goes_on(self):
        big = make_file(place.fresh("big"), 10_000_000)
        target, script = place.fresh("target"), place.fresh("batch")
        script.write_text(f"reget {big} {target}\n")
        for least in (1, 1_000_000):
            with subprocess.Popen([NACRE_SFTP, "-l", "8000", "-b", script, "-D", SFTP_SERVER], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, start_new_session=True) as process:
                wait_until(lambda: target.exists() and target.stat().st_size > least, "some of the file")
                process.send_signal(signal.SIGINT)
                said = process.stdout.read()
            self.assertEqual(process.returncode, 1, said)
            self.assertTrue(big.read_bytes().startswith(target.read_bytes()))
            self.assertTrue(least < target.stat().st_size < 10_000_000)
        run([NACRE_SFTP, "-b", script, "-D", SFTP_SERVER], check=0)
        self.assertEqual(target.read_bytes(), big.read_bytes())

    def test_closed_descriptors(self):
        """As sftp: nothing to do, and nothing of ours read as commands."""
        for closed in ("<&-", ">&-", "<&- >&- 2>&-"):
            for program in ("sftp", NACRE_SFTP):
                self.assertEqual(run(["sh", "-c", f'exec "$0" -D {SFTP_SERVER} {closed}', program], stdin=b"pwd\n").returncode, 0, (program, closed))

    def test_an_interrupted_put_says_what_is_there(self):
        big = make_file(place.fresh("big"), 20_000_000)
        for command in ("put", "put -R"):
            target, script = place.fresh("target"), place.fresh("batch")
            script.write_text(f"{command} {big} {target}\n")
            with subprocess.Popen([NACRE_SFTP, "-l", "8000", "-b", script, "-D", SFTP_SERVER], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, start_new_session=True) as process:
                wait_until(lambda: target.exists() and target.stat().st_size > 0, "some of the file")
                process.send_signal(signal.SIGINT)
                said = process.stdout.read()
            self.assertEqual(process.returncode, 1)
            self.assertRegex(said, b"%s is incomplete: [0-9]+ of 20000000 bytes" % re.escape(bytes(target)))

    def test_the_end_of_the_connection_is_told_at_the_prompt(self):
        server = nacre_server(place)
        options = client_options(place, server, extra=with_defaults(NACRE_SFTP, []))
        t = self.in_terminal([NACRE_SFTP, "-P", server.port, *options, f"{ME}@127.0.0.1"])
        self.prompt(t)
        server.stop()
        t.expect(b"Connection closed")
        self.assertEqual(t.wait(), 255)
        self.assertEqual(t.attributes(), t.before)


if __name__ == "__main__":
    main()
