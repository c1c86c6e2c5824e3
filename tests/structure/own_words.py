#!/usr/bin/python3
"""Layout rules that no compiler checks: file length, forbidden calls, unfinished work, a comment at the
top of every source file."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
FORBIDDEN = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|gets|alloca|atoi|atol|strtok|system|popen|dlopen|dlmopen|dlsym)\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
ALLOC = re.compile(r"(?<![\w>.])(malloc|calloc|realloc|free)\s*\(")
problems = []
files = [p for d in ("src", "apps", "include", "examples", "fuzz", "bench", "tests")
         for p in sorted((root / d).rglob("*.[ch]"))]
for path in files:
    name = path.relative_to(root)
    text = path.read_text()
    lines = text.splitlines()
    if len(lines) > 900:
        problems.append(f"{name}: {len(lines)} lines; look for the second subject in it")
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    if name.parts[0] in ("src", "apps"):
        for match in FORBIDDEN.finditer(code):
            problems.append(f"{name}: {match.group(1)} is not used here")
    if name.parts[0] == "src" and name.name != "mem.c":
        for match in ALLOC.finditer(code):
            # What realpath(3) and its like return is the C library's, and freed by it.
            if not (match.group(1) == "free" and name.parts[1] in ("io", "client", "server")):
                problems.append(f"{name}: {match.group(1)} past the allocator hook")
    if UNFINISHED.search(text):
        problems.append(f"{name}: admits unfinished work")
print("\n".join(problems) or f"{len(files)} files in order")
sys.exit(1 if problems or not files else 0)
