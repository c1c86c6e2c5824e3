#!/usr/bin/python3
"""What is in the tree can be read: no file is binary and no line longer than an eye follows, but for test data and what
fuzzers found, which no program that is installed is built from (what hid in xz, CVE-2024-3094, hid in such files)."""
import pathlib
import shutil
import subprocess
import sys

ALLOWED = ("tests/data/", "fuzz/crashes/", "fuzz/seeds/")
LONGEST = 1000

root = pathlib.Path(sys.argv[1])
names = []
if shutil.which("git"):
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True)
    names = listed.stdout.decode().split("\0")[:-1] if listed.returncode == 0 else []
if not names:  # a release has no git: what was unpacked, then, without what was built
    names = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file() and not any(
        part.startswith((".", "build")) or part == "__pycache__" for part in p.relative_to(root).parts)]
bad, read = [], 0
for name in names:
    path = root / name
    if name.startswith(ALLOWED) or not path.is_file():
        continue
    read += 1
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        bad.append(f"{name}: is no text")
        continue
    odd = [c for c in text if ord(c) < 32 and c not in "\n\t"]
    if odd:
        bad.append(f"{name}: has the control character {ord(odd[0])} in it")
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST and not name.endswith(".md"):
            bad.append(f"{name}:{number}: a line of {len(line)} characters")
print("\n".join(bad) or f"{read} files are text")
sys.exit(1 if bad or read < 100 else 0)
