#!/usr/bin/python3
"""nacre-sshd's configuration and keys against OpenSSH's ssh, and its -T against sshd's."""
import os
import pathlib
import shutil
import subprocess
import threading
import time
import unittest

from harness import *


def setUpModule():
    global place, user
    place = Place()
    user = TestUser() if ROOT else None
    SlowPrograms.begin() if ROOT else None


def public(kind="ed25519"):
    return (place.dir / f"user_{kind}.pub").read_text()


def public_type(kind):
    return pathlib.Path(f"{place.host_keys[kind]}.pub").read_text().split()[0]


def put(stem, text, mode=0o644):
    path = place.fresh(stem)
    path.write_text(text)
    os.chmod(path, mode)
    return path


class ServerCase(unittest.TestCase):
    """A server per test, with one configuration; who logs in."""

    def serve(self, *lines):
        server = nacre_server(place, *lines)
        self.addCleanup(server.stop)
        return server

    def says(self, server, *command, status=0, **kwargs):
        return ssh("ssh", place, server, *command, check=status, **kwargs).stdout.decode()

    def refused(self, server, reason=None, **kwargs):
        result = ssh("ssh", place, server, "echo never", check=255, **kwargs)
        self.assertEqual(result.stdout, b"")
        if reason:
            wait_until(lambda: reason in server.text(), f"{reason!r} in\n{server.text()}", 5)


class KeyOptions(ServerCase):
    """Each option of authorized_keys that says something of this login. The server reads its file at every login."""

    def with_options(self, *lines):
        self.keys = put("keys", "")
        return self.serve(f"AuthorizedKeysFile {self.keys}", *lines)

    def put_options(self, options, kind="ed25519"):
        self.keys.write_text(f"{options} {public(kind)}")

    def test_those_that_let_in(self):
        server = self.with_options()
        for options in ("no-pty", "from=\"127.0.0.0/8\"", "from=\"!10.0.0.1,127.0.0.1\"", "expiry-time=\"29990101\"",
                        "restrict", "tunnel=\"1\"", "permitopen=\"h:22\"", "permitlisten=\"8080\""):
            with self.subTest(options):
                self.put_options(options)
                self.assertEqual(self.says(server, "echo in"), "in\n")

    def test_those_that_do_not(self):
        server = self.with_options()
        for options, reason in (("from=\"10.0.0.0/8\"", "from="), ("from=\"*,!127.0.0.1\"", "from="),
                                ("expiry-time=\"20000101\"", "expiry-time="), ("cert-authority", "cert-authority"),
                                ("no-such-option", "no-such-option"), ("command=\"a\",command=\"b\"", "twice"),
                                ("from=\"127.0.0.1", None)):
            with self.subTest(options):
                self.put_options(options)
                self.refused(server, reason)

    def test_a_terminal(self):
        def has_terminal(server):
            result = ssh("ssh", place, server, "tty >/dev/null", args=["-tt"])
            return result.returncode == 0 and b"PTY allocation request failed" not in result.stderr

        server = self.with_options("Match LocalPort 1", "PermitTTY no")
        for options, terminal in (("no-pty", False), ("restrict", False), ("restrict,pty", True)):
            with self.subTest(options):
                self.put_options(options)
                self.assertEqual(has_terminal(server), terminal)
        server.stop()
        server = self.with_options("PermitTTY no")
        self.put_options("restrict,pty")
        self.assertFalse(has_terminal(server))

    def test_environment(self):
        for lines, answer in (((), "::"), (("PermitUserEnvironment yes",), "1:2:"),
                              (("PermitUserEnvironment A*",), "1::")):
            with self.subTest(lines):
                server = self.with_options(*lines)
                self.put_options("environment=\"AAA=1\",environment=\"BBB=2\",environment=\"AAA=3\"")
                self.assertEqual(self.says(server, "echo $AAA:$BBB:"), answer + "\n")
                server.stop()


class Programs(ServerCase):
    def command(self, script):
        """A program of root's on a way of root's: where AuthorizedKeysCommand may lie."""
        directory = pathlib.Path("/run/nacre-test-programs")
        directory.mkdir(mode=0o755, exist_ok=True)
        self.addCleanup(shutil.rmtree, directory, True)
        path = directory / f"program.{place.fresh('p').suffix[1:]}"
        path.write_text("#!/bin/sh\n" + script)
        os.chmod(path, 0o755)
        return path

    def serve_command(self, script, args="", as_user="nobody", *lines):
        return self.serve("AuthorizedKeysFile none", f"AuthorizedKeysCommand {self.command(script)} {args}",
                          f"AuthorizedKeysCommandUser {as_user}", *lines)

    @unittest.skipUnless(ROOT, "only root's programs are run")
    def test_keys_from_a_program(self):
        said = place.fresh("said")
        said.touch()
        os.chmod(said, 0o666)
        script = f'(id -un; printf "[%s]" "$@"; echo; env; ls -l /proc/self/fd) >{said} 2>&1\n' \
                 f'test "$1" = "{ME}" && cat <<"E"\nenvironment="A=1" {public()}E\n'
        server = self.serve_command(script, "%u %U %h %t \"%f x\" %k %C %%")
        self.assertEqual(self.says(server, "echo in"), "in\n")
        lines = said.read_text().splitlines()
        key_type, key = public().split()[:2]
        self.assertEqual(lines[0], "nobody")
        words = lines[1][1:-1].split("][")
        self.assertEqual((words[0], words[3], words[5], words[7]), (ME, key_type, key, "%"))
        self.assertTrue(words[4].startswith("SHA256:") and words[4].endswith(" x"))
        self.assertRegex(words[6], rf"^127\.0\.0\.1 \d+ 127\.0\.0\.1 {server.port}$")
        self.assertNotIn("SSH_", "\n".join(lines[2:]))

    @unittest.skipUnless(ROOT, "only root's programs are run")
    def test_programs_that_do_not_count(self):
        key = f"cat <<'E'\n{public()}E\n"
        for name, script, reason in (("failed", key + "exit 1\n", "does not count"),
                                     ("killed", key + "kill -9 $$\n", "does not count"),
                                     ("endless", key + "yes\n", "more than"),
                                     ("nothing", "exit 0\n", None),
                                     ("other options", f"cat <<'E'\nno-such {public()}E\n", "no-such")):
            with self.subTest(name):
                server = self.serve_command(script)
                self.refused(server, reason)
                server.stop()

    @unittest.skipUnless(ROOT, "only root's programs are run")
    def test_programs_that_are_not_run(self):
        good = f"cat <<'E'\n{public()}E\n"
        path = self.command(good)
        lines = ["AuthorizedKeysFile none", f"AuthorizedKeysCommand {path}"]
        os.chmod(path, 0o777)
        server = self.serve(*lines, "AuthorizedKeysCommandUser nobody")
        self.refused(server, "can be written by others")
        os.chmod(path, 0o755)
        os.chown(path, 65534, 65534)
        self.refused(server, "belongs to neither")
        os.chown(path, 0, 0)
        self.says(server, "true")
        server.stop()
        server = self.serve(*lines, "AuthorizedKeysCommandUser no-such-user-here")
        self.refused(server, "no user no-such-user-here")
        server.stop()
        result = run([APPS / "nacre-sshd", "-t", "-f", sshd_config(place, 1, lines)], check=255)
        self.assertIn(b"AuthorizedKeysCommandUser", result.stderr)


class SlowPrograms(unittest.TestCase):
    """A process that waits for somebody else's program cannot look at its clock: LoginGraceTime ends it all the same.

    Begun before all other tests of this file, for it takes ten seconds of grace in which nothing is to be done.
    """

    @classmethod
    def begin(cls):
        directory = pathlib.Path("/run/nacre-test-slow")
        directory.mkdir(mode=0o755, exist_ok=True)
        unittest.addModuleCleanup(shutil.rmtree, directory, True)
        program, began = directory / "program", place.fresh("began")
        program.write_text(f"#!/bin/sh\n: >{began}\nexec sleep 28\n")  # 30 s are what a program has
        os.chmod(program, 0o755)
        cls.server = nacre_server(place, "AuthorizedKeysFile none", f"AuthorizedKeysCommand {program}",
                                  "AuthorizedKeysCommandUser root", "LoginGraceTime 1")
        unittest.addModuleCleanup(cls.server.stop)
        cls.client = subprocess.Popen(["ssh", "-p", str(cls.server.port), *client_options(place, cls.server),
                                       f"{ME}@127.0.0.1", "echo never"], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        unittest.addModuleCleanup(lambda: (cls.client.kill(), cls.client.wait(), cls.client.stdout.close()))
        wait_until(began.exists, "the program")
        cls.begun, cls.over = time.monotonic(), None
        cls.clock = threading.Thread(target=cls.watch, daemon=True)
        cls.clock.start()

    @classmethod
    def watch(cls):
        cls.client.wait()
        cls.over = time.monotonic()

    @unittest.skipUnless(ROOT, "only root's programs are run")
    def test_the_time_to_log_in_ends_while_a_program_is_waited_for(self):
        self.clock.join(DEADLINE)
        self.assertEqual(self.client.returncode, 255)
        self.assertEqual(self.client.stdout.read(), b"")
        wait_until(lambda: not run(["pgrep", "-P", self.server.process.pid]).stdout, "the process to be gone")
        self.assertLess(self.over - self.begun, 25)
        self.assertNotIn("died of signal", self.server.text())  # that end is the client's offence, and no crash
        self.assertTrue(self.server.alive())


class Matches(ServerCase):
    def test_blocks_hold_for_whom_they_fit(self):
        server = self.serve("ForceCommand echo everybody", "PermitTTY no", f"Match User {ME} Address 127.0.0.0/8",
                            "ForceCommand none", "SetEnv WHO=matched", "Match User somebody-else",
                            "ForceCommand echo wrong")
        self.assertEqual(self.says(server, "echo $WHO"), "matched\n")

    def test_methods_of_the_user_are_offered(self):
        server = self.serve("PasswordAuthentication yes", f"Match User {ME}", "PasswordAuthentication no",
                            "KbdInteractiveAuthentication no")
        result = run(["ssh", "-v", "-p", server.port, *client_options(place, server, key=None), f"{ME}@127.0.0.1", "true"],
                     check=255)
        self.assertIn(b"Authentications that can continue: publickey\r", result.stderr)

    def test_banner_of_the_user(self):
        one, two = put("banner", "for all\n"), put("banner", "for you\n")
        server = self.serve(f"Banner {one}", f"Match User {ME}", f"Banner {two}")
        self.assertEqual(ssh("ssh", place, server, "true", check=0).stderr, b"for you\n")
        server.stop()
        server = self.serve(f"Banner {one}", "Match User nobody-here", f"Banner {two}")
        self.assertEqual(ssh("ssh", place, server, "true", check=0).stderr, b"for all\n")

    def test_refused_connections(self):
        server = self.serve("Match Invalid-User", "RefuseConnection yes")
        self.says(server, "true")
        result = ssh("ssh", place, server, "true", user="no-such-user-here", check=255)
        self.assertNotIn(b"Permission denied", result.stderr)
        self.assertIn("administratively prohibited", server.text())

    def test_limits_of_the_user(self):
        server = self.serve("MaxAuthTries 6", f"Match User {ME}", "MaxAuthTries 2", "PubkeyAcceptedAlgorithms -rsa*")
        keys = [a for _ in range(4) for a in ("-i", make_key(place.fresh("stranger")))]
        result = run(["ssh", "-p", server.port, *client_options(place, server, key=None), *keys, f"{ME}@127.0.0.1",
                      "true"], check=255)
        self.assertIn(b"Too many authentication failures", result.stderr)
        self.refused(server, "PubkeyAcceptedAlgorithms", key="rsa")
        self.says(server, "true")


def keygen(*args):
    subprocess.run(["ssh-keygen", "-q", *map(str, args)], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class HostCertificates(ServerCase):
    def test_ssh_sees_them_under_cert_authority(self):
        ca, key = make_key(place.fresh("ca")), place.fresh("host")
        for kind in ("ed25519", "rsa", "ecdsa256"):
            with self.subTest(kind):
                shutil.copy(place.host_keys[kind], key)
                shutil.copy(f"{place.host_keys[kind]}.pub", f"{key}.pub")
                keygen("-s", ca, "-h", "-I", "this host", "-n", "127.0.0.1,localhost", f"{key}.pub")
                server = self.serve(f"HostKey {key}", f"HostCertificate {key}-cert.pub")
                known = put("known", "@cert-authority 127.0.0.1,[127.0.0.1]:* " + pathlib.Path(f"{ca}.pub").read_text())
                result = ssh("ssh", place, server, "echo in", known=known, args=["-v"], check=0)
                self.assertEqual(result.stdout, b"in\n")
                self.assertIn(b"Server host certificate: ", result.stderr)
                # The plain key is there as well, for who knows no authority.
                self.says(server, "true", options=[f"HostKeyAlgorithms={'rsa-sha2-512' if kind == 'rsa' else public_type(kind)}"])
                other = put("known", "@cert-authority * " + pathlib.Path(f"{place.keys['rsa']}.pub").read_text())
                ssh("ssh", place, server, "echo in", known=other, check=255)
                server.stop()

    def test_those_that_do_not_fit(self):
        ca = make_key(place.fresh("ca"))
        shutil.copy(f"{place.keys['ed25519']}.pub", f"{ca}.other.pub")
        keygen("-s", ca, "-h", "-I", "x", f"{ca}.other.pub")
        server = self.serve(f"HostCertificate {ca}.other-cert.pub", f"HostCertificate {ca}.pub", "HostCertificate /nonexistent")
        self.says(server, "true")
        for reason in ("No matching private key", "not one of a host", "No such file"):
            self.assertIn(reason, server.text())


class Certificates(ServerCase):
    """One server whose authority is trusted; certificates and revocation lists change beside it."""

    @classmethod
    def setUpClass(cls):
        cls.ca = make_key(place.fresh("ca"))
        cls.other_ca = make_key(place.fresh("ca"))
        cls.authorities = put("authorities", "# ours\n" + pathlib.Path(f"{cls.ca}.pub").read_text())
        cls.revoked = put("revoked", "")
        cls.lines = ["AuthorizedKeysFile none", f"TrustedUserCAKeys {cls.authorities}", f"RevokedKeys {cls.revoked}"]
        cls.server = nacre_server(place, *cls.lines)
        cls.addClassCleanup(cls.server.stop)

    def certificate(self, *args, kind="ed25519", ca=None, names=ME, serial=7):
        """The user's key of a kind with a fresh certificate; the path of the key that shows it."""
        key = place.fresh("certified")
        shutil.copy(place.keys[kind], key)
        shutil.copy(f"{place.keys[kind]}.pub", f"{key}.pub")
        keygen("-s", ca or self.ca, "-I", "somebody's", "-z", serial, *(["-n", names] if names else []), *args, f"{key}.pub")
        return key

    def login(self, key, *command, server=None, args=(), status=0):
        server = server or self.server
        return run(["ssh", "-p", server.port, *client_options(place, server, key=None),
                    "-i", key, "-o", f"CertificateFile={key}-cert.pub", *args, f"{ME}@127.0.0.1", *command], check=status)

    def in_by(self, key, **kwargs):
        self.assertEqual(self.login(key, "echo in", **kwargs).stdout, b"in\n")

    def out_by(self, key, reason, server=None):
        server = server or self.server
        before = len(server.text())
        self.login(key, "echo never", status=255, server=server)
        wait_until(lambda: reason in server.text()[before:], f"{reason!r} in\n{server.text()[before:]}", 5)

    def test_every_type(self):
        for kind in KEY_TYPES:
            with self.subTest(kind):
                self.in_by(self.certificate(kind=kind))
        self.assertRegex(self.server.text(), r"Accepted publickey for \S+ .*CERT SHA256:\S+ ID somebody's \(serial 7\) CA ED25519")
        for ca in ("rsa", "ecdsa256"):
            authority = make_key(place.fresh("ca"), ca)
            self.authorities.write_text(self.authorities.read_text() + pathlib.Path(f"{authority}.pub").read_text())
            with self.subTest(ca):
                self.in_by(self.certificate(ca=authority))

    def test_those_that_do_not_count(self):
        for args, kwargs, reason in (
                (("-V", "20200101:20200102"), {}, "certificate for"), (("-V", "20990101:20990102"), {}, "certificate for"),
                ((), {"names": "somebody-else"}, "certificate for"), ((), {"names": None}, "certificate for"),
                ((), {"ca": self.other_ca}, "Failed publickey"), (("-h",), {}, "Failed publickey"),
                (("-O", "source-address=10.0.0.0/8"), {}, "certificate for"),
                (("-O", "critical:unknown@example.org=x"), {}, "certificate for")):
            with self.subTest((args, kwargs)):
                self.out_by(self.certificate(*args, **kwargs), reason)

    def test_options_hold(self):
        self.in_by(self.certificate("-O", "source-address=127.0.0.0/8,10.0.0.1"))
        forced = self.certificate("-O", "force-command=echo forced: $SSH_ORIGINAL_COMMAND")
        self.assertEqual(self.login(forced, "echo mine").stdout, b"forced: echo mine\n")
        bare = self.certificate("-O", "clear")
        self.assertIn(b"PTY allocation request failed", self.login(bare, "true", args=["-tt"], status=255).stderr)
        self.assertEqual(self.login(self.certificate(), "tty >/dev/null && echo yes", args=["-tt"]).stdout, b"yes\r\n")

    def test_revoked(self):
        good, serial = self.certificate(serial=9), self.certificate(serial=10)
        self.addCleanup(self.revoked.write_bytes, b"")
        spec = put("spec", "serial: 10\n")
        keygen("-k", "-f", self.revoked, "-s", f"{self.ca}.pub", spec)
        self.in_by(good)
        self.out_by(serial, "revoked by file")
        for revoked in (f"{self.ca}.pub", place.dir / "user_ed25519.pub"):
            with self.subTest(revoked):
                self.revoked.write_text(pathlib.Path(revoked).read_text())
                self.out_by(good, "revoked by file")
        for rubbish in (b"SSHKRL\n\0\0\0\x09", b"no key at all\n"):
            self.revoked.write_bytes(rubbish)
            self.out_by(good, "every key is refused")
        self.revoked.unlink()
        self.out_by(good, "every key is refused")

    def test_principals_files(self):
        names = put("principals", "")
        server = self.serve(*self.lines, f"AuthorizedPrincipalsFile {names}", "StrictModes yes")
        key = self.certificate(names="staff,deploy")
        # What lies below /dev/shm is not root's alone to move: StrictModes does not believe it.
        self.out_by(key, "Authentication refused", server=server)
        server.stop()
        server = self.serve(*self.lines, f"AuthorizedPrincipalsFile {names}")
        for text, answer in (("# us\nstaff\n", b"in\n"), ("command=\"echo forced\" deploy\n", b"forced\n"),
                             ("from=\"10.0.0.0/8\" staff\nno-pty deploy", b"in\n")):
            with self.subTest(text):
                names.write_text(text)
                self.assertEqual(self.login(key, "echo in", server=server).stdout, answer)
        for text in ("", "staf\n", "staff,deploy\n", "*\n", "no-such staff\n", f"{ME}\n"):
            with self.subTest(text):
                names.write_text(text)
                self.out_by(key, "principals", server=server)
        names.write_text("staff\n")
        self.out_by(self.certificate(names=ME), "no line has a name", server=server)

    @unittest.skipUnless(ROOT, "only root's programs are run")
    def test_principals_from_a_program(self):
        said = put("said", "", 0o666)
        program = Programs.command(self, f'printf "[%s]" "$@" >{said}\necho staff\n')
        server = self.serve(*self.lines, f"AuthorizedPrincipalsCommand {program} %u %i %s %T %F %K %t",
                            "AuthorizedPrincipalsCommandUser nobody")
        self.in_by(self.certificate("-I", "x; $(id) %u", names="staff"), server=server)
        words = said.read_text()[1:-1].split("][")
        ca_type, ca = pathlib.Path(f"{self.ca}.pub").read_text().split()[:2]
        self.assertEqual(words[:4], [ME, "x; $(id) %u", "7", ca_type])
        self.assertEqual(words[5:], [ca, "ssh-ed25519-cert-v01@openssh.com"])
        self.out_by(self.certificate(names="others"), "no line has a name", server=server)

    def test_authorities_of_the_user(self):
        keys = put("keys", "")
        server = self.serve(f"AuthorizedKeysFile {keys}")
        ca = pathlib.Path(f"{self.ca}.pub").read_text()
        key, staff = self.certificate(), self.certificate(names="staff")
        keys.write_text("cert-authority " + ca)
        self.in_by(key, server=server)
        self.out_by(staff, "Failed publickey", server=server)
        keys.write_text("cert-authority,principals=\"a,staff\",command=\"echo forced\" " + ca)
        self.assertEqual(self.login(staff, "echo in", server=server).stdout, b"forced\n")
        self.out_by(key, "principals=", server=server)
        keys.write_text(ca)
        self.out_by(key, "not as a certificate authority", server=server)
        keys.write_text("cert-authority " + public())
        self.out_by(key, "Failed publickey", server=server)

    def test_algorithms_of_authorities(self):
        authority = make_key(place.fresh("ca"), "rsa")
        self.authorities.write_text(self.authorities.read_text() + pathlib.Path(f"{authority}.pub").read_text())
        server = self.serve(*self.lines, "CASignatureAlgorithms -rsa*", "PubkeyAcceptedAlgorithms -ecdsa*")
        self.in_by(self.certificate(), server=server)
        self.out_by(self.certificate(ca=authority), "certificate for", server=server)
        self.login(self.certificate(kind="ecdsa256"), "true", server=server, status=255)


# Configurations, and the connections that they are asked about.
CORPUS = [
    ("PasswordAuthentication no\nPermitRootLogin prohibit-password\nMaxSessions 3\nBanner /etc/issue\n", []),
    ("Match User alice\nPermitTTY no\nMatch User b*,!bob\nForceCommand /bin/x 'a b'\nMatch all\nX11Forwarding yes\n",
     ["user=alice", "user=bob", "user=bert", "user=carol,addr=192.0.2.7"]),
    ("Match Address 10.0.0.0/8,!10.1.0.0/16\nAllowTcpForwarding local\nPermitOpen a:1 [::1]:22 b:*\nMatch Host *.ex.org\n"
     "PermitListen 8080 localhost:*\nGatewayPorts clientspecified\n",
     ["addr=10.2.3.4", "addr=10.1.3.4", "addr=::1,host=a.ex.org", "host=A.EX.ORG,addr=10.2.0.1", "host=ex.org"]),
    ("Match LocalPort 2222 LocalAddress 127.0.0.1\nMaxAuthTries 2\nLogLevel DEBUG2\nMatch LocalAddress ::/0\nMaxAuthTries 3\n",
     ["lport=2222,laddr=127.0.0.1", "lport=2222,laddr=::1", "lport=22,laddr=127.0.0.1"]),
    ("Match Group root,!users\nPermitUserRC no\nAllowAgentForwarding no\nDisableForwarding yes\n",
     ["user=root", "user=nobody", "user=no-such-user-here"]),
    ("AcceptEnv LANG\nAcceptEnv LC_* X\nMatch User root\nAcceptEnv Y\nSetEnv A=b C=d\nAllowUsers root\nAllowUsers x y\n",
     ["user=root", "user=daemon"]),
    ("AuthorizedKeysFile /keys/%u .ssh/a\nAuthorizedPrincipalsFile /p/%u\nTrustedUserCAKeys /etc/ca\nRevokedKeys /etc/krl\n"
     "AuthorizedKeysCommand /bin/k %u \"%h x\"\nAuthorizedKeysCommandUser nobody\nPubkeyAuthOptions verify-required\n"
     "ExposeAuthInfo yes\nMatch User root\nAuthorizedKeysFile none\nRevokedKeys none\nAuthorizedKeysCommand none\n"
     "PubkeyAuthOptions touch-required\nChrootDirectory /jail/%u\n", ["user=root", "user=daemon"]),
    ("StreamLocalBindMask 0111\nStreamLocalBindUnlink yes\nAllowStreamLocalForwarding remote\nPermitTunnel point-to-point\n"
     "X11DisplayOffset 20\nX11UseLocalhost no\nIPQoS none\nPermitUserEnvironment LANG,LC_*\nFingerprintHash md5\n"
     "RekeyLimit 1G 1h\nClientAliveInterval 1m\nMaxStartups 3:10:20\nLoginGraceTime 1h2m\nPerSourceMaxStartups 5\nPerSourceNetBlockSize 24:64\n"
     "Match User root\nRekeyLimit 2M\nClientAliveCountMax 9\nMatch User root Address *\nClientAliveInterval 7\n",
     ["user=root", "user=root,addr=::1"]),
    ("Ciphers aes256-ctr,aes128-ctr\nMACs hmac-sha2-512\nKexAlgorithms curve25519-sha256\nPubkeyAcceptedAlgorithms ssh-ed25519\n"
     "CASignatureAlgorithms ssh-ed25519\nHostKeyAlgorithms ssh-ed25519\n", []),
]

# What both print, but with defaults of their own; named by a file of the corpus, they agree all the same.
OTHER_DEFAULTS = {"pidfile", "modulifile", "requiredrsasize", "ciphers", "macs", "kexalgorithms", "listenaddress",
                  "hostkeyalgorithms", "pubkeyacceptedalgorithms", "casignaturealgorithms",
                  "hostbasedacceptedalgorithms", "usepam", "ipqos"}


class PrintedConfigurations(unittest.TestCase):
    def values(self, program, config, *args):
        found = {}
        for line in run([program, "-T", "-f", config, *args], check=0).stdout.decode().splitlines():
            keyword, _, value = line.partition(" ")
            found.setdefault(keyword, []).append(value)
        return found

    def test_the_same_as_sshd_prints(self):
        os.makedirs("/run/sshd", exist_ok=True) if ROOT else None
        compared = set()
        for text, specs in CORPUS:
            config = put("config", f"HostKey {place.host_keys['ed25519']}\n{text}")
            named = {line.split()[0].lower() for line in text.splitlines()}
            for spec in specs or [None]:
                with self.subTest(text=text, spec=spec):
                    args = ["-C", spec] if spec else []
                    theirs = self.values("/usr/sbin/sshd", config, *args)
                    ours = self.values(APPS / "nacre-sshd", config, *args)
                    for keyword in theirs.keys() & ours.keys():
                        if keyword in named or keyword not in OTHER_DEFAULTS:
                            self.assertEqual(ours[keyword], theirs[keyword], keyword)
                            compared.add(keyword)
        self.assertGreater(len(compared), 50)

    def test_what_neither_takes(self):
        for text in ("Match User\n", "Match\n", "Match nonsense x\n", "Match all user x\n", "Match Address 10.0.0.1/8\n",
                     "Match User y\nPort 22\n", "Match LocalPort x\n", "Banner \"x\n", "PermitOpen x\n", "NoSuchKeyword 1\n",
                     "AuthorizedKeysCommand k\n", "Match User x\nPermitTTY perhaps\n", "StreamLocalBindMask 9\n"):
            with self.subTest(text):
                config = put("config", f"HostKey {place.host_keys['ed25519']}\n{text}")
                for program in ("/usr/sbin/sshd", APPS / "nacre-sshd"):
                    result = run([program, "-T", "-f", config, "-C", "user=x,addr=10.0.0.1,host=h,lport=22"])
                    self.assertNotEqual(result.returncode, 0, program)
                self.assertRegex(result.stderr.decode(), rf"{config} line \d")


class Places(ServerCase):
    @unittest.skipUnless(ROOT, "only root can confine")
    def test_chroot(self):
        jail = pathlib.Path("/run/nacre-test-jail")
        (jail / "home").mkdir(parents=True, exist_ok=True)
        self.addCleanup(shutil.rmtree, jail, True)
        os.chmod(jail, 0o755)
        (jail / "home" / "inside").write_text("here")
        server = self.serve("ChrootDirectory /run/nacre-test-jail", "ForceCommand internal-sftp")
        down = place.fresh("down")
        sftp("sftp", place, server, [f"get /home/inside {down}", "-get /etc/passwd " + str(place.fresh("x"))],
             user=user.name, check=0)
        self.assertEqual(down.read_text(), "here")
        os.chmod(jail, 0o775)
        self.refused(server, "bad ownership or modes", user=user.name)
        os.chmod(jail, 0o755)
        os.chown(jail, 65534, 65534)
        self.refused(server, "bad ownership or modes", user=user.name)

    def test_auth_info(self):
        server = self.serve("ExposeAuthInfo yes")
        where, what = self.says(server, "echo $SSH_USER_AUTH; cat $SSH_USER_AUTH").splitlines()
        self.assertEqual(what.split()[:3], ["publickey", *public().split()[:2]])
        wait_until(lambda: not os.path.exists(where), "the end of the file")
        if ROOT:  # else the process is the server's, too
            result = ssh("ssh", place, server, "echo $SSH_USER_AUTH; kill $PPID; exec sleep 100", check=255)
            self.assertRegex(result.stdout, b"^/tmp/sshauth\\.")
            wait_until(lambda: not os.path.exists(result.stdout.strip()), "the end of the file of a session that is ended")
        server.stop()
        server = self.serve("ExposeAuthInfo no")
        self.assertEqual(self.says(server, "echo [$SSH_USER_AUTH]"), "[]\n")


if __name__ == "__main__":
    main()
