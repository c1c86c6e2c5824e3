#!/usr/bin/python3
"""Clients in a terminal of their own: raw mode and the way back, window size, escapes, Ctrl-C, sftp's prompt."""
import os
import signal

from harness import *
from terminal import TerminalTest


def setUpModule():
    global place, servers
    place = Place()
    servers = {"sshd": openssh_server(place), "nacre-sshd": nacre_server(place)}


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
