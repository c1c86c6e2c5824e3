#!/usr/bin/python3
"""Writes the seed inputs of the fuzz targets: fuzz/seeds.py DIRECTORY. Small, well-formed conversations
from which mutations reach far; the fixed key and trust files of tests/data serve the other targets."""
import pathlib
import struct
import sys


def u32(v):
    return struct.pack(">I", v)


def string(s):
    s = s.encode() if isinstance(s, str) else s
    return u32(len(s)) + s


def packet(payload):
    padding = 8 - (5 + len(payload)) % 8
    padding += 8 if padding < 4 else 0
    return u32(1 + len(payload) + padding) + bytes([padding]) + payload + bytes(padding)


def bare(payload):
    """A packet of a connection without a transport of its own."""
    return u32(1 + len(payload)) + b"\0" + payload


def sftp(kind, body):
    return u32(1 + len(body)) + bytes([kind]) + body


root = pathlib.Path(sys.argv[1])
lists = ["curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com", "ssh-ed25519", *["aes128-ctr"] * 2,
         *["hmac-sha2-256"] * 2, *["none"] * 2, "", ""]
kexinit = b"\x14" + bytes(16) + b"".join(string(s) for s in lists) + b"\0" + u32(0)
gex = kexinit.replace(string(lists[0]), string("diffie-hellman-group-exchange-sha256,ext-info-c"))
version = b"SSH-2.0-seed_1 comment\r\n"
point = b"\x09" + bytes(31)
wire = {
    "server_kex": b"\x01" + version + packet(kexinit) + packet(b"\x1e" + string(point)) + packet(b"\x15"),
    "server_gex": b"\x03" + version + packet(gex) + packet(b"\x22" + u32(2048) + u32(3072) + u32(8192)),
    "server_chatter": b"\x01" + version + packet(b"\x02" + string("x")) + packet(b"\x04\0" + string("d") + string("")),
    "client_kex": b"\x00" + b"banner\r\n" + version + packet(kexinit) +
                  packet(b"\x1f" + string(string("ssh-ed25519") + string(point)) + string(point) +
                         string(string("ssh-ed25519") + string(bytes(64)))) + packet(b"\x15"),
    "client_gex": b"\x02" + version + packet(gex) + packet(b"\x1f" + string(b"\0" + b"\xff" * 256) + string(b"\x02")),
    "proxied_server": b"\x05" + bare(b"\x5a" + string("session") + u32(3) + u32(65536) + u32(32768)) +
                      bare(b"\x62" + u32(0) + string("exec") + b"\x01" + string("true")) + bare(b"\x5e" + u32(0) + string("x")) +
                      bare(b"\x60" + u32(0)) + bare(b"\x61" + u32(0)),
    "proxied_client": b"\x04" + bare(b"\x50" + string("hostkeys-00@openssh.com") + b"\0") +
                      bare(b"\x5a" + string("forwarded-tcpip") + u32(3) + u32(65536) + u32(32768) + string("localhost") + u32(80) +
                           string("127.0.0.1") + u32(4000)) + u32(5) + b"\x03\x52\0\0\0",
    "client_bye": b"\x00" + version + packet(b"\x01" + u32(2) + string("bye") + string("")),
}


def said(*payloads):
    """Packets of the peer as fuzz/whole.c reads them: two bytes of length in front."""
    return b"".join(struct.pack(">H", len(p)) + p for p in payloads)


opened = b"\x5a" + string("session") + u32(7) + u32(100000) + u32(32768)
confirmed = b"\x5b" + u32(0) + u32(7) + u32(100000) + u32(32768)
talk = said(b"\x62" + u32(0) + string("exec") + b"\1" + string("true"), b"\x5e" + u32(0) + string("data"),
            b"\x5f" + u32(0) + u32(1) + string("error"), b"\x5d" + u32(0) + u32(1000),
            b"\x50" + string("keepalive@openssh.com") + b"\1", b"\xc0" + string("ping"))
acts = b"\xc8\x40\x80\x50\x81\xff\x86\x01\x87\x00\x85\x00\x82\x00\xc1\x01\xc3\x05"
bye = said(b"\x60" + u32(0), b"\x61" + u32(0)) + b"\x84\x00"
asked = b"\x32" + string("user") + string("ssh-connection")
host_key = string("ssh-ed25519") + string(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"))
yes, no, more, open_one = b"\xc8\x40", b"\xc8\x00", b"\xc8\xc0", b"\xc0\x00"
blob = string("ssh-ed25519") + string(b"X" * 32)
good = string(string("ssh-ed25519") + string(b"V" + bytes(63)))  # as fuzz/null_crypto.c takes it
agreed = string(b"\x09" * 32)


def raw(line):
    return struct.pack(">H", 0x4000 | len(line)) + line


def offers(kex, *, host="ssh-ed25519,rsa-sha2-512", compression="none,zlib@openssh.com", follows=b"\0"):
    names = [kex, host, "aes128-ctr,chacha20-poly1305@openssh.com", "aes128-ctr,chacha20-poly1305@openssh.com",
             *["hmac-sha2-256"] * 2, *[compression] * 2, "", ""]
    return b"\x14" + bytes(16) + b"".join(string(n) for n in names) + follows + u32(0)


def whole(*records, flags=0, more=0, failing=0):
    """What fuzz/whole.c reads."""
    return bytes([flags, more]) + struct.pack(">H", failing) + b"\0" + b"".join(records)


hello = raw(b"SSH-2.0-seed_1 comment\r\n")
server_info = said(b"\x07" + u32(2) + string("server-sig-algs") + string("ssh-ed25519,rsa-sha2-512") + string("ping@openssh.com") + string("0"))
client_info = said(b"\x07" + u32(1) + string("ext-info-in-auth@openssh.com") + string("0"))
curve, field = "curve25519-sha256", "diffie-hellman-group14-sha256"
s_kex = raw(b"pre-banner\r\n") + hello + said(offers(curve + ",ext-info-s,kex-strict-s-v00@openssh.com"), b"\x1f" + string(blob) + agreed + good) + \
    yes + said(b"\x15") + server_info + said(b"\x06" + string("ssh-userauth"))
s_gex = hello + said(offers("diffie-hellman-group-exchange-sha256"), b"\x1f" + string(b"\0" + b"\xff" * 256) + string(b"\x02"),
                     b"\x21" + string(blob) + agreed + good) + yes + said(b"\x15", b"\x06" + string("ssh-userauth"))
c_kex = hello + said(offers(curve + ",ext-info-c,kex-strict-c-v00@openssh.com"), b"\x1e" + agreed, b"\x15") + client_info + \
    said(b"\x05" + string("ssh-userauth"))
c_gex = hello + said(offers("diffie-hellman-group-exchange-sha256"), b"\x22" + u32(2048) + u32(3072) + u32(8192), b"\x20" + agreed,
                     b"\x15", b"\x05" + string("ssh-userauth"))
c_guess = hello + said(offers("diffie-hellman-group1-sha1," + field, follows=b"\1"), b"\x1e" + agreed, b"\x1e" + agreed, b"\x15")
prompts = b"\x3c" + string("") + string("") + string("") + u32(1) + string("?") + b"\0"
bound = string("publickey-hostbound-v00@openssh.com")
signed_by = b"\1" + string("ssh-ed25519") + string(blob)
rekey_s = said(offers(curve), b"\x1f" + string(host_key) + agreed + good, b"\x15")
rekey_c = said(offers(curve), b"\x1e" + agreed, b"\x15")
wholes = {
    "client_login": {
        "password": whole(s_kex, said(b"\x35" + string("hello") + string(""), b"\x34"), open_one, said(confirmed), talk, acts, bye),
        "change": whole(s_gex, said(b"\x3c" + string("change") + string("")), more, said(b"\x33" + string("password,publickey") + b"\0")),
        "interactive": whole(s_kex, said(prompts), more, said(prompts), more, said(b"\x34"), flags=2),
        "key": whole(s_kex, said(b"\x3c" + string("ssh-ed25519") + string(host_key)), more, said(b"\x34"), flags=64),
        "host": whole(s_kex, more, said(b"\x33" + string("hostbased") + b"\1"), b"\xc6\x01", said(b"\x34"), flags=192),
        "refused": whole(s_kex, said(b"\x33" + string("publickey") + b"\0"), b"\xc6\x03", more, flags=32),
        "no_memory": whole(s_kex, said(b"\x34"), open_one, said(confirmed), talk, failing=60),
    },
    "client_session": {
        "talk": whole(open_one, said(confirmed), talk, acts, said(b"\x63" + u32(0)), bye),
        "compressed": whole(open_one, said(confirmed), talk, acts, bye, flags=1),
        "small": whole(open_one, said(confirmed), talk, acts, bye, flags=28, more=4),
        "proof": whole(said(b"\x50" + string("hostkeys-00@openssh.com") + b"\0" + string(host_key),
                            b"\x51" + string(string("ssh-ed25519") + string(bytes(64))))),
        "rekey": whole(open_one, said(confirmed), rekey_s, talk, b"\xc2\x00", rekey_s, acts),
        "failed": whole(open_one, open_one, said(b"\x5c" + u32(0) + u32(2) + string("no") + string("")), said(b"\x62" + u32(1) +
                        string("exit-signal") + b"\0" + string("TERM") + b"\0" + string("") + string(""))),
        "no_memory": whole(open_one, said(confirmed), talk, acts, failing=3),
    },
    "server_login": {
        "password": whole(c_kex, said(asked + string("none")), no, said(asked + string("password") + b"\0" + string("pw")), yes,
                          said(opened), talk, acts, bye),
        "change": whole(c_gex, said(asked + string("password") + b"\0" + string("pw")), more,
                        said(asked + string("password") + b"\1" + string("pw") + string("new")), yes),
        "interactive": whole(c_kex, said(asked + string("keyboard-interactive") + string("") + string("")), more,
                             said(b"\x3d" + u32(1) + string("yes")), yes, said(opened)),
        "key": whole(c_kex, said(asked + string("publickey") + b"\0" + string("ssh-ed25519") + string(blob)), yes,
                     said(asked + string("publickey") + signed_by + good), b"\xc8\x60",
                     said(asked + bound + signed_by + string(host_key) + good), yes, said(opened)),
        "host": whole(c_kex, said(asked + string("hostbased") + string("ssh-ed25519") + string(blob) + string("host.") +
                                  string("me") + good), yes, said(opened)),
        "signer": whole(hello, said(offers(curve), b"\x1e" + agreed), more, said(b"\x15", b"\x05" + string("ssh-userauth")), flags=64),
        "guess": whole(c_guess, said(b"\x05" + string("ssh-userauth"), asked + string("none")), yes),
        "no_memory": whole(c_kex, said(asked + string("none")), yes, said(opened), talk, failing=60),
    },
    "server_session": {
        "talk": whole(said(opened), talk, acts, bye),
        "compressed": whole(said(opened), talk, acts, bye, flags=1),
        "small": whole(said(opened, opened), talk, acts, bye, flags=28, more=4),
        "proof": whole(said(b"\x50" + string("hostkeys-prove-00@openssh.com") + b"\1" + string(host_key)), yes,
                       said(b"\x50" + string("hostkeys-prove-00@openssh.com") + b"\1" + string("x"))),
        "rekey": whole(said(opened), rekey_c, talk, b"\xc2\x00", rekey_c, acts, more=8),
        "pty": whole(said(opened, b"\x62" + u32(0) + string("pty-req") + b"\1" + string("xterm") + u32(80) + u32(24) + u32(0) * 2 +
                          string(b"\x01" + u32(3) + b"\0"), b"\x62" + u32(0) + string("env") + b"\0" + string("LANG") + string("C"),
                          b"\x62" + u32(0) + string("shell") + b"\1"), yes, yes, talk),
        "again": whole(said(asked + string("none"), opened, b"\x50" + string("no-more-sessions@openssh.com") + b"\0", opened), no),
        "no_memory": whole(said(opened), talk, acts, failing=3),
    },
}
dns_head = struct.pack(">HHHHHH", 7, 0x81a0, 1, 2, 0, 0) + b"\1h\7example\0" + struct.pack(">HH", 44, 1)
dns_record = b"\xc0\x0c" + struct.pack(">HHIH", 44, 1, 60, 34) + b"\4\2" + bytes(32)
sshfp = {"answer": dns_head + 2 * dns_record, "record": b"\4\1" + bytes(20)}
attrs = u32(0xf) + struct.pack(">Q", 5) + u32(0) * 2 + u32(0o100644) + u32(1) * 2
limits = string("limits@openssh.com")
files = {
    "client": b"\x00" + sftp(2, u32(3) + limits + string("1")) + sftp(102, u32(1) + string("handle")) +
              sftp(103, u32(2) + string("data")) + sftp(105, u32(3) + attrs) +
              sftp(104, u32(4) + u32(1) + string("a") + string("-rw a") + attrs) +
              sftp(104, u32(5) + u32(1) + string("/x") + string("/x") + u32(0)) +
              sftp(101, u32(6) + u32(2) + string("No such file") + string("")),
    "server": b"\x01" + sftp(1, u32(3)) + sftp(3, u32(1) + string("/f") + u32(3) + attrs) +
              sftp(17, u32(2) + string("/f")) + sftp(200, u32(3) + limits) + sftp(16, u32(4) + string(".")) +
              sftp(6, u32(5) + string(bytes(8)) + bytes(8) + string("data")) + sftp(5, u32(6) + string(bytes(8)) + bytes(8) + u32(100)) +
              sftp(20, u32(7) + string("a") + string("b")) + sftp(4, u32(8) + string(bytes(8))),
}
copies = {
    "sink": b"\x10T1 0 2 0\nD0755 0 a\nC0644 4 ab\ndata\0C0600 0 c\n\0E\n\1scp: gone\nC0644 1 R\n\2scp: end\n",
    "join": b"\x50\x81\0\x15C0644 2 ab\nD0755 0 c\n\x81\0\x03ab\0\x81\0\x81\0\x02E\n\x81\0",
    "join_notes": b"\x78\x81\0\x1bC0644 2 ab\nab\1scp: ab: cut\n\x81\0\x8b\1scp: full\n\x0b\1scp: gone\n",
    "sink_one": b"\x24C0644 4 ab\nFull\1scp: ab: read error\n",
    "source": b"\x11" + bytes(60) + b"\1scp: no\n" + bytes(60) + b"\2scp: end\n",
    "source_steps": b"\x21" + bytes(40) + b"\1scp: no\n" + bytes(80),
    "line": b"\x02C0644 9223372036854775807 a name",
    "times": b"\x02T1234567890 0 1234567891 999999",
    "exact": b"\x03/a/it's [b]*{c,d}",
    "pattern": b"\x13~/a b/[!a-c]?\\**",
    "raw": b"\x23'a b'/\"c*\"/x\\ {y,z{1,2}}*",
}


def handle(index, generation=1):
    return string(u32(index) + u32(generation) + bytes(8))


def ext(n, name, *rest):
    return sftp(200, u32(n) + string(name) + b"".join(rest))


u64 = lambda n: n.to_bytes(8, "big")
init = sftp(1, u32(3))
served = {
    "write": b"\0" + init + sftp(3, u32(1) + string("/d/new") + u32(0x1a) + u32(4) + u32(0o640)) +
             sftp(6, u32(2) + handle(0) + u64(5000) + string("data")) + sftp(5, u32(3) + handle(0) + u64(0) + u32(9000)) +
             sftp(10, u32(4) + handle(0) + u32(1) + u64(4097)) + sftp(8, u32(5) + handle(0)) + sftp(13, u32(6) + string("/d/new")) +
             sftp(4, u32(7) + handle(0)),
    "huge": b"\0" + init + sftp(3, u32(1) + string("/f") + u32(3) + u32(0)) +
            sftp(6, u32(2) + handle(0) + u64(1 << 60) + string("x")) + sftp(10, u32(3) + handle(0) + u32(1) + u64(1 << 62)) +
            sftp(6, u32(2) + handle(0) + u64(200000) + string("x")),
    "names": b"\2" + init + sftp(20, u32(1) + string("../d/l") + string("/d/l")) + sftp(17, u32(2) + string("/d/l/x")) +
             sftp(20, u32(3) + string("/d") + string("up")) + sftp(18, u32(4) + string("/up/f") + string("/e/g")) +
             ext(5, "posix-rename@openssh.com", string("/d"), string("/e")) + ext(6, "hardlink@openssh.com", string("/e/g"), string("/h")) +
             sftp(14, u32(7) + string("/e/x/") + u32(0)) + sftp(18, u32(8) + string("/e") + string("/e/x/y")) +
             sftp(16, u32(9) + string("up/../e/./x")) + sftp(19, u32(9) + string("/up")) + sftp(15, u32(9) + string("/e/x")),
    "list": b"\4" + init + sftp(11, u32(1) + string("/")) + sftp(12, u32(2) + handle(0)) + sftp(14, u32(3) + string("/a") + u32(0)) +
            sftp(12, u32(4) + handle(0)) + sftp(15, u32(5) + string("/a")) + sftp(12, u32(6) + handle(0)) + sftp(4, u32(7) + handle(0)),
    "check": b"\0" + init + sftp(3, u32(1) + string("/f") + u32(1) + u32(0)) +
             ext(2, "check-file", handle(0), string("md5,sha1"), u64(0), u64(0), u32(256)) +
             ext(3, "check-file-name", string("/d/f"), string("none,crc32"), u64(100), u64(5000), u32(0)) +
             ext(4, "check-file-handle", handle(0), string("sha512"), u64(1 << 63), u64(1 << 63), u32(1 << 31)),
    "copy": b"\0" + init + sftp(3, u32(1) + string("/f") + u32(1) + u32(0)) + sftp(3, u32(2) + string("/c") + u32(0x0a) + u32(0)) +
            ext(3, "copy-data", handle(0), u64(1), u64(0), handle(1), u64(7)) +
            ext(4, "copy-data", handle(0), u64(0), u64(1 << 62), handle(1), u64(1 << 62)) +
            ext(5, "statvfs@openssh.com", string("/c")) + ext(6, "users-groups-by-id@openssh.com", string(u32(0)), string(u32(9))) +
            ext(7, "expand-path@openssh.com", string("~/d")) + ext(8, "lsetstat@openssh.com", string("/c"), u32(8), u32(1), u32(2)),
}
longnames = {
    "unix": b"-rw-r--r--+   1 joe      Domain Users     1234 Jan  1 12:34 a file",
    "link": b"lrwsrwSrwt  12 1000 100 4096 Dec 31  1999 l -> ../target",
    "iso": b"crw-rw---T 1 root tty 5, 0 2024-02-29 23:59:59.1 +0100 tty",
    "paramiko": b"d---------   1 0  0  18446744073709551615 (unknown date) x",
    "little": b"?????????? ? ? ? ? 7. Jan 1970 ?",
}
# RFC 8032 7.1, test 1
secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
blob = string("ssh-ed25519") + string(public)
private = string("ssh-ed25519") + string(public) + string(secret + public) + string("comment")


def agent(kind, body=b""):
    return u32(1 + len(body)) + bytes([kind]) + body


def hop(user, host, *keys):
    return string(string(user) + string(host) + string("") + b"".join(string(k) + b"\0" for k in keys))


route = string(string(hop("", "") + hop("us*r", "first", blob) + string("")))
login = string("session") + b"\x32" + string("user") + string("ssh-connection") + string("publickey") + b"\1" + \
    string("ssh-ed25519") + string(blob)
bind = agent(27, string("session-bind@openssh.com") + string(blob) + string("session") + string(bytes(80)) + b"\0")
restrict = b"\xff" + string("restrict-destination-v00@openssh.com") + route
keyrings = {name: bytes([mood]) + b"\x82" + b"".join(messages) for name, mood, messages in (
    ("plain", 1, [agent(17, private), agent(11), agent(13, string(blob) + string("data") + u32(0)), agent(18, string(blob)),
                  agent(19), agent(27, string("query"))]),
    ("limits", 1, [agent(25, private + b"\1" + u32(1) + b"\2"), agent(13, string(blob) + string("data") + u32(4)), agent(11)]),
    ("later", 2, [agent(25, private + b"\2"), agent(13, string(blob) + string("data") + u32(0)), agent(11)]),
    ("routes", 0, [agent(25, private + restrict), bind, agent(13, string(blob) + string(login) + u32(0)), agent(11)]),
    ("lock", 0, [agent(22, string("pw")), agent(11), bind, agent(23, string("no")), agent(23, string("pw")), agent(11)]))}
agents = {
    "list": b"\0" + agent(12, u32(2) + string(blob) + string("comment") + string("x") + string("")) + agent(5) * 5,
    "sign": b"\1" + agent(14, string(string("ssh-ed25519") + string(bytes(64)))) + agent(6) * 5,
    "extension": b"\2" + agent(29, string("query") + string("query")) + agent(29, string("query") + string("a@b")) + agent(28) * 4,
    "pieces": b"\x43" + agent(6) * 6,
}
krl_head = b"SSHKRL\n\0" + u32(1) + u64(1) + u64(2) + u64(0) + string("") + string("a comment")
krl_body = b"\x20" + string(u64(1) + u64(9)) + b"\x21" + string(u64(20) + u64(90)) + b"\x22" + string(u64(100) + string(b"\x55\x55")) + \
    b"\x23" + string(string("id")) + b"\x39" + string(string("x") + b"\0" + string(""))
revoked = {
    "serials": krl_head + b"\1" + string(string("") + string("") + krl_body) + b"\1" + string(string(blob) + string("") + krl_body),
    "keys": krl_head + b"\2" + string(string(blob)) + b"\3" + string(string(bytes(20))) + b"\5" + string(string(bytes(32))),
    "rest": krl_head + b"\xff" + string(string("x") + b"\0" + string("")) + b"\4" + string(blob) +
            string(string("ssh-ed25519") + string(bytes(64))),
}

def subsystem(name, *rest):
    return string(string(name) + b"".join(rest))


greeting = subsystem("version", u32(2))
happy = subsystem("status", u32(0), string(""), string("en"))
about = string("comment") + string("hi")
rfc4819 = {
    "server": b"\x00" + greeting + subsystem("add", string("type"), string(string("type") + b"body"), b"\1", u32(2),
                                         about, b"\1", string("x@y"), string("z"), b"\0") +
              subsystem("list") + subsystem("listattributes") +
              subsystem("remove", string("type"), string(string("type") + b"body")) + subsystem("rot13"),
    "server_lazy": b"\x06" + greeting + subsystem("list") * 3,
    "server_old": b"\x00" + subsystem("version", u32(1)) + subsystem("list"),
    "client": b"\x01" + greeting + subsystem("publickey", string("type"), string("blob"), u32(1), about) + happy * 2 +
              subsystem("attribute", string("comment"), b"\1") + happy +
              subsystem("status", u32(4), string("gone"), string("en")),
    "client_refused": b"\x03" + subsystem("status", u32(3), string("no"), string("en")),
}
policies = {
    "hosts": b"# c\n-host.example mallory\nhost.example bob\n192.0.2.1\n+ +\n",
    "no": b"-host.example -bob\n",
    "steps": b"publickey,keyboard-interactive:pam,hostbased",
    "two": b"password,publickey",
    "any": b"any",
}
data = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data"
login_key = (data / "keys" / "ed25519.pub").read_bytes()
authority = (data / "keys" / "ed25519_other.pub").read_bytes()  # of certs/user_ed25519-cert.pub
logins = {
    "key": b"# us\n" + login_key,
    "options": b'restrict,pty,port-forwarding,from="192.0.2.0/24,!10.0.0.1,*.example",permitopen="host.example:22",'
               b'permitlisten="8080",command="a \\"b\\"",environment="A=b",expiry-time="20990101Z",tunnel="1" ' + login_key,
    "authority": b'cert-authority,principals="bob,alice",no-touch-required,verify-required ' + authority,
    "names": b'# who\nno-pty,from="*" alice\nbob\n',
}
sshd_configs = {
    "global": b'Port 22\nListenAddress [::1]:99\nBanner "/a b"\nMaxStartups 1:2:3\nSubsystem sftp internal-sftp -R\n'
              b"AllowUsers a@10.0.0.0/8 b\nRekeyLimit 1G 2h\nSetEnv A=b\nPermitOpen h:1 [::1]:*\nStreamLocalBindMask 0177\n",
    "trust": b"AuthorizedKeysFile .ssh/a /k/%u-%U%%\nAuthorizedKeysCommand /bin/k %u '%h x' %k\nAuthorizedKeysCommandUser n\n"
             b"TrustedUserCAKeys /ca\nRevokedKeys /r /s\nAuthorizedPrincipalsFile /p/%u\nPubkeyAuthOptions verify-required\n"
             b"CASignatureAlgorithms -rsa*\nPermitUserEnvironment LANG,LC_*\n",
    "match": b"Match User alice,!bob Group staff Address 192.0.2.0/24\nForceCommand x 'y\nMatch all\nMaxSessions 3\n"
             b"Match invalid-user LocalPort 22 LocalAddress ::1 Host *.example Version nacre_*\nRefuseConnection yes\n",
}
configurations = {
    "blocks": b"\x00Host a* !b\n User x\nMatch host h*,!c exec \"true %h\" user=y\n Port 2\nMatch final all\nSendEnv A -B\n",
    "canonical": b"\x0eCanonicalizeHostname always\nCanonicalDomains a.example b\nCanonicalizePermittedCNAMEs *:*,c d:e\n",
    "values": b"\x21RekeyLimit 1G 1h\nIPQoS af21 0x20\nSetEnv A=1 B='2 3'\nLocalForward [::1]:1 h:2\nRemoteForward 0\n"
              b"EscapeChar ^]\nTunnelDevice 1:any\nAddKeysToAgent confirm 5m\nControlPath ~/%C-%k ${HOME}\nTag t\n",
    "proxies": b"\x10ProxyJump a,me@[::1]:22,ssh://x@y:3\nProxyCommand nc %h %p\nLocalCommand echo %T\nMatch tagged \"\" command u*\n"
               b"HostName %h.x\nUserKnownHostsFile a %d/b none\nIgnoreUnknown q*\nqq 1\n",
}
flags = u32(1) + u32(0) * 3
controls = {
    "hello": u32(1) + u32(4) + string("info") + string("0"),
    "session": u32(0x10000002) + u32(1) + string("") + flags + u32(0x7e) + string("xterm") + string("ls") +
               string("LANG=C") + string("A=b"),
    "forward": u32(0x10000006) + u32(2) + u32(2) + string("::1") + u32(8080) + string("/sock") + u32(0xfffffffe),
    "stdio": u32(0x10000008) + u32(3) + string("") + string("host") + u32(22),
    "exit": u32(0x80000004) + u32(0) + u32(1),
    "refused": u32(0x80000002) + u32(4) + string("Permission denied"),
    "told": u32(0x90000001) + u32(5) + u32(1) + string("version"),
}
x11_setup = b"l\0\x0b\0\0\0\x12\0\x10\0\0\0MIT-MAGIC-COOKIE-1\0\0" + bytes(range(16))
x11s = {
    "local": b"\0:10.2",
    "host": b"\0[::1]:10",
    "path": b"\0/tmp/launch/org.x:0",
    "request": b"\1\0" + string("MIT-MAGIC-COOKIE-1") + string("00112233445566778899aabbccddeeff") + u32(0),
    "setup": b"\2\x3f" + x11_setup,
    "pieces": b"\2" + b"".join(b"\0" + bytes([b]) for b in x11_setup),
}
forwards = {
    "tcp": b"\0" + string("host") + u32(80) + string("::1") + u32(65535),
    "listen": b"\0" + string("") + u32(0),
    "path": b"\0" + string("/run/socket") + u32(0) + u32(0),
    "x11": b"\0\1" + string("MIT-MAGIC-COOKIE-1") + string("00ff") + u32(0),
    "socks4": b"\x40\4\1\0\x50\xc0\0\2\1me\0",
    "socks4a": b"\x9f\4\1\1\xbb\0\0\0\1\0there.example\0data",
    "socks5": b"\x41\5\2\0\2\5\1\0\3\5there\0\x16data",
    "socks5v6": b"\x9f\5\1\0\5\1\0\4" + bytes(15) + b"\1\0\x16",
    "local": b"\xa0127.0.0.1:8080:host:80",
    "remote": b"\xa1/run/here:/run/there",
    "dynamic": b"\xa2[::1]:1080",
    "words": b"\xa48080 [2001:db8::1]:80",
}
# What fuzz/negotiation.c looks at: a version line, lists, an algorithm list of a configuration, a moduli file.
safe_prime = "F" * 64 + "0" * 447 + "B"
negotiations = {
    "version": b"\0SSH-2.0-OpenSSH_9.2p1 Debian-2",
    "version_server": b"\4SSH-1.99-x y",
    "banner": b"\0Welcome",
    "lists": b"\1" + kexinit[1:],
    "lists_server": b"\5" + gex[1:],
    "plus": b"\2+diffie-hellman-group14-sha256,-sntrup*",
    "caret": b"\x0a^aes128-ctr,aes256-*",
    "moduli": f"\3# Time Type Tests Tries Size Generator Modulus\n20200101000000 2 6 100 2047 2 {safe_prime}\n"
              f"20200101000000 2 6 100 3071 5 {safe_prime}{'F' * 256}\n1 2 3\n".encode(),
}
# The first byte of fuzz/environment.c: the syntax, and (2) too little room.
environments = {
    "user": b"\0# comment\n\nA=1\n  B = two \r\n=none\nnothing\nC=#x=y\nA=3",
    "system": b"\1export PATH=\"/bin:/usr/bin\"\nLANG='C.UTF-8'  \nX Y=1\nexport\tE=\n\texport =\nQ=\"\nexport",
    "short": b"\2LONG=0123456789012345678901234567890123456789\nS=1\n",
    "zero": b"\0A=1\0B=2\nC=3",
}
# What fuzz/mux.c plays: who speaks (\x80), a client comes (\x81), goes (\x82), hands over a descriptor (\x86).
def speaks(who, *records):
    return bytes([0x80, who]) + b"".join(records)


def share(*records, flags=0, failing=0):
    return bytes([flags]) + struct.pack(">H", failing) + b"".join(records)


def given(*kinds):
    return b"".join(bytes([0x86, kind]) for kind in kinds)


joins = b"\x81\0" + raw(u32(1) + u32(4))
runs = u32(0x10000002) + u32(1) + string("") + flags + u32(0x7e) + string("xterm") + string("ls") + string("LC_A=b")
typed = u32(0x10000002) + u32(1) + string("") + u32(1) + u32(0) * 3 + u32(0x7e) + string("xterm") + string("")
server_takes = said(confirmed, b"\x63" + u32(0), b"\x63" + u32(0), b"\x63" + u32(0))
server_ends = said(b"\x5e" + u32(0) + string("out"), b"\x5d" + u32(0) + u32(99), b"\x62" + u32(0) + string("exit-status") + b"\0" + u32(3),
                   b"\x60" + u32(0), b"\x61" + u32(0))
becomes_proxy = joins + raw(u32(0x1000000f) + u32(1))
asks_to_listen = said(b"\x50" + string("tcpip-forward") + b"\1" + string("localhost") + u32(0))
incoming = b"\x5a" + string("forwarded-tcpip") + u32(4) + u32(65536) + u32(32768) + string("localhost") + u32(4242) + \
    string("10.0.0.9") + u32(99)
shared = {
    "session": share(joins, raw(runs), given(0, 1, 3), speaks(2, server_takes, server_ends)),
    "terminal": share(joins, raw(typed), given(0, 3, 3), speaks(2, server_takes), b"\x85\0", b"\x82\0", speaks(2, said(b"\x61" + u32(0)))),
    "refused": share(joins, raw(runs), given(2, 3, 3), speaks(2, said(b"\x5c" + u32(0) + u32(1) + string("no") + string("")))),
    "stdio": share(joins, raw(u32(0x10000008) + u32(3) + string("") + string("host") + u32(22)), given(1, 3),
                   speaks(2, said(confirmed), server_ends)),
    "requests": share(joins, raw(u32(0x10000004) + u32(1)), raw(u32(0x10000006) + u32(2) + u32(2) + string("") + u32(8080) +
                      string("h") + u32(1)), raw(u32(0x20000001) + u32(3) + string("version")), raw(u32(0x10000009) + u32(4)),
                      raw(u32(0x10000005) + u32(5))),
    "proxy": share(becomes_proxy, said(b"\x5a" + string("session") + u32(7) + u32(65536) + u32(32768)), speaks(2, said(confirmed)),
                   speaks(0, said(b"\x62" + u32(0) + string("exec") + b"\1" + string("true"), b"\x5e" + u32(0) + string("in"))),
                   speaks(2, said(b"\x63" + u32(0)), server_ends), speaks(0, said(b"\x61" + u32(0)))),
    "listen": share(becomes_proxy, asks_to_listen, speaks(2, said(b"\x51" + u32(4242), incoming)),
                    speaks(0, said(b"\x5b" + u32(0) + u32(9) + u32(1000) + u32(1000), b"\x5e" + u32(0) + string("hi"),
                                   b"\x50" + string("cancel-tcpip-forward") + b"\1" + string("localhost") + u32(4242)))),
    "listen_path": share(becomes_proxy, said(b"\x50" + string("streamlocal-forward@openssh.com") + b"\1" + string("/s")),
                         speaks(2, said(b"\x52")), asks_to_listen, b"\x82\0", speaks(2, said(b"\x51" + u32(4242), incoming))),
    "two": share(joins, raw(runs), given(0, 1, 3), b"\x81\1", raw(u32(1) + u32(4)), raw(u32(0x1000000f) + u32(1)), asks_to_listen,
                 speaks(2, server_takes, said(b"\x51" + u32(4242), incoming)), b"\x83\0"),
    "no_memory": share(becomes_proxy, asks_to_listen, b"\x84\4", speaks(2, said(b"\x51" + u32(4242), incoming)), failing=40),
    "denied": share(joins, raw(runs), given(0, 1, 3), raw(u32(0x10000005) + u32(5)), flags=1),
}
scp_commands = {
    "sink": b"\1scp -r -p -d -t -- 'it'\\''s here'",
    "source": b"\1scp -f ~/a\\ b \"c \\$ d\" '~' e*[f]? ~",
    "shell": b"\0scp -f a; rm -r b",
}
mode = lambda *pairs: b"".join(bytes([op]) + u32(value) for op, value in pairs)
tty_modes = {
    "usual": mode((128, 38400), (129, 38400), (1, 3), (2, 28), (3, 255), (30, 1), (36, 0), (50, 1), (53, 1), (70, 1), (91, 1)) + b"\0",
    "opaque": mode((90, 1), (92, 1)) + b"\xa0more",
    "cut": mode((128, 0xffffffff), (42, 1)) + b"\1\0\0",
}
small_words = {
    "lines": b"\0a\r\n b \n\nc",
    "words": b"\1Key = a\"b c\" 'd e'\\ f # g",
    "time": b"\0021h30m", "size": b"\00216K", "limit": b"\002default",
    "date": b"\00320240229123059Z", "day": b"\00319991231UTC",
    "names": b"\4host.exa*.exa?ple,!no,192.0.2.0/24,::1", "block": b"\4::1/128",
    "path": b"\5/a/./b//../c/", "up": b"\5../x",
}
lines = {
    "get": b"\5a.c\"dget -P \"a b\"/*.[ch] 'c\"d' \\[x # y",
    "braces": b"\3bcdls {a,b{c,d}e}*f",
    "open": b"\0put \"half a",
}
corpora = {
    "environment": environments,
    "mux": shared,
    "scp_command": scp_commands,
    "tty_modes": tty_modes,
    "words": small_words,
    "sftp_words": lines,
    "forward": forwards,
    "negotiation": negotiations,
    "control": controls,
    "x11": x11s,
    "publickey": rfc4819,
    "policy": policies,
    "logins": logins,
    "sshd_config": sshd_configs,
    "certs": revoked,
    "agent": agents,
    "keyring": keyrings,
    "longname": longnames,
    "engine": wire,
    "ssh_config": configurations,
    "sftp": files,
    "sshfp": sshfp,
    "sftp_server": served,
    "scp": copies,
    "packets": {f"mode{i}": bytes([i, i % 4]) + packet(kexinit) * 2 for i in range(0, 112, 7)},
    "messages": {"kexinit": kexinit[1:], "open": string("session") + u32(0) * 3,
                 "request": u32(0) + string("exec") + b"\1" + string("true")},
}
for folder, seeds in (corpora | wholes).items():
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name, data in seeds.items():
        (root / folder / name).write_bytes(data)
