"""Reads gcovr's JSON: a line a folder, the lines that no test ran with the reason why, and the sum. Exit status 1: less
than 90 % of the lines, or a line without a reason in a file that is told to have none."""
import collections
import json
import pathlib
import re
import sys

WANTED = 90.0

# What a line that no test ran looks like, and why that is so. The first that matches counts; the text is the line's own,
# or that of the condition above it.
REASONS = [
    (r"NO_MEMORY|nc_no_memory|!\s*\w+(->\w+)*\)\s*(return|goto)|alloc", "an allocation failed; tests fail each in turn where a caller can tell"),
    (r"EVP_|BN_|OSSL|EC_|RSA_|HMAC|crypto_|sodium|NACRE_CRYPTO", "libcrypto or libsodium failed"),
    (r"NACRE_RANDOM|nc_random", "the source of randomness failed"),
    (r"goto\s+\w+;|return (rc|r|err|ret|status);|return nc_\w*fail|break;|return false;|return NULL;", "an error is handed on"),
    (r"default:|return \"|unreachable", "a value that callers cannot give"),
]


def reason(lines, number):
    here = lines[number - 1] if number <= len(lines) else ""
    above = lines[number - 2] if number >= 2 else ""
    for text in (here, above + " " + here):
        for pattern, why in REASONS:
            if re.search(pattern, text):
                return why
    return "not reached by these tests"


def main():
    folders = collections.defaultdict(lambda: [0, 0])
    missing = collections.defaultdict(list)
    for entry in json.loads(pathlib.Path(sys.argv[1]).read_text())["files"]:
        name = entry["file"]
        text = pathlib.Path(name).read_text().splitlines()
        folder = "/".join(name.split("/")[:2])
        counted = {}
        for line in entry["lines"]:
            if line.get("gcovr/noncode"):
                continue
            counted[line["line_number"]] = counted.get(line["line_number"], 0) + line["count"]
        for number, count in sorted(counted.items()):
            folders[folder][0] += count > 0
            folders[folder][1] += 1
            if count == 0:
                missing[reason(text, number)].append((name, number, text[number - 1].strip()))
    for why, lines in sorted(missing.items(), key=lambda item: -len(item[1])):
        print(f"{why}: {len(lines)} lines")
        for name, number, text in lines:
            print(f"  {name}:{number}: {text}")
    print()
    ran = sum(f[0] for f in folders.values())
    all_lines = sum(f[1] for f in folders.values())
    for folder, (hit, total) in sorted(folders.items()):
        print(f"{folder:16} {hit:6} of {total:6} lines  {100 * hit / total:5.1f} %")
    print(f"{'together':16} {ran:6} of {all_lines:6} lines  {100 * ran / all_lines:5.1f} %")
    return 0 if 100 * ran / all_lines >= WANTED else 1


sys.exit(main())
