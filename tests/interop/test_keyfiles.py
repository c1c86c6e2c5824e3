#!/usr/bin/python3
"""Key files, each type in each format with each cipher, with and without passphrase: what ssh-keygen, puttygen
and openssl write we read, and what we write they read."""
import itertools
import os
import pathlib
import stat
import subprocess
import tempfile
import unittest

from harness import *

DRIVE = BUILD / "tests" / "interop" / "drive_keys"
PASS = "two words"
CTR = ["aes128-ctr", "aes192-ctr", "aes256-ctr"]
CBC = ["aes128-cbc", "aes192-cbc", "aes256-cbc"]
AEAD = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"]
TYPES = {"ed25519": ("ed25519", None), "ecdsa256": ("ecdsa", 256), "ecdsa384": ("ecdsa", 384),
         "ecdsa521": ("ecdsa", 521), "rsa": ("rsa", 2048)}


def run(*args, **more):
    return subprocess.run([str(a) for a in args], stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def good(*args):
    result = run(*args)
    if result.returncode != 0:
        raise AssertionError(f"{args}: {result.stdout}{result.stderr}")
    return result.stdout


class Drive:
    """The library, one line a call."""

    def __init__(self):
        self.process = subprocess.Popen([str(DRIVE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *words):
        self.process.stdin.write("\t".join("-" if w is None else str(w) for w in words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def setUpModule():
    global place, drive, pass_file, empty_file
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    place = pathlib.Path(tempfile.mkdtemp(prefix="nacre-keys-", dir=base))
    atexit.register(shutil.rmtree, place, True)
    pass_file = place / "passphrase"
    pass_file.write_text(PASS)
    empty_file = place / "empty"
    empty_file.write_text("")
    drive = Drive()
    for name, (kind, bits) in TYPES.items():
        good("ssh-keygen", "-q", "-t", kind, *(["-b", bits] if bits else []), "-N", "", "-C", f"{name} key",
             "-f", place / name)


def tearDownModule():
    drive.stop()


def source(name):
    return place / name


def fingerprint(name):
    return good("ssh-keygen", "-l", "-f", f"{place / name}.pub").split()[1]


count = itertools.count()


def fresh(stem):
    return place / f"{stem}.{next(count)}"


class Keys(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.prints = {name: fingerprint(name) for name in TYPES}

    def we_read(self, path, name, passphrase=None, comment=None):
        """Loads, signs; a wrong passphrase and none are told apart."""
        answer = drive("read", path, passphrase)
        self.assertTrue(answer.startswith("ok "), f"{path}: {answer}")
        words = answer.split(" ", 4)
        self.assertEqual(words[2:4], [self.prints[name], "private"], answer)
        if comment:
            self.assertEqual(words[4], comment)
        if passphrase:
            self.assertTrue(drive("read", path, None).startswith("NACRE_NEED_PASSPHRASE "))
            self.assertTrue(drive("read", path, "wrong").startswith("NACRE_WRONG_PASSPHRASE "))

    def we_write(self, form, name, passphrase=None, cipher=None, kdf=None, rounds=0, memory=0, lanes=0):
        path = fresh(f"{name}.{form}")
        answer = drive("write", form, source(name), None, path, passphrase, cipher, kdf, rounds, memory, lanes)
        self.assertTrue(answer.startswith("ok "), answer)
        secret = form in ("openssh", "pem", "pkcs8", "ppk2", "ppk3")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600 if secret else 0o644)
        if secret:
            self.assertEqual(pathlib.Path(f"{path}.pub").read_text(), pathlib.Path(f"{place / name}.pub").read_text())
        return path

    def public_of(self, path, passphrase):
        """By ssh-keygen, which reads OpenSSH's format, PEM and PKCS#8."""
        line = good("ssh-keygen", "-y", "-P", passphrase or "", "-f", path)
        return line.split()[:2]

    def check_ssh_keygen(self, path, name, passphrase):
        self.assertEqual(self.public_of(path, passphrase), pathlib.Path(f"{place / name}.pub").read_text().split()[:2])

    # ---- OpenSSH's format

    def test_openssh_theirs(self):
        for name in TYPES:
            self.we_read(source(name), name, comment=f"{name} key")
            for cipher in CTR + CBC + AEAD + ["3des-cbc"]:
                path = fresh(name)
                shutil.copy(source(name), path)
                good("ssh-keygen", "-q", "-p", "-P", "", "-N", PASS, "-Z", cipher, "-a", 2, "-f", path)
                self.assertNotEqual(path.read_bytes(), source(name).read_bytes())
                self.we_read(path, name, PASS, f"{name} key")

    def test_openssh_ours(self):
        for name in TYPES:
            self.check_ssh_keygen(self.we_write("openssh", name), name, None)
            for cipher in CTR + CBC + AEAD:
                path = self.we_write("openssh", name, PASS, cipher, rounds=2)
                self.check_ssh_keygen(path, name, PASS)
                self.we_read(path, name, PASS, f"{name} key")

    # ---- PEM and PKCS#8

    def test_pem_theirs(self):
        for name, form in itertools.product(TYPES, ("PEM", "PKCS8")):
            if name == "ed25519":
                continue
            for passphrase in ("", PASS):
                path = fresh(name)
                shutil.copy(source(name), path)
                good("ssh-keygen", "-q", "-p", "-P", "", "-N", passphrase, "-m", form, "-f", path)
                self.assertIn(b"-----BEGIN ", path.read_bytes())
                self.assertNotIn(b"OPENSSH", path.read_bytes())
                self.we_read(path, name, passphrase or None)

    def test_pem_ours(self):
        for name in TYPES:
            if name == "ed25519":
                answer = drive("write", "pem", source(name), None, fresh("x"), None, None, None, 0, 0, 0)
                self.assertTrue(answer.startswith("NACRE_UNSUPPORTED "), answer)
                continue
            tool = "rsa" if name == "rsa" else "ec"
            for cipher in (None, "aes128-cbc", "aes192-cbc", "aes256-cbc", "des3-cbc"):
                path = self.we_write("pem", name, PASS if cipher else None, cipher)
                self.assertEqual(b"Proc-Type: 4,ENCRYPTED" in path.read_bytes(), cipher is not None)
                self.check_ssh_keygen(path, name, PASS if cipher else None)
                good("openssl", tool, "-in", path, "-passin", f"pass:{PASS if cipher else ''}", "-noout")
                self.we_read(path, name, PASS if cipher else None)

    def test_pkcs8_theirs(self):
        """openssl's own ways of encryption; Ed25519 comes in this format alone."""
        plain = {}
        for name in TYPES:
            plain[name] = self.we_write("pkcs8", name)
            good("openssl", "pkey", "-in", plain[name], "-noout", "-check")
        ways = (["-v2", "aes-128-cbc"], ["-v2", "aes-192-cbc"], ["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"],
                ["-v2", "des3"], ["-scrypt"], ["-v1", "PBE-SHA1-3DES"])
        for name, extra in itertools.product(plain, ways):
            path = fresh(name)
            good("openssl", "pkcs8", "-topk8", "-in", plain[name], "-passout", f"pass:{PASS}", "-out", path, *extra)
            self.we_read(path, name, PASS)

    def test_pkcs8_ours(self):
        for name in TYPES:
            for cipher in (None, "aes128-cbc", "aes192-cbc", "aes256-cbc", "des3-cbc"):
                passphrase = PASS if cipher else None
                path = self.we_write("pkcs8", name, passphrase, cipher, rounds=1000)
                good("openssl", "pkey", "-in", path, "-passin", f"pass:{passphrase or ''}", "-noout")
                if name != "ed25519":
                    self.check_ssh_keygen(path, name, passphrase)
                self.we_read(path, name, passphrase)

    # ---- PuTTY's format

    def puttygen(self, *args, passphrase=None):
        return good("puttygen", *args, "--old-passphrase", pass_file if passphrase else empty_file)

    def test_ppk_theirs(self):
        versions = [("version=2", None), ("version=2", PASS), ("version=3", None)]
        versions += [(f"kdf=argon2{kind},memory=512,passes=2,parallelism={lanes}", PASS)
                     for kind, lanes in (("id", 1), ("id", 4), ("i", 3), ("d", 2))]
        for name, (params, passphrase) in itertools.product(TYPES, versions):
            path = fresh(f"{name}.ppk")
            good("puttygen", source(name), "-o", path, "-C", f"{name} key", "--ppk-param", params,
                 "--new-passphrase", pass_file if passphrase else empty_file)
            self.we_read(path, name, passphrase, f"{name} key")
            clear = drive("clear", path)
            self.assertEqual(clear.split(" ", 4)[2:], [self.prints[name], "public", f"{name} key"])

    def test_ppk_ours(self):
        versions = [("ppk2", None, None, 0), ("ppk2", PASS, None, 0), ("ppk3", None, None, 0)]
        versions += [("ppk3", PASS, kdf, lanes) for kdf, lanes in
                     ((None, 0), ("argon2id", 4), ("argon2i", 3), ("argon2d", 2))]
        for name, (form, passphrase, kdf, lanes) in itertools.product(TYPES, versions):
            path = self.we_write(form, name, passphrase, None, kdf, 2, 512, lanes)
            line = self.puttygen(path, "-L", passphrase=passphrase)
            self.assertEqual(line.split()[:2], pathlib.Path(f"{place / name}.pub").read_text().split()[:2])
            back = fresh(name)
            self.puttygen(path, "-O", "private-openssh-new", "-o", back, "--new-passphrase", empty_file,
                          passphrase=passphrase)
            self.check_ssh_keygen(back, name, None)
            self.we_read(path, name, passphrase, f"{name} key")

    # ---- public keys

    def test_public_theirs(self):
        for name in TYPES:
            forms = ["RFC4716"] + (["PKCS8", "PEM"] if name != "ed25519" else [])
            for form in forms:
                path = fresh(f"{name}.{form}")
                path.write_text(good("ssh-keygen", "-e", "-m", form, "-f", f"{source(name)}.pub"))
                answer = drive("public", path)
                self.assertEqual(answer.split(" ")[2:4], [self.prints[name], "public"], answer)
            for how in ("public", "public-openssh"):
                path = fresh(f"{name}.{how}")
                good("puttygen", source(name), "-O", how, "-o", path)
                answer = drive("public", path)
                self.assertEqual(answer.split(" ")[2:4], [self.prints[name], "public"], answer)
        path = fresh("ed25519.spki")
        good("openssl", "pkey", "-in", self.we_write("pkcs8", "ed25519"), "-pubout", "-out", path)
        self.assertEqual(drive("public", path).split(" ")[2], self.prints["ed25519"])

    def test_public_ours(self):
        for name in TYPES:
            want = pathlib.Path(f"{place / name}.pub").read_text().split()[:2]
            self.assertEqual(self.we_write("line", name).read_text(), pathlib.Path(f"{place / name}.pub").read_text())
            path = self.we_write("rfc4716", name)
            self.assertEqual(good("ssh-keygen", "-i", "-m", "RFC4716", "-f", path).split()[:2], want)
            self.assertEqual(good("puttygen", path, "-L").split()[:2], want)
            path = self.we_write("pub_pkcs8", name)
            good("openssl", "pkey", "-pubin", "-in", path, "-noout")
            if name != "ed25519":
                self.assertEqual(good("ssh-keygen", "-i", "-m", "PKCS8", "-f", path).split()[:2], want)
                path = self.we_write("pub_pem", name)
                self.assertEqual(good("ssh-keygen", "-i", "-m", "PEM" if name == "rsa" else "PKCS8", "-f", path)
                                 .split()[:2], want)

    # ---- refusals

    def test_wrong_files(self):
        answer = drive("read", f"{source('rsa')}.pub", None)
        self.assertTrue(answer.startswith("NACRE_NOT_PRIVATE "), answer)
        answer = drive("public", source("rsa"))
        self.assertTrue(answer.startswith("NACRE_KEY_FORMAT "), answer)
        path = fresh("open")
        shutil.copy(source("ed25519"), path)
        path.chmod(0o644)
        answer = drive("read", path, None)
        self.assertTrue(answer.startswith("NACRE_KEY_PERMISSIONS ") and str(path) in answer, answer)


class LogIn(unittest.TestCase):
    """A PPK 3 file of puttygen's logs in."""

    @classmethod
    def setUpClass(cls):
        cls.place = Place()
        cls.key = cls.place.path("user_ed25519.ppk")
        good("puttygen", cls.place.keys["ed25519"], "-o", cls.key, "-C", "putty",
             "--ppk-param", "memory=1024,passes=2,parallelism=2", "--new-passphrase", empty_file)

    def check(self, server):
        result = ssh(NACRE_SSH, self.place, server, "echo in", key=None, args=("-i", self.key), check=0)
        self.assertEqual(result.stdout, b"in\n")

    def test_sshd(self):
        self.check(openssh_server(self.place))

    def test_nacre_sshd(self):
        self.check(nacre_server(self.place))


if __name__ == "__main__":
    unittest.main()
