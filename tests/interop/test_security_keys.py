#!/usr/bin/python3
"""Keys of security keys. The device is software here and signs for an agent; files, signatures and logins are
checked against ssh-keygen, ssh and sshd, with a touch and without."""
import base64
import hashlib
import itertools
import os
import pathlib
import shutil
import struct
import subprocess
import threading
import unittest

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

import agents
from harness import *

DRIVE = BUILD / "tests" / "interop" / "drive_keys"
TOUCHED, VERIFIED = 1, 4


def u32(n):
    return struct.pack(">I", n)


def string(s):
    s = s.encode() if isinstance(s, str) else s
    return u32(len(s)) + s


def mpint(n):
    return string(n.to_bytes(n.bit_length() // 8 + 1, "big") if n else b"")


class Device:
    """One key in a device: what it shows, and what it signs (PROTOCOL.u2f)."""

    def __init__(self, kind):
        self.counter = 0
        self.flags = TOUCHED
        if kind == "ed25519":
            self.name = "sk-ssh-ed25519@openssh.com"
            self.secret = ed25519.Ed25519PrivateKey.generate()
            self.public = string(self.secret.public_key().public_bytes(serialization.Encoding.Raw,
                                                                       serialization.PublicFormat.Raw))
        else:
            self.name = "sk-ecdsa-sha2-nistp256@openssh.com"
            self.secret = ec.generate_private_key(ec.SECP256R1())
            self.public = string("nistp256") + string(self.secret.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint))
        self.public += string("ssh:")
        self.blob = string(self.name) + self.public
        self.line = f"{self.name} {base64.b64encode(self.blob).decode()} token\n"

    def sign(self, data):
        self.counter += 1
        tail = bytes([self.flags]) + u32(self.counter)
        message = hashlib.sha256(b"ssh:").digest() + tail + hashlib.sha256(data).digest()
        if isinstance(self.secret, ed25519.Ed25519PrivateKey):
            inner = self.secret.sign(message)
        else:
            r, s = utils.decode_dss_signature(self.secret.sign(message, ec.ECDSA(hashes.SHA256())))
            inner = mpint(r) + mpint(s)
        return string(self.name) + string(inner) + tail

    def private_file(self):
        """As ssh-keygen would leave it: the handle, no secret."""
        section = u32(7) * 2 + string(self.name) + self.public + bytes([TOUCHED]) + string("handle") + string("")
        section += string("token")
        section += bytes(range(1, 1 + -len(section) % 8))
        blob = b"openssh-key-v1\0" + string("none") * 2 + string("") + u32(1) + string(self.blob) + string(section)
        text = base64.encodebytes(blob).decode()
        return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}-----END OPENSSH PRIVATE KEY-----\n"


class Agent:
    """Lists devices and signs with them."""

    def __init__(self, path, devices):
        self.devices = devices
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection = self.listener.accept()[0]
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rwb") as stream:
            while head := stream.read(4):
                body = self.answer(stream.read(struct.unpack(">I", head)[0]))
                stream.write(string(body))
                stream.flush()

    def answer(self, request):
        if request[0] == 11:
            keys = b"".join(string(d.blob) + string("token") for d in self.devices)
            return b"\x0c" + u32(len(self.devices)) + keys
        if request[0] == 13:
            length = struct.unpack(">I", request[1:5])[0]
            blob, rest = request[5:5 + length], request[5 + length:]
            data = rest[4:4 + struct.unpack(">I", rest[:4])[0]]
            for device in self.devices:
                if device.blob == blob:
                    return b"\x0e" + string(device.sign(data))
        return b"\x05"


def setUpModule():
    global place, devices, agent_path
    place = Place()
    devices = {kind: Device(kind) for kind in ("ed25519", "ecdsa")}
    agent_path = place.path("agent")
    Agent(agent_path, list(devices.values()))
    for kind, device in devices.items():
        place.path(f"{kind}_sk.pub").write_text(device.line)
        place.path(f"{kind}_sk").write_text(device.private_file())
        place.path(f"{kind}_sk").chmod(0o600)
    place.path("authorized_sk").write_text("".join(d.line for d in devices.values()))
    place.path("authorized_sk").chmod(0o644)


    agents.place, agents.ca = place, make_key(place.path("ca"))


def drive(*words):
    line = "\t".join("-" if w is None else str(w) for w in words)
    return run([DRIVE], stdin=line.encode() + b"\n", check=0).stdout.decode().rstrip("\n")


class Files(unittest.TestCase):
    def test_public_and_private(self):
        for kind, device in devices.items():
            theirs = run(["ssh-keygen", "-l", "-f", place.path(f"{kind}_sk.pub")], check=0).stdout.decode().split()
            for answer in (drive("public", place.path(f"{kind}_sk.pub")), drive("read", place.path(f"{kind}_sk"), None)):
                self.assertEqual(answer.split(" ")[:3], ["ok", device.name, theirs[1]], answer)
            for passphrase in (None, "secret"):
                ours = place.fresh(kind)
                answer = drive("write", "openssh", place.path(f"{kind}_sk"), None, ours, passphrase, None, None, 1, 0, 0)
                self.assertTrue(answer.startswith("ok "), answer)
                line = run(["ssh-keygen", "-y", "-P", passphrase or "", "-f", ours], check=0).stdout.decode()
                self.assertEqual(line.split()[:2], device.line.split()[:2])

    def test_formats_without_a_place_for_them(self):
        for form in ("pem", "pkcs8", "ppk2", "ppk3", "pub_pkcs8"):
            answer = drive("write", form, place.path("ed25519_sk"), None, place.fresh("x"), None, None, None, 0, 0, 0)
            self.assertTrue(answer.startswith("NACRE_UNSUPPORTED "), answer)


class Signatures(unittest.TestCase):
    def check(self, device, flags, flip=None):
        device.flags = flags
        data = place.fresh("data")
        data.write_bytes(b"what is signed")
        sig = place.fresh("sig")
        made = bytearray(device.sign(data.read_bytes()))
        device.flags = TOUCHED
        if flip is not None:
            made[flip] ^= 1
        sig.write_bytes(made)
        line = place.fresh("pub")
        line.write_text(device.line)
        return drive("verify", line, device.name, data, sig)

    def test_flags_and_counter(self):
        for device, flags in itertools.product(devices.values(), (0, TOUCHED, VERIFIED, TOUCHED | VERIFIED)):
            self.assertEqual(self.check(device, flags), f"ok 1 {flags} {device.counter}")
            for flip in (-1, -5, -6, 8):
                self.assertTrue(self.check(device, flags, flip).startswith("NACRE_BAD_SIGNATURE"))

    def test_ssh_keygen_takes_the_device(self):
        """So that it is known to be one."""
        for device in devices.values():
            message = b"text\n"
            head = b"SSHSIG" + string("file") + string("") + string("sha512")
            signed = device.sign(head + string(hashlib.sha512(message).digest()))
            blob = b"SSHSIG" + u32(1) + string(device.blob) + string("file") + string("") + string("sha512") + string(signed)
            sig, allowed = place.fresh("sig"), place.fresh("allowed")
            sig.write_text(f"-----BEGIN SSH SIGNATURE-----\n{base64.encodebytes(blob).decode()}-----END SSH SIGNATURE-----\n")
            allowed.write_text(f"me {device.line}")
            run(["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "me", "-n", "file", "-s", sig], stdin=message, check=0)


class LogIn(unittest.TestCase):
    """ssh asks the agent, the server judges."""

    def check(self, program, server, kind, flags, status):
        devices[kind].flags = flags
        before = devices[kind].counter
        result = ssh(program, place, server, "echo in", key=None, args=("-i", place.path(f"{kind}_sk")),
                     env={"SSH_AUTH_SOCK": str(agent_path)})
        devices[kind].flags = TOUCHED
        self.assertEqual(result.returncode, status, result.stderr.decode(errors="replace"))
        self.assertGreater(devices[kind].counter, before)

    def check_all(self, program, server):
        for kind in devices:
            self.check(program, server, kind, TOUCHED, 0)
            self.check(program, server, kind, 0, 255)

    def test_ssh_to_nacre_sshd(self):
        self.check_all("ssh", nacre_server(place, f"AuthorizedKeysFile {place.path('authorized_sk')}"))

    def test_nacre_ssh_to_sshd(self):
        self.check_all(NACRE_SSH, openssh_server(place, f"AuthorizedKeysFile {place.path('authorized_sk')}"))


class Certificates(unittest.TestCase):
    """What agents are given of a key with a certificate: the handle, and of one kind the public half once more."""

    def lines(self, agent):
        return sorted(run(["ssh-add", "-L"], env=agent.env, check=0).stdout.decode().splitlines())

    def test_agents_are_given_what_ssh_add_gives(self):
        theirs, ours = agents.openssh_agent(), agents.our_agent()
        self.addCleanup(theirs.stop)
        self.addCleanup(ours.stop)
        for kind, device in devices.items():
            key = place.path(f"{kind}_sk")
            cert = agents.certify(key, beside=False)
            for agent in (theirs, ours):
                agent.drive("add", key)
                agent.drive("add", key, "cert", cert)
            lines = self.lines(theirs)
            self.assertEqual([line.split()[0] for line in lines],
                             sorted([device.name, device.name.replace("@", "-cert-v01@")]))
            self.assertEqual([line.split()[:2] for line in lines],
                             sorted([device.line.split()[:2], cert.read_text().split()[:2]]))
            self.assertEqual(self.lines(ours), lines)
            theirs.add("-D")
            ours.add("-D")
            shutil.copy(cert, f"{key}-cert.pub")
            theirs.add(key)
            # which library speaks to the device is a constraint, and nothing speaks to one here
            refused = ours.add(key, check=1)
            os.unlink(f"{key}-cert.pub")
            self.assertIn(b"refused", refused.stderr)
            self.assertEqual(self.lines(theirs), lines)
            theirs.add("-D")


if __name__ == "__main__":
    unittest.main()
