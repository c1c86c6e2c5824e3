"""What a forwarded connection costs: -L, -R and -D, both ways, by `ssh -N` and ours against both servers.

One connection carries the bytes from one process to another through client and server, all of them on this machine.
Login and goodbye are not measured: the processor time is what client and session took between the first byte and the
last, from the scheduler's own account, which is exact.
"""
import os
import pathlib
import socket
import struct
import subprocess
import time

CHUNK = 256 * 1024
KINDS = ("-L", "-R", "-D")
GET, PUT = b"g", b"p"  # from the other end, to the other end


def send(s, n):
    block = memoryview(os.urandom(CHUNK))
    while n > 0:
        n -= s.send(block[:n])


def receive(s):
    """How much comes until the end."""
    buffer, n = bytearray(CHUNK), 0
    while got := s.recv_into(buffer):
        n += got
    return n


def read_exactly(s, n):
    data = b""
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            raise RuntimeError("the forwarded connection ended early")
        data += part
    return data


class Service:
    """A process that sends what is asked for, or counts what comes; ends with its parent's end of the pipe."""

    def __init__(self, die_with_parent):
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        self.pid = os.fork()
        if self.pid == 0:
            die_with_parent()
            while True:
                s, _ = listener.accept()
                try:
                    self.serve(s)
                except (OSError, RuntimeError):
                    pass
                s.close()
        listener.close()

    @staticmethod
    def serve(s):
        what, n = struct.unpack("!cQ", read_exactly(s, 9))
        if what == GET:
            send(s, n)
        else:
            s.sendall(struct.pack("!Q", receive(s)))

    def end(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def listens(port):
    wanted = f"0100007F:{port:04X}"
    for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == wanted and fields[3] == "0A":
            return True
    return False


def socks(s, port):
    s.sendall(b"\5\1\0")
    read_exactly(s, 2)
    s.sendall(b"\5\1\0\1\x7f\0\0\1" + struct.pack("!H", port))
    if read_exactly(s, 10)[1] != 0:
        raise RuntimeError("SOCKS: refused")


def processor_times(pids):
    """Seconds that each process ran, all threads; those that are gone are left out (sshd's, before login)."""
    times = {}
    for pid in pids:
        try:
            times[pid] = sum(int((task / "schedstat").read_text().split()[0])
                             for task in pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9
        except OSError:
            continue
    return times


class Forwards:
    def __init__(self, bench, harness, children_of):
        self.bench, self.harness, self.children_of = bench, harness, children_of
        self.size = bench.options.size << 20
        self.service = None

    def below(self, pid):
        found = []
        for child in self.children_of(pid):
            found += [child, *self.below(child)]
        return found

    def once(self, pair, kind, direction, cipher):
        """Wall, client and server seconds of one connection."""
        client, server = pair
        port, bench = self.harness.free_port(), self.bench
        where = [kind, f"127.0.0.1:{port}" if kind == "-D" else f"127.0.0.1:{port}:127.0.0.1:{self.service.port}"]
        extra = [f"Ciphers={cipher[0]}", *([f"MACs={cipher[1]}"] if cipher[1] else []), "ExitOnForwardFailure=yes"]
        command = [bench.programs[client]["ssh"], "-q", "-N", "-p", bench.servers[server].port,
                   *bench.client_options(server, extra), *where, f"{self.harness.ME}@127.0.0.1"]
        with open(bench.log, "wb") as log:
            process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        bench.orphans.known.add(process.pid)
        try:
            end = time.monotonic() + 60
            while not listens(port):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{command}\n{bench.log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.01)
            return self.carry(port, kind, direction, process.pid, bench.servers[server].process.pid)
        finally:
            process.terminate()
            process.wait()
            bench.orphans.known.discard(process.pid)
            bench.clocks[server].settle()

    def carry(self, port, kind, direction, client, listener):
        # Who dials a -R is at the server's end: what comes to the client is what it sends.
        ask = GET if (direction == "get") != (kind == "-R") else PUT
        sessions = self.below(listener)
        with socket.create_connection(("127.0.0.1", port), 60) as s:
            if kind == "-D":
                socks(s, self.service.port)
            before = processor_times([client, *sessions])
            began = time.monotonic()
            s.sendall(struct.pack("!cQ", ask, self.size))
            if ask == GET:
                n = receive(s)
            else:
                send(s, self.size)
                s.shutdown(socket.SHUT_WR)
                n = struct.unpack("!Q", read_exactly(s, 8))[0]
            wall = time.monotonic() - began
            after = processor_times([client, *sessions])
        if n != self.size:
            raise RuntimeError(f"{n} bytes of {self.size} came through")
        spent = {pid: after[pid] - before[pid] for pid in before if pid in after}
        return {"wall": wall, "client": spent[client], "server": sum(spent.values()) - spent[client]}

    def run(self, ciphers, heading):
        bench = self.bench
        self.service = Service(self.harness._die_with_parent)
        bench.orphans.known.add(self.service.pid)
        print(f"\n### Forwarded connections, {bench.options.size} MiB each way, {ciphers[0][0]}, median of "
              f"{bench.options.runs}\n")
        print(heading)
        for kind in bench.options.kinds:
            for direction in bench.options.directions:
                jobs = {pair: (lambda warming, p=pair: self.once(p, kind, direction, ciphers[0]))
                        for pair in bench.pairs}
                bench.print_bulk(kind, direction, bench.rounds(jobs), self.size / (1 << 30))
        self.service.end()
        bench.orphans.known.discard(self.service.pid)
