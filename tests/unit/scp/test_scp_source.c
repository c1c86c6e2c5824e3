/* The sending machine against whatever a peer may answer. */
#include "scp_script.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    collector out;
    script s;
    nc_scp_source *source;
} fixture;

static void begin(fixture *f, const script_thing *things, size_t count, bool pipelined,
                  uint64_t pad_max)
{
    nacre_pipe pipe;
    nc_scp_source_options o = {.pipelined = pipelined, .pad_max = pad_max};
    memset(f, 0, sizeof(*f));
    collector_pipe(&f->out, &pipe);
    f->s.things = things;
    f->s.count = count;
    assert_int_equal(nc_scp_source_new(&f->source, &pipe, &script_source_ops, &f->s, &o), NACRE_OK);
    assert_int_equal(nc_scp_source_flush(f->source), NACRE_OK);
    assert_int_equal(f->out.len, 0); /* the peer speaks first */
}

/* An answer, and what is said then. */
static int answer(fixture *f, const char *p, size_t n)
{
    f->out.len = 0;
    return nc_scp_source_input(f->source, nc_span(p, n));
}

static void said(const fixture *f, const char *p, size_t n)
{
    assert_int_equal(f->out.len, n);
    assert_memory_equal(f->out.bytes, p, n);
}

#define ANSWER(f, text) assert_int_equal(answer(f, text, sizeof(text) - 1), NACRE_OK)
#define SAID(f, text)   said(f, text, sizeof(text) - 1)

static const script_thing one_file[] = {
    {.kind = NC_SCP_FILE, .name = "a", .mode = 0644, .size = 2, .has_times = true, .mtime = 7}};

static void test_step_by_step(void **state)
{
    fixture f;
    (void)state;
    begin(&f, one_file, 1, false, 0);
    ANSWER(&f, "\0");
    SAID(&f, "T7 0 0 0\n");
    ANSWER(&f, "\0");
    SAID(&f, "C0644 2 a\n");
    ANSWER(&f, "\0");
    SAID(&f, "ah\0");
    assert_false(nc_scp_source_done(f.source));
    ANSWER(&f, "\0");
    SAID(&f, "");
    assert_true(nc_scp_source_done(f.source));
    assert_int_equal(nc_scp_source_eof(f.source), NACRE_OK);
    assert_int_equal(nc_scp_source_failures(f.source), 0);
    assert_string_equal(f.s.log, "a ok\n");
    nc_scp_source_free(f.source);
}

static const script_thing small_tree[] = {
    {.kind = NC_SCP_DIR, .name = "d", .mode = 0755, .has_times = true},
    {.kind = NC_SCP_FILE, .name = "x", .mode = 0644, .size = 1},
    {.kind = NC_SCP_LEAVE, .name = ""},
    {.kind = NC_SCP_FILE, .name = "y", .mode = 0600, .size = 0}};

static void test_without_waiting(void **state)
{
    fixture f;
    (void)state;
    begin(&f, small_tree, 4, true, 0);
    ANSWER(&f, "\0");
    SAID(&f, "T0 0 0 0\nD0755 0 d\n");
    ANSWER(&f, "\0\0");
    SAID(&f, "C0644 1 x\n");
    ANSWER(&f, "\0");
    SAID(&f, "x\0E\nC0600 0 y\n"); /* only the file's own reply is waited for */
    ANSWER(&f, "\0\0\0");
    SAID(&f, "\0");
    ANSWER(&f, "\0");
    assert_true(nc_scp_source_done(f.source));
    assert_string_equal(f.s.log, "d ok\nx ok\ny ok\n");
    nc_scp_source_free(f.source);
}

static void test_refusals(void **state)
{
    fixture f;
    (void)state;
    begin(&f, small_tree, 4, true, 0);
    ANSWER(&f, "\0");
    ANSWER(&f, "\0\1scp: d: Permission denied\n"); /* nothing of what is in it is sent */
    SAID(&f, "C0600 0 y\n");
    ANSWER(&f, "\0");
    ANSWER(&f, "\1y: disk full\n");
    assert_true(nc_scp_source_done(f.source));
    assert_string_equal(f.s.log, "d scp: d: Permission denied\ny y: disk full\n");
    assert_int_equal(nc_scp_source_failures(f.source), 2);
    nc_scp_source_free(f.source);
}

static void test_a_refused_start(void **state)
{
    fixture f;
    (void)state;
    begin(&f, one_file, 1, true, 0);
    assert_int_equal(answer(&f, "\1scp: t: Not a directory\n", 25), NACRE_SCP_REFUSED);
    assert_string_equal(nc_scp_source_error(f.source)->text, "scp: t: Not a directory");
    assert_int_equal(nc_scp_source_error(f.source)->by, NACRE_BY_PEER);
    SAID(&f, "");
    nc_scp_source_free(f.source);
}

static void test_bad_answers(void **state)
{
    static const struct {
        const char *text;
        size_t n;
        int rc;
    } rows[] = {{"\2fatal\n", 7, NACRE_SCP_REFUSED},
                {"bash: scp: command not found\n", 29, NACRE_SCP_PROTOCOL},
                {"\0\0\0\0\0\0", 6, NACRE_SCP_PROTOCOL}, /* answers to nothing */
                {"\0\0\2scp: \x1b[2J\n", 13, NACRE_SCP_REFUSED}};
    fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        begin(&f, one_file, 1, false, 0);
        assert_int_equal(answer(&f, rows[i].text, rows[i].n), rows[i].rc);
        assert_null(strchr(nc_scp_source_error(f.source)->text, 0x1b));
        assert_int_equal(answer(&f, "\0", 1), rows[i].rc); /* sticky */
        nc_scp_source_free(f.source);
    }
}

static void test_words_without_an_end(void **state)
{
    char text[4096];
    fixture f;
    int rc = NACRE_OK;
    (void)state;
    memset(text, 1, sizeof(text));
    begin(&f, one_file, 1, false, 0);
    for (int i = 0; i < 100 && rc == NACRE_OK; i++) {
        rc = answer(&f, text, sizeof(text));
    }
    assert_int_equal(rc, NACRE_SCP_PROTOCOL);
    nc_scp_source_free(f.source);
}

static void test_the_end_comes_early(void **state)
{
    fixture f;
    (void)state;
    for (size_t n = 0; n < 4; n++) {
        begin(&f, one_file, 1, false, 0);
        for (size_t i = 0; i < n; i++) {
            ANSWER(&f, "\0");
        }
        assert_int_equal(nc_scp_source_eof(f.source), NACRE_INCOMPLETE);
        nc_scp_source_free(f.source);
    }
    begin(&f, one_file, 1, false, 0);
    ANSWER(&f, "\1scp: last wor");
    assert_int_equal(nc_scp_source_eof(f.source), NACRE_SCP_REFUSED);
    nc_scp_source_free(f.source);
}

static void test_a_file_that_became_shorter(void **state)
{
    static const script_thing things[] = {
        {.kind = NC_SCP_FILE, .name = "s", .mode = 0644, .size = 4, .missing = 3},
        {.kind = NC_SCP_FILE, .name = "t", .mode = 0644, .size = 0}};
    fixture f;
    (void)state;
    begin(&f, things, 2, false, 3);
    ANSWER(&f, "\0");
    ANSWER(&f, "\0");
    SAID(&f, "s\0\0\0\1scp: s: 3 bytes are missing at the end\n");
    ANSWER(&f, "\0");
    SAID(&f, "C0644 0 t\n");
    assert_int_equal(nc_scp_source_failures(f.source), 1);
    nc_scp_source_free(f.source);
    begin(&f, things, 2, false, 2); /* more than may be made up */
    ANSWER(&f, "\0");
    assert_int_equal(answer(&f, "\0", 1), NACRE_INCOMPLETE);
    nc_scp_source_free(f.source);
}

static void test_names_that_no_line_can_carry(void **state)
{
    static const script_thing things[] = {
        {.kind = NC_SCP_FILE, .name = "a\nC0644 5 evil", .mode = 0644, .size = 4},
        {.kind = NC_SCP_NOTE, .name = "", .note = "n: No such file"},
        {.kind = NC_SCP_FILE, .name = "t", .mode = 0644, .size = 0}};
    fixture f;
    (void)state;
    begin(&f, things, 3, false, 0);
    ANSWER(&f, "\0");
    assert_null(memmem(f.out.bytes, f.out.len, "\nC0644 5", 8));
    assert_non_null(memmem(f.out.bytes, f.out.len, "\1scp: n: No such file\nC0644 0 t\n", 32));
    assert_int_equal(nc_scp_source_failures(f.source), 2);
    nc_scp_source_free(f.source);
}

/* Times that could not be set, and words about nothing in particular, count and end nothing. */
static void test_words_that_end_nothing(void **state)
{
    fixture f;
    (void)state;
    begin(&f, one_file, 1, false, 0);
    ANSWER(&f, "\0");
    ANSWER(&f, "\1scp: a: set times: Not owner\n");
    SAID(&f, "C0644 2 a\n");
    ANSWER(&f, "\0");
    ANSWER(&f, "\0");
    assert_true(nc_scp_source_done(f.source));
    ANSWER(&f, "\1scp: by the way\n");
    assert_string_equal(f.s.log, "note scp: a: set times: Not owner\na ok\nnote scp: by the way\n");
    assert_int_equal(nc_scp_source_failures(f.source), 2);
    assert_int_equal(nc_scp_source_eof(f.source), NACRE_OK);
    nc_scp_source_free(f.source);
    /* empty lines, then what a shell says: it is named by the words that are some */
    begin(&f, one_file, 1, false, 0);
    assert_int_equal(answer(&f, "\n \r\nsh: scp: not found\n", 23), NACRE_SCP_PROTOCOL);
    assert_non_null(strstr(nc_scp_source_error(f.source)->text, "\"sh: scp: not found\""));
    nc_scp_source_free(f.source);
}

static int read_cancelled(void *user, const nacre_room *rooms, size_t count, size_t want,
                          size_t *got, nacre_error *why)
{
    (void)user;
    (void)rooms;
    (void)count;
    (void)want;
    *got = 0;
    return nc_fail(why, NACRE_CANCELLED, "enough");
}

static int next_failed(void *user, nc_scp_record *out, nacre_error *why)
{
    (void)user;
    (void)out;
    (void)why;
    return NACRE_IO;
}

static void test_what_ends_all(void **state)
{
    nacre_pipe pipe;
    nc_scp_source_options o = {.pad_max = UINT64_MAX};
    fixture f;
    (void)state;
    for (int how = 0; how < 4; how++) {
        nc_scp_source_ops ops = script_source_ops;
        ops.read = how == 0 ? read_cancelled : ops.read;
        ops.next = how == 1 ? next_failed : ops.next;
        memset(&f, 0, sizeof(f));
        collector_pipe(&f.out, &pipe);
        f.s.things = one_file;
        f.s.count = 1;
        assert_int_equal(nc_scp_source_new(&f.source, &pipe, &ops, &f.s, &o), NACRE_OK);
        f.out.write_rc = how == 2 ? NACRE_IO : NACRE_OK;
        f.out.credit_rc = how == 3 ? NACRE_CLOSED : NACRE_OK;
        static const int expected[] = {NACRE_CANCELLED, NACRE_IO, NACRE_IO, NACRE_CLOSED};
        int rc = NACRE_OK;
        for (int i = 0; i < 4 && rc == NACRE_OK; i++) {
            rc = answer(&f, "\0", 1);
        }
        assert_int_equal(rc, expected[how]);
        assert_true(nc_scp_source_error(f.source)->text[0] != '\0');
        assert_int_equal(nc_scp_source_flush(f.source), rc);
        assert_int_equal(nc_scp_source_eof(f.source), rc);
        assert_false(nc_scp_source_done(f.source));
        assert_null(strstr(f.s.log, "a ok"));
        nc_scp_source_free(f.source);
    }
}

/* A peer that takes no more is heard out: why it went is in what it has sent. */
static void test_a_peer_that_is_gone(void **state)
{
    (void)state;
    for (int words = 0; words < 2; words++) {
        fixture f;
        begin(&f, one_file, 1, false, 0);
        ANSWER(&f, "\0");
        f.out.write_rc = NACRE_CLOSED;
        ANSWER(&f, "\0");
        SAID(&f, "");
        assert_int_equal(nc_scp_source_flush(f.source), NACRE_OK);
        if (words) {
            assert_int_equal(answer(&f, "\2scp: bye\n", 10), NACRE_SCP_REFUSED);
            assert_non_null(strstr(nc_scp_source_error(f.source)->text, "bye"));
        } else {
            assert_int_equal(nc_scp_source_eof(f.source), NACRE_INCOMPLETE);
        }
        assert_int_equal(nc_scp_source_error(f.source)->by, NACRE_BY_PEER);
        assert_false(nc_scp_source_done(f.source));
        assert_string_equal(f.s.log, ""); /* nothing of it is told as copied */
        nc_scp_source_free(f.source);
    }
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        collector out;
        script s = {.things = small_tree, .count = 4};
        nacre_pipe pipe;
        nc_scp_source *source;
        nc_scp_source_options o = {.allocator = &m.hooks, .pipelined = true};
        collector_pipe(&out, &pipe);
        int rc = nc_scp_source_new(&source, &pipe, &script_source_ops, &s, &o);
        for (int i = 0; i < 8 && rc == NACRE_OK; i++) {
            rc = nc_scp_source_input(source, nc_span("", 1));
        }
        assert_true(rc != NACRE_OK || nc_scp_source_done(source));
        nc_scp_source_free(source);
        test_memory_judge(&m, rc);
    }
    assert_true(m.refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_by_step),
        cmocka_unit_test(test_without_waiting),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_refused_start),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_words_without_an_end),
        cmocka_unit_test(test_the_end_comes_early),
        cmocka_unit_test(test_a_file_that_became_shorter),
        cmocka_unit_test(test_names_that_no_line_can_carry),
        cmocka_unit_test(test_words_that_end_nothing),
        cmocka_unit_test(test_what_ends_all),
        cmocka_unit_test(test_a_peer_that_is_gone),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
