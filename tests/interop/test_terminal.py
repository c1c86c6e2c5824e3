#!/usr/bin/python3
"""Clients in a terminal of their own: raw mode and the way back, window size, escapes, Ctrl-C, sftp's prompt."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

from harness import *


def setUpModule():
    global place, servers
    place = Place()
    servers = {"sshd": openssh_server(place), "nacre-sshd": nacre_server(place)}


class Terminal:
    """A program whose controlling terminal is a new pty. This side keeps the program's end open too, so that
    what the program left behind can be looked at."""

    def __init__(self, command, rows=24, columns=80):
        self.near, self.far = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.far)
        self.seen = b""
        environment = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY")}
        environment["TERM"] = "xterm"
        self.process = subprocess.Popen([str(c) for c in command], stdin=self.far, stdout=self.far, stderr=self.far,
                                        env=environment, preexec_fn=self.take_terminal)

    def take_terminal(self):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.near, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, patience):
        if select.select([self.near], [], [], patience)[0]:
            self.seen += os.read(self.near, 65536)

    def expect(self, wanted):
        """Reads until wanted has come; what is expected next must come after it."""
        end = time.monotonic() + DEADLINE
        while wanted not in self.seen:
            over = self.process.poll() is not None and not select.select([self.near], [], [], 0)[0]
            if over or time.monotonic() > end:
                raise AssertionError(f"{wanted!r} did not come, but {self.seen[-4000:]!r}; "
                                     f"status {self.process.poll()}")
            self.read(0.1)
        got, self.seen = self.seen.split(wanted, 1)
        return got

    def send(self, data):
        os.write(self.near, data)

    def attributes(self):
        return termios.tcgetattr(self.far)

    def is_raw(self):
        return not self.attributes()[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def wait(self):
        """The exit status. Goes on reading, because a program may have to write before it can end."""
        def ended():
            self.read(0.01)
            return self.process.poll() is not None

        wait_until(ended, "the program's end")
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.near)
        os.close(self.far)


class TerminalTest(unittest.TestCase):
    def in_terminal(self, command, **kwargs):
        terminal = Terminal(command, **kwargs)
        self.addCleanup(terminal.close)
        return terminal


class Session:
    """For a TestCase that names the program and the server."""

    def session(self, remote, **kwargs):
        server = servers[self.server]
        options = client_options(place, server, extra=with_defaults(self.program, []))
        return self.in_terminal([self.program, "-t", "-p", server.port, *options, f"{ME}@127.0.0.1", remote], **kwargs)

    def check_restored(self, terminal):
        self.assertEqual(terminal.attributes(), terminal.before)

    def test_raw_while_it_runs_and_restored_after(self):
        t = self.session("echo ready; read line; echo \"got [$line]\"; exit 5")
        t.expect(b"ready")
        wait_until(t.is_raw, "raw mode")
        t.send(b"some text\r")
        t.expect(b"got [some text]")
        self.assertEqual(t.wait(), 5)
        self.check_restored(t)

    def test_window_size(self):
        t = self.session("stty size; echo ready; while test \"$(stty size)\" != '33 101'; do sleep 0.1; done; "
                         "echo resized $TERM; exit 6", rows=27, columns=91)
        self.assertIn(b"27 91", t.expect(b"ready"))
        wait_until(t.is_raw, "raw mode")
        t.resize(33, 101)
        t.expect(b"resized xterm")
        self.assertEqual(t.wait(), 6)
        self.check_restored(t)

    def test_escape_disconnects(self):
        t = self.session("echo ready; exec cat")
        t.expect(b"ready")
        wait_until(t.is_raw, "raw mode")
        t.send(b"not ~. here\r")
        t.expect(b"not ~. here\r\nnot ~. here")  # the remote terminal's echo, and cat
        t.send(b"~.")
        self.assertEqual(t.wait(), 255)
        self.check_restored(t)

    def test_ctrl_c_reaches_the_remote_program(self):
        t = self.session("trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 1; done")
        t.expect(b"ready")
        wait_until(t.is_raw, "raw mode")
        t.send(b"\x03")
        t.expect(b"interrupted")
        self.assertEqual(t.wait(), 9)
        self.check_restored(t)


class OurSession(Session):
    # Not with ssh, which does not notice a SIGTERM that comes just before its poll(2).
    def test_restored_after_sigterm(self):
        t = self.session("echo ready; exec cat")
        t.expect(b"ready")
        wait_until(t.is_raw, "raw mode")
        t.process.send_signal(signal.SIGTERM)
        self.assertNotEqual(t.wait(), 0)
        self.check_restored(t)


class OursToTheirs(OurSession, TerminalTest):
    program, server = NACRE_SSH, "sshd"


class OursToOurs(OurSession, TerminalTest):
    program, server = NACRE_SSH, "nacre-sshd"


class TheirsToOurs(Session, TerminalTest):
    program, server = "ssh", "nacre-sshd"


class SftpPrompt(TerminalTest):
    def test_pwd_ls_bye(self):
        for name, server in servers.items():
            with self.subTest(name):
                there = place.fresh("there")
                there.mkdir()
                (there / "one-file").write_text("content")
                options = client_options(place, server, extra=with_defaults(NACRE_SFTP, []))
                t = self.in_terminal([NACRE_SFTP, "-P", server.port, *options, f"{ME}@127.0.0.1:{there}"], columns=200)
                t.expect(b"sftp> ")
                t.send(b"pwd\r")
                self.assertIn(b"Remote working directory: " + os.fsencode(there), t.expect(b"sftp> "))
                t.send(b"ls\r")
                self.assertIn(b"one-file", t.expect(b"sftp> "))
                t.send(b"no-such-command\r")
                t.expect(b"sftp> ")
                t.send(b"bye\r")
                self.assertEqual(t.wait(), 0)
                self.assertEqual(t.attributes(), t.before)


if __name__ == "__main__":
    main()
