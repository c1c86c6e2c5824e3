/*
 * line.h - the lines of the copy protocol: what announces a file or a directory, times, the end of a
 * directory; and the names that may stand in them.
 */
#ifndef NC_SCP_LINE_H
#define NC_SCP_LINE_H

#include "base/error.h"
#include "nacre/scp.h"

enum {
    NC_SCP_NAME_MAX = 1024, /* four times what file systems take */
    NC_SCP_LINE_MAX =
        2048, /* mode, the longest size and the longest name, twice; words of a peer are
                               cut there */
    NC_SCP_WORDS_MAX = 64 * 1024 /* a peer's sentence without an end */
};

typedef enum nc_scp_kind {
    NC_SCP_FILE,  /* C: mode, size, name; the data follows */
    NC_SCP_DIR,   /* D: mode, name; its contents follow, up to its LEAVE */
    NC_SCP_LEAVE, /* E */
    NC_SCP_TIMES, /* T: for the file or directory that follows */
    NC_SCP_NOTE,  /* something that could not be sent; the source's own */
    NC_SCP_DONE   /* nothing more; likewise */
} nc_scp_kind;

typedef struct nc_scp_record {
    nc_scp_kind kind;
    nacre_scp_stat st;
    nacre_span name; /* borrowed */
    void *item;      /* a source's own, for nc_scp_source_ops.over */
} nc_scp_record;

/*
 * A line without its newline. NACRE_SCP_PROTOCOL, and a sentence: anything that is not exactly what the
 * protocol says. The name is not judged (nc_scp_name_ok), only its length.
 */
int nc_scp_parse(nacre_span line, nc_scp_record *out, nacre_error *err) NACRE_MUST_CHECK;
/* FILE, DIR, LEAVE, TIMES with the newline, into out; the length. The name was judged. */
size_t nc_scp_format(const nc_scp_record *r, char out[NC_SCP_LINE_MAX]);

/* A single name: no slash, not empty, ".", "..", no NUL or newline; without controls no other control
 * characters either. */
bool nc_scp_name_ok(nacre_span name, bool controls);

/* What a name has to match that comes in answer to a remote path. Zero-terminated, a pattern. */
typedef struct nc_scp_expected {
    char pattern[2 * NC_SCP_NAME_MAX + 1];
    bool single; /* at most one thing can come */
} nc_scp_expected;
/* NACRE_INVALID_ARGUMENT: no name could ever match ("..", "."): ask for it by name. NACRE_TOO_LARGE. */
int nc_scp_expect(nacre_scp_names names, const char *path, nc_scp_expected *out,
                  nacre_error *err) NACRE_MUST_CHECK;
/* Wildcards * ? [...] {a,b} and backslash, as shells have them; a leading dot only by a dot. */
bool nc_scp_match(const char *pattern, nacre_span name);

#endif
