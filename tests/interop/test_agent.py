#!/usr/bin/python3
"""Our client of agents and nacre-ssh with OpenSSH's ssh-agent."""
import os
import shutil
import socket
import threading
import unittest

from harness import *
from agents import *


def setUpModule():
    set_up(globals())


class OurClientTheirAgent(unittest.TestCase):
    def setUp(self):
        self.agent = openssh_agent()
        self.addCleanup(self.agent.stop)

    def test_every_type_is_listed_and_signs(self):
        for kind, key in place.keys.items():
            self.agent.add(key)
        self.assertEqual(sorted(self.agent.drive("list").stdout.decode().splitlines()), self.agent.listed())
        for kind, key in place.keys.items():
            out = self.agent.drive("sign", f"{key}.pub", stdin=b"data").stdout
            self.assertEqual(out.decode(), f"good {SIGNS_AS[kind]}\n")
        for algorithm in ("rsa-sha2-256", "rsa-sha2-512"):
            out = self.agent.drive("sign", f"{place.keys['rsa']}.pub", algorithm, stdin=b"data").stdout
            self.assertEqual(out.decode(), f"good {algorithm}\n")
        self.agent.drive("remove", f"{place.keys['rsa']}.pub")
        self.agent.drive("remove", f"{place.keys['rsa']}.pub", check=2)
        self.agent.drive("sign", f"{place.keys['rsa']}.pub", check=2)
        self.assertEqual(len(self.agent.listed()), 4)
        self.agent.drive("clear")
        self.assertEqual(self.agent.listed(), [])
        self.assertEqual(self.agent.drive("list").stdout, b"")

    def test_what_we_add_is_what_ssh_add_adds(self):
        for kind, key in place.keys.items():
            cert = certify(key, beside=False)
            self.agent.drive("add", key)
            self.agent.drive("add", key, "cert", cert)
            ours = self.agent.listed()
            self.assertEqual(len(ours), 2)
            self.assertEqual(self.agent.drive("sign", cert, stdin=b"x").stdout.decode(), f"good {SIGNS_AS[kind]}\n")
            self.agent.add("-T", f"{key}.pub")
            self.agent.add("-T", cert)
            self.agent.add("-D")
            shutil.copy(cert, f"{key}-cert.pub")
            self.agent.add(key)
            os.unlink(f"{key}-cert.pub")
            self.assertEqual(self.agent.listed(), ours)
            self.agent.add("-D")

    def test_lifetime_lock_and_extensions(self):
        key = place.keys["ed25519"]
        self.agent.drive("add", key, "life", "3600")
        self.assertEqual(len(self.agent.listed()), 1)
        self.agent.drive("add", key, "life", "1")
        wait_until(lambda: not self.agent.listed(), "the end of the key")
        self.agent.drive("add", key)
        self.agent.drive("lock", "secret")
        self.assertEqual(self.agent.drive("list").stdout, b"")
        self.agent.drive("sign", f"{key}.pub", check=2)
        self.agent.drive("unlock", "wrong", check=2)
        self.agent.drive("unlock", "secret")
        self.assertEqual(len(self.agent.listed()), 1)
        self.agent.drive("supports", "query", check=3)  # OpenSSH 9.2 knows no query

    def test_confirmation(self):
        for answer, status in (("true", 0), ("false", 2)):
            agent = openssh_agent({"SSH_ASKPASS": shutil.which(answer), "DISPLAY": ":none",
                                   "SSH_ASKPASS_REQUIRE": "force"})
            agent.drive("add", place.keys["ed25519"], "confirm")
            agent.drive("sign", f"{place.keys['ed25519']}.pub", check=status)
            agent.stop()

    def test_no_agent(self):
        self.assertIn(b"there is no agent", run([DRIVE, place.path("missing"), "list"], check=1).stderr)
        self.assertIn(b"not a socket", run([DRIVE, place.authorized, "list"], check=1).stderr)
        self.agent.stop()
        self.assertIn(b"NACRE_CONNECT", run([DRIVE, self.agent.sock, "list"], check=1).stderr)


class NacreSsh(unittest.TestCase):
    def setUp(self):
        self.agent = openssh_agent()
        self.addCleanup(self.agent.stop)

    def test_every_type_logs_in(self):
        for key in place.keys.values():
            self.agent.add("-D")
            self.agent.add(key)
            login(NACRE_SSH, self.agent)
            if key != place.keys["rsa"]:
                continue
            # a .pub file names the key whose private half is in the agent
            away = place.fresh("named").with_suffix(".pub")
            shutil.copy(f"{key}.pub", away)
            for name in (away, away.with_suffix("")):
                login(NACRE_SSH, self.agent, options=["IdentitiesOnly=yes", f"IdentityFile={name}"])
        login(NACRE_SSH, self.agent, options=["IdentitiesOnly=yes", "IdentityFile=none"], check=255)
        login(NACRE_SSH, self.agent, options=["IdentityAgent=none"], check=255)
        login(NACRE_SSH, None, options=[f"IdentityAgent={self.agent.sock}"])
        login(NACRE_SSH, self.agent, options=["IdentityAgent=SSH_AUTH_SOCK"])
        login(NACRE_SSH, None, options=["IdentityAgent=$OTHER_SOCK"], env={"OTHER_SOCK": str(self.agent.sock)})
        self.agent.drive("lock", "secret")
        login(NACRE_SSH, self.agent, check=255)

    def test_certificates(self):
        alone = [f"IdentityFile={certified}", "IdentitiesOnly=yes", "IdentityAgent=none"]
        login(NACRE_SSH, None, trusting, options=alone)  # the one beside the key
        self.agent.add(certified)  # adds both
        login(NACRE_SSH, self.agent, trusting)
        self.agent.add("-D")
        key = make_key(place.fresh("key"))
        cert = certify(key, beside=False)
        login(NACRE_SSH, None, trusting, options=[f"IdentityFile={key}", "IdentitiesOnly=yes"], check=255)
        login(NACRE_SSH, None, trusting, options=[f"IdentityFile={key}", f"CertificateFile={cert}"])
        self.agent.add(key)  # the plain key signs for the certificate in the file
        login(NACRE_SSH, self.agent, trusting, options=[f"CertificateFile={cert}", "IdentityFile=none"])
        result = login(NACRE_SSH, self.agent, trusting, options=[f"CertificateFile={key}.pub", "IdentityFile=none"],
                       check=255)
        self.assertIn(b"no certificate", result.stderr)

    def test_encrypted_key_with_a_certificate_is_asked_for_once(self):
        key = make_key(place.fresh("locked"), passphrase="secret phrase")
        certify(key)
        script, log = place.fresh("askpass"), place.fresh("asked")
        script.write_text(f"#!/bin/sh\necho asked >>{log}\necho secret phrase\n")
        os.chmod(script, 0o755)
        env = {"SSH_ASKPASS": str(script), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":none"}
        login(NACRE_SSH, None, trusting, options=[f"IdentityFile={key}"], check=255)  # nobody to ask
        command = [NACRE_SSH, "-F", "none", "-p", trusting.port, "-o", "WarnWeakCrypto=no", "-o",
                   f"UserKnownHostsFile={place.known_hosts(trusting.port)}", "-i", key, f"{ME}@127.0.0.1", "echo in"]
        self.assertEqual(run(command, env=env, check=0).stdout, b"in\n")
        self.assertEqual(log.read_text(), "asked\n")

    def test_too_many_keys(self):
        keys = [make_key(place.fresh("wrong")) for _ in range(8)]
        for key in keys:
            self.agent.add(key)
        result = login(NACRE_SSH, self.agent, check=255)
        self.assertIn(b"Tried: ", result.stderr)
        self.assertIn(b"IdentitiesOnly", result.stderr)
        self.assertIn(b"oo many authentication failures", result.stderr)
        # one that is named comes first, from the agent or from its file
        login(NACRE_SSH, self.agent, options=[f"IdentityFile={place.keys['rsa']}", "IdentitiesOnly=yes"])
        self.agent.add(place.keys["rsa"])
        login(NACRE_SSH, self.agent, options=[f"IdentityFile={place.keys['rsa']}.pub"])

    def test_a_refusal_is_not_the_end(self):
        agent = openssh_agent({"SSH_ASKPASS": shutil.which("false"), "DISPLAY": ":none", "SSH_ASKPASS_REQUIRE": "force"})
        agent.add("-c", place.keys["ed25519"])
        result = login(NACRE_SSH, agent, check=255)
        self.assertIn(b"refused", result.stderr)
        agent.add(place.keys["rsa"])
        login(NACRE_SSH, agent)
        agent.stop()

    def test_an_agent_that_says_nothing_or_nonsense(self):
        for reply in (b"\0\0\0\1\5", b"\xff\xff\xff\xff", b"\0\0\0\5\x0c\xff\xff\xff\xff", b""):
            path = place.fresh("odd")
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            listener.listen()

            def serve():
                try:
                    while True:
                        with listener.accept()[0] as s:
                            while s.recv(65536):
                                if not reply:
                                    break
                                s.sendall(reply)
                except OSError:
                    pass

            threading.Thread(target=serve, daemon=True).start()
            login(NACRE_SSH, None, options=[f"IdentityAgent={path}", f"IdentityFile={place.keys['ed25519']}"])
            listener.close()

    def test_destinations(self):
        # the name is only what the host keys are looked up by
        hosts = known_hosts(("first", place.host_keys["ed25519"]))
        self.agent.add("-H", hosts, "-h", "first", place.keys["ed25519"])
        login(NACRE_SSH, self.agent, options=["HostKeyAlgorithms=ssh-ed25519"])
        login(NACRE_SSH, self.agent, other, known=known_hosts((f"[127.0.0.1]:{other.port}", other_key)), check=255)

    def test_add_keys_to_agent(self):
        key = place.keys["ed25519"]
        named = [f"IdentityFile={key}", "IdentitiesOnly=yes"]
        login(NACRE_SSH, self.agent, options=named)
        self.assertEqual(self.agent.listed(), [])
        login(NACRE_SSH, self.agent, options=[*named, "AddKeysToAgent=yes"])
        ours = self.agent.listed()
        self.agent.add("-D")
        self.agent.add(key)
        self.assertEqual(self.agent.listed(), ours)
        self.agent.add("-D")
        login(NACRE_SSH, self.agent, options=[*named, "AddKeysToAgent=ask"])  # nobody to ask
        self.assertEqual(self.agent.listed(), [])
        login(NACRE_SSH, self.agent, options=[*named, "AddKeysToAgent=1h"])
        self.assertEqual(len(self.agent.listed()), 1)
        self.agent.add("-D")
        login(NACRE_SSH, self.agent, options=[*named, "AddKeysToAgent=confirm 1h"])
        self.assertEqual(len(self.agent.listed()), 1)
        self.agent.drive("sign", f"{key}.pub", check=2)  # no program to ask

    def test_what_is_not_supported_is_said(self):
        for option in ("PKCS11Provider=/usr/lib/x.so", "SecurityKeyProvider=/usr/lib/x.so"):
            result = login(NACRE_SSH, None, options=[option], check=255)
            self.assertIn(option.split("=")[0].encode(), result.stderr)
            login(NACRE_SSH, None, options=[option.split("=")[0] + "=none", f"IdentityFile={place.keys['rsa']}"])


if __name__ == "__main__":
    main()
