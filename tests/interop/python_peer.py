#!/usr/bin/python3
"""paramiko or asyncssh as a process of its own: a server that says its port, lets one key in and answers every command
with what came in; or a client that connects so many times, runs a command each time, and says how many got their answer.

    python_peer.py paramiko|asyncssh server HOST-KEY AUTHORIZED-KEYS
    python_peer.py paramiko|asyncssh client PORT USER KEY TIMES
"""
import asyncio
import logging
import socket
import sys
import threading

import asyncssh
import paramiko

PATIENCE = 5  # seconds, for a peer that may never say what is waited for
ANY_ERROR = (Exception, asyncio.CancelledError)


class Everything(paramiko.ServerInterface):
    def __init__(self, authorized):
        self.known = [line.split()[1] for line in open(authorized)]

    def get_allowed_auths(self, username):
        return "publickey,password,keyboard-interactive"

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL if key.get_base64() in self.known else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_port_forward_request(self, address, port):
        return 4242

    def check_channel_pty_request(self, *_):
        return True

    def check_channel_env_request(self, *_):
        return True

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=echo, args=(channel,), daemon=True).start()
        return True


def echo(channel):
    try:
        channel.settimeout(PATIENCE)
        while data := channel.recv(32768):
            channel.sendall(data)
        channel.send_exit_status(0)
        channel.close()
    except ANY_ERROR:
        pass


def paramiko_server(host_key, authorized):
    key = paramiko.Ed25519Key(filename=host_key)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        transport = paramiko.Transport(listener.accept()[0])
        transport.add_server_key(key)
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer)
        transport.start_server(server=Everything(authorized), event=threading.Event())


def paramiko_client(port, user, key):
    with socket.create_connection(("127.0.0.1", port)) as sock:
        transport = paramiko.Transport(sock)
        try:
            transport.banner_timeout = transport.auth_timeout = PATIENCE
            transport.start_client(timeout=PATIENCE)
            transport.auth_publickey(user, paramiko.Ed25519Key(filename=key))
            channel = transport.open_session(timeout=PATIENCE)
            channel.settimeout(PATIENCE)
            channel.exec_command("true")
            channel.sendall(b"hello")
            channel.shutdown_write()
            return channel.recv(5) == b"hello"
        finally:
            transport.close()


async def asyncssh_server(host_key, authorized):
    async def process(p):
        p.stdout.write(await p.stdin.read())
        p.exit(0)

    acceptor = await asyncssh.create_server(asyncssh.SSHServer, "127.0.0.1", 0, server_host_keys=[host_key],
                                            authorized_client_keys=authorized, process_factory=process)
    print(acceptor.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


async def asyncssh_client(port, user, key):
    async with asyncssh.connect("127.0.0.1", port, username=user, client_keys=[key], known_hosts=None, config=None,
                                agent_path=None) as conn:
        return (await conn.run("true", input="hello")).stdout == "hello"


def client(library, port, user, key, times):
    good = 0
    for _ in range(times):
        try:
            if library == "paramiko":
                good += paramiko_client(port, user, key)
            else:
                good += asyncio.run(asyncio.wait_for(asyncssh_client(port, user, key), PATIENCE))
        except ANY_ERROR as e:
            print(type(e).__name__, e, file=sys.stderr)
    print(good)


def main():
    library, role, *rest = sys.argv[1:]
    logging.disable(logging.CRITICAL)
    threading.excepthook = lambda args: None  # what a thread of paramiko says of a bad peer
    if role == "client":
        client(library, int(rest[0]), rest[1], rest[2], int(rest[3]))
    elif library == "paramiko":
        paramiko_server(*rest)
    else:
        asyncio.run(asyncssh_server(*rest))


main()
