/* The machine between two servers: it passes on what both say, and nothing that either may not say. */
#include "../sftp/mem_pipe.h"
#include "scp/join.h"
#include "scp_script.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- who uses it ------------------------------------------------------------------------------------------ */

typedef struct book {
    char log[16384];
    uint64_t moved, stop_at; /* stop_at 0: never */
} book;

static void put(book *b, const char *fmt, const char *text, uint64_t a, uint64_t c)
{
    size_t n = strlen(b->log);
    (void)snprintf(b->log + n, sizeof(b->log) - n, "%s %s", fmt, text);
    n = strlen(b->log);
    if (a || c) {
        (void)snprintf(b->log + n, sizeof(b->log) - n, " %04o %llu", (unsigned)a,
                       (unsigned long long)c);
        n = strlen(b->log);
    }
    (void)snprintf(b->log + n, sizeof(b->log) - n, "\n");
}

static void on_begun(void *user, const nc_scp_record *r)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "%.*s", (int)r->name.n, (const char *)r->name.p);
    put(user, r->kind == NC_SCP_DIR ? "dir" : "file", name, r->st.mode, r->st.size);
}

static bool on_moved(void *user, size_t n)
{
    book *b = user;
    b->moved += n;
    return b->stop_at == 0 || b->moved < b->stop_at;
}

static void on_over(void *user, const nacre_error *why)
{
    put(user, "over", why->status == NACRE_OK ? "ok" : why->text, 0, 0);
}

static void on_note(void *user, const char *text)
{
    put(user, "note", text, 0, 0);
}

static const nc_scp_join_ops ops = {on_begun, on_moved, on_over, on_note};

/* ---- real machines at both ends ----------------------------------------------------------------------------- */

static const script_thing tree[] = {
    {.kind = NC_SCP_DIR, .name = "top", .mode = 0755, .has_times = true, .mtime = 1, .atime = 2},
    {.kind = NC_SCP_FILE, .name = "empty", .mode = 0644, .size = 0},
    {.kind = NC_SCP_FILE, .name = "big", .mode = 04600, .size = 80000, .has_times = true},
    {.kind = NC_SCP_DIR, .name = "inner", .mode = 0700},
    {.kind = NC_SCP_FILE, .name = "no", .mode = 0644, .size = 5000},
    {.kind = NC_SCP_FILE, .name = "short", .mode = 0644, .size = 5000, .missing = 4000},
    {.kind = NC_SCP_LEAVE, .name = ""},
    {.kind = NC_SCP_DIR, .name = "unwanted", .mode = 0700},
    {.kind = NC_SCP_FILE, .name = "unseen", .mode = 0644, .size = 5000},
    {.kind = NC_SCP_LEAVE, .name = ""},
    {.kind = NC_SCP_FILE, .name = "full", .mode = 0644, .size = 70000},
    {.kind = NC_SCP_NOTE, .name = "", .note = "gone: No such file"},
    {.kind = NC_SCP_LEAVE, .name = ""},
    {.kind = NC_SCP_FILE, .name = "last", .mode = 0644, .size = 1}};

typedef struct chain {
    mem_pipe above, below; /* source and join, join and sink */
    script s;
    journal j;
    book b;
    nc_scp_source *source;
    nc_scp_join *join;
    nc_scp_sink *sink;
} chain;

static size_t hand_over(mem_way *w, size_t cut, uint8_t piece[65536])
{
    return mem_way_take(w, piece, cut);
}

static void carry(chain *c, size_t cut)
{
    uint8_t piece[65536];
    for (int idle = 0; idle < 3;) {
        size_t moved = 0, n = hand_over(&c->above.up, cut, piece);
        assert_int_equal(nc_scp_join_input(c->join, nc_span(piece, n)), NACRE_OK);
        moved += n;
        n = hand_over(&c->below.up, cut, piece);
        assert_int_equal(nc_scp_sink_input(c->sink, nc_span(piece, n)), NACRE_OK);
        assert_int_equal(nc_scp_sink_flush(c->sink), NACRE_OK);
        moved += n;
        n = hand_over(&c->below.down, cut, piece);
        assert_int_equal(nc_scp_join_replies(c->join, nc_span(piece, n)), NACRE_OK);
        moved += n;
        n = hand_over(&c->above.down, cut, piece);
        assert_int_equal(nc_scp_source_input(c->source, nc_span(piece, n)), NACRE_OK);
        assert_int_equal(nc_scp_source_flush(c->source), NACRE_OK);
        moved += n;
        assert_int_equal(nc_scp_join_flush(c->join), NACRE_OK);
        idle = moved > 0 ? 0 : idle + 1;
    }
}

static void check_books(const chain *c)
{
    static const char first[] = "dir top 0755 0 1 2\n"
                                "file empty 0644 0\nwhole 0\n"
                                "file big 0600 80000 0 0\nwhole 80000\n"
                                "dir inner 0700 0\n";
    assert_memory_equal(c->j.log, first, sizeof(first) - 1);
    assert_non_null(strstr(c->j.log, "file short 0644 5000\nbroken 5000 bad\nleave\n"));
    assert_null(strstr(c->j.log, "unseen"));
    assert_non_null(strstr(c->j.log, "leave\nfile last 0644 1\nwhole 1 bad\n")); /* since "short" */
    assert_string_equal(
        c->b.log,
        "dir top 0755 0\nover ok\nfile empty 0644 0\nover ok\nfile big 0600 80000\nover ok\n"
        "dir inner 0700 0\nover ok\nfile no 0644 5000\nover scp: no: refused\n"
        "file short 0644 5000\nover scp: short: 4000 bytes are missing at the end\n"
        "dir unwanted 0700 0\nover scp: unwanted: refused\n"
        "file full 0644 70000\nover scp: full: full\nnote scp: gone: No such file\n"
        "file last 0644 1\nover ok\n");
    /* what the ends are told is told once */
    assert_null(strstr(c->s.log, "scp: scp:"));
    assert_null(strstr(c->j.log, "scp: scp:"));
}

static void copy(size_t window, size_t cut, bool pipelined)
{
    chain *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    nc_scp_source_options so = {.pipelined = pipelined, .pad_max = UINT64_MAX};
    nc_scp_sink_options ko = {.recursive = true, .max_depth = 8};
    nc_scp_join_options jo = {.recursive = true, .max_depth = 8, .held_max = 2 * window};
    mem_pipe_init(&c->above, window, window, false);
    mem_pipe_init(&c->below, window / 2, window, false);
    c->s.things = tree;
    c->s.count = sizeof(tree) / sizeof(tree[0]);
    c->j.refuse = "no unwanted";
    c->j.full = "full";
    assert_int_equal(
        nc_scp_source_new(&c->source, &c->above.client_pipe, &script_source_ops, &c->s, &so),
        NACRE_OK);
    assert_int_equal(
        nc_scp_join_new(&c->join, &c->above.server_pipe, &c->below.client_pipe, &ops, &c->b, &jo),
        NACRE_OK);
    assert_int_equal(
        nc_scp_sink_new(&c->sink, &c->below.server_pipe, &journal_sink_ops, &c->j, &ko), NACRE_OK);
    carry(c, cut);
    assert_true(nc_scp_source_done(c->source));
    assert_int_equal(nc_scp_join_eof(c->join), NACRE_OK);
    assert_true(nc_scp_join_over(c->join));
    assert_int_equal(nc_scp_join_sink_eof(c->join), NACRE_OK);
    assert_int_equal(nc_scp_sink_eof(c->sink), NACRE_OK);
    check_books(c);
    assert_int_equal(nc_scp_join_things(c->join), 2);
    assert_int_equal(nc_scp_join_failures(c->join), 5);
    nc_scp_source_free(c->source);
    nc_scp_join_free(c->join);
    nc_scp_sink_free(c->sink);
    mem_pipe_clear(&c->above);
    mem_pipe_clear(&c->below);
    free(c);
}

static void test_every_width(void **state)
{
    static const size_t windows[] = {64, 1000, 65536};
    static const size_t cuts[] = {1, 7, 4096, 65536};
    (void)state;
    for (size_t w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
        for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
            copy(windows[w], cuts[c], false);
            copy(windows[w], cuts[c], true);
        }
    }
}

/* ---- ends that say what they like ------------------------------------------------------------------------------ */

typedef struct fixture {
    collector up, down;
    book b;
    nc_scp_join *join;
} fixture;

static int begin(fixture *f, const nc_scp_join_options *o)
{
    nc_scp_join_options usual = {.recursive = true, .max_depth = 3, .held_max = 4096};
    nacre_pipe up, down;
    memset(f, 0, sizeof(*f));
    collector_pipe(&f->up, &up);
    collector_pipe(&f->down, &down);
    return nc_scp_join_new(&f->join, &up, &down, &ops, &f->b, o ? o : &usual);
}

/*
 * The source has said all of text, or as much as fits before it must wait; then come the replies, byte by byte,
 * and both ends are through.
 */
static int converse(fixture *f, const nc_scp_join_options *o, nacre_span text, nacre_span replies)
{
    int rc = begin(f, o);
    assert_int_equal(rc, NACRE_OK);
    rc = nc_scp_join_input(f->join, text);
    for (size_t i = 0; rc == NACRE_OK && i < replies.n; i++) {
        rc = nc_scp_join_replies(f->join, nc_span(replies.p + i, 1));
    }
    rc = rc == NACRE_OK ? nc_scp_join_eof(f->join) : rc;
    rc = rc == NACRE_OK ? nc_scp_join_sink_eof(f->join) : rc;
    if (rc != NACRE_OK) { /* sticky, with a sentence, and somebody's fault */
        const nacre_error *why = nc_scp_join_error(f->join);
        assert_int_equal(why->status, rc);
        assert_true(why->text[0] != '\0');
        assert_int_equal(nc_scp_join_input(f->join, nc_span("E\n", 2)), rc);
        assert_int_equal(nc_scp_join_replies(f->join, nc_span("", 1)), rc);
        assert_int_equal(nc_scp_join_flush(f->join), rc);
        assert_int_equal(nc_scp_join_eof(f->join), rc);
        assert_int_equal(nc_scp_join_sink_eof(f->join), rc);
    }
    nc_scp_join_free(f->join);
    return rc;
}

#define SPAN(text) nc_span(text, sizeof(text) - 1)

typedef struct row {
    const char *source;
    size_t source_n;
    const char *sink;
    size_t sink_n;
    int rc;
    const char *log;
} row;
#define ROW(source, sink, rc, log)                                                                 \
    {                                                                                              \
        source, sizeof(source) - 1, sink, sizeof(sink) - 1, rc, log                                \
    }

static void check_rows(const row *rows, size_t n, const nc_scp_join_options *o)
{
    fixture f;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(converse(&f, o, nc_span(rows[i].source, rows[i].source_n),
                                  nc_span(rows[i].sink, rows[i].sink_n)),
                         rows[i].rc);
        assert_string_equal(f.b.log, rows[i].log);
    }
}
#define CHECK(rows, o) check_rows(rows, sizeof(rows) / sizeof((rows)[0]), o)

static void test_what_a_source_may_say(void **state)
{
    (void)state;
    static const row rows[] = {
        ROW("", "\0", NACRE_OK, ""),
        ROW("C0644 1 a\na\0", "\0\0\0", NACRE_OK, "file a 0644 1\nover ok\n"),
        ROW("C0644 0 a\n\0", "\0\0\0", NACRE_OK, "file a 0644 0\nover ok\n"),
        ROW("T1 0 1 0\nC6777 0 a\n\0", "\0\0\0\0", NACRE_OK, "file a 0777 0\nover ok\n"),
        ROW("D0755 0 d\nE\n", "\0\0\0", NACRE_OK, "dir d 0755 0\nover ok\n"),
        ROW("\1scp: gone\nC0644 0 a\n\0", "\0\0\0", NACRE_OK,
            "note scp: gone\nfile a 0644 0\nover ok\n"),
        /* words in place of the byte behind the data */
        ROW("C0644 1 a\na\1scp: a: cut\n", "\0\0\0", NACRE_OK, "file a 0644 1\nover scp: a: cut\n"),
        /* after a failure a source may end wherever it is */
        ROW("D0755 0 d\n\1scp: gone\n", "\0\0", NACRE_OK,
            "dir d 0755 0\nover ok\nnote scp: gone\n"),
    };
    CHECK(rows, NULL);
}

static void test_what_a_source_may_not_say(void **state)
{
    (void)state;
    static const row rows[] = {
        ROW("C0644 1 ../x\n", "\0", NACRE_SCP_PROTOCOL, ""),
        ROW("C0644 1 /etc/x\n", "\0", NACRE_SCP_PROTOCOL, ""),
        ROW("D0755 0 ..\n", "\0", NACRE_SCP_PROTOCOL, ""),
        ROW("C0644 1 a\x1b[2J\n", "\0", NACRE_SCP_PROTOCOL, ""),
        ROW("C0644 1 a\0b\n", "\0", NACRE_SCP_PROTOCOL, ""),
        ROW("Welcome\n", "\0", NACRE_SCP_PROTOCOL, ""),
        ROW("E\n", "\0", NACRE_SCP_PROTOCOL, ""),
        ROW("T1 0 1 0\nT1 0 1 0\n", "\0\0", NACRE_SCP_PROTOCOL, ""),
        ROW("D0755 0 d\nT1 0 1 0\nE\n", "\0\0\0", NACRE_SCP_PROTOCOL, "dir d 0755 0\nover ok\n"),
        ROW("D0755 0 a\nD0755 0 b\nD0755 0 c\nD0755 0 d\n", "\0\0\0\0", NACRE_SCP_PROTOCOL,
            "dir a 0755 0\nover ok\ndir b 0755 0\nover ok\ndir c 0755 0\nover ok\n"),
        ROW("C0644 1 a\nab", "\0\0", NACRE_SCP_PROTOCOL, "file a 0644 1\n"),
        ROW("C0644 1 a\na\3", "\0\0", NACRE_SCP_PROTOCOL, "file a 0644 1\n"),
        ROW("\2scp: no\n", "\0", NACRE_SCP_REFUSED, ""),
        ROW("C0644 1 a\na\2scp: no\n", "\0\0", NACRE_SCP_REFUSED, "file a 0644 1\n"),
        /* too early an end */
        ROW("C0644 1", "\0", NACRE_INCOMPLETE, ""),
        ROW("T1 0 1 0\n", "\0\0", NACRE_INCOMPLETE, ""),
        ROW("D0755 0 d\n", "\0\0", NACRE_INCOMPLETE, "dir d 0755 0\nover ok\n"),
        ROW("C0644 2 a\na", "\0\0", NACRE_INCOMPLETE, "file a 0644 2\n"),
        ROW("C0644 1 a\na", "\0\0", NACRE_INCOMPLETE, "file a 0644 1\n"),
        ROW("C0644 1 a\na\1scp: ", "\0\0", NACRE_INCOMPLETE, "file a 0644 1\n"),
    };
    CHECK(rows, NULL);
}

static void test_only_what_was_asked_for(void **state)
{
    (void)state;
    static const row rows[] = {
        ROW("C0644 0 want\n\0", "\0\0\0", NACRE_OK, "file want 0644 0\nover ok\n"),
        ROW("C0644 0 other\n\0", "\0\0\0", NACRE_SCP_PROTOCOL, ""),
        ROW("C0644 0 want\n\0C0644 0 want\n\0", "\0\0\0\0\0", NACRE_SCP_PROTOCOL,
            "file want 0644 0\nover ok\n"),
        ROW("D0755 0 want\nE\n", "\0\0\0", NACRE_SCP_PROTOCOL, ""),
    };
    static const row kept[] = {
        ROW("C6755 0 want\n\0", "\0\0\0", NACRE_OK, "file want 6755 0\nover ok\n"),
    };
    nc_scp_join_options o = {.pattern = "want", .single = true, .max_depth = 3, .held_max = 4096};
    CHECK(rows, &o);
    o.special = true;
    CHECK(kept, &o);
}

static void test_what_a_sink_may_say(void **state)
{
    (void)state;
    static const row rows[] = {
        /* refused: a file, a directory, times; the copy goes on */
        ROW("C0644 0 a\nC0644 0 b\n\0", "\0\1scp: no\n\0\0", NACRE_OK,
            "file a 0644 0\nover scp: no\nfile b 0644 0\nover ok\n"),
        ROW("D0755 0 d\nC0644 0 b\n\0", "\0\1scp: no\n\0\0", NACRE_OK,
            "dir d 0755 0\nover scp: no\nfile b 0644 0\nover ok\n"),
        ROW("T1 0 1 0\nC0644 0 b\n\0", "\0\1scp: no\n\0\0", NACRE_OK,
            "note scp: no\nfile b 0644 0\nover ok\n"),
        ROW("C0644 1 a\na\0", "\0\0\1scp: full\n", NACRE_OK, "file a 0644 1\nover scp: full\n"),
        /* both complain: who was first */
        ROW("C0644 1 a\na\1scp: cut\n", "\0\0\1scp: full\n", NACRE_OK,
            "file a 0644 1\nover scp: cut\n"),
        ROW("", "\1\n", NACRE_OK, "note an error without a word about it\n"),
        ROW("", "\0\1scp: late\n", NACRE_OK, "note scp: late\n"),
        ROW("", "\1scp: \x1b[2J\n", NACRE_OK, "note scp: \\033[2J\n"),
        /* what it may not */
        ROW("", "\0\0", NACRE_SCP_PROTOCOL, ""),
        ROW("C0644 3 a\na", "\0\0\0", NACRE_SCP_PROTOCOL, "file a 0644 3\n"),
        ROW("", "x", NACRE_SCP_PROTOCOL, ""),
        ROW("", "\3", NACRE_SCP_PROTOCOL, ""),
        /* it leaves */
        ROW("", "", NACRE_INCOMPLETE, ""),
        ROW("C0644 0 a\n\0", "\0", NACRE_INCOMPLETE, "file a 0644 0\n"),
        ROW("C0644 0 a\n\0", "\0\0", NACRE_INCOMPLETE, "file a 0644 0\n"),
    };
    CHECK(rows, NULL);
}

/* A sink that speaks in the middle of the data reads the rest, and has spoken. */
static void test_early_refusal(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(begin(&f, NULL), NACRE_OK);
    assert_int_equal(nc_scp_join_replies(f.join, SPAN("\0")), NACRE_OK);
    assert_int_equal(nc_scp_join_input(f.join, SPAN("C0644 4 a\n")), NACRE_OK);
    assert_int_equal(nc_scp_join_replies(f.join, SPAN("\0")), NACRE_OK);
    assert_int_equal(nc_scp_join_input(f.join, SPAN("ab")), NACRE_OK);
    assert_int_equal(nc_scp_join_replies(f.join, SPAN("\1scp: full\n")), NACRE_OK);
    assert_string_equal(f.b.log, "file a 0644 4\n");
    assert_int_equal(nc_scp_join_input(f.join, SPAN("cd\0C0644 0 b\n")), NACRE_OK);
    assert_string_equal(f.b.log, "file a 0644 4\nover scp: full\nfile b 0644 0\n");
    assert_int_equal(nc_scp_join_replies(f.join, SPAN("\0")), NACRE_OK);
    assert_int_equal(nc_scp_join_input(f.join, SPAN("\0")), NACRE_OK);
    assert_int_equal(nc_scp_join_replies(f.join, SPAN("\0")), NACRE_OK);
    assert_int_equal(nc_scp_join_eof(f.join), NACRE_OK);
    assert_true(nc_scp_join_over(f.join));
    assert_int_equal(nc_scp_join_failures(f.join), 1);
    nc_scp_join_free(f.join);
}

static int much(bool replies, char first, size_t n)
{
    fixture f;
    char piece[1000];
    assert_int_equal(begin(&f, NULL), NACRE_OK);
    int rc = replies ? NACRE_OK : nc_scp_join_replies(f.join, SPAN("\0"));
    memset(piece, 'x', sizeof(piece));
    piece[0] = first;
    for (size_t i = 0; rc == NACRE_OK && i < n; i++, piece[0] = 'x') {
        rc = replies ? nc_scp_join_replies(f.join, SPAN(piece))
                     : nc_scp_join_input(f.join, SPAN(piece));
    }
    assert_true(rc == NACRE_OK || nc_scp_join_error(f.join)->by == NACRE_BY_PEER);
    nc_scp_join_free(f.join);
    return rc;
}

static void test_lines_without_an_end(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(much(false, 'C', 65), NACRE_OK);
    assert_int_equal(much(false, 'C', 70), NACRE_SCP_PROTOCOL);
    assert_int_equal(much(true, 1, 65), NACRE_OK);
    assert_int_equal(much(true, 1, 70), NACRE_SCP_PROTOCOL);
    /* longer than any line of the protocol, but with an end */
    char text[NC_SCP_LINE_MAX + 100];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\n';
    assert_int_equal(converse(&f, NULL, nc_span(text, sizeof(text)), SPAN("\0")),
                     NACRE_SCP_PROTOCOL);
    /* more than may wait */
    assert_int_equal(begin(&f, NULL), NACRE_OK);
    assert_int_equal(nc_scp_join_input(f.join, nc_span(text, 2000)), NACRE_OK);
    assert_int_equal(nc_scp_join_input(f.join, nc_span(text, 2000)), NACRE_OK);
    assert_int_equal(nc_scp_join_input(f.join, nc_span(text, 2000)), NACRE_LIMIT);
    nc_scp_join_free(f.join);
}

/* What the sink does not take waits, and the source gets no room for more meanwhile. */
static void test_a_slow_sink(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(begin(&f, NULL), NACRE_OK);
    f.down.budget = 12;
    assert_int_equal(nc_scp_join_input(f.join, SPAN("C0644 6 a\nabcdef\0")), NACRE_OK);
    assert_int_equal(nc_scp_join_replies(f.join, SPAN("\0")), NACRE_OK);
    assert_int_equal(nc_scp_join_replies(f.join, SPAN("\0")), NACRE_OK);
    assert_int_equal(f.up.consumed, 12);
    assert_int_equal(nc_scp_join_eof(f.join), NACRE_OK);
    for (size_t i = 13; i <= 17; i++) {
        assert_false(nc_scp_join_over(f.join));
        f.down.budget = 1;
        assert_int_equal(nc_scp_join_flush(f.join), NACRE_OK);
        assert_int_equal(f.down.len, i);
    }
    assert_int_equal(nc_scp_join_replies(f.join, SPAN("\0")), NACRE_OK);
    assert_true(nc_scp_join_over(f.join));
    assert_memory_equal(f.down.bytes, "C0644 6 a\nabcdef\0", 17);
    assert_int_equal(f.up.consumed, 17);
    assert_int_equal(f.down.consumed, 3);
    nc_scp_join_free(f.join);
}

static void test_cancelled(void **state)
{
    (void)state;
    fixture f;
    assert_int_equal(begin(&f, NULL), NACRE_OK);
    f.b.stop_at = 2;
    assert_int_equal(nc_scp_join_replies(f.join, SPAN("\0")), NACRE_OK);
    assert_int_equal(nc_scp_join_input(f.join, SPAN("C0644 6 a\nab")), NACRE_OK);
    assert_int_equal(nc_scp_join_replies(f.join, SPAN("\0")), NACRE_CANCELLED);
    assert_int_equal(nc_scp_join_error(f.join)->by, NACRE_BY_US);
    nc_scp_join_free(f.join);
}

/* ---- what fails below ---------------------------------------------------------------------------------------- */

typedef struct brittle {
    size_t left; /* calls that go well */
} brittle;

static int brittle_write(void *ctx, const void *p, size_t n, size_t *took)
{
    brittle *b = ctx;
    (void)p;
    *took = n;
    return b->left > 0 ? (b->left--, NACRE_OK) : NACRE_CLOSED;
}

static int brittle_consumed(void *ctx, size_t n)
{
    size_t took;
    return brittle_write(ctx, NULL, n, &took);
}

static int through(const nacre_pipe *up, const nacre_pipe *down, const nacre_allocator *a)
{
    static const char text[] = "C0644 1 a\na\1scp: cut\n\1scp: gone\nT1 0 1 0\nC0644 0 b\n\0";
    static const char replies[] = "\0\0\1scp: full\n\0\0";
    nc_scp_join_options o = {.allocator = a, .recursive = true, .max_depth = 3, .held_max = 4096};
    nc_scp_join *j;
    book b = {.log = ""};
    int rc = nc_scp_join_new(&j, up, down, &ops, &b, &o);
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = nc_scp_join_input(j, SPAN(text));
    for (size_t i = 0; rc == NACRE_OK && i < sizeof(replies); i++) {
        rc = nc_scp_join_replies(j, nc_span(replies + i, 1));
    }
    rc = rc == NACRE_OK ? nc_scp_join_eof(j) : rc;
    assert_int_equal(nc_scp_join_error(j)->status, rc);
    assert_true(rc != NACRE_OK || nc_scp_join_over(j));
    nc_scp_join_free(j);
    return rc;
}

/* Each call of a pipe, and each allocation, fails in turn: nothing passes for a whole copy. */
static void test_failures_below(void **state)
{
    (void)state;
    brittle b, never = {SIZE_MAX};
    nacre_pipe good = {&never, NULL, NULL, brittle_write, brittle_consumed};
    nacre_pipe bad = {&b, NULL, NULL, brittle_write, brittle_consumed};
    for (int side = 0; side < 2; side++) {
        int rc = NACRE_CLOSED;
        size_t n = 0;
        for (; rc != NACRE_OK; n++) {
            assert_int_equal(rc, NACRE_CLOSED);
            assert_in_range(n, 0, 100);
            b.left = n;
            rc = side ? through(&good, &bad, NULL) : through(&bad, &good, NULL);
        }
        assert_in_range(n, 5, 100);
    }
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        test_memory_judge(&m, through(&good, &good, &m.hooks));
    }
    assert_in_range(m.refused, 3, 100);
    nc_scp_join_free(NULL);
}

/* What waits is not sent when the pipe is writable again, but gone: of either side, it is the end. */
static void test_gone_while_words_wait(void **state)
{
    (void)state;
    for (int down = 0; down < 2; down++) {
        fixture f;
        assert_int_equal(begin(&f, NULL), NACRE_OK);
        collector *side = down ? &f.down : &f.up;
        side->budget = 0;
        assert_int_equal(nc_scp_join_replies(f.join, SPAN("\0")), NACRE_OK);
        assert_int_equal(nc_scp_join_input(f.join, SPAN("C0644 1 a\n")), NACRE_OK);
        assert_int_equal(side->len, 0);
        side->write_rc = NACRE_IO;
        assert_int_equal(nc_scp_join_flush(f.join), NACRE_IO);
        const nacre_error *why = nc_scp_join_error(f.join);
        assert_int_equal(why->status, NACRE_IO);
        assert_int_equal(why->by, NACRE_BY_US);
        assert_non_null(strstr(why->text, "copying ended"));
        side->write_rc = NACRE_OK;
        side->budget = 100;
        assert_int_equal(nc_scp_join_flush(f.join), NACRE_IO); /* and stays so */
        assert_int_equal(nc_scp_join_eof(f.join), NACRE_IO);
        assert_int_equal(side->len, 0);
        assert_false(nc_scp_join_over(f.join));
        nc_scp_join_free(f.join);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_width),
        cmocka_unit_test(test_what_a_source_may_say),
        cmocka_unit_test(test_what_a_source_may_not_say),
        cmocka_unit_test(test_only_what_was_asked_for),
        cmocka_unit_test(test_what_a_sink_may_say),
        cmocka_unit_test(test_early_refusal),
        cmocka_unit_test(test_lines_without_an_end),
        cmocka_unit_test(test_a_slow_sink),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_failures_below),
        cmocka_unit_test(test_gone_while_words_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
