"""An X11 program in small, and a display: what the tests of X11 forwarding run at the far and the near end.

As a program: x11_program.py whole|wrong|garbage|none|early, with DISPLAY set. Prints one line."""
import hashlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time

MAGIC = b"MIT-MAGIC-COOKIE-1"


def padded(b):
    return b + bytes(-len(b) % 4)


def setup(name, data, order="l"):
    form = "<" if order == "l" else ">"
    return order.encode() + b"\0" + struct.pack(form + "HHHHxx", 11, 0, len(name), len(data)) + padded(name) + padded(data)


def read_exactly(s, n):
    got = b""
    while len(got) < n:
        piece = s.recv(n - len(got))
        if not piece:
            break
        got += piece
    return got


class Display:
    """Takes connections with the right cookie, sends back what they send, and says goodbye behind their end."""

    def __init__(self, cookie, path=None):
        self.cookie = cookie
        self.seen = []  # (name, data) of each connection
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.name = str(path)
        else:
            for number in range(200, 900):
                self.listener = socket.socket()
                try:
                    self.listener.bind(("127.0.0.1", 6000 + number))
                    break
                except OSError:
                    self.listener.close()
            self.name = f"127.0.0.1:{number}"
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, s):
        with s:
            head = read_exactly(s, 12)
            if len(head) < 12:
                return
            form = "<" if head[:1] == b"l" else ">"
            name_len, data_len = struct.unpack_from(form + "HH", head, 6)
            body = read_exactly(s, len(padded(bytes(name_len))) + len(padded(bytes(data_len))))
            name, data = body[:name_len], body[len(padded(bytes(name_len))):][:data_len]
            self.seen.append((name, data))
            if data != self.cookie:
                s.sendall(b"\0\4" + struct.pack(form + "HHH", 11, 0, 1) + b"nope")
                return
            s.sendall(b"\1\0" + struct.pack(form + "HHH", 11, 0, 0))
            while block := s.recv(1 << 16):
                s.sendall(block)
            s.sendall(b"goodbye")

    def close(self):
        self.listener.close()


def connect():
    host, rest = os.environ["DISPLAY"].rsplit(":", 1)
    return socket.create_connection((host, 6000 + int(rest.split(".")[0])), 30)


def known_cookie():
    listed = subprocess.run(["xauth", "list", os.environ["DISPLAY"].replace("localhost:", "unix:")], check=True,
                            capture_output=True, text=True).stdout.split()
    return bytes.fromhex(listed[2])


def answer(s):
    try:
        head = read_exactly(s, 8)
        if head[:1] == b"\0":
            return "refused: " + read_exactly(s, head[1]).decode()
        return "connected" if head[:1] == b"\1" else "closed"
    except OSError:
        return "closed"


def exchange(s, size):
    """All of it there and back; then the end of one direction, behind which the other goes on for a moment."""
    sent, got = hashlib.sha256(), hashlib.sha256()

    def send():
        for i in range(size >> 16):
            block = hashlib.shake_256(i.to_bytes(8, "big")).digest(1 << 16)
            sent.update(block)
            s.sendall(block)

    thread = threading.Thread(target=send)
    thread.start()
    left = size
    while left > 0 and (block := s.recv(min(left, 1 << 16))):
        got.update(block)
        left -= len(block)
    thread.join()
    s.shutdown(socket.SHUT_WR)
    same = "same" if sent.digest() == got.digest() else "different"
    return f"{same} {read_exactly(s, 100).decode()}".strip()


def main(how, *extra):
    if how == "none":
        print("display", os.environ.get("DISPLAY", "none"))
        return
    if how == "garbage":
        s = connect()
        s.sendall(b"GET / HTTP/1.0\r\n\r\n")
        print(answer(s))
        return
    cookie = known_cookie()
    if how == "wrong":
        s = connect()
        s.sendall(setup(MAGIC, cookie[:-1] + bytes([cookie[-1] ^ 1]), "B"))
        print(answer(s))
        return
    if how == "linger":  # behind the end of its session
        s = connect()
        s.sendall(setup(MAGIC, cookie))
        said = answer(s)
        begun, go, done = extra
        open(begun, "w").close()
        while not os.path.exists(go):
            time.sleep(0.05)
        said += " " + exchange(s, 1 << 20)
        with open(done, "w") as f:
            f.write(said)
        return
    if how == "many":
        sockets = [connect() for _ in range(20)]
        for s in sockets:
            s.sendall(setup(MAGIC, cookie))
        print(*sorted({answer(s) for s in sockets}))
        return
    s = connect()
    for byte in setup(MAGIC, cookie, "B"):  # in pieces
        s.sendall(bytes([byte]))
    said = answer(s)
    print(said, exchange(s, 4 << 20) if said == "connected" else "")


if __name__ == "__main__":
    main(*sys.argv[1:])
