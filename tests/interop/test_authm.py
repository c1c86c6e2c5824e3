#!/usr/bin/python3
"""Methods in which host keys speak (publickey bound to the server's, hostbased), several methods for one login, and
the public key subsystem: ours against OpenSSH's ssh, sshd and ssh-keysign.

Whatever lies in /etc/ssh and in root's home is put over with test files in mount namespaces of their own; nothing of
the system is touched."""
import os
import shutil
import unittest

from harness import (APPS, BUILD, ME, NACRE_SSH, NO_PENALTIES, ROOT, Place, Server, make_key, nacre_server, openssh_server, run, ssh,
                     sshd_config)

place = None
BOUND = "publickey-hostbound-v00@openssh.com"


def setUpModule():
    global place
    place = Place()


class Bound(unittest.TestCase):
    def test_ssh_binds_its_key_to_us(self):
        server = nacre_server(place, "LogLevel DEBUG3")
        for kind in ("ed25519", "ecdsa256", "rsa"):
            result = ssh("ssh", place, server, "true", key=kind, args=["-vvv"], check=0)
            text = result.stderr.decode()
            self.assertIn("publickey-hostbound@openssh.com=<0>", text)
            self.assertIn(f"using {BOUND}", text)
        result = ssh("ssh", place, server, "true", args=["-vvv"], options=["PubkeyAuthentication=unbound"], check=0)
        self.assertNotIn(f"using {BOUND}", result.stderr.decode())
        self.assertIn(f"asks for {BOUND}", server.text())
        self.assertIn("Accepted publickey for", server.text()) # whatever its name on the wire
        server.stop()

    def test_we_bind_our_key_to_sshd(self):
        server = openssh_server(place, "LogLevel DEBUG3")
        for kind in ("ed25519", "ecdsa384", "rsa"):
            ssh(NACRE_SSH, place, server, "true", key=kind, check=0)
        def times(): # sshd writes some lines twice
            return server.text().count(f"method {BOUND}")
        three = times()
        self.assertGreaterEqual(three, 3)
        ssh(NACRE_SSH, place, server, "true", options=["PubkeyAuthentication=host-bound"], check=0)
        four = times()
        self.assertGreater(four, three)
        ssh(NACRE_SSH, place, server, "true", options=["PubkeyAuthentication=unbound"], check=0)
        self.assertEqual(times(), four)
        server.stop()

    def test_we_bind_our_key_to_ourselves(self):
        server = nacre_server(place, "LogLevel DEBUG3")
        ssh(NACRE_SSH, place, server, "true", check=0)
        self.assertIn(f"asks for {BOUND}", server.text())
        server.stop()


class Steps(unittest.TestCase):
    """AuthenticationMethods: two keys, which must differ; an order; nothing that is possible."""

    def two_keys(self, client, server):
        both = ["-i", place.keys["rsa"]]
        self.assertEqual(ssh(client, place, server, "true", args=both).returncode, 0)
        again = ssh(client, place, server, "true") # one key does not count twice
        self.assertEqual(again.returncode, 255)
        self.assertIn(b"ermission denied", again.stderr)

    def test_ssh_needs_two_keys_here(self):
        server = nacre_server(place, "AuthenticationMethods publickey,publickey")
        self.two_keys("ssh", server)
        self.assertIn("Partial publickey for", server.text())
        server.stop()

    def test_we_need_two_keys_at_sshd(self):
        server = openssh_server(place, "AuthenticationMethods publickey,publickey")
        self.two_keys(NACRE_SSH, server)
        server.stop()

    def test_we_need_two_keys_here(self):
        server = nacre_server(place, "AuthenticationMethods publickey,publickey password,publickey")
        self.two_keys(NACRE_SSH, server)
        server.stop()

    def test_both_offer_only_what_has_its_turn(self):
        lines = ["PasswordAuthentication yes", "KbdInteractiveAuthentication yes",
                 "AuthenticationMethods publickey,password publickey,keyboard-interactive"]
        for make in (nacre_server, openssh_server):
            server = make(place, *lines)
            for client in ("ssh", NACRE_SSH):
                result = ssh(client, place, server, "true", key=None, options=["PubkeyAuthentication=no"])
                self.assertEqual(result.returncode, 255)
                self.assertIn(b"(publickey)", result.stderr)
            server.stop()

    def test_lists_that_nobody_can_complete(self):
        config = sshd_config(place, 1, ["AuthenticationMethods publickey,gssapi-with-mic"])
        result = run([APPS / "nacre-sshd", "-D", "-e", "-f", config])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"nobody can log in", result.stderr)
        config = sshd_config(place, 1, ["AuthenticationMethods publickey,rot13"])
        result = run([APPS / "nacre-sshd", "-t", "-f", config])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"rot13", result.stderr)


@unittest.skipUnless(ROOT, "mount namespaces are root's")
class HostBased(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """The client's host and the server's each have an /etc/ssh and a root's home of their own."""
        cls.client_etc, cls.server_etc, cls.home = (place.path(name) for name in ("client_etc", "server_etc", "home"))
        for path in (cls.client_etc, cls.server_etc, cls.home):
            path.mkdir()
        known = []
        for kind, name in (("ed25519", "ed25519"), ("rsa", "rsa")):
            key = make_key(cls.client_etc / f"ssh_host_{name}_key", kind)
            public = " ".join((cls.client_etc / f"ssh_host_{name}_key.pub").read_text().split()[:2])
            known.append(f"localhost,127.0.0.1,client.test {public}\n")
        (cls.client_etc / "ssh_config").write_text("EnableSSHKeysign yes\nHostbasedAuthentication yes\n")
        (cls.server_etc / "ssh_known_hosts").write_text("".join(known))
        cls.equiv("localhost root\nclient.test root\n")

    @classmethod
    def equiv(cls, text):
        (cls.home / ".shosts").write_text(text)
        os.chmod(cls.home / ".shosts", 0o600)

    @staticmethod
    def inside(etc, home, *command):
        script = f'mount --bind {etc} /etc/ssh && mount --bind {home} "$0" && exec "$@"'
        return ["unshare", "-m", "--propagation", "private", "sh", "-c", script, os.path.expanduser("~root"),
                *[str(c) for c in command]]

    LINES = ["HostbasedAuthentication yes", "HostbasedUsesNameFromPacketOnly yes", "IgnoreRhosts no",
             "PubkeyAuthentication no", "PasswordAuthentication no", "KbdInteractiveAuthentication no",
             "LogLevel DEBUG3"]

    def server(self, program, *lines):
        mine = {line.split()[0] for line in lines}
        all_lines = [line for line in self.LINES if line.split()[0] not in mine] + list(lines)
        # all that is tried comes from one address
        all_lines += ["PerSourcePenalties no"] if program == APPS / "nacre-sshd" else NO_PENALTIES
        os.makedirs("/run/sshd", exist_ok=True)
        return Server(place, lambda port: self.inside(self.server_etc, self.home, program, "-D", "-e", "-f",
                                                      sshd_config(place, port, all_lines)), program.name
                      if hasattr(program, "name") else "sshd")

    def client(self, program, server, *options, user="root", via=(), key=None):
        command = [program, "-vvv", "-F", self.client_etc / "ssh_config" if program == "ssh" else "none", "-p",
                   server.port, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o",
                   f"UserKnownHostsFile={place.known_hosts(server.port)}", "-o", "GlobalKnownHostsFile=/dev/null",
                   "-o", "IdentitiesOnly=yes"]
        for option in (*options, "HostbasedAuthentication=yes"): # the first value wins
            command += ["-o", option]
        command += ["-i", key] if key else ["-o", "IdentityFile=/nonexistent"]
        empty = place.path("empty")
        empty.mkdir(exist_ok=True)
        return run(self.inside(self.client_etc, empty, *via, *command, f"{user}@127.0.0.1", "echo", "in"))

    def expect_in(self, result, server):
        self.assertEqual((result.returncode, result.stdout), (0, b"in\n"), result.stderr.decode() + server.text())

    def expect_out(self, result, server):
        self.assertEqual((result.returncode, result.stdout), (255, b""), server.text())

    SSHD = "/usr/sbin/sshd"

    def test_we_at_sshd(self):
        server = self.server(self.SSHD)
        self.expect_in(self.client(NACRE_SSH, server), server)
        self.assertIn("Accepted hostbased for root", server.text())
        self.expect_in(self.client(NACRE_SSH, server, "HostbasedAcceptedAlgorithms=rsa-sha2-256"), server)
        self.expect_out(self.client(NACRE_SSH, server, "HostbasedAcceptedAlgorithms=ecdsa-sha2-nistp256"), server)
        self.expect_out(self.client(NACRE_SSH, server, "HostbasedAuthentication=no"), server)
        self.equiv("localhost somebody\n")
        self.expect_out(self.client(NACRE_SSH, server), server)
        self.equiv("localhost root\nclient.test root\n")
        server.stop()

    def test_we_at_sshd_by_keysign(self):
        """As somebody who cannot read the host keys: ssh-keysign signs, if it may."""
        programs = place.path("programs")
        programs.mkdir()
        for name in (APPS / "nacre-ssh", *(BUILD / "src").glob("libnacre.so*")):
            if name.is_file():
                shutil.copy(name, programs)
        os.chmod(programs, 0o755)
        self.equiv("localhost nobody\n")
        server = self.server(self.SSHD)
        via = ["setpriv", "--reuid", "nobody", "--clear-groups", "env", f"LD_LIBRARY_PATH={programs}"]
        ours = programs / "nacre-ssh"
        result = self.client(ours, server, "EnableSSHKeysign=yes", via=via)
        self.expect_in(result, server)
        result = self.client(ours, server, via=via)
        self.expect_out(result, server)
        self.assertIn(b"EnableSSHKeysign", result.stderr)
        self.equiv("localhost root\nclient.test root\n")
        server.stop()

    def test_ssh_at_ours(self):
        server = self.server(APPS / "nacre-sshd")
        self.expect_in(self.client("ssh", server), server)
        self.assertIn("Accepted hostbased for root", server.text())
        self.expect_in(self.client("ssh", server, "HostbasedAcceptedAlgorithms=rsa-sha2-512"), server)
        self.equiv("-localhost root\nlocalhost root\n")
        self.expect_out(self.client("ssh", server), server)
        self.equiv("localhost root\nclient.test root\n")
        self.assertIn("Failed hostbased for root", server.text())
        server.stop()

    def test_ours_says_no(self):
        refusing = [["IgnoreRhosts yes"], ["HostbasedAuthentication no", "PubkeyAuthentication yes"], ["HostbasedAcceptedAlgorithms ssh-dss"],
                    ["HostbasedUsesNameFromPacketOnly no"], ["PermitRootLogin forced-commands-only"]]
        for lines in refusing[:2] + refusing[3:]:
            server = self.server(APPS / "nacre-sshd", *lines)
            for client in ("ssh", NACRE_SSH):
                self.expect_out(self.client(client, server), server)
            server.stop()
        other = make_key(place.fresh("stranger"), "ed25519")
        known = (self.server_etc / "ssh_known_hosts").read_text()
        public = " ".join(open(f"{other}.pub").read().split()[:2])
        (self.server_etc / "ssh_known_hosts").write_text(f"localhost {public}\n")
        server = self.server(APPS / "nacre-sshd")
        self.expect_out(self.client("ssh", server), server)
        (self.server_etc / "ssh_known_hosts").write_text(known)
        self.expect_in(self.client("ssh", server), server)
        server.stop()

    def test_we_at_ours_with_a_key_behind_it(self):
        for program in (APPS / "nacre-sshd", self.SSHD):
            server = self.server(program, "PubkeyAuthentication yes", "AuthenticationMethods hostbased,publickey")
            self.expect_out(self.client(NACRE_SSH, server), server)
            self.expect_in(self.client(NACRE_SSH, server, key=place.keys["ed25519"]), server)
            self.expect_out(self.client(NACRE_SSH, server, "HostbasedAuthentication=no", key=place.keys["ed25519"]),
                            server)
            self.expect_in(self.client("ssh", server, key=place.keys["ed25519"]), server)
            server.stop()


class PublicKeys(unittest.TestCase):
    """RFC 4819 through real servers: our client, and our server as their subsystem."""

    def test_through_both_servers(self):
        examples = BUILD / "examples"
        for make in (openssh_server, nacre_server):
            keys = place.fresh("keys")
            keys.write_text("")
            server = make(place, f"Subsystem publickey {examples}/example-key_server {keys}")
            home = place.fresh("home")
            (home / ".ssh").mkdir(parents=True)
            shutil.copy(place.known_hosts(server.port), home / ".ssh" / "known_hosts")

            def ask(*command, check=0):
                return run([examples / "example-keys", ME, "127.0.0.1", server.port, place.keys["ed25519"], *command],
                           env={"HOME": str(home)}, check=check)

            self.assertEqual(ask("list").stdout, b"")
            for kind in ("rsa", "ecdsa256", "ed25519"):
                ask("add", f"{place.keys[kind]}.pub")
            listed = ask("list").stdout.decode()
            for kind in ("rsa", "ecdsa256", "ed25519"):
                fingerprint = run(["ssh-keygen", "-l", "-f", f"{place.keys[kind]}.pub"], check=0).stdout.split()[1]
                self.assertIn(f"{fingerprint.decode()} {kind} test key", listed)
            self.assertIn(b"there already", ask("add", f"{place.keys['rsa']}.pub", check=1).stderr)
            ask("remove", f"{place.keys['rsa']}.pub")
            self.assertIn(b"no such key", ask("remove", f"{place.keys['rsa']}.pub", check=1).stderr)
            # what we wrote is what OpenSSH reads
            self.assertEqual(len(run(["ssh-keygen", "-l", "-f", keys], check=0).stdout.splitlines()), 2)
            server.stop()
        server = openssh_server(place)
        shutil.copy(place.known_hosts(server.port), home / ".ssh" / "known_hosts")
        self.assertIn(b"no public key subsystem", ask("list", check=1).stderr)
        server.stop()


if __name__ == "__main__":
    unittest.main(verbosity=2)
