#!/usr/bin/python3
"""fuzz_peer, the mutating client and server: well-behaved when told to be, and against our programs and OpenSSH's, which
must be there afterwards and end no other way than by themselves."""
import re
import unittest

from harness import *

PEER = BUILD / "fuzz" / "fuzz_peer"
NO_CHECK = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "BatchMode=yes"]


def setUpModule():
    global place
    place = Place()


def as_client(server, *options):
    return run([PEER, "client", f"127.0.0.1:{server.port}", "--user", ME, "--key", place.keys["ed25519"], *options],
               timeout=60)


class AsClient(unittest.TestCase):
    def against(self, server):
        behaved = as_client(server, "--rate", "0", "--runs", "2", "--timeout", "2000")
        self.assertEqual(behaved.returncode, 0, behaved.stderr)
        self.assertEqual(len(re.findall(rb"0 of \d+ packets changed, logged in", behaved.stdout)), 2, behaved.stdout)
        wild = as_client(server, "--runs", "25", "--timeout", "250", "--seed", "1")
        self.assertEqual(wild.returncode, 0, wild.stdout[-500:] + wild.stderr)
        self.assertEqual(wild.stdout.count(b"seed "), 25)
        self.assertRegex(wild.stdout, rb" [1-9]\d* of \d+ packets changed")
        self.assertTrue(server.alive())
        good = ssh(NACRE_SSH, place, server, "echo", "still here")
        self.assertEqual(good.stdout, b"still here\n", good.stderr)

    def test_nacre_sshd(self):
        self.against(nacre_server(place, "MaxStartups 100", "PerSourcePenalties no"))

    def test_openssh(self):
        self.against(openssh_server(place, "MaxStartups 100"))


class AsServer(unittest.TestCase):
    def ours_survive(self, rate, runs, program):
        server = subprocess.Popen([PEER, "server", "0", "--rate", str(rate), "--runs", str(runs), "--timeout", "1000"],
                                  stdout=subprocess.PIPE)
        try:
            port = int(server.stdout.readline().split()[1])
            results = [run([program, "-F", "none", "-p", str(port), *NO_CHECK, "-i", place.keys["ed25519"],
                            f"{ME}@127.0.0.1", "true"], timeout=30) for _ in range(runs)]
        finally:
            server.kill()
            server.wait()
            server.stdout.close()
        return results

    def test_behaved(self):
        for result in self.ours_survive(0, 2, NACRE_SSH):
            self.assertEqual(result.returncode, 0, result.stderr)

    def test_wild(self):
        for result in self.ours_survive(300, 12, NACRE_SSH):
            self.assertGreaterEqual(result.returncode, 0, result.stderr)  # no signal ended it


if __name__ == "__main__":
    main()
