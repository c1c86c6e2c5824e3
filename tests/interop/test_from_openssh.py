#!/usr/bin/python3
"""OpenSSH's ssh, sftp and scp against nacre-sshd and nacre-sftp-server."""
import os
import socket
import subprocess
import unittest

import paramiko

from harness import *


def setUpModule():
    global place, server
    place = Place()
    server = nacre_server(place, "KexAlgorithms +" + ",".join(KEX), "Ciphers " + ",".join(AEADS + CTRS),
                          "MACs " + ",".join(MACS), "HostKeyAlgorithms " + ",".join(HOST_KEYS), "Compression yes",
                          "AcceptEnv NACRE_*")


class Algorithms(EveryAlgorithm, unittest.TestCase):
    program = "ssh"

    def test_strict_kex_and_extensions_are_seen(self):
        result = ssh("ssh", place, server, "true", args=["-vvv"], check=0)
        text = result.stderr.decode(errors="replace")
        self.assertIn("strict KEX ordering", text)
        self.assertIn("server-sig-algs=", text)


class Login(unittest.TestCase):
    def test_every_key_type(self):
        for kind in KEY_TYPES:
            with self.subTest(kind):
                self.assertEqual(ssh("ssh", place, server, "echo in", key=kind, check=0).stdout, b"in\n")

    def test_rsa_signatures_by_name(self):
        for name in ("rsa-sha2-256", "rsa-sha2-512"):
            with self.subTest(name):
                ssh("ssh", place, server, "true", key="rsa", options=[f"PubkeyAcceptedAlgorithms={name}"], check=0)

    def test_stranger_is_refused(self):
        key = make_key(place.fresh("stranger"))
        result = run(["ssh", "-p", server.port, *client_options(place, server, key=None), "-i", key,
                      f"{ME}@127.0.0.1", "echo never"], check=255)
        self.assertEqual(result.stdout, b"")
        self.assertIn(b"Permission denied", result.stderr)

    def test_too_many_tries_disconnect(self):
        keys = [make_key(place.fresh("stranger")) for _ in range(8)]
        args = [a for key in keys for a in ("-i", key)]
        result = run(["ssh", "-p", server.port, *client_options(place, server, key=None), *args, f"{ME}@127.0.0.1",
                      "true"], check=255)
        self.assertIn(b"Too many authentication failures", result.stderr)
        self.assertTrue(server.alive())

    def test_forced_command_and_environment(self):
        authorized = place.fresh("authorized")
        authorized.write_text('restrict,command="echo forced: $SSH_ORIGINAL_COMMAND" ' +
                              (place.dir / "user_ed25519.pub").read_text())
        other = nacre_server(place, f"AuthorizedKeysFile {authorized}")
        self.assertEqual(ssh("ssh", place, other, "echo mine", check=0).stdout, b"forced: echo mine\n")
        other.stop()

    def test_clients_cannot_say_what_only_the_server_says(self):
        authorized = place.fresh("authorized")
        authorized.write_text('command="echo forced: [$SSH_ORIGINAL_COMMAND][$SSH_TTY][$USER]" ' +
                              (place.dir / "user_ed25519.pub").read_text())
        other = nacre_server(place, f"AuthorizedKeysFile {authorized}", "AcceptEnv *")
        result = ssh("ssh", place, other, args=["-T"], check=0,
                     options=["SetEnv=SSH_ORIGINAL_COMMAND=evil SSH_TTY=evil USER=evil PATH=/evil"])
        self.assertEqual(result.stdout, f"forced: [][][{ME}]\n".encode())
        other.stop()

    def test_asking_for_methods_does_not_look_a_user_up(self):
        other = nacre_server(place)
        options = client_options(place, other, key=None, extra=["PreferredAuthentications=hostbased"])
        for user in ("no-such-user-here", ME):
            run(["ssh", "-p", other.port, *options, f"{user}@127.0.0.1", "true"], check=255)
        self.assertNotIn("no-such-user-here", other.text())
        other.stop()

    def work_of_newest(self, server):
        """Nanoseconds of a processor's time that the newest connection's process has had."""
        pid = run(["pgrep", "-n", "-P", server.process.pid], check=0).stdout.decode().strip()
        with open(f"/proc/{pid}/schedstat") as f:
            return int(f.read().split()[0])

    @unittest.skipUnless(ROOT, "an account can only be made by root")
    def test_unknown_users_are_answered_alike(self):
        """Whatever is asked for a user, nothing in the answers says whether there is one (CVE-2018-15473, CVE-2016-6210)."""
        user = TestUser()
        other = nacre_server(place, "PasswordAuthentication yes", "KbdInteractiveAuthentication yes", "MaxAuthTries 20")
        stranger, unseen = paramiko.RSAKey.generate(2048), paramiko.RSAKey.generate(2048)
        answers, work = {}, {}
        # The method that the system has for new passwords, which is also what is computed for nobody.
        run(["chpasswd"], stdin=f"{user.name}:{user.password}\n".encode(), check=0)
        for name in (user.name, "no-such-user-here"):
            transport = paramiko.Transport(("127.0.0.1", int(other.port)))
            transport.start_client(timeout=DEADLINE)
            heard, before = answers.setdefault(name, []), 0
            read = transport.packetizer.read_message

            def listen(read=read, heard=heard):
                number, message = read()
                heard.append((number, message.asbytes()))
                return number, message

            transport.packetizer.read_message = listen
            attempts = [transport.auth_none, lambda n, t=transport: t.auth_publickey(n, stranger),
                        lambda n, t=transport: t.auth_publickey(n, unseen),
                        lambda n, t=transport: t.auth_interactive(n, lambda *_: ["wrong"])]
            attempts += 4 * [lambda n, t=transport: t.auth_password(n, "wrong", fallback=False)]
            for i, attempt in enumerate(attempts):
                before = self.work_of_newest(other) if i == len(attempts) - 4 else before
                self.assertRaises(paramiko.AuthenticationException, attempt, name)
            work[name] = self.work_of_newest(other) - before
            transport.close()
        known, unknown = answers.values()
        known, unknown = ([m for m in answer if m[0] >= 50] for answer in (known, unknown))
        self.assertEqual(known, unknown)
        self.assertEqual([number for number, _ in known], [51, 51, 51, 60, 51, 51, 51, 51, 51])
        # A password is hashed for nobody, too. What the processor did is told, not how long it took: refusals come late anyway.
        self.assertGreater(work["no-such-user-here"], work[user.name] / 2)
        other.stop()
        user.remove()

    @unittest.skipUnless(ROOT, "an account can only be made by root")
    def test_an_empty_password_never_opens(self):
        user = TestUser()
        # crypt(3) of "", by "perl -e 'print crypt("", q($6$saltsalt$))'"; "openssl passwd" says "<NULL>" of it.
        nothing = "$6$saltsalt$qkTgsCrWMTAS9gBGcf9W60sFfH.hU0oTCAOJjhbz5tSp/sU3/xXZK4OFwCtq8lIIdpJ6CatVdOTSHKp97TPkt/"

        def attempt(server, method):
            return run(["ssh", "-F", "none", "-p", server.port, "-o", f"UserKnownHostsFile={place.known_hosts(server.port)}",
                        "-o", f"PreferredAuthentications={method}", "-o", "NumberOfPasswordPrompts=1",
                        f"{user.name}@127.0.0.1", "echo in"], env=askpass(place, ""))

        # That it would open where empty passwords are let in: what is tried below is true.
        lax = openssh_server(place, "PasswordAuthentication yes", "PermitEmptyPasswords yes")
        other = nacre_server(place, "PasswordAuthentication yes", "KbdInteractiveAuthentication yes")
        for stored in (nothing, ""):
            subprocess.run(["usermod", "-p", stored, user.name], check=True)
            self.assertEqual(attempt(lax, "password").stdout, b"in\n")
            for method in ("password", "keyboard-interactive"):
                with self.subTest((stored, method)):
                    result = attempt(other, method)
                    self.assertEqual((result.returncode, result.stdout), (255, b""))
        for method in ("password", "keyboard-interactive"):
            self.assertIn(f"Failed {method} for {user.name}", other.text())
        lax.stop()
        other.stop()
        user.remove()

    @unittest.skipUnless(ROOT, "an account can only be made by root")
    def test_what_has_expired_does_not_open(self):
        user = TestUser()
        other = nacre_server(place, "PasswordAuthentication yes", "KbdInteractiveAuthentication no")
        command = ["ssh", "-F", "none", "-p", other.port, "-o", f"UserKnownHostsFile={place.known_hosts(other.port)}",
                   "-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1",
                   f"{user.name}@127.0.0.1", "echo in"]
        # How it is aged; whether the password opens then; whether a key does.
        for ageing, password, key in ((["-M", "-1"], 0, 0), (["-d", "0"], 255, 0),
                                      (["-d", "2020-01-01", "-M", "30"], 255, 0),
                                      (["-d", "2020-01-01", "-M", "30", "-I", "5"], 255, 255),
                                      (["-d", "2020-01-01", "-M", "-1", "-I", "-1"], 0, 0),
                                      (["-E", "2020-01-01"], 255, 255)):
            with self.subTest(ageing):
                subprocess.run(["chage", *ageing, user.name], check=True)
                run(command, env=askpass(place, user.password), check=password)
                ssh("ssh", place, other, "true", user=user.name, check=key)
        other.stop()
        user.remove()

    @unittest.skipUnless(ROOT, "an account can only be made by root")
    def test_sftp_does_not_open_its_own_memory(self):
        user = TestUser()
        for subsystem in ("internal-sftp", APPS / "nacre-sftp-server"):
            with self.subTest(subsystem):
                other = nacre_server(place, f"Subsystem sftp {subsystem}")
                result = sftp("sftp", place, other, ["ls /", f"put {place.path('host_rsa.pub')} /proc/self/mem"],
                              user=user.name)
                self.assertIn(b"proc", result.stdout)
                self.assertIn(b"/proc/self/mem\": Permission denied", result.stderr)
                other.stop()
        other = nacre_server(place)
        tty = ssh("ssh", place, other, "stat -c '%a %U' $(tty)", user=user.name, args=["-tt"], check=0)
        self.assertRegex(tty.stdout, rb"^6[02]0 " + user.name.encode())
        other.stop()
        user.remove()

    def test_strangers_are_counted_until_they_leave(self):
        other = nacre_server(place, "MaxStartups 2")
        crowd = []

        def one_more():
            s = socket.create_connection(("127.0.0.1", other.port), 10)
            if s.recv(4) == b"SSH-":
                crowd.append(s)
                return True
            s.close()
            return False

        for _ in range(3):
            # Who left a moment ago is counted until the server has noticed.
            wait_until(one_more, "a place")
            wait_until(one_more, "another place")
            with socket.create_connection(("127.0.0.1", other.port), 10) as s:
                self.assertEqual(s.recv(8), b"Exceeded")
            while crowd:
                crowd.pop().close()
            wait_until(lambda: ssh("ssh", place, other, "true").returncode == 0, "a login")
        other.stop()

    def test_unknown_key_option_grants_nothing(self):
        authorized = place.fresh("authorized")
        authorized.write_text("no-such-option " + (place.dir / "user_ed25519.pub").read_text())
        other = nacre_server(place, f"AuthorizedKeysFile {authorized}")
        ssh("ssh", place, other, "echo never", check=255)
        other.stop()

    def test_strict_modes(self):
        home = place.fresh("home")
        home.mkdir()
        authorized = home / "authorized_keys"
        authorized.write_text((place.dir / "user_ed25519.pub").read_text())
        os.chmod(authorized, 0o666)
        other = nacre_server(place, f"AuthorizedKeysFile {authorized}", "StrictModes yes")
        ssh("ssh", place, other, "echo never", check=255)
        other.stop()

    @unittest.skipUnless(ROOT, "a user with a password can only be made by root")
    def test_password_and_becoming_the_user(self):
        user = TestUser()
        other = nacre_server(place, "PasswordAuthentication yes", "KbdInteractiveAuthentication yes")
        for method in ("password", "keyboard-interactive"):
            with self.subTest(method):
                command = ["ssh", "-F", "none", "-p", other.port, "-o",
                           f"UserKnownHostsFile={place.known_hosts(other.port)}", "-o",
                           f"PreferredAuthentications={method}", "-o", "NumberOfPasswordPrompts=1",
                           "-o", "PubkeyAuthentication=no", f"{user.name}@127.0.0.1",
                           "id -un; id -gn; pwd; echo $HOME $USER $LOGNAME $SHELL; grep -i capeff /proc/self/status"]
                good = run(command, env=askpass(place, user.password), check=0)
                lines = good.stdout.decode().splitlines()
                self.assertEqual(lines[:3], [user.name, user.name, f"/home/{user.name}"])
                self.assertEqual(lines[3], f"/home/{user.name} {user.name} {user.name} /bin/sh")
                self.assertRegex(lines[4], r"^CapEff:\s+0+$")
                bad = run(command, env=askpass(place, "wrong"), check=255)
                self.assertIn(b"Permission denied", bad.stderr)
        nobody = ["ssh", "-F", "none", "-p", other.port, "-o",
                  f"UserKnownHostsFile={place.known_hosts(other.port)}", "-o", "PreferredAuthentications=password",
                  "-o", "NumberOfPasswordPrompts=1", "no-such-user-here@127.0.0.1", "true"]
        self.assertIn(b"Permission denied", run(nobody, env=askpass(place, "x"), check=255).stderr)
        other.stop()
        user.remove()


class Commands(unittest.TestCase):
    def test_streams_apart_and_status(self):
        result = ssh("ssh", place, server, "echo out; echo err >&2; exit 7", check=7)
        self.assertEqual((result.stdout, result.stderr), (b"out\n", b"err\n"))

    def test_signal(self):
        ssh("ssh", place, server, "kill -TERM $$", check=255)

    def test_session_environment(self):
        result = ssh("ssh", place, server, "env", check=0)
        env = dict(line.split("=", 1) for line in result.stdout.decode().splitlines() if "=" in line)
        for name in ("HOME", "USER", "LOGNAME", "SHELL", "PATH", "SSH_CONNECTION", "SSH_CLIENT"):
            self.assertIn(name, env)
        self.assertEqual(env["USER"], ME)
        self.assertEqual(env["SSH_CONNECTION"].split()[2:], ["127.0.0.1", str(server.port)])
        self.assertNotIn("NACRE_BUILD", env)

    def test_accepted_environment_only(self):
        result = ssh("ssh", place, server, "echo [$NACRE_ONE][$OTHER]",
                     options=["SetEnv=NACRE_ONE=1 OTHER=2"], check=0)
        self.assertEqual(result.stdout, b"[1][]\n")

    def test_pty(self):
        result = ssh("ssh", place, server, "tty; test -t 0 && test -t 1 && echo terminal; echo $SSH_TTY",
                     args=["-tt"], check=0)
        self.assertIn(b"/dev/pts/", result.stdout)
        self.assertIn(b"terminal", result.stdout)

    def test_login_shell(self):
        result = ssh("ssh", place, server, stdin=b"echo from shell; exit 3\n", args=["-T"], check=3)
        self.assertIn(b"from shell", result.stdout)

    def test_many_sessions_on_one_connection(self):
        control = place.fresh("ctl")
        master = subprocess.Popen([str(c) for c in ["ssh", "-p", server.port, *client_options(place, server), "-M", "-S",
                                   control, "-N", f"{ME}@127.0.0.1"]], stdin=subprocess.DEVNULL)
        try:
            wait_until(control.exists, "the control socket")
            runs = [subprocess.Popen(["ssh", "-S", str(control), "x", f"echo {i}; exit {i}"], stdout=subprocess.PIPE)
                    for i in range(8)]
            for i, r in enumerate(runs):
                out, _ = r.communicate(timeout=DEADLINE)
                self.assertEqual((out, r.returncode), (b"%d\n" % i, i))
        finally:
            master.kill()  # a SIGTERM that comes just before its poll(2) is not noticed
            master.wait()

    def test_status_after_the_output_ended(self):
        for program in ("ssh", NACRE_SSH):
            with self.subTest(program):
                result = ssh(program, place, server, "echo out; exec >&- 2>&-; sleep 2; exit 3", check=3)
                self.assertEqual(result.stdout, b"out\n")

    def test_status_after_the_output_ended_on_one_connection(self):
        control = place.fresh("ctl")
        master = subprocess.Popen([str(c) for c in ["ssh", "-p", server.port, *client_options(place, server), "-M", "-S",
                                   control, "-N", f"{ME}@127.0.0.1"]], stdin=subprocess.DEVNULL)
        try:
            wait_until(control.exists, "the control socket")
            runs = [subprocess.Popen(["ssh", "-S", str(control), "x", f"echo {i}; exec >&- 2>&-; sleep 1.{i}; exit {i}"],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) for i in range(4)]
            for i, r in enumerate(runs):
                out, _ = r.communicate(timeout=DEADLINE)
                self.assertEqual((out, r.returncode), (b"%d\n" % i, i))
        finally:
            master.kill()
            master.wait()

    def test_100_mib_each_way(self):
        big = make_file(place.path("big"), 100 << 20)
        wanted = digest(big)
        down = place.fresh("down")
        for cipher in AEADS + [CTRS[0]]:
            with self.subTest(cipher):
                base = [str(c) for c in ["ssh", "-p", server.port,
                        *client_options(place, server, extra=[f"Ciphers={cipher}"]), f"{ME}@127.0.0.1"]]
                with open(down, "wb") as out:
                    subprocess.run(base + [f"cat {big}"], stdout=out, check=True, timeout=DEADLINE,
                                   stdin=subprocess.DEVNULL)
                self.assertEqual(digest(down), wanted)
                with open(big, "rb") as source:
                    up = subprocess.run(base + ["sha256sum"], stdin=source, capture_output=True, check=True,
                                        timeout=DEADLINE)
                self.assertEqual(up.stdout.split()[0].decode(), wanted)

    def rekey(self, server_lines, options):
        other = nacre_server(place, *server_lines)
        big = make_file(place.path("rekey"), 24 << 20)
        result = ssh("ssh", place, other, "cat", options=options, args=["-v"], stdin=big.read_bytes(), check=0)
        self.assertEqual(result.stdout, big.read_bytes())
        self.assertGreater(result.stderr.count(b"SSH2_MSG_NEWKEYS received"), 5)
        other.stop()

    def test_rekey_from_the_client(self):
        self.rekey(["RekeyLimit 1G"], ["RekeyLimit=1M"])

    def test_rekey_from_the_server(self):
        self.rekey(["RekeyLimit 1M none"], ["RekeyLimit=1G"])

    def test_rekey_from_both(self):
        self.rekey(["RekeyLimit 1M none"], ["RekeyLimit=1M"])

    def test_rekey_with_every_packet(self):
        # OpenSSH's smallest limit: hardly a packet without new keys. It never begins before login, where we count.
        result = ssh("ssh", place, server, "echo in", options=["RekeyLimit=16"], args=["-v"], check=0)
        self.assertEqual(result.stdout, b"in\n")
        self.assertGreater(result.stderr.count(b"SSH2_MSG_NEWKEYS received"), 2)


class Files(unittest.TestCase):
    def test_set_id_bits_are_not_lent_to_what_comes(self):
        here = place.fresh("suid")
        here.write_bytes(b"old")
        os.chmod(here, 0o6755)
        sftp(NACRE_SFTP, place, server, [f"get {place.path('host_rsa.pub')} {here}"], check=0)
        self.assertEqual(here.stat().st_mode & 0o7777, 0o755)
        self.assertEqual(digest(here), digest(place.path("host_rsa.pub")))

    def test_sftp_64_mib(self):
        big = make_file(place.path("64"), 64 << 20)
        up, down = place.fresh("up"), place.fresh("down")
        for cipher in AEADS + [CTRS[0]]:
            with self.subTest(cipher):
                sftp("sftp", place, server, [f"put {big} {up}", f"get {up} {down}"], options=[f"Ciphers={cipher}"],
                     check=0)
                self.assertEqual(digest(up), digest(big))
                self.assertEqual(digest(down), digest(big))

    def test_sftp_small_requests_and_rekey(self):
        big = make_file(place.path("64"), 64 << 20)
        up, down = place.fresh("up"), place.fresh("down")
        sftp("sftp", place, server, [f"put {big} {up}", f"get {up} {down}"], args=["-B", "4096", "-R", "16"],
             options=["RekeyLimit=4M"], check=0)
        self.assertEqual(digest(up), digest(big))
        self.assertEqual(digest(down), digest(big))

    def test_sftp_every_command(self):
        there, here = place.fresh("there"), place.fresh("here")
        there.mkdir()
        here.mkdir()
        (here / "file").write_text("content")
        result = sftp("sftp", place, server, [
            f"cd {there}", "pwd", f"lcd {here}", "put file", "mkdir sub", "put file sub/a", "rename sub/a sub/b",
            "chmod 640 sub/b", "ln sub/b sub/hard", "symlink b sub/soft", "ls -la sub", "df -h", "df -i",
            "get sub/soft back", "get -p sub/b back2", "cp sub/b sub/copied", "rm sub/hard", "mkdir gone", "rmdir gone",
            "reget sub/b back", "put -f -p file sub/flushed"], check=0)
        self.assertEqual((there / "sub/b").read_text(), "content")
        self.assertEqual((there / "sub/b").stat().st_mode & 0o777, 0o640)
        self.assertEqual(os.readlink(there / "sub/soft"), "b")
        self.assertEqual((there / "sub/copied").read_text(), "content")
        self.assertEqual((here / "back").read_text(), "content")
        self.assertFalse((there / "sub/hard").exists() or (there / "gone").exists())

    def test_sftp_trees(self):
        tree, back = place.fresh("tree"), place.fresh("back")
        for name in ("a/b/c", "empty", "with space", "-dash", "ünï"):
            (tree / name).mkdir(parents=True)
            make_file(tree / name / "file", 10000)
        far = place.fresh("far")
        sftp("sftp", place, server, [f"put -R {tree} {far}", f"get -R {far} {back}"], check=0)
        subprocess.run(["diff", "-r", tree, far], check=True)
        subprocess.run(["diff", "-r", tree, back], check=True)

    def test_sftp_2000_entries(self):
        tree = place.fresh("many")
        tree.mkdir()
        for i in range(2000):
            (tree / f"entry-{i:04}").write_bytes(b"")
        result = sftp("sftp", place, server, [f"ls -1 {tree}"], check=0)
        self.assertEqual(result.stdout.count(b"entry-"), 2000)

    def test_scp_over_sftp(self):
        big = make_file(place.path("64"), 64 << 20)
        up, down = place.fresh("up"), place.fresh("down")
        options = [str(o) for o in client_options(place, server)]
        run(["scp", "-s", "-P", server.port, *options, big, f"{ME}@127.0.0.1:{up}"], check=0)
        run(["scp", "-s", "-p", "-P", server.port, *options, f"{ME}@127.0.0.1:{up}", down], check=0)
        self.assertEqual(digest(up), digest(big))
        self.assertEqual(digest(down), digest(big))

    def test_scp_classic(self):
        big = make_file(place.path("8"), 8 << 20)
        up, down = place.fresh("up"), place.fresh("down")
        options = [str(o) for o in client_options(place, server)]
        run(["scp", "-O", "-P", server.port, *options, big, f"{ME}@127.0.0.1:{up}"], check=0)
        run(["scp", "-O", "-P", server.port, *options, f"{ME}@127.0.0.1:{up}", down], check=0)
        self.assertEqual(digest(down), digest(big))

    def test_errors_have_openssh_texts(self):
        result = sftp("sftp", place, server, ["get /nonexistent /dev/null"])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"not found", result.stderr)
        result = sftp("sftp", place, server, ["rmdir /proc"])
        self.assertNotEqual(result.returncode, 0)

    def test_our_sftp_server_under_their_sshd(self):
        other = openssh_server(place, sftp=APPS / "nacre-sftp-server")
        big = make_file(place.path("64"), 64 << 20)
        up, down = place.fresh("up"), place.fresh("down")
        sftp("sftp", place, other, [f"put {big} {up}", f"get {up} {down}"], check=0)
        self.assertEqual(digest(down), digest(big))
        other.stop()

    def test_our_sftp_server_on_pipes(self):
        here = place.fresh("here")
        here.mkdir()
        script = place.fresh("batch")
        script.write_text(f"put {place.path('host_rsa')} {here}/key\nls {here}\n")
        result = run(["sftp", "-D", APPS / "nacre-sftp-server", "-b", script], check=0)
        self.assertIn(b"key", result.stdout)
        self.assertEqual(digest(here / "key"), digest(place.path("host_rsa")))

    def test_their_sftp_server_under_our_sshd(self):
        other = nacre_server(place, f"Subsystem sftp {SFTP_SERVER}")
        big = make_file(place.path("64"), 64 << 20)
        up = place.fresh("up")
        sftp("sftp", place, other, [f"put {big} {up}"], check=0)
        self.assertEqual(digest(up), digest(big))
        other.stop()


class BadInput(unittest.TestCase):
    """A hostile client ends its own connection and nobody else's."""

    def talk(self, data, close=False):
        with socket.create_connection(("127.0.0.1", server.port), 10) as s:
            s.settimeout(DEADLINE)
            s.sendall(data)
            if close:
                s.shutdown(socket.SHUT_WR)
            got = b""
            try:
                while block := s.recv(65536):
                    got += block
            except ConnectionResetError:
                pass
            return got

    def test_not_ssh(self):
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0" * 300 + b"\n", b"SSH-1.5-old\r\n",
                     b"SSH-9.9-new\r\n", b"SSH-2.0-" + b"a" * 5000 + b"\r\n"):
            with self.subTest(data[:20]):
                self.assertTrue(self.talk(data).startswith(b"SSH-2.0-nacre"))
        self.assertTrue(server.alive())

    def test_absurd_packets(self):
        version = b"SSH-2.0-test\r\n"
        for length in (0, 1, 5, 11, 35001 * 8, 1 << 31, (1 << 32) - 1):
            with self.subTest(length):
                self.talk(version + length.to_bytes(4, "big") + b"\x04" + b"\x14" * 500, close=True)
        self.assertTrue(server.alive())

    def test_messages_before_their_time(self):
        version = b"SSH-2.0-test\r\n"
        for number in list(range(0, 20)) + [21, 30, 31, 34, 50, 51, 52, 60, 80, 90, 94, 98, 127, 192, 255]:
            payload = bytes([number]) + b"\0" * 20
            padding = 8 - (5 + len(payload)) % 8 + 8
            packet = (1 + len(payload) + padding).to_bytes(4, "big") + bytes([padding]) + payload + b"\0" * padding
            with self.subTest(number):
                self.talk(version + packet, close=False)
        self.assertTrue(server.alive())
        self.assertEqual(ssh("ssh", place, server, "echo in", check=0).stdout, b"in\n")


if __name__ == "__main__":
    main()
