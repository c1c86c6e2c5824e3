#!/usr/bin/python3
"""Other people's file clients against our server: whole trees up and down, compared byte by byte.

Each client is asked what its users ask of it. What a client itself cannot do (names with newlines, links)
is left out of its tree, not of the others'.
"""
import asyncio
import contextlib
import os
import shutil
import subprocess
import unittest
import warnings

import paramiko

from harness import *
from trees import *

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import asyncssh

NACRE_SFTP_SERVER = APPS / "nacre-sftp-server"
ALL_NAMES = ODD_NAMES + [NEWLINE, BAD_UTF8]
PLAIN_NAMES = [name for name in ODD_NAMES if not set(name) & set("\\*?[]\"'`\t~") and name.strip() == name]


def setUpModule():
    global place, server, theirs
    place = Place()
    server = nacre_server(place)
    theirs = openssh_server(place, sftp=NACRE_SFTP_SERVER)


class Trees(unittest.TestCase):
    maxDiff = None

    def same(self, want, got, **what):
        self.assertEqual(difference(snapshot(want, **what), snapshot(got, **what)), "")
        self.assertGreater(len(snapshot(got, **what)), 30)


class OpenSSH(Trees):
    def test_sftp_trees(self):
        source = make_tree(place.fresh("tree"), ALL_NAMES, links=False)
        for s in (server, theirs):
            up, down = place.fresh("up"), place.fresh("down")
            sftp("sftp", place, s, [f"put -rp {source} {up}", f"get -rp {up} {down}"], check=0)
            self.same(source, up, times=True)
            self.same(source, down, times=True)

    def test_scp_trees(self):
        """scp follows links: the tree has those that lead somewhere."""
        source = make_tree(place.fresh("tree"), ALL_NAMES, links=False)
        os.symlink("one", source / "link")
        options = client_options(place, server)
        up, down = place.fresh("up"), place.fresh("down")
        run(["scp", "-s", "-rp", "-P", server.port, *options, source, f"{ME}@127.0.0.1:{up}"], check=0)
        run(["scp", "-s", "-rp", "-P", server.port, *options, f"{ME}@127.0.0.1:{up}", down], check=0)
        (source / "link").unlink()
        shutil.copy2(source / "one", source / "link")
        self.same(source, up, times=True)
        self.same(source, down, times=True)

    def test_beyond_4_gib(self):
        """A sparse file, and what stands at its end."""
        source, down = place.fresh("sparse"), place.fresh("down")
        with open(source, "wb") as f:
            f.truncate((4 << 30) + 5)
            f.seek(4 << 30)
            f.write(b"tail!")
        # Only the part beyond: reget starts where the local file ends.
        with open(down, "wb") as f:
            f.truncate((4 << 30) - 70000)
        sftp("sftp", place, server, [f"reget {source} {down}"], check=0)
        self.assertEqual(os.path.getsize(down), (4 << 30) + 5)
        with open(down, "rb") as f:
            f.seek(4 << 30)
            self.assertEqual(f.read(), b"tail!")
        with open(down, "r+b") as f:
            f.truncate((4 << 30) - 100)
        sftp("sftp", place, server, [f"reput {source} {down}"], check=0)
        self.assertEqual(os.path.getsize(down), (4 << 30) + 5)


class Paramiko(Trees):
    def setUp(self):
        self.client = paramiko.SSHClient()
        self.client.load_host_keys(str(place.known_hosts(server.port)))
        self.client.connect("127.0.0.1", server.port, ME, key_filename=str(place.keys["ed25519"]),
                            allow_agent=False, look_for_keys=False, timeout=DEADLINE)
        self.ftp = self.client.open_sftp()

    def tearDown(self):
        self.client.close()

    def put(self, local, remote):
        self.ftp.mkdir(remote)
        for entry in os.scandir(os.fsencode(local)):
            to = os.fsencode(remote) + b"/" + entry.name
            st = entry.stat(follow_symlinks=False)
            if entry.is_symlink():
                self.ftp.symlink(os.readlink(entry.path), to)
            elif entry.is_dir():
                self.put(os.fsdecode(entry.path), to)
            else:
                with open(entry.path, "rb") as f:
                    self.ftp.putfo(f, to, confirm=True)
                self.ftp.chmod(to, st.st_mode & 0o7777)
                self.ftp.utime(to, (st.st_atime, st.st_mtime))
        self.ftp.chmod(remote, os.stat(local).st_mode & 0o7777)

    def get(self, remote, local):
        os.mkdir(local)
        for entry in self.ftp.listdir_attr(remote):
            source, to = f"{remote}/{entry.filename}", f"{local}/{entry.filename}"
            if stat.S_ISLNK(entry.st_mode):
                os.symlink(self.ftp.readlink(source), to)
            elif stat.S_ISDIR(entry.st_mode):
                self.get(source, to)
            else:
                self.ftp.get(source, to)
                os.chmod(to, entry.st_mode & 0o7777)
                os.utime(to, (entry.st_atime, entry.st_mtime))
        os.chmod(local, self.ftp.stat(remote).st_mode & 0o7777)

    def test_trees(self):
        source = make_tree(place.fresh("tree"), ODD_NAMES + [NEWLINE], wide=50)
        up, down = place.fresh("up"), place.fresh("down")
        self.put(str(source), str(up))
        self.same(source, up, times=True)
        self.get(str(up), str(down))
        self.same(source, down, times=True)

    def test_listing_of_a_wide_directory(self):
        wide = place.fresh("wide")
        wide.mkdir()
        for i in range(5000):
            (wide / f"{i:04}").touch()
        self.assertEqual(sorted(self.ftp.listdir(str(wide))), [f"{i:04}" for i in range(5000)])


class AsyncSSH(Trees):
    async def connect(self, stack):
        connection = await stack.enter_async_context(asyncssh.connect(
            "127.0.0.1", server.port, username=ME, client_keys=[str(place.keys["ed25519"])],
            known_hosts=str(place.known_hosts(server.port)), config=None, agent_path=None))
        return await stack.enter_async_context(connection.start_sftp_client(path_errors="surrogateescape"))

    def test_trees(self):
        # It sets the times of what a link points to, which may not be there yet: no links.
        source = make_tree(place.fresh("tree"), ALL_NAMES, links=False)
        up, down = place.fresh("up"), place.fresh("down")

        async def both():
            async with contextlib.AsyncExitStack() as stack:
                ftp = await self.connect(stack)
                await ftp.put(str(source), str(up), preserve=True, recurse=True)
                await ftp.get(str(up), str(down), preserve=True, recurse=True)

        asyncio.run(both())
        self.same(source, up, times=True)
        self.same(source, down, times=True)

    def test_extensions(self):
        path, link = place.fresh("file"), place.fresh("hard")

        async def ask():
            async with contextlib.AsyncExitStack() as stack:
                ftp = await self.connect(stack)
                async with ftp.open(str(path), "wb") as f:
                    await f.write(b"12345")
                    await f.fsync()
                    self.assertGreater((await f.statvfs()).bsize, 0)
                await ftp.link(str(path), str(link))
                await ftp.posix_rename(str(link), str(path))
                self.assertGreater((await ftp.statvfs(str(place.dir))).blocks, 0)
                self.assertEqual(await ftp.glob(str(place.dir) + "/file.*"), [str(path)])

        asyncio.run(ask())
        self.assertEqual(path.read_bytes(), b"12345")


class PuTTY(Trees):
    @classmethod
    def setUpClass(cls):
        cls.key = place.fresh("putty.ppk")
        subprocess.run(["puttygen", place.keys["ed25519"], "-o", cls.key, "-O", "private"], check=True)
        cls.fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", place.dir / "host_ed25519.pub"], check=True,
                                         capture_output=True, text=True).stdout.split()[1]
        cls.source = make_tree(place.fresh("tree"), PLAIN_NAMES, links=False, wide=100)

    def args(self, program):
        return [program, "-batch", "-hostkey", self.fingerprint, "-i", self.key, "-P", server.port]

    def test_psftp(self):
        up, down, script = place.fresh("up"), place.fresh("down"), place.fresh("script")
        script.write_text(f"mkdir {up}\nput -r {self.source} {up}\nget -r {up} {down}\nquit\n")
        run([*self.args("psftp"), "-b", script, f"{ME}@127.0.0.1"], env={"HOME": str(place.dir)}, check=0)
        self.same(self.source, up, modes=False)
        self.same(self.source, down, modes=False)

    def test_pscp(self):
        up, down = place.fresh("up"), place.fresh("down")
        up.mkdir()
        down.mkdir()
        home = {"HOME": str(place.dir)}
        run([*self.args("pscp"), "-sftp", "-r", "-p", "-q", self.source, f"{ME}@127.0.0.1:{up}"], env=home, check=0)
        run([*self.args("pscp"), "-sftp", "-r", "-p", "-q", f"{ME}@127.0.0.1:{up}/{self.source.name}", down], env=home,
            check=0)
        self.same(self.source, up / self.source.name, modes=False)
        self.same(self.source, down / self.source.name, modes=False)


class Curl(unittest.TestCase):
    def curl(self, *args, **kwargs):
        known = place.known_hosts(server.port)
        public = f"{place.keys['ed25519']}.pub"
        home = place.fresh("home")
        (home / ".ssh").mkdir(parents=True)
        shutil.copy(known, home / ".ssh" / "known_hosts")
        return run(["curl", "-sS", "--key", place.keys["ed25519"], "--pubkey", public, "-u", f"{ME}:", *args],
                   env={"HOME": str(home)}, **kwargs)

    def url(self, path):
        return f"sftp://127.0.0.1:{server.port}{path}"

    def test_put_get_range_and_quote(self):
        source = make_file(place.fresh("curl"), 5_000_001)
        where, down = place.fresh("where"), place.fresh("down")
        self.curl("-T", source, "--ftp-create-dirs", self.url(f"{where}/a/b/file"), check=0)
        self.assertEqual(digest(where / "a/b/file"), digest(source))
        self.curl("-o", down, self.url(f"{where}/a/b/file"), check=0)
        self.assertEqual(digest(down), digest(source))
        part = self.curl("-r", "1000-1999", self.url(f"{where}/a/b/file"), check=0).stdout
        self.assertEqual(part, source.read_bytes()[1000:2000])
        self.curl("-Q", f"rename {where}/a/b/file {where}/a/moved", "-Q", f"mkdir {where}/new", "-Q",
                  f"chmod 600 {where}/a/moved", "-o", down, self.url(f"{where}/a/moved"), check=0)
        self.assertEqual(digest(down), digest(source))
        self.assertEqual(os.stat(where / "a/moved").st_mode & 0o777, 0o600)
        listing = self.curl(self.url(f"{where}/"), check=0).stdout.decode()
        for name in ("a", "new"):
            self.assertRegex(listing, rf"(?m)\s{name}( ->|$)")

    def test_resumed_upload(self):
        source = make_file(place.fresh("curl"), 300_000)
        up = place.fresh("up")
        up.write_bytes(source.read_bytes()[:100_000])
        self.curl("-T", source, "-C", "100000", self.url(str(up)), check=0)
        self.assertEqual(digest(up), digest(source))


class Lftp(Trees):
    def lftp(self, commands):
        options = " ".join(client_options(place, server))
        script = f"set sftp:connect-program 'ssh -a -x {options}'; set cmd:fail-exit yes; set net:max-retries 1; " \
                 f"open -u {ME}, -p {server.port} sftp://127.0.0.1; {commands}"
        home = place.fresh("home")
        home.mkdir()
        return run(["lftp", "--norc", "-c", script], env={"HOME": str(home), "LC_ALL": "C.UTF-8"}, check=0)

    def test_mirror_both_ways(self):
        source = make_tree(place.fresh("tree"), [n for n in ODD_NAMES if "\\" not in n], wide=100)
        shutil.rmtree(source / "links")
        up, down = place.fresh("up"), place.fresh("down")
        self.lftp(f"mirror -R -P 4 {source} {up}; mirror -P 4 {up} {down}")
        self.same(source, up)
        self.same(source, down)


class Rclone(Trees):
    def rclone(self, *args):
        home = place.fresh("home")
        home.mkdir()
        return run(["rclone", "--config", home / "none", "--sftp-host", "127.0.0.1", "--sftp-port", server.port,
                    "--sftp-user", ME, "--sftp-key-file", place.keys["ed25519"], "--sftp-known-hosts-file",
                    place.known_hosts(server.port, ["ed25519", "rsa", "ecdsa256"]), *args], env={"HOME": str(home)}, check=0)

    def test_sync_and_check(self):
        source = make_tree(place.fresh("tree"), [n for n in ODD_NAMES if n.strip() == n and "\t" not in n],
                           links=False, wide=100)
        up, down = place.fresh("up"), place.fresh("down")
        self.rclone("sync", "--create-empty-src-dirs", source, f":sftp:{up}")
        self.rclone("check", "--download", source, f":sftp:{up}")
        (up / "one").write_bytes(b"2")
        (up / "superfluous").write_bytes(b"")
        self.rclone("sync", "--create-empty-src-dirs", source, f":sftp:{up}")
        self.rclone("copy", "--create-empty-src-dirs", f":sftp:{up}", down)
        self.same(source, up, modes=False, times=True)
        self.same(source, down, modes=False, times=True)


class Sshfs(Trees):
    """A mounted server: what programs do with files, through the kernel."""

    def setUp(self):
        self.at = place.fresh("mount")
        self.at.mkdir()
        base = place.fresh("base")
        base.mkdir()
        self.base = base
        options = []
        for option in (f"UserKnownHostsFile={place.known_hosts(server.port)}", "GlobalKnownHostsFile=/dev/null",
                       "BatchMode=yes", "IdentitiesOnly=yes", f"IdentityFile={place.keys['ed25519']}"):
            options += ["-o", option]
        if not os.access("/dev/fuse", os.R_OK | os.W_OK):
            self.skipTest("no right to /dev/fuse: nothing can be mounted here")
        result = run(["sshfs", "-F", "/dev/null", "-p", server.port, *options, "-o", "default_permissions", f"{ME}@127.0.0.1:{base}", self.at])
        if result.returncode != 0 and b"fuse" in result.stderr:
            self.skipTest(f"FUSE refuses to mount here: {result.stderr!r}")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.addCleanup(lambda: run(["fusermount3", "-u", "-z", self.at]))

    def test_cp_and_friends(self):
        source = make_tree(place.fresh("tree"), ALL_NAMES, wide=60, links=False)
        run(["cp", "-a", source, self.at / "tree"], check=0)
        self.same(source, self.at / "tree", times=True)
        self.same(source, self.base / "tree", times=True)
        os.symlink("one", self.at / "tree" / "link")
        self.assertEqual(os.readlink(self.at / "tree" / "link"), "one")
        self.assertEqual(os.readlink(self.base / "tree" / "link"), "one")
        os.rename(self.at / "tree" / "one", self.at / "renamed")
        self.assertEqual((self.base / "renamed").read_bytes(), b"1")
        with open(self.at / "renamed", "r+b") as f:
            f.seek(100_000)
            f.write(b"x")
            f.flush()
            os.fsync(f.fileno())
        self.assertEqual((self.base / "renamed").stat().st_size, 100_001)
        os.truncate(self.at / "renamed", 3)
        self.assertEqual((self.base / "renamed").read_bytes(), b"1\0\0")
        with open(self.at / "renamed", "ab") as f:
            f.write(b"end")
        self.assertEqual((self.base / "renamed").read_bytes(), b"1\0\0end")
        os.link(self.at / "renamed", self.at / "hard")
        self.assertEqual((self.base / "hard").stat().st_nlink, 2)
        self.assertGreater(os.statvfs(self.at).f_blocks, 0)
        shutil.rmtree(self.at / "tree")
        self.assertFalse((self.base / "tree").exists())


if __name__ == "__main__":
    main()
