"""Trust in hosts against OpenSSH: known_hosts files both ways, host certificates, revocation, changed keys,
KnownHostsCommand, and host keys that are learned from the server, in both roles."""
import os
import pathlib
import unittest

from harness import (KEY_TYPES, ME, NACRE_SFTP, NACRE_SSH, Place, askpass, main, make_key, nacre_server,
                     openssh_server, run, with_defaults)

OPENSSH = "ssh"
place = Place()
server = openssh_server(place)


def public(key):
    return " ".join(pathlib.Path(f"{key}.pub").read_text().split()[:2])


def fingerprint(key, *args):
    return run(["ssh-keygen", "-l", *args, "-f", f"{key}.pub"], check=0).stdout.decode().split()[1]


def hosts(*lines):
    path = place.fresh("known_hosts")
    path.write_text("".join(line + "\n" for line in lines))
    return path


def name(of=None):
    return f"[127.0.0.1]:{(of or server).port}"


def host_line(kind="ed25519", of=None, marker=""):
    return f"{marker}{name(of)} {public(place.host_keys[kind])}"


def login(program, known, *options, to=None, strict="yes", check=None, env=None, command="echo in"):
    words = with_defaults(program, [*options, f"StrictHostKeyChecking={strict}", "BatchMode=yes",
                                    f"UserKnownHostsFile={known}", "GlobalKnownHostsFile=/dev/null", "IdentitiesOnly=yes"])
    flags = [x for word in words for x in ("-o", word)]
    return run([program, "-F", "none", "-p", (to or server).port, "-i", place.keys["ed25519"], *flags,
                f"{ME}@127.0.0.1", command], check=check, env=env)


def err(result):
    return result.stderr.decode(errors="replace")


class Files(unittest.TestCase):
    def test_what_ssh_writes_we_read_and_the_reverse(self):
        for hashed in ("yes", "no"):
            for writer, reader in ((OPENSSH, NACRE_SSH), (NACRE_SSH, OPENSSH)):
                with self.subTest(hashed=hashed, writer=str(writer)):
                    known = place.fresh("known_hosts")
                    options = [f"HashKnownHosts={hashed}", "UpdateHostKeys=no", "HostKeyAlgorithms=ssh-ed25519"]
                    first = login(writer, known, *options, strict="accept-new", check=0)
                    self.assertIn("Permanently added", err(first))
                    self.assertEqual(known.read_text().startswith("|1|"), hashed == "yes")
                    login(reader, known, *options, check=0)
                    found = run(["ssh-keygen", "-F", name(), "-f", known], check=0).stdout.decode()
                    self.assertIn(f"# Host {name()} found: line 1", found)
                    self.assertIn(public(place.host_keys["ed25519"]), found)

    def test_ssh_keygen_hashes_and_we_still_know(self):
        known = hosts("# mine", f"other.example,{name()} {public(place.host_keys['rsa'])}")
        run(["ssh-keygen", "-H", "-f", known], check=0)
        self.assertNotIn("127.0.0.1", known.read_text())
        login(NACRE_SSH, known, "HostKeyAlgorithms=rsa-sha2-512", check=0)

    def test_known_key_types_are_asked_for_first(self):
        for kind in KEY_TYPES:
            with self.subTest(kind):
                login(NACRE_SSH, hosts(host_line(kind)), check=0)

    def test_patterns_negation_and_the_bare_name(self):
        key = public(place.host_keys["ed25519"])
        for names, known in ((f"[127.*]:{server.port}", True), (f"[127.*]:{server.port},!{name()}", False),
                             ("127.0.0.1", True), ("127.0.0.?", True), ("!127.0.0.1,127.*", False),
                             (f"a,b,{name()}", True), ("127.0.0.2", False)):
            for program in (OPENSSH, NACRE_SSH):
                with self.subTest(names=names, program=str(program)):
                    result = login(program, hosts(f"{names} {key}"), "HostKeyAlgorithms=ssh-ed25519")
                    self.assertEqual(result.returncode, 0 if known else 255, err(result))

    def test_alias_and_global_files(self):
        known = hosts(f"alias.example {public(place.host_keys['ed25519'])}")
        login(NACRE_SSH, known, "HostKeyAlias=alias.example", check=0)
        login(NACRE_SSH, known, check=255)
        login(NACRE_SSH, "/dev/null", f"GlobalKnownHostsFile={hosts(host_line())} /nonexistent", check=0)
        login(NACRE_SSH, f"/nonexistent {hosts(host_line())}", check=0)


class Refusals(unittest.TestCase):
    def test_changed_key(self):
        other = make_key(place.fresh("other"))
        known = hosts("# one", f"{name()} {public(other)}")
        result = login(NACRE_SSH, known, "HostKeyAlgorithms=ssh-ed25519", check=255)
        self.assertIn("REMOTE HOST IDENTIFICATION HAS CHANGED", err(result))
        self.assertIn(fingerprint(place.host_keys["ed25519"]), err(result))
        self.assertIn(fingerprint(other), err(result))
        self.assertIn(f"{known}:2", err(result))
        self.assertIn("Host key verification failed.", err(result))
        self.assertEqual(result.stdout, b"")

    def test_revoked_key(self):
        for lines in ([host_line(marker="@revoked ")], [host_line(), host_line(marker="@revoked ")],
                      [host_line(), f"@revoked * {public(place.host_keys['ed25519'])}"]):
            for strict in ("yes", "no", "accept-new"):
                with self.subTest(lines=len(lines), strict=strict):
                    known = hosts(*lines)
                    result = login(NACRE_SSH, known, "HostKeyAlgorithms=ssh-ed25519", strict=strict, check=255)
                    self.assertIn(f"revoked in {known}:{len(lines)}", err(result))
        script = place.fresh("batch")
        script.write_text("pwd\n")
        result = run([NACRE_SFTP, "-F", "none", "-b", script, "-P", server.port, "-i", place.keys["ed25519"], "-o",
                      f"UserKnownHostsFile={hosts(host_line(marker='@revoked '))}", "-o", "GlobalKnownHostsFile=none",
                      "-o", "HostKeyAlgorithms=ssh-ed25519", f"{ME}@127.0.0.1"])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("revoked", err(result))

    def test_revoked_host_keys_list(self):
        known = hosts(host_line(), host_line("rsa"))
        krl = place.fresh("krl")
        run(["ssh-keygen", "-k", "-f", krl, f"{place.host_keys['ed25519']}.pub"], check=0)
        plain = place.fresh("revoked")
        plain.write_text(public(place.host_keys["ed25519"]) + "\n")
        for path in (krl, plain):
            result = login(NACRE_SSH, known, f"RevokedHostKeys={path}", "HostKeyAlgorithms=ssh-ed25519", check=255)
            self.assertIn(f"revoked by file {path}", err(result))
            login(NACRE_SSH, known, f"RevokedHostKeys={path}", "HostKeyAlgorithms=rsa-sha2-256", check=0)
        garbage = place.fresh("garbage")
        garbage.write_bytes(b"SSHKRL\n\0 and no more")
        for path in ("/nonexistent/krl", garbage):
            result = login(NACRE_SSH, known, f"RevokedHostKeys={path}", check=255)
            self.assertIn("revoked keys file", err(result))

    def test_unreadable_known_hosts(self):
        result = login(NACRE_SSH, place.dir, strict="no", check=255)
        self.assertIn("without it a changed host key would not be noticed", err(result))


class Certificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.ca = make_key(place.path("host_ca"))
        cls.rsa_ca = make_key(place.path("host_rsa_ca"), "rsa")

    def serve(self, *args, ca=None, kind="ed25519"):
        """A server whose host key of that kind has a certificate that ssh-keygen made with args."""
        key = make_key(place.fresh("certified"), kind)
        run(["ssh-keygen", "-q", "-s", ca or self.ca, "-I", "a host", "-h", *args, f"{key}.pub"], check=0)
        one = openssh_server(place, f"HostKey {key}", f"HostCertificate {key}-cert.pub")
        self.addCleanup(one.stop)
        return one, key

    def authority(self, pattern="127.*", ca=None):
        return f"@cert-authority {pattern} {public(ca or self.ca)}"

    def test_good_ones_of_every_type(self):
        for kind in KEY_TYPES:
            with self.subTest(kind):
                one, _ = self.serve("-n", "127.0.0.1,other", kind=kind)
                login(NACRE_SSH, hosts(self.authority()), to=one, check=0)
                login(NACRE_SSH, hosts(self.authority(f"[127.0.0.1]:{one.port}")), to=one, check=0)

    def test_bad_ones_say_why(self):
        rows = (("expired", ["-n", "127.0.0.1", "-V", "20200101:20200102"], "expired"),
                ("not yet", ["-n", "127.0.0.1", "-V", "20990101:20990102"], "yet"),
                ("another name", ["-n", "other.example"], "127.0.0.1"))
        for what, args, reason in rows:
            with self.subTest(what):
                one, key = self.serve(*args)
                result = login(NACRE_SSH, hosts(self.authority()), to=one, check=255)
                self.assertIn(reason, err(result))
                # the plain key in it may be known all the same
                login(NACRE_SSH, hosts(self.authority(), f"{name(one)} {public(key)}"), to=one, check=0)

    def test_user_certificates_and_other_authorities(self):
        one, _ = self.serve("-n", "127.0.0.1")
        login(NACRE_SSH, hosts(self.authority("*.example")), to=one, check=255)
        login(NACRE_SSH, hosts(self.authority(ca=self.rsa_ca)), to=one, check=255)

    def test_revoked_authority_and_key(self):
        one, key = self.serve("-n", "127.0.0.1")
        for revoked in (self.ca, key):
            with self.subTest(str(revoked)):
                known = hosts(self.authority(), f"@revoked * {public(revoked)}")
                self.assertIn("revoked", err(login(NACRE_SSH, known, to=one, strict="no", check=255)))
                krl = place.fresh("krl")
                run(["ssh-keygen", "-k", "-f", krl, f"{revoked}.pub"], check=0)
                result = login(NACRE_SSH, hosts(self.authority()), f"RevokedHostKeys={krl}", to=one, check=255)
                self.assertIn(f"revoked by file {krl}", err(result))

    def test_algorithms_of_authorities(self):
        one, _ = self.serve("-n", "127.0.0.1", ca=self.rsa_ca)
        known = hosts(self.authority(ca=self.rsa_ca))
        login(NACRE_SSH, known, to=one, check=0)
        login(NACRE_SSH, known, "CASignatureAlgorithms=ssh-ed25519", to=one, check=255)
        login(NACRE_SSH, known, "CASignatureAlgorithms=rsa-sha2-512", to=one, check=0)

    def test_alias_is_the_name_that_counts(self):
        one, _ = self.serve("-n", "alias.example")
        known = hosts(self.authority("alias.example"))
        login(NACRE_SSH, known, "HostKeyAlias=alias.example", to=one, check=0)
        login(NACRE_SSH, known, to=one, check=255)


class Commands(unittest.TestCase):
    def script(self, text):
        path = place.fresh("command")
        path.write_text("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)
        return path

    def test_lines_from_a_command(self):
        log = place.fresh("log")
        script = self.script(f"printf '%s|' \"$@\" >> {log}; echo >> {log}; echo '{host_line()}'\n")
        options = [f"KnownHostsCommand={script} %I %H %t %f %K '%% x' %h %p",
                   "HostKeyAlgorithms=ssh-ed25519,rsa-sha2-512"]
        lines = {}
        for program in (OPENSSH, NACRE_SSH):
            log.unlink(missing_ok=True)
            login(program, "/dev/null", *options, check=0)
            lines[program] = log.read_text()
        self.assertEqual(lines[OPENSSH], lines[NACRE_SSH])
        self.assertIn(fingerprint(place.host_keys["ed25519"]), lines[NACRE_SSH])

    def test_failures_accept_nothing(self):
        known = hosts(host_line())
        for text in ("exit 1\n", f"echo '{host_line()}'; exit 3\n", "kill -9 $$\n"):
            result = login(NACRE_SSH, known, f"KnownHostsCommand={self.script(text)}", strict="no", check=255)
            self.assertIn("host keys known for", err(result))
        for command in ("/nonexistent/program", "relative", "/bin/true %Z", "/bin/true 'open"):
            login(NACRE_SSH, known, f"KnownHostsCommand={command}", strict="no", check=255)

    def test_a_command_can_revoke(self):
        script = self.script(f"echo '{host_line(marker='@revoked ')}'\n")
        login(NACRE_SSH, hosts(host_line()), f"KnownHostsCommand={script}", "HostKeyAlgorithms=ssh-ed25519", check=255)


class Questions(unittest.TestCase):
    def ask(self, answer, *options, known=None):
        known = known or place.fresh("known_hosts")
        script = place.fresh("askpass")
        shown = place.fresh("shown")
        script.write_text(f"#!/bin/sh\nprintf '%s' \"$1\" >> {shown}\necho '{answer}'\n")
        os.chmod(script, 0o755)
        env = {"SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":none"}
        result = login(NACRE_SSH, known, "BatchMode=no", "UpdateHostKeys=no", "HostKeyAlgorithms=ssh-ed25519",
                       *options, strict="ask", env=env)
        return result, shown.read_text(), known

    def test_the_question_and_its_answers(self):
        print_of = fingerprint(place.host_keys["ed25519"])
        for answer, good in (("yes", True), ("no", False), (print_of, True)):
            with self.subTest(answer):
                result, shown, known = self.ask(answer)
                self.assertEqual(result.returncode, 0 if good else 255, err(result))
                self.assertIn(f"The authenticity of host '{name()}", shown)
                self.assertIn(f"ED25519 key fingerprint is {print_of}.", shown)
                self.assertIn("This key is not known by any other names.", shown)
                self.assertEqual(known.exists(), good)

    def test_other_names_pictures_and_md5(self):
        known = hosts(f"other.example {public(place.host_keys['ed25519'])}")
        art = run(["ssh-keygen", "-lv", "-E", "md5", "-f", f"{place.host_keys['ed25519']}.pub"], check=0).stdout.decode()
        result, shown, _ = self.ask("yes", "FingerprintHash=md5", "VisualHostKey=yes", known=known)
        self.assertEqual(result.returncode, 0, err(result))
        self.assertIn(art.split("\n", 1)[1].strip(), shown)
        self.assertIn(art.split()[1], shown)
        self.assertIn(f"{known}:1: other.example", shown)

    def test_a_known_host_shows_its_picture(self):
        art = run(["ssh-keygen", "-lv", "-f", f"{place.host_keys['ed25519']}.pub"], check=0).stdout.decode()
        result = login(NACRE_SSH, hosts(host_line()), "VisualHostKey=yes", check=0)
        self.assertIn(art.split("\n", 1)[1].strip(), err(result))


def known_keys(path):
    return {line.split()[-2] + " " + line.split()[-1] for line in path.read_text().splitlines() if line[0] != "#"}


class Rotation(unittest.TestCase):
    def keys(self, *kinds):
        return {public(place.host_keys[kind]) for kind in kinds}

    def both_roles(self):
        return ((NACRE_SSH, openssh_server), (OPENSSH, nacre_server), (NACRE_SSH, nacre_server))

    def test_new_keys_are_learned_and_old_ones_go(self):
        for client, serve in self.both_roles():
            for hashed in ("no", "yes"):
                with self.subTest(client=str(client), server=serve.__name__, hashed=hashed):
                    one = serve(place, host_kinds=["ed25519", "rsa", "ecdsa256"])
                    self.addCleanup(one.stop)
                    gone = make_key(place.fresh("gone"), "ecdsa521")
                    known = hosts("# mine", host_line(of=one), f"{name(one)} {public(gone)}", "bystander x y")
                    if client == NACRE_SSH:
                        known.write_text(known.read_text().replace("bystander x y", f"bystander {public(place.keys['rsa'])}"))
                    before = known.read_text()
                    result = login(client, known, "UpdateHostKeys=yes", f"HashKnownHosts={hashed}", to=one, check=0,
                                   command="sleep 1" if client == OPENSSH else "echo in")
                    after = known.read_text()
                    self.assertEqual(known_keys(known) - {public(place.keys["rsa"]), "x y"},
                                     self.keys("ed25519", "rsa", "ecdsa256"), err(result))
                    self.assertTrue(after.startswith("# mine\n"))
                    self.assertIn("bystander", after)
                    self.assertEqual(pathlib.Path(f"{known}.old").read_text(), before)
                    self.assertEqual("|1|" in after, hashed == "yes")
                    one.stop()

    def test_conditions_that_keep_the_file_as_it_is(self):
        one = openssh_server(place, host_kinds=["ed25519", "rsa"])
        self.addCleanup(one.stop)
        key = public(place.host_keys["ed25519"])
        rows = {"no": ([host_line(of=one)], ["UpdateHostKeys=no"]),
                "pattern": ([f"[127.*]:{one.port} {key}"], ["UpdateHostKeys=yes"]),
                "three names": ([f"a,b,{name(one)} {key}"], ["UpdateHostKeys=yes"]),
                "another name": ([host_line(of=one), f"other {key}"], ["UpdateHostKeys=yes"]),
                "new key elsewhere": ([host_line(of=one), f"other {public(place.host_keys['rsa'])}"],
                                      ["UpdateHostKeys=yes"]),
                "authority": ([host_line(of=one), f"@cert-authority {name(one)} {key}"], ["UpdateHostKeys=yes"]),
                "ask in batch mode": ([host_line(of=one)], ["UpdateHostKeys=ask"])}
        for what, (lines, options) in rows.items():
            with self.subTest(what):
                known = hosts(*lines)
                before = known.read_text()
                login(NACRE_SSH, known, *options, to=one, check=0)
                self.assertEqual(known.read_text(), before)
        # found in a global file: not ours to change
        known, elsewhere = hosts("# nothing"), hosts(host_line(of=one))
        login(NACRE_SSH, known, "UpdateHostKeys=yes", f"GlobalKnownHostsFile={elsewhere}", to=one, check=0)
        self.assertEqual(known.read_text(), "# nothing\n")

    def test_ask(self):
        one = openssh_server(place, host_kinds=["ed25519", "rsa"])
        self.addCleanup(one.stop)
        for answer in ("yes", "no"):
            with self.subTest(answer):
                known = hosts(host_line(of=one))
                result = login(NACRE_SSH, known, "BatchMode=no", "UpdateHostKeys=ask", to=one, check=0,
                               env=askpass(place, answer))
                self.assertIn(f"Learned new hostkey: RSA {fingerprint(place.host_keys['rsa'])}", err(result))
                self.assertEqual(len(known.read_text().splitlines()), 2 if answer == "yes" else 1)

    def test_several_files(self):
        one = openssh_server(place, host_kinds=["ed25519", "rsa"])
        self.addCleanup(one.stop)
        first, second = hosts(host_line(of=one)), hosts("# second", host_line(of=one))
        login(NACRE_SSH, f"{first} {second}", "UpdateHostKeys=yes", to=one, check=0)
        self.assertEqual(known_keys(first), self.keys("ed25519", "rsa"))
        self.assertEqual(second.read_text(), "# second\n")


if __name__ == "__main__":
    main()
