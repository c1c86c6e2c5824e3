#!/usr/bin/python3
"""Strangers at nacre-sshd's door: half-open connections by the thousand, penalties by source, and what a good login
notices of them."""
import concurrent.futures
import contextlib
import os
import random
import signal
import socket
import struct
import subprocess
import threading
import unittest

import paramiko

from harness import *

CROWD, OTHER = "127.0.0.2", "127.0.0.3"


def setUpModule():
    global place
    place = Place()


def dial(server, source=OTHER, timeout=DEADLINE):
    return socket.create_connection(("127.0.0.1", server.port), timeout=timeout, source_address=(source, 0))


def first_line(connection):
    """What the server says first; "" when it closes without a word."""
    try:
        return connection.recv(256).decode(errors="replace").strip()
    except ConnectionError:
        return ""


def greeted(server, source=OTHER):
    with dial(server, source) as connection:
        return first_line(connection)


def wait_refused(server, source=OTHER):
    wait_until(lambda: not greeted(server, source).startswith("SSH-2.0-"), f"{source} to be refused")


class HalfOpen(unittest.TestCase):
    def crowd(self, server, count):
        held = []
        for _ in range(count):
            connection = dial(server, CROWD)
            held.append(connection)
            self.addCleanup(connection.close)
        return held

    def test_a_thousand_do_not_keep_a_good_login_out(self):
        server = nacre_server(place, "MaxStartups 10:30:60", "LoginGraceTime 120")
        self.addCleanup(server.stop)
        held = self.crowd(server, 1000)
        ssh("ssh", place, server, "true", check=0)
        ssh("ssh", place, server, "true", check=0)
        served = sum(first_line(c).startswith("SSH-2.0-") for c in held)
        self.assertLessEqual(served, 60)
        self.assertGreater(served, 5)
        # The log tells of it in a few lines.
        lines = [l for l in server.text().splitlines() if "drop connection" in l]
        self.assertGreater(len(lines), 0)
        self.assertLess(len(lines), 100)
        self.assertIn("beginning MaxStartups throttling", server.text())

    def test_who_gives_way_is_hung_up_on(self):
        server = nacre_server(place, "MaxStartups 2:100:2")
        self.addCleanup(server.stop)
        children = lambda: run(["pgrep", "-P", server.process.pid]).stdout.split() if ROOT else []
        wait_until(lambda: not children(), "the end of the first look")
        held = []
        for _ in range(2):
            held += self.crowd(server, 1)
            self.assertTrue(first_line(held[-1]).startswith("SSH-2.0-"))
        ssh("ssh", place, server, "true", check=0)
        while first_line(held[0]):  # the one that has waited longest
            pass
        wait_until(lambda: len(children()) == (1 if ROOT else 0), "one process that waits")
        self.assertIn("its source has the most that are not logged in", server.text())

    def test_a_limit_of_each_source(self):
        server = nacre_server(place, "PerSourceMaxStartups 3")
        self.addCleanup(server.stop)
        held = self.crowd(server, 40)
        lines = [first_line(c) for c in held]
        self.assertEqual([l.startswith("SSH-2.0-") for l in lines], [True] * 3 + [False] * 37)
        self.assertEqual(set(lines[3:]), {"Exceeded MaxStartups"})
        ssh("ssh", place, server, "true", check=0)
        held[0].close()
        wait_until(lambda: greeted(server, CROWD).startswith("SSH-2.0-"), "a place that is free again")
        self.assertIn("past PerSourceMaxStartups", server.text())

    def test_a_block_of_addresses_is_one_source(self):
        server = nacre_server(place, "PerSourceMaxStartups 1", "PerSourceNetBlockSize 31")
        self.addCleanup(server.stop)
        with dial(server, "127.0.0.2") as held:
            self.assertTrue(first_line(held).startswith("SSH-2.0-"))
            self.assertEqual(greeted(server, "127.0.0.3"), "Exceeded MaxStartups")
            self.assertTrue(greeted(server, "127.0.0.4").startswith("SSH-2.0-"))


class Penalties(unittest.TestCase):
    def server(self, *lines, exempt="127.0.0.1"):
        """The harness looks from 127.0.0.1 whether it is there."""
        server = nacre_server(place, f"PerSourcePenaltyExemptList {exempt}", *lines)
        self.addCleanup(server.stop)
        return server

    def still_open_to_others(self, server):
        ssh("ssh", place, server, "true", check=0)
        self.assertTrue(server.alive())

    def test_going_without_a_try(self):
        server = self.server("PerSourcePenalties noauth:60s min:1s")
        self.assertTrue(greeted(server).startswith("SSH-2.0-"))
        wait_refused(server)
        self.assertEqual(greeted(server), "Not allowed at this time")
        self.assertRegex(server.text(), r"drop connection from \[127\.0\.0\.3\]:\d+: penalty for \d+ s more: noauth")

    def test_wrong_passwords(self):
        server = self.server("PerSourcePenalties authfail:60s noauth:0 min:1s", "PasswordAuthentication yes")
        transport = paramiko.Transport(dial(server))
        transport.start_client(timeout=DEADLINE)
        with self.assertRaises(paramiko.AuthenticationException):
            transport.auth_password(ME, "no such password")
        transport.close()
        wait_refused(server)
        self.assertIn("authfail", server.text())
        self.still_open_to_others(server)

    def test_the_time_to_log_in_is_over(self):
        server = self.server("PerSourcePenalties grace-exceeded:60s noauth:0 min:1s", "LoginGraceTime 1")
        with dial(server) as held:
            while first_line(held):
                pass
        wait_refused(server)
        self.assertIn("grace-exceeded", server.text())

    def test_a_refused_connection(self):
        server = self.server("PerSourcePenalties refuseconnection:60s noauth:0 min:1s",
                             "Match User nobody", "RefuseConnection yes")
        ssh("ssh", place, server, "true", user="nobody", options=[f"BindAddress={OTHER}"], check=255)
        wait_refused(server)
        self.assertIn("refuseconnection", server.text())
        self.still_open_to_others(server)

    @unittest.skipUnless(ROOT, "a process per connection needs root")
    def test_a_crash(self):
        server = self.server("PerSourcePenalties crash:60s noauth:0 min:1s")
        with dial(server) as held:
            self.assertTrue(first_line(held).startswith("SSH-2.0-"))
            pids = run(["pgrep", "-P", server.process.pid], check=0).stdout.split()
            self.assertEqual(len(pids), 1)
            os.kill(int(pids[0]), signal.SIGSEGV)
            while first_line(held):
                pass
        wait_refused(server)
        self.assertRegex(server.text(), r"died of signal 11 before a login")
        self.still_open_to_others(server)

    def test_who_is_exempt_and_who_logs_in_has_none(self):
        server = self.server("PerSourcePenalties noauth:60s min:1s", exempt=f"127.0.0.1,{OTHER}/32")
        for _ in range(3):
            self.assertTrue(greeted(server).startswith("SSH-2.0-"))
        for _ in range(3):
            ssh("ssh", place, server, "true", options=[f"BindAddress={CROWD}"], check=0)

    def test_penalties_end(self):
        server = self.server("PerSourcePenalties noauth:1s min:1s max:1s")
        self.assertTrue(greeted(server).startswith("SSH-2.0-"))
        wait_refused(server)
        wait_until(lambda: greeted(server).startswith("SSH-2.0-"), "the end of the penalty")


class Recorder:
    """Carries one connection, and keeps the first bytes of the client's: what it says up to its keys."""

    def __init__(self, server, most=4096):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.said = b""
        self.thread = threading.Thread(target=self.carry, args=(server.port, most), daemon=True)
        self.thread.start()

    def carry(self, port, most):
        with self.listener, self.listener.accept()[0] as client, socket.create_connection(("127.0.0.1", port)) as server:
            def down():
                while data := server.recv(65536):
                    client.sendall(data)
                client.shutdown(socket.SHUT_WR)
            back = threading.Thread(target=down, daemon=True)
            back.start()
            while data := client.recv(65536):
                self.said += data[:most - len(self.said)]
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            back.join(DEADLINE)


def mutant(said, dice):
    """A few bytes changed, cut, taken out, said again or put behind."""
    b = bytearray(said)
    for _ in range(dice.randint(1, 4)):
        at, n = dice.randrange(len(b)), dice.randint(1, 64)
        how = dice.randrange(6)
        if how == 0:
            b[at] ^= 1 << dice.randrange(8)
        elif how == 1:
            b[at:at + 4] = dice.choice([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 262144]).to_bytes(4, "big")
        elif how == 2:
            del b[at + 1:]
        elif how == 3:
            del b[at + 1:at + 1 + n]
        elif how == 4:
            b[at:at] = b[at:at + n]
        else:
            b += dice.randbytes(n)
    return bytes(b)


def resident(process):
    """KiB."""
    with open(f"/proc/{process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


class Mutants(unittest.TestCase):
    def test_handshakes_with_changes(self):
        server = nacre_server(place, "MaxStartups 50:30:100", "LogLevel ERROR")
        self.addCleanup(server.stop)
        recorder = Recorder(server)
        known = place.known_hosts(recorder.port)
        run(["ssh", "-p", recorder.port, *client_options(place, server, known=known), f"{ME}@127.0.0.1", "true"], check=0)
        self.assertGreater(len(recorder.said), 1500)
        dice = random.Random(2026)

        def strangers(count):
            for _ in range(count):
                with dial(server) as connection:
                    try:
                        connection.sendall(mutant(recorder.said, dice))
                        connection.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass
                    while first_line(connection):
                        pass

        strangers(20)
        before = resident(server.process)
        strangers(int(os.environ.get("NACRE_MUTANTS", "150")))
        self.assertLessEqual(resident(server.process), before + 256)
        ssh("ssh", place, server, "true", check=0)
        if ROOT:
            wait_until(lambda: not run(["pgrep", "-P", server.process.pid]).stdout, "the processes to be gone")
        self.assertNotIn("signal", server.text())


MIB = 1 << 20
EACH = 4 * MIB


class Sessions(unittest.TestCase):
    """MaxSessions: of shells, programs and subsystems together; what is forwarded is none, and one that ends makes room."""

    def connect(self, server):
        transport = paramiko.Transport(dial(server))
        self.addCleanup(transport.close)
        transport.start_client(timeout=DEADLINE)
        transport.auth_publickey(ME, paramiko.Ed25519Key(filename=str(place.keys["ed25519"])))
        return transport

    def fill(self, transport):
        """As many as there is room for."""
        sessions = []
        with self.assertRaises(paramiko.ChannelException):
            while len(sessions) < 20:
                sessions.append(transport.open_session(timeout=DEADLINE))
        return sessions

    def one_more(self, transport, sessions):
        """A channel that nobody refers to is closed by paramiko."""
        with contextlib.suppress(paramiko.ChannelException):
            sessions.append(transport.open_session(timeout=DEADLINE))
        return len(sessions) == 3

    def test_so_many_and_no_more(self):
        for make in openssh_server, nacre_server:
            server = make(place, "MaxSessions 3")
            self.addCleanup(server.stop)
            transport = self.connect(server)
            sessions = self.fill(transport)
            self.assertEqual(len(sessions), 3, server.name)
            transport.open_channel("direct-tcpip", ("127.0.0.1", server.port), ("127.0.0.1", 1), timeout=DEADLINE)
            ends = sessions.pop(1)
            ends.exec_command("exit 5")
            self.assertEqual(ends.recv_exit_status(), 5, server.name)
            ends.close()
            wait_until(lambda: self.one_more(transport, sessions), f"room for another session of {server.name}")
            self.assertEqual(self.fill(transport), [], server.name)
            self.assertEqual(len(self.fill(self.connect(server))), 3, server.name)  # each connection has its own

    def test_none(self):
        for make in openssh_server, nacre_server:
            server = make(place, "MaxSessions 10", f"Match User {ME}", "MaxSessions 0")
            self.addCleanup(server.stop)
            transport = self.connect(server)
            self.assertEqual(self.fill(transport), [], server.name)
            through = transport.open_channel("direct-tcpip", ("127.0.0.1", server.port), ("127.0.0.1", 1), timeout=DEADLINE)
            self.assertTrue(through.recv(8).startswith(b"SSH-2.0-"), server.name)
            self.assertEqual(ssh("ssh", place, server, "true").returncode, 255, server.name)


class StalledChannel(unittest.TestCase):
    """One channel whose reader sleeps, and ten others on the same connection."""

    def ours(self, server, stall):
        result = run([BUILD / "tests/interop/drive_stall", server.port, ME, place.keys["ed25519"],
                      place.known_hosts(server.port), EACH, int(stall)], check=0)
        total, ms, held, peak = (int(n) for n in result.stdout.split())
        self.assertEqual(total, 10 * EACH)
        return ms, held, peak

    def test_our_client(self):
        for make in openssh_server, nacre_server:
            server = make(place, "MaxSessions 20")
            self.addCleanup(server.stop)
            alone, _, _ = self.ours(server, False)
            beside, held, peak = self.ours(server, True)
            self.assertEqual(held, 256 * 1024, server.name)  # its window
            self.assertLess(peak, MIB, server.name)  # of which nothing is kept, nor of the others
            self.assertLess(beside, 4 * alone + 2000, server.name)
            server.stop()

    def test_openssh_client_of_our_server(self):
        server = nacre_server(place, "MaxSessions 20")
        self.addCleanup(server.stop)
        control = place.fresh("control")
        options = ["-p", server.port, *client_options(place, server), "-o", f"ControlPath={control}"]
        start = lambda *command, **kwargs: subprocess.Popen(
            [str(w) for w in ["ssh", *options, f"{ME}@127.0.0.1", *command]], stdin=subprocess.DEVNULL, **kwargs)
        master = start("-o", "ControlMaster=yes", "-N")
        self.addCleanup(lambda: (master.kill(), master.wait()))
        wait_until(control.exists, "the master")
        stalled = start("cat /dev/zero", stdout=subprocess.PIPE)
        self.addCleanup(lambda: (stalled.kill(), stalled.wait(), stalled.stdout.close()))
        self.assertEqual(stalled.stdout.read(1), b"\0")  # it runs, and nobody reads on
        before = [resident(p) for p in self.processes(server)]
        others = [start(f"head -c {EACH} /dev/zero", stdout=subprocess.PIPE) for _ in range(10)]
        sizes = [len(p.communicate(timeout=DEADLINE)[0]) for p in others]
        self.assertEqual(sizes, [EACH] * 10)
        self.assertIsNone(stalled.poll())
        # The server holds nothing for the one that does not read.
        for kib, process in zip(before, self.processes(server)):
            self.assertLess(resident(process), kib + 6 * 1024)

    def processes(self, server):
        """The one that serves the connection: the parent's youngest child, or itself."""
        found = run(["pgrep", "-P", server.process.pid]).stdout.split() if ROOT else []
        return [type("Process", (), {"pid": int(pid)}) for pid in found[-1:]] or [server.process]


class Source:
    """Sends zeros: as many as a connection's first line says, or without end."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            try:
                word = connection.makefile("rb").readline().strip()
                left = int(word) if word.isdigit() else 1 << 60
                while word and left > 0:
                    left -= connection.send(bytes(min(left, 65536)))
            except OSError:
                pass

    def close(self):
        self.listener.close()


def fetch(port, count):
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as connection:
        connection.sendall(b"%d\n" % count)
        got = 0
        while data := connection.recv(1 << 16):
            got += len(data)
        return got


class StalledForward(unittest.TestCase):
    """The same of forwarded connections, and of such as vanish in the middle."""

    def forward(self, program, server):
        source = Source()
        self.addCleanup(source.close)
        port = free_port()
        options = client_options(place, server, extra=with_defaults(program, ["ExitOnForwardFailure=yes"]))
        client = subprocess.Popen([str(w) for w in [program, "-p", server.port, *options, "-N", "-L",
                                                    f"127.0.0.1:{port}:127.0.0.1:{source.port}", f"{ME}@127.0.0.1"]],
                                  stdin=subprocess.DEVNULL)
        self.addCleanup(lambda: (client.kill(), client.wait()))

        def works():
            try:
                return fetch(port, 1) == 1
            except OSError:
                return False
        wait_until(works, "the forwarding")
        return client, port

    def go(self, program, make):
        server = make(place)
        self.addCleanup(server.stop)
        client, port = self.forward(program, server)
        with socket.create_connection(("127.0.0.1", port), DEADLINE) as stalled:
            stalled.sendall(b"endless\n")
            self.assertEqual(stalled.recv(1), b"\0")  # and nobody reads on
            with concurrent.futures.ThreadPoolExecutor(10) as pool:
                self.assertEqual(list(pool.map(fetch, [port] * 10, [EACH] * 10)), [EACH] * 10)
            for _ in range(30):
                with socket.create_connection(("127.0.0.1", port), DEADLINE) as gone:
                    gone.sendall(b"endless\n")
                    gone.recv(1)
                    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.assertEqual(fetch(port, EACH), EACH)
        self.assertEqual(fetch(port, 5), 5)
        self.assertIsNone(client.poll())

    def test_openssh_client_of_our_server(self):
        self.go("ssh", nacre_server)

    def test_our_client_of_openssh(self):
        self.go(NACRE_SSH, openssh_server)


if __name__ == "__main__":
    unittest.main()
