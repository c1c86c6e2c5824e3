"""What the tests of agents share: servers, agents of both kinds, certificates, logins with nothing but an agent."""
import os
import pathlib
import shutil
import subprocess

from harness import *
from harness import _die_with_parent, _running, _stop

DRIVE = BUILD / "tests/interop/drive_agent"
SIGNS_AS = {"ed25519": "ssh-ed25519", "ecdsa256": "ecdsa-sha2-nistp256", "ecdsa384": "ecdsa-sha2-nistp384",
            "ecdsa521": "ecdsa-sha2-nistp521", "rsa": "rsa-sha2-512"}


def set_up(module):
    """Makes the servers; their names become the test module's too."""
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
    for name in ("place", "server", "other", "other_key", "certified", "ca", "trusting"):
        module[name] = globals()[name]


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
