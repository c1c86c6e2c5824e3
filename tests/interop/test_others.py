#!/usr/bin/python3
"""dropbear, PuTTY and paramiko, as both peers, for a short list: log in, run, move bytes, re-key, SFTP."""
import fcntl
import hashlib
import io
import os
import pathlib
import socket
import stat
import subprocess
import threading
import unittest

import paramiko

from harness import *


def setUpModule():
    global place, server
    place = Place()
    server = nacre_server(place)


class DropbearServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        keys = []
        for kind in ("ed25519", "rsa", "ecdsa256"):
            converted = place.fresh(f"dropbear_{kind}")
            subprocess.run(["dropbearconvert", "openssh", "dropbear", place.host_keys[kind], converted], check=True,
                           capture_output=True)
            keys += ["-r", str(converted)]
        # dropbear looks for authorized_keys in the user's home only: lend it one.
        cls.home = pathlib.Path.home() / ".ssh"
        cls.home.mkdir(mode=0o700, exist_ok=True)
        cls.lock = os.open(cls.home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(cls.lock, fcntl.LOCK_EX)  # another test may lend one too
        cls.had = (cls.home / "authorized_keys").exists()
        cls.old = (cls.home / "authorized_keys").read_bytes() if cls.had else b""
        (cls.home / "authorized_keys").write_bytes(cls.old + place.authorized.read_bytes())
        os.chmod(cls.home / "authorized_keys", 0o600)
        cls.server = Server(place, lambda port: ["dropbear", "-F", "-E", "-s", "-p", f"127.0.0.1:{port}", "-P",
                                                 str(place.fresh("pid")), *keys], "dropbear")

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        if cls.had:
            (cls.home / "authorized_keys").write_bytes(cls.old)
        else:
            (cls.home / "authorized_keys").unlink()
        os.close(cls.lock)

    def test_run(self):
        for kind in ("ed25519", "rsa", "ecdsa256", "ecdsa384", "ecdsa521"):
            with self.subTest(kind):
                result = ssh(NACRE_SSH, place, self.server, "echo out; echo err >&2; exit 7", key=kind, check=7)
                self.assertEqual((result.stdout, result.stderr), (b"out\n", b"err\n"))

    def test_bytes_both_ways_with_rekey(self):
        data = os.urandom(1 << 20) * 16
        result = ssh(NACRE_SSH, place, self.server, "cat", options=["RekeyLimit=2M none"], stdin=data, check=0)
        self.assertEqual(hashlib.sha256(result.stdout).digest(), hashlib.sha256(data).digest())


class DropbearClient(unittest.TestCase):
    def dbclient(self, *command, stdin=b"", **kwargs):
        key = place.fresh("dbkey")
        subprocess.run(["dropbearconvert", "openssh", "dropbear", place.keys["ed25519"], key], check=True,
                       capture_output=True)
        return run_on_files(place, ["dbclient", "-y", "-y", "-i", key, "-p", server.port, f"{ME}@127.0.0.1", *command],
                            stdin=stdin, env={"HOME": str(place.dir)}, **kwargs)

    def test_run(self):
        result = self.dbclient("echo out; echo err >&2; exit 7", check=7)
        self.assertEqual(result.stdout, b"out\n")
        self.assertIn(b"err\n", result.stderr)

    def test_bytes_both_ways(self):
        data = os.urandom(1 << 20) * 16
        result = self.dbclient("cat", stdin=data, check=0)
        self.assertEqual(hashlib.sha256(result.stdout).digest(), hashlib.sha256(data).digest())


class Putty(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.key = place.fresh("putty.ppk")
        subprocess.run(["puttygen", place.keys["ed25519"], "-o", cls.key, "-O", "private"], check=True)
        cls.fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", place.dir / "host_ed25519.pub"], check=True,
                                         capture_output=True, text=True).stdout.split()[1]

    def args(self, program):
        return [program, "-batch", "-hostkey", self.fingerprint, "-i", self.key, "-P", server.port]

    def test_plink(self):
        result = run([*self.args("plink"), "-ssh", f"{ME}@127.0.0.1", "cat; echo err >&2; exit 7"], stdin=b"z" * 300000,
                     env={"HOME": str(place.dir)}, check=7)
        self.assertEqual(result.stdout, b"z" * 300000)
        self.assertIn(b"err", result.stderr)

    def test_psftp(self):
        source = make_file(place.fresh("psftp"), 3 << 20)
        up, down, script = place.fresh("up"), place.fresh("down"), place.fresh("script")
        script.write_text(f"put {source} {up}\nget {up} {down}\nls {place.dir}\nquit\n")
        run([*self.args("psftp"), "-b", script, f"{ME}@127.0.0.1"], env={"HOME": str(place.dir)}, check=0)
        self.assertEqual(digest(down), digest(source))


class ParamikoClient(unittest.TestCase):
    def setUp(self):
        self.client = paramiko.SSHClient()
        self.client.load_host_keys(str(place.known_hosts(server.port)))
        self.client.connect("127.0.0.1", server.port, ME, key_filename=str(place.keys["ed25519"]),
                            allow_agent=False, look_for_keys=False, timeout=DEADLINE)

    def tearDown(self):
        self.client.close()

    def test_run(self):
        stdin, stdout, stderr = self.client.exec_command("cat; echo err >&2; exit 7", timeout=DEADLINE)
        stdin.write(b"x" * 200000)
        stdin.channel.shutdown_write()
        self.assertEqual(stdout.read(), b"x" * 200000)
        self.assertEqual(stderr.read(), b"err\n")
        self.assertEqual(stdout.channel.recv_exit_status(), 7)

    def test_several_attempts_on_one_connection(self):
        """paramiko before 3.2 asks for the service before each of them."""
        client = paramiko.SSHClient()
        client.load_host_keys(str(place.known_hosts(server.port)))
        client.connect("127.0.0.1", server.port, ME, pkey=paramiko.RSAKey.generate(2048), password="wrong",
                       key_filename=[str(make_key(place.fresh("stranger"))), str(place.keys["ed25519"])],
                       allow_agent=False, look_for_keys=False, timeout=DEADLINE)
        self.assertEqual(client.exec_command("echo in", timeout=DEADLINE)[1].read(), b"in\n")
        client.close()

    def test_renegotiation_in_a_transfer(self):
        stdin, stdout, _ = self.client.exec_command("head -c 20000000 /dev/zero", timeout=DEADLINE)
        first = stdout.read(100000)
        self.client.get_transport().renegotiate_keys()
        self.assertEqual(len(first) + len(stdout.read()), 20000000)

    def test_sftp_access_patterns_of_a_mounted_file_system(self):
        """What sshfs does: stat, open, reads and writes at odd offsets through one handle, truncate."""
        ftp = self.client.open_sftp()
        path = str(place.fresh("pattern"))
        model = bytearray(300000)
        with ftp.open(path, "w+b") as f:
            f.write(bytes(model))
            for i in range(200):
                offset = (i * 7919) % 290000
                piece = bytes([i]) * (1 + i * 37 % 9000)
                f.seek(offset)
                f.write(piece)
                model[offset:offset + len(piece)] = piece
                f.seek((i * 104729) % 290000)
                got = f.read(5000)
                at = (i * 104729) % 290000
                self.assertEqual(got, bytes(model[at:at + 5000]))
            self.assertEqual(f.stat().st_size, len(model))
            f.truncate(100000)
        self.assertEqual(pathlib.Path(path).read_bytes(), bytes(model[:100000]))
        ftp.chmod(path, 0o640)
        ftp.utime(path, (1000000000, 1100000000))
        attributes = ftp.stat(path)
        self.assertEqual((stat.S_IMODE(attributes.st_mode), attributes.st_mtime), (0o640, 1100000000))
        ftp.symlink(path, path + ".link")
        self.assertEqual(ftp.readlink(path + ".link"), path)
        self.assertTrue(stat.S_ISLNK(ftp.lstat(path + ".link").st_mode))
        self.assertEqual(ftp.normalize("."), str(pathlib.Path.home()))
        ftp.posix_rename(path, path + ".new")
        with self.assertRaises(FileNotFoundError):
            ftp.stat(path)
        ftp.remove(path + ".link")
        ftp.mkdir(path)
        ftp.rmdir(path)
        ftp.close()

    def test_sftp_prefetch_and_pipelined_put(self):
        ftp = self.client.open_sftp()
        data = os.urandom(1 << 20) * 8
        path = str(place.fresh("para"))
        ftp.putfo(io.BytesIO(data), path)
        back = io.BytesIO()
        ftp.getfo(path, back)
        self.assertEqual(back.getvalue(), data)
        ftp.close()


class Everything(paramiko.ServerInterface):
    """A paramiko server: password, keyboard-interactive, partial success; runs nothing, echoes."""

    def __init__(self):
        self.first_factor = False

    def get_allowed_auths(self, user):
        return "password,keyboard-interactive"

    def check_auth_password(self, user, password):
        if password != "right":
            return paramiko.AUTH_FAILED
        if user == "both":
            self.first_factor = True
            return paramiko.AUTH_PARTIALLY_SUCCESSFUL
        return paramiko.AUTH_SUCCESSFUL

    def check_auth_interactive(self, user, submethods):
        return paramiko.InteractiveQuery("name", "instruction", ("Code: ", False))

    def check_auth_interactive_response(self, responses):
        return paramiko.AUTH_SUCCESSFUL if list(responses) == ["right"] else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, channel_id):
        return paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=self.serve, args=(channel, command), daemon=True).start()
        return True

    @staticmethod
    def serve(channel, command):
        total = 0
        while block := channel.recv(65536):
            channel.sendall(block)
            total += len(block)
        channel.sendall_stderr(b"echoed %d\n" % total)
        channel.send_exit_status(int(command.split()[-1]))
        channel.close()


class ParamikoServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.listener = socket.create_server(("127.0.0.1", 0))
        cls.port = cls.listener.getsockname()[1]
        cls.transports = []
        key = paramiko.Ed25519Key(filename=str(place.host_keys["ed25519"]))

        def accept():
            while True:
                try:
                    sock, _ = cls.listener.accept()
                except OSError:
                    return
                transport = paramiko.Transport(sock)
                transport.add_server_key(key)
                cls.transports.append(transport)
                transport.start_server(server=Everything(), event=threading.Event())

        threading.Thread(target=accept, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.listener.close()
        for transport in cls.transports:
            transport.close()

    def command(self, user, method, answer, status, stdin):
        command = [NACRE_SSH, "-F", "none", "-p", self.port, "-o", f"UserKnownHostsFile={place.known_hosts(self.port)}",
                   "-o", f"PreferredAuthentications={method}", "-o", "NumberOfPasswordPrompts=1",
                   f"{user}@127.0.0.1", "exit", str(status)]
        return run(command, stdin=stdin, env=askpass(place, answer))

    def test_password(self):
        result = self.command("me", "password", "right", 5, b"abc" * 100000)
        self.assertEqual((result.returncode, result.stdout), (5, b"abc" * 100000))
        self.assertTrue(result.stderr.endswith(b"echoed 300000\n"), result.stderr)

    def test_wrong_password(self):
        result = self.command("me", "password", "wrong", 0, b"")
        self.assertEqual(result.returncode, 255)
        self.assertIn(b"ermission denied", result.stderr)

    def test_keyboard_interactive(self):
        result = self.command("me", "keyboard-interactive", "right", 6, b"x")
        self.assertEqual((result.returncode, result.stdout), (6, b"x"))

    def test_two_factors(self):
        result = self.command("both", "password,keyboard-interactive", "right", 0, b"y" * 10)
        self.assertEqual((result.returncode, result.stdout), (0, b"y" * 10))


if __name__ == "__main__":
    main()
