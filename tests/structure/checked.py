#!/usr/bin/python3
"""No status of crypto or I/O is dropped unseen: what can fail says so to the compiler (NACRE_MUST_CHECK), in the headers
of src/crypto and src/io and in the public ones, and no static function there is called as a statement of its own."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
FOLDERS = ["src/crypto", "src/io", "include/nacre"]

# What may be dropped, and why nothing is lost then.
MAY_DROP = {
    "an engine keeps its first error and gives it out again with its events, or the caller knows no such object any more": [
        "nacre_transport_answer", "nacre_transport_accept", "nacre_transport_refuse", "nacre_transport_disconnect",
        "nacre_transport_received", "nacre_transport_rekey", "nacre_transport_send_ignore",
        "nacre_transport_send_debug", "nacre_transport_ping", "nacre_transport_send_banner",
        "nacre_channel_consumed", "nacre_channel_eof", "nacre_channel_close", "nacre_channel_hold_close",
        "nacre_server_answer", "nacre_keyring_answer", "nacre_publickey_server_sent", "nacre_sftp_engine_set_user",
        "nacre_sftp_engine_forget", "nacre_client_on_channel", "nacre_loop_modify"],
    "the end of what is given up: it ends whatever is returned": [
        "nacre_stream_close", "nacre_stream_shutdown_write", "nacre_stream_shutdown_read"],
    "out is set also when it fails, to what says that nothing is known": [
        "nacre_key_fingerprint", "nacre_blob_fingerprint", "nacre_date_write", "nacre_key_randomart",
        "nacre_key_babble", "nacre_key_public_line", "nacre_net_peer", "nacre_net_local"],
    "returns the status that it was given": ["nc_os_fail", "nc_text_file_fail"],
}
may_drop = {name for names in MAY_DROP.values() for name in names}


def code(path):
    """The text of a file without comments, strings and directives; lines stay where they are."""
    blank = lambda m: re.sub(r"[^\n]", " ", m.group())
    text = re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, path.read_text(), flags=re.S)
    return re.sub(r"^[ \t]*#.*(?:\\\n.*)*", blank, text, flags=re.M)


DECLARED = re.compile(r"^(?:NACRE_API\s+)?(?:int|ssize_t)\s+(\w+)\s*\([^;{]*?\)([A-Z_0-9 \n]*(?:\([^;{]*\))?[A-Z_ \n]*);",
                      re.M)
MEMBER = re.compile(r"^ +(?:int|ssize_t) \(\*(\w+)\)\([^;]*;", re.M)  # of a table of functions
STATIC = re.compile(r"^static\s+(?:int|ssize_t)\s+(\w+)\s*\(", re.M)
wrong, checked, seen = [], 0, set()
for folder in FOLDERS:
    for header in sorted((root / folder).glob("*.h")):
        text = code(header)
        members = [] if folder.startswith("include") else MEMBER.finditer(text)
        for m in [*DECLARED.finditer(text), *members]:
            seen.add(m.group(1))
            if "NACRE_MUST_CHECK" in m.group(0):
                checked += 1
            elif m.group(1) not in may_drop:
                line = text.count("\n", 0, m.start()) + 1
                wrong.append(f"{header.relative_to(root)}:{line}: {m.group(1)} lacks NACRE_MUST_CHECK")
for folder in FOLDERS[:2]:
    for source in sorted((root / folder).glob("*.c")):
        text = code(source)
        for name in set(STATIC.findall(text)) - may_drop:
            checked += 1
            for m in re.finditer(rf"[;{{}})]\s*\n\s*(?:\(void\)\s*)?{name}\s*\([^{{;]*;", text):
                line = text.count("\n", 0, m.end()) + 1
                wrong.append(f"{source.relative_to(root)}:{line}: what {name} returns is dropped")
wrong += [f"{name} may be dropped, but is nowhere" for name in sorted(may_drop - seen)]
print("\n".join(wrong) or f"{checked} functions are checked, {len(may_drop)} may be dropped")
sys.exit(1 if wrong or checked < 300 else 0)
