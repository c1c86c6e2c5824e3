#!/usr/bin/python3
"""OpenSSH's ssh-add and ssh, and nacre-ssh, with our keyring for an agent."""
import os
import pathlib
import subprocess
import unittest

from harness import *
from harness import _die_with_parent, _running
from agents import *


def setUpModule():
    set_up(globals())


class TheirClientOurKeyring(unittest.TestCase):
    def start(self, *args):
        agent = our_agent(*args)
        self.addCleanup(agent.stop)
        return agent

    def test_ssh_add(self):
        agent = self.start()
        self.assertEqual(os.stat(agent.sock).st_mode & 0o777, 0o600)
        for key in place.keys.values():
            agent.add(key)
        theirs = openssh_agent()
        self.addCleanup(theirs.stop)
        for key in place.keys.values():
            theirs.add(key)
        self.assertEqual(agent.listed(), theirs.listed())
        self.assertEqual(agent.add("-L").stdout, theirs.add("-L").stdout)
        for kind, key in place.keys.items():
            # ssh-add before OpenSSH 9.9 tries RSA with SHA-1
            agent.add("-T", f"{key}.pub", check=0 if kind != "rsa" else None)
        old = self.start("sha1", "yes")
        old.add(place.keys["rsa"])
        old.add("-T", f"{place.keys['rsa']}.pub")
        agent.add("-d", place.keys["rsa"])
        agent.add("-d", place.keys["rsa"], check=1)
        self.assertEqual(len(agent.listed()), 4)
        agent.add("-D")
        agent.add("-l", check=1)
        agent.add(certified)
        self.assertEqual(len(agent.listed()), 2)
        agent.add("-T", f"{certified}-cert.pub")
        agent.drive("supports", "session-bind@openssh.com")
        agent.drive("supports", "something@example.com", check=3)

    def test_lifetime(self):
        agent = self.start()
        agent.add("-t", "3600", place.keys["ed25519"])
        agent.add(place.keys["rsa"])
        self.assertEqual(len(agent.listed()), 2)
        agent.add("-t", "1", place.keys["ed25519"])
        wait_until(lambda: len(agent.listed()) == 1, "the end of the key")
        mortal = self.start("lifetime", "1")
        mortal.add(place.keys["ed25519"])
        wait_until(lambda: not mortal.listed(), "the end of the key")

    def test_confirmation(self):
        for answer, status in (("yes", 0), ("no", 255)):
            agent = self.start("confirm", answer)
            agent.add("-c", place.keys["ed25519"])
            login("ssh", agent, check=status)
            login(NACRE_SSH, agent, check=status)
            self.assertEqual(agent.out.read_text().count(f"asked ED25519 user={ME} host="), 2)
        self.start().add("-c", place.keys["ed25519"], check=1)  # nobody to ask

    def test_lock(self):
        agent = self.start()
        agent.add(place.keys["ed25519"])
        agent.add("-x", env=askpass(place, "secret"))
        agent.add("-l", check=1)
        login("ssh", agent, check=255)
        agent.add("-X", env=askpass(place, "wrong"), check=1)
        agent.add("-X", env=askpass(place, "secret"))
        login("ssh", agent)

    def test_every_type_logs_in(self):
        agent = self.start()
        for key in place.keys.values():
            agent.add("-D")
            agent.add(key)
            login("ssh", agent)
        login(NACRE_SSH, agent)
        agent.add("-D")
        agent.add(certified)
        login("ssh", agent, trusting)
        login(NACRE_SSH, agent, trusting)

    def test_destinations_with_ssh_as_the_client_that_binds(self):
        agent = self.start()
        hosts = known_hosts(("first", place.host_keys["ed25519"]), ("second", other_key))
        there = known_hosts((f"[127.0.0.1]:{other.port}", other_key), ("127.0.0.1", other_key))
        only = ["HostKeyAlgorithms=ssh-ed25519"]
        agent.add("-H", hosts, "-h", "first", place.keys["ed25519"])
        for program in ("ssh", NACRE_SSH):
            login(program, agent, options=only)
            login(program, agent, other, known=there, check=255)

        def forwarded(command, check=0):
            known = place.known_hosts(server.port)
            return run(["ssh", "-F", "none", "-A", "-p", server.port, "-o", "BatchMode=yes",
                        "-o", f"UserKnownHostsFile={known}", "-o", "HostKeyAlgorithms=ssh-ed25519",
                        f"{ME}@127.0.0.1", command], env={**agent.env, "HOME": str(place.dir)}, check=check)

        onward = (f"HOME={place.dir} ssh -F none -p {other.port} -o BatchMode=yes -o UserKnownHostsFile={there} "
                  f"{ME}@127.0.0.1 echo in")
        # it may be used to log in at first, but not from there
        self.assertIn(b"no identities", forwarded("ssh-add -l", check=1).stdout)
        forwarded(onward, check=255)
        agent.add("-D")
        agent.add("-H", hosts, "-h", "first", "-h", f"first>{ME}@second", place.keys["ed25519"])
        self.assertIn(b"ED25519", forwarded("ssh-add -l").stdout)
        self.assertEqual(forwarded(onward).stdout, b"in\n")
        agent.add("-D")
        agent.add("-H", hosts, "-h", "first", "-h", "first>nobody@second", place.keys["ed25519"])
        forwarded(onward, check=255)

    def test_what_cannot_be_enforced_is_not_taken(self):
        agent = self.start("max", "1")
        agent.add(place.keys["ed25519"])
        agent.add(place.keys["rsa"], check=1)
        agent.add("-s", "/usr/lib/x.so", env=askpass(place, "1234"), check=1)
        agent.add("-e", "/usr/lib/x.so", check=1)

    def test_a_socket_of_its_own(self):
        process = subprocess.Popen([DRIVE, "serve", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env={**os.environ, "TMPDIR": str(place.dir)}, preexec_fn=_die_with_parent)
        _running.append(process)
        path = pathlib.Path(process.stdout.readline().decode().strip())
        self.assertEqual(os.stat(path.parent).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        run(["ssh-add", place.keys["rsa"]], env={"SSH_AUTH_SOCK": str(path)}, check=0)
        process.stdin.close()
        process.wait(DEADLINE)
        process.stdout.close()
        self.assertFalse(path.parent.exists())
        # others cannot make a socket in its place, and what is there stays
        self.assertIn(b"NACRE_EXISTS", run([DRIVE, "serve", place.authorized], check=1).stderr)
        open_dir = place.fresh("open")
        open_dir.mkdir()
        os.chmod(open_dir, 0o777)
        self.assertIn(b"NACRE_KEY_PERMISSIONS", run([DRIVE, "serve", open_dir / "sock"], check=1).stderr)


if __name__ == "__main__":
    main()
