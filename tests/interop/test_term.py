#!/usr/bin/python3
"""nacre-ssh at a terminal as people use it: escapes, job control, signals, whole-screen programs, every byte both
ways, questions, sessions without a terminal, and what is said when something fails."""
import os
import signal
import socket
import termios
import unittest

from harness import *
from terminal import TerminalTest

SANE = termios.ICANON | termios.ECHO | termios.ISIG


def setUpModule():
    global place, servers
    place = Place()
    make_key(place.path("locked"), passphrase="open sesame")
    with open(place.authorized, "a") as f:
        f.write(place.path("locked.pub").read_text())
    servers = {"sshd": openssh_server(place), "nacre-sshd": nacre_server(place)}


class Session(TerminalTest):
    server = "sshd"

    def command(self, *words, options=(), args=(), **kwargs):
        server = servers[self.server]
        options = client_options(place, server, extra=with_defaults(NACRE_SSH, options), **kwargs)
        return [NACRE_SSH, "-p", server.port, *options, *args, f"{ME}@127.0.0.1", *words]

    def asking(self, *words, **kwargs):
        changes = {"BatchMode=yes": "BatchMode=no", "StrictHostKeyChecking=yes": "StrictHostKeyChecking=ask"}
        return [changes.get(word, word) for word in self.command(*words, **kwargs)]

    def piped(self, command):
        """For what must be answered before more is sent."""
        p = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             bufsize=0, start_new_session=True)
        self.addCleanup(p.kill)
        return p

    def session(self, remote, *args, rows=24, columns=80, **kwargs):
        return self.in_terminal(self.command(remote, args=["-t", *args], **kwargs), rows=rows, columns=columns)

    def check_sane(self, t):
        self.assertEqual(t.attributes(), t.before)

    def begin(self, t, word=b"ready"):
        t.expect(word)
        wait_until(t.is_raw, "raw mode")

    def shell(self):
        """A shell with job control in the terminal, and its prompt."""
        rc = place.fresh("rc")
        rc.write_text("PS1='local> '\n")
        t = self.in_terminal(["/bin/bash", "--rcfile", rc, "--noediting", "-i"], columns=200)
        t.expect(b"local> ")
        return t

    def type_command(self, t, command):
        t.send(" ".join(f"'{c}'" for c in map(str, command)).encode() + b"\r")


class Escapes(Session):
    def test_all_of_them(self):
        t = self.session("stty raw -echo; echo ready; exec cat -v")
        self.begin(t)
        t.send(b"\r~?")
        shown = t.expect(b"recognized immediately after newline.)")
        for one in (b"~.  ", b"~B  ", b"~C  ", b"~R  ", b"~V  ", b"~v  ", b"~^Z ", b"~#  ", b"~&  ", b"~?  ", b"~~  "):
            self.assertIn(one, shown)
        t.send(b"~#")
        t.expect(b"The following connections are open:\r\n  #0 session (open, #0 there, ")
        t.send(b"~v")
        t.expect(b"~v [LogLevel DEBUG1]")
        t.send(b"~R")  # which is seen at that level
        t.expect(b"kex: algorithm: ")
        t.send(b"~V~V~V")
        t.expect(b"~V [LogLevel INFO]")
        t.expect(b"~V [LogLevel QUIET]")
        t.expect(b"~V [LogLevel QUIET]")
        t.send(b"~v~B")
        t.expect(b"~v [LogLevel INFO]")
        t.send(b"~~one ~. two\r~xthree\n~\xff~.four|")  # only after a newline, and only what is known
        t.expect(b"~one ~. two^M~xthree\r\n~M-^?~.four|".replace(b"\r\n", b"\n"))
        t.send(b"\r~.")
        self.assertEqual(t.wait(), 255)
        self.check_sane(t)

    def test_another_character(self):
        t = self.session("stty -echo; echo ready; exec cat", options=["EscapeChar=^B"])
        self.begin(t)
        t.send(b"~.\r")
        t.expect(b"~.")
        t.send(b"\x02?")
        t.expect(b"terminate connection")
        t.send(b"\x02.")
        self.assertEqual(t.wait(), 255)
        self.check_sane(t)

    def test_background(self):
        """The program ends for who waits for it; what goes on sees the end of its input."""
        self.server = "nacre-sshd"
        done = place.fresh("done")
        t = self.session(f"echo ready; cat >/dev/null; echo gone > {done}")
        self.begin(t)
        t.send(b"\r~&")
        t.expect(b"[backgrounded]")
        self.assertEqual(t.wait(), 0)
        self.check_sane(t)
        wait_until(done.exists, "the end over there")


def greeting(port):
    """What is said at a port; b"" when nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as c:
            c.settimeout(DEADLINE)
            return c.recv(8)
    except (ConnectionRefusedError, ConnectionResetError):  # reset: it ended just then
        return b""


class CommandLine(Session):
    def ask(self, t, line, answer):
        t.send(b"~C")
        t.expect(b"ssh> ")
        t.send(line.encode() + b"\r")
        return t.expect(answer)

    def test_forwardings_come_and_go(self):
        there = servers["sshd"].port
        for name in servers:
            self.server = name
            here = free_port()
            t = self.session("stty -echo; echo ready; exec cat", options=["EnableEscapeCommandline=yes"])
            self.begin(t)
            t.send(b"\r")
            self.ask(t, f"-L {here}:127.0.0.1:{there}", b"Forwarding port.")
            self.assertEqual(greeting(here), b"SSH-2.0-")
            self.ask(t, f"-KL {here}", b"Canceled forwarding.")
            self.assertEqual(greeting(here), b"")
            self.ask(t, f"-KL {here}", b"Unknown port forwarding.")
            self.ask(t, f"R 0:127.0.0.1:{there}", b"Allocated port ")
            far = int(t.expect(b" for remote forward"))
            self.assertEqual(greeting(far), b"SSH-2.0-")
            self.ask(t, f"-KR {far}", b"Canceled forwarding.")
            wait_until(lambda: greeting(far) == b"", "the end of the remote forward")
            t.send(b"~.")
            self.assertEqual(t.wait(), 255)
            self.check_sane(t)

    def test_what_else_is_typed(self):
        t = self.session("stty -echo; echo ready; exec cat", options=["EnableEscapeCommandline=yes", "PermitLocalCommand=yes"])
        self.begin(t)
        t.send(b"\r")
        self.assertIn(b"-KD", self.ask(t, "help", b"Execute local command"))
        self.ask(t, "what is this", b"Invalid command.")
        self.ask(t, "-L nonsense", b"Bad forwarding specification")
        self.ask(t, "-KL nonsense", b"Bad forwarding close specification")
        self.ask(t, f"-L 127.0.0.1:{servers['sshd'].port}:a:1", b"cannot listen")
        self.ask(t, "!echo 6 times 7 is $((6*7))", b"6 times 7 is 42\r\n")
        t.send(b"~C")
        t.expect(b"ssh> ")
        t.send(b"not meant\x03\r")  # a line taken back, and an empty one
        wait_until(t.is_raw, "raw mode")
        t.send(b"still here\r")
        t.expect(b"still here")
        t.send(b"\x04")
        self.assertEqual(t.wait(), 0)
        self.check_sane(t)

    def test_not_allowed(self):
        t = self.session("stty -echo; echo ready; exec cat")
        self.begin(t)
        t.send(b"\r~C")
        t.expect(b"commandline disabled")
        t.send(b"\x04")
        self.assertEqual(t.wait(), 0)

    def test_connections_outlive_the_program(self):
        here = free_port()
        t = self.session("stty -echo; echo ready; cat; exit 3", options=["EnableEscapeCommandline=yes"])
        self.begin(t)
        t.send(b"\r")
        self.ask(t, f"-L {here}:127.0.0.1:{servers['sshd'].port}", b"Forwarding port.")
        with socket.create_connection(("127.0.0.1", here)) as c:
            self.assertEqual(c.recv(4), b"SSH-")
            t.send(b"~#")
            t.expect(b"direct-tcpip (open")
            t.send(b"\x04")
            wait_until(lambda: not t.is_raw(), "the end of the program over there")
            c.sendall(b"SSH-2.0-x\r\n")
            c.settimeout(DEADLINE)
            while b"curve25519" not in c.recv(4096):  # the server's part of a key exchange
                pass
            self.assertIsNone(t.process.poll())
        self.assertEqual(t.wait(), 3)
        self.check_sane(t)


class Jobs(Session):
    def test_suspended_and_back(self):
        t = self.shell()
        self.type_command(t, self.command("stty size; echo ready; while read a; do echo got $a `stty size`; done", args=["-t"]))
        t.expect(b"24 200")
        self.begin(t)
        for way in ("typed", "TSTP", "STOP"):
            with self.subTest(way):
                if way == "typed":
                    t.send(b"~\x1a")
                    t.expect(b"[suspend nacre-ssh]")
                else:
                    pid = int(run(["pgrep", "-s", t.process.pid, "-x", "nacre-ssh"]).stdout)
                    os.kill(pid, getattr(signal, "SIG" + way))
                t.expect(b"Stopped")
                t.expect(b"local> ")
                wait_until(lambda: t.attributes()[3] & SANE == SANE, "a sane terminal")
                t.resize(30, 100 + len(way))
                t.send(b"fg\r")
                t.expect(b"nacre-ssh")
                wait_until(t.is_raw, "raw mode again")
                t.send(b"\rone\r")
                t.expect(b"got one 30 %d" % (100 + len(way)))
        t.send(b"\r~.")
        t.expect(b"local> ")
        t.send(b"exit 7\r")
        self.assertEqual(t.wait(), 7)

    def test_question_suspended_and_asked_again(self):
        t = self.shell()
        self.type_command(t, self.asking("echo in", key=None, args=["-i", place.path("locked")]))
        t.expect(b"Enter passphrase for key")
        wait_until(lambda: not t.attributes()[3] & termios.ECHO, "no echo")
        t.send(b"half of it\x1a")
        t.expect(b"Stopped")
        t.expect(b"local> ")
        wait_until(lambda: t.attributes()[3] & SANE == SANE, "a sane terminal")
        t.send(b"fg\r")
        t.expect(b"Enter passphrase for key")
        wait_until(lambda: not t.attributes()[3] & termios.ECHO, "no echo")
        t.send(b"open sesame\r")
        t.expect(b"in\r\n")
        t.expect(b"local> ")
        t.send(b"exit\r")
        t.wait()


class Ends(Session):
    def test_restored_after_signals(self):
        for name in ("HUP", "INT", "ALRM", "ABRT"):
            with self.subTest(name):
                t = self.session("echo ready; exec cat")
                self.begin(t)
                t.process.send_signal(getattr(signal, "SIG" + name))
                self.assertNotEqual(t.wait(), 0)
                self.check_sane(t)

    def test_a_terminal_that_stands_still(self):
        """Nobody reads what is shown, and what ends the session ends it all the same."""
        for way in ("typed", "TERM"):
            t = self.session("echo ready; exec yes")
            self.begin(t)
            wait_until(lambda: not select.select([], [t.far], [], 0)[1], "a terminal that takes no more")
            if way == "typed":
                t.send(b"\r~.")
            else:
                t.process.send_signal(signal.SIGTERM)
            self.assertEqual(t.process.wait(DEADLINE), 255)
            self.check_sane(t)

    def test_restored_when_the_server_dies(self):
        server = nacre_server(place)
        servers["mortal"] = server
        self.server = "mortal"
        t = self.session("echo ready; exec cat")
        self.begin(t)
        server.stop()
        self.assertEqual(t.wait(), 255)
        self.check_sane(t)

    def test_a_server_that_is_silent(self):
        server = nacre_server(place)
        servers["silent"] = server
        self.server = "silent"
        t = self.session("echo ready; exec cat", options=["ServerAliveInterval=1", "ServerAliveCountMax=1"])
        self.begin(t)
        pids = [int(p) for p in run(["pgrep", "-g", server.process.pid]).stdout.split()]
        for pid in [*pids, *[int(p) for q in pids for p in run(["pgrep", "-P", q, "-x", "nacre-sshd"]).stdout.split()]]:
            os.kill(pid, signal.SIGSTOP)
        try:
            t.expect(b"ServerAliveCountMax")
            self.assertEqual(t.wait(), 255)
            self.check_sane(t)
        finally:
            server.stop()


class Screens(Session):
    def test_less(self):
        text = place.fresh("text")
        text.write_text("".join(f"line-{i}\n" for i in range(1, 200)))
        t = self.session(f"LESS= less {text}", rows=10)
        self.begin(t, b"line-9\r\n")
        t.expect(b"\x1b[27m\x1b[K")  # the file's name in the last line
        t.resize(20, 80)
        t.insist(b"r", b"line-19\r\n")  # draw it again
        t.send(b"G")
        t.expect(b"line-199\r\n")
        t.send(b"q")
        self.assertEqual(t.wait(), 0)
        self.check_sane(t)

    def test_vi(self):
        text = place.fresh("text")
        self.server = "nacre-sshd"
        t = self.session(f"vi -u NONE {text}", rows=12)
        wait_until(t.is_raw, "raw mode")
        t.expect(b"~")
        t.send(b"ihello\x1b:se lines\r")
        t.expect(b"lines=12")
        t.resize(31, 90)
        t.insist(b":se lines\r", b"lines=31")
        t.send(b":wq\r")
        self.assertEqual(t.wait(), 0)
        self.assertEqual(text.read_text(), "hello\n")
        self.check_sane(t)


class Bytes(Session):
    EVERY = bytes(range(256))

    def test_every_byte_both_ways(self):
        everything = place.fresh("bytes")
        everything.write_bytes(self.EVERY)
        t = self.session(f"stty raw -echo; cat {everything}; echo ready; head -c 1024 | sha256sum", "-e", "none")
        self.assertIn(self.EVERY, t.expect(b"ready"))
        wait_until(t.is_raw, "raw mode")
        t.send(self.EVERY * 4)
        t.expect(hashlib.sha256(self.EVERY * 4).hexdigest().encode())
        self.assertEqual(t.wait(), 0)
        self.check_sane(t)

    def test_without_a_terminal(self):
        self.server = "nacre-sshd"
        data = self.EVERY * 300 + b"\r~.\n~&"
        self.assertEqual(run(self.command("cat"), stdin=data, check=0).stdout, data)
        with self.piped(self.command("stty raw -echo; echo ready; head -c 1024", args=["-tt", "-e", "none"])) as forced:
            self.assertEqual(forced.stdout.read(6), b"ready\n")
            forced.stdin.write(self.EVERY * 4)
            self.assertEqual(forced.stdout.read(1024), self.EVERY * 4)
            self.assertEqual(forced.wait(DEADLINE), 0)


class Wishes(Session):
    """Which terminal there is, and what runs."""

    def test_no_terminal_here(self):
        asks = self.command("tty; exit 3", args=["-t"])
        result = run(asks, check=3)
        self.assertEqual(result.stdout, b"not a tty\n")
        self.assertIn(b"will not be allocated because stdin is not a terminal", result.stderr)
        result = run(self.command("tty; stty size; exit 3", options=["RequestTTY=force"]), check=3)
        self.assertRegex(result.stdout, b"^/dev/pts/[0-9]+\r\n0 0\r\n")
        run(self.command(args=["-tt"]), stdin=b"exit 4\n", check=4)  # a login shell
        self.assertEqual(run(self.command("tty", args=["-T"])).stdout, b"not a tty\n")

    def test_a_terminal_here(self):
        for args, options, there in (([], [], False), ([], ["RequestTTY=yes"], True), (["-T"], ["RequestTTY=force"], False),
                                     (["-t"], ["RequestTTY=no"], True)):
            with self.subTest(args=args, options=options):
                t = self.in_terminal(self.command("tty; echo over", args=args, options=options))
                self.assertEqual(b"/dev/pts/" in t.expect(b"over"), there)
                t.wait()
                self.check_sane(t)

    def test_no_input(self):
        """Who reads nothing from the terminal neither asks for another one nor makes this one raw: Ctrl-C still ends it."""
        for args, there in ((["-n", "-t"], b"not a tty"), (["-n", "-tt"], b"/dev/pts/")):
            with self.subTest(args=args):
                t = self.in_terminal(self.command("tty; echo ready; exec sleep 100", args=args))
                self.assertIn(there, t.expect(b"ready"))
                self.check_sane(t)
                t.send(b"\x03")
                self.assertEqual(t.wait(), 255)
                self.check_sane(t)

    def test_nothing_runs(self):
        t = self.in_terminal(self.command(args=["-v", "-N"]))
        t.expect(b"Authenticated to 127.0.0.1 ([127.0.0.1]:%d) using \"publickey\"." % servers[self.server].port)
        t.expect(b"debug1: Entering interactive session.")  # from here on signals are its own
        self.assertFalse(t.is_raw())
        t.send(b"\x03")
        self.assertEqual(t.wait(), 255)
        self.check_sane(t)

    def test_in_the_background(self):
        """-f, and who waits for its end by a signal."""
        begun = place.fresh("begun")
        subprocess.run([*map(str, self.command(f"echo > {begun}; exec sleep 100", args=["-f"]))], check=True, timeout=DEADLINE,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(begun.exists, "the command")
        found = run(["pgrep", "-f", f"nacre-ssh .*{begun}"]).stdout.split()
        self.assertEqual(len(found), 1)
        os.kill(int(found[0]), signal.SIGTERM)
        wait_until(lambda: not run(["pgrep", "-f", f"nacre-ssh .*{begun}"]).stdout, "its end")

    def test_nothing_in_the_background(self):
        """-f -N keeps nothing of what it was given: who reads our output to its end does not wait for ours."""
        mark = place.fresh("mark")
        run(self.command(args=["-f", "-N"], options=[f"SetEnv=MARK={mark}"]), check=0)
        found = run(["pgrep", "-f", f"nacre-ssh .*{mark}"]).stdout.split()
        self.assertEqual(len(found), 1)
        os.kill(int(found[0]), signal.SIGTERM)
        wait_until(lambda: not run(["pgrep", "-f", f"nacre-ssh .*{mark}"]).stdout, "its end")

    def test_subsystem(self):
        with self.piped(self.command("sftp", args=["-s"])) as p:
            p.stdin.write(b"\0\0\0\x05\x01\0\0\0\x03")
            self.assertEqual(p.stdout.read(9)[4:], b"\x02\0\0\0\x03")
            p.stdin.close()
            p.stdout.read()
            self.assertEqual(p.wait(DEADLINE), 0)
        result = run(self.command("no-such", args=["-s"]), check=255)
        self.assertIn(b"subsystem request failed on channel 0", result.stderr)

    def test_log_file(self):
        log = place.fresh("log")
        result = run(self.command("echo out; echo err >&2", args=["-v", "-E", str(log)]), check=0)
        self.assertEqual((result.stdout, result.stderr), (b"out\n", b"err\n"))
        self.assertIn("debug1: ", log.read_text())
        self.assertNotIn("\r", log.read_text())


class Questions(Session):
    def test_unknown_host(self):
        known = place.fresh("known")
        art = run(["ssh-keygen", "-lv", "-f", f"{place.host_keys['ed25519']}.pub"], check=0).stdout.decode().split("\n", 1)
        command = self.asking("echo in", options=["HostKeyAlgorithms=ssh-ed25519", "VisualHostKey=yes"], known=known)
        t = self.in_terminal(command, columns=200)
        shown = t.expect(b"(yes/no/[fingerprint])? ").decode().replace("\r", "")
        self.assertIn(art[0].split()[1], shown)
        self.assertIn(art[1].strip(), shown)
        t.send(b"perhaps\r")
        t.expect(b"Please type 'yes', 'no' or the fingerprint: ")
        t.send(b"no\r")
        t.expect(b"Host key verification failed.")
        self.assertEqual(t.wait(), 255)
        self.assertFalse(known.exists())
        t = self.in_terminal(command, columns=200)
        t.expect(b"(yes/no/[fingerprint])? ")
        t.send(art[0].split()[1].encode() + b"\r")
        t.expect(b"in\r\n")
        self.assertEqual(t.wait(), 0)
        self.assertTrue(known.exists())
        self.check_sane(t)

    def test_passphrase(self):
        command = self.asking("echo in", key=None, args=["-i", place.path("locked")])
        t = self.in_terminal(command)
        t.expect(b"Enter passphrase for key")
        wait_until(lambda: not t.attributes()[3] & termios.ECHO, "no echo")
        t.send(b"wrong one\r")
        self.assertNotIn(b"wrong one", t.expect(b"Enter passphrase for key"))
        wait_until(lambda: not t.attributes()[3] & termios.ECHO, "no echo")
        t.send(b"open sesame\r")
        self.assertNotIn(b"sesame", t.expect(b"in\r\n"))
        self.assertEqual(t.wait(), 0)
        self.check_sane(t)
        t = self.in_terminal(command)
        t.expect(b"Enter passphrase for key")
        wait_until(lambda: not t.attributes()[3] & termios.ECHO, "no echo")
        t.send(b"\x03")
        t.wait()
        self.check_sane(t)

    @unittest.skipUnless(ROOT, "a user with a password can only be made by root")
    def test_password(self):
        user = TestUser()
        server = servers["password"] = openssh_server(place, "PasswordAuthentication yes", "KbdInteractiveAuthentication no")
        options = client_options(place, server, key=None, extra=["PreferredAuthentications=password"])
        command = [NACRE_SSH, "-p", server.port, *["BatchMode=no" if o == "BatchMode=yes" else o for o in options],
                   f"{user.name}@127.0.0.1", "id -un"]
        t = self.in_terminal(command)
        for password in ("wrong", user.password):
            before = t.expect(f"{user.name}@127.0.0.1's password: ".encode())
            self.assertEqual(b"Permission denied, please try again." in before, password != "wrong")
            wait_until(lambda: not t.attributes()[3] & termios.ECHO, "no echo")
            t.send(password.encode() + b"\r")
        t.expect(user.name.encode() + b"\r\n")
        self.assertEqual(t.wait(), 0)
        self.check_sane(t)
        server.stop()
        user.remove()


class Listener:
    """Takes one connection, says something, and waits for its end or ends it."""

    def __init__(self, greeting, stay):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, args=(greeting, stay), daemon=True).start()

    def serve(self, greeting, stay):
        with self.listener, self.listener.accept()[0] as c:
            c.sendall(greeting)
            while stay and c.recv(4096):
                pass
            if not stay:
                c.shutdown(socket.SHUT_WR)
                while c.recv(4096):
                    pass


class Failures(unittest.TestCase):
    """What failed, in which phase, after how long, and what can be tried."""

    def fails(self, *args, host="127.0.0.1"):
        result = run([NACRE_SSH, "-F", "none", "-o", "BatchMode=yes", *args, host, "true"], check=255)
        return result.stderr.decode().replace("\r", "")

    def test_no_connection(self):
        said = self.fails(host="no-such-host.invalid")
        self.assertRegex(said, r"cannot resolve no-such-host\.invalid: .*, after [0-9.]+ s\n\(.*getent hosts")
        port = free_port()
        self.assertRegex(self.fails("-p", port), rf"cannot connect to 127\.0\.0\.1 port {port} .*refused.*, after [0-9.]+ s\n\(.*-p")
        self.assertEqual(self.fails("-q", "-p", port), "")

    def test_no_server(self):
        said = self.fails("-p", Listener(b"HTTP/1.0 400 Bad\r\n\r\n", False).port)
        self.assertRegex(said, r"HTTP/1\.0 400 Bad.*is that an SSH server\? \(during the key exchange, after [0-9.]+ s\)\n$")
        said = self.fails("-p", Listener(b"", False).port)
        self.assertRegex(said, r"closed .*\(during the key exchange, after [0-9.]+ s\)\n\(.*MaxStartups")
        said = self.fails("-o", "ConnectTimeout=1", "-p", Listener(b"SSH-2.0-silent\r\n", True).port)
        self.assertRegex(said, r"the key exchange timed out after 1\.[0-9] s\n\(.*ConnectTimeout")

    def test_no_agreement(self):
        server = servers["sshd"]
        known = ["-o", f"UserKnownHostsFile={place.known_hosts(server.port)}", "-p", server.port]
        said = self.fails(*known, "-c", "aes128-gcm@openssh.com", "-o", "KexAlgorithms=mlkem1024nistp384-sha384")
        self.assertRegex(said, r"key exchange.*mlkem1024nistp384-sha384.*\(during the key exchange, after [0-9.]+ s\)\n\(-Q kex")
        said = self.fails(*known, "-i", make_key(place.fresh("stranger")), "-o", "IdentityAgent=none")
        self.assertRegex(said, r"ermission denied \(publickey.*\n\(-v shows")


class Queries(unittest.TestCase):
    def test_all(self):
        kinds = run([NACRE_SSH, "-Q", "help"], check=0).stdout.decode().split()
        theirs = run(["ssh", "-Q", "help"], check=0).stdout.decode().split()
        self.assertLessEqual(set(theirs) - {"kex-gss"}, set(kinds))
        for kind in [*kinds, "Ciphers", "MACs", "KexAlgorithms", "HostKeyAlgorithms", "PubkeyAcceptedAlgorithms",
                     "PubkeyAcceptedKeyTypes", "HostbasedAcceptedAlgorithms", "HostbasedKeyTypes", "CASignatureAlgorithms"]:
            with self.subTest(kind):
                names = run([NACRE_SSH, "-Q", kind], check=0).stdout.decode().split()
                self.assertTrue(names)
                self.assertEqual(len(names), len(set(names)))
        self.assertEqual(run([NACRE_SSH, "-Q", "protocol-version"], check=0).stdout, b"2\n")
        self.assertIn(b"nsupported query", run([NACRE_SSH, "-Q", "nonsense"], check=255).stderr)


if __name__ == "__main__":
    main()
