#!/usr/bin/python3
"""nacre-ssh and nacre-sftp against OpenSSH's sshd."""
import os
import pathlib
import subprocess
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
                other.stop()

    def test_wrong_key_is_refused(self):
        key = make_key(place.fresh("stranger"))
        result = run([NACRE_SSH, "-p", server.port, *client_options(place, server, key=None), "-i", key,
                      f"{ME}@127.0.0.1", "echo never"], check=255)
        self.assertEqual(result.stdout, b"")
        self.assertIn(b"ermission denied", result.stderr)

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
        result = ssh(NACRE_SSH, place, server, "echo $NACRE_ONE", options=["SetEnv=NACRE_ONE=1 2"], check=0)
        self.assertIn(result.stdout, (b"1 2\n", b"1\n"))

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


if __name__ == "__main__":
    main()
