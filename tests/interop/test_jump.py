"""-J and ProxyJump: through one and two OpenSSH servers to nacre-sshd and to a third OpenSSH server, by nacre-ssh and
nacre-sftp, with the hosts named on the command line, as URIs, and in the configuration."""
import os
import subprocess
import unittest

from harness import *

place = one = two = target = config = None


def setUpModule():
    global place, one, two, target, config
    place = Place()
    one, two = openssh_server(place), openssh_server(place, "PermitOpen 127.0.0.1:*")
    target = nacre_server(place, "AllowTcpForwarding no")
    known = place.path("known_hosts_of_all")
    known.write_text("".join(place.known_hosts(s.port).read_text() for s in (one, two, target)))
    closed = free_port()
    config = place.path("ssh_config")
    config.write_text(
        section("one", one.port) + section("two", two.port) + section("target", target.port)
        + section("through", target.port, "ProxyJump one,two") + section("itself", one.port, "ProxyJump itself")
        + section("round", one.port, "ProxyJump about") + section("about", two.port, "ProxyJump round")
        + section("nobody", closed) + section("stranger", two.port, "UserKnownHostsFile /dev/null")
        + f"Host *\n User {ME}\n IdentityFile {place.keys['ed25519']}\n UserKnownHostsFile {known}\n"
        "GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n BatchMode yes\n WarnWeakCrypto no\n")


def section(name, port, *lines):
    return "\n ".join([f"Host {name}", "HostName 127.0.0.1", f"Port {port}", *lines]) + "\n"


def ours(*args, **kwargs):
    return run([NACRE_SSH, "-F", config, *args], **kwargs)


def logins(server):
    return server.text().count("Accepted publickey")


class Jump(unittest.TestCase):
    def through(self, hops, *args, check=0):
        """Runs a command at the target; asserts that just the servers named in hops were logged in to."""
        before = [logins(s) for s in (one, two)]
        result = ours(*args, "echo $SSH_CONNECTION", check=check)
        self.assertEqual([logins(s) - b for s, b in zip((one, two), before)], hops, args)
        if check == 0:
            self.assertEqual(result.stdout.split()[2:], [b"127.0.0.1", b"%d" % target.port], args)
        return result

    def test_one_hop(self):
        self.through([1, 0], "-J", "one", "target")

    def test_two_hops_in_order(self):
        self.through([1, 1], "-J", "one,two", "target")
        self.through([1, 1], "-J", "two,one", "target")

    def test_names_with_user_and_port(self):
        self.through([1, 0], "-J", f"{ME}@127.0.0.1:{one.port}", "target")
        self.through([1, 1], "-J", f"{ME}@[127.0.0.1]:{one.port},ssh://{ME}@127.0.0.1:{two.port}", "target")

    def test_keyword(self):
        self.through([1, 1], "through")
        self.through([0, 1], "-o", "ProxyJump=two", "target")

    def test_none_and_an_earlier_value_switch_it_off(self):
        self.through([0, 0], "-J", "none", "through")
        self.through([0, 0], "-o", "ProxyCommand=none", "through")
        self.through([0, 1], "-J", "two", "through")

    def test_an_openssh_server_behind_two_hops(self):
        result = ours("-J", "two,one", "two", "echo $SSH_CONNECTION", check=0)
        self.assertEqual(result.stdout.split()[3], b"%d" % two.port)

    def test_bytes_both_ways(self):
        data = os.urandom(5_000_000)
        result = ours("-J", "one,two", "target", "cat", stdin=data, check=0)
        self.assertEqual(result.stdout, data)

    def test_status_of_the_command(self):
        self.assertEqual(ours("-J", "one", "target", "exit 37").returncode, 37)

    def test_sftp(self):
        source, back, there = place.fresh("sent"), place.fresh("back"), place.fresh("there")
        make_file(source, 3_000_000)
        batch = place.fresh("batch")
        batch.write_text(f"put {source} {there}\nget {there} {back}\n")
        before = logins(one)
        run([NACRE_SFTP, "-F", config, "-J", "one,two", "-b", batch, "target"], check=0)
        self.assertEqual(digest(back), digest(source))
        self.assertEqual(logins(one) - before, 1)


class Refused(unittest.TestCase):
    def refused(self, text, *args):
        result = ours(*args, "echo never")
        self.assertEqual((result.returncode, result.stdout), (255, b""), result.stderr)
        self.assertIn(text, result.stderr.decode(), args)

    def test_what_is_no_list_of_hosts(self):
        before = logins(one)
        for bad in ("-oProxyCommand=x", "one,,two", ",one", "one,", "one:0", "one:65536", "one:22x", "[::1", "a b",
                    "one;true", "$(true)", "`true`", "ssh://one/path", "ftp://one", "@one", "one,-l", "",
                    "-l@one", "one\n", "x" * 2000):
            self.refused("", "-J", bad, "target")
        self.assertEqual(logins(one), before)

    def test_a_way_without_end(self):
        self.refused("jumphost loop via", "itself")
        self.refused("lead back to itself", "round")

    def test_a_host_key_of_a_hop_that_is_not_known(self):
        self.refused("Host key verification failed", "-J", "stranger", "target")

    def test_a_hop_that_does_not_forward(self):
        self.refused("refused a direct-tcpip channel", "-J", "target", "one")

    def test_a_target_that_cannot_be_reached(self):
        self.refused("refused a direct-tcpip channel", "-J", "one", "nobody")
        self.refused("Connection refused", "-J", "nobody", "target")

    def test_a_hop_that_dies(self):
        hop = openssh_server(place)
        known = place.known_hosts(hop.port)
        extra = place.fresh("config")
        extra.write_text(section("dying", hop.port, f"UserKnownHostsFile {known}") + config.read_text())
        sign = place.fresh("sign")
        with subprocess.Popen([str(NACRE_SSH), "-F", str(extra), "-J", "dying", "target",
                               f"touch {sign}; exec sleep 1000"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
            try:
                wait_until(sign.exists, "the command to run")
                below = descendants(hop.process.pid)
                hop.stop()
                subprocess.run(["kill", "-KILL", *below], stderr=subprocess.DEVNULL)
                _, err = p.communicate(timeout=DEADLINE)
            finally:
                p.kill()
        self.assertEqual(p.returncode, 255, err)


def descendants(pid):
    """A session of sshd may be two processes, of which one has the sockets."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True).stdout.split()
    return found + [deeper for child in found for deeper in descendants(child)]


if __name__ == "__main__":
    main()
