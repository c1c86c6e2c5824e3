#!/usr/bin/python3
"""Runs clang-tidy and gcc -fanalyzer over the files of the build folder's compilation database; see static.sh. A line of
static.txt answers findings:  CHECK FILE "part of the source line": reason"""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

root = pathlib.Path.cwd()
FOLDERS = ("src", "apps", "fuzz")
# So many states of one function are looked at: what takes longer finds little more (deep: all of them).
NODES = ["-Xclang", "-analyzer-config", "-Xclang", "max-nodes=20000"]
# What gcc's analyzer is not asked: it too looks at one file, and takes what a function of another returns for any number,
# so that it follows failures on as if they had been none (clang's is told better: static.h). What a list keeps that
# realloc moved is lost to it; LeakSanitizer sees every test.
NOT_ASKED = ["null-dereference", "null-argument", "possible-null-dereference", "possible-null-argument",
             "use-of-uninitialized-value", "malloc-leak"]
FOUND = re.compile(r"^(\S+?):(\d+):\d+: (?:warning|error): (.*) \[([\w.,=+-]+)\]$")
ANSWER = re.compile(r'^(\S+) (\S+) "(.*)": (.+)$')


def answers():
    rows = []
    for number, line in enumerate(pathlib.Path("scripts/static.txt").read_text().splitlines(), 1):
        if line and not line.startswith("#"):
            match = ANSWER.match(line) or sys.exit(f"scripts/static.txt:{number}: not a line of that form")
            rows.append([*match.groups()[:3], number, 0])
    return rows


def sources(wanted):
    """Path, command and folder, the largest first: no core waits for the last one."""
    rows = {}
    for entry in json.loads(pathlib.Path("build/compile_commands.json").read_text()):
        path = os.path.relpath(os.path.realpath(os.path.join(entry["directory"], entry["file"])), root)
        if path.split("/")[0] in FOLDERS and (not wanted or path in wanted):
            rows.setdefault(path, (path, entry["command"], entry["directory"]))
    return sorted(rows.values(), key=lambda row: -os.path.getsize(row[0]))


def tidy(path, deep):
    extra = ["-Wno-unknown-warning-option", "-include", f"{root}/scripts/static.h",
             *(["-DNACRE_STATIC_CLIENT"] if path.startswith("src/client/") else []), *([] if deep else NODES)]
    run = subprocess.run(["clang-tidy", "-p", "build", "--quiet", *[f"--extra-arg={a}" for a in extra], path],
                         capture_output=True, text=True)
    if run.returncode not in (0, 1) or "error: " in run.stderr:
        sys.exit(f"clang-tidy cannot read {path}:\n{run.stdout}{run.stderr}")
    return run.stdout


def gcc(command, folder):
    """What the compiler said when it built this file, and what its analyzer adds."""
    words = [w for w in shlex.split(command) if w not in ("ccache", "-Werror") and not w.startswith("-M") and not w.endswith(".d")]
    words[words.index("-o") + 1] = os.devnull
    run = subprocess.run([*words, "-fanalyzer", "-fdiagnostics-color=never", *[f"-Wno-analyzer-{w}" for w in NOT_ASKED]],
                         cwd=folder, capture_output=True, text=True)
    return run.stdout + run.stderr


def findings(text):
    for line in text.splitlines():
        if match := FOUND.match(line):
            path = os.path.relpath(os.path.realpath(match.group(1) if match.group(1).startswith("/") else
                                                    os.path.join("build", match.group(1))), root)
            if not os.path.exists(path):
                path = match.group(1)
            yield path, int(match.group(2)), match.group(4), match.group(3)


def main():
    words = sys.argv[1:]
    deep = "deep" in words
    wanted = [w for w in words if w != "deep"]
    files = sources(wanted)
    rows = answers()
    workers = os.cpu_count() or 2
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        jobs = [pool.submit(tidy, path, deep) for path, _, _ in files]
        jobs += [pool.submit(gcc, command, folder) for _, command, folder in files]
        found = sorted({f for job in jobs for f in findings(job.result())})
    open_ones = 0
    for path, number, check, text in found:
        line = pathlib.Path(path).read_text().splitlines()[number - 1]
        row = next((r for r in rows if r[0] in check.split(",") and r[1] == path and r[2] in line), None)
        if row:
            row[4] += 1
            continue
        open_ones += 1
        print(f"{path}:{number}: {text} [{check}]\n    {line.strip()}")
    idle = [] if wanted or deep else [r for r in rows if not r[4]]
    for row in idle:
        print(f"scripts/static.txt:{row[3]}: nothing asks for this any more")
    print(f"{len(files)} files, {len(found)} findings, {len(found) - open_ones} answered in scripts/static.txt")
    sys.exit(1 if open_ones or idle or not files else 0)


main()
