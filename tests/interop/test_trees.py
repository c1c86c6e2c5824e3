#!/usr/bin/python3
"""Whole trees by the library's jobs (the example program tree), up and down, against OpenSSH's and our servers."""
import ctypes
import os
import pathlib
import re
import stat
import subprocess
import threading
import unittest

import trees
from harness import *

TREE = BUILD / "examples/example-tree"
SERVERS = {"openssh": SFTP_SERVER, "nacre": str(APPS / "nacre-sftp-server")}
NAMES = trees.ODD_NAMES + [trees.NEWLINE, trees.BAD_UTF8, "y" * 255, "esc\033[31mape", "-p"]
RENAME_EXCHANGE = 2


def setUpModule():
    global place, source
    place = Place()
    source = trees.make_tree(place.fresh("source"), names=NAMES)


def tree(server, *args, check=0, **kwargs):
    program = TREE
    if "user" in kwargs:
        program, server = lent(place, TREE), lent(place, server)
        kwargs["env"] = {**os.environ, "LD_LIBRARY_PATH": str(place.path("lent"))}
    command = [str(a) for a in (program, "-D", server, *args)]
    result = subprocess.run(command, capture_output=True, timeout=DEADLINE, cwd=place.dir, **kwargs)
    if result.returncode != check:
        raise AssertionError(f"{command}\nexit {result.returncode}\n{result.stdout!r}\n{result.stderr!r}")
    return result


def counts(result):
    return {what: int(n) for n, what in re.findall(rb"(\d+) (\w+)", result.stdout.splitlines()[-1])}


def leftovers(root):
    return [p for p in pathlib.Path(root).rglob(".*.??????") if p.name != ".hidden"]


class Base:
    def same(self, want, got, **kwargs):
        text = trees.difference(trees.snapshot(want, **kwargs), trees.snapshot(got, **kwargs))
        self.assertEqual(text, "")


class EachServer(Base):
    def test_there_and_back(self):
        up, down = place.fresh("up"), place.fresh("down")
        every = {"times": True, "directory_times": True}
        for command in (["put", source, up], ["get", up, down], ["put", source, up], ["get", up, down]):
            result = counts(tree(self.server, "-k", "-p", *command))
            self.assertEqual((result[b"failed"], result[b"skipped"]), (0, 0))
        self.same(source, up, **every)
        self.same(source, down, **every)
        self.assertEqual(leftovers(down), [])

    def test_modes_without_preserve(self):
        there = place.fresh("modes")
        for i, mode in enumerate((0o755, 0o500, 0o700, 0o555, 0o777, 0o511)):
            (there / str(i)).mkdir(parents=True)
            (there / str(i) / "file").write_text("x")
            os.chmod(there / str(i) / "file", 0o644)
            os.chmod(there / str(i), mode)
        for direction in ("put", "get"):
            to = place.fresh("modes")
            tree(self.server, direction, there, to, umask=0o027)
            for i in range(6):
                want = stat.S_IMODE(os.stat(there / str(i)).st_mode) & ~0o027
                self.assertEqual(stat.S_IMODE(os.stat(to / str(i)).st_mode), want)

    def test_links_are_skipped_and_told(self):
        for direction in ("put", "get"):
            to = place.fresh("to")
            result = tree(self.server, "-p", direction, source, to)
            self.assertEqual(counts(result)[b"skipped"], 5)
            self.same(source, to, links=False)
            self.assertIn(b"a symbolic link", result.stderr)

    def test_links_are_followed_but_not_in_circles(self):
        there = place.fresh("circles")
        (there / "a/b").mkdir(parents=True)
        (there / "a/file").write_text("here")
        os.symlink("../..", there / "a/b/up")
        os.symlink("a", there / "too")
        os.symlink("a/file", there / "file")
        os.symlink("nowhere", there / "dangling")
        os.symlink("self", there / "self")
        for direction in ("put", "get"):
            to = place.fresh("to")
            result = tree(self.server, "-f", direction, there, to, check=1)
            self.assertEqual(counts(result)[b"failed"], 4)  # up, twice; dangling; self
            self.assertEqual((to / "too/file").read_text(), "here")
            self.assertEqual((to / "file").read_text(), "here")
            self.assertFalse(any(p.is_symlink() for p in to.rglob("*")))
            self.assertIn(b"directory around it", result.stderr)

    def test_links_are_replaced_by_links(self):
        there, to = place.fresh("links"), place.fresh("to")
        for i, root in enumerate((there, to)):
            root.mkdir()
            os.symlink(f"goal {i}", root / "link")
        for direction in ("put", "get"):
            tree(self.server, "-k", direction, there, to)
            self.assertEqual(os.readlink(to / "link"), "goal 0")
            os.unlink(to / "link")
            (to / "link").write_text("mine")
            result = tree(self.server, "-k", direction, there, to, check=1)
            self.assertEqual((to / "link").read_text(), "mine")
            self.assertEqual(counts(result)[b"failed"], 1)
            os.unlink(to / "link")
            os.symlink("other", to / "link")

    def test_wide_and_deep(self):
        there = place.fresh("wide")
        for i in range(5000):
            below = there / f"d{i % 61}"
            below.mkdir(parents=True, exist_ok=True)
            (below / f"file{i}").write_bytes(b"%d" % i * 100)
        deep = there
        for i in range(60):
            deep = deep / "deep"
        deep.mkdir(parents=True)
        (deep / "bottom").write_text("bottom")
        for direction in ("put", "get"):
            to = place.fresh("to")
            self.assertEqual(counts(tree(self.server, direction, there, to))[b"files"], 5001)
            self.same(there, to)
            to = place.fresh("to")
            few = tree(self.server, direction, there, to, preexec_fn=few_descriptors)
            self.assertEqual(counts(few)[b"files"], 5001)

    def test_too_deep(self):
        there = place.fresh("abyss")
        below = there
        for i in range(70):
            below = below / "x"
        below.mkdir(parents=True)
        for direction in ("put", "get"):
            result = tree(self.server, direction, there, place.fresh("to"), check=1)
            self.assertEqual(counts(result)[b"failed"], 1)
            self.assertIn(b"nested too deeply", result.stderr)

    def test_odd_kinds_are_skipped(self):
        there = place.fresh("kinds")
        there.mkdir()
        os.mkfifo(there / "pipe")
        with socket.socket(socket.AF_UNIX) as s:
            here = os.getcwd()
            os.chdir(there)
            s.bind("socket")
            os.chdir(here)
        (there / "file").write_text("x")
        for direction in ("put", "get"):
            to = place.fresh("to")
            result = tree(self.server, direction, there, to)
            self.assertEqual((counts(result)[b"skipped"], counts(result)[b"files"]), (2, 1))
            self.assertIn(b"pipe: a named pipe", result.stderr)
            self.assertIn(b"socket: a socket", result.stderr)
            self.assertEqual(os.listdir(to), ["file"])

    def test_what_is_in_the_way(self):
        there = place.fresh("there")
        for name in ("file", "directory/inner"):
            (there / name).parent.mkdir(parents=True, exist_ok=True)
            (there / name).write_text(name)
        (there / "other").write_text("other")
        for direction in ("put", "get"):
            to = place.fresh("to")
            (to / "file").mkdir(parents=True)
            (to / "directory").write_text("a file")
            result = tree(self.server, direction, there, to, check=1)
            self.assertEqual(counts(result)[b"failed"], 2)
            self.assertEqual((to / "other").read_text(), "other")
            self.assertEqual((to / "directory").read_text(), "a file")
            self.assertIn(b"directory", result.stderr)
            self.assertEqual(os.listdir(to / "file"), [])
            self.assertEqual(leftovers(to), [])

    def test_unreadable_ones(self):
        there = place.fresh("unreadable")
        (there / "closed").mkdir(parents=True)
        for name in ("a", "b", "closed/c"):
            (there / name).write_text(name)
        os.chmod(there / "a", 0)
        os.chmod(there / "closed", 0)
        other = {"user": 65534, "group": 65534, "extra_groups": []} if ROOT else {}
        for direction in ("put", "get"):
            to = place.fresh("to")
            to.mkdir()
            os.chmod(to, 0o777)
            result = tree(self.server, direction, there, to / "t", check=1, **other)
            self.assertEqual(counts(result)[b"failed"], 2)
            self.assertEqual((to / "t/b").read_text(), "b")
            self.assertIn(b"ermission denied", result.stderr)
        os.chmod(there / "closed", 0o755)

    def test_one_level_and_patterns(self):
        there = place.fresh("level")
        (there / "sub").mkdir(parents=True)
        for name in ("one.txt", "two.txt", "[x].txt", ".dot.txt", "three", "sub/four.txt"):
            (there / name).write_text(name)
        for direction in ("put", "get"):
            to = place.fresh("to")
            tree(self.server, "-d", direction, there, to, check=1)
            self.assertFalse(to.exists())
            to.mkdir()
            tree(self.server, "-d", direction, there, to)
            self.assertEqual(sorted(os.listdir(to)), sorted([".dot.txt", "[x].txt", "one.txt", "three", "two.txt"]))
            for pattern, names in (("*.txt", ["[x].txt", "one.txt", "two.txt"]), ("[!o]*o*", ["two.txt"]),
                                   (r"\[x]*", ["[x].txt"]), (".*.txt", [".dot.txt"]), ("*/f*", ["four.txt"]),
                                   ("sub", ["sub"]), ("t??ee", ["three"])):
                to = place.fresh("to")
                to.mkdir()
                tree(self.server, "-g", direction, f"{there}/{pattern}", to)
                self.assertEqual(sorted(os.listdir(to)), names, pattern)
            result = tree(self.server, "-g", direction, f"{there}/no*", to, check=2)
            self.assertIn(b"matches", result.stderr)

    def test_the_first_failure_ends_it(self):
        there, to = place.fresh("end"), place.fresh("to")
        there.mkdir()
        for i in range(2000):
            (there / f"f{i}").write_bytes(b"x" * 3000)
        for direction in ("put", "get"):
            to = place.fresh("to")
            for i in range(2000):
                (to / f"f{i}").mkdir(parents=True)
            result = tree(self.server, "-e", direction, there, to, check=1)
            self.assertLess(counts(result)[b"failed"], 200)
            self.assertEqual(leftovers(to), [])

    def test_nothing_appears_where_a_swapped_link_points(self):
        there, outside = place.fresh("there"), place.fresh("outside")
        outside.mkdir()
        for i in range(300):
            (there / f"sub/inner{i % 7}").mkdir(parents=True, exist_ok=True)
            (there / f"sub/inner{i % 7}/f{i}").write_text("x")
        libc = ctypes.CDLL(None, use_errno=True)
        over, swaps = threading.Event(), [0]
        to = place.fresh("to")
        os.makedirs(to / "sub")
        os.symlink(outside, to / "swap")
        os.symlink(outside, to / "sub/inner0")
        paths = [os.fsencode(to / n) for n in ("sub", "swap")]

        def swap():
            while not over.is_set():
                swaps[0] += libc.renameat2(-100, paths[0], -100, paths[1], RENAME_EXCHANGE) == 0

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            for _ in range(15):
                command = [str(a) for a in (TREE, "-D", self.server, "get", there, to)]
                subprocess.run(command, capture_output=True, timeout=DEADLINE)
        finally:
            over.set()
            thread.join()
        self.assertGreater(swaps[0], 100)
        self.assertEqual(list(outside.iterdir()), [])


def few_descriptors():
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


class WithOpenSSH(EachServer, unittest.TestCase):
    server = SERVERS["openssh"]


class WithNacre(EachServer, unittest.TestCase):
    server = SERVERS["nacre"]


class OverConnections(Base, unittest.TestCase):
    def test_both_servers(self):
        for make in (openssh_server, nacre_server):
            server = make(place)
            home = place.fresh("home")
            (home / ".ssh").mkdir(parents=True)
            (home / ".ssh/known_hosts").write_bytes(place.known_hosts(server.port).read_bytes())
            up, down = place.fresh("up"), place.fresh("down")
            for direction, a, b in (("put", source, up), ("get", up, down)):
                run([TREE, "-k", "-p", "-i", place.keys["ed25519"], direction, f"{ME}@127.0.0.1:{server.port}", a, b],
                    env={"HOME": str(home)}, check=0)
            self.same(source, down, times=True, directory_times=True)
            server.stop()

    def test_a_connection_that_breaks(self):
        for make in (openssh_server, nacre_server):
            server = make(place)
            for limit in (5000, 20000, 100000):
                proxy = CuttingProxy(server.port, limit, upwards=False)
                home, down = place.fresh("home"), place.fresh("down")
                (home / ".ssh").mkdir(parents=True)
                (home / ".ssh/known_hosts").write_bytes(place.known_hosts(proxy.port).read_bytes())
                result = run([TREE, "-i", place.keys["ed25519"], "get", f"{ME}@127.0.0.1:{proxy.port}", source, down],
                             env={"HOME": str(home)}, check=2)
                self.assertTrue(result.stderr)
                if down.exists():
                    self.assertEqual(leftovers(down), [])
            server.stop()


if __name__ == "__main__":
    main()
