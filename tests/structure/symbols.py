#!/usr/bin/python3
"""The shared library exports exactly the symbols of the checked-in list. After a wanted change:
python3 tests/structure/symbols.py --update LIBRARY LIST, and say so in the CHANGELOG."""
import pathlib
import subprocess
import sys

update = sys.argv[1] == "--update"
library, listing = sys.argv[-2:]
text = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
exported = sorted({line.split()[2] for line in text.splitlines() if line.split()[1] in "TDBRVW"})
if update:
    pathlib.Path(listing).write_text("\n".join(exported) + "\n")
wanted = pathlib.Path(listing).read_text().split()

problems = [f"exported but not listed: {s}" for s in exported if s not in wanted]
problems += [f"listed but not exported: {s}" for s in wanted if s not in exported]
problems += [f"not in our name space: {s}" for s in exported if not s.startswith("nacre_")]
print("\n".join(problems) or f"{len(exported)} symbols, as listed")
sys.exit(1 if problems or not exported else 0)
