"""ssh_config: ssh -G and nacre-ssh -G over a corpus of configurations, what both must refuse, and ProxyCommand,
ProxyUseFdpass and ProxyJump through real servers. Without arguments: with this system's OpenSSH; with a root
directory (see scripts/trixie-root.sh): the comparison only, with the OpenSSH in there."""
import atexit
import concurrent.futures
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from harness import *

root = None
if len(sys.argv) > 1 and sys.argv[1].startswith("/"):
    root = pathlib.Path(sys.argv.pop(1))
enter = ["chroot", str(root)] if root else []
place = None

# What a program says of itself: lists of what is built in, and defaults that versions and distributions change.
OWN_DEFAULTS = {"ciphers", "macs", "kexalgorithms", "hostkeyalgorithms", "pubkeyacceptedalgorithms",
                "hostbasedacceptedalgorithms", "casignaturealgorithms", "identityfile", "ipqos", "forwardx11trusted"}


def here():
    """A directory that has the same path for both programs, whatever root they live in."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="nacre-conf-", dir=root / "tmp" if root else "/tmp"))
    atexit.register(shutil.rmtree, base, True)
    if not root:
        return base
    outside = pathlib.Path("/tmp") / base.name # mkdtemp's name is new: the link is in nobody's way
    os.symlink(base, outside)
    atexit.register(os.unlink, outside)
    return outside


def show(program, config, args, host, env=None):
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "FOO": "foo", **(env or {})}
    command = [*(enter if program == "ssh" else []), program if program == "ssh" else str(NACRE_SSH), "-G",
               *(["-F", str(config)] if config else []), *args, host]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment,
                          timeout=DEADLINE)


def lines_of(result):
    return result.stdout.splitlines()


def keyword(line):
    return line.split(" ", 1)[0]


class Comparison(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = here()
        cls.count, cls.pending = 0, []
        cls.pool = concurrent.futures.ThreadPoolExecutor(4)
        cls.usual = {p: lines_of(show(p, "none", [], "nothing.example")) for p in ("ssh", "nacre")}
        cls.known = [{keyword(line) for line in lines_of(show(p, cls.everything(), [], "h"))} for p in ("ssh", "nacre")]

    @classmethod
    def everything(cls):
        """Keywords that are printed only when they are set."""
        config = cls.dir / "everything"
        config.write_text("BindAddress a\nBindInterface b\nControlPath c\nHostKeyAlias d\nIdentityAgent e\n"
                          "IgnoreUnknown *\nKbdInteractiveDevices f\nLocalCommand g\nRemoteCommand h\n"
                          "PKCS11Provider i\nPreferredAuthentications j\nRevokedHostKeys k\nKnownHostsCommand l\n"
                          "Tag m\nVersionAddendum n\nDynamicForward 1\nLocalForward 1 h:1\nRemoteForward 1 h:1\n"
                          "CertificateFile o\nSendEnv p\nSetEnv q=r\nProxyJump s\nProxyUseFdpass yes\n")
        jumps = cls.dir / "jumps"
        jumps.write_text("ProxyCommand t\n")
        return config

    def path(self, text):
        type(self).count += 1
        path = self.dir / f"config.{self.count}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def relevant(self, results):
        """The lines whose keyword both know, without what is a program's own business."""
        both = set.intersection(*self.known) | {"proxycommand", "proxyjump"}
        every = [[line for line in lines_of(r) if keyword(line) in both] for r in results]
        # ssh 10 has no name for what -C sets
        every[0] = ["compression yes" if line == "compression UNKNOWN" else line for line in every[0]]
        for name in OWN_DEFAULTS:
            mine = [[line for line in lines if keyword(line) == name] for lines in every]
            usual = [[line for line in self.usual[p] if keyword(line) == name] for p in ("ssh", "nacre")]
            if any(m == u for m, u in zip(mine, usual)):
                every = [[line for line in lines if keyword(line) != name] for lines in every]
        return every

    def both(self, config, args, host, env=None):
        """What both print; at the same time, because there are many."""
        theirs = self.pool.submit(show, "ssh", config, args, host, env)
        return theirs, self.pool.submit(show, "nacre", config, args, host, env)

    def same(self, text, host="host", *args, env=None):
        self.pending.append((text, host, args, self.both(self.path(text), args, host, env)))

    def together(self, *lines):
        """same() of many lines, in as few files as can be: one keyword stands in a file once."""
        files = []
        for line in lines:
            name = line.split()[0].lower()
            for f in files:
                if name not in f:
                    f[name] = line
                    break
            else:
                files.append({name: line})
        for f in files:
            self.same("\n".join(f.values()) + "\n")

    def tearDown(self):
        pending, type(self).pending = self.pending, []
        for text, host, args, futures in pending:
            results = [f.result() for f in futures]
            with self.subTest(config=text, host=host, args=args):
                for r in results:
                    self.assertEqual(r.returncode, 0, r.stderr)
                theirs, ours = self.relevant(results)
                self.assertEqual(ours, theirs)

    def both_refuse(self, text, host="host", *args):
        config = self.path(text)
        theirs, ours = (f.result() for f in self.both(config, args, host))
        with self.subTest(config=text, host=host, args=args):
            self.assertEqual((theirs.returncode, ours.returncode), (255, 255), theirs.stderr + ours.stderr)
            self.assertEqual(ours.stdout, "")
        return ours.stderr, config


class Keywords(Comparison):
    """Each keyword with values of every form."""

    def test_defaults(self):
        self.same("")
        self.same("# nothing\n\n   \n\t# more\n")

    def test_yes_and_no(self):
        words = ("BatchMode CanonicalizeFallbackLocal CheckHostIP Compression EnableSSHKeysign ClearAllForwardings "
                 "ExitOnForwardFailure ForwardX11 ForwardX11Trusted GatewayPorts HashKnownHosts HostbasedAuthentication "
                 "IdentitiesOnly KbdInteractiveAuthentication NoHostAuthenticationForLocalhost PasswordAuthentication "
                 "PermitLocalCommand ProxyUseFdpass StdinNull StreamLocalBindUnlink TCPKeepAlive VisualHostKey "
                 "EnableEscapeCommandline ForwardAgent").split()
        for value in ("yes", "no"):
            self.same("ServerAliveInterval 7\n" + "".join(f"{w} {value}\n" for w in words)) # Debian: 300 in batches
        words.remove("Compression")
        self.same("ServerAliveInterval 7\n" + "".join(f"{w} TRUE\n" for w in words))
        self.same("".join(f"{w} false\n" for w in words))

    def test_choices(self):
        self.together("AddressFamily inet6", "AddressFamily INET", "AddressFamily any", "ControlMaster auto",
                     "ControlMaster yes", "ControlMaster autoask", "ControlMaster ask", "PubkeyAuthentication unbound",
                     "PubkeyAuthentication no", "PubkeyAuthentication host-bound", "RequestTTY force", "RequestTTY yes",
                     "RequestTTY no", "RequestTTY true", "SessionType none", "SessionType default",
                     "StrictHostKeyChecking accept-new", "StrictHostKeyChecking off", "StrictHostKeyChecking no",
                     "StrictHostKeyChecking yes", "StrictHostKeyChecking ask", "Tunnel yes", "Tunnel ethernet",
                     "Tunnel point-to-point", "VerifyHostKeyDNS ask", "VerifyHostKeyDNS yes", "UpdateHostKeys yes",
                     "UpdateHostKeys no", "FingerprintHash md5", "FingerprintHash sha256", "LogLevel silent", "LogLevel debug1",
                     "LogLevel DEBUG3", "LogLevel verbose", "LogLevel quiet", "LogLevel FATAL", "SyslogFacility local3",
                     "SyslogFacility AUTH", "CanonicalizeHostname no")

        self.same("UpdateHostKeys ask\n")

    def test_numbers_and_times(self):
        self.together("Port 2222", "ConnectionAttempts 7", "NumberOfPasswordPrompts 0", "ServerAliveCountMax 99",
                     "ServerAliveInterval 1m", "ServerAliveInterval 1h30m15s", "ConnectTimeout 2W", "ConnectTimeout none",
                     "ConnectTimeout 17", "ForwardX11Timeout 1d", "RequiredRSASize 3072", "CanonicalizeMaxDots 4",
                     "RekeyLimit 1G 1h", "RekeyLimit default 30m", "RekeyLimit 512K", "RekeyLimit 100M none",
                     "ControlPersist yes", "ControlPersist 10m", "ControlPersist no", "ControlPersist 0",
                     "StreamLocalBindMask 0077", "StreamLocalBindMask 0", "TunnelDevice 3", "TunnelDevice any:4",
                     "TunnelDevice 1:2", "IPQoS af21 cs1", "IPQoS ef", "IPQoS none", "IPQoS 32 12", "IPQoS LE CS7",
                     "AddKeysToAgent confirm", "AddKeysToAgent 1h", "AddKeysToAgent confirm 5m", "AddKeysToAgent ask",
                     "AddKeysToAgent yes", "EscapeChar none", "EscapeChar ^]", "EscapeChar %", "EscapeChar \\")
        if root: # OpenSSH 9.2 does not know it, and does not replace the tokens
            self.together("ObscureKeystrokeTiming no", "ObscureKeystrokeTiming interval:80", "ObscureKeystrokeTiming yes",
                          "RevokedHostKeys /etc/%h", "RevokedHostKeys ~/revoked", "VersionAddendum a %h", "VersionAddendum none",
                          "ChannelTimeout session=5m *=1h", "ChannelTimeout none")

    def test_texts(self):
        self.together("BindAddress 127.0.0.1", "BindInterface lo", "HostKeyAlias Some.Alias", "IdentityAgent none",
                     "IdentityAgent SSH_AUTH_SOCK", "IdentityAgent ~/agent.%h", "IdentityAgent $FOO",
                     "IdentityAgent /run/${FOO}/%r", "KbdInteractiveDevices pam,bsdauth", "PreferredAuthentications a,b",
                     "ControlPath ~/.ssh/c-%C", "ControlPath /tmp/%L-%l-%n-%p-%r-%u-%i-%k-%h-%d-%%", "ControlPath none",
                     "ForwardAgent /tmp/%r.sock", "XAuthLocation /bin/xauth", "SecurityKeyProvider none",
                     "SecurityKeyProvider /x/y.so", "KnownHostsCommand /bin/echo %H", "KnownHostsCommand none",
                     "RevokedHostKeys /etc/revoked", "User someone", "HostName other.%h",
                     "HostName %%%h%%", "HostName UPPER.Case", "LocalCommand echo %n 'and more' # not a comment",
                     "LocalCommand none", "RemoteCommand uptime %r@%h  ", "RemoteCommand none", "PKCS11Provider none",
                     "PKCS11Provider /a.so", "CertificateFile ~/.ssh/cert-%u", "IdentityFile none",
                     "IdentityFile ~/.ssh/k-%r", "Ciphers aes256-ctr,aes128-ctr", "MACs hmac-sha2-512",
                     "KexAlgorithms curve25519-sha256", "HostKeyAlgorithms ssh-ed25519,rsa-sha2-256",
                     "PubkeyAcceptedAlgorithms ssh-ed25519", "PubkeyAcceptedKeyTypes ssh-ed25519",
                     "HostbasedKeyTypes rsa-sha2-512", "CASignatureAlgorithms ssh-ed25519", "KeepAlive no",
                     "ChallengeResponseAuthentication no", "SkeyAuthentication no", "DSAAuthentication no",
                     "Protocol 2", "UsePrivilegedPort yes")

    def test_lists(self):
        for text in ("GlobalKnownHostsFile /a /b", "GlobalKnownHostsFile none", "UserKnownHostsFile /a %d/b ~/c",
                     "UserKnownHostsFile none", "UserKnownHostsFile ~/.ssh/known_hosts", "UserKnownHostsFile ${FOO}/x",
                     "SendEnv LANG LC_* X\nSendEnv Y", "SendEnv A B C\nSendEnv -B D", "SendEnv A AB B\nSendEnv -A*",
                     "SetEnv A=1 B=two A=3\nSetEnv C=4", 'SetEnv A="x y" B=', "LogVerbose none",
                     "CanonicalDomains a.example b.example", "CanonicalDomains none",
                     "CanonicalizePermittedCNAMEs none",
                     "PermitRemoteOpen any", "PermitRemoteOpen none", "PermitRemoteOpen h:1 [::1]:2 x:*",
                     "IdentityFile a\nIdentityFile b\nIdentityFile a", "CertificateFile a\nCertificateFile b"):
            self.same(text + "\n")

        self.same("CanonicalizePermittedCNAMEs *.a:*.b,*.c D:e\n", "localhost")

    def test_forwardings(self):
        # Not: from a port to a path, where ssh prints a DynamicForward beside it that nobody asked for.
        for text in ("LocalForward 8080 h:80", "LocalForward 127.0.0.1:8080 h:80", "LocalForward [::1]:8080 [::2]:80",
                     "LocalForward *:1 h:2", "LocalForward /a h:1",
                     "LocalForward 1 h:2\nLocalForward 3 h:4\nLocalForward 1 h:2", "RemoteForward 1 h:2",
                     "RemoteForward 0 h:2", "RemoteForward 1080", "RemoteForward [::]:1080", "RemoteForward /a /b",
                     "DynamicForward 1080", "DynamicForward localhost:1080", "DynamicForward [::1]:1080",
                     "DynamicForward 1\nLocalForward 2 h:3\nDynamicForward 4",
                     "ClearAllForwardings yes\nLocalForward 1 h:2\nDynamicForward 3",
                     'LocalForward "/a b" h:1', "LocalForward /a\\ b h:1", "LocalForward /a\\:b h:1",
                     'LocalForward "/a\\\\b" h:1', "LocalForward '/a\"b' h:1", "LocalForward [/a:b] h:1",
                     "LocalForward a\\:b:1 h:2", "LocalForward 80:h 80",
                     'RemoteForward "/a b" "/c\\:d"', 'RemoteForward "/a b"', "RemoteForward 1 /a\\:b"):
            self.same(text + "\n")
        for text in ("/a\\:b:h:1", "/a b:h:1", "/a\\\\b:h:1", "[/a:b]:h:1", "/[a]:h:1", "1:h h:2", " 1:h:2", "1:h\\:x:2"):
            lines = [[line for line in lines_of(show(program, "none", ["-L", text], "h"))
                      if keyword(line) == "localforward"] for program in ("ssh", "ours")]
            self.assertEqual(lines[0], lines[1], text)
            self.assertEqual(len(lines[0]), 1, text)
        for text in ("1 h:2", "/a\\", "\\/a:h:1", "1:h:2 ", "1:[/a", "/a:1"):
            for program in ("ssh", "ours"):
                self.assertEqual(show(program, "none", ["-L", text], "h").returncode, 255, text)

    def test_proxies(self):
        for text in ("ProxyCommand nc %h %p", "ProxyCommand none", 'ProxyCommand "a b"  c', "ProxyCommand=nc x",
                     "ProxyCommand = nc x", "ProxyJump a", "ProxyJump a,b,c", "ProxyJump me@a:22,you@b", "ProxyJump none",
                     "ProxyJump ssh://me@a:2222", "ProxyJump [::1]:22", "ProxyJump me@127.0.0.1", "ProxyJump a # x",
                     "ProxyJump a\nProxyCommand b", "ProxyCommand b\nProxyJump a", "ProxyCommand none\nProxyJump a",
                     "ProxyJump none\nProxyCommand b"):
            self.same(text + "\n")


class Blocks(Comparison):
    """Which lines count."""

    def test_first_wins(self):
        self.same("Port 1\nPort 2\nUser a\nUser b\n")
        self.same("Host x\n Port 1\nHost *\n Port 2\n")
        self.same("Port 1\n", "host", "-o", "Port=2", "-p", "3")
        self.same("User conf\nPort 5\n", "me@host")
        self.same("User conf\nPort 5\n", "ssh://me@host:9")
        self.same("User conf\n", "me@host", "-l", "other")
        self.same("", "host", "-o", "user = x", "-o", "IdentityFile y", "-i", "/dev/null", "-o", "identityfile=y")
        self.same("", "host", "-C",
                  "-4", "-b", "::1", "-B", "lo", "-c", "aes128-ctr", "-m", "hmac-sha2-256", "-N", "-n")
        self.same("", "host", "-J", "a,me@b:3", "-o", "ProxyCommand=none")
        self.same("IdentityFile a\nHost host\nIdentityFile b\nHost other\nIdentityFile c\nHost *\nIdentityFile a\n")

    def test_host(self):
        text = ("Host a b? c*d !bad*\n Port 1\nHost !no *\n Port 2\nHost *\n Port 3\n User three\n")
        for host in ("a", "b1", "b", "cd", "cxxd", "bad1", "no", "A", "nO", "c", "CD"):
            self.same(text, host)
        self.same('Host "quoted"\n Port 1\n', "quoted")
        self.same('Host one"two"\n Port 1\n', "onetwo")
        self.same("HOST=h\n\tport=1\n", "h")
        self.same("Host !a\n Port 1\n", "b")
        self.same("Host a,b\n Port 1\n", "a")
        self.same("Host a # b\n Port 1\n", "b")

    def test_match(self):
        me = ME
        for text in ("Match all", "Match !all", "Match host host", "Match host HOST", "Match host a,h*,!x", "Match host !host,*",
                     "Match !host host", "Match originalhost host", "Match host real", f"Match localuser {me}",
                     "Match localuser no*", f"Match user {me}", "Match user x,y", "Match !user x", "Match canonical",
                     "Match final", "Match !final", "Match !canonical", "Match final all", "Match canonical all",
                     "Match host host user x", "Match host host !user x", "Match exec true",
                     "Match exec false", "Match !exec false", 'Match exec "test %h = host"', 'Match exec "test %n%p%u = x"',
                     'Match exec "test %r = x" host host', "Match host nobody exec /does/not/exist",
                     'Match exec "exit 3"', 'Match host host # all', "Match host h?st,b originalhost h*"):
            for before in ("", "HostName real\nUser x\n"):
                self.same(f"{before}{text}\n Port 99\n Compression yes\nHost *\n ServerAliveInterval 5\n")

    def test_match_of_newer_versions(self):
        if not root: # OpenSSH 9.2 knows none of these
            return
        for text in ("Match localnetwork 127.0.0.0/8", "Match localnetwork 192.0.2.0/24",
                     "Match !localnetwork 192.0.2.0/24", "Match tagged t1", 'Match tagged ""', "Match tagged t*", 'Match command ""', "Match command upt*",
                     "Match sessiontype shell", "Match sessiontype exec,none", "Match sessiontype none",
                     "Match sessiontype subsystem", 'Match !command ""', "Match version none-such",
                     "Match sessiontype !exec,*"):
            text += "\n Port 99\n"
            self.same(text)
            self.same(text, "host", "-P", "t1")
            self.same("Tag t1\n" + text)
            self.same(text, "host", "-N")
            config = self.path(text)
            results = []
            for p in ("ssh", str(NACRE_SSH)):
                results.append(subprocess.run([*(enter if p == "ssh" else []), p, "-G", "-F", str(config), "host", "uptime"],
                                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=DEADLINE))
            self.assertEqual(*[re.search("^port .*", r.stdout, re.M).group() for r in results], text)

    def test_include(self):
        d = self.dir
        (d / "inc").mkdir(exist_ok=True)
        for i, text in enumerate(("Host one\n Port 11\n", "Host two\n Port 12\nHost *\n", "User inner\n")):
            (d / "inc" / f"{i}.conf").write_text(text)
        (d / "inc" / "host.only").write_text("Compression yes\n")
        (d / "inc" / "deep").write_text(f"Include {d}/inc/2.conf {d}/inc/0.conf\nConnectTimeout 3\n")
        (d / "inc" / "match").write_text("Match host one\n ServerAliveInterval 1\nMatch all\n ServerAliveCountMax 2\n")
        for host in ("one", "two", "three"):
            for text in (f"Include {d}/inc/*.conf\nPort 1\nUser outer\n", f"Host one\n Include {d}/inc/*.conf\nHost *\n Port 2\n",
                         f"Include {d}/inc/%h.only\n", f"Include {d}/inc/host.on*\n", f"Include {d}/inc/none* {d}/inc/deep\n",
                         f"Host two\n Include {d}/inc/deep\n Port 5\n", f"Include {d}/inc/match\nPort 6\n",
                         f"Match host one\n Include {d}/inc/match\nHost *\n Port 7\n", "Include no/such/file/anywhere\n",
                         f'Include "{d}/inc/0.conf" {d}/inc/[12].conf\n'):
                self.same(text, host)
        self.same(f"Include {d}/${{FOO}}/x {d}/i${{EN}}c/2.conf\n", "one", env={"EN": "n"[:0] + "n"[1:]})

    def test_lines_and_quotes(self):
        for text in ("Port 1\r\nUser x\r\n", "Port\t=\t1\n", "Port=1", 'User "a b"\n', "User 'a b'\n", "User a\\ b\n",
                     'User a"b c"d\n', "User a\\\\b\n", 'User "a\\"b"\n', "User a#b\n", "User a #b\n", "  Port   1   \n",
                     "User x\f\n", 'User "a # b"\n', "SendEnv 'A' \"B\"\n", "UserKnownHostsFile '/a b' /c\\ d\n",
                     "IgnoreUnknown foo,Bar*\nFoo 1\nBarrel \"x\" y\n", "IdentityFile 'a'\\''b'\n", "User a\\nb\n"):
            self.same(text)

    def test_long_lines(self):
        self.same("SendEnv " + " ".join(f"VARIABLE_{i}" for i in range(300)) + "\n")
        self.same("User " + "u" * 200 + "\n# " + "x" * 30000 + "\n")


class Canonical(Comparison):
    """With names that resolve without a network."""

    def test_off(self):
        self.same("CanonicalDomains example\nMatch canonical\n Port 1\n", "localhost")
        self.same("", "LOCALHOST")
        self.same("", "Host.EXAMPLE")

    def test_addresses(self):
        for host in ("127.0.0.1", "::1", "0:0::1", "127.1", "FE80::1", "010.1.1.1", "1.2.3", "::ffff:127.0.0.1"):
            self.same("Host 127.*\n Port 1\nHost ::1\n Port 2\n", host)
            self.same("CanonicalizeHostname yes\nHost 127.*\n Port 1\nHost ::1\n Port 2\n", host)
        self.same("HostName 127.1\nMatch final host 127.0.0.1\n Port 5\n")
        self.same("HostName ::0001\n")

    def test_on(self):
        rules = ("CanonicalizeHostname yes\nCanonicalDomains {}\n{}Host localhost\n User short\nHost localhost.localdomain\n"
                 " User long\nMatch canonical\n ServerAliveInterval 9\nMatch final host localhost*\n ServerAliveCountMax 7\n")
        for domains in ("localdomain", "no-such-domain.invalid", "none", "no-such-domain.invalid localdomain"):
            for more in ("", "CanonicalizeMaxDots 0\n", "ProxyCommand x\n", "ProxyJump j\n", "ProxyCommand none\n"):
                for host in ("localhost", "LocalHost", "localhost.", "a.b.localhost"):
                    self.same(rules.format(domains, more), host)
        self.same("CanonicalizeHostname always\nCanonicalDomains localdomain\nProxyCommand x\nMatch canonical\n Port 3\n",
                  "localhost")

    def test_only_the_final_pass(self):
        self.same("Match final\n Port 1\nMatch !final\n User x\nHost *\n Port 2\n")
        self.same("Port 3\nMatch final\n Port 1\n IdentityFile b\nMatch all\n IdentityFile a\nSendEnv A\n")
        self.same("HostName real.example\nMatch final host real.example\n Port 8\nHost real.example\n User y\n")
        self.same("Match final !host host\n Port 8\n")

    def test_nothing_found(self):
        self.both_refuse("CanonicalizeHostname yes\nCanonicalizeFallbackLocal no\nCanonicalDomains invalid\n", "nothing-here")
        self.same("CanonicalizeHostname yes\nCanonicalDomains invalid\nMatch canonical\n Port 1\n", "nothing-here")


class Bad(Comparison):
    """An error that names file, line and reason."""

    def test_lines(self):
        for text in ("NoSuchKeyword 1", "Port", "Port 0", "Port 65536", "Port x", "Port 1 2", "User", 'User ""', "User a b",
                     'User "a', "User 'a", "BatchMode maybe", "BatchMode", "ConnectTimeout 1x", "ConnectTimeout -1",
                     "ServerAliveCountMax 1.5", "ServerAliveCountMax 99999999999", "RekeyLimit 1", "RekeyLimit 1G x",
                     "RekeyLimit 1G 1h x", "StrictHostKeyChecking perhaps", "LogLevel LOUD", "SyslogFacility X", "IPQoS x",
                     "IPQoS ef ef ef", "EscapeChar ab", "EscapeChar ^ab", "StreamLocalBindMask 8", "StreamLocalBindMask 1000",
                     "TunnelDevice x", "ControlPersist x", "AddKeysToAgent x", "AddKeysToAgent confirm x",
                     "AddKeysToAgent yes 5m", "SetEnv A", "SetEnv", "SendEnv A=B", "SendEnv", "Host", 'Host ""',
                     "Match", "Match host", "Match nonsense x", 'Match host ""', "Match all host x", "Match user",
                     "Match localnetwork nonsense", "Match localnetwork 10.1.2.3/8", "Match exec", "Match host 'x",
                     "Match canonical all x", "Include", 'Include ""', "CanonicalDomains a..b", "CanonicalDomains",
                     "CanonicalDomains none a", "CanonicalizePermittedCNAMEs a", "CanonicalizePermittedCNAMEs a:",
                     "CanonicalizeHostname x", "UserKnownHostsFile none a", "GlobalKnownHostsFile a none",
                     "PermitRemoteOpen any a:1", "PermitRemoteOpen a", "PermitRemoteOpen a:x", "LocalForward 1",
                     "LocalForward x h:1", "LocalForward 1 h", "LocalForward 1 h:x", "LocalForward 0 h:1", "RemoteForward x",
                     "DynamicForward x", "DynamicForward 1 2", "ProxyJump", "ProxyJump a,,b", "ProxyJump a,", "ProxyJump a:x",
                     "ProxyCommand", "ProxyCommand 'x", "IdentityAgent ${NOT_SET_HERE}", "IdentityAgent $a/b",
                     "ConnectionAttempts 0", "ControlPath %x", "ControlPath ${NOT_SET_HERE}", "RemoteCommand %T",
                     "UserKnownHostsFile %q", "HostName %p", "Match exec %q", "ObscureKeystrokeTiming interval:0",
                     "FingerprintHash crc", "GlobalKnownHostsFile " + "a " * 40):
            err, config = self.both_refuse(f"# first\nCompression yes\n{text}\n")
            if not text.startswith(("ConnectionAttempts", "ControlPath", "RemoteCommand", "UserKnownHostsFile %", "HostName %")):
                self.assertIn(f"{config}:3: ", err, text)
            self.both_refuse(f"Host elsewhere\n {text}\n") if text.startswith(("NoSuch", "Port", "User ", "BatchMode", "SetEnv")) else None

    def test_options(self):
        for option in ("Host=x", "Match=all", "Include=x", "NoSuch=1", "Port", "Port="):
            self.both_refuse("", "host", "-o", option)
        for option in ("", "=x", "="): # ssh passes over them
            self.assertEqual(show("nacre", "none", ["-o", option], "host").returncode, 255)

    def test_loops(self):
        loop = self.dir / "loop"
        loop.write_text(f"Include {loop}\n")
        err, _ = self.both_refuse(f"Include {loop}\n")
        self.assertIn(f"{loop}:1: Include goes too deep", err)
        for i in range(2):
            (self.dir / f"loop{i}").write_text(f"Port 1\nInclude {self.dir}/loop{1 - i}\n")
        self.both_refuse(f"Include {self.dir}/loop0\n")

    def test_a_file_that_others_may_write(self):
        inner = self.dir / "writable"
        inner.write_text("Port 1\n")
        for mode in (0o666, 0o646): # Debian's ssh takes what a group of one may write
            os.chmod(inner, mode)
            err, _ = self.both_refuse(f"Include {inner}\n")
            self.assertIn("Bad owner or permissions", err)
        os.chmod(inner, 0o644)
        self.same(f"Include {inner}\n")

    def test_only_ours(self):
        """What ssh makes something of and is no configuration."""
        for text, why in ((b"User a\0b\n", "zero byte"), (b"# " + b"x" * (1 << 20) + b"\n", "too large"),
                          (b"User " + b"x" * 70000 + b"\n", "too long"), (b"= x\n", "no keyword")):
            result = show("nacre", self.path(text), [], "host")
            self.assertEqual((result.returncode, result.stdout), (255, ""), text[:20])
            self.assertIn(why, result.stderr)
        self.assertEqual(show("nacre", self.dir / "not there", [], "host").returncode, 255)

    def test_names(self):
        for host in ("-x", "a;b", "a|b", "a&b", "a`b", "a$b", "a(b", "a<b", "a>b", "a{b", "a'b", 'a"b', "a\\b", "a b",
                     "a\nb", "a\tb", "a\x01b", "ssh://a%0ab@h", "ssh://a;b@", "", "x@", "@x"):
            result = show("nacre", "none", ["--"] if host.startswith("-") else [], host)
            self.assertEqual(result.returncode, 255, host)
        for user in ("-x", "a;b", "a|b", "a&b", "a`b", "a(b", "a<b", "a>b", "a{b", "a'b", 'a"b', "a\nb", "a\x7fb", "a -b",
                     "a\\"):
            result = show("nacre", "none", [], f"{user}@host")
            self.assertEqual(result.returncode, 255, user)
            result = show("nacre", "none", ["-l" + user], "host")
            self.assertEqual(result.returncode, 255, user)
        self.same("", "DOMAIN\\me@host")
        self.same("", "me@corp@host")

    def test_refused_connections(self):
        if root:
            self.both_refuse("Match host host\nRefuseConnection go away\n")
        err, config = self.path("x"), self.path("Match host host\n RefuseConnection \"go away\"\n")
        result = show("nacre", config, [], "host")
        self.assertIn(f"{config}:2: RefuseConnection: go away", result.stderr)
        self.assertEqual(show("nacre", config, [], "other").returncode, 0)


class Programs(unittest.TestCase):
    """ProxyCommand, LocalCommand and the like, with a real server behind them."""

    @classmethod
    def setUpClass(cls):
        global place
        place = Place()
        cls.server = openssh_server(place, "AcceptEnv A* LC_*")
        cls.relay = place.path("relay")
        cls.relay.write_text(RELAY)
        cls.passer = place.path("passer")
        cls.passer.write_text(PASSER)

    def go(self, *command, options=(), args=(), **kwargs):
        return ssh(NACRE_SSH, place, self.server, *command, options=options, args=args, **kwargs)

    def command(self, *more):
        return f"/usr/bin/python3 {self.relay} %h %p" + "".join(f" {m}" for m in more)

    def test_words_without_a_shell(self):
        seen = place.fresh("seen")
        data = os.urandom(300_000)
        result = self.go("cat", options=[f"ProxyCommand={self.command('%r', '%n', '%%', seen)}"], stdin=data, check=0)
        self.assertEqual(result.stdout, data)
        self.assertEqual(seen.read_text().split("\n"), ["127.0.0.1", str(self.server.port), ME, "127.0.0.1", "%", str(seen),
                                                       "parent nacre-ssh"])

    def test_text_that_needs_a_shell(self):
        for text in (f"/usr/bin/python3 '{self.relay}' %h \"%p\"", f"/usr/bin/python3 {self.relay} %h %p | cat", f"exec /usr/bin/python3 {self.relay} $NACRE_HOST %p",
                     f"env X=$NACRE_HOST /usr/bin/python3 {self.relay} %h %p"):
            result = self.go("echo fine", options=[f"ProxyCommand={text}"], env={"NACRE_HOST": "127.0.0.1"}, check=0)
            self.assertEqual(result.stdout, b"fine\n", text)

    def test_sftp(self):
        there = make_file(place.fresh("there"), 100_000)
        back = place.fresh("back")
        sftp(NACRE_SFTP, place, self.server, [f"get {there} {back}"], options=[f"ProxyCommand={self.command()}"], check=0)
        self.assertEqual(digest(there), digest(back))

    def test_a_descriptor_handed_over(self):
        result = self.go("echo $SSH_CONNECTION", check=0,
                         options=[f"ProxyCommand=/usr/bin/python3 {self.passer} %h %p", "ProxyUseFdpass=yes"])
        self.assertEqual(result.stdout.split()[3], b"%d" % self.server.port)

    def test_commands_that_fail(self):
        for command, fd, text in (("/bin/sh -c 'exit 7'", "no", "exited with status 7"), ("/bin/false", "no", "exited with status 1"),
                                  ("/bin/sh -c 'kill -9 $$'", "no", "ended by signal KILL"), ("/no/such/program %h", "no", "cannot start"),
                                  ("/bin/true", "yes", "without passing a descriptor"), ("/bin/echo x", "yes", "sent data where a descriptor"),
                                  ("/bin/echo not SSH at all", "no", "exited with status 0"), ("%q", "no", "%q is not a token"),
                                  ("/bin/sh -c 'echo to-stderr >&2; exit 1'", "no", "to-stderr")):
            result = self.go("true", options=[f"ProxyCommand={command}", f"ProxyUseFdpass={fd}"])
            self.assertEqual((result.returncode, result.stdout), (255, b""), command)
            self.assertIn(text, result.stderr.decode(), command)

    def test_none(self):
        config = place.fresh("config")
        config.write_text("Host *\n ProxyCommand /bin/false\n")
        self.go("true", options=["ProxyCommand=none"], args=["-F", config], check=0)

    def test_the_child_ends_with_the_connection(self):
        sign, pid = place.fresh("sign"), place.fresh("pid")
        known = place.known_hosts(self.server.port)
        with subprocess.Popen([str(NACRE_SSH), "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}", "-i",
                               str(place.keys["ed25519"]), "-o", "WarnWeakCrypto=no", "-p", str(self.server.port), "-o",
                               f"ProxyCommand={self.command(f'PID={pid}')}", f"{ME}@127.0.0.1", f"touch {sign}; exec sleep 1000"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
            try:
                wait_until(sign.exists, "the command to run")
                child = int(pid.read_text())
                p.terminate()
                p.communicate(timeout=DEADLINE)
            finally:
                p.kill()
        wait_until(lambda: not pathlib.Path(f"/proc/{child}").exists() or
                   "Z" == pathlib.Path(f"/proc/{child}/stat").read_text().split(")")[1].split()[0], "the proxy command to end")

    def test_names_that_are_more_than_names(self):
        """CVE-2023-51385, CVE-2025-61984, CVE-2025-61985: nothing of it comes to a command."""
        sign = place.fresh("sign")
        evil = [f"`touch {sign}`", f"$(touch {sign})", f"x;touch {sign}", f"x|touch {sign}", f"x&touch {sign}", f"x\ntouch {sign}",
                f"x'touch {sign}'", f'x"touch {sign}"', f"-oProxyCommand=touch {sign}", f"x>{sign}", f"x<{sign}", "x\0y"[:1] + "\x01",
                f"x{{touch,{sign}}}", f"(touch {sign})", f"x\\"]
        for shell in ("", '"/usr/bin/env" '):
            for name in evil:
                targets = [f"{name}@127.0.0.1", name if "/" not in name else name.replace("/", ""), f"ssh://{name}@127.0.0.1"]
                for target in targets[:1] if shell else targets:
                    result = run([NACRE_SSH, "-F", "none", "-o", "BatchMode=yes", "-o", f"ProxyCommand={shell}/bin/echo %r %h %n", "--",
                                  target, "true"])
                    self.assertEqual(result.returncode, 255, target)
                    self.assertFalse(sign.exists(), target)
        # The same from a configuration, where ssh trusts what stands there: it must not reach a shell either.
        for line in (f"User x$(touch {sign})", f"User `touch {sign}`", f"HostName $(touch {sign})", f'HostName "x;touch {sign}"',
                     f"HostKeyAlias `touch {sign}`", 'User "a b"', "User -x", 'HostName "-x y"'):
            for keyword in ('ProxyCommand "/bin/echo" %r %h', "PermitLocalCommand yes\nLocalCommand echo %r %h %k",
                            'Match exec "echo %r %h %k"\nPort 1', "KnownHostsCommand /bin/echo %r %h %k", "RemoteCommand echo %r %h %k"):
                config = place.fresh("config")
                config.write_text(f"{line}\nIdentityFile none\n{keyword}\n")
                result = run([NACRE_SSH, "-F", config, "-o", "BatchMode=yes", "-p", free_port(), "127.0.0.1"])
                self.assertEqual(result.returncode, 255, (line, keyword))
                self.assertFalse(sign.exists(), (line, keyword))

    def test_local_command(self):
        out = place.fresh("out")
        options = [f"LocalCommand=echo %h %n %p %r %u %t %T > {out}"]
        self.go("true", options=options, check=0)
        self.assertFalse(out.exists())
        self.go("true", options=[*options, "PermitLocalCommand=yes"], check=0)
        words = out.read_text().split()
        self.assertEqual(words[:5], ["127.0.0.1", "127.0.0.1", str(self.server.port), ME, ME])
        self.assertRegex(words[5], "^(ssh|ecdsa)-")
        self.assertEqual(words[6], "NONE")

    def test_match_exec(self):
        config = place.fresh("config")
        for answer, status in (("true", 3), ("false", 4)):
            config.write_text(f"Match exec \"{answer}\"\n RemoteCommand exit 3\nMatch all\n RemoteCommand exit 4\n")
            self.assertEqual(self.go(args=["-F", config]).returncode, status)

    def test_environment(self):
        result = self.go("env", options=["SetEnv=A1=one A2=\"two words\"", "SendEnv=A? LC_X AB", "SendEnv=-AB -LC_*"],
                         env={"A3": "three", "AB1": "four", "LC_X": "x", "B": "b"}, check=0)
        lines = set(result.stdout.decode().split("\n"))
        self.assertLessEqual({"A1=one", "A2=two words", "A3=three"}, lines)
        self.assertFalse({"AB1=four", "LC_X=x", "B=b"} & lines)

    def test_session_keywords(self):
        self.assertEqual(self.go("cat", options=["StdinNull=yes"], stdin=b"x", check=0).stdout, b"")
        self.assertEqual(self.go(options=["RemoteCommand=echo %h-%r"], check=0).stdout.decode(), f"127.0.0.1-{ME}\n")
        self.assertEqual(self.go("x", options=["RemoteCommand=y"]).returncode, 255)
        self.assertEqual(self.go("echo a", options=["VersionAddendum=hello %u"], check=0).stdout, b"a\n")
        result = self.go("true", options=["RefuseConnection=\"not today\""])
        self.assertEqual((result.returncode, b"RefuseConnection: not today" in result.stderr), (255, True))
        result = self.go("true", options=["ObscureKeystrokeTiming=yes"], check=0)
        self.assertIn(b"ObscureKeystrokeTiming yes is not supported", result.stderr)
        for bad in ("Tunnel=yes", "PKCS11Provider=x"):
            self.assertEqual(self.go("true", options=[bad]).returncode, 255, bad)

    def test_in_the_background(self):
        """The program ends at once; what it started goes on."""
        begun, go_on, done = place.fresh("begun"), place.fresh("go"), place.fresh("done")
        out = place.fresh("out")
        known = place.known_hosts(self.server.port)
        with open(out, "wb") as o:
            status = subprocess.run([str(NACRE_SSH), "-f", "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={known}",
                                     "-i", str(place.keys["ed25519"]), "-o", "WarnWeakCrypto=no", "-p", str(self.server.port),
                                     f"{ME}@127.0.0.1",
                                     f"touch {begun}; while ! test -e {go_on}; do sleep 0.05; done; echo late; touch {done}"],
                                    stdin=subprocess.DEVNULL, stdout=o, stderr=subprocess.DEVNULL, timeout=DEADLINE).returncode
        self.assertEqual(status, 0)
        self.assertFalse(done.exists())
        go_on.touch()
        wait_until(done.exists, "the command in the background")
        wait_until(lambda: out.read_text() == "late\n", "its output")
        self.assertEqual(self.go(args=["-f"]).returncode, 255)

    def test_jumps_through_proxy_commands(self):
        """The first of two hops is reached by a program; tokens in the list of hops."""
        two, target = openssh_server(place), nacre_server(place)
        known = place.fresh("known")
        known.write_text("".join(place.known_hosts(s.port).read_text() for s in (self.server, two, target)))
        config = place.fresh("config")
        config.write_text(f"Host first\n ProxyCommand {self.command()}\n Port {self.server.port}\nHost second\n Port {two.port}\n"
                          f"Host target\n Port {target.port}\n ProxyJump first,%r@second\n"
                          f"Host *\n HostName 127.0.0.1\n User {ME}\n IdentityFile {place.keys['ed25519']}\n"
                          f" UserKnownHostsFile {known}\n StrictHostKeyChecking yes\n BatchMode yes\n WarnWeakCrypto no\n")
        before = [s.text().count("Accepted publickey") for s in (self.server, two)]
        result = run([NACRE_SSH, "-F", config, "target", "echo $SSH_CONNECTION"], check=0)
        self.assertEqual(result.stdout.split()[3], b"%d" % target.port)
        after = [s.text().count("Accepted publickey") for s in (self.server, two)]
        self.assertEqual([a - b for a, b in zip(after, before)], [1, 1])
        # The same chain as a call of the library, and one that breaks.
        drive = [BUILD / "tests/interop/drive_jump", ME, place.keys["ed25519"], known, "echo $SSH_CONNECTION"]
        result = run([*drive, self.server.port, two.port, target.port], check=0)
        self.assertEqual(result.stdout.split()[3], b"%d" % target.port)
        self.assertEqual([s.text().count("Accepted publickey") - a for s, a in zip((self.server, two), after)], [1, 1])
        self.assertEqual(run([*drive, target.port], check=0).stdout.split()[3], b"%d" % target.port)
        broken = run([*drive, self.server.port, free_port(), target.port], check=1)
        self.assertIn(b"CHANNEL_REFUSED", broken.stderr)


RELAY = '''
import os, socket, sys, threading
args = sys.argv[1:]
with socket.create_connection((args[0], int(args[1]))) as s:
    for a in args[2:]:
        if a.startswith("PID="):
            with open(a[4:], "w") as f:
                f.write(str(os.getpid()))
    if len(args) > 5:
        with open(f"/proc/{os.getppid()}/comm") as f:
            parent = f.read().strip()
        with open(args[5], "w") as f:
            f.write("\\n".join(args + ["parent " + parent]))
    def up():
        while data := os.read(0, 65536):
            s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    threading.Thread(target=up, daemon=True).start()
    while data := s.recv(65536):
        while data:
            data = data[os.write(1, data):]
'''
PASSER = '''
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
out = socket.socket(fileno=1)
socket.send_fds(out, [b"x"], [s.fileno()])
'''


del Comparison
if root: # there is nothing of it in Programs
    del Programs
if __name__ == "__main__":
    main()
