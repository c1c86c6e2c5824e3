"""nacre-scp: the same command lines as OpenSSH's scp, against the same servers, with the same results; every option;
copies between servers; and servers whose names would lead elsewhere."""
import fcntl
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import termios
import unittest

from harness import *
from trees import *

NACRE_SCP = APPS / "nacre-scp"
SCP = "scp"
HERE = pathlib.Path(__file__).resolve().parent
place = theirs = ours = config = None


def setUpModule():
    global place, theirs, ours, config
    place = Place()
    theirs, ours = openssh_server(place), nacre_server(place)
    known = place.path("known_hosts_of_all")
    known.write_text("".join(place.known_hosts(s.port).read_text() for s in (theirs, ours)))
    config = place.path("ssh_config")
    text = "IgnoreUnknown WarnWeakCrypto\n"
    for name, server in (("theirs", theirs), ("ours", ours)):
        text += f"Host {name}\n HostName 127.0.0.1\n Port {server.port}\n"
    config.write_text(text + f"Host *\n User {ME}\n IdentityFile {place.keys['ed25519']}\n UserKnownHostsFile {known}\n"
                      " GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n BatchMode yes\n"
                      " WarnWeakCrypto no\n KexAlgorithms curve25519-sha256\n")


def scp(program, *args, cwd=None, check=None, stdin=b"", plain=False, **kwargs):
    command = [program, *([] if plain else ["-F", config]), *args]
    if cwd is None:
        return run(command, check=check, stdin=stdin, **kwargs)
    command = ["sh", "-c", 'cd "$0" && exec "$@"', cwd, *command]
    return run(command, check=check, stdin=stdin, **kwargs)


class Scene:
    """A local and a remote directory with the same things in them; "{r}" in arguments is the remote one."""

    def __init__(self):
        self.dir = place.fresh("scene")
        for side in ("local", "remote"):
            d = self.dir / side
            (d / "d" / "sub").mkdir(parents=True)
            (d / "e").mkdir()
            for name in ("f1", "f2", "d/a", "d/b", "d/sub/c", "a*b", "has space", "co:lon", "-dash"):
                (d / name).write_text(f"{side} {name}")
                os.utime(d / name, (OLD, OLD))
            os.chmod(d / "f2", 0o755)
            (d / "locked").write_text("read only")
            os.chmod(d / "locked", 0o444)
            os.symlink("f1", d / "link")
            os.symlink("d", d / "dlink")
            os.symlink("nowhere", d / "dangling")
            os.mkfifo(d / "fifo")

    def run(self, program, host, args, check=None):
        args = [a.format(r=f"{host}:{self.dir}/remote", p=f"{self.dir}/remote", h=host, l=f"{self.dir}/local") for a in args]
        return scp(program, *args, cwd=self.dir / "local", check=check)

    def result(self):
        return snapshot(self.dir, times=False)


# Arguments, the exit status; None: whatever scp's is.
CASES = [
    # up
    (["f1", "{r}/new"], 0), (["f1", "{r}/f2"], 0), (["f1", "{r}/e"], 0), (["f1", "{r}/e/"], 0), (["f1", "{r}"], 0),
    (["f1", "f2", "{r}/e"], 0), (["f1", "f2", "{r}/f1"], None),
    (["nothing", "{r}/new"], 255), (["d", "{r}/new"], 1), (["-r", "d", "{r}/new"], 0), (["-r", "d", "{r}/e"], 0),
    (["-r", "d/", "{r}/e"], 0), (["-r", "d/.", "{r}/e"], 0), (["-r", "d", "f1", "{r}/e"], 0), (["-r", "d", "{r}/f1"], 1),
    (["-r", "dlink", "{r}/e"], 0), (["link", "{r}/new"], 0), (["dangling", "{r}/new"], 255),
    (["f1", "{r}/missing/x"], 1), (["./co:lon", "{r}/e"], 0), (["has space", "{r}/e"], 0), (["a*b", "{r}/e"], 0),
    (["--", "-dash", "{r}/e"], 0), (["-p", "f2", "{r}/new"], 0),
    (["f1", "{r}/dlink"], 0), (["locked", "{r}/e"], 0), (["-p", "locked", "{r}/e"], 0), (["f1", "{r}/link"], 0),
    (["f1", "{r}/missing/"], 1), (["f1", "{r}/f2/"], 1), (["-r", "f1", "{r}/missing/"], 1),
    (["-O", "f1", "{r}/missing/"], 1), (["-O", "-r", "d", "{r}/missing/"], 0),
    # down
    (["{r}/f1", "missing/"], 1), (["{r}/f1", "f2/"], 1), (["-r", "{r}/d", "missing/"], 0), (["-r", "{r}/f1", "missing/"], 1),
    (["-O", "{r}/f1", "missing/"], 1), (["-O", "-r", "{r}/d", "missing/"], 0),
    (["{r}/f1", "new"], 0), (["{r}/f1", "."], 0), (["{r}/f1", "e"], 0), (["{r}/f1", "e/"], 0), (["{r}/f2", "f1"], 0),
    (["{r}/f1", "{r}/f2", "e"], 0), (["{r}/f1", "{r}/f2", "missing"], 1), (["{r}/f1", "{r}/f2", "f1"], 1),
    (["{r}/nothing", "new"], 1), (["{r}/nothing*", "e"], 1), (["{r}/nothing", "{r}/f1", "e"], 1),
    (["{r}/d", "new"], 1), (["-r", "{r}/d", "new"], 0), (["-r", "{r}/d", "e"], 0), (["-r", "{r}/d/", "e"], 0),
    (["-r", "{r}/d/.", "e"], 0), (["-r", "{r}/dlink", "e"], 0),
    (["{r}/link", "new"], 0), (["{r}/dangling", "new"], 1), (["{r}/f?", "e"], 0), (["{r}/f[12]", "e"], 0),
    (["{r}/f?", "made"], 0), (["{r}/f?", "f1"], 1), (["{r}/d/*", "e"], 1), (["-r", "{r}/d/*", "e"], 0),
    (["{r}/a*b", "e"], 0), (["{r}/a\\*b", "e"], 0), (["{r}/has space", "e"], 0), (["{r}/co:lon", "e"], 0),
    (["{r}/locked", "e"], 0), (["-p", "{r}/locked", "e"], 0), (["{r}/*/a", "e"], 0), (["{r}/?/[ab]", "e"], 0),
    (["{r}/[d]/a", "e"], 0), (["-r", "{r}/?", "made"], None), (["{r}/d/a*/", "e"], None), (["{r}/f1", "missing/x"], 1), (["-p", "{r}/f2", "new"], 0), (["-d", "{r}/f1", "missing"], 1), (["-d", "{r}/f1", "e"], 0),
    (["{r}/fifo", "new"], 1), (["{r}/f1", "link"], 0), (["{r}/f1", "dlink"], 0),
    # here
    (["f1", "new"], 0), (["f1", "f2", "e"], 0), (["d", "new"], 1), (["-r", "d", "new"], 0), (["-p", "f1", "e"], 0),
    (["nothing", "new"], 1),
    # nonsense
    ([], 1), (["f1"], 1), (["-Z", "f1", "{r}/new"], 1), (["-P", "0", "f1", "{r}/new"], 255), (["-l", "x", "f1", "{r}/new"], 1),
    (["-X", "nrequests=0", "f1", "{r}/new"], 255), (["-X", "what=1", "f1", "{r}/new"], 255), (["-1", "f1", "{r}/new"], 255),
    # through us
    (["{r}/f1", "{r}/missing/"], 1), (["-r", "{r}/d", "{r}/missing/"], 0), (["-r", "{r}/f1", "{r}/missing/"], 1),
    (["-3", "{r}/f1", "{r}/new"], 0), (["{r}/f1", "{r}/e"], 0), (["-r", "{r}/d", "{r}/new"], 0), (["-r", "{r}/d", "{r}/e"], 0),
    (["{r}/f1", "{r}/f2", "{r}/e"], 0), (["{r}/f1", "{r}/f2", "{r}/missing"], 1), (["{r}/nothing", "{r}/new"], 1),
    (["{r}/d", "{r}/new"], 1), (["f1", "{r}/f2", "{r}/e"], 0), (["{r}/f?", "{r}/e"], 0), (["-r", "{r}/dlink", "{r}/e"], 0),
]


class LikeScp(unittest.TestCase):
    """Each command line by scp and by nacre-scp, in scenes of their own: the same files, the same status."""

    maxDiff = None

    wanted = {}

    def want(self, args):
        """What scp does, with OpenSSH's server: the status, what was said, what is there then."""
        if args not in self.wanted:
            scene = Scene()
            result = scene.run(SCP, "theirs", args)
            self.wanted[args] = (result.returncode, result.stderr, scene.result())
            shutil.rmtree(scene.dir)
        return self.wanted[args]

    def compare(self, host):
        for args, status in CASES:
            with self.subTest(host=host, args=args):
                code, text, files = self.want(tuple(args))
                scene = Scene()
                got = scene.run(NACRE_SCP, host, args)
                said = f"{args}\nscp: {code} {text!r}\nnacre-scp: {got.returncode} {got.stderr!r}"
                self.assertEqual(got.returncode, code, said)
                if status is not None:
                    self.assertEqual(got.returncode, status, said)
                self.assertEqual(difference(files, scene.result()), "", said)
                self.assertEqual(bool(got.stderr), bool(text) or got.returncode != 0, said)
                shutil.rmtree(scene.dir)

    def test_where_we_differ(self):
        """Older scp puts d/.. into the parent of the target, makes directories with a file's mode, and waits for fifos."""
        for host in ("theirs", "ours"):
            for args, top in ((["-r", "d/sub/..", "{r}/e"], "remote"), (["-r", "{r}/d/sub/..", "e"], "local")):
                scene = Scene()
                scene.run(NACRE_SCP, host, args, check=0)
                self.assertEqual(sorted(p.name for p in (scene.dir / top / "e").iterdir()), ["a", "b", "sub"])
                self.assertFalse((scene.dir / top / "a").exists())
            for args in (["f1", "f2", "{r}/made"], ["-d", "f1", "f2", "{r}/made"]):
                scene = Scene()
                scene.run(NACRE_SCP, host, args, check=0)
                self.assertEqual(sorted(p.name for p in (scene.dir / "remote" / "made").iterdir()), ["f1", "f2"])
            scene = Scene()
            scene.run(NACRE_SCP, host, ["-r", "d", "{r}/made/"], check=0)
            self.assertEqual(sorted(p.name for p in (scene.dir / "remote" / "made").iterdir()), ["a", "b", "sub"])
            for args in (["fifo", "{r}/new"], ["fifo", "f1", "{r}/e"], ["{r}/fifo", "new"]):
                result = Scene().run(NACRE_SCP, host, args)
                self.assertEqual(result.returncode, 1, args)
                self.assertIn(b"fifo", result.stderr)

    def test_words_of_failures(self):
        """The path that failed, and why, as the C library puts it."""
        for host in ("theirs", "ours"):
            for args, path in ((["f1", "{r}/missing/x"], "remote/missing/x"), (["{r}/nothing", "new"], "remote/nothing"),
                               (["{r}/no*", "new"], "remote/no*"), (["nothing", "{r}/new"], "nothing"),
                               (["{r}/f1", "missing/x"], "missing/x"), (["{r}/f1", "{r}/missing/x"], "remote/missing/x"),
                               (["-r", "{r}/dangling", "new"], "remote/dangling"), (["-O", "{r}/nothing", "new"], "remote/nothing"),
                               (["-O", "f1", "{r}/missing/x"], "remote/missing/x"), (["-O", "nothing", "{r}/new"], "nothing")):
                said = Scene().run(NACRE_SCP, host, args).stderr.decode()
                self.assertRegex(said, f"^nacre-scp: (.*[ /])?{re.escape(path)}: No such file or directory\n$", args)

    def test_with_openssh(self):
        self.compare("theirs")

    def test_with_nacre_sshd(self):
        self.compare("ours")


class Trees(unittest.TestCase):
    def check(self, host, *options):
        source = make_tree(place.fresh("tree"), links=False)
        if "-p" not in options: # a new file is always writable for its owner here, as with scp
            os.chmod(source / "read only", 0o644)
        there, back = place.fresh("there"), place.fresh("back")
        scp(NACRE_SCP, "-r", *options, source, f"{host}:{there}", check=0)
        times = "-p" in options
        self.assertEqual(difference(snapshot(source, times=times, directory_times=times),
                                    snapshot(there, times=times, directory_times=times)), "")
        scp(NACRE_SCP, "-r", *options, f"{host}:{there}", back, check=0)
        self.assertEqual(difference(snapshot(source, times=times, directory_times=times),
                                    snapshot(back, times=times, directory_times=times)), "")
        for path in (source, there, back):
            shutil.rmtree(path)

    def test_there_and_back(self):
        for host in ("theirs", "ours"):
            for options in ((), ("-p",), ("-q",), ("-p", "-X", "nrequests=4", "-X", "buffer=16K"), ("-C",)):
                with self.subTest(host=host, options=options):
                    self.check(host, *options)

    def test_links_are_followed(self):
        for host in ("theirs", "ours"):
            scene = Scene()
            os.symlink("..", scene.dir / "local" / "d" / "up")
            os.symlink("a", scene.dir / "local" / "d" / "to a")
            os.symlink("sub", scene.dir / "local" / "d" / "to sub")
            for args in (["-r", "d", "{r}/new"], ["-r", "{r}/new", "back"]):
                result = scene.run(NACRE_SCP, host, args)
                self.assertEqual(result.returncode, 1 if "d" in args else 0, result.stderr)
            for top in ("remote/new", "local/back"):
                self.assertEqual((scene.dir / top / "to a").read_text(), "local d/a")
                self.assertFalse((scene.dir / top / "to a").is_symlink())
                self.assertEqual((scene.dir / top / "to sub" / "c").read_text(), "local d/sub/c")

    def test_targets_of_one_name(self):
        """Two sources called the same: the last one wins, whole."""
        for host in ("theirs", "ours"):
            d = place.fresh("same")
            for i in range(4):
                (d / str(i)).mkdir(parents=True)
                (d / str(i) / "name").write_bytes(bytes([65 + i]) * (3_000_000 - i))
            (d / "to").mkdir()
            scp(NACRE_SCP, *[d / str(i) / "name" for i in range(4)], f"{host}:{d}/to", check=0)
            self.assertEqual((d / "to" / "name").read_bytes(), b"D" * 2_999_997)
            os.unlink(d / "to" / "name")
            scp(NACRE_SCP, *[f"{host}:{d}/{i}/name" for i in range(4)], d / "to", check=0)
            self.assertEqual((d / "to" / "name").read_bytes(), b"D" * 2_999_997)


class Places(unittest.TestCase):
    def fetch(self, *args, **kwargs):
        target = place.fresh("got")
        scp(NACRE_SCP, *args, target, check=0, **kwargs)
        return target.read_bytes()

    def setUp(self):
        self.file = place.fresh("file")
        self.file.write_text("content")

    def test_uris(self):
        for server in (theirs, ours):
            for text in (f"scp://{ME}@127.0.0.1:{server.port}/{self.file}", f"scp://127.0.0.1:{server.port}/{self.file}"):
                self.assertEqual(self.fetch(text), b"content")
        self.assertEqual(self.fetch(f"scp://theirs/{self.file}"), b"content")
        odd = place.fresh("per%cent and space")
        odd.write_text("odd")
        escaped = str(odd).replace("%", "%25").replace(" ", "%20")
        self.assertEqual(self.fetch(f"scp://ours/{escaped}"), b"odd")

    def test_a_uri_begins_at_home(self):
        home = pathlib.Path(os.path.expanduser("~"))
        name = f".nacre-scp-test-{os.getpid()}"
        self.addCleanup((home / name).unlink, missing_ok=True)
        for target in (f"scp://theirs/{name}", f"ours:{name}", f"theirs:~/{name}", f"ours:~{ME}/{name}"):
            scp(NACRE_SCP, self.file, target, check=0)
            self.assertEqual((home / name).read_text(), "content", target)
            self.assertEqual(self.fetch(target), b"content")
            (home / name).unlink()

    def test_port_and_user(self):
        for server in (theirs, ours):
            self.assertEqual(self.fetch("-P", server.port, f"{ME}@127.0.0.1:{self.file}"), b"content")
            self.assertEqual(self.fetch("-P", 1, f"scp://127.0.0.1:{server.port}/{self.file}"), b"content")

    def test_brackets(self):
        try:
            with socket.socket(socket.AF_INET6) as s:
                s.bind(("::1", 0))
        except OSError:
            self.skipTest("no IPv6 here")
        server = openssh_server(place, "ListenAddress ::1", "ListenAddress 127.0.0.1")
        known = place.fresh("known")
        known.write_text(place.known_hosts(server.port).read_text().replace("[127.0.0.1]", "[::1]"))
        options = ["-o", f"UserKnownHostsFile={known}"]
        for text in (f"[::1]:{self.file}", f"{ME}@[::1]:{self.file}", f"scp://[::1]:{server.port}/{self.file}"):
            self.assertEqual(self.fetch(*options, "-P", server.port, text), b"content")
        there = place.fresh("there")
        scp(NACRE_SCP, *options, "-6", "-P", server.port, self.file, f"[::1]:{there}", check=0)
        self.assertEqual(there.read_text(), "content")
        self.assertEqual(scp(NACRE_SCP, *options, "-4", "-P", server.port, self.file, f"[::1]:{there}").returncode, 255)

    def test_what_is_no_host(self):
        for bad in ("-oProxyCommand=x:y", "$(touch x):y", "a;b:y", "`id`:y", "scp://-l/x", "scp://h:0/x", "scp://h/%0", "scp://h/%00x",
                    "scp:///x", "us er@h:x"):
            for args in ((bad, "there"), (self.file, bad)):
                result = scp(NACRE_SCP, "--", *args)
                self.assertIn(result.returncode, (1, 255), args)
                self.assertIn(b"nacre-scp: ", result.stderr)

    def test_sources_of_several_servers(self):
        target = place.fresh("target")
        target.mkdir()
        files = [place.fresh("source") for _ in range(4)]
        for f in files:
            f.write_text(f.name)
        before = theirs.text().count("Accepted publickey")
        scp(NACRE_SCP, f"theirs:{files[0]}", f"ours:{files[1]}", f"theirs:{files[2]}", files[3], target, check=0)
        self.assertEqual({p.name: p.read_text() for p in target.iterdir()}, {f.name: f.name for f in files})
        self.assertEqual(theirs.text().count("Accepted publickey") - before, 1)


class Options(unittest.TestCase):
    def setUp(self):
        self.file = make_file(place.fresh("file"), 700_000)
        self.there, self.back = place.fresh("there"), place.fresh("back")

    def around(self, *options, host="theirs"):
        scp(NACRE_SCP, *options, self.file, f"{host}:{self.there}", check=0)
        scp(NACRE_SCP, *options, f"{host}:{self.there}", self.back, check=0)
        self.assertEqual(digest(self.back), digest(self.file), options)
        for path in (self.there, self.back):
            path.unlink()

    def test_each(self):
        for host in ("theirs", "ours"):
            for options in (["-4"], ["-B"], ["-C"], ["-c", "aes128-ctr"], ["-i", place.keys["rsa"]], ["-l", "80000"], ["-q"], ["-T"],
                            ["-s"], ["-p"], ["-o", "Compression=yes"], ["-X", "nrequests=3"], ["-X", "buffer=4096"], ["-v"],
                            ["-vvv"], ["-3"], ["-R"], ["-2"], ["-S", "none"]):
                with self.subTest(host=host, options=options):
                    self.around(*options, host=host)

    def test_behind_the_names_too(self):
        scp(NACRE_SCP, self.file, f"theirs:{self.there}", "-q", "-p", check=0)
        self.assertEqual(digest(self.there), digest(self.file))

    def test_another_program(self):
        for program in ("ssh", NACRE_SSH):
            self.around("-S", program)
            self.around("-S", program, "-P", ours.port, "-C", host="127.0.0.1")

    def test_server_program(self):
        for program in (SFTP_SERVER, APPS / "nacre-sftp-server"):
            self.around("-D", program)

    def test_agent_is_refused_clearly(self):
        result = scp(NACRE_SCP, "-A", self.file, f"theirs:{self.there}")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"-A", result.stderr)

    def test_jump(self):
        for hops in ("theirs", f"{ME}@127.0.0.1:{theirs.port}", f"ssh://127.0.0.1:{theirs.port}"):
            before = theirs.text().count("Accepted publickey")
            self.around("-J", hops, host="ours")
            self.assertEqual(theirs.text().count("Accepted publickey") - before, 2)
        # From server to server both are reached through it, on one loop.
        second = openssh_server(place)
        known = place.known_hosts(second.port)
        scp(NACRE_SCP, "-J", "theirs", "-o", f"UserKnownHostsFile={known} {place.path('known_hosts_of_all')}", f"ours:{self.file}",
            f"scp://127.0.0.1:{second.port}/{self.there}", check=0)
        self.assertEqual(digest(self.there), digest(self.file))

    def test_quiet_and_verbose(self):
        self.assertEqual(scp(NACRE_SCP, "-q", self.file, f"theirs:{self.there}", check=0).stderr, b"")
        self.assertIn(b"debug1: ", scp(NACRE_SCP, "-v", self.file, f"theirs:{self.there}", check=0).stderr)
        self.assertEqual(scp(NACRE_SCP, self.file, f"theirs:{self.there}", check=0).stdout, b"")

    def test_progress_on_a_terminal(self):
        for args, shows in ((["-q"], False), ([], True)):
            master, slave = pty.openpty()
            def take_terminal():
                os.setsid()
                fcntl.ioctl(0, termios.TIOCSCTTY, 0)

            with subprocess.Popen([str(NACRE_SCP), "-F", str(config), *args, str(self.file), f"theirs:{self.there}"], stdin=slave,
                                  stdout=slave, stderr=slave, preexec_fn=take_terminal) as p:
                os.close(slave)
                text = b""
                try:
                    while block := os.read(master, 4096):
                        text += block
                except OSError:
                    pass
                os.close(master)
            self.assertEqual(p.returncode, 0, text)
            self.assertEqual(b"100%" in text and self.file.name.encode() in text, shows, text)

    def test_preserve(self):
        os.chmod(self.file, 0o4751)
        os.utime(self.file, (OLD, NEW))
        for host in ("theirs", "ours"):
            for source, target in ((self.file, f"{host}:{self.there}"), (f"{host}:{self.there}", self.back)):
                scp(NACRE_SCP, "-p", source, target, check=0)
                path = self.back if target == self.back else self.there
                st = path.stat()
                self.assertEqual((stat.S_IMODE(st.st_mode), int(st.st_mtime)), (0o751, NEW), path)
                if path == self.there: # reading it afterwards changes it
                    self.assertEqual(int(st.st_atime), OLD)
            self.there.unlink()
            self.back.unlink()
            os.utime(self.file, (OLD, NEW))

    def test_no_connection(self):
        closed = free_port()
        for args in ((self.file, "127.0.0.1:x"), ("127.0.0.1:x", self.back), ("127.0.0.1:x", "theirs:y"), ("theirs:x", "127.0.0.1:y")):
            self.assertEqual(scp(NACRE_SCP, "-P", closed, *args).returncode, 255, args)

    def test_a_signal_leaves_nothing_half_done(self):
        big = make_file(place.fresh("big"), 3_000_000)
        target = place.fresh("directory")
        target.mkdir()
        with subprocess.Popen([str(NACRE_SCP), "-F", str(config), "-l", "2000", f"theirs:{big}", str(target)], stdin=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, start_new_session=True) as p:
            wait_until(lambda: any(f.stat().st_size for f in target.iterdir()) or p.poll() is not None, "the first bytes")
            p.send_signal(signal.SIGINT)
            _, err = p.communicate(timeout=DEADLINE)
        self.assertEqual(p.returncode, 1, err)
        self.assertEqual(list(target.iterdir()), [])


    def test_a_signal_names_what_is_incomplete(self):
        big = make_file(place.fresh("big"), 3_000_000)
        for options, source, target in (([], big, "theirs:"), ([], big, "ours:"), (["-O"], big, "theirs:"), ([], f"theirs:{big}", "ours:"),
                                        (["-O"], f"theirs:{big}", "ours:")):
            d = place.fresh("directory")
            d.mkdir()
            with subprocess.Popen([str(NACRE_SCP), "-F", str(config), "-l", "2000", *options, str(source), f"{target}{d}/x"],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True) as p:
                wait_until(lambda: any(f.stat().st_size for f in d.iterdir()) or p.poll() is not None, "the first bytes")
                p.send_signal(signal.SIGINT)
                _, err = p.communicate(timeout=DEADLINE)
            self.assertEqual(p.returncode, 1, err)
            self.assertRegex(err, rb"(?s)incomplete.*\d bytes", (options, target))


class Old(unittest.TestCase):
    def test_there_and_back(self):
        for host in ("theirs", "ours"):
            for options in (("-r",), ("-r", "-p")):
                source = make_tree(place.fresh("tree"), names=["with space", "quo'te", "$HOME", "naïve"], links=False, wide=30)
                there, back = place.fresh("there"), place.fresh("back")
                scp(NACRE_SCP, "-O", *options, source, f"{host}:{there}", check=0)
                scp(NACRE_SCP, "-O", *options, f"{host}:{there}", back, check=0)
                times = "-p" in options
                for got in (there, back):
                    self.assertEqual(difference(snapshot(source, times=times), snapshot(got, times=times)), "", (host, options))

    def test_wildcards_several_sources_and_failures(self):
        for host in ("theirs", "ours"):
            scene = Scene()
            scene.run(NACRE_SCP, host, ["-O", "{r}/f?", "e"], check=0)
            scene.run(NACRE_SCP, host, ["-O", "f1", "f2", "{r}/e"], check=0)
            for side in ("local", "remote"):
                self.assertEqual(sorted(p.name for p in (scene.dir / side / "e").iterdir()), ["f1", "f2"])
            self.assertEqual(scene.run(NACRE_SCP, host, ["-O", "{r}/nothing", "e"]).returncode, 1)
            self.assertEqual(scene.run(NACRE_SCP, host, ["-O", "d", "{r}/e"]).returncode, 1)
            self.assertEqual(scene.run(NACRE_SCP, host, ["-O", "nothing", "{r}/e"]).returncode, 1)

    def test_what_it_cannot_do_is_said(self):
        for args in (["-O", "-S", "ssh", "f1", "{r}/x"], ["-O", "-D", SFTP_SERVER, "f1", "{r}/x"],
                     ["-O", "{r}/f1", "{r}/f1"]):
            result = Scene().run(NACRE_SCP, "theirs", args)
            self.assertNotEqual(result.returncode, 0)
            self.assertRegex(result.stderr, b"-O|same file")

    def test_from_server_to_server(self):
        source = make_file(place.fresh("file"), 3_000_000)
        os.chmod(source, 0o640)
        os.utime(source, (NEW, NEW))
        for a, b in Between.PAIRS:
            for options in ((), ("-p",)):
                target = place.fresh("target")
                scp(NACRE_SCP, "-O", *options, f"{a}:{source}", f"{b}:{target}", check=0)
                self.assertEqual(digest(target), digest(source))
                self.assertEqual(int(target.stat().st_mtime) == NEW, "-p" in options)
            directory = place.fresh("directory")
            directory.mkdir()
            scp(NACRE_SCP, "-O", f"{a}:{source}", f"{b}:{directory}", check=0)
            self.assertEqual(digest(directory / source.name), digest(source))
            for bad in ((f"{a}:/nonexistent", f"{b}:{directory}/x"), (f"{a}:{source}", f"{b}:/nonexistent/x"), (f"{a}:/tmp", f"{b}:{directory}/x")):
                result = scp(NACRE_SCP, "-O", *bad)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(b"nacre-scp: ", result.stderr)
                self.assertFalse((directory / "x").exists())


    def test_trees_from_server_to_server(self):
        """As OpenSSH's scp -O -3 does it, beside it."""
        source = make_tree(place.fresh("tree"), names=["with space", "quo'te", "$HOME", "naïve"], links=False, wide=30)
        for a, b in Between.PAIRS:
            for options in ((), ("-p",)):
                with self.subTest(a=a, b=b, options=options):
                    got = []
                    for program in (SCP, NACRE_SCP):
                        target, there = place.fresh("target"), place.fresh("there")
                        there.mkdir()
                        scp(program, "-O", "-3", "-r", *options, f"{a}:{source}", f"{b}:{target}", check=0)
                        scp(program, "-O", "-3", "-r", *options, f"{a}:{source}", f"{b}:{there}", check=0)
                        got.append([snapshot(target, times="-p" in options), snapshot(there / source.name, times="-p" in options)])
                    for i in range(2):
                        self.assertEqual(difference(got[0][i], got[1][i]), "")

    def test_patterns_from_server_to_server(self):
        for a, b in Between.PAIRS:
            scene = Scene()
            r, e = f"{a}:{scene.dir}/remote", scene.dir / "remote" / "e"
            scp(NACRE_SCP, "-O", f"{r}/f?", f"{b}:{e}", check=0)
            scp(NACRE_SCP, "-O", f"{r}/d/{{a,b}}", f"{b}:{e}", check=0)
            scp(NACRE_SCP, "-O", "-r", f"{r}/d/s*", f"{r}/has space", f"{b}:{e}", check=0)
            self.assertEqual(sorted(p.name for p in e.iterdir()), ["a", "b", "f1", "f2", "has space", "sub"])
            self.assertEqual((e / "sub" / "c").read_text(), "remote d/sub/c")
            for args, word in (([f"{r}/f1", f"{r}/f2", f"{b}:{scene.dir}/nothing"], b"nothing"), (["-r", f"{r}/d", f"{b}:{e}/f1"], b"f1"),
                               ([f"{r}/f1", f"{r}/missing", f"{b}:{e}"], b"missing"), ([f"{r}/d", f"{b}:{e}"], b"d: ")):
                result = scp(NACRE_SCP, "-O", *args)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertIn(word, result.stderr)

    def test_alternatives_in_braces(self):
        for host in ("theirs", "ours"):
            scene = Scene()
            scene.run(NACRE_SCP, host, ["-O", "{r}/{{f1,d/{{a,b}}}}", "e"], check=0)
            self.assertEqual(sorted(p.name for p in (scene.dir / "local" / "e").iterdir()), ["a", "b", "f1"])

    def test_a_source_that_lies_to_the_next_server(self):
        """A script in place of its scp: nothing appears outside of the target, and what went wrong is said."""
        bin_dir, script = place.fresh("bin"), place.fresh("said")
        bin_dir.mkdir()
        (bin_dir / "scp").write_text(f"#!/bin/sh\nexec /usr/bin/python3 -c 'import sys, pathlib\n"
                                     f"sys.stdout.buffer.write(pathlib.Path(\"{script}\").read_bytes())\nsys.stdout.flush()\n"
                                     f"sys.stdin.buffer.read()'\n")
        os.chmod(bin_dir / "scp", 0o755)
        liar = openssh_server(place, f"SetEnv PATH={bin_dir}:/usr/bin:/bin")
        known = place.known_hosts(liar.port)
        where = ["-o", f"UserKnownHostsFile={known} {place.path('known_hosts_of_all')}"]
        for said in (b"C0644 4 ../x\nevil\0", b"C0644 4 other\nevil\0", b"D0755 0 d\nC0644 4 ..\nevil\0", b"C0644 4 /tmp/evil\nevil\0",
                     b"D0755 0 d\nC0644 4 a\x1b\nevil\0", b"E\n", b"T1 0 1 0\nT1 0 1 0\n", b"hello\n", b"C0644 99999999999999999999 d\n",
                     b"D0755 0 d\nE\nE\n", b"D0755 0 d\nE\nC0644 1 d\nx\0", b"C0644 4 d\nevil+", b"\x02it is over\n",
                     b"D0755 0 " + b"x" * 5000 + b"\n", b"x" * 100_000, b"D0755 0 d\n" * 100):
            outer = place.fresh("outer")
            (outer / "in").mkdir(parents=True)
            script.write_bytes(said)
            result = scp(NACRE_SCP, "-O", "-r", *where, f"scp://127.0.0.1:{liar.port}//d", f"theirs:{outer}/in")
            self.assertEqual(result.returncode, 1, (said[:50], result.stderr))
            self.assertRegex(result.stderr, b"^nacre-scp: [^\n\x1b]+\n$", said[:50])
            self.assertEqual([p.name for p in outer.iterdir()], ["in"], said[:50])
            self.assertLessEqual({p.name for p in (outer / "in").iterdir()}, {"d"}, said[:50])


class Between(unittest.TestCase):
    PAIRS = [("theirs", "ours"), ("ours", "theirs"), ("theirs", "theirs"), ("ours", "ours")]

    def test_trees(self):
        for a, b in self.PAIRS:
            for options in ((), ("-p",)):
                with self.subTest(a=a, b=b, options=options):
                    source = make_tree(place.fresh("tree"), links=False, wide=40)
                    target = place.fresh("target")
                    scp(NACRE_SCP, "-r", *options, f"{a}:{source}", f"{b}:{target}", check=0)
                    times = "-p" in options
                    self.assertEqual(difference(snapshot(source, times=times, directory_times=times),
                                                snapshot(target, times=times, directory_times=times)), "")

    def test_programs_in_place_of_the_library(self):
        source = make_tree(place.fresh("tree"), links=False, wide=10)
        for options in (["-S", "ssh"], ["-D", SFTP_SERVER]):
            target = place.fresh("target")
            scp(NACRE_SCP, "-r", *options, f"theirs:{source}", f"ours:{target}", check=0)
            self.assertEqual(difference(snapshot(source), snapshot(target)), "")

    def test_a_big_file_in_little_memory(self):
        source, target = make_file(place.fresh("big"), 200_000_000), place.fresh("target")
        for a, b in self.PAIRS[:2]:
            with subprocess.Popen([str(NACRE_SCP), "-F", str(config), f"{a}:{source}", f"{b}:{target}"], stdin=subprocess.DEVNULL) as p:
                _, status, usage = os.wait4(p.pid, 0)
                p.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(p.returncode, 0)
            self.assertEqual(digest(target), digest(source))
            self.assertLess(usage.ru_maxrss, 100_000, "KiB")
            target.unlink()

    def test_limit_and_progress(self):
        source, target = make_file(place.fresh("file"), 150_000), place.fresh("target")
        scp(NACRE_SCP, "-l", "8000", "-X", "nrequests=2", f"theirs:{source}", f"ours:{target}", check=0)
        self.assertEqual(digest(target), digest(source))

    def test_links_and_loops(self):
        for a, b in self.PAIRS:
            scene = Scene()
            d = scene.dir / "remote" / "d"
            os.symlink("sub", d / "to sub")
            os.symlink("a", d / "to a")
            result = scp(NACRE_SCP, "-r", f"{a}:{d}", f"{b}:{scene.dir}/new", check=0)
            self.assertEqual((scene.dir / "new" / "to sub" / "c").read_text(), "remote d/sub/c")
            self.assertEqual((scene.dir / "new" / "to a").read_text(), "remote d/a")
            os.symlink("..", d / "sub" / "back")
            result = scp(NACRE_SCP, "-r", f"{a}:{d}", f"{b}:{scene.dir}/again")
            self.assertEqual(result.returncode, 1)
            self.assertIn(b"leads back", result.stderr)
            self.assertFalse((scene.dir / "again" / "sub" / "back").exists())
            self.assertEqual((scene.dir / "again" / "sub" / "c").read_text(), "remote d/sub/c")

    def test_nothing_is_lost_by_copying_onto_itself(self):
        for host in ("theirs", "ours"):
            scene = Scene()
            for args in (["{r}/f1", "{r}/f1"], ["{r}/f1", "{r}"], ["{r}/f1", "{r}/link"]):
                result = scene.run(NACRE_SCP, host, args)
                self.assertEqual(result.returncode, 1, result.stderr)
                self.assertEqual((scene.dir / "remote" / "f1").read_text(), "remote f1")
            before = scene.result()
            self.assertEqual(scene.run(NACRE_SCP, host, ["-r", "{r}/d", "{r}/d/sub"]).returncode, 1)
            self.assertEqual(difference(before, scene.result()), "")

    def test_nor_under_another_name(self):
        """The same file by another path, a link, a hard link: on one server, and on two that share a disk."""
        for a, b in [(None, "theirs"), (None, "ours"), ("theirs", None), ("ours", None), *self.PAIRS]:
            for kind in ("itself", "link", "hard link"):
                for options in ((), ("-O",), ("-p",)):
                    with self.subTest(a=a, b=b, kind=kind, options=options):
                        d = place.fresh("same")
                        d.mkdir()
                        (d / "f").write_bytes(b"precious" * 50_000)
                        os.symlink("f", d / "link")
                        os.link(d / "f", d / "hard link")
                        to = d / ("f" if kind == "itself" else kind)
                        source, target = f"{a}:{d}/f" if a else d / "f", f"{b}:{to}" if b else to
                        scp(NACRE_SCP, *options, source, target)
                        self.assertEqual((d / "f").read_bytes(), b"precious" * 50_000)
                        self.assertEqual(to.read_bytes(), b"precious" * 50_000)

    def test_nor_in_trees(self):
        for a, b in [(None, "theirs"), (None, "ours"), ("theirs", None), ("ours", None), *self.PAIRS]:
            for options in ((), ("-O",)):
                top = place.fresh("top")
                top.mkdir()
                tree = make_tree(top / "tree", links=False, wide=20)
                os.chmod(tree / "read only", 0o644)
                before = snapshot(tree, times=False)
                scp(NACRE_SCP, "-r", *options, f"{a}:{tree}" if a else tree, f"{b}:{top}/" if b else top)
                self.assertEqual(difference(before, snapshot(tree, times=False)), "", (a, b, options))

    def test_what_is_there_gets_the_new_length(self):
        for a, b in [(None, "theirs"), (None, "ours"), *self.PAIRS]:
            for size in (0, 1, 100_000):
                d = place.fresh("there")
                d.mkdir()
                make_file(d / "f", size)
                make_file(d / "g", 50_000)
                scp(NACRE_SCP, f"{a}:{d}/f" if a else d / "f", f"{b}:{d}/g", check=0)
                self.assertEqual((d / "g").read_bytes(), (d / "f").read_bytes(), (a, b, size))
        for b in ("theirs", "ours"): # which has no length
            scp(NACRE_SCP, d / "f", f"{b}:/dev/null", check=0)
            scp(NACRE_SCP, f"theirs:{d}/f", f"{b}:/dev/null", check=0)

    def test_by_the_other_host(self):
        """-R: a script in place of the other host's scp shows what it is told."""
        bin_dir, seen = place.fresh("bin"), place.fresh("seen")
        bin_dir.mkdir()
        (bin_dir / "scp").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {seen}\nexit $(cat {seen}.status)\n')
        os.chmod(bin_dir / "scp", 0o755)
        for server in (openssh_server(place, f"SetEnv PATH={bin_dir}:/usr/bin:/bin"),):
            known = place.known_hosts(server.port)
            pathlib.Path(f"{seen}.status").write_text("0")
            where = ["-o", f"UserKnownHostsFile={known}", "-P", server.port]
            for via in ([], ["-S", "ssh"]):
                result = scp(NACRE_SCP, "-R", "-r", "-p", *where, *via, "127.0.0.1:/a b/$HOME*;x", "you@other.example:/t 'o", check=0)
                self.assertEqual(seen.read_text().splitlines(), ["-r", "-p", "--", "/a b/$HOME*;x", "you@other.example:/t 'o"], result.stderr)
                seen.unlink()
            pathlib.Path(f"{seen}.status").write_text("3")
            self.assertEqual(scp(NACRE_SCP, "-R", *where, "127.0.0.1:/a", "other.example:/b").returncode, 1)
        self.assertEqual(scp(NACRE_SCP, "-R", "theirs:/a", "scp://other.example:2222//b").returncode, 255)


class Hostile(unittest.TestCase):
    """-D with a server program that lists names which lead elsewhere: nothing appears outside of the target."""

    def server(self, scenario, first=None):
        """first: an honest program for the first connection."""
        script = place.fresh("server")
        once = f"mkdir {script}.used 2>/dev/null && exec {first}\n" if first else ""
        script.write_text(f"#!/bin/sh\n{once}exec /usr/bin/python3 {HERE}/bad_server.py {scenario}\n")
        os.chmod(script, 0o755)
        return script

    def target(self):
        self.outer = place.fresh("outer")
        target = self.outer / "in" / "target"
        target.mkdir(parents=True)
        return target

    def check_outside(self, target):
        outside = [p for p in self.outer.rglob("*") if target not in p.parents and p not in (target, target.parent)]
        self.assertEqual(outside, [])
        self.assertFalse(os.path.lexists("/tmp/evil"))

    def test_names(self):
        for scenario in ("NamesThatClimb", "NamesWithZero"):
            for args in (["-r", "x:/d"], ["x:/d/*"], ["-r", "x:/d/*"], ["-r", "x:/d/."], ["-r", "x:/*"], ["x:/d/?*"]):
                with self.subTest(scenario=scenario, args=args):
                    target = self.target()
                    result = scp(NACRE_SCP, "-D", self.server(scenario), *args, target)
                    self.assertNotEqual(result.returncode, 0, result.stderr)
                    self.check_outside(target)

    def test_names_on_the_way_to_another_server(self):
        for scenario in ("NamesThatClimb", "NamesWithZero", "SameNameTwice"):
            target = self.target()
            result = scp(NACRE_SCP, "-D", self.server(scenario, first=SFTP_SERVER), "-r", "x:/d", f"y:{target}")
            self.assertIn(result.returncode, (0, 1) if scenario == "SameNameTwice" else (1,), result.stderr)
            self.check_outside(target)

    def test_a_link_and_then_a_file_of_its_name(self):
        target = self.target()
        scp(NACRE_SCP, "-D", self.server("SameNameTwice"), "-r", "x:/d", target)
        self.check_outside(target)

    def test_nothing_reaches_the_terminal(self):
        for args in (["-v", "-r", "x:/d"], ["-v", "x:/d/*"]):
            result = scp(NACRE_SCP, "-D", self.server("NamesForTerminals"), *args, self.target())
            for bad in (b"\x1b", b"\x07", b"\b", b"\x9b", b"\xc2\x9b"):
                self.assertNotIn(bad, result.stderr + result.stdout)

    def test_a_tree_without_end(self):
        target = self.target()
        result = scp(NACRE_SCP, "-D", self.server("DeepForEver"), "-r", "x:/d", target)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertLess(len(list(target.rglob("*"))), 200)

    def test_files_that_end_early_or_late(self):
        for scenario in ("EndsEarly", "FailsHalfWay", "SizeTooLong", "IdNeverAsked", "PacketOf4GiB"):
            target = self.target()
            result = scp(NACRE_SCP, "-D", self.server(scenario), "x:/d/file", target)
            self.assertNotEqual(result.returncode, 0, scenario)
            self.assertEqual(list(target.iterdir()), [], scenario)

    def test_a_server_that_is_none(self):
        for program in ("/bin/true", "/nonexistent"):
            target = place.fresh("target")
            result = scp(NACRE_SCP, "-D", program, "x:/d", target)
            self.assertEqual(result.returncode, 255, result.stderr)
            self.assertFalse(target.exists())


if __name__ == "__main__":
    main()
