#!/usr/bin/python3
"""The references of docs/threats.md, `path:line name`: each must lead to the place where the name is defined.

usage: scripts/threats.py [--slack LINES] [ROOT]   says which references no longer hold (exit status 1)
       scripts/threats.py --fix [ROOT]             sets the line numbers right, and makes one of rows that a merge has doubled;
                                                   what is gone it cannot mend

A name is a function, a test or a table in C, a function or a class (`Class.method`, where the method alone is not
unique) in Python, and any word elsewhere. A line may be off by the slack, so that not every change of a file has to touch
the list: whoever follows it still lands on the page. Rows without a design or without a test are refused too."""
import argparse
import pathlib
import re
import sys

REFERENCE = re.compile(r"`([\w./+-]+\.(?:c|h|py|sh|build|def|in|md)):(\d+) ([\w.]+)`")
LOOKS_LIKE_ONE = re.compile(r"`[\w./+-]+:\d*[^`]*`")
LIST = "docs/threats.md"
COLUMNS = 5  # the class; how it was broken; what stands against it; where; the tests that try it
WHERE, TESTS = 3, 4
PLACES = {WHERE: ("src/", "apps/", "include/", "scripts/", "meson.build"), TESTS: ("tests/", "fuzz/", "scripts/")}


def c_definitions(lines, name):
    """Lines where name is defined, the likeliest kind only: with a body, else in a macro's table, else declared."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    bodies, others = [], []
    for number, line in enumerate(lines, 1):
        if not word.search(line) or line.lstrip().startswith(("*", "/*", "//")):
            continue
        at_margin = not line[0].isspace() and line[0] not in "}#"
        called = re.search(rf"\b{re.escape(name)}\s*\(", line)
        # A definition begins at the margin and its line ends neither as a prototype does nor as a call.
        if at_margin and called and not line.rstrip().endswith(";"):
            bodies.append(number)
        elif re.match(rf"#\s*define\s+{re.escape(name)}\b", line) or (at_margin and not called):
            bodies.append(number)
        else:
            others.append(number)
    return bodies or others


def python_definitions(lines, name):
    """Functions and classes, and what a module calls by a name in capitals."""
    holder, _, last = name.rpartition(".")
    inside, found = "", []
    for number, line in enumerate(lines, 1):
        if last.isupper() and line.startswith(f"{last} ="):
            found.append(number)
        match = re.match(r"(\s*)(?:def|class)\s+(\w+)", line)
        if not match:
            continue
        if not match.group(1):
            inside = match.group(2)
        if match.group(2) == last and (not holder or inside == holder):
            found.append(number)
    return found


def definitions(path, name, cache={}):
    if path not in cache:
        cache[path] = path.read_text(errors="replace").splitlines() if path.is_file() else None
    lines = cache[path]
    if lines is None:
        return None
    if path.suffix in (".c", ".h"):
        return c_definitions(lines, name)
    if path.suffix == ".py":
        return python_definitions(lines, name)
    return [n for n, line in enumerate(lines, 1) if re.search(rf"\b{re.escape(name)}\b", line)]


def nearest(found, line):
    return min(found, key=lambda n: abs(n - line))


def united(row, other):
    """A row with the references of another of the same class."""
    mine, theirs = ([c.strip() for c in r.strip().strip("|").split(" | ")] for r in (row, other))
    for column in (WHERE, TESTS):
        if len(mine) != COLUMNS or len(theirs) != COLUMNS:
            return row
        have = {(m.group(1), m.group(3)) for m in REFERENCE.finditer(mine[column])}
        more = [m.group(0) for m in REFERENCE.finditer(theirs[column]) if (m.group(1), m.group(3)) not in have]
        mine[column] = ", ".join([mine[column]] + more)
    return "| " + " | ".join(mine) + " |"


class Checker:
    def __init__(self, root, slack, fix):
        self.root, self.slack, self.fix = root, slack, fix
        self.broken, self.count, self.fixed = [], 0, 0

    def place(self, match):
        """A reference as it should stand; complains of one that does not hold."""
        path, line, name = match.group(1), int(match.group(2)), match.group(3)
        self.count += 1
        found = definitions(self.root / path, name)
        if found is None:
            self.broken.append(f"{path}: there is no such file (for {name})")
        elif not found:
            self.broken.append(f"{path}: {name} is not defined there any more")
        else:
            right = nearest(found, line)
            if self.fix:
                self.fixed += right != line
                return f"`{path}:{right} {name}`"
            if abs(right - line) > self.slack:
                self.broken.append(f"{path}:{line}: {name} stands in line {right}; scripts/threats.py --fix sets it right")
        return match.group(0)

    def row(self, number, line):
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if len(cells) != COLUMNS:
            self.broken.append(f"{LIST}:{number}: {len(cells)} columns where {COLUMNS} are meant")
            return
        for column, places in PLACES.items():
            paths = [m.group(1) for m in REFERENCE.finditer(cells[column])]
            if not paths:
                self.broken.append(f"{LIST}:{number}: no reference in column {column + 1}: {cells[0]}")
            for path in paths:
                if not path.startswith(places):
                    self.broken.append(f"{LIST}:{number}: {path} does not belong into column {column + 1}")

    def run(self):
        page = self.root / LIST
        lines, seen, kept, places = page.read_text().splitlines(), {}, [], {}
        for i, line in enumerate(lines):
            for odd in LOOKS_LIKE_ONE.findall(line):
                if not REFERENCE.fullmatch(odd):
                    self.broken.append(f"{LIST}:{i + 1}: {odd} is no reference of the form `path:line name`")
            lines[i] = REFERENCE.sub(self.place, line)
            in_table = line.startswith("| ") and not line.startswith("| class ")
            if in_table:
                self.row(i + 1, line)
                name = line.split(" | ")[0]
                first = seen.setdefault(name, i)
                if first != i and self.fix:
                    kept[places[name]] = united(kept[places[name]], lines[i])
                    continue
                places.setdefault(name, len(kept))
                if first != i:
                    self.broken.append(f"{LIST}:{i + 1}: the same class as in line {first + 1}")
            kept.append(lines[i])
        if self.fix:
            page.write_text("\n".join(kept) + "\n")
        return len(seen)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fix", action="store_true")
    parser.add_argument("--slack", type=int, default=0)
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    args = parser.parse_args()
    checker = Checker(args.root, args.slack, args.fix)
    rows = checker.run()
    print("\n".join(checker.broken) or f"{rows} classes, {checker.count} references hold" +
          (f", {checker.fixed} of them set right" if args.fix else ""))
    return 1 if checker.broken or rows < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
