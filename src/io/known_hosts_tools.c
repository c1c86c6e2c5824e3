/*
 * known_hosts_tools.c - what ssh-keygen does with a known_hosts file: -R removes a host, -H hides all names.
 */
#include "base/buf.h"
#include "base/error.h"
#include "keys/known_hosts.h"

#include <string.h>

typedef struct tool {
    const char *host; /* -R; NULL: -H */
    uint16_t port;
    nc_buf notes; /* of nacre_hosts_note */
    nacre_hosts_report report;
    uint32_t bad_line; /* the first invalid one */
} tool;

static int add_note(tool *t, nacre_hosts_fact fact, const nc_host_entry *e)
{
    nacre_hosts_note n = {.fact = fact, .line = e->line};
    nacre_span text = nc_text_trim(e->text);
    nacre_span names = e->names.n ? e->names : nc_text_word(&text);
    (void)nacre_escape(n.names, sizeof(n.names), names);
    uint32_t *counts[] = {&t->report.found, &t->report.kept, &t->report.hashed, &t->report.patterns,
                          &t->report.invalid};
    (*counts[fact])++;
    return nc_buf_append(&t->notes, &n, sizeof(n));
}

static int remove_line(tool *t, nacre_known_hosts *h, size_t *at)
{
    const nc_host_entry *e = nc_hosts_at(h, *at);
    char name[NC_HOSTS_MAX_NAME];
    if (!nc_hosts_name(t->host, t->port, name, sizeof(name))) {
        return NACRE_INVALID_ARGUMENT;
    }
    nc_match here = nc_hosts_names(h, e, nc_span_cstr(name));
    if (here == NC_MATCH_BAD) {
        return NACRE_NO_MEMORY;
    }
    if (here != NC_MATCH_YES || e->kind != NACRE_HOST_LINE_KEY) {
        (*at)++;
        return NACRE_OK;
    }
    bool keep = e->marker != NC_MARKER_NONE;
    int rc = add_note(t, keep ? NACRE_HOSTS_KEPT : NACRE_HOSTS_FOUND, e);
    if (rc != NACRE_OK || keep) {
        (*at)++;
        return rc;
    }
    return nacre_known_hosts_remove(h, *at);
}

/* Lines with markers stay as they are whatever names they have, but for those that hold a pattern it is told. */
static bool has_pattern(nacre_span names)
{
    for (size_t i = 0; i < names.n; i++) {
        if (names.p[i] == '*' || names.p[i] == '?' || names.p[i] == '!') {
            return true;
        }
    }
    return false;
}

static int hash_line(tool *t, nacre_known_hosts *h, size_t *at)
{
    const nc_host_entry *e = nc_hosts_at(h, *at);
    nc_host_entry before = {.line = e->line, .names = e->names, .text = e->text};
    bool candidate =
        e->kind == NACRE_HOST_LINE_KEY && e->marker == NC_MARKER_NONE && e->names.p[0] != '|';
    size_t lines = 1;
    if (!candidate) {
        bool pattern = e->kind == NACRE_HOST_LINE_KEY && has_pattern(e->names);
        (*at)++;
        return pattern ? add_note(t, NACRE_HOSTS_PATTERN, e) : NACRE_OK;
    }
    /* The note first: the names are gone afterwards. */
    nacre_hosts_report was = t->report;
    size_t noted = t->notes.len;
    int rc = add_note(t, NACRE_HOSTS_HASHED, &before);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_hash(h, *at, &lines);
    }
    if (rc == NACRE_UNSUPPORTED) {
        t->report = was;
        nc_buf_truncate(&t->notes, noted);
        rc = add_note(t, NACRE_HOSTS_PATTERN, nc_hosts_at(h, *at));
    }
    *at += lines;
    return rc;
}

/* From the start each time: the file may have changed since. */
static int edit(void *user, nacre_known_hosts *h)
{
    tool *t = user;
    int rc = NACRE_OK;
    nc_buf_reset(&t->notes);
    t->bad_line = 0;
    memset(&t->report, 0, sizeof(t->report));
    for (size_t i = 0; rc == NACRE_OK && i < h->count;) {
        const nc_host_entry *e = nc_hosts_at(h, i);
        if (e->kind == NACRE_HOST_LINE_INVALID) {
            t->bad_line = t->bad_line ? t->bad_line : e->line;
            rc = add_note(t, NACRE_HOSTS_INVALID, e);
            i++;
        } else {
            rc = t->host ? remove_line(t, h, &i) : hash_line(t, h, &i);
        }
    }
    return rc == NACRE_OK && t->report.invalid ? NACRE_SYNTAX : rc;
}

static int run(tool *t, const char *path, unsigned flags, nacre_hosts_note_fn note, void *user,
               nacre_hosts_report *report, nacre_error *err)
{
    nacre_error why;
    nc_buf_init(&t->notes, NULL, NC_HOSTS_MAX_TEXT * sizeof(nacre_hosts_note) / 2);
    int rc = nacre_known_hosts_update_file(path, edit, t, flags | NACRE_HOSTS_MUST_EXIST, &why);
    if (rc == NACRE_SYNTAX) {
        nc_error_clear(&why);
        (void)nc_fail(&why, rc,
                      "%s is not a valid known_hosts file: %u lines of it are none, the first is "
                      "line %u; nothing of it was changed",
                      NC_ESC(nc_span_cstr(path)), t->report.invalid, t->bad_line);
    }
    nacre_hosts_note n;
    for (size_t at = 0; note && at < t->notes.len; at += sizeof(n)) {
        memcpy(&n, t->notes.data + at, sizeof(n));
        note(user, &n);
    }
    if (report) {
        *report = t->report;
    }
    if (err) {
        *err = why;
    }
    nc_buf_clear(&t->notes);
    return rc;
}

int nacre_known_hosts_remove_host(const char *path, const char *host, uint16_t port, unsigned flags,
                                  nacre_hosts_note_fn note, void *user, nacre_hosts_report *report,
                                  nacre_error *err)
{
    tool t = {.host = host ? host : "", .port = port};
    return run(&t, path, flags, note, user, report, err);
}

int nacre_known_hosts_hash_file(const char *path, unsigned flags, nacre_hosts_note_fn note,
                                void *user, nacre_hosts_report *report, nacre_error *err)
{
    tool t = {.host = NULL};
    return run(&t, path, flags, note, user, report, err);
}
