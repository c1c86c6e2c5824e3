#!/usr/bin/python3
"""Every public header compiles alone, with warnings as errors, as C99, C11 and C++17."""
import pathlib
import subprocess
import sys

include, compiler = pathlib.Path(sys.argv[1]), sys.argv[2:]
modes = [("c", "c99"), ("c", "c11"), ("c++", "c++17")]
headers = sorted((include / "nacre").glob("*.h")) + sorted(include.glob("*.h"))
failed = 0
for header in headers:
    for language, standard in modes:
        run = subprocess.run(compiler + ["-x", language, f"-std={standard}", "-Wall", "-Wextra", "-Werror",
                                         "-I", str(include), "-fsyntax-only", "-"],
                             input=f'#include "{header.relative_to(include)}"\n', capture_output=True, text=True)
        if run.returncode:
            failed += 1
            print(f"{header.name} as {standard}:\n{run.stderr}")
print(f"{len(headers)} headers, {failed} failures")
sys.exit(1 if failed or len(headers) < 5 else 0)
