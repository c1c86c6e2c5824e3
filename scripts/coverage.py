"""Reads gcovr's JSON and the reasons: prints the lines that no test ran, reason by reason, and the figure of each folder.
What nobody has given a reason for stands last. Exit status 1: less than 90 % of the lines ran.
Usage: coverage.py COVERAGE.json REASONS"""
import collections
import json
import pathlib
import re
import sys

WANTED = 90.0

# What a line says of itself. Everything else is named in the file of reasons.
SAYS_ITSELF = [
    (r"NACRE_NO_MEMORY", "", "an allocation failed"),
    (r"NACRE_CRYPTO|NACRE_RANDOM", r"src/crypto/", "libcrypto, libsodium or the source of randomness failed"),
    (r"^return (rc|err);$", "", "a called function's error is handed on; the errors are tested where they arise"),
]


def read_reasons(path):
    """Lines of the form "FILE FUNCTION: reason": the text that a function's lines get, by file and function."""
    reasons = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            where, why = line.split(": ", 1)
            name, function = where.split()
            reasons[name, function] = why
    return reasons


def reason(entry, function, text, reasons):
    for pattern, where, why in SAYS_ITSELF:
        if re.search(pattern, text) and entry["file"].startswith(where):
            return why
    return reasons.get((entry["file"], function))


def counts(entry):
    """Line numbers and how often each ran: a line of a header counts in every file that includes it."""
    ran = collections.Counter()
    for line in entry["lines"]:
        if not line.get("gcovr/noncode"):
            ran[line["line_number"]] += line["count"]
    return sorted(ran.items())


def main():
    reasons = read_reasons(pathlib.Path(sys.argv[2]))
    folders = collections.defaultdict(lambda: [0, 0])
    missing = collections.defaultdict(list)
    used = set()
    for entry in json.loads(pathlib.Path(sys.argv[1]).read_text())["files"]:
        name = entry["file"]
        text = pathlib.Path(name).read_text().splitlines()
        starts = sorted((f["lineno"], f["name"]) for f in entry["functions"])
        folder = folders["/".join(name.split("/")[:2])]
        for number, count in counts(entry):
            folder[0] += count > 0
            folder[1] += 1
            if count == 0:
                function = next((f for line, f in reversed(starts) if line <= number), "-")
                here = text[number - 1].strip()
                missing[reason(entry, function, here, reasons)].append(f"  {name}:{number} {function}: {here}")
                used.add((name, function))

    for why, lines in sorted(missing.items(), key=lambda item: (item[0] is None, len(item[1]))):
        print(f"{why or 'NOBODY SAID WHY'}: {len(lines)} lines", *lines, "", sep="\n")
    for name, function in sorted(set(reasons) - used):
        print(f"no longer needed: {name} {function}")
    for folder, (ran, lines) in sorted(folders.items()):
        print(f"{folder:16} {ran:6} of {lines:6} lines  {100 * ran / lines:5.1f} %")
    ran, lines = map(sum, zip(*folders.values()))
    print(f"{'together':16} {ran:6} of {lines:6} lines  {100 * ran / lines:5.1f} %")
    return 0 if 100 * ran / lines >= WANTED else 1


sys.exit(main())
