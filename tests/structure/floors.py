#!/usr/bin/python3
"""A file includes headers of its own floor and of lower floors only; programs include public headers
only; libcrypto and libsodium headers stand in src/crypto alone; floors without I/O include no header
of the operating system. Reads the #include lines; fails on a break."""
import pathlib
import re
import sys

FLOORS = ["base", "wire", "crypto", "keys", "transport", "auth", "channel", "engine", "sftp", "scp",
          "publickey", "io", "client", "server"]
PURE = FLOORS[:FLOORS.index("io")]
# What C itself offers without an operating system beneath it.
PURE_SYSTEM = {"stdarg.h", "stdatomic.h", "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h",
               "string.h", "limits.h", "ctype.h", "inttypes.h", "assert.h", "stdalign.h"}
CRYPTO = re.compile(r"^(openssl/|sodium)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')

root = pathlib.Path(sys.argv[1])
broken = []
checked = 0


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def check_floor(path, floor):
    for number, kind, name in includes(path):
        where = f"{path.relative_to(root)}:{number}"
        top = name.split("/")[0]
        if kind == '"' and top in FLOORS and FLOORS.index(top) > FLOORS.index(floor):
            broken.append(f"{where}: floor {floor} includes {name} of a higher floor")
        if kind == '"' and top not in FLOORS + ["nacre"] and not name.startswith("nc_"):
            broken.append(f"{where}: {name} names no floor")
        if CRYPTO.match(name) and floor != "crypto":
            broken.append(f"{where}: {name} outside src/crypto")
        allowed = name in PURE_SYSTEM or (floor == "crypto" and CRYPTO.match(name)) or \
            (floor == "transport" and name == "zlib.h")
        if kind == "<" and floor in PURE and not allowed:
            broken.append(f"{where}: {name} on a floor that does no I/O")


for path in sorted((root / "src").glob("*/*.[ch]")):
    checked += 1
    check_floor(path, path.parent.name)
for folder in ("apps", "examples"):
    for path in sorted((root / folder).rglob("*.[ch]")):
        checked += 1
        for number, kind, name in includes(path):
            own = kind == '"' and (path.parent / name).exists()
            if kind == '"' and not own and not name.startswith("nacre"):
                broken.append(f"{path.relative_to(root)}:{number}: {name} is not a public header")

print("\n".join(broken) or f"{checked} files keep to their floors")
sys.exit(1 if broken or checked < 20 else 0)
