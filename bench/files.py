"""What moving files costs by the programs: one large file and a tree of small ones, near and far.

Far is a link with a delay (delay.c of this folder). Each cell is one transfer by a whole process, `sftp` or
`scp`, ours and OpenSSH's against both servers, and every copy is compared with its source.
"""
import filecmp
import os
import shutil
import subprocess

BULK = "one file"
TREE = "tree"


class Link:
    """A delay in front of a server; its port is what a client is given. 0 ms: nothing in between."""

    def __init__(self, program, server, ms):
        self.process, self.port = None, server.port
        if ms:
            self.process = subprocess.Popen([str(program), "-d", str(ms), str(server.port)], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, text=True)
            self.port = int(self.process.stdout.readline())

    def end(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()


def make_file(path, mib):
    with open(path, "wb") as f:
        for _ in range(mib):
            f.write(os.urandom(1 << 20))


def make_tree(path, count, size=1024, width=100):
    for i in range(count):
        folder = path / f"d{i // width:03}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{i % width:02}").write_bytes(os.urandom(size))


def clear(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def names_below(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*"))


def same(source, target):
    if not source.is_dir():
        return target.is_file() and filecmp.cmp(source, target, shallow=False)
    names = names_below(source)
    if not target.is_dir() or names_below(target) != names:
        return False
    files = [n for n in names if (source / n).is_file()]
    return not any(filecmp.cmpfiles(source, target, files, shallow=False)[1:])


class Files:
    """bench: run.py's Bench. measure and harness: its function and the tests' helpers."""

    def __init__(self, bench, measure, harness, delay_program):
        self.bench, self.measure, self.harness = bench, measure, harness
        self.delay_program = delay_program
        self.options = bench.options

    def programs(self):
        """{program: {whose: path}}, of those that are there."""
        ours = {name: self.bench.apps / f"nacre-{name}" for name in ("sftp", "scp")}
        return {name: {"nacre": ours[name], "OpenSSH": name} if ours[name].exists() else {"OpenSSH": name}
                for name in ours if self.options.program in (None, name)}

    def command(self, name, program, port, known, direction, source, target):
        server = type("Port", (), {"port": port})
        options = self.harness.client_options(self.bench.place, server, known=known,
                                              extra=["KexAlgorithms=curve25519-sha256", "Ciphers=aes128-gcm@openssh.com"])
        recursive = source.is_dir()
        if name == "sftp":
            batch = self.bench.place.path("batch")
            batch.write_text(f"{direction} {'-R ' if recursive else ''}{source} {target}\n")
            return [program, "-q", "-b", batch, "-P", port, *options, f"{self.harness.ME}@127.0.0.1"]
        there = f"{self.harness.ME}@127.0.0.1:"
        pair = [f"{there}{source}", target] if direction == "get" else [source, f"{there}{target}"]
        return [program, "-q", *(["-r"] if recursive else []), "-P", port, *options, *pair]

    def cell(self, name, program, server, link, known, direction, source):
        target = self.bench.place.path("target")
        clear(target)
        command = self.command(name, program, link.port, known, direction, source, target)
        result = self.measure(command, self.bench.clocks[server], self.bench.orphans, self.bench.log)
        if not same(source, target):
            raise RuntimeError("the copy differs from its source")
        return result

    def run(self):
        delays = [0.0] if self.options.only == "near" else [25.0] if self.options.only == "far" else [0.0, 25.0]
        print("\n### Files by the programs, aes128-gcm\n")
        print("| each way | what | program | | client -> server | seconds | rate | ratio to OpenSSH -> OpenSSH | client CPU s "
              "| ratio |")
        print("|---|---|---|---|---|---|---|---|---|---|")
        for ms in delays:
            links = {n: Link(self.delay_program, s, ms) for n, s in self.bench.servers.items()}
            self.bench.orphans.known |= {link.process.pid for link in links.values() if link.process}
            try:
                self.at_delay(ms, links)
            finally:
                for link in links.values():
                    link.end()

    def at_delay(self, ms, links):
        mib = self.options.far_size if ms else self.options.near_size
        count = self.options.far_files if ms else self.options.near_files
        known = {n: self.bench.place.known_hosts(link.port) for n, link in links.items()}
        for what in self.options.what or [BULK, TREE]:
            source = self.bench.place.path("source")
            make_tree(source, count) if what == TREE else make_file(source, mib)
            # What takes a minute at every turn, because of the delay alone, does not need many turns.
            runs = 1 if ms and what == TREE else min(self.options.runs, 3)
            amount = (count, "files/s", f"{count} files of 1 KiB") if what == TREE else \
                (mib * (1 << 20) / 1e6, "MB/s", f"{mib} MiB")
            for name, programs in self.programs().items():
                for direction in self.options.directions:
                    jobs = {(c, s): (lambda _, c=c, s=s: self.cell(name, programs[c], s, links[s], known[s], direction,
                                                                   source))
                            for c, s in self.bench.pairs if c in programs}
                    results = self.bench.rounds(jobs, runs=runs, warm=not ms)
                    self.show(ms, amount, name, direction, results)
            clear(source)
            clear(self.bench.place.path("target"))

    def show(self, ms, amount, name, direction, results):
        base = results.get(("OpenSSH", "OpenSSH"))
        for pair, samples in results.items():
            wall, client = (self.bench.median(s[key] for s in samples) for key in ("wall", "client"))
            ratio = [self.bench.ratios([b[key] for b in base], [s[key] for s in samples]) if base else ""
                     for key in ("wall", "client")]
            print(f"| {ms:.0f} ms | {amount[2]} | {name} | {direction} | {pair[0]} -> {pair[1]} | {wall:.2f} "
                  f"| {amount[0] / wall:.0f} {amount[1]} | {ratio[0]} | {client:.2f} | {ratio[1]} |", flush=True)
