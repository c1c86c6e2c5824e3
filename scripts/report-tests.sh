#!/bin/sh
# Sums up the last test run of a build folder in one line, "N passed, N failed", and fails when a test
# failed or was skipped: a skip would hide that something is not tested here.
set -eu
exec python3 - "$1" <<'PY'
import json, sys, pathlib

# A test setup (valgrind) writes a log of its own name: the newest is the last run.
logs = (pathlib.Path(sys.argv[1]) / "meson-logs").glob("testlog*.json")
log = max(logs, key=lambda path: path.stat().st_mtime)
passed = failed = skipped = 0
for line in log.read_text().splitlines():
    result = json.loads(line)["result"]
    if result in ("OK", "EXPECTEDFAIL"):
        passed += 1
    elif result == "SKIP":
        skipped += 1
    else:
        failed += 1
print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
sys.exit(1 if failed or skipped or not passed else 0)
PY
