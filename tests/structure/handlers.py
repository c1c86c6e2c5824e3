#!/usr/bin/python3
"""What signal handlers do, and whatever they call, is safe in one (signal-safety(7)): no allocation, no lock, no text, no
stdio, which is what regreSSHion (CVE-2024-6387) lived on. Reads the source: handlers are functions of one int in files that
set dispositions; every call in them is followed to its definition, or must be listed here."""
import pathlib
import re
import sys

# Of POSIX's list, what is used; and C's own operations on atomic objects.
SAFE = set("""
_exit getpid kill raise write read sigaction sigaddset sigemptyset sigfillset sigprocmask pthread_sigmask signal tcsetattr
tcgetattr tcgetpgrp getpgrp tcgetsid atomic_load atomic_store atomic_exchange atomic_fetch_or
atomic_compare_exchange_strong memcpy memset errno
""".split())
# Calls through a pointer, and what stands behind it.
POINTERS = {"cancel": ("channel_cancel", "pipe_cancel")}
WORDS = {"if", "while", "for", "switch", "return", "sizeof", "ssize_t"}
HANDLER = re.compile(r"^static void (\w+)\(int (?:signo|sig|signum)\)", re.M)
DEFINITION = re.compile(r"^(?!typedef|#|extern)[A-Za-z_][\w *]*?[ *](\w+)\([^;{]*\)\s*\n\{", re.M)
CALL = re.compile(r"\b([A-Za-z_]\w*)\s*\(")

root = pathlib.Path(sys.argv[1])
bodies = {}  # (file, name): text
for path in sorted(p for d in ("src", "apps") for p in (root / d).rglob("*.[ch]")):
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
    for match in DEFINITION.finditer(text):
        end = text.find("\n}", match.end())
        bodies[path, match.group(1)] = text[match.end():end]
    for match in re.finditer(r"^static inline [^;{]*?(\w+)\([^;{]*\)\s*\{(.*?)^\}", text, re.M | re.S):
        bodies[path, match.group(1)] = match.group(2)
by_name = {}
for (path, name), body in bodies.items():
    by_name.setdefault(name, []).append(path)

unsafe, seen = [], set()


def follow(path, name, way):
    if (path, name) in seen:
        return
    seen.add((path, name))
    body = re.sub(r'"(?:[^"\\]|\\.)*"', '""', bodies[path, name])
    for called in [n for c in CALL.findall(body) for n in POINTERS.get(c, (c,))]:
        if called in SAFE or called in WORDS:
            continue
        place = [path] if (path, called) in bodies else by_name.get(called, [])
        if len(place) != 1:
            unsafe.append(f"{path.relative_to(root)}: {called} is not known to be safe in a signal handler ({' > '.join(way)})")
        else:
            follow(place[0], called, way + [called])


handlers = 0
for path in sorted({p for p, _ in bodies}):
    text = path.read_text()
    if re.search(r"\bsa_handler = \w|\bnc_signals_claim\(", text):
        for name in HANDLER.findall(text):
            handlers += 1
            follow(path, name, [name])
print("\n".join(unsafe) or f"{handlers} handlers, {len(seen)} functions")
sys.exit(1 if unsafe or handlers < 5 else 0)
