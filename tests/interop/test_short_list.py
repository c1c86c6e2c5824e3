#!/usr/bin/python3
"""Every algorithm that dropbear and paramiko share with us, by name and both ways; every key type, passwords,
and SFTP with files and directories of size."""
import hashlib
import os
import pathlib
import subprocess
import threading
import unittest

import paramiko

import test_others
from harness import *

DROPBEAR_KEX = ["curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256", "ecdh-sha2-nistp384",
                "ecdh-sha2-nistp521", "diffie-hellman-group14-sha256"]
DROPBEAR_CIPHERS = ["chacha20-poly1305@openssh.com", "aes128-ctr", "aes256-ctr"]
DROPBEAR_KEYS = ["ed25519", "ecdsa256", "ecdsa384", "ecdsa521", "rsa"]


def setUpModule():
    global place, server
    place = Place()
    server = nacre_server(place, "KexAlgorithms " + ",".join(KEX), "HostKeyAlgorithms " + ",".join(HOST_KEYS),
                          "Ciphers " + ",".join(AEADS + CTRS), "MACs " + ",".join(MACS))
    test_others.place, test_others.server = place, server


def tree_of(count):
    tree = place.fresh("many")
    tree.mkdir()
    for i in range(count):
        (tree / f"entry-{i:04}").write_bytes(b"")
    return tree


class ToDropbear(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        test_others.DropbearServer.setUpClass.__func__(cls)

    @classmethod
    def tearDownClass(cls):
        test_others.DropbearServer.tearDownClass.__func__(cls)

    def check(self, *options):
        with self.subTest(options):
            result = ssh(NACRE_SSH, place, self.server, "cat; exit 3", options=options, stdin=b"x" * 70000, check=3)
            self.assertEqual(result.stdout, b"x" * 70000)

    def test_algorithms(self):
        for kex in DROPBEAR_KEX:
            self.check(f"KexAlgorithms={kex}")
        for cipher in DROPBEAR_CIPHERS:
            self.check(f"Ciphers={cipher}", "MACs=hmac-sha2-256")
        for host_key in ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256"):
            self.check(f"HostKeyAlgorithms={host_key}")
        self.check("Compression=yes")

    def test_signal(self):
        self.assertEqual(ssh(NACRE_SSH, place, self.server, "kill -TERM $$").returncode, 255)

    def test_100_mib_each_way(self):
        big = make_file(place.path("big"), 100 << 20)
        result = ssh(NACRE_SSH, place, self.server, f"cat {big}", check=0)
        self.assertEqual(hashlib.sha256(result.stdout).hexdigest(), digest(big))
        result = ssh(NACRE_SSH, place, self.server, "sha256sum", stdin=big.read_bytes(), check=0)
        self.assertEqual(result.stdout.split()[0].decode(), digest(big))

    def test_sftp(self):
        big, tree = make_file(place.path("64"), 64 << 20), tree_of(2000)
        up, down = place.fresh("up"), place.fresh("down")
        # dropbear's own idea of the server's path depends on how it was built.
        result = sftp(NACRE_SFTP, place, self.server, [f"put {big} {up}", f"get {up} {down}", f"ls -1 {tree}"],
                      args=["-s", SFTP_SERVER], check=0)
        self.assertEqual((digest(up), digest(down)), (digest(big), digest(big)))
        self.assertEqual(result.stdout.count(b"entry-"), 2000)


class FromDropbear(unittest.TestCase):
    def dbclient(self, to, *args, key="ed25519", stdin=b"x" * 70000, command="cat; exit 3", check=3):
        converted = place.fresh("dbkey")
        subprocess.run(["dropbearconvert", "openssh", "dropbear", place.keys[key], converted], check=True,
                       capture_output=True)
        return run_on_files(place, ["dbclient", "-y", "-y", "-i", converted, "-p", to.port, *args, f"{ME}@127.0.0.1",
                                    command], stdin=stdin, env={"HOME": str(place.dir)}, check=check)

    def test_kex_and_host_keys(self):
        rows = [f"KexAlgorithms {kex}" for kex in DROPBEAR_KEX]
        rows += [f"HostKeyAlgorithms {name}" for name in HOST_KEYS if name != "rsa-sha2-512"]
        for line in rows:
            with self.subTest(line):
                other = nacre_server(place, line)
                self.assertEqual(self.dbclient(other).stdout, b"x" * 70000)
                other.stop()

    def test_ciphers_and_keys(self):
        for cipher in DROPBEAR_CIPHERS:
            with self.subTest(cipher):
                self.assertEqual(self.dbclient(server, "-c", cipher, "-m", "hmac-sha2-256").stdout, b"x" * 70000)
        for key in DROPBEAR_KEYS:
            with self.subTest(key):
                self.dbclient(server, key=key)

    def test_100_mib_up(self):
        data = make_file(place.path("big"), 100 << 20)
        result = self.dbclient(server, stdin=data.read_bytes(), command="sha256sum", check=0)
        self.assertEqual(result.stdout.split()[0].decode(), digest(data))


class FromParamiko(unittest.TestCase):
    KEYS = {"ed25519": paramiko.Ed25519Key, "ecdsa256": paramiko.ECDSAKey, "ecdsa384": paramiko.ECDSAKey,
            "ecdsa521": paramiko.ECDSAKey, "rsa": paramiko.RSAKey}

    def transport(self, key="ed25519", **lists):
        transport = paramiko.Transport(("127.0.0.1", server.port))
        options = transport.get_security_options()
        for name, value in lists.items():
            setattr(options, name, (value,))
        transport.connect(username=ME, pkey=self.KEYS[key](filename=str(place.keys[key])))
        return transport

    def check(self, **kwargs):
        with self.subTest(kwargs):
            transport = self.transport(**kwargs)
            try:
                channel = transport.open_session()
                channel.settimeout(DEADLINE)
                channel.exec_command("cat; exit 3")
                writer = threading.Thread(target=lambda: (channel.sendall(b"x" * 70000), channel.shutdown_write()))
                writer.start()
                self.assertEqual(channel.makefile("rb").read(), b"x" * 70000)
                self.assertEqual(channel.recv_exit_status(), 3)
                writer.join()
            finally:
                transport.close()

    def test_algorithms(self):
        theirs = paramiko.Transport._preferred_kex
        for kex in [k for k in KEX if k in theirs]:
            self.check(kex=kex)
        for cipher in CTRS:
            for mac in [m for m in MACS if m in paramiko.Transport._preferred_macs]:
                self.check(ciphers=cipher, digests=mac)
        for host_key in HOST_KEYS:
            self.check(key_types=host_key)
        self.check(compression="zlib@openssh.com")

    def test_every_key_type(self):
        for key in self.KEYS:
            self.check(key=key)

    def test_sftp(self):
        big, tree = make_file(place.path("64"), 64 << 20), tree_of(2000)
        up, down = place.fresh("up"), place.fresh("down")
        transport = self.transport()
        ftp = paramiko.SFTPClient.from_transport(transport)
        ftp.put(str(big), str(up))
        ftp.get(str(up), str(down))
        self.assertEqual((digest(up), digest(down)), (digest(big), digest(big)))
        self.assertEqual(sum(name.startswith("entry-") for name in ftp.listdir(str(tree))), 2000)
        transport.close()


class Handle(paramiko.SFTPHandle):
    def stat(self):
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class Directory(paramiko.SFTPServerInterface):
    """paramiko's SFTP server over this system's files; just what a client of files needs."""

    def list_folder(self, path):
        return [paramiko.SFTPAttributes.from_stat(os.lstat(os.path.join(path, n)), n) for n in os.listdir(path)]

    def stat(self, path):
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(path))
        except OSError as e:
            return paramiko.SFTPServer.convert_errno(e.errno)

    lstat = stat

    def open(self, path, flags, attr):
        try:
            fd = os.open(path, flags | os.O_CREAT if flags & os.O_WRONLY else flags, 0o600)
        except OSError as e:
            return paramiko.SFTPServer.convert_errno(e.errno)
        handle = Handle(flags)
        handle.readfile = handle.writefile = os.fdopen(fd, "wb" if flags & os.O_WRONLY else "rb")
        return handle

    def chattr(self, path, attr):
        return paramiko.SFTP_OK


class AnyKey(test_others.Everything):
    def get_allowed_auths(self, user):
        return "publickey,password,keyboard-interactive"

    def check_auth_publickey(self, user, key):
        known = [k.split()[1] for k in place.authorized.read_text().splitlines()]
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() in known else paramiko.AUTH_FAILED


class ToParamiko(unittest.TestCase):
    """A transport a connection, each with every host key."""

    @classmethod
    def setUpClass(cls):
        cls.listener = test_others.socket.create_server(("127.0.0.1", 0))
        cls.port = cls.listener.getsockname()[1]
        cls.transports = []
        keys = [FromParamiko.KEYS[kind](filename=str(place.host_keys[kind])) for kind in ("ed25519", "ecdsa256", "rsa")]

        def accept():
            while True:
                try:
                    sock, _ = cls.listener.accept()
                except OSError:
                    return
                transport = paramiko.Transport(sock)
                for key in keys:
                    transport.add_server_key(key)
                transport.set_subsystem_handler("sftp", paramiko.SFTPServer, Directory)
                cls.transports.append(transport)
                transport.start_server(server=AnyKey(), event=threading.Event())

        threading.Thread(target=accept, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.listener.close()
        for transport in cls.transports:
            transport.close()

    def check(self, *options, key="ed25519"):
        with self.subTest((options, key)):
            result = ssh(NACRE_SSH, place, self, "exit", "3", options=options, key=key, stdin=b"x" * 70000, check=3)
            self.assertEqual(result.stdout, b"x" * 70000)

    def test_algorithms(self):
        for kex in [k for k in KEX if k in paramiko.Transport._preferred_kex and "exchange" not in k]:
            self.check(f"KexAlgorithms={kex}")
        for cipher in CTRS:
            for mac in [m for m in MACS if m in paramiko.Transport._preferred_macs]:
                self.check(f"Ciphers={cipher}", f"MACs={mac}")
        for host_key in ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256", "rsa-sha2-512"):
            self.check(f"HostKeyAlgorithms={host_key}")
        self.check("Compression=yes")

    def test_every_key_type(self):
        for key in FromParamiko.KEYS:
            self.check(key=key)

    def test_rekey(self):
        data = os.urandom(1 << 20) * 4
        result = ssh(NACRE_SSH, place, self, "exit", "0", options=["RekeyLimit=512K none"], stdin=data, check=0)
        self.assertEqual(result.stdout, data)

    def test_sftp(self):
        big, tree = make_file(place.fresh("16"), 16 << 20), tree_of(2000)
        up, down = place.fresh("up"), place.fresh("down")
        result = sftp(NACRE_SFTP, place, self, [f"put {big} {up}", f"get {up} {down}", f"ls -1 {tree}"], check=0)
        self.assertEqual((digest(up), digest(down)), (digest(big), digest(big)))
        self.assertEqual(result.stdout.count(b"entry-"), 2000)


if __name__ == "__main__":
    main()
