/*
 * The copy protocol: the first byte chooses one of the machines, a parser or the command of a server, and
 * the cuts; the rest is what the other end says, or both in turns. What comes out is held to what the functions promise.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "scp/join.h"
#include "scp/sink.h"
#include "scp/source.h"

enum { IN_PIECES = 4, LESS_OUT = 8, OPTION_A = 16, OPTION_B = 32, JOIN = 64, DEPTH = 4 };

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

typedef struct ends {
    bool little; /* the pipe takes one byte at a time */
    uint64_t depth;
    uint64_t left; /* of the file that is being received */
    bool open;
    unsigned next, pending;
} ends;

static int pipe_write(void *ctx, const void *p, size_t n, size_t *took)
{
    const ends *e = ctx;
    (void)p;
    *took = e->little && n > 1 ? 1 : n;
    return NACRE_OK;
}

/* ---- the sink: every name that it lets through is one that may be made --------------------------------- */

static void check_name(nacre_span name)
{
    insist(name.n > 0 && name.n <= NC_SCP_NAME_MAX && !nc_span_is(name, ".") &&
           !nc_span_is(name, ".."));
    for (size_t i = 0; i < name.n; i++) {
        insist(name.p[i] >= 0x20 && name.p[i] != '/' && name.p[i] != 0x7f);
    }
}

static int on_file(void *user, const nc_scp_record *r, nacre_error *why)
{
    ends *e = user;
    check_name(r->name);
    insist(!e->open && r->st.size <= INT64_MAX && r->st.mode <= 07777);
    if (r->name.p[0] == 'R') {
        return nc_fail(why, NACRE_IO, "refused");
    }
    e->open = true;
    e->left = r->st.size;
    return NACRE_OK;
}

static int on_enter(void *user, const nc_scp_record *r, nacre_error *why)
{
    ends *e = user;
    check_name(r->name);
    insist(!e->open);
    if (r->name.p[0] == 'R') {
        return nc_fail(why, NACRE_IO, "refused");
    }
    insist(++e->depth <= DEPTH);
    return NACRE_OK;
}

static int on_write(void *user, nacre_span data, nacre_error *why)
{
    ends *e = user;
    insist(e->open && data.n > 0 && data.n <= e->left);
    e->left -= data.n;
    return data.p[0] == 'F' ? nc_fail(why, NACRE_IO, "full") : NACRE_OK;
}

static int on_finish(void *user, bool whole, nacre_error *why)
{
    ends *e = user;
    insist(e->open && (!whole || (e->left == 0 && why->status == NACRE_OK)));
    e->open = false;
    return NACRE_OK;
}

static int on_leave(void *user, nacre_error *why)
{
    ends *e = user;
    (void)why;
    insist(e->depth-- > 0);
    return NACRE_OK;
}

static void on_note(void *user, const char *text)
{
    (void)user;
    insist(strchr(text, 0x1b) == NULL);
}

static void fuzz_sink(nacre_span in, uint8_t flags, ends *e, const nacre_pipe *pipe)
{
    static const nc_scp_sink_ops ops = {on_file, on_enter, on_write, on_finish, on_leave, on_note};
    nc_scp_sink_options o = {.recursive = (flags & OPTION_A) != 0,
                             .max_depth = DEPTH,
                             .pattern = flags & OPTION_B ? "a*" : NULL,
                             .single = (flags & OPTION_B) != 0};
    nc_scp_sink *s;
    if (nc_scp_sink_new(&s, pipe, &ops, e, &o) != NACRE_OK) {
        return;
    }
    int rc = nc_scp_sink_flush(s);
    while (rc == NACRE_OK && in.n > 0) {
        rc = nc_scp_sink_input(s, fuzz_take(&in, flags & IN_PIECES ? 1 : 4096));
    }
    rc = rc == NACRE_OK ? nc_scp_sink_eof(s) : rc;
    insist(rc == nc_scp_sink_error(s)->status);
    insist(rc != NACRE_OK || (!e->open && e->depth == 0));
    nc_scp_sink_free(s);
}

/* ---- the source ----------------------------------------------------------------------------------------- */

static int next(void *user, nc_scp_record *out, nacre_error *why)
{
    static const nc_scp_kind kinds[] = {NC_SCP_FILE, NC_SCP_DIR,   NC_SCP_FILE,
                                        NC_SCP_NOTE, NC_SCP_LEAVE, NC_SCP_FILE};
    ends *e = user;
    if (e->next >= 60) {
        out->kind = NC_SCP_DONE;
        return NACRE_OK;
    }
    out->kind = kinds[e->next % 6];
    out->name = nc_span_cstr("name");
    out->st.size = e->next % 5 * 700;
    out->st.has_times = e->next % 2 == 0;
    e->next++;
    if (out->kind == NC_SCP_NOTE) {
        (void)nc_fail(why, NACRE_IO, "gone");
    }
    insist(out->kind == NC_SCP_NOTE || out->kind == NC_SCP_LEAVE || ++e->pending <= 2);
    return NACRE_OK;
}

static int read_some(void *user, const nacre_room *rooms, size_t count, size_t want, size_t *got,
                     nacre_error *why)
{
    const ends *e = user;
    (void)why;
    insist(count > 0 && want > 0);
    *got = want < rooms[0].n ? want : rooms[0].n;
    *got = e->next % 4 == 0 ? 0 : *got; /* shorter than it was said to be */
    memset(rooms[0].p, 'd', *got);
    return NACRE_OK;
}

static void over(void *user, const nc_scp_record *r, const nacre_error *why)
{
    ends *e = user;
    (void)why;
    insist(r->kind == NC_SCP_FILE || r->kind == NC_SCP_DIR);
    insist(e->pending-- > 0);
}

static void fuzz_source(nacre_span in, uint8_t flags, ends *e, const nacre_pipe *pipe)
{
    static const nc_scp_source_ops ops = {next, read_some, over, on_note};
    nc_scp_source_options o = {.pipelined = (flags & OPTION_A) != 0,
                               .pad_max = flags & OPTION_B ? 1000 : UINT64_MAX};
    nc_scp_source *s;
    if (nc_scp_source_new(&s, pipe, &ops, e, &o) != NACRE_OK) {
        return;
    }
    int rc = nc_scp_source_flush(s);
    while (rc == NACRE_OK && in.n > 0) {
        rc = nc_scp_source_input(s, fuzz_take(&in, flags & IN_PIECES ? 1 : 4096));
    }
    rc = rc == NACRE_OK ? nc_scp_source_eof(s) : rc;
    insist(rc == nc_scp_source_error(s)->status);
    insist(rc != NACRE_OK || e->pending == 0);
    nc_scp_source_free(s);
}

/* ---- the join of two servers: only names that may be made go on, and each thing has one end -------------- */

static void join_begun(void *user, const nc_scp_record *r)
{
    ends *e = user;
    check_name(r->name);
    insist(!e->open && r->st.mode <= 0777);
    e->open = true;
    e->left = r->kind == NC_SCP_FILE ? r->st.size : 0;
}

static bool join_moved(void *user, size_t n)
{
    ends *e = user;
    insist(e->open && n > 0 && n <= e->left);
    e->left -= n;
    return true;
}

static void join_over(void *user, const nacre_error *why)
{
    ends *e = user;
    insist(e->open && (why->status != NACRE_OK || e->left == 0));
    e->open = false;
}

/* A byte in front of each piece: whose it is (the top bit: the sink's), and its length. */
static void fuzz_join(nacre_span in, uint8_t flags, ends *e, const nacre_pipe *pipe)
{
    static const nc_scp_join_ops ops = {join_begun, join_moved, join_over, on_note};
    nc_scp_join_options o = {.recursive = (flags & OPTION_A) != 0,
                             .max_depth = DEPTH,
                             .pattern = flags & OPTION_B ? "a*" : NULL,
                             .single = (flags & OPTION_B) != 0,
                             .held_max = 4096};
    nc_scp_join *j;
    if (nc_scp_join_new(&j, pipe, pipe, &ops, e, &o) != NACRE_OK) {
        return;
    }
    int rc = NACRE_OK;
    while (rc == NACRE_OK && in.n > 0) {
        uint8_t how = fuzz_byte(&in);
        nacre_span piece = fuzz_take(&in, how & 0x7f);
        rc = how & 0x80 ? nc_scp_join_replies(j, piece) : nc_scp_join_input(j, piece);
    }
    rc = rc == NACRE_OK ? nc_scp_join_eof(j) : rc;
    insist(rc == nc_scp_join_error(j)->status);
    insist(rc != NACRE_OK || !nc_scp_join_over(j) || !e->open);
    nc_scp_join_free(j);
}

/* ---- text ----------------------------------------------------------------------------------------------- */

static void fuzz_line(nacre_span in)
{
    nc_scp_record r, again;
    nacre_error err = {.status = NACRE_OK};
    char line[NC_SCP_LINE_MAX];
    if (nc_scp_parse(in, &r, &err) != NACRE_OK || r.kind == NC_SCP_TIMES ||
        r.kind == NC_SCP_LEAVE || !nc_scp_name_ok(r.name, true)) {
        return;
    }
    size_t n = nc_scp_format(&r, line);
    insist(n > 0 && line[n - 1] == '\n');
    insist(nc_scp_parse(nc_span(line, n - 1), &again, &err) == NACRE_OK);
    insist(nc_span_eq(r.name, again.name) && r.st.mode == again.st.mode);
    insist(r.kind == NC_SCP_DIR || r.st.size == again.st.size);
}

/* A name that was asked for exactly is the only one that is taken. */
static void fuzz_names(nacre_span in, uint8_t flags)
{
    nc_scp_expected e;
    nacre_error err = {.status = NACRE_OK};
    char path[600], quoted[4096];
    size_t n = in.n < sizeof(path) - 1 ? in.n : sizeof(path) - 1;
    if (n > 0) {
        memcpy(path, in.p, n);
    }
    path[n] = '\0';
    n = strlen(path);
    nacre_scp_names names = (nacre_scp_names)(flags / OPTION_A % 3);
    insist(nacre_scp_quote(names, path, quoted, sizeof(quoted)) == NACRE_OK);
    if (nc_scp_expect(names, path, &e, &err) != NACRE_OK) {
        return;
    }
    while (n > 1 && path[n - 1] == '/') {
        path[--n] = '\0';
    }
    const char *slash = strrchr(path, '/');
    bool yes = nc_scp_match(e.pattern, nc_span_cstr(slash ? slash + 1 : path));
    insist(names != NACRE_SCP_EXACT || (yes && e.single));
    insist(names != NACRE_SCP_EXACT || !nc_scp_match(e.pattern, nc_span_cstr("something else")) ||
           strstr(path, "something else"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    uint8_t flags = fuzz_byte(&in);
    ends e;
    memset(&e, 0, sizeof(e));
    e.little = (flags & LESS_OUT) != 0;
    nacre_pipe pipe = {&e, NULL, NULL, pipe_write, NULL};
    if (flags & JOIN) {
        fuzz_join(in, flags, &e, &pipe);
        return 0;
    }
    switch (flags & 3) {
    case 0:
        fuzz_sink(in, flags, &e, &pipe);
        break;
    case 1:
        fuzz_source(in, flags, &e, &pipe);
        break;
    case 2:
        fuzz_line(in);
        break;
    default:
        fuzz_names(in, flags);
        break;
    }
    return 0;
}
