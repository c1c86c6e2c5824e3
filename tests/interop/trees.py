"""Trees of files for tests: one with everything that a transfer may stumble over, and what became of it."""
import hashlib
import os
import pathlib
import stat

OLD, NEW = 1_000_000_007, 1_600_000_011

ODD_NAMES = ["with space", " leading and trailing ", "-leading-dash", "--", "quote'\"s", "back\\slash", "star*?[x]", "$HOME `id` ;&|",
             "dot.", ".hidden", "naïve-ünïcödé-日本語", "x" * 200, "#hash", "~tilde", "a:b", "per%cent", "tab\tinside"]
NEWLINE = "new\nline"
BAD_UTF8 = os.fsdecode(b"not \xff utf8")


def _write(path, data, mode=0o644, mtime=OLD):
    with open(path, "wb") as f:
        f.write(data)
    os.chmod(path, mode)
    os.utime(path, (mtime, mtime))


def make_tree(root, names=ODD_NAMES, links=True, wide=300, deep=20, big=3 << 20):
    """Makes root and fills it. names: of files and, some of them, of directories."""
    root = pathlib.Path(root)
    root.mkdir()
    _write(root / "empty", b"")
    _write(root / "one", b"1", 0o600, NEW)
    _write(root / "program", b"#!/bin/sh\nexit 3\n", 0o755)
    _write(root / "read only", b"read only", 0o444)
    block = hashlib.shake_256(b"big").digest(1 << 16)
    _write(root / "big", (block * (big // len(block) + 1))[:big - 1], 0o640)
    for at in (32767, 32768, 32769, 261120, 261121):
        _write(root / f"edge{at}", (block * 5)[:at])
    odd = root / "odd"
    odd.mkdir()
    for i, name in enumerate(names):
        _write(odd / name, name.encode(errors="surrogateescape"), 0o644, OLD + i)
    for name in names[:4]:
        (odd / ("dir " + name)).mkdir()
        _write(odd / ("dir " + name) / name, b"inner")
    (root / "empty dir").mkdir(0o700)
    many = root / "wide"
    many.mkdir()
    for i in range(wide):
        _write(many / f"file{i:05}", str(i).encode())
    below = root / "deep"
    for i in range(deep):
        below.mkdir()
        _write(below / "here", str(i).encode())
        below = below / f"d{i}"
    if links:
        at = root / "links"
        at.mkdir()
        os.symlink("../one", at / "to file")
        os.symlink("../wide", at / "to directory")
        os.symlink("nowhere", at / "dangling")
        os.symlink("loop b", at / "loop a")
        os.symlink("loop a", at / "loop b")
    for directory, _, _ in os.walk(root, topdown=False):
        os.utime(directory, (OLD, OLD))
    return root


def snapshot(root, modes=True, times=False, links=True, directory_times=False):
    """Everything below root: name -> what it is. Two equal snapshots are identical trees."""
    found = {}
    for directory, directories, files in os.walk(root):
        for name in directories + files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            what = [stat.S_IFMT(st.st_mode)]
            if stat.S_ISLNK(st.st_mode):
                if not links:
                    continue
                what.append(os.readlink(path))
            elif stat.S_ISREG(st.st_mode):
                with open(path, "rb") as f:
                    what += [st.st_size, hashlib.sha256(f.read()).hexdigest()]
            if not stat.S_ISLNK(st.st_mode):
                what += [stat.S_IMODE(st.st_mode)] if modes else []
                if times and (directory_times or stat.S_ISREG(st.st_mode)):
                    what.append(int(st.st_mtime))
            found[os.path.relpath(path, root)] = tuple(what)
    return found


def difference(want, got):
    """A short text for a failed comparison; "" when equal."""
    lines = [f"missing: {name!r} {want[name]}" for name in want if name not in got]
    lines += [f"extra: {name!r} {got[name]}" for name in got if name not in want]
    lines += [f"{name!r}: {want[name]} became {got[name]}" for name in want if name in got and want[name] != got[name]]
    return "\n".join(lines[:12])
