#!/usr/bin/python3
"""nacre-ssh and nacre-sftp against OpenSSH's sshd."""
import os
import pathlib
import subprocess
import time
import unittest

from harness import *

# Every name that both sides know.
EVERYTHING = ["KexAlgorithms=+" + ",".join(KEX), "Ciphers=" + ",".join(AEADS + CTRS), "MACs=" + ",".join(MACS),
              "HostKeyAlgorithms=" + ",".join(HOST_KEYS)]


def setUpModule():
    global place, server
    place = Place()
    server = openssh_server(place, *[e.replace("=", " ", 1) for e in EVERYTHING], "Compression yes",
                            "MaxSessions 20", "AcceptEnv NACRE_*")


class Algorithms(EveryAlgorithm, unittest.TestCase):
    program = NACRE_SSH

    def test_nothing_in_common_names_the_slot(self):
        other = openssh_server(place, "Ciphers aes256-ctr")
        result = ssh(NACRE_SSH, place, other, "true", options=["Ciphers=aes128-ctr"], check=255)
        self.assertIn(b"cipher", result.stderr)
        self.assertIn(b"aes128-ctr", result.stderr)
        self.assertIn(b"aes256-ctr", result.stderr)
        other.stop()


class Trust(unittest.TestCase):
    def test_unknown_host(self):
        empty = place.fresh("known_hosts")
        empty.write_text("")
        result = ssh(NACRE_SSH, place, server, "echo never", known=empty, check=255)
        self.assertEqual(result.stdout, b"")
        self.assertIn(b"host key", result.stderr.lower())
        self.assertEqual(empty.read_text(), "")

    def test_changed_host(self):
        known = place.known_hosts(server.port)
        other = make_key(place.fresh("other"))
        blob = pathlib.Path(f"{other}.pub").read_text().split()[1]
        known.write_text(f"[127.0.0.1]:{server.port} ssh-ed25519 {blob}\n")
        for policy in ("yes", "accept-new"):
            result = ssh(NACRE_SSH, place, server, "echo never", known=known,
                         options=[f"StrictHostKeyChecking={policy}", "HostKeyAlgorithms=ssh-ed25519"], check=255)
            self.assertEqual(result.stdout, b"")
            self.assertIn(b"changed", result.stderr.lower())

    def test_accept_new_remembers(self):
        known = place.fresh("known_hosts")
        known.write_text("# kept")
        # -o on the command line: the first value wins, so the harness's yes must not stand before it
        command = [NACRE_SSH, "-F", "none", "-p", server.port, "-o", "StrictHostKeyChecking=accept-new", "-o",
                   f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=/dev/null", "-o", "BatchMode=yes", "-i",
                   place.keys["ed25519"], f"{ME}@127.0.0.1", "echo in"]
        self.assertEqual(run(command, check=0).stdout, b"in\n")
        text = known.read_text()
        self.assertTrue(text.startswith("# kept\n"))
        self.assertIn(f"[127.0.0.1]:{server.port} ssh-ed25519 ", text)
        # and OpenSSH reads what we wrote
        self.assertEqual(ssh("ssh", place, server, "echo in", known=known, check=0).stdout, b"in\n")
        self.assertEqual(ssh(NACRE_SSH, place, server, "echo in", known=known, check=0).stdout, b"in\n")

    def test_known_hosts_that_cannot_be_read(self):
        folder = place.fresh("known_hosts")
        folder.mkdir()
        huge = place.fresh("known_hosts")
        with huge.open("wb") as f:
            f.truncate(17 * 1024 * 1024)
        for bad, reason in ((folder, b"directory"), (huge, b"larger than")):
            for keyword in ("UserKnownHostsFile", "GlobalKnownHostsFile"):
                for policy in ("accept-new", "no", "ask", "yes"):
                    with self.subTest(f"{bad.name} {keyword} {policy}"):
                        # no server listens there: the refusal comes before the connection
                        result = run([NACRE_SSH, "-F", "none", "-p", "1", "-o", f"{keyword}={bad}", "-o",
                                      f"StrictHostKeyChecking={policy}", f"{ME}@127.0.0.1", "echo never"], check=255)
                        self.assertEqual(result.stdout, b"")
                        self.assertIn(os.fsencode(bad), result.stderr)
                        self.assertIn(reason, result.stderr)
                        self.assertIn(keyword.encode(), result.stderr)
                        self.assertNotIn(b"refused", result.stderr)

    def test_known_hosts_that_keeps_nothing(self):
        for known in ("/dev/null", "none", place.fresh("missing")):
            with self.subTest(known):
                result = run([NACRE_SSH, "-F", "none", "-p", server.port, "-o", "StrictHostKeyChecking=no", "-o",
                              f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=/dev/null", "-o",
                              "BatchMode=yes", "-i", place.keys["ed25519"], f"{ME}@127.0.0.1", "echo in"], check=0)
                self.assertEqual(result.stdout, b"in\n")
                self.assertNotIn(b"Failed", result.stderr)

    def test_hashed_known_hosts(self):
        known = place.known_hosts(server.port)
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
        self.assertIn("|1|", known.read_text())
        self.assertEqual(ssh(NACRE_SSH, place, server, "echo in", known=known, check=0).stdout, b"in\n")


class Login(unittest.TestCase):
    def test_every_key_type(self):
        for kind in KEY_TYPES:
            with self.subTest(kind):
                self.assertEqual(ssh(NACRE_SSH, place, server, "echo in", key=kind, check=0).stdout, b"in\n")

    def test_encrypted_keys(self):
        for cipher in ("aes256-ctr", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"):
            with self.subTest(cipher):
                key = make_key(place.fresh("encrypted"), passphrase="open sesame", extra=["-Z", cipher, "-a", "4"])
                authorized = place.fresh("authorized")
                authorized.write_text(pathlib.Path(f"{key}.pub").read_text())
                other = openssh_server(place, f"AuthorizedKeysFile {authorized}")
                command = [NACRE_SSH, "-F", "none", "-p", other.port, "-i", key, "-o",
                           f"UserKnownHostsFile={place.known_hosts(other.port)}", "-o", "IdentitiesOnly=yes",
                           "-o", "PreferredAuthentications=publickey", f"{ME}@127.0.0.1", "echo in"]
                self.assertEqual(run(command, env=askpass(place, "open sesame"), check=0).stdout, b"in\n")
                wrong = run(command, env=askpass(place, "wrong"), check=255)
                self.assertEqual(wrong.stdout, b"")
                self.assertIn(b"rong passphrase", wrong.stderr)
                other.stop()

    def test_wrong_key_is_refused(self):
        key = make_key(place.fresh("stranger"))
        result = run([NACRE_SSH, "-p", server.port, *client_options(place, server, key=None), "-i", key,
                      f"{ME}@127.0.0.1", "echo never"], check=255)
        self.assertEqual(result.stdout, b"")
        self.assertIn(b"ermission denied", result.stderr)

    def test_missing_key_is_told_once(self):
        missing = place.fresh("missing")
        result = run([NACRE_SSH, "-p", server.port, *client_options(place, server), "-i", missing,
                      f"{ME}@127.0.0.1", "echo in"], check=0)
        told = [line for line in result.stderr.splitlines() if os.fsencode(missing) in line]
        result = run([NACRE_SSH, "-p", server.port, *client_options(place, server, key=None), "-i", missing,
                      f"{ME}@127.0.0.1", "echo never"], check=255)
        alone = [line for line in result.stderr.splitlines() if os.fsencode(missing) in line]
        self.assertEqual((len(told), len(alone)), (0, 1), result.stderr)
        self.assertIn(b"No such file", alone[0])

    @unittest.skipUnless(ROOT, "a user with a password can only be made by root")
    def test_password(self):
        user = TestUser()
        other = openssh_server(place, "PasswordAuthentication yes", "KbdInteractiveAuthentication no")
        command = [NACRE_SSH, "-F", "none", "-p", other.port, "-o",
                   f"UserKnownHostsFile={place.known_hosts(other.port)}", "-o", "PreferredAuthentications=password",
                   "-o", "NumberOfPasswordPrompts=1", f"{user.name}@127.0.0.1", "id -un"]
        good = run(command, env=askpass(place, user.password), check=0)
        self.assertEqual(good.stdout.decode().strip(), user.name)
        bad = run(command, env=askpass(place, "wrong"), check=255)
        self.assertIn(b"ermission denied", bad.stderr)
        other.stop()
        user.remove()


class Commands(unittest.TestCase):
    def test_streams_apart_and_status(self):
        result = ssh(NACRE_SSH, place, server, "echo out; echo err >&2; exit 7", check=7)
        self.assertEqual((result.stdout, result.stderr), (b"out\n", b"err\n"))

    def test_statuses(self):
        for status in (0, 1, 42, 127, 200):
            ssh(NACRE_SSH, place, server, f"exit {status}", check=status)

    def test_signal_as_openssh(self):
        theirs = ssh("ssh", place, server, "kill -TERM $$")
        ours = ssh(NACRE_SSH, place, server, "kill -TERM $$")
        self.assertEqual(ours.returncode, theirs.returncode)

    def test_words_of_a_command(self):
        self.assertEqual(ssh(NACRE_SSH, place, server, "echo", "a  b", "*", "$HOME|cat", check=0).stdout,
                         ssh("ssh", place, server, "echo", "a  b", "*", "$HOME|cat", check=0).stdout)

    def test_environment(self):
        result = ssh(NACRE_SSH, place, server, "echo $NACRE_ONE", options=['SetEnv=NACRE_ONE="1 2"'], check=0)
        self.assertEqual(result.stdout, b"1 2\n")

    def test_no_stdin(self):
        result = ssh(NACRE_SSH, place, server, "cat", args=["-n"], stdin=b"not read", check=0)
        self.assertEqual(result.stdout, b"")

    def test_pty(self):
        result = ssh(NACRE_SSH, place, server, "tty; stty size", args=["-tt"], check=0)
        self.assertIn(b"/dev/pts/", result.stdout)

    def test_shell_from_stdin(self):
        result = ssh(NACRE_SSH, place, server, stdin=b"echo from shell; exit 3\n", args=["-T"], check=3)
        self.assertIn(b"from shell", result.stdout)

    def test_100_mib_each_way(self):
        big = make_file(place.path("big"), 100 << 20)
        wanted = digest(big)
        down = place.fresh("down")
        for cipher in AEADS + [CTRS[0]]:
            with self.subTest(cipher):
                with open(down, "wb") as out:
                    subprocess.run([str(c) for c in [NACRE_SSH, "-p", server.port,
                                    *client_options(place, server, extra=[f"Ciphers={cipher}"]),
                                    f"{ME}@127.0.0.1", f"cat {big}"]], stdout=out, check=True, timeout=DEADLINE,
                                   stdin=subprocess.DEVNULL)
                self.assertEqual(digest(down), wanted)
                with open(big, "rb") as source:
                    up = subprocess.run([str(c) for c in [NACRE_SSH, "-p", server.port,
                                         *client_options(place, server, extra=[f"Ciphers={cipher}"]),
                                         f"{ME}@127.0.0.1", "sha256sum"]], stdin=source, capture_output=True,
                                        check=True, timeout=DEADLINE)
                self.assertEqual(up.stdout.split()[0].decode(), wanted)

    def rekey(self, server_lines, client_options_):
        other = openssh_server(place, *server_lines, "LogLevel DEBUG1")
        big = make_file(place.path("rekey"), 24 << 20)
        # Both directions at once, over many exchanges.
        result = ssh(NACRE_SSH, place, other, "cat", options=client_options_, stdin=big.read_bytes(), check=0)
        self.assertEqual(hashlib_hex(result.stdout), digest(big))
        exchanges = other.text().count("SSH2_MSG_NEWKEYS received") or other.text().count("rekey")
        self.assertGreater(exchanges, 5, other.text()[-2000:])
        other.stop()

    def test_rekey_from_the_server(self):
        self.rekey(["RekeyLimit 1M"], ["RekeyLimit=1G"])

    def test_rekey_from_the_client(self):
        self.rekey(["RekeyLimit 1G"], ["RekeyLimit=1M none"])

    def test_rekey_from_both(self):
        self.rekey(["RekeyLimit 1M"], ["RekeyLimit=1M none"])

    def test_rekey_with_every_packet(self):
        other = openssh_server(place, "RekeyLimit 16", "LogLevel DEBUG1")
        self.assertEqual(ssh(NACRE_SSH, place, other, "echo in", check=0).stdout, b"in\n")
        self.assertGreater(other.text().count("SSH2_MSG_NEWKEYS received"), 2)
        other.stop()

    def test_dead_port(self):
        result = run([NACRE_SSH, "-F", "none", "-p", free_port(), "127.0.0.1", "true"], check=255)
        self.assertIn(b"refused", result.stderr.lower())

    def test_unknown_option_is_an_error(self):
        result = ssh(NACRE_SSH, place, server, "true", options=["NoSuchKeyword=1"], check=255)
        self.assertIn(b"NoSuchKeyword".lower(), result.stderr.lower())


def hashlib_hex(data):
    import hashlib
    return hashlib.sha256(data).hexdigest()


class Files(unittest.TestCase):
    def test_get_and_put_64_mib(self):
        big = make_file(place.path("64"), 64 << 20)
        up, down = place.fresh("up"), place.fresh("down")
        for cipher in AEADS + [CTRS[0]]:
            with self.subTest(cipher):
                sftp(NACRE_SFTP, place, server, [f"put {big} {up}", f"get {up} {down}"],
                     options=[f"Ciphers={cipher}"], check=0)
                self.assertEqual(digest(up), digest(big))
                self.assertEqual(digest(down), digest(big))

    def test_get_and_put_under_rekey(self):
        big = make_file(place.path("64"), 64 << 20)
        up, down = place.fresh("up"), place.fresh("down")
        sftp(NACRE_SFTP, place, server, [f"put {big} {up}", f"get {up} {down}"],
             options=["RekeyLimit=2M none"], check=0)
        self.assertEqual(digest(up), digest(big))
        self.assertEqual(digest(down), digest(big))

    def test_2000_entries(self):
        tree = place.fresh("many")
        tree.mkdir()
        for i in range(2000):
            (tree / f"entry-{i:04}").write_bytes(b"")
        result = sftp(NACRE_SFTP, place, server, [f"ls -1 {tree}"], check=0)
        for i in range(2000):
            self.assertIn(f"entry-{i:04}".encode(), result.stdout)
        self.assertEqual(result.stdout.count(b"entry-"), 2000)

    def test_every_command(self):
        here, there = place.fresh("here"), place.fresh("there")
        here.mkdir()
        there.mkdir()
        (here / "file").write_text("content")
        result = sftp(NACRE_SFTP, place, server, [
            f"cd {there}", "pwd", f"lcd {here}", "put file", "mkdir sub", "cd sub", "put file renamed.not",
            "rename renamed.not renamed", "chmod 600 renamed", "ln -s renamed link", "ls -l", "cd ..", "df",
            "get sub/renamed back", "mkdir gone", "rmdir gone", "put file doomed", "rm doomed", "exit"], check=0)
        self.assertIn(str(there).encode(), result.stdout)
        self.assertEqual((there / "sub/renamed").read_text(), "content")
        self.assertEqual((there / "sub/renamed").stat().st_mode & 0o777, 0o600)
        self.assertEqual(os.readlink(there / "sub/link"), "renamed")
        self.assertEqual((here / "back").read_text(), "content")
        self.assertFalse((there / "gone").exists() or (there / "doomed").exists())

    def test_empty_and_odd_sizes(self):
        for size in (0, 1, 32767, 32768, 32769, 261120, 261121, 1000003):
            with self.subTest(size):
                source = make_file(place.fresh("odd"), size)
                up, down = place.fresh("up"), place.fresh("down")
                sftp(NACRE_SFTP, place, server, [f"put {source} {up}", f"get {up} {down}"], check=0)
                self.assertEqual(digest(up), digest(source))
                self.assertEqual(digest(down), digest(source))

    def test_batch_stops_at_the_first_failure(self):
        here = place.fresh("stop")
        result = sftp(NACRE_SFTP, place, server, [f"get /nonexistent {here}", f"mkdir {here}"])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(b"/nonexistent", result.stderr + result.stdout)
        self.assertFalse(here.exists())
        sftp(NACRE_SFTP, place, server, [f"-get /nonexistent {here}", f"mkdir {here}"], check=0)
        self.assertTrue(here.is_dir())

    def test_failed_transfer_keeps_the_target(self):
        target = place.fresh("target")
        target.write_text("what was there")
        result = sftp(NACRE_SFTP, place, server, [f"get /nonexistent {target}"])
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual(target.read_text(), "what was there")

    def local(self, batch, *args, server=SFTP_SERVER, cwd=None, **kwargs):
        """nacre-sftp on a server program that it starts itself."""
        script = place.fresh("batch")
        script.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in batch) + b"\n")
        return run(["env", "-C", cwd or place.dir, NACRE_SFTP, "-b", script, *args, "-D", server], **kwargs)

    def test_trees_of_odd_names(self):
        tree, up, down = place.fresh("tree"), place.fresh("up"), place.fresh("down")
        names = [b"with space", b"-rf", b"gr\xc3\xbc\xc3\x9f", b"\xff\xfe", b"new\nline", b"'quote\"", b"a*b", b"[c]",
                 b"back\\slash", b"#", b"%s", b".hidden", b"..."]
        for directory in (b"", b"sub dir", b"sub dir/-d", b"sub dir/empty"):
            os.makedirs(os.path.join(bytes(tree), directory))
            if not directory.endswith(b"empty"):
                for i, name in enumerate(names):
                    path = os.path.join(bytes(tree), directory, name)
                    pathlib.Path(os.fsdecode(path)).write_bytes(name * (1 + i * 1000))
                    os.utime(path, (1000000000 + i, 1100000000 + i))
                    os.chmod(path, 0o600 + i)
        self.local([f"put {tree} {up}", f"get {up} {down}"], "-r", "-p", check=0)
        for copy in (up, down):
            subprocess.run(["diff", "-r", tree, copy], check=True)
            for directory, _, files in os.walk(bytes(tree)):
                for name in files:
                    a = os.stat(os.path.join(directory, name))
                    b = os.stat(os.path.join(bytes(copy) + directory[len(bytes(tree)):], name))
                    self.assertEqual((a.st_mode, int(a.st_mtime)), (b.st_mode, int(b.st_mtime)), name)

    def test_odd_names_on_the_command_line(self):
        here = place.fresh("names")
        here.mkdir()
        (here / "a b").write_text("1")
        (here / "-x").write_text("2")
        (here / "[q]*").write_text("3")
        self.local(["put 'a b' \"c \\\"d\"", "put -- -x -y", "get \"[q]*\" e", "get ./-x f", "rename 'a b' a\\ c",
                    "ls -- -y", "rm -- -y"], cwd=here, check=0)
        self.assertEqual(sorted(os.listdir(here)), sorted(["a c", "-x", "[q]*", 'c "d', "e", "f"]))

    def test_quiet_and_noisy_batches(self):
        here = place.fresh("noise")
        here.mkdir()
        (here / "f").write_text("1")
        lines = [f"cd {here}", "get f g"]
        quiet = self.local(lines, cwd=here, check=0).stdout
        noisy = self.local(lines, "-N", cwd=here, check=0).stdout
        self.assertEqual(quiet.decode(), f"sftp> cd {here}\nsftp> get f g\n")
        self.assertEqual(noisy.decode(), f"sftp> cd {here}\nsftp> get f g\nFetching {here}/f to g\n")

    def beside_openssh(self, here, *lines):
        """What both programs print for a batch, stdout and stderr: carriage returns and column padding apart."""
        script = place.fresh("batch")
        script.write_text("\n".join(lines) + "\n")
        said = []
        for program in ("sftp", NACRE_SFTP):
            result = run(["env", "-C", here, program, "-q", "-b", script, "-D", SFTP_SERVER], check=0)
            said.append([[line.split() for line in text.replace(b"\r", b"").splitlines()]
                         for text in (result.stdout, result.stderr)])
        return said

    def test_says_what_openssh_says(self):
        here = place.fresh("said")
        (here / "d1").mkdir(parents=True)
        (here / "d1" / "a").write_text("1")
        (here / "f").write_text("2")
        for line in ("ls d1", "ls d*", "ls ./d1", f"ls {here}/d1", "ls -1 d1", "ls nope", "ls -l nope",
                     "rmdir nope", "rmdir d1", "mkdir d1", "rename nope n2", "ln nope x", "ln -s a f", "chmod 600 nope",
                     "cd f"):
            with self.subTest(line):
                theirs, ours = self.beside_openssh(here, "-" + line)
                self.assertEqual(ours, theirs)
        for line in ("ls -l d1", "ls -l d*", "ls -l ./d1"):
            with self.subTest(line):
                theirs, ours = self.beside_openssh(here, line)
                self.assertEqual(ours[0][1][-1], theirs[0][1][-1])
        for line in ("df", "df -h", "df -i"):
            with self.subTest(line):
                theirs, ours = self.beside_openssh(here, line)
                self.assertEqual(ours[0][1], theirs[0][1])
                self.assertEqual(len(ours[0][2]), 5)
                used = [int(words[2][-1].rstrip(b"%")) for words in (ours[0], theirs[0])]
                self.assertLessEqual(abs(used[0] - used[1]), 1)  # others write to this file system too

    def test_get_from_the_command_line(self):
        here, there = place.fresh("one"), place.fresh("shot")
        here.mkdir()
        (there / "dir").mkdir(parents=True)
        (there / "a b").write_text("1")
        (there / "x1").write_text("2")
        (there / "[c]").write_text("3")
        through = place.fresh("through")
        through.write_text(f"#!/bin/sh\ncd '{there}' && exec {SFTP_SERVER}\n")
        through.chmod(0o700)

        def shot(*args, stdin=b"", **kwargs):
            return run(["env", "-C", here, NACRE_SFTP, "-q", "-S", through, *args], stdin=stdin, **kwargs)

        shot("h:a b", check=0)
        shot("h:a b", "c d", check=0)
        shot("h:x*", ".", check=0)
        shot("h:[c]", "e", check=0)
        self.assertEqual({p.name: p.read_text() for p in here.iterdir()}, {"a b": "1", "c d": "1", "x1": "2", "e": "3"})
        self.assertIn(f"{there}/dir\n".encode(), shot("h:dir", stdin=b"pwd\n", check=0).stdout)
        self.assertIn(b"nope", shot("h:nope", "z", check=1).stderr)
        self.assertIn(b"host:path", shot("h", "z", check=1).stderr)
        self.assertIn(b"usage", shot("h:x1", "y", "z", check=1).stderr)
        self.assertFalse((here / "z").exists() or (here / "nope").exists())

    def test_rate_limit(self):
        source, target = make_file(place.fresh("slow"), 500000), place.fresh("slow")
        start = time.monotonic()
        self.local([f"get {source} {target}"], "-l", "4000", check=0)  # Kbit/s: 512 000 bytes in a second
        self.assertGreater(time.monotonic() - start, 0.8)
        self.assertEqual(digest(target), digest(source))

    def test_listed_names_never_lead_out(self):
        liar = place.fresh("liar.py")
        liar.write_text(LIAR)
        for name in (b"../escaped", b"a/b", b"", b"..", b"/etc/escaped", b"x\0y", b"../../escaped", b"./x"):
            with self.subTest(name):
                here = place.fresh("cage")
                (here / "in").mkdir(parents=True)
                result = self.local(["get -r /d target"], cwd=here / "in", server=f"/usr/bin/python3 {liar} {name.hex()}")
                found = sorted(str(p.relative_to(here)) for p in here.rglob("*"))
                wanted = ["in", "in/target", "in/target/good"]
                self.assertEqual(found, wanted, result.stderr)
                # ".." is in every listing, and is passed over
                self.assertEqual(result.returncode, 0 if name == b".." else 1, result.stderr)

    def test_listed_names_do_not_reach_the_terminal(self):
        liar = place.fresh("liar.py")
        liar.write_text(LIAR)
        here = place.fresh("cage")
        here.mkdir()
        name = b"\x1b]0;title\x07\r\n\x9b31m"
        result = self.local(["-ls -l /d", "-ls /d", "get -r /d target"], "-N", cwd=here,
                            server=f"/usr/bin/python3 {liar} {name.hex()}")
        for text in (result.stdout, result.stderr):
            self.assertNotIn(b"\x1b", text)
            self.assertNotIn(b"\x9b", text)
            self.assertNotIn(b"\r", text)
        self.assertEqual(sorted(os.listdir(bytes(here / "target"))), sorted([name, b"good"]))


# An SFTP server whose only directory lists "good" and the name given in hex, both of them small files.
LIAR = r"""
import struct, sys
name = bytes.fromhex(sys.argv[1]) if len(sys.argv) > 1 else b""
listed, read = set(), set()
out, count = sys.stdout.buffer, 0
def s(b): return struct.pack(">I", len(b)) + b
def take(b): n = struct.unpack(">I", b[:4])[0]; return b[4:4 + n], b[4 + n:]
def status(code): return b"\x65", struct.pack(">I", code) + s(b"") + s(b"")
def entry(n): return s(n) + s(b"-rw-r--r-- " + n) + struct.pack(">II", 4, 0o100644)
while True:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        break
    packet = sys.stdin.buffer.read(struct.unpack(">I", head)[0])
    kind, rest = packet[0], packet[5:]
    if kind == 1:
        out.write(struct.pack(">IBI", 5, 2, 3)); out.flush(); continue
    text, rest = take(rest)
    if kind == 16:
        answer = b"\x68", struct.pack(">I", 1) + s(b"/" if text == b"." else text) + s(b"") + struct.pack(">I", 0)
    elif kind in (7, 17):
        answer = b"\x69", struct.pack(">II", 4, 0o40755 if text == b"/d" else 0o100644)
    elif kind in (3, 11):
        count += 1
        answer = b"\x66", s(b"%d" % count)
    elif kind == 12 and text not in listed:
        listed.add(text)
        answer = b"\x68", struct.pack(">I", 4) + b"".join(map(entry, (b".", b"..", name, b"good")))
    elif kind == 5 and text not in read:
        read.add(text)
        answer = b"\x67", s(b"content\n")
    else:
        answer = status({4: 0, 8: 5, 12: 1, 5: 1}.get(kind, 8))
    body = answer[0] + packet[1:5] + answer[1]
    out.write(s(body)); out.flush()
"""


if __name__ == "__main__":
    main()
