#!/usr/bin/python3
"""Agents both ways: our client and nacre-ssh with OpenSSH's ssh-agent, OpenSSH's ssh-add and ssh with our keyring."""
import os
import pathlib
import shutil
import socket
import subprocess
import threading
import unittest

from harness import *
from harness import _die_with_parent, _running, _stop

DRIVE = BUILD / "tests/interop/drive_agent"
SIGNS_AS = {"ed25519": "ssh-ed25519", "ecdsa256": "ecdsa-sha2-nistp256", "ecdsa384": "ecdsa-sha2-nistp384",
            "ecdsa521": "ecdsa-sha2-nistp521", "rsa": "rsa-sha2-512"}


def setUpModule():
    global place, server, other, other_key, certified, ca, trusting
    place = Place()
    server = openssh_server(place)
    # another host: a key of its own
    other_key = make_key(place.path("other_host"))
    other = openssh_server(place, f"HostKey {other_key}")
    # a key that only a certificate lets in
    ca = make_key(place.path("ca"))
    certified = make_key(place.path("certified"))
    certify(certified)
    trusting = openssh_server(place, f"TrustedUserCAKeys {ca}.pub")


def certify(key, beside=True):
    subprocess.run(["ssh-keygen", "-q", "-s", ca, "-I", "test", "-n", ME, f"{key}.pub"], check=True)
    if beside:
        return pathlib.Path(f"{key}-cert.pub")
    return pathlib.Path(shutil.move(f"{key}-cert.pub", place.fresh("away-cert.pub")))


def known_hosts(*named):
    """Lines of known_hosts: (name, key file)."""
    path = place.fresh("known_hosts")
    path.write_text("".join(f"{name} {' '.join(pathlib.Path(f'{key}.pub').read_text().split()[:2])}\n"
                            for name, key in named))
    return path


class Agent:
    """A program that listens on a socket until it is stopped."""

    def __init__(self, make_command, env=None):
        self.sock = place.fresh("agent")
        self.out = place.fresh("agent.out")
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen([str(c) for c in make_command(self.sock)], stdin=subprocess.PIPE,
                                            stdout=out, stderr=out, preexec_fn=_die_with_parent,
                                            env={**os.environ, **(env or {})})
        _running.append(self.process)
        wait_until(lambda: self.sock.exists() or self.process.poll() is not None, "the agent")
        assert self.process.poll() is None, self.out.read_text()
        self.env = {"SSH_AUTH_SOCK": str(self.sock)}

    def stop(self):
        _stop(self.process)

    def add(self, *args, check=0, env=None):
        return run(["ssh-add", *args], env={**self.env, **(env or {})}, check=check)

    def drive(self, *args, stdin=b"", check=0):
        return run([DRIVE, self.sock, *args], stdin=stdin, check=check)

    def listed(self):
        result = run(["ssh-add", "-l"], env=self.env)
        lines = result.stdout.decode().splitlines()
        return [] if result.returncode == 1 else sorted(lines)


def openssh_agent(env=None):
    return Agent(lambda sock: ["ssh-agent", "-D", "-a", sock], env)


def our_agent(*args):
    return Agent(lambda sock: [DRIVE, "serve", sock, *args])


def login(program, agent, target=None, port=None, options=(), args=(), check=0, known=None, env=None):
    """Without key files but those that are named."""
    target = target or server
    known = known or place.known_hosts(target.port)
    command = [program, "-F", "none", "-p", port or target.port, "-o", "BatchMode=yes",
               "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}",
               "-o", "GlobalKnownHostsFile=/dev/null"]
    for option in with_defaults(program, list(options)):
        command += ["-o", option]
    command += [*args, f"{ME}@127.0.0.1", "echo in"]
    result = run(command, env={**(agent.env if agent else {}), "HOME": str(place.dir), **(env or {})}, check=check)
    assert (result.stdout == b"in\n") == (check == 0), result
    return result


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
        self.agent.drive("add", key, "life", "1")
        self.assertEqual(len(self.agent.listed()), 1)
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
        login(NACRE_SSH, self.agent, options=[*named, "AddKeysToAgent=1"])
        wait_until(lambda: not self.agent.listed(), "the end of the key")
        login(NACRE_SSH, self.agent, options=[*named, "AddKeysToAgent=confirm 1h"])
        self.assertEqual(len(self.agent.listed()), 1)
        self.agent.drive("sign", f"{key}.pub", check=2)  # no program to ask

    def test_what_is_not_supported_is_said(self):
        for option in ("PKCS11Provider=/usr/lib/x.so", "SecurityKeyProvider=/usr/lib/x.so"):
            result = login(NACRE_SSH, None, options=[option], check=255)
            self.assertIn(option.split("=")[0].encode(), result.stderr)
            login(NACRE_SSH, None, options=[option.split("=")[0] + "=none", f"IdentityFile={place.keys['rsa']}"])


class TheirClientOurKeyring(unittest.TestCase):
    def start(self, *args):
        agent = our_agent(*args)
        self.addCleanup(agent.stop)
        return agent

    def test_ssh_add(self):
        agent = self.start()
        self.assertEqual(os.stat(agent.sock).st_mode & 0o777, 0o600)
        for key in place.keys.values():
            agent.add(key)
        theirs = openssh_agent()
        self.addCleanup(theirs.stop)
        for key in place.keys.values():
            theirs.add(key)
        self.assertEqual(agent.listed(), theirs.listed())
        self.assertEqual(agent.add("-L").stdout, theirs.add("-L").stdout)
        for kind, key in place.keys.items():
            # ssh-add before OpenSSH 9.9 tries RSA with SHA-1
            agent.add("-T", f"{key}.pub", check=0 if kind != "rsa" else None)
        old = self.start("sha1", "yes")
        old.add(place.keys["rsa"])
        old.add("-T", f"{place.keys['rsa']}.pub")
        agent.add("-d", place.keys["rsa"])
        agent.add("-d", place.keys["rsa"], check=1)
        self.assertEqual(len(agent.listed()), 4)
        agent.add("-D")
        agent.add("-l", check=1)
        agent.add(certified)
        self.assertEqual(len(agent.listed()), 2)
        agent.add("-T", f"{certified}-cert.pub")
        agent.drive("supports", "session-bind@openssh.com")
        agent.drive("supports", "something@example.com", check=3)

    def test_lifetime(self):
        agent = self.start()
        agent.add("-t", "1", place.keys["ed25519"])
        agent.add(place.keys["rsa"])
        self.assertEqual(len(agent.listed()), 2)
        wait_until(lambda: len(agent.listed()) == 1, "the end of the key")
        mortal = self.start("lifetime", "1")
        mortal.add(place.keys["ed25519"])
        wait_until(lambda: not mortal.listed(), "the end of the key")

    def test_confirmation(self):
        for answer, status in (("yes", 0), ("no", 255)):
            agent = self.start("confirm", answer)
            agent.add("-c", place.keys["ed25519"])
            login("ssh", agent, check=status)
            login(NACRE_SSH, agent, check=status)
            self.assertEqual(agent.out.read_text().count(f"asked ED25519 user={ME} host="), 2)
        self.start().add("-c", place.keys["ed25519"], check=1)  # nobody to ask

    def test_lock(self):
        agent = self.start()
        agent.add(place.keys["ed25519"])
        agent.add("-x", env=askpass(place, "secret"))
        agent.add("-l", check=1)
        login("ssh", agent, check=255)
        agent.add("-X", env=askpass(place, "wrong"), check=1)
        agent.add("-X", env=askpass(place, "secret"))
        login("ssh", agent)

    def test_every_type_logs_in(self):
        agent = self.start()
        for key in place.keys.values():
            agent.add("-D")
            agent.add(key)
            login("ssh", agent)
        login(NACRE_SSH, agent)
        agent.add("-D")
        agent.add(certified)
        login("ssh", agent, trusting)
        login(NACRE_SSH, agent, trusting)

    def test_destinations_with_ssh_as_the_client_that_binds(self):
        agent = self.start()
        hosts = known_hosts(("first", place.host_keys["ed25519"]), ("second", other_key))
        there = known_hosts((f"[127.0.0.1]:{other.port}", other_key), ("127.0.0.1", other_key))
        only = ["HostKeyAlgorithms=ssh-ed25519"]
        agent.add("-H", hosts, "-h", "first", place.keys["ed25519"])
        for program in ("ssh", NACRE_SSH):
            login(program, agent, options=only)
            login(program, agent, other, known=there, check=255)

        def forwarded(command, check=0):
            known = place.known_hosts(server.port)
            return run(["ssh", "-F", "none", "-A", "-p", server.port, "-o", "BatchMode=yes",
                        "-o", f"UserKnownHostsFile={known}", "-o", "HostKeyAlgorithms=ssh-ed25519",
                        f"{ME}@127.0.0.1", command], env={**agent.env, "HOME": str(place.dir)}, check=check)

        onward = (f"HOME={place.dir} ssh -F none -p {other.port} -o BatchMode=yes -o UserKnownHostsFile={there} "
                  f"{ME}@127.0.0.1 echo in")
        # it may be used to log in at first, but not from there
        self.assertIn(b"no identities", forwarded("ssh-add -l", check=1).stdout)
        forwarded(onward, check=255)
        agent.add("-D")
        agent.add("-H", hosts, "-h", "first", "-h", f"first>{ME}@second", place.keys["ed25519"])
        self.assertIn(b"ED25519", forwarded("ssh-add -l").stdout)
        self.assertEqual(forwarded(onward).stdout, b"in\n")
        agent.add("-D")
        agent.add("-H", hosts, "-h", "first", "-h", "first>nobody@second", place.keys["ed25519"])
        forwarded(onward, check=255)

    def test_what_cannot_be_enforced_is_not_taken(self):
        agent = self.start("max", "1")
        agent.add(place.keys["ed25519"])
        agent.add(place.keys["rsa"], check=1)
        agent.add("-s", "/usr/lib/x.so", env=askpass(place, "1234"), check=1)
        agent.add("-e", "/usr/lib/x.so", check=1)

    def test_a_socket_of_its_own(self):
        process = subprocess.Popen([DRIVE, "serve", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env={**os.environ, "TMPDIR": str(place.dir)}, preexec_fn=_die_with_parent)
        _running.append(process)
        path = pathlib.Path(process.stdout.readline().decode().strip())
        self.assertEqual(os.stat(path.parent).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        run(["ssh-add", place.keys["rsa"]], env={"SSH_AUTH_SOCK": str(path)}, check=0)
        process.stdin.close()
        process.wait(DEADLINE)
        process.stdout.close()
        self.assertFalse(path.parent.exists())
        # others cannot make a socket in its place, and what is there stays
        self.assertIn(b"NACRE_EXISTS", run([DRIVE, "serve", place.authorized], check=1).stderr)
        open_dir = place.fresh("open")
        open_dir.mkdir()
        os.chmod(open_dir, 0o777)
        self.assertIn(b"NACRE_KEY_PERMISSIONS", run([DRIVE, "serve", open_dir / "sock"], check=1).stderr)


if __name__ == "__main__":
    main()
