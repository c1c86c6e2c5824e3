"""A program in a terminal of its own, for tests that type and look."""
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

from harness import DEADLINE, wait_until


class Terminal:
    """A program whose controlling terminal is a new pty. This side keeps the program's end open too, so that
    what the program left behind can be looked at."""

    def __init__(self, command, rows=24, columns=80, env=()):
        self.near, self.far = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.far)
        self.seen = b""
        environment = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY")}
        environment["TERM"] = "xterm"
        environment.update(env)
        self.process = subprocess.Popen([str(c) for c in command], stdin=self.far, stdout=self.far, stderr=self.far,
                                        env=environment, preexec_fn=self.take_terminal)

    def take_terminal(self):
        os.setsid()
        signal.pthread_sigmask(signal.SIG_SETMASK, [])  # who called us may have blocked a resize
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
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

    def insist(self, keys, wanted):
        """Types keys again and again until wanted is seen: a program may miss a signal that comes while it draws."""
        end = time.monotonic() + DEADLINE
        while wanted not in self.seen and time.monotonic() < end:
            self.send(keys)
            self.read(0.2)
        return self.expect(wanted)

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
