#!/usr/bin/python3
"""An SFTP server on a socket that is stdin and stdout: paramiko's, over the directory it is started in."""
import os
import socket

import paramiko
from paramiko import SFTPAttributes, SFTPHandle, SFTPServer, SFTPServerInterface


class Handle(SFTPHandle):
    def stat(self):
        return SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))

    def chattr(self, attr):
        if attr.st_size is not None:
            os.ftruncate(self.readfile.fileno(), attr.st_size)
        return paramiko.SFTP_OK


def guarded(function):
    def call(*arguments):
        try:
            result = function(*arguments)
            return paramiko.SFTP_OK if result is None else result
        except OSError as e:
            return SFTPServer.convert_errno(e.errno)
    return call


class Tree(SFTPServerInterface):
    def canonicalize(self, path):
        return os.path.realpath(path)

    @guarded
    def list_folder(self, path):
        names = sorted(os.listdir(path))
        return [SFTPAttributes.from_stat(os.lstat(os.path.join(path, name)), name) for name in names]

    stat = guarded(lambda self, path: SFTPAttributes.from_stat(os.stat(path)))
    lstat = guarded(lambda self, path: SFTPAttributes.from_stat(os.lstat(path)))
    mkdir = guarded(lambda self, path, attr: os.mkdir(path))
    symlink = guarded(lambda self, target, path: os.symlink(target, path))
    readlink = guarded(lambda self, path: os.readlink(path))
    chattr = guarded(lambda self, path, attr: SFTPServer.set_file_attr(path, attr))

    @guarded
    def open(self, path, flags, attr):
        handle = Handle(flags)
        mode = {os.O_RDONLY: "rb", os.O_WRONLY: "wb", os.O_RDWR: "r+b"}[flags & os.O_ACCMODE]
        mode = "ab+" if flags & os.O_APPEND else mode
        stream = os.fdopen(os.open(path, flags, 0o666), mode)
        handle.readfile = handle.writefile = stream
        return handle


class Channel:
    """What the server asks of an SSH channel, over a socket."""
    def __init__(self, sock):
        self.recv, self.send, self.close = sock.recv, sock.send, sock.close

    def get_transport(self):
        return self

    def get_name(self):
        return "stdin"

    def get_log_channel(self):
        return "test"

    def get_hexdump(self):
        return False


channel = Channel(socket.socket(fileno=0))
SFTPServer(channel, "sftp", None, Tree).start_subsystem("sftp", None, channel)
