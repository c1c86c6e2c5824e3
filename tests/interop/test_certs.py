"""Certificates and revocation lists with OpenSSH: what ssh-keygen makes we read, what we make it reads; users and hosts
log in with certificates both ways, and whoever is expired, of the wrong name or revoked stays out."""
import base64
import os
import pathlib
import re
import subprocess
import time
import unittest

from harness import *

DRIVE = BUILD / "tests/interop/drive_certs"
EXTENSIONS = ["permit-X11-forwarding", "permit-agent-forwarding", "permit-port-forwarding", "permit-pty",
              "permit-user-rc"]
CA_KINDS = ["ed25519", "ecdsa384", "rsa"]
PAIRS = [(kind, CA_KINDS[i % 3]) for i, kind in enumerate(KEY_TYPES)]  # every type and every CA, each a few times
place = cas = server = None


def setUpModule():
    global place, cas, server
    place = Place()
    cas = {kind: make_key(place.path(f"ca_{kind}"), kind) for kind in CA_KINDS}
    host_certs = []
    for kind in ("ed25519", "ecdsa256", "rsa"):
        sign(place.host_keys[kind], "-h", "-n", "localhost,127.0.0.*", ca=cas["ed25519"])
        host_certs.append(f"HostCertificate {place.host_keys[kind]}-cert.pub")
    trusted = place.path("user_cas")
    trusted.write_text("".join(pathlib.Path(f"{ca}.pub").read_text() for ca in cas.values()))
    server = openssh_server(place, *host_certs, f"TrustedUserCAKeys {trusted}", "AuthorizedKeysFile none")


def sign(key, *args, ca=None, name="test"):
    """ssh-keygen -s: the certificate beside the key."""
    run(["ssh-keygen", "-q", "-s", ca or cas["ed25519"], "-I", name, *args, f"{key}.pub"], check=0)
    return pathlib.Path(f"{key}-cert.pub")


def drive(*args, check=0, raw=False):
    result = run([DRIVE, *args], check=check)
    return result.stdout if raw else result.stdout.decode()


def issue(ca, key, kind, *options, serial=1, name="test", principals="", after=0, before=0):
    """Ours: the certificate in a file of its own."""
    path = place.fresh("cert.pub")
    path.write_text(drive("issue", ca, f"{key}.pub", kind, str(serial), name, principals, str(after), str(before), *options))
    return path


def describe(cert):
    """ssh-keygen -L, without the name of the file."""
    text = run(["ssh-keygen", "-L", "-f", cert], check=0, env={"TZ": "UTC"}).stdout.decode()
    return [line.strip() for line in text.splitlines()[1:]]


def words(lines, what):
    return [line.split(" ", 1)[1] for line in lines if line.startswith(what + " ")]


def security_key():
    """A public key of a security key, which needs no device to be certified."""
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in
                    (b"sk-ssh-ed25519@openssh.com", subprocess.run(
                        ["openssl", "pkey", "-pubout", "-outform", "DER"], check=True, capture_output=True,
                        input=subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], check=True,
                                             capture_output=True).stdout).stdout[-32:], b"ssh:"))
    path = place.fresh("sk")
    pathlib.Path(f"{path}.pub").write_text(f"sk-ssh-ed25519@openssh.com {base64.b64encode(blob).decode()} sk\n")
    return path


class Files(unittest.TestCase):
    def test_certificates_of_ssh_keygen(self):
        for kind, ca in PAIRS:
            cert = sign(place.keys[kind], "-n", "alice,bob", "-V", "20250101000000Z:20300101000000Z", "-z", "77", "-O",
                        "force-command=ls -l", "-O", "source-address=10.0.0.0/8,::1", "-O", "no-pty",
                        "-O", "extension:x@example.com=more", ca=cas[ca], name="an id, with a comma")
            said = drive("show", cert).splitlines()
            theirs = describe(cert)
            self.assertIn(words(said, "type")[0] + " user certificate", theirs[0])
            self.assertEqual("Public key: " + words(said, "key")[0], theirs[1])
            self.assertEqual("Signing CA: " + words(said, "ca")[0], theirs[2])
            self.assertEqual(words(said, "id"), ["an id, with a comma"])
            self.assertEqual(words(said, "serial"), ["77"])
            self.assertEqual(words(said, "valid"), ["1735689600 1893456000"])
            self.assertEqual(words(said, "principal"), ["alice", "bob"])
            self.assertEqual(words(said, "critical"), ["force-command=ls -l", "source-address=10.0.0.0/8,::1"])
            self.assertEqual(words(said, "extension"),
                             [e + "=" for e in EXTENSIONS if e != "permit-pty"] + ["x@example.com=more"])
            self.assertEqual(drive("line", cert).strip(), cert.read_text().strip())
        self.assertEqual(drive("check", cert, "user", "alice", "1800000000", "10.9.9.9"), "good\n")
        for args in (("user", "carol", "1800000000", "10.9.9.9"), ("user", "alice", "1900000000", "10.9.9.9"),
                     ("user", "alice", "1700000000", "10.9.9.9"), ("user", "alice", "1800000000", "11.0.0.1"),
                     ("host", "alice", "1800000000", "10.9.9.9"), ("user", "alice,bob", "1800000000", "::1")):
            drive("check", cert, *args, check=1)

    def test_security_keys_are_certified_both_ways(self):
        key = security_key()
        cert = sign(key, "-n", "alice")
        self.assertEqual(words(drive("show", cert).splitlines(), "type"), ["sk-ssh-ed25519-cert-v01@openssh.com"])
        self.assertEqual(drive("line", cert).strip(), cert.read_text().strip())
        ours = issue(cas["rsa"], key, "user", "+no-touch-required", principals="alice")
        self.assertIn("no-touch-required", describe(ours))

    def test_ssh_keygen_reads_ours(self):
        for kind, ca in PAIRS:
            options = ["+permit-pty", "!verify-required", "+permit-X11-forwarding", "!force-command=echo hi",
                       "+a@example.com=data"]
            ours = issue(cas[ca], place.keys[kind], "user", *options, serial=2 ** 64 - 1, name="ours", principals="alice,bob",
                         after=1735689600, before=1893456000)
            theirs = sign(place.keys[kind], "-n", "alice,bob", "-V", "20250101000000Z:20300101000000Z", "-z", str(2 ** 64 - 1),
                          "-O", "clear", "-O", "permit-pty", "-O", "permit-x11-forwarding", "-O", "force-command=echo hi",
                          "-O", "verify-required", "-O", "extension:a@example.com=data", ca=cas[ca], name="ours")
            self.assertEqual(describe(ours), describe(theirs))
            # all bytes but the nonce and the signature, which are made anew each time
            bodies = []
            for file in (ours, theirs):
                blob = base64.b64decode(file.read_text().split()[1])
                at = 8 + int.from_bytes(blob[:4], "big")
                authority = base64.b64decode(pathlib.Path(f"{cas[ca]}.pub").read_text().split()[1])
                bodies.append(blob[at + 32:blob.index(authority) + len(authority)])
            self.assertEqual(*bodies, (kind, ca))
        host = issue(cas["ed25519"], place.host_keys["rsa"], "host", principals="a.example,*.lan")
        self.assertIn("ssh-rsa-cert-v01@openssh.com host certificate", describe(host)[0])
        self.assertIn("forever", " ".join(describe(host)))

    def test_what_is_broken_is_refused(self):
        cert = sign(place.keys["ed25519"], "-n", "alice")
        line = cert.read_text()
        for at in range(30, len(line.split()[1]), 97):
            bad = place.fresh("bad.pub")
            kind, text = line.split()[:2]
            bad.write_text(f"{kind} {text[:at]}{'A' if text[at] != 'A' else 'B'}{text[at + 1:]}\n")
            drive("show", bad, check=2)


class Revocation(unittest.TestCase):
    def setUp(self):
        self.certs = {}
        for serial in (0, 1, 5, 99, 100, 5000):
            key = make_key(place.fresh("leaf"), "ed25519")
            self.certs[serial] = sign(key, "-n", "alice", "-z", str(serial), name=f"id {serial}")

    def asked(self, krl):
        """Which certificates are revoked, by us and by ssh-keygen."""
        ours = drive("query", krl, *self.certs.values(), check=None).splitlines()
        result = run(["ssh-keygen", "-Q", "-f", krl, *self.certs.values()]).stdout.decode()
        theirs = [str(path) for path in self.certs.values() if re.search(rf"{path}.*: REVOKED", result)]
        self.assertEqual([line.split()[0] for line in ours if not line.endswith(" ok")], theirs)
        return {serial for serial, path in self.certs.items() if str(path) in theirs}

    def made_by_ssh_keygen(self, spec, *args):
        file, krl = place.fresh("spec"), place.fresh("krl")
        file.write_text(spec)
        run(["ssh-keygen", "-q", "-k", "-f", krl, *args, file], check=0)
        return krl

    def test_lists_of_ssh_keygen(self):
        ca = ["-s", f"{cas['ed25519']}.pub"]
        rows = [("serial: 1\nserial: 99-100\n", ca, {1, 99, 100}), ("serial: 2-4000\n", ca, {5, 99, 100}),
                ("id: id 0\nid: id 5000\n", ca, {0, 5000}), ("id: id 5\n", [], None),
                ("".join(f"serial: {n}\n" for n in range(1, 9000, 2)), ca, {1, 5, 99}),
                ("serial: 5\n", ["-s", f"{cas['rsa']}.pub"], set()), ("serial: 5\n", ["-s", "none"], {5})]
        for spec, args, expected in rows:
            if expected is not None:
                self.assertEqual(self.asked(self.made_by_ssh_keygen(spec, *args)), expected, spec[:40])
        key = pathlib.Path(f"{cas['ed25519']}.pub").read_text()
        leaf = str(self.certs[5]).replace("-cert.pub", ".pub")
        for word in ("key", "sha1", "sha256"):
            self.assertEqual(self.asked(self.made_by_ssh_keygen(f"{word}: {key}")), set(self.certs), word)
            self.assertEqual(self.asked(self.made_by_ssh_keygen(f"{word}: {pathlib.Path(leaf).read_text()}")), {5}, word)
        plain = place.fresh("plain")
        plain.write_text("# list\n" + key)
        self.assertIn(" CA ", drive("query", plain, self.certs[1], check=1))

    def test_ssh_keygen_reads_ours(self):
        ca = f"{cas['ed25519']}.pub"
        rows = [(ca, ["serial:1", "serials:99-100"], {1, 99, 100}), (ca, ["serials:2-4000"], {5, 99, 100}),
                (ca, [f"serial:{n}" for n in range(1, 4000, 2)], {1, 5, 99}),
                (ca, ["serials:18446744073709551000-18446744073709551615", "id:id 0"], {0}), ("any", ["serial:5", "id:id 1"], {1, 5}),
                ("any", [f"cert:{self.certs[0]}", f"cert:{self.certs[99]}"], {0, 99}),
                ("any", [f"key:{ca}"], set(self.certs)), (f"{cas['rsa']}.pub", ["serial:5"], set())]
        for ca_name, what, expected in rows:
            krl = place.fresh("krl")
            krl.write_bytes(drive("revoke", "a comment", ca_name, *what, raw=True))
            self.assertEqual(self.asked(krl), expected, what[:3])
        listed = run(["ssh-keygen", "-Q", "-l", "-f", krl], check=0).stdout.decode()
        self.assertIn("KRL version 7", listed)
        self.assertIn("serial: 5", listed)

    def test_large_lists_both_ways(self):
        spec = "".join(f"serial: {n}\n" for n in range(1, 12000, 3)) + "serial: 30000-90000\nserial: 1000000\n"
        theirs = self.made_by_ssh_keygen(spec, "-s", f"{cas['ed25519']}.pub")
        ours = place.fresh("krl")
        ours.write_bytes(drive("revoke", "", f"{cas['ed25519']}.pub", *[f"serial:{n}" for n in range(1, 12000, 3)],
                               "serials:30000-90000", "serial:1000000", raw=True))
        lists = [run(["ssh-keygen", "-Q", "-l", "-f", f], check=0).stdout.decode().split("CA key")[1] for f in (theirs, ours)]
        self.assertEqual(lists[0], lists[1])
        self.assertLess(os.path.getsize(ours), os.path.getsize(theirs) * 1.2)


class Logins(unittest.TestCase):
    def login(self, kind, cert, *args, ca="ed25519", check=0, port=None):
        return drive("login", str(port or server.port), ME, place.keys[kind], cert, f"{cas[ca]}.pub" if ca else "-", *args,
                     check=check)

    def test_every_type_logs_in_at_sshd(self):
        for kind, ca in PAIRS:
            ours = issue(cas[ca], place.keys[kind], "user", "+permit-pty", principals=ME)
            self.assertIn("auth in", self.login(kind, ours), (kind, ca))
        theirs = sign(place.keys["ecdsa521"], "-n", ME)
        self.assertIn("auth in", self.login("ecdsa521", theirs))
        self.assertIn("Accepted certificate ID", server.text())

    def test_rsa_by_name(self):
        ours = issue(cas["rsa"], place.keys["rsa"], "user", principals=ME)
        for bits in ("256", "512"):
            self.assertIn("auth in", self.login("rsa", ours, f"rsa-sha2-{bits}-cert-v01@openssh.com"))

    def test_who_must_stay_out_does(self):
        now = int(time.time())
        rows = [{"principals": "nobody-else"}, {"principals": ""}, {"principals": ME, "before": now - 60, "after": 1},
                {"principals": ME, "after": now + 3600}]
        for row in rows:
            self.assertIn("auth out", self.login("ed25519", issue(cas["ed25519"], place.keys["ed25519"], "user", **row), check=1), row)
        for option in ("!source-address=10.0.0.0/8", "!unknown@example.com"):
            cert = issue(cas["ed25519"], place.keys["ed25519"], "user", option, principals=ME)
            self.assertIn("auth out", self.login("ed25519", cert, check=1), option)
        stranger = make_key(place.fresh("stranger"), "ed25519")
        self.assertIn("auth out", self.login("ed25519", issue(stranger, place.keys["ed25519"], "user", principals=ME), check=1))
        self.assertIn("auth out", self.login("ed25519", issue(cas["ed25519"], place.keys["ed25519"], "host", principals=ME), check=1))
        self.assertIn("auth out", self.login("ed25519", "-", check=1))

    def test_sshd_reads_our_revocation_list(self):
        ours = issue(cas["ed25519"], place.keys["ed25519"], "user", serial=7, principals=ME)
        other = issue(cas["ed25519"], place.keys["ed25519"], "user", serial=8, principals=ME)
        krl = place.fresh("krl")
        krl.write_bytes(drive("revoke", "", f"{cas['ed25519']}.pub", "serial:7", raw=True))
        with_list = openssh_server(place, f"TrustedUserCAKeys {cas['ed25519']}.pub", "AuthorizedKeysFile none", f"RevokedKeys {krl}")
        self.assertIn("auth out", self.login("ed25519", ours, ca=None, check=1, port=with_list.port))
        self.assertIn("auth in", self.login("ed25519", other, ca=None, port=with_list.port))
        with_list.stop()

    def test_host_certificates_of_sshd(self):
        cert = issue(cas["ed25519"], place.keys["ed25519"], "user", principals=ME)
        self.assertIn("host ssh-ed25519-cert-v01@openssh.com", self.login("ed25519", cert))
        # another CA than the one that signed the host's
        out = self.login("ed25519", cert, ca="rsa", check=1)
        self.assertIn("host ssh-ed25519-cert-v01@openssh.com", out)
        self.assertNotIn("auth in", out)
        # the plain key, where no certificate is trusted
        plain = openssh_server(place, f"TrustedUserCAKeys {cas['ed25519']}.pub", "AuthorizedKeysFile none")
        self.assertIn("host ssh-ed25519\n", self.login("ed25519", cert, ca=None, port=plain.port))
        plain.stop()

    def serve(self, kind, cert, *options, key="ed25519", check=0):
        """ssh logs in once at our engine, which shows that host certificate."""
        command = [str(DRIVE), "serve", str(place.host_keys[kind]), str(cert), f"{cas['ed25519']}.pub"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as ours:
            port = int(ours.stdout.readline().split()[1])
            known = place.fresh("known")
            known.write_text(f"@cert-authority [localhost]:{port} {pathlib.Path(str(cas['ed25519']) + '.pub').read_text()}")
            user = issue(cas["ed25519"], place.keys[key], "user", principals=ME)
            result = run(["ssh", "-F", "none", "-p", port, "-i", place.keys[key], "-o", f"CertificateFile={user}",
                          "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes",
                          "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=/dev/null", *options,
                          f"{ME}@localhost", "true"], check=check)
            ours.kill()
            return result, ours.stdout.read().decode()

    def test_ssh_accepts_our_host_certificates(self):
        for kind, key in zip(KEY_TYPES, reversed(KEY_TYPES)):
            cert = issue(cas["ed25519"], place.host_keys[kind], "host", principals="localhost")
            result, said = self.serve(kind, cert, key=key)
            self.assertEqual(result.stdout, b"in\n", (kind, key))
            self.assertIn("-cert-v01@openssh.com", said)
        cert = issue(cas["ed25519"], place.host_keys["rsa"], "host", principals="other.example,localhost")
        result, _ = self.serve("rsa", cert, "-o", "HostKeyAlgorithms=rsa-sha2-256-cert-v01@openssh.com")
        self.assertEqual(result.stdout, b"in\n")

    def test_ssh_refuses_what_it_must(self):
        for row in ({"principals": "elsewhere"}, {"principals": "localhost", "before": 5}):
            cert = issue(cas["ed25519"], place.host_keys["ed25519"], "host", **row)
            result, _ = self.serve("ed25519", cert, check=255)
            self.assertIn(b"No ED25519 host key is known", result.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
