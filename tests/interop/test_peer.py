#!/usr/bin/python3
"""fuzz_peer, the mutating client and server, against our programs and everybody else's: well-behaved when told to be,
and then wild. Who it talks to must be there afterwards, serve a good login, and end no other way than by itself.

Bounds: WILD connections to or from each, with the same seeds every time, and over when nothing was heard for 0.3 s, or
after 5 s. All of them go on beside each other, because they mostly wait."""
import concurrent.futures
import os
import re
import unittest

import test_others
from harness import *

PEER = BUILD / "fuzz" / "fuzz_peer"
PYTHON_PEER = pathlib.Path(__file__).with_name("python_peer.py")
NO_CHECK = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]
WILD = 15
BEHAVED = ["--rate", "0", "--runs", "2", "--timeout", "30000"]
BOUNDS = ["--runs", str(WILD), "--timeout", "5000", "--silence", "300", "--seed", "1"]


def setUpModule():
    global place
    place = Place()


class PythonServer:
    """A library of Python as a server, in a process of its own."""

    def __init__(self, library):
        self.name = library
        self.process = subprocess.Popen(["/usr/bin/python3", PYTHON_PEER, library, "server", place.host_keys["ed25519"],
                                         place.authorized], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def alive(self):
        return self.process.poll() is None and greets(self.port)


def beside_each_other(check, subjects):
    """What each of them fails by, if any does."""
    with concurrent.futures.ThreadPoolExecutor(len(subjects)) as pool:
        runs = [(name, pool.submit(check, subject)) for name, subject in subjects.items()]
    wrong = [f"{name}: {run.exception()}" for name, run in runs if run.exception()]
    if wrong:
        raise AssertionError("\n".join(wrong))


class AsClient(unittest.TestCase):
    def as_client(self, server, *options):
        return run([PEER, "client", f"127.0.0.1:{server.port}", "--user", ME, "--key", place.keys["ed25519"], *options],
                   timeout=120)

    def against(self, server):
        behaved = self.as_client(server, *BEHAVED)
        self.assertEqual(behaved.returncode, 0, behaved.stderr)
        self.assertEqual(len(re.findall(rb"0 of \d+ packets changed, logged in", behaved.stdout)), 2, behaved.stdout)
        wild = self.as_client(server, *BOUNDS)
        self.assertEqual(wild.returncode, 0, wild.stdout[-500:] + wild.stderr)
        self.assertEqual(wild.stdout.count(b"seed "), WILD)
        self.assertRegex(wild.stdout, rb" [1-9]\d* of \d+ packets changed")
        self.assertTrue(server.alive())
        good = ssh(NACRE_SSH, place, server, "echo hello", stdin=b"hello\n")  # run, or what came in comes back
        self.assertEqual((good.returncode, good.stdout), (0, b"hello\n"), good.stderr)

    def test_servers(self):
        test_others.place = place
        test_others.DropbearServer.setUpClass()
        self.addCleanup(test_others.DropbearServer.tearDownClass)
        servers = {
            "nacre-sshd": nacre_server(place, "MaxStartups 100"),
            "sshd": openssh_server(place, "MaxStartups 100"),
            "dropbear": test_others.DropbearServer.server,
            "paramiko": PythonServer("paramiko"),
            "asyncssh": PythonServer("asyncssh"),
        }
        for server in servers.values():
            self.addCleanup(server.stop)
        beside_each_other(self.against, servers)


class AsServer(unittest.TestCase):
    def from_it(self, options, go):
        """What go(port) returns while the server is there."""
        server = subprocess.Popen([PEER, "server", "0", *options, "--host-key", place.host_keys["ed25519"]],
                                  stdout=subprocess.PIPE)
        try:
            return go(int(server.stdout.readline().split()[1]))
        finally:
            server.kill()
            server.wait()
            server.stdout.close()

    def program(self, command):
        """command(port): its command line. Each run is a process of its own."""
        def many(times):
            return lambda port: [run_on_files(place, command(port), env={"HOME": str(place.dir)}) for _ in range(times)]

        for result in self.from_it(BEHAVED, many(2)):
            self.assertEqual(result.returncode, 0, result.stderr)
        for result in self.from_it([*BOUNDS, "--rate", "300"], many(WILD)):
            self.assertGreaterEqual(result.returncode, 0, result.stderr)  # no signal ended it

    def library(self, name):
        """All runs are one process, which says how many of its connections were good."""
        def many(times):
            return lambda port: run(["/usr/bin/python3", PYTHON_PEER, name, "client", port, ME, place.keys["ed25519"], times],
                                    check=0)

        self.assertEqual(self.from_it(BEHAVED, many(2)).stdout, b"2\n")
        self.from_it([*BOUNDS, "--rate", "300"], many(WILD))

    def test_clients(self):
        db_key, ppk = place.fresh("dbkey"), place.fresh("ppk")
        run(["dropbearconvert", "openssh", "dropbear", place.keys["ed25519"], db_key], check=0)
        run(["puttygen", place.keys["ed25519"], "-o", ppk, "-O", "private"], check=0)
        print_of_host = run(["ssh-keygen", "-l", "-f", place.dir / "host_ed25519.pub"], check=0).stdout.split()[1].decode()
        to = f"{ME}@127.0.0.1"

        def of_openssh(program):
            return lambda port: [program, "-F", "none", "-p", port, *NO_CHECK, "-i", place.keys["ed25519"], to, "true"]

        programs = {
            "nacre-ssh": of_openssh(NACRE_SSH),
            "ssh": of_openssh("ssh"),
            "dbclient": lambda port: ["dbclient", "-y", "-y", "-i", db_key, "-p", port, to, "true"],
            "plink": lambda port: ["plink", "-batch", "-ssh", "-hostkey", print_of_host, "-i", ppk, "-P", port, to, "true"],
        }
        checks = {name: lambda c=command: self.program(c) for name, command in programs.items()}
        checks |= {name: lambda n=name: self.library(n) for name in ("paramiko", "asyncssh")}
        beside_each_other(lambda check: check(), checks)


if __name__ == "__main__":
    main()
