#!/usr/bin/python3
"""Times our programs and OpenSSH's in the same run and prints ratios.

Each round runs every pair of client and server once, one after the other (A B C D, A B C D ...), on
files in /dev/shm over 127.0.0.1; what is printed is the median of the rounds. Absolute figures depend
on the machine and the hour: compare only within one run. README.md beside this says how to read it.

    NACRE_BUILD=build bench/run.py [--quick] [--runs N] [--size MiB] [--only bulk|forward|near|far|login|primitives|libssh]
"""
import argparse
import ctypes
import filecmp
import importlib.util
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys
import time

import files
import forward

HERE = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.setdefault("NACRE_BUILD", "build")).resolve()
os.environ["NACRE_BUILD"] = str(BUILD)
GIB = float(1 << 30)
MIB = float(1 << 20)
TICK = os.sysconf("SC_CLK_TCK")
DEADLINE = 300.0

CIPHERS = {"chacha20": ("chacha20-poly1305@openssh.com", None), "aes128-gcm": ("aes128-gcm@openssh.com", None),
           "aes256-gcm": ("aes256-gcm@openssh.com", None), "aes128-ctr": ("aes128-ctr", "hmac-sha2-256-etm@openssh.com")}


BULK_HEADING = ("| | client -> server | MB/s (min-max) | ratio to OpenSSH | client CPU s/GiB | ratio | server CPU s/GiB "
                "| ratio |\n|---|---|---|---|---|---|---|---|---|")


def load_harness():
    path = HERE.parent / "tests" / "interop" / "harness.py"
    spec = importlib.util.spec_from_file_location("harness", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


harness = load_harness()


# ---- processor time ------------------------------------------------------------------------------------

class Orphans:
    """Processes whose parent ended first come to us (PR_SET_CHILD_SUBREAPER), so that no CPU time is lost."""

    def __init__(self):
        ctypes.CDLL(None, use_errno=True).prctl(36, 1)
        self.known = set()
        self.seconds = 0.0

    def reap(self):
        for pid in children_of(os.getpid()):
            if pid in self.known:
                continue
            try:
                done, _, usage = os.wait4(pid, os.WNOHANG)
            except ChildProcessError:
                continue
            if done:
                self.seconds += usage.ru_utime + usage.ru_stime


def stat_fields(pid):
    """Fields of /proc/PID/stat from the third on; None when the process is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2:].split()


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        fields = stat_fields(entry) if entry.isdigit() else None
        if fields and int(fields[1]) == pid:
            found.append(int(entry))
    return found


class ServerClock:
    """CPU seconds of a server and all its descendants, ended ones included.

    What has ended stands in the listener's cutime and cstime, once it was waited for; an orphan's with
    Orphans. The kernel counts both in ticks, of 10 ms usually.
    """

    def __init__(self, server, orphans):
        self.pid, self.orphans = server.process.pid, orphans
        self.start = None

    def read(self):
        fields = stat_fields(self.pid)
        if fields is None:
            raise SystemExit(f"server process {self.pid} ended")
        return sum(int(f) for f in fields[11:15]) / TICK + self.orphans.seconds

    def settle(self):
        """Waits until no session is left."""
        end = time.monotonic() + 20
        while True:
            self.orphans.reap()
            strangers = set(children_of(os.getpid())) - self.orphans.known
            if not children_of(self.pid) and not strangers:
                return
            if time.monotonic() > end:
                raise SystemExit(f"sessions of server process {self.pid} do not end")
            time.sleep(0.005)

    def begin(self):
        self.settle()
        self.start = self.read()

    def end(self):
        self.settle()
        return self.read() - self.start


def measure(command, clock, orphans, log, good=(0,)):
    """Runs a program to its end: wall, client CPU and server CPU in seconds."""
    clock.begin()
    environment = {k: v for k, v in os.environ.items() if k not in ("SSH_AUTH_SOCK", "SSH_ASKPASS", "DISPLAY")}
    with open(log, "wb") as out:
        began = time.monotonic()
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                   env=environment)
        orphans.known.add(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        orphans.known.discard(process.pid)
    if process.returncode not in good:
        text = pathlib.Path(log).read_text(errors="replace")[-3000:]
        raise RuntimeError(f"{shlex.join(str(c) for c in command)}\nexit {process.returncode}\n{text}")
    return {"wall": wall, "client": usage.ru_utime + usage.ru_stime, "server": clock.end()}


# ---- who runs against whom -------------------------------------------------------------------------------

class Bench:
    def __init__(self, options):
        self.options = options
        self.orphans = Orphans()
        self.place = harness.Place()
        self.log = self.place.path("client.log")
        apps = self.apps = BUILD / "apps"
        self.programs = {"OpenSSH": {"ssh": "ssh", "sftp": "sftp"}}
        if (apps / "nacre-ssh").exists() and (apps / "nacre-sftp").exists():
            self.programs["nacre"] = {"ssh": apps / "nacre-ssh", "sftp": apps / "nacre-sftp"}
        # internal-sftp on both sides: sftp-server would start through the user's shell and its startup files.
        lines = ["LogLevel ERROR", "MaxStartups 500"]
        self.servers = {"OpenSSH": harness.openssh_server(self.place, *lines, sftp="internal-sftp")}
        if (apps / "nacre-sshd").exists():
            self.servers["nacre"] = harness.nacre_server(self.place, *lines)
        for missing in {"nacre"} - self.programs.keys():
            print(f"note: no {apps}/nacre-ssh and nacre-sftp: clients are OpenSSH's only\n")
        for missing in {"nacre"} - self.servers.keys():
            print(f"note: no {apps}/nacre-sshd: the server is OpenSSH's only\n")
        self.clocks = {name: ServerClock(s, self.orphans) for name, s in self.servers.items()}
        self.orphans.known |= {s.process.pid for s in self.servers.values()}
        self.known_hosts = {name: self.place.known_hosts(s.port) for name, s in self.servers.items()}
        self.pairs = [(c, s) for c in ("nacre", "OpenSSH") for s in ("nacre", "OpenSSH")
                      if c in self.programs and s in self.servers and options.pair in (None, f"{c}:{s}")]

    def client_options(self, server, extra=()):
        return harness.client_options(self.place, self.servers[server], known=self.known_hosts[server], extra=extra)

    median = staticmethod(statistics.median)

    @staticmethod
    def ratios(base, samples):
        return ratios(base, samples)

    def rounds(self, jobs, runs=None, warm=True):
        """jobs: {name: callable}. Runs each once for warmth, then in turn; returns {name: [result]}.

        A job that fails is left out with a line that says why; the others go on.
        """
        results = {name: [] for name in jobs}
        for turn in range(0 if warm else 1, (runs or self.options.runs) + 1):
            for name in [n for n in results]:
                try:
                    result = jobs[name](turn == 0)
                except RuntimeError as failure:
                    print(f"note: {' -> '.join(name)} failed: {failure}\n", flush=True)
                    del results[name]
                    continue
                if turn > 0:
                    results[name].append(result)
        return results

    # ---- bulk ----

    def transfer(self, pair, direction, cipher, warming):
        client, server = pair
        source, target = self.place.path("source"), self.place.path("target")
        target.unlink(missing_ok=True)
        batch = self.place.path("batch")
        batch.write_text(f"{direction} {source} {target}\n")
        name, mac = CIPHERS[cipher]
        extra = [f"Ciphers={name}"] + ([f"MACs={mac}"] if mac else []) + ["KexAlgorithms=curve25519-sha256"]
        command = [self.programs[client]["sftp"], "-q", "-b", batch, "-P", self.servers[server].port,
                   *self.client_options(server, extra), *self.options.sftp_args, f"{harness.ME}@127.0.0.1"]
        result = measure(command, self.clocks[server], self.orphans, self.log)
        same = filecmp.cmp(source, target, shallow=False) if warming else True
        if not same or target.stat().st_size != source.stat().st_size:
            raise RuntimeError("the copy differs from its source")
        return result

    def bulk(self):
        size = self.options.size
        with open(self.place.path("source"), "wb") as f:
            for _ in range(size):
                f.write(os.urandom(1 << 20))
        gib = size * MIB / GIB
        print(f"\n### Bulk SFTP, {size} MiB, median of {self.options.runs}\n")
        print("| cipher " + BULK_HEADING)
        for cipher in self.options.ciphers:
            for direction in self.options.directions:
                jobs = {pair: (lambda warming, p=pair: self.transfer(p, direction, cipher, warming))
                        for pair in self.pairs}
                results = self.rounds(jobs)
                self.print_bulk(cipher, direction, results, gib)
        self.place.path("source").unlink()
        self.place.path("target").unlink(missing_ok=True)

    @staticmethod
    def print_bulk(cipher, direction, results, gib):
        base = results.get(("OpenSSH", "OpenSSH"))
        for pair, samples in results.items():
            speeds = [gib * GIB / 1e6 / s["wall"] for s in samples]
            middle = {key: statistics.median(s[key] for s in samples) / gib for key in ("client", "server")}
            ratio = {"wall": "", "client": "", "server": ""}
            if base:
                # Paired: the median of the ratios of runs that stood beside each other.
                ratio = {key: ratios([b[key] for b in base], [s[key] for s in samples]) for key in ratio}
            print(f"| {cipher} | {direction} | {pair[0]} -> {pair[1]} | {statistics.median(speeds):.0f} "
                  f"({min(speeds):.0f}-{max(speeds):.0f}) | {ratio['wall']} | {middle['client']:.2f} "
                  f"| {ratio['client']} | {middle['server']:.2f} | {ratio['server']} |", flush=True)

    # ---- beside libssh ----

    def library(self, program, direction, _):
        """One transfer by a library's calls against OpenSSH's server: start and login are not in it."""
        source, target = self.place.path("source"), self.place.path("target")
        command = [BUILD / "bench" / program, "-p", self.servers["OpenSSH"].port, "-u", harness.ME,
                   "-i", self.place.keys["ed25519"], "-c", CIPHERS[self.options.ciphers[0]][0], "-n", 1,
                   direction, source, target]
        measure(command, self.clocks["OpenSSH"], self.orphans, self.log)
        own = json.loads(self.log.read_text().splitlines()[-1])
        return {"wall": self.options.size * MIB / 1e6 / own["mb_s"], "client": own["client_cpu_s_per_gib"]}

    def beside_libssh(self):
        names = {"transfer": "nacre", "libssh_transfer": "libssh, asynchronous"}
        names = {p: n for p, n in names.items() if (BUILD / "bench" / p).exists()}
        if len(names) < 2:
            print("\nnote: bench/libssh_transfer is not built (libssh 0.11 or later is needed)")
            return
        files.make_file(self.place.path("source"), self.options.size)
        print(f"\n### Library calls against OpenSSH's server, {self.options.size} MiB, {self.options.ciphers[0]}\n")
        print("| | library | MB/s | ratio to libssh | client CPU s/GiB | ratio |")
        print("|---|---|---|---|---|---|")
        for direction in self.options.directions:
            jobs = {(p,): (lambda w, p=p: self.library(p, direction, w)) for p in names}
            results = self.rounds(jobs, warm=False)
            base = results.get(("libssh_transfer",))
            for (program,), samples in results.items():
                wall, client = (statistics.median(s[key] for s in samples) for key in ("wall", "client"))
                ratio = [ratios([b[key] for b in base], [s[key] for s in samples]) if base else ""
                         for key in ("wall", "client")]
                print(f"| {direction} | {names[program]} | {self.options.size * MIB / 1e6 / wall:.0f} | {ratio[0]} "
                      f"| {client:.2f} | {ratio[1]} |", flush=True)
        self.place.path("source").unlink()
        self.place.path("target").unlink(missing_ok=True)

    # ---- logins ----

    def session(self, pair, _):
        """A login as people do it, by the ssh program. The SFTP subsystem at end of input is the session that
        costs least: a command would measure the user's shell and its startup files."""
        client, server = pair
        count = self.options.sessions
        total = {"wall": 0.0, "client": 0.0, "server": 0.0}
        command = [self.programs[client]["ssh"], "-p", self.servers[server].port,
                   *self.client_options(server, [f"KexAlgorithms={self.options.kex}"]), "-s",
                   f"{harness.ME}@127.0.0.1", "sftp"]
        clock = self.clocks[server]
        clock.begin()
        before = clock.start
        for _ in range(count):
            one = measure(command, clock, self.orphans, self.log)
            total["wall"] += one["wall"]
            total["client"] += one["client"]
        total["server"] = clock.read() - before
        return {key: value / count for key, value in total.items()}

    def login(self, pair, _):
        """Bare logins of the library, many in one process, against a server program."""
        _, server = pair
        command = [BUILD / "bench" / "login", "-p", self.servers[server].port, "-u", harness.ME,
                   "-i", self.place.keys["ed25519"], "-n", self.options.logins, "-k", self.options.kex]
        result = measure(command, self.clocks[server], self.orphans, self.log)
        own = json.loads(self.log.read_text().splitlines()[-1])
        return {"wall": own["wall_ms"] / 1e3, "client": own["client_cpu_ms"] / 1e3,
                "server": result["server"] / own["attempts"]}

    def in_process(self, _pair, _):
        """Our client against our server, each one process for all logins."""
        command = [BUILD / "bench" / "login", "-s", self.place.host_keys["ed25519"], "-u", harness.ME,
                   "-i", self.place.keys["ed25519"], "-n", self.options.logins, "-k", self.options.kex]
        run = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if run.returncode != 0:
            raise RuntimeError(f"{shlex.join(str(c) for c in command)}\nexit {run.returncode}\n{run.stderr[-2000:]}")
        own = json.loads(run.stdout.splitlines()[-1])
        return {"wall": own["wall_ms"] / 1e3, "client": own["client_cpu_ms"] / 1e3,
                "server": own["server_cpu_ms"] / 1e3}

    def logins(self):
        jobs = {(c, s): (lambda w, p=(c, s): self.session(p, w)) for c, s in self.pairs}
        if (BUILD / "bench" / "login").exists():
            for server in self.servers:
                pair = ("login.c", server)
                jobs[pair] = lambda w, p=pair: self.login(p, w)
            jobs[("login.c", "login.c")] = lambda w: self.in_process(None, w)
        print(f"\n### Logins, {self.options.kex} and an ed25519 key, medians of {self.options.runs} rounds\n")
        results = self.rounds(jobs)
        base = results.get(("OpenSSH", "OpenSSH"))
        print("| client -> server | what | logins/s | ratio to OpenSSH | client CPU ms | ratio | server CPU ms | ratio |")
        print("|---|---|---|---|---|---|---|---|")
        for pair, samples in results.items():
            what = ("bare logins, one client process" if pair[0] == "login.c" else "a process and a session each")
            middle = {key: statistics.median(s[key] for s in samples) for key in ("wall", "client", "server")}
            ratio = {key: ratios([b[key] for b in base], [s[key] for s in samples]) if base else ""
                     for key in middle}
            print(f"| {pair[0]} -> {pair[1]} | {what} | {1 / middle['wall']:.0f} | {ratio['wall']} "
                  f"| {middle['client'] * 1e3:.2f} | {ratio['client']} | {middle['server'] * 1e3:.2f} "
                  f"| {ratio['server']} |", flush=True)


def ratios(base, samples):
    """How many times better than base, run by run: the median."""
    pairs = [b / s for b, s in zip(base, samples) if s > 0]
    return f"{statistics.median(pairs):.2f}" if pairs else ""


def primitives():
    program = BUILD / "bench" / "primitives"
    if program.exists():
        print("\n### What the primitives and the loopback carry\n", flush=True)
        subprocess.run([str(program)], check=True, stdin=subprocess.DEVNULL)


def version_line(command):
    run = subprocess.run(command, capture_output=True, text=True)
    return (run.stdout + run.stderr).strip().splitlines()[0]


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    commit = subprocess.run(["git", "-C", str(HERE), "log", "-1", "--format=%h"], capture_output=True, text=True)
    return (f"{os.cpu_count()} CPUs ({model.group(1) if model else '?'}), Linux {os.uname().release}, "
            f"{version_line(['ssh', '-V'])}, nacre at {commit.stdout.strip() or '?'}")


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--quick", action="store_true", help="one cipher, 128 MiB, 3 runs: to see whether it works")
    p.add_argument("--runs", type=int, help="counted rounds (default 5)")
    p.add_argument("--size", type=int, help="MiB of the bulk file (default 512)")
    p.add_argument("--only", choices=["bulk", "forward", "near", "far", "login", "primitives", "libssh"])
    p.add_argument("--program", choices=["sftp", "scp"], help="near and far: only this one")
    p.add_argument("--what", action="append", choices=[files.BULK, files.TREE], help="near and far: only this")
    p.add_argument("--cipher", action="append", choices=list(CIPHERS), help="may be repeated")
    p.add_argument("--direction", choices=["get", "put"])
    p.add_argument("--kind", action="append", choices=list(forward.KINDS), help="forward: only this; may be repeated")
    p.add_argument("--pair", metavar="CLIENT:SERVER", help="only this pair, e.g. nacre:OpenSSH")
    p.add_argument("--kex", default="curve25519-sha256")
    p.add_argument("--logins", type=int, help="bare logins a round (default 100)")
    p.add_argument("--sftp-args", default="", help="further arguments of both sftp programs")
    o = p.parse_args()
    o.runs = o.runs or (3 if o.quick else 5)
    o.size = o.size or (128 if o.quick else 512)
    o.logins = o.logins or (20 if o.quick else 100)
    o.sessions = 5 if o.quick else 20
    o.near_size, o.far_size = (128, 64) if o.quick else (1024, 256)
    o.near_files, o.far_files = (500, 20) if o.quick else (5000, 200)
    o.ciphers = o.cipher or (["aes128-gcm"] if o.quick else list(CIPHERS))
    o.kinds = o.kind or list(forward.KINDS)
    o.directions = [o.direction] if o.direction else ["get", "put"]
    o.sftp_args = shlex.split(o.sftp_args)
    return o


def main():
    options = parse()
    print(f"`NACRE_BUILD={os.environ['NACRE_BUILD']} {shlex.join(sys.argv)}`\n\n{machine()}")
    if options.only in (None, "primitives"):
        primitives()
    if options.only == "primitives":
        return
    bench = Bench(options)
    if options.only in (None, "bulk"):
        bench.bulk()
    if options.only in (None, "forward"):
        forward.Forwards(bench, harness, children_of).run(
            [CIPHERS[name] for name in (options.cipher or ["aes128-gcm"])], "| forwarding " + BULK_HEADING)
    if options.only in (None, "libssh"):
        bench.beside_libssh()
    if options.only in (None, "near", "far"):
        files.Files(bench, measure, harness, BUILD / "bench" / "delay").run()
    if options.only in (None, "login"):
        bench.logins()


if __name__ == "__main__":
    main()
