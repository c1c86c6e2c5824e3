#!/usr/bin/python3
"""Agent and X11 forwarding, each role against OpenSSH and against itself, and against what others have of them: real
agents, a display that counts cookies, keys that may go one way only."""
import asyncio
import os
import pathlib
import socket
import subprocess
import sys
import threading
import warnings

from agents import Agent, known_hosts, set_up
from harness import *
from x11_program import MAGIC, Display

import paramiko
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import asyncssh

XAUTH = "/usr/bin/xauth"
PROGRAM = pathlib.Path(__file__).with_name("x11_program.py")
COOKIE = bytes.fromhex("00112233445566778899aabbccddeeff")


def setUpModule():
    global openssh, nacre, strict, agent, display, x11_env, far_xauthority
    set_up(globals())
    agent = Agent(lambda sock: ["ssh-agent", "-D", "-a", sock])
    agent.add(place.keys["ed25519"])
    display = Display(COOKIE)
    xauthority, far_xauthority = place.path("xauthority"), place.path("far_xauthority")
    run([XAUTH, "-f", xauthority, "add", display.name, MAGIC.decode(), COOKIE.hex()], check=0)
    lines = ["X11Forwarding yes", f"SetEnv XAUTHORITY={far_xauthority}"]
    openssh = openssh_server(place, *lines, "X11DisplayOffset 310")
    nacre = nacre_server(place, *lines, "X11DisplayOffset 330")
    x11_env = {**agent.env, "DISPLAY": display.name, "XAUTHORITY": str(xauthority)}


def program(how):
    return f"/usr/bin/python3 {PROGRAM} {how}"


def pairs():
    yield NACRE_SSH, openssh
    yield NACRE_SSH, nacre
    yield "ssh", nacre


def variables():
    return "echo [$SSH_AUTH_SOCK][$DISPLAY]"


class Agents(unittest.TestCase):
    def test_keys_are_there_and_sign(self):
        for client, at in pairs():
            with self.subTest(client=client, server=at.name):
                out = ssh(client, place, at, f"ssh-add -T {place.keys['ed25519']}.pub && ssh-add -l && echo $SSH_AUTH_SOCK",
                          args=["-A"], env=agent.env, check=0).stdout
                self.assertIn(b"ed25519 test key", out)
                sock = pathlib.Path(out.decode().split()[-1])
                wait_until(lambda: not sock.exists() and not sock.parent.exists(), "the socket's end", 10)

    def test_keys_with_destinations(self):
        """One may be used from here to the server alone, the other from there to a third host, too: an agent that was not
        told which connection is whose would show none."""
        names = {f"[127.0.0.1]:{s.port}": place.dir / "host_ed25519" for s in (openssh, nacre)}
        third = f"[127.0.0.1]:{other.port}"
        hosts = known_hosts(*names.items(), (third, other_key))
        for client, at in pairs():
            with self.subTest(client=client, server=at.name):
                held = Agent(lambda sock: ["ssh-agent", "-D", "-a", sock])
                here = f"[127.0.0.1]:{at.port}"
                held.add("-H", hosts, "-h", here, place.keys["ecdsa256"])
                held.add("-H", hosts, "-h", here, "-h", f"{here}>{third}", place.keys["ed25519"])
                command = (f"ssh-add -l; ssh -F none -o BatchMode=yes -o UserKnownHostsFile={hosts} -p {other.port} "
                           f"{ME}@127.0.0.1 echo hopped")
                options = [f"UserKnownHostsFile={hosts}", "HostKeyAlgorithms=ssh-ed25519"]
                out = ssh(client, place, at, command, args=["-A"], known=hosts, options=options, env=held.env, check=0).stdout
                held.stop()
                self.assertIn(b"ed25519 test key", out)
                self.assertNotIn(b"ecdsa256 test key", out)
                self.assertIn(b"hopped", out)

    def test_which_agent(self):
        """ForwardAgent: a path, a variable, and the agent that logs in."""
        for value, options, env in ((str(agent.sock), [], {}), ("$OTHER", [], {"OTHER": str(agent.sock)}),
                                    ("yes", [f"IdentityAgent={agent.sock}"], {})):
            out = ssh(NACRE_SSH, place, openssh, "ssh-add -l", options=[f"ForwardAgent={value}", *options], env=env, check=0)
            self.assertIn(b"ed25519 test key", out.stdout, value)
        for value, env in (("/nowhere", {}), ("yes", {}), ("$UNSET", {}), ("no", agent.env)):
            out = ssh(NACRE_SSH, place, openssh, variables(), options=[f"ForwardAgent={value}"], env=env, check=0)
            self.assertEqual(out.stdout, b"[][]\n", value)


class X11(unittest.TestCase):
    def go(self, client, at, command, args=("-Y",), env=None, **kwargs):
        return ssh(client, place, at, command, args=args, env={**x11_env, **(env or {})}, **kwargs)

    def test_data_and_wrong_cookies(self):
        for client, at in pairs():
            with self.subTest(client=client, server=at.name):
                display.seen.clear()
                result = self.go(client, at, "; ".join(map(program, ("whole", "wrong", "garbage", "many"))) + "; echo $DISPLAY",
                                 check=0)
                lines = result.stdout.decode().splitlines()
                # OpenSSH's client ends both directions at once
                self.assertEqual(lines[0], "connected same" + (" goodbye" if client is NACRE_SSH else ""))
                self.assertEqual(lines[3], "connected")
                number = 310 if at is openssh else 330
                self.assertRegex(lines[4], f"^localhost:{number // 10}[0-9][.]0$")
                self.assertEqual(display.seen, [(MAGIC, COOKIE)] * 21)
                self.assertNotIn(COOKIE, far_xauthority.read_bytes())
                self.assertIn(b"X11 connection rejected because of wrong authentication.", result.stderr)
                if client is NACRE_SSH:
                    self.assertEqual(lines[1:3], ["refused: wrong authentication", "refused: this is no X11"])
                else:
                    self.assertEqual(lines[1:3], ["closed", "closed"])

    def test_untrusted_and_too_late(self):
        """-X: a cookie of its own, by the display's leave; and an end to it."""
        xauth, said = place.fresh("xauth"), place.fresh("xauth.said")
        xauth.write_text(f"#!/bin/sh\necho \"$@\" >> {said}\ncase $3 in\n"
                         f"generate) exec {XAUTH} -f $2 add $4 $5 {COOKIE.hex()};;\n*) exec {XAUTH} \"$@\";;\nesac\n")
        os.chmod(xauth, 0o755)
        again = f"while :; do {program('many')} > $$.x; grep -q connected $$.x || break; done; cat $$.x; rm $$.x"
        result = self.go(NACRE_SSH, openssh, f"cd {place.dir}; {program('whole')}; {again}", ["-X"], check=0,
                         options=[f"XAuthLocation={xauth}", "ForwardX11Timeout=2"])
        self.assertEqual(result.stdout.decode().splitlines(), ["connected same goodbye", "closed"])
        self.assertIn(b"X11 connection rejected: the time for new ones is over.", result.stderr)
        self.assertIn(f"generate {display.name} MIT-MAGIC-COOKIE-1 untrusted timeout 62\n", said.read_text())
        result = self.go(NACRE_SSH, openssh, variables(), ["-X"], options=["XAuthLocation=/bin/false"], check=0)
        self.assertEqual(result.stdout, b"[][]\n")
        self.assertIn(b"untrusted X11 forwarding setup failed", result.stderr)

    def test_displays_that_are_not_there(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            gone = f"127.0.0.1:{taken.getsockname()[1] - 6000}"
        result = self.go(NACRE_SSH, nacre, program("many"), env={"DISPLAY": gone}, check=0)
        self.assertEqual(result.stdout, b"refused: the display cannot be reached\n")
        self.assertIn(b"it is connected to without a cookie", result.stderr)
        for bad in ("", "nothing", "$(id):0"):
            self.assertEqual(self.go(NACRE_SSH, nacre, variables(), env={"DISPLAY": bad}, check=0).stdout, b"[][]\n", bad)

    def test_behind_the_end_of_the_session(self):
        """A program that its shell has left behind keeps the connection, and the connection its exit status."""
        begun, go, done = (place.fresh(name) for name in ("begun", "go", "done"))
        command = (f"setsid {program('linger')} {begun} {go} {done} >/dev/null 2>&1 </dev/null & "
                   f"while ! test -e {begun}; do sleep 0.05; done; exit 5")
        log = place.fresh("log")

        def when_it_waits():
            wait_until(lambda: log.exists() and "Waiting for forwarded connections" in log.read_text(), "the session's end")
            go.touch()

        threading.Thread(target=when_it_waits, daemon=True).start()
        self.go(NACRE_SSH, openssh, command, ["-Y", "-v", "-E", log], check=5)
        wait_until(lambda: done.exists() and done.read_text() == "connected same goodbye", "what the program says", 5)

    def test_for_others_too(self):
        self.addCleanup(lambda: wide.stop())
        wide = nacre_server(place, "X11Forwarding yes", "X11UseLocalhost no", "X11DisplayOffset 350",
                            f"SetEnv XAUTHORITY={far_xauthority}")
        out = self.go("ssh", wide, "echo $DISPLAY; xauth list $DISPLAY", check=0).stdout.decode().splitlines()
        self.assertRegex(out[0], f"^{socket.gethostname()}:35[0-9][.]0$")
        self.assertIn(MAGIC.decode(), out[1])


class Shared(unittest.TestCase):
    """Sessions of a shared connection: what the master's configuration and the client's ask for both, by the master's agent
    and display."""

    def master(self, client, *args):
        path = place.fresh("ctl")
        environment = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY")}
        process = subprocess.Popen([str(a) for a in (client, "-q", "-M", "-N", "-S", path, "-p", openssh.port, *args,
                                                     *client_options(place, openssh), f"{ME}@127.0.0.1")],
                                   stdin=subprocess.DEVNULL, env={**environment, **x11_env}, start_new_session=True)

        def end():
            process.terminate()
            process.wait(DEADLINE)
        self.addCleanup(end)
        wait_until(lambda: path.exists() or process.poll() is not None, "the master's socket")
        self.assertIsNone(process.poll())
        return path

    def test_agent_and_x11(self):
        command = f"ssh-add -T {place.keys['ed25519']}.pub && ssh-add -l; {program('whole')}"
        for over, client in (("ssh", NACRE_SSH), (NACRE_SSH, "ssh"), (NACRE_SSH, NACRE_SSH)):
            with self.subTest(master=str(over), client=str(client)):
                path = self.master(over, "-A", "-Y")
                display.seen.clear()
                # Not asked for; and first, because sshd tells of its agent's socket in every session behind the one that did.
                out = ssh(client, place, openssh, variables(), args=["-S", path, "-a", "-x"], env=x11_env, check=0).stdout
                self.assertEqual(out, b"[][]\n")
                # A client's own agent is none of the master's business.
                environment = {**x11_env, "SSH_AUTH_SOCK": "/nowhere"}
                out = ssh(client, place, openssh, command, args=["-S", path, "-A", "-Y"], env=environment, check=0).stdout
                lines = out.decode().splitlines()
                self.assertIn("ed25519 test key", lines[0])
                self.assertEqual(lines[1], "connected same" + (" goodbye" if over is NACRE_SSH else ""))
                self.assertEqual(display.seen, [(MAGIC, COOKIE)])

    def test_a_master_without(self):
        for over, client in (("ssh", NACRE_SSH), (NACRE_SSH, "ssh"), (NACRE_SSH, NACRE_SSH)):
            with self.subTest(master=str(over), client=str(client)):
                path = self.master(over, "-a", "-x")
                out = ssh(client, place, openssh, variables(), args=["-S", path, "-A", "-Y"], env=x11_env, check=0).stdout
                self.assertEqual(out, b"[][]\n")


class Refusals(unittest.TestCase):
    def test_what_is_not_allowed(self):
        closed = nacre_server(place, "AllowAgentForwarding no")
        disabled = nacre_server(place, "X11Forwarding yes", "DisableForwarding yes")
        no_xauth = nacre_server(place, "X11Forwarding yes", "XAuthLocation /nowhere/xauth")
        keys = place.fresh("authorized_keys")
        keys.write_text("restrict " + pathlib.Path(f"{place.keys['ed25519']}.pub").read_text())
        restricted = nacre_server(place, "X11Forwarding yes", f"AuthorizedKeysFile {keys}")
        for at in (closed, disabled, no_xauth, restricted):
            for client in (NACRE_SSH, "ssh"):
                result = ssh(client, place, at, variables(), args=["-A", "-Y"], env=x11_env, check=0)
                at_least = b"[/tmp/" if at is no_xauth else b"["
                self.assertTrue(result.stdout.startswith(at_least) and result.stdout.endswith(b"][]\n"), result.stdout)
                self.assertEqual(result.stdout == b"[][]\n", at is not no_xauth)
                self.assertIn(b"X11 forwarding request failed on channel 0", result.stderr)
            at.stop()

    def test_not_asked_for(self):
        for client, at in pairs():
            for args in (["-x"], ["-a", "-x"]):
                self.assertEqual(ssh(client, place, at, variables(), args=args, env=x11_env, check=0).stdout, b"[][]\n")


class Others(unittest.TestCase):
    def test_dbclient(self):
        key = place.fresh("dbkey")
        subprocess.run(["dropbearconvert", "openssh", "dropbear", place.keys["ed25519"], key], check=True, capture_output=True)
        out = run_on_files(place, ["dbclient", "-y", "-y", "-A", "-i", key, "-p", nacre.port, f"{ME}@127.0.0.1", "ssh-add -l"],
                           env={"HOME": str(place.dir), **agent.env}, check=0)
        self.assertIn(b"ed25519 test key", out.stdout)

    def test_plink(self):
        key = place.fresh("putty.ppk")
        subprocess.run(["puttygen", place.keys["ed25519"], "-o", key, "-O", "private"], check=True)
        fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", place.dir / "host_ed25519.pub"], check=True,
                                     capture_output=True, text=True).stdout.split()[1]
        display.seen.clear()
        out = run(["plink", "-batch", "-ssh", "-hostkey", fingerprint, "-i", key, "-P", nacre.port, "-A", "-X", f"{ME}@127.0.0.1",
                   f"ssh-add -l; {program('many')}"], env={**x11_env, "HOME": str(place.dir)}, check=0).stdout
        self.assertIn(b"ed25519 test key", out)
        self.assertTrue(out.endswith(b"connected\n"), out)
        self.assertEqual({data for _, data in display.seen}, {COOKIE})

    def test_paramiko(self):
        """One connection and no more; and cookies that are none."""
        client = paramiko.SSHClient()
        client.load_host_keys(str(place.known_hosts(nacre.port)))
        client.connect("127.0.0.1", nacre.port, ME, key_filename=str(place.keys["ed25519"]), allow_agent=False,
                       look_for_keys=False, timeout=DEADLINE)
        self.addCleanup(client.close)
        transport = client.get_transport()
        for cookie in ("00\nsource /etc/passwd", "xyz", "0"):
            with self.assertRaises(paramiko.SSHException):
                transport.open_session().request_x11(auth_cookie=cookie)
        channel = transport.open_session()
        channel.request_x11(auth_cookie=COOKIE.hex(), single_connection=True)
        channel.exec_command(f"{program('none')}; {program('wrong')}; {program('wrong')} 2>&1 | grep -c Refused")
        x11 = transport.accept(DEADLINE)
        said = b""
        while len(said) < 48:
            piece = x11.recv(1000)
            self.assertTrue(piece)
            said += piece
        self.assertEqual(said[32:], COOKIE[:-1] + b"\xfe")
        x11.close()
        lines = channel.makefile().read().decode().splitlines()
        self.assertRegex(lines[0], "^display localhost:33[0-9][.]0$")
        self.assertEqual(lines[1:], ["closed", "1"])

    def test_asyncssh(self):
        async def both():
            options = {"username": ME, "known_hosts": None, "config": None, "client_keys": [str(place.keys["ed25519"])]}
            async with asyncssh.connect("127.0.0.1", nacre.port, agent_path=str(agent.sock), agent_forwarding=True,
                                        **options) as connection:
                out = await connection.run(f"ssh-add -l; {program('many')}", x11_forwarding=True, x11_display=display.name.replace("127.0.0.1", "localhost"),
                                           x11_auth_path=x11_env["XAUTHORITY"])
                self.assertIn("ed25519 test key", out.stdout)
                self.assertTrue(out.stdout.endswith("connected\n"), out.stdout)

        asyncio.run(both())

    def test_asyncssh_server(self):
        async def handle(process):
            env = {**os.environ, "SSH_AUTH_SOCK": process.channel.get_agent_path(),
                   "DISPLAY": process.channel.get_x11_display(), "XAUTHORITY": str(far_xauthority)}
            child = await asyncio.create_subprocess_shell(process.command, env=env, stdout=asyncio.subprocess.PIPE)
            process.stdout.write((await child.communicate())[0].decode())
            process.exit(child.returncode)

        def serve():
            async def listen():
                server = await asyncssh.listen("127.0.0.1", port, server_host_keys=[str(place.dir / "host_ed25519")],
                                               authorized_client_keys=str(place.authorized), agent_forwarding=True,
                                               x11_forwarding=True, x11_auth_path=str(far_xauthority), process_factory=handle)
                await server.wait_closed()
            asyncio.run(listen())

        port = free_port()
        threading.Thread(target=serve, daemon=True).start()
        wait_until(lambda: greets(port), "asyncssh")
        at = type("Peer", (), {"port": port})
        out = ssh(NACRE_SSH, place, at, f"ssh-add -l; {program('many')}", args=["-A", "-Y"], env=x11_env, check=0).stdout
        self.assertIn(b"ed25519 test key", out)
        self.assertTrue(out.endswith(b"connected\n"), out)


if __name__ == "__main__":
    main()
