#!/usr/bin/python3
"""Sessions: streams against both servers, terminals mode by mode, breaks, what a login finds around it, limits of silence,
and login shells that talk before SFTP and SCP do."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import termios
import time
import unittest

from harness import *
from terminal import Terminal

NACRE_SCP = APPS / "nacre-scp"
DRIVE = BUILD / "tests" / "interop" / "drive_stream"


def setUpModule():
    global place, openssh, nacre
    place = Place()
    openssh = openssh_server(place)
    nacre = nacre_server(place, "AcceptEnv LANG NACRE_*", "SetEnv SET=by-server", "PermitUserEnvironment yes")


class Streams(unittest.TestCase):
    def test_streams(self):
        for server in (openssh, nacre):
            with self.subTest(server.name):
                # OpenSSH's sshd sends no signals for root.
                signals = ["signals"] if server is nacre or not ROOT else []
                result = run([DRIVE, ME, place.keys["ed25519"], place.known_hosts(server.port), server.port, *signals])
                self.assertEqual((result.returncode, result.stdout), (0, b""))


class NoMoreSessions(unittest.TestCase):
    def test_sent_unless_shared(self):
        watched = openssh_server(place, "LogLevel DEBUG1")
        said = "rtype no-more-sessions@openssh.com"
        ssh(NACRE_SSH, place, watched, "true", options=["ControlMaster=yes", f"ControlPath={place.fresh('control')}"], check=0)
        self.assertNotIn(said, watched.text())
        ssh(NACRE_SSH, place, watched, "true", check=0)
        self.assertIn(said, watched.text())
        watched.stop()


class Terminals(unittest.TestCase):
    # What travels, by the names of stty: RFC 4254 8 has no opcode for the others.
    FLAGS = """ignpar parmrk inpck istrip inlcr igncr icrnl iuclc ixon ixany ixoff imaxbel iutf8 isig icanon xcase echo echoe
        echok echonl noflsh tostop iexten echoctl echoke opost olcuc onlcr ocrnl onocr onlret parodd""".split()
    CHARS = "intr quit erase kill eof eol eol2 swtch start stop susp rprnt werase lnext discard".split()

    def session(self, program, server, remote):
        options = client_options(place, server, extra=with_defaults(program, []))
        t = Terminal([program, "-tt", "-p", server.port, *options, f"{ME}@127.0.0.1", remote])
        self.addCleanup(t.close)
        return t

    @staticmethod
    def settings(text):
        text = text.replace(";", " ; ")
        flags = {word.lstrip("-"): not word.startswith("-") for word in text.split()}
        chars = dict(re.findall(r"([a-z0-9]+) = (\S+) ;", text))
        return flags, chars

    def stty(self, t, *words):
        return subprocess.run(["stty", *words], stdin=t.far, check=True, capture_output=True, text=True).stdout

    def test_every_mode(self):
        sets = (["-icanon", "-echo", "ixany", "inlcr", "-icrnl", "tostop", "noflsh", "olcuc", "intr", "^A", "quit", "undef",
                 "erase", "^H", "susp", "^B", "-iutf8", "-imaxbel", "echonl", "-iexten"],
                ["parmrk", "inpck", "istrip", "igncr", "ixoff", "-ixon", "ocrnl", "onocr", "onlret", "iuclc", "xcase", "echok",
                 "-echoctl", "-echoke", "eol", "^E", "eol2", "^F", "werase", "^G", "lnext", "^K", "rprnt", "^L", "start", "^N",
                 "stop", "^O", "discard", "^P", "iutf8", "parodd"])
        for program, server in (("ssh", nacre), (NACRE_SSH, openssh), (NACRE_SSH, nacre)):
            for words in sets:
                with self.subTest(program=str(program), server=server.name):
                    here = self.modes_here(words)
                    there = self.modes_there(program, server, words)
                    for name in self.FLAGS:
                        self.assertEqual(there[0].get(name), here[0].get(name), name)
                    for name in self.CHARS:
                        self.assertEqual(there[1].get(name), here[1].get(name), name)

    def modes_here(self, words):
        t = Terminal(["true"])
        self.addCleanup(t.close)
        self.stty(t, *words)
        return self.settings(self.stty(t, "-a"))

    def modes_there(self, program, server, words):
        """The client starts in a terminal of those modes; what stty says of the server's is fetched by a file, since the
        modes may garble what is shown."""
        out = place.fresh("stty")
        options = client_options(place, server, extra=with_defaults(program, []))
        command = [str(x) for x in (program, "-tt", "-p", server.port, *options, f"{ME}@127.0.0.1", f"stty -a > {out}")]
        t = Terminal(["/bin/sh", "-c", 'stty "$@" && exec ' + " ".join(f"'{word}'" for word in command), "sh", *words])
        self.addCleanup(t.close)
        t.wait()
        return self.settings(out.read_text())

    def test_break(self):
        for program, server in (("ssh", nacre), (NACRE_SSH, nacre)):
            with self.subTest(program=str(program)):
                t = self.session(program, server, "trap 'echo broken; exit 7' INT; stty brkint; echo ready; while :; do sleep 0.05; done")
                t.expect(b"ready")
                t.send(b"\r~B")
                t.expect(b"broken")
                self.assertEqual(t.wait(), 7)

    def test_permit_tty_no(self):
        other = nacre_server(place, "PermitTTY no")
        for program in ("ssh", NACRE_SSH):
            result = ssh(program, place, other, "tty", args=["-tt"])
            self.assertNotIn(b"/dev/", result.stdout)
            self.assertIn(b"PTY allocation request failed", result.stderr)
        other.stop()


class Environment(unittest.TestCase):
    def test_accept_env_and_set_env(self):
        for program in ("ssh", NACRE_SSH):
            with self.subTest(program=str(program)):
                result = ssh(program, place, nacre, "echo $NACRE_X,$OTHER,$SET,$SSH_CLIENT,$USER",
                             options=["SetEnv=NACRE_X=x OTHER=y SET=mine SSH_CLIENT=lie"], check=0)
                self.assertRegex(result.stdout.decode(), rf"^x,,by-server,127\.0\.0\.1 \d+ {nacre.port},{ME}\n$")


    def test_what_is_said_beats_what_is_at_hand(self):
        for program in ("ssh", NACRE_SSH):
            with self.subTest(program=str(program)):
                result = ssh(program, place, nacre, "echo $NACRE_X", options=["SendEnv=NACRE_X", "SetEnv=NACRE_X=said"],
                             env={**os.environ, "NACRE_X": "at hand"}, check=0)
                self.assertEqual(result.stdout, b"said\n")


@unittest.skipUnless(ROOT, "only root can make users and note their logins")
class Logins(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.user = TestUser()
        cls.addClassCleanup(cls.user.remove)
        cls.home = pathlib.Path("/home", cls.user.name)

    def put(self, name, text, mode=0o644):
        path = self.home / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        for p in (path.parent, path):
            shutil.chown(p, self.user.name, self.user.name) if p != self.home else None
        path.chmod(mode)
        self.addCleanup(path.unlink, True)

    def ssh(self, server, *command, **kwargs):
        return ssh("ssh", place, server, *command, user=self.user.name, **kwargs)

    def test_users_environment(self):
        self.put(".ssh/environment", "# a comment\n\n FROM_FILE=yes\nnonsense\n=x\nSSH_CLIENT=lie\nSET=mine\nSSH_TTY=lie\n")
        result = self.ssh(nacre, "echo $FROM_FILE,$SET,$SSH_TTY,$SSH_CLIENT", check=0)
        self.assertRegex(result.stdout, rb"^yes,by-server,,127\.0\.0\.1 ")
        other = nacre_server(place, "PermitUserEnvironment SE*")
        self.assertEqual(self.ssh(other, "echo $FROM_FILE,$SET", check=0).stdout, b",mine\n")
        other.stop()

    def test_rc(self):
        self.put(".ssh/rc", "echo rc $NACRE_X $(pwd) $(wc -c)\n")
        expected = f"rc x {self.home} 0\nran\n".encode()
        for server in (openssh, nacre):
            with self.subTest(server.name):
                result = self.ssh(server, "echo ran", options=["SetEnv=NACRE_X=x"], check=0)
                self.assertEqual(result.stdout, expected if server is nacre else expected.replace(b" x ", b" "))
        # What reads its input gets all of it, and SFTP is not disturbed.
        self.assertEqual(self.ssh(nacre, "cat; exit 4", stdin=b"in", check=4).stdout, expected[:-4].replace(b"x ", b"") + b"in")
        sftp("sftp", place, nacre, ["pwd"], user=self.user.name, check=0)
        for line in ("PermitUserRC no", "ForceCommand echo ran"):
            other = nacre_server(place, line)
            self.assertEqual(self.ssh(other, "echo ran", check=0).stdout, b"ran\n")
            other.stop()

    def test_rc_and_a_key_that_forces_a_server_of_files(self):
        self.put(".ssh/rc", "echo rc\n")
        forced = place.fresh("forced")
        forced.write_text(f'command="{SFTP_SERVER}" ' + place.path("user_ed25519.pub").read_text())
        forced.chmod(0o644)
        for make in (openssh_server, nacre_server):
            other = make(place, f"AuthorizedKeysFile {forced}")
            with self.subTest(other.name):
                self.assertIn(b"rc\n", self.ssh(other, "anything").stdout)
                sftp("sftp", place, other, ["pwd"], user=self.user.name, check=0)
            other.stop()

    def shell(self, server):
        options = client_options(place, server)
        t = Terminal(["ssh", "-tt", "-p", server.port, *options, f"{self.user.name}@127.0.0.1"])
        self.addCleanup(t.close)
        t.send(b"echo e''nd; exit\r")
        return t.expect(b"end\r\n")

    @unittest.skipUnless(pathlib.Path("/var/log/lastlog").exists(), "no lastlog")
    def test_last_login_and_motd(self):
        motd = [line.strip().encode() for line in pathlib.Path("/etc/motd").read_text().split("\n")]
        self.ssh(nacre, "true", check=0)
        text = self.shell(nacre)
        self.assertRegex(text, rb"Last login: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} from 127\.0\.0\.1\r\n")
        for line in motd:
            self.assertIn(line, text)
        other = nacre_server(place, "PrintLastLog no", "PrintMotd no")
        text = self.shell(other)
        self.assertNotIn(b"Last login", text)
        other.stop()
        self.put(".hushlogin", "")
        self.assertNotIn(b"Last login", self.shell(nacre))
        # What was noted is what others read.
        if shutil.which("lastlog"):
            said = subprocess.run(["lastlog", "-u", self.user.name], capture_output=True, text=True).stdout
            self.assertIn("127.0.0.1", said)


class Silence(unittest.TestCase):
    def test_channels_and_connections(self):
        other = nacre_server(place, "ChannelTimeout session:command=1 direct-tcpip=1", "UnusedConnectionTimeout 1")
        options = client_options(place, other)
        base = ["ssh", "-p", str(other.port), *options]
        begun = time.monotonic()
        command = subprocess.Popen([*base, f"{ME}@127.0.0.1", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        shell = subprocess.Popen([*base, f"{ME}@127.0.0.1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE)
        unused = subprocess.Popen([*base, "-N", f"{ME}@127.0.0.1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        try:
            out, err = unused.communicate(timeout=DEADLINE)
            self.assertEqual(unused.returncode, 255)
            self.assertIn(b"not used", err)
            command.wait(timeout=DEADLINE)
            self.assertGreaterEqual(time.monotonic() - begun, 1)
            # The shell has no limit, and outlives the others.
            out, err = shell.communicate(b"echo alive; exit 6\n", timeout=DEADLINE)
            self.assertEqual((shell.returncode, out), (6, b"alive\n"))
        finally:
            for p in (command, shell, unused):
                p.kill()
                p.communicate()
        self.assertTrue(other.alive())
        other.stop()


class NoisyShells(unittest.TestCase):
    """The text comes first, and says so in the message: a name of the file that prints it is soon found then."""

    def test_noise(self):
        noise = "Welcome to the machine"
        noisy = openssh_server(place, f"ForceCommand printf '\\n{noise}\\nmore\\n'; eval \"$SSH_ORIGINAL_COMMAND\"")
        small = make_file(place.fresh("small"), 1000)
        options = client_options(place, noisy, extra=["WarnWeakCrypto=no"])
        result = sftp(NACRE_SFTP, place, noisy, ["pwd"])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(noise.encode(), result.stderr)
        for flags in (["-O"], ["-s"]):
            for source, target in ((small, f"{ME}@127.0.0.1:{place.fresh('up')}"),
                                   (f"{ME}@127.0.0.1:{small}", place.fresh("down"))):
                with self.subTest(flags=flags, source=str(source)):
                    result = run([NACRE_SCP, *flags, "-P", noisy.port, *options, source, target])
                    self.assertNotEqual(result.returncode, 0)
                    self.assertIn(noise.encode(), result.stderr)
        noisy.stop()


if __name__ == "__main__":
    main()
