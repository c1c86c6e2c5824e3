#!/usr/bin/python3
"""The post-quantum code divides nowhere but where it reads public bytes: on many processors the time of a
division depends on its operands. Reads objdump's output; the last argument names what may divide."""
import re
import subprocess
import sys

library, allowed = sys.argv[1], set(sys.argv[2:])
# x86: div, idiv, divss, vdivpd ...; ARM: sdiv, udiv, fdiv; also the helpers that compilers call instead.
DIVISION = re.compile(r"^(v?i?div\w*|[suf]div\w*|div[uwd]\w*)$")
HELPER = re.compile(r"<__(aeabi_)?u?l?i?(div|mod|udivmod|divmod)\w*")

text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], check=True, capture_output=True,
                      text=True).stdout
function, functions, found, permitted = "", set(), [], 0
for line in text.splitlines():
    if match := re.match(r"^[0-9a-f]+ <([^>]+)>:", line):
        function = match.group(1).split(".")[0]
        functions.add(function)
        continue
    fields = line.split("\t")
    if len(fields) < 2 or not fields[1].split():
        continue
    if DIVISION.match(fields[1].split()[0]) or HELPER.search(line):
        if function in allowed:
            permitted += 1
        else:
            found.append(f"{function}: {' '.join(fields[1].split())}")

print("\n".join(found) or f"{len(functions)} functions, {permitted} divisions of public numbers")
# Decoding does divide: not to see that means not to see anything.
sys.exit(1 if found or len(functions) < 20 or not permitted else 0)
