#!/usr/bin/python3
"""The keywords of nacre-sshd and its manual page: what the table honours stands in the page's list, and nothing else; what
the table passes over stands among those without effect; what can only be switched off is named."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
table = (root / "src/server/sshd_keywords.c").read_text()
table = re.sub(r"/\*.*?\*/", "", table[table.index("nc_conf_rows[]"):], flags=re.S)
page = (root / "docs/nacre-sshd.8").read_text()
TOLD_OF = {"PermitTunnel", "UsePAM"}  # read, and a sentence each says what comes of them
ROW = re.compile(r'(?:([A-Z_]+)\(|\{)"(\w+)"')


def between(begin, end):
    start = page.index(begin)
    part = page[start:page.index(end, start)]
    return set(" ".join(re.findall(r"^\.Cm (.*)$", part, re.M)).replace(",", " ").replace(" .", " ").split())


rows = {"FORGOTTEN": set(), "OFF": set(), "DEPRECATED": set(), "": set()}
for macro, name in ROW.findall(table):
    rows[macro if macro in rows else ""].add(name)
faults = []


def compare(where, want, have):
    faults.extend(f"{name} is missing {where}" for name in sorted(want - have))
    faults.extend(f"{name} does not belong {where}" for name in sorted(have - want))


compare("in the list of keywords that are honoured", rows[""] - TOLD_OF, between("These keywords are honoured:", ".Pp"))
compare('in "Keywords without effect"', rows["FORGOTTEN"], between(".Ss Keywords without effect", ".Sh"))
compare("among those that can be switched off only", rows["OFF"], between("A keyword that is unknown is an error.", ".Cm UsePAM"))
faults.extend(f"{name} is not told of" for name in sorted(TOLD_OF) if f"\n.Cm {name}" not in page)
if len(rows[""]) < 80 or len(rows["FORGOTTEN"]) < 10 or not rows["OFF"]:
    faults.append("src/server/sshd_keywords.c: the rows are not where this test looks for them")
for fault in faults:
    print(f"docs/nacre-sshd.8: {fault}")
sys.exit(bool(faults))
