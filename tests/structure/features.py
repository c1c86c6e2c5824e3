#!/usr/bin/python3
"""What docs/features.md points to is there: the public names of its second column, the tests of its third."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
public = "".join(p.read_text() for p in sorted((root / "include/nacre").glob("*.h")))
public = set(re.findall(r"\bnacre_\w+", public))
tests = {f"loop_{p.stem[10:]}" for p in (root / "tests/loop").glob("test_loop_*.c")}
tests |= {f"interop_{p.stem[5:]}" for p in (root / "tests/interop").glob("test_*.py")}
for path in (root / "tests").rglob("meson.build"):
    tests |= set(re.findall(r"(?:\[|test\()'(\w+)'", path.read_text()))
fuzz = (root / "fuzz/meson.build").read_text()
tests |= {f"fuzz_{name}" for name in re.findall(r"\['(\w+)',", fuzz)}

faults, rows = [], 0
for number, line in enumerate((root / "docs/features.md").read_text().splitlines(), 1):
    cells = [cell.strip() for cell in line.split(" | ")]
    if not line.startswith("|") or len(cells) < 3 or cells[1] == "how":
        continue
    rows += 1
    names = re.findall(r"`(nacre_\w+)", " ".join(cells[1:-1]))
    faults += [(number, f"no header knows {n}") for n in names if n not in public and not n.endswith("_")]
    shown = re.findall(r"`(\w+)`", cells[-1])
    faults += [(number, f"there is no test {t}") for t in shown if t not in tests]
    if cells[-1].rstrip(" |") in ("", "–"):
        faults.append((number, "nothing shows it"))
if rows < 100:
    faults.append((0, f"only {rows} rows"))
for number, what in faults:
    print(f"docs/features.md:{number}: {what}")
sys.exit(bool(faults))
