#!/usr/bin/python3
"""The old copy protocol: our client against OpenSSH's scp, everybody's clients against nacre-sshd, which
runs "scp -t" and "scp -f" itself; and a server that lies."""
import os
import pathlib
import shutil
import stat
import subprocess
import unittest

from harness import *

DRIVE = BUILD / "tests" / "interop" / "drive_scp"
ODD_NAMES = ["plain", "with space", "-dash", "quote'quote", 'double"quote', "star*", "que?tion", "back\\slash",
             "dollar$HOME", "semi;colon", "tilde~", "ümläut", "brack[et]", "br{a,c}e", ".hidden", "`tick`", "amp&"]


def make_tree(top, names=ODD_NAMES):
    """A directory with odd names, sizes around the protocol's seams, modes, and old times."""
    top.mkdir()
    for i, name in enumerate(names):
        make_file(top / name, i * 1000)
    for size in (0, 1, 32767, 32768, 65537, 3_000_001):
        make_file(top / f"size{size}", size)
    deep = top / "a" / "b c" / "d"
    deep.mkdir(parents=True)
    make_file(deep / "leaf", 5000)
    (top / "empty").mkdir()
    os.chmod(top / "plain", 0o600)
    os.chmod(top / "size1", 0o755)
    os.chmod(top / "size0", 0o444)
    os.chmod(top / "a", 0o750)
    for i, path in enumerate([*sorted(top.rglob("*"), reverse=True), top]):
        os.utime(path, (1_500_000_000 + i, 1_400_000_000 + 7 * i))
    return top


def describe(top, preserved):
    """What is compared of a tree: names, kinds, contents; and modes and times when they were to be kept."""
    found = {}
    for path in [top, *top.rglob("*")]:
        st = path.lstat()
        row = [stat.S_IFMT(st.st_mode), digest(path) if path.is_file() else None]
        if preserved:
            row += [stat.S_IMODE(st.st_mode), int(st.st_mtime)]
        found[str(path.relative_to(top))] = row
    return found


def setUpModule():
    global place, openssh, ours, tree
    place = Place()
    openssh = openssh_server(place)
    ours = nacre_server(place)
    tree = make_tree(place.path("tree"))


def drive(server, letters, *args, check=0, **kwargs):
    return run([DRIVE, server.port, ME, place.keys["ed25519"], letters or "-", *args], check=check, **kwargs)


class Both:
    """Our client; the server is named by the classes below."""

    def same(self, other, preserved=False, top=None):
        self.maxDiff = 4000
        self.assertEqual(describe(other, preserved), describe(top or tree, preserved))

    def fresh_dir(self, stem="dir"):
        path = place.fresh(stem)
        path.mkdir()
        return path

    def test_tree_up(self):
        into = self.fresh_dir()
        result = drive(self.server(), "rp", "put", tree, into)
        self.same(into / "tree", True)
        self.assertIn(b"failed 0", result.stderr)

    def test_tree_up_to_a_new_name(self):
        into = self.fresh_dir()
        drive(self.server(), "r", "put", tree, into / "new name")
        self.same(into / "new name")

    def test_tree_down(self):
        into = self.fresh_dir()
        drive(self.server(), "rp", "get", tree, into)
        self.same(into / "tree", True)

    def test_tree_down_to_a_new_name(self):
        into = self.fresh_dir()
        drive(self.server(), "r", "get", tree, into / "back")
        self.same(into / "back")

    def test_odd_names_one_by_one(self):
        into, back = self.fresh_dir(), self.fresh_dir()
        for name in ODD_NAMES:
            drive(self.server(), "", "put", tree / name, into / name)
            self.assertEqual(digest(into / name), digest(tree / name))
        drive(self.server(), "", "get", *[into / name for name in ODD_NAMES], back)
        for name in ODD_NAMES:
            self.assertEqual(digest(back / name), digest(tree / name))

    def test_pattern(self):
        into = self.fresh_dir()
        drive(self.server(), "g", "get", f"{tree}/size*", into)
        self.assertEqual(sorted(os.listdir(into)), sorted(p.name for p in tree.glob("size*")))
        drive(self.server(), "g", "get", f"{tree}/brack\\[et\\]", into)
        self.assertTrue((into / "brack[et]").exists())

    def test_several_need_a_directory(self):
        into = self.fresh_dir()
        result = drive(self.server(), "", "put", tree / "plain", tree / "size1", into / "nowhere", check=1)
        self.assertIn(b"NACRE_SCP_REFUSED", result.stderr)
        self.assertEqual(os.listdir(into), [])
        drive(self.server(), "", "get", tree / "plain", tree / "size1", into / "nowhere", check=1)
        drive(self.server(), "g", "get", f"{tree}/size*", into / "nowhere", check=1)
        self.assertEqual(len(os.listdir(into)), 1)

    def test_a_missing_file_is_told_and_the_rest_copied(self):
        into = self.fresh_dir()
        result = drive(self.server(), "", "get", tree / "plain", tree / "missing", tree / "size1", into, check=1)
        self.assertEqual(sorted(os.listdir(into)), ["plain", "size1"])
        self.assertIn(b"NACRE_SOME_FAILED", result.stderr)
        self.assertIn(b"No such file", result.stderr)
        result = drive(self.server(), "", "put", tree / "plain", tree / "missing", tree / "size1", into, check=1)
        self.assertIn(b"failed 1", result.stderr)

    def test_a_directory_without_recursion(self):
        into = self.fresh_dir()
        drive(self.server(), "", "get", tree, into, check=1)
        drive(self.server(), "", "put", tree, into, check=1)
        self.assertEqual(os.listdir(into), [])

    def test_streams(self):
        target = place.fresh("stream")
        drive(self.server(), "", "putfo", target, "70000", stdin=b"z" * 70000)
        self.assertEqual(target.read_bytes(), b"z" * 70000)
        self.assertEqual(stat.S_IMODE(target.stat().st_mode), 0o640)
        os.utime(target, (1, 1234567890))
        result = drive(self.server(), "", "getfo", target)
        self.assertEqual(result.stdout, b"z" * 70000)
        self.assertIn(b"mode 0640 size 70000 mtime 1234567890", result.stderr)

    def test_a_stream_that_ends_early(self):
        target = place.fresh("stream")
        result = drive(self.server(), "", "putfo", target, "700000", stdin=b"z" * 70000, check=1)
        self.assertIn(b"NACRE_INCOMPLETE", result.stderr)

    def test_a_file_that_stands_is_replaced_and_keeps_its_mode(self):
        target = self.fresh_dir() / "file"
        target.write_bytes(b"old" * 100000)
        os.chmod(target, 0o604)
        drive(self.server(), "", "get", tree / "plain", target)
        self.assertEqual((digest(target), stat.S_IMODE(target.stat().st_mode)), (digest(tree / "plain"), 0o604))
        self.assertEqual(os.listdir(target.parent), ["file"])

    def test_set_id_bits_are_not_taken_over(self):
        source, into = self.fresh_dir() / "program", self.fresh_dir()
        source.write_bytes(b"#!/bin/sh\n")
        os.chmod(source, 0o6755)
        drive(self.server(), "p", "get", source, into)
        self.assertEqual(stat.S_IMODE((into / "program").stat().st_mode), 0o755)
        drive(self.server(), "pk", "get", source, into)
        self.assertEqual(stat.S_IMODE((into / "program").stat().st_mode), 0o6755)

    def test_links_are_followed_and_loops_told(self):
        top = self.fresh_dir()
        (top / "target").write_bytes(b"through a link")
        (top / "link").symlink_to("target")
        (top / "loop").symlink_to(".")
        os.mkfifo(top / "fifo")
        into = self.fresh_dir()
        result = drive(self.server(), "r", "put", top, into / "copy", check=1)
        self.assertEqual((into / "copy" / "link").read_bytes(), b"through a link")
        self.assertFalse((into / "copy" / "link").is_symlink())
        self.assertIn(b"skipped 1 failed 1", result.stderr)

    def test_a_local_link_is_not_written_through(self):
        into, elsewhere = self.fresh_dir(), self.fresh_dir()
        (elsewhere / "plain").write_bytes(b"precious")
        (into / "plain").symlink_to(elsewhere / "plain")
        drive(self.server(), "", "get", tree / "plain", into)
        self.assertEqual((elsewhere / "plain").read_bytes(), b"precious")
        self.assertFalse((into / "plain").is_symlink())
        (into / "tree").symlink_to(elsewhere)
        drive(self.server(), "r", "get", tree, into, check=1)
        self.assertEqual(os.listdir(elsewhere), ["plain"])

    def test_a_full_disk(self):
        for args in (["get", tree / "size3000001", "/dev/full"], ["put", tree / "size3000001", "/dev/full"]):
            result = drive(self.server(), "", *args, check=1)
            self.assertIn(b"No space left on device", result.stderr)
            if args[0] == "put":
                self.assertIn(f"{tree}/size3000001 may be incomplete".encode(), result.stderr)
        drive(self.server(), "", "get", tree / "size3000001", "/dev/null")

    def test_cancelling(self):
        source, into = make_file(place.fresh("big"), 40_000_000), self.fresh_dir()
        (into / "file").write_bytes(b"as it was")
        result = drive(self.server(), "c", "get", source, into / "file", check=1)
        self.assertIn(b"NACRE_CANCELLED", result.stderr)
        self.assertEqual(os.listdir(into), ["file"])
        self.assertEqual((into / "file").read_bytes(), b"as it was")
        result = drive(self.server(), "c", "put", source, into / "other", check=1)
        self.assertIn(b"NACRE_CANCELLED", result.stderr)
        if self.server() is ours:  # OpenSSH's leaves what it got
            wait_until(lambda: os.listdir(into) == ["file"], "the half file to go")

    def test_each_item_is_told(self):
        top, into = self.fresh_dir(), self.fresh_dir()
        (top / "x").write_bytes(b"12345")
        result = drive(self.server(), "ri", "put", top, into / "up")
        lines = result.stderr.decode().splitlines()
        self.assertEqual(lines[:4], [f"started dir {top} -> {into}/up 0", f"copied dir {top} -> {into}/up 0",
                                     f"started file {top}/x -> {into}/up 0", f"copied file {top}/x -> {into}/up 5"])
        result = drive(self.server(), "ri", "get", top, into / "down")
        self.assertEqual(result.stderr.decode().splitlines()[:4],
                         [f"started dir {top} -> {into}/down 0", f"copied dir {top} -> {into}/down 0",
                          f"started file {top} -> {into}/down/x 0", f"copied file {top} -> {into}/down/x 5"])

    def test_stopping_at_the_first_failure(self):
        into = self.fresh_dir()
        drive(self.server(), "s", "get", tree / "missing", tree / "plain", into, check=1)
        drive(self.server(), "s", "put", tree / "missing", tree / "plain", into, check=1)
        self.assertEqual(os.listdir(into), [])

    def test_a_bounded_rate(self):
        source = make_file(place.fresh("big"), 200_000)
        for args in (["put", source, place.fresh("up")], ["get", source, place.fresh("down")]):
            before = time.monotonic()
            drive(self.server(), "l", *args)
            self.assertGreater(time.monotonic() - before, 1.0)
            self.assertEqual(digest(args[2]), digest(source))


class ToOpenSSH(Both, unittest.TestCase):
    def server(self):
        return openssh


class ToOurs(Both, unittest.TestCase):
    def server(self):
        return ours


class OursToThemselves(unittest.TestCase):
    """nacre-sshd where there is no scp to be found: what it does not serve itself fails."""

    @classmethod
    def setUpClass(cls):
        cls.server = nacre_server(place, "SetEnv PATH=/nonexistent")
        cls.addClassCleanup(cls.server.stop)

    def options(self):
        return client_options(place, self.server)

    def scp(self, *args, check=0, **kwargs):
        return run(["scp", "-O", "-P", self.server.port, *self.options(), *args], check=check, **kwargs)

    def remote(self, path=""):
        return f"{ME}@127.0.0.1:{path}"

    def fresh_dir(self):
        path = place.fresh("dir")
        path.mkdir()
        return path

    def same(self, one, preserved=False):
        self.maxDiff = 4000
        self.assertEqual(describe(one, preserved), describe(tree, preserved))

    def test_there_is_no_scp(self):
        result = ssh("ssh", place, self.server, "scp -t /tmp; true")
        self.assertIn(b"not found", result.stderr)

    def test_openssh_tree_up_and_down(self):
        into = self.fresh_dir()
        self.scp("-r", tree, self.remote(into))
        self.same(into / "tree")
        self.scp("-r", "-p", tree, self.remote(into / "kept"))
        self.same(into / "kept", True)
        self.scp("-r", self.remote(into / "tree"), into / "back")
        self.same(into / "back")
        self.scp("-r", "-p", self.remote(into / "kept"), into / "kept back")
        self.same(into / "kept back", True)

    def test_openssh_wildcards_and_several_sources(self):
        into, back = self.fresh_dir(), self.fresh_dir()
        self.scp(tree / "plain", tree / "size1", tree / "with space", self.remote(into))
        self.assertEqual(sorted(os.listdir(into)), ["plain", "size1", "with space"])
        self.scp(self.remote(f"{tree}/size*"), self.remote(f"{tree}/pl?in"), back)
        self.assertEqual(sorted(os.listdir(back)), sorted(["plain", *(p.name for p in tree.glob("size*"))]))
        for name in os.listdir(back):
            self.assertEqual(digest(back / name), digest(tree / name))

    def test_openssh_quoted_name(self):
        into = self.fresh_dir()
        self.scp("-T", self.remote(f"{tree}/with\\ space"), into)
        self.scp("-T", self.remote(f"'{tree}/star*'"), into)
        self.assertEqual(sorted(os.listdir(into)), ["star*", "with space"])

    def test_home(self):
        name = f"nacre-scp-test-{os.getpid()}"
        target = pathlib.Path.home() / name
        self.addCleanup(lambda: target.unlink(missing_ok=True))
        for remote in (name, f"~/{name}", f"./{name}"):
            self.scp(tree / "plain", self.remote(remote))
            self.assertEqual(digest(target), digest(tree / "plain"))
            self.scp(self.remote(remote), place.path("home copy"))
            self.assertEqual(digest(place.path("home copy")), digest(tree / "plain"))
            target.unlink()
        source = shutil.copy(tree / "plain", place.path(name))
        self.scp(source, self.remote())
        self.assertEqual(digest(target), digest(tree / "plain"))

    def test_what_fails_is_told(self):
        into = self.fresh_dir()
        result = self.scp(self.remote(tree / "missing"), into, check=1)
        self.assertIn(b"missing: No such file or directory", result.stderr)
        result = self.scp(tree / "plain", tree / "size1", self.remote(into / "nowhere"), check=1)
        self.assertIn(b"nowhere: No such file or directory", result.stderr)
        result = self.scp(self.remote(tree), into, check=1)
        self.assertIn(b"is a directory", result.stderr)
        (into / "dir").mkdir()
        (into / "dir" / "plain").mkdir()
        result = self.scp(tree / "plain", tree / "size1", self.remote(into / "dir"), check=1)
        self.assertIn(b"Is a directory", result.stderr)
        self.assertEqual(digest(into / "dir" / "size1"), digest(tree / "size1"))

    def test_dropbears_client(self):
        into = self.fresh_dir()
        key = place.fresh("dropbear_key")
        run(["dropbearconvert", "openssh", "dropbear", place.keys["ed25519"], key], check=0)
        dbclient = place.fresh("dbclient.sh")
        # scp gives its program OpenSSH's options, a host, and the command.
        dbclient.write_text(f"""#!/bin/sh
while [ $# -gt 0 ]; do case $1 in -o|-p|-l|-i|-F) shift 2;; --) shift; break;; -*) shift;; *) break;; esac; done
shift
exec dbclient -y -y -i {key} -p {self.server.port} {ME}@127.0.0.1 "$@"
""")
        os.chmod(dbclient, 0o755)
        run(["scp", "-O", "-r", "-p", "-S", dbclient, tree, self.remote(into / "db")], check=0)
        self.same(into / "db", True)
        run(["scp", "-O", "-r", "-p", "-S", dbclient, self.remote(into / "db"), into / "db back"], check=0)
        self.same(into / "db back", True)

    def test_pscp(self):
        into = self.fresh_dir()
        key = place.fresh("key.ppk")
        subprocess.run(["puttygen", place.keys["ed25519"], "-o", key, "-O", "private"], check=True)
        fields = pathlib.Path(f"{place.host_keys['ed25519']}.pub").read_text().split()
        fingerprint = subprocess.run(["ssh-keygen", "-lf", f"{place.host_keys['ed25519']}.pub"], check=True,
                                     capture_output=True, text=True).stdout.split()[1]
        self.assertEqual(fields[0], "ssh-ed25519")
        base = ["pscp", "-scp", "-batch", "-q", "-P", self.server.port, "-i", key, "-hostkey", fingerprint, "-r", "-p"]
        env = {"HOME": str(place.dir)}
        # It rounds times and sets no modes; and takes wildcards in names of its own side for such.
        plain = make_tree(place.fresh("pscp_tree"), [n for n in ODD_NAMES if not set(n) & set("*?[]\\")])
        run([*base, plain, f"{ME}@127.0.0.1:{into}"], env=env, check=0)
        self.assertEqual(describe(into / plain.name, False), describe(plain, False))
        back = self.fresh_dir()
        run([*base, f"{ME}@127.0.0.1:{into}/{plain.name}", back], env=env, check=0)
        self.assertEqual(describe(back / plain.name, False), describe(plain, False))

    def test_curl(self):
        into = self.fresh_dir()
        base = ["curl", "-sS", "-k", "--key", place.keys["ed25519"], "--pubkey", f"{place.keys['ed25519']}.pub",
                "-u", f"{ME}:"]
        url = f"scp://127.0.0.1:{self.server.port}"
        for name in ("size3000001", "size0", "with space"):
            path = str(into / name).replace(" ", "%20")
            run([*base, "-T", tree / name, url + path], check=0)
            self.assertEqual(digest(into / name), digest(tree / name))
            run([*base, "-o", place.path("curled"), url + path], check=0)
            self.assertEqual(place.path("curled").read_bytes(), (tree / name).read_bytes())

    def test_a_connection_that_is_cut(self):
        source = make_file(place.fresh("cut"), 4_000_000)
        for stem, upwards in (("up", True), ("down", False)):
            into = self.fresh_dir()
            (into / "file").write_bytes(b"as it was")
            proxy = CuttingProxy(self.server.port, 1_000_000, upwards)
            ends = {"port": proxy.port}
            server = type("End", (), ends)
            result = drive(server, "", *(["put", source, into / "file"] if upwards else ["get", source, into / "file"]),
                           check=1)
            what = fr"{source} is incomplete: \d+ of 4000000" if upwards else fr"{into}/file is not there: \d+ of 4000000"
            self.assertRegex((result.stdout + result.stderr).decode(), what)
            wait_until(lambda: os.listdir(into) == ["file"], "the half file to go")
            self.assertEqual((into / "file").read_bytes(), b"as it was")


@unittest.skipUnless(ROOT, "only root can make a user")
class WhoMayNot(unittest.TestCase):
    """Serving scp without the user's shell gives nobody what his shell, or a forced command, forbids."""

    @classmethod
    def setUpClass(cls):
        cls.user = TestUser()
        cls.addClassCleanup(cls.user.remove)

    def scp(self, server, check):
        target = pathlib.Path(f"/home/{self.user.name}/sent")
        target.unlink(missing_ok=True)
        result = run(["scp", "-O", "-P", server.port, *client_options(place, server), tree / "with space",
                      f"{self.user.name}@127.0.0.1:sent"])
        self.assertEqual((result.returncode == 0, target.exists()), (check, check), result.stderr)
        if check:
            self.assertEqual((digest(target), target.owner()), (digest(tree / "with space"), self.user.name))

    def test_shells(self):
        server = nacre_server(place, "SetEnv PATH=/nonexistent")
        self.addCleanup(server.stop)
        # As the shell of an account it runs nothing: "-c" is no applet of its.
        busybox = place.fresh("shell") / "busybox"
        busybox.parent.mkdir()
        os.chmod(busybox.parent, 0o755)
        busybox.write_text("#!/bin/sh\nexit 127\n")
        os.chmod(busybox, 0o755)
        for shell, may in (("/bin/sh", True), (str(busybox), False), ("/usr/sbin/nologin", False), ("/bin/false", False), ("/bin/rbash", False),
                           ("/bin/bash", True), ("/nonexistent/sh", False)):
            with self.subTest(shell):
                subprocess.run(["usermod", "-s", shell, self.user.name], check=True, capture_output=True)
                self.scp(server, may)

    def test_forced_commands(self):
        subprocess.run(["usermod", "-s", "/bin/sh", self.user.name], check=True, capture_output=True)
        forced = place.fresh("forced_keys")
        forced.write_text('command="echo no" ' + pathlib.Path(f"{place.keys['ed25519']}.pub").read_text())
        os.chmod(forced, 0o644)
        for line in ("ForceCommand echo no", f"AuthorizedKeysFile {forced}"):
            server = nacre_server(place, line)
            self.addCleanup(server.stop)
            with self.subTest(line):
                self.scp(server, False)


class LyingServer(unittest.TestCase):
    """A program that plays scp -f with whatever bytes it likes: nothing appears outside of the target, the
    status is not zero, and the error says what was wrong."""

    def lie(self, said, letters="", ask="/remote/wanted", expect=b"", kept=(), check=1, stays=True):
        top = place.fresh("lies")
        into = top / "into"
        into.mkdir(parents=True)
        (top / "victim").write_bytes(b"precious")
        script = place.fresh("liar")
        script.write_bytes(said)
        # It says everything at once and then listens, as long as somebody is there.
        result = drive(openssh, letters, "get", ask, into, check=check,
                       env={"NACRE_SCP_PROGRAM": f"cat {script} {'-' if stays else ''} #"}, timeout=30)
        self.assertEqual(sorted(os.listdir(into)), sorted(kept), said)
        self.assertEqual(sorted(os.listdir(top)), ["into", "victim"])
        self.assertEqual((top / "victim").read_bytes(), b"precious")
        self.assertFalse(os.path.exists("/nacre-evil"))
        self.assertIn(expect, result.stderr)
        self.assertNotIn(b"\x1b", result.stderr)
        return result

    def test_names(self):
        for name in (b"../victim", b"/nacre-evil", b"..", b".", b"", b"a/b", b"/", b"x\x1b[2Jy", b"x\ry", b"wanted/../x"):
            for letters, ask in (("", "/remote/wanted"), ("rT", "/remote/wanted"), ("rg", "/remote/*")):
                self.lie(b"C0644 4 " + name + b"\nevil\0", letters, ask, b"a bad name")
                self.lie(b"D0755 0 " + name + b"\nC0644 4 victim\nevil\0E\n", letters, ask, b"a bad name")

    def test_names_inside_of_directories(self):
        for name in (b"../../victim", b"/nacre-evil", b".."):
            self.lie(b"D0755 0 wanted\nC0644 4 " + name + b"\nevil\0E\n", "r", expect=b"a bad name", kept=["wanted"])

    def test_other_names_than_asked_for(self):
        self.lie(b"C0644 4 .bashrc\nevil\0", expect=b"not asked for")
        self.lie(b"C0644 4 .bashrc\nevil\0", "g", "/remote/*", b"not asked for")
        self.lie(b"C0644 4 x.sh\nevil\0", "g", "/remote/*.txt", b"not asked for")
        self.lie(b"D0755 0 wanted\nC0644 4 x\nevil\0E\n", expect=b"not asked for")
        self.lie(b"C0644 4 wanted\ngood\0C0644 4 more\nevil\0", expect=b"not asked for", kept=["wanted"])
        self.lie(b"C0644 4 wanted\ngood\0C0644 4 wanted\nevil\0", expect=b"more than was asked for", kept=["wanted"])

    def test_sizes_and_lines(self):
        self.lie(b"C0644 9223372036854775808 wanted\nx", expect=b"the size")
        self.lie(b"C0644 -1 wanted\nx", expect=b"the size")
        self.lie(b"C0644 2 wanted\nfour\0", expect=b"more data")
        self.lie(b"C064 4 wanted\ngood\0", expect=b"the mode")
        self.lie(b"E\n", "r", expect=b"out of place")
        self.lie(b"Welcome to this server\nC0644 4 wanted\ngood\0", expect=b"print something")
        self.lie(b"D0755 0 wanted\n" * 70, "r", expect=b"directories in each other", kept=["wanted"])

    def test_the_servers_words(self):
        self.lie(b"\1scp: wanted: \x1b[2Jgone\n", expect=b"\\033[2Jgone", stays=False)
        self.lie(b"\2scp: no more\n", expect=b"NACRE_SCP_REFUSED: scp: no more")
        self.lie(b"C0644 4 wanted\ngood\1scp: wanted: read error\n", expect=b"read error", stays=False)

    def test_an_early_end(self):
        for said in (b"C0644 9223372036854775807 wanted\nx", b"C0644 4 wanted\ngo", b"C0644 4 wanted\ngood", b"T1 0 1 0\n"):
            top = place.fresh("lies")
            top.mkdir()
            script = place.fresh("liar")
            script.write_bytes(said)
            result = drive(openssh, "", "get", "/remote/wanted", top, check=1,
                           env={"NACRE_SCP_PROGRAM": f"cat {script}; echo because >&2; exit 3 #"})
            self.assertEqual(os.listdir(top), [])
            self.assertIn(b"in the middle of", result.stderr)
            self.assertIn(b"(status 3): because", result.stderr)

    def test_there_is_no_scp(self):
        for args in (["get", "/remote/wanted", place.path("nothing")], ["put", tree / "plain", "x"]):
            result = drive(openssh, "", *args, check=1, env={"NACRE_SCP_PROGRAM": "/nonexistent/scp"})
            self.assertIn(b"(status 127)", result.stderr)
            self.assertIn(b"/nonexistent/scp", result.stderr)


if __name__ == "__main__":
    main()
