/* The receiving machine against whatever a peer may say. */
#include "scp_script.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    collector out;
    journal j;
    nc_scp_sink *sink;
} fixture;

static void begin(fixture *f, const nc_scp_sink_options *o)
{
    nacre_pipe pipe;
    nc_scp_sink_options opts = {.recursive = true, .max_depth = 3};
    if (o) {
        opts = *o;
    }
    memset(f, 0, sizeof(*f));
    collector_pipe(&f->out, &pipe);
    assert_int_equal(nc_scp_sink_new(&f->sink, &pipe, &journal_sink_ops, &f->j, &opts), NACRE_OK);
    assert_int_equal(nc_scp_sink_flush(f->sink), NACRE_OK);
}

static int feed(fixture *f, const char *p, size_t n, size_t cut)
{
    int rc = NACRE_OK;
    for (size_t i = 0; i < n && rc == NACRE_OK; i += cut) {
        rc = nc_scp_sink_input(f->sink, nc_span(p + i, n - i < cut ? n - i : cut));
    }
    return rc;
}

/* A whole conversation: status at its end, and what was journalled and answered. */
static int converse(fixture *f, const nc_scp_sink_options *o, const char *p, size_t n, size_t cut)
{
    begin(f, o);
    int rc = feed(f, p, n, cut);
    if (rc == NACRE_OK) {
        rc = nc_scp_sink_eof(f->sink);
    }
    assert_true(rc == NACRE_OK || nc_scp_sink_error(f->sink)->text[0] != '\0');
    if (rc != NACRE_OK) { /* sticky */
        assert_int_equal(nc_scp_sink_input(f->sink, nc_span("E\n", 2)), rc);
    }
    nc_scp_sink_free(f->sink);
    return rc;
}

#define SAY(f, o, text, cut) converse(f, o, text, sizeof(text) - 1, cut)

static void expect_answers(const fixture *f, const char *p, size_t n)
{
    assert_int_equal(f->out.len, n);
    assert_memory_equal(f->out.bytes, p, n);
}

static void test_files_however_they_are_cut(void **state)
{
    static const char text[] = "C0644 1 a\na\0"
                               "T5 0 6 0\nC0600 0 b\n\0"
                               "D0755 0 d\nC0644 2 d\ndk\0E\n";
    fixture f;
    (void)state;
    for (size_t cut = 1; cut < sizeof(text); cut++) {
        assert_int_equal(SAY(&f, NULL, text, cut), NACRE_OK);
        assert_string_equal(f.j.log, "file a 0644 1\nwhole 1\n"
                                     "file b 0600 0 5 6\nwhole 0\n"
                                     "dir d 0755 0\nfile d 0644 2\nwhole 2\nleave\n");
        expect_answers(&f, "\0\0\0\0\0\0\0\0\0\0", 10);
        assert_int_equal(f.out.consumed, sizeof(text) - 1);
    }
}

static void test_bad_names(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } rows[] = {{"C0644 1 ../x\n", 13}, {"C0644 1 /etc/x\n", 15}, {"C0644 1 .\n", 10},
                {"C0644 1 ..\n", 11},   {"C0644 1 \n", 9},        {"D0755 0 ..\n", 11},
                {"D0755 0 a/b\n", 12},  {"C0644 1 a\0b\n", 12},   {"C0644 1 a\x1b[2J\n", 14},
                {"C0644 1 a\rb\n", 12}, {"D0755 0 .\n", 10}};
    fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(converse(&f, NULL, rows[i].text, rows[i].n, 1), NACRE_SCP_PROTOCOL);
        assert_string_equal(f.j.log, "");
        assert_int_equal(f.out.bytes[1], 2); /* fatal, after the first word */
        assert_null(memchr(f.out.bytes, 0x1b, f.out.len));
    }
}

static void test_only_what_was_asked_for(void **state)
{
    nc_scp_sink_options one = {.pattern = "want", .single = true, .max_depth = 3};
    nc_scp_sink_options some = {.pattern = "*.c", .recursive = true, .max_depth = 3};
    fixture f;
    (void)state;
    assert_int_equal(SAY(&f, &one, "C0644 0 want\n\0", 99), NACRE_OK);
    assert_int_equal(SAY(&f, &one, "C0644 0 other\n\0", 99), NACRE_SCP_PROTOCOL);
    assert_string_equal(f.j.log, "");
    assert_int_equal(SAY(&f, &one, "C0644 0 want\n\0C0644 0 want\n\0", 99), NACRE_SCP_PROTOCOL);
    assert_int_equal(SAY(&f, &one, "D0755 0 want\nE\n", 99), NACRE_SCP_PROTOCOL);
    assert_string_equal(f.j.log, "");
    assert_int_equal(SAY(&f, &some, "C0644 0 a.c\n\0C0644 0 b.c\n\0", 99), NACRE_OK);
    assert_int_equal(SAY(&f, &some, "C0644 0 a.c\n\0C0644 0 b.h\n\0", 99), NACRE_SCP_PROTOCOL);
    /* Inside of a directory that was asked for any name may come. */
    assert_int_equal(SAY(&f, &some, "D0755 0 d.c\nC0644 0 x.h\n\0E\n", 99), NACRE_OK);
}

static void test_structure(void **state)
{
    static const struct {
        const char *text;
        int rc;
    } rows[] = {{"E\n", NACRE_SCP_PROTOCOL},
                {"D0755 0 a\nE\nE\n", NACRE_SCP_PROTOCOL},
                {"T1 0 1 0\nT1 0 1 0\n", NACRE_SCP_PROTOCOL},
                {"D0755 0 a\nT1 0 1 0\nE\n", NACRE_SCP_PROTOCOL},
                {"T1 0 1 0\n", NACRE_INCOMPLETE},
                {"D0755 0 a\n", NACRE_INCOMPLETE},
                {"C0644 5 a\nxy", NACRE_INCOMPLETE},
                {"C0644 1 a\nx", NACRE_INCOMPLETE},
                {"C0644 1 a\nxxx", NACRE_SCP_PROTOCOL},
                {"C0644 9223372036854775807 a\nxxx", NACRE_INCOMPLETE},
                {"C0644 9223372036854775808 a\nxxx", NACRE_SCP_PROTOCOL},
                {"D0755 0 a\nD0755 0 b\nD0755 0 c\nD0755 0 d\n", NACRE_SCP_PROTOCOL},
                {"Welcome to this host\nC0644 0 a\n", NACRE_SCP_PROTOCOL},
                {"\n", NACRE_SCP_PROTOCOL},
                {"\n\n\n\n\n\n\n\n\n\n\n\n", NACRE_SCP_PROTOCOL},
                {"\nC0644 0 a\n", NACRE_SCP_PROTOCOL},
                {"\r\n \nWelcome\n", NACRE_SCP_PROTOCOL},
                {"D0755 0 a\n\nE\n", NACRE_SCP_PROTOCOL},
                {"C0644", NACRE_SCP_PROTOCOL},
                {"", NACRE_OK}};
    fixture f;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t cut = 1; cut < 8; cut += 6) {
            assert_int_equal(converse(&f, NULL, rows[i].text, strlen(rows[i].text), cut),
                             rows[i].rc);
        }
    }
}

static void test_an_end_in_place_of_a_word(void **state)
{
    nc_scp_sink_options o = {.eof_ends_file = true, .max_depth = 3};
    fixture f;
    (void)state;
    assert_int_equal(SAY(&f, &o, "C0644 1 a\na", 1), NACRE_OK);
    assert_string_equal(f.j.log, "file a 0644 1\nwhole 1\n");
    assert_int_equal(SAY(&f, &o, "C0644 2 a\na", 1), NACRE_INCOMPLETE);
    assert_string_equal(f.j.log, "file a 0644 2\n");
    assert_int_equal(SAY(&f, &o, "C0644 1 a\na\1x", 1), NACRE_INCOMPLETE);
}

static void test_lines_without_an_end(void **state)
{
    fixture f;
    char *text = malloc(1 << 20);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', 1 << 20);
    memcpy(text, "C0644 1 ", 8);
    assert_int_equal(converse(&f, NULL, text, 1 << 20, 1000), NACRE_SCP_PROTOCOL);
    text[0] = 1;
    assert_int_equal(converse(&f, NULL, text, 1 << 20, 1000), NACRE_SCP_PROTOCOL);
    text[20000] = '\n'; /* long words, cut, but not an error */
    begin(&f, NULL);
    assert_int_equal(feed(&f, text, 20001, 1000), NACRE_OK);
    assert_int_equal(nc_scp_sink_failures(f.sink), 1);
    nc_scp_sink_free(f.sink);
    free(text);
}

static void test_the_peers_words(void **state)
{
    fixture f;
    (void)state;
    assert_int_equal(SAY(&f, NULL, "\1scp: x: No such file\nC0644 0 a\n\0", 1), NACRE_OK);
    assert_string_equal(f.j.log, "note scp: x: No such file\nfile a 0644 0\nwhole 0\n");
    assert_int_equal(SAY(&f, NULL, "\1\n", 1), NACRE_OK);
    assert_int_equal(SAY(&f, NULL, "\1evil \x1b[2J\r\n", 1), NACRE_OK);
    assert_string_equal(f.j.log, "note evil \\033[2J\n");
    assert_int_equal(SAY(&f, NULL, "\2scp: gone\n", 1), NACRE_SCP_REFUSED);
    assert_int_equal(SAY(&f, NULL, "\2scp: cut sho", 1), NACRE_SCP_REFUSED);
    /* A file that the peer could not read to its end is not taken for whole. */
    assert_int_equal(SAY(&f, NULL, "C0644 1 a\nx\1scp: a: I/O error\n", 1), NACRE_OK);
    assert_string_equal(f.j.log, "file a 0644 1\nbroken 1 bad\n");
    expect_answers(&f, "\0\0\0", 3);
    assert_int_equal(SAY(&f, NULL, "C0644 1 a\nx\2scp: a: I/O error\n", 1), NACRE_SCP_REFUSED);
    assert_string_equal(f.j.log, "file a 0644 1\nbroken 1 bad\n");
}

static void test_refusals_are_told(void **state)
{
    static const char text[] = "C0644 3 no\nD0755 0 never\nC0644 1 a\na\0";
    fixture f;
    (void)state;
    begin(&f, NULL);
    f.j.refuse = "no never";
    assert_int_equal(feed(&f, text, sizeof(text) - 1, 1), NACRE_OK);
    assert_string_equal(f.j.log, "file a 0644 1\nwhole 1\n");
    static const char answers[] = "\0\1scp: no: refused\n\1scp: never: refused\n\0\0";
    expect_answers(&f, answers, sizeof(answers) - 1);
    assert_int_equal(nc_scp_sink_failures(f.sink), 2);
    nc_scp_sink_free(f.sink);
}

static void test_a_full_target_stays_in_step(void **state)
{
    static const char text[] = "C0644 3 big\nbbb\0C0644 1 a\na\0";
    fixture f;
    (void)state;
    begin(&f, NULL);
    f.j.full = "big";
    assert_int_equal(feed(&f, text, sizeof(text) - 1, 1), NACRE_OK);
    static const char answers[] = "\0\0\1scp: big: full\n\0\0";
    expect_answers(&f, answers, sizeof(answers) - 1);
    assert_non_null(strstr(f.j.log, "broken 1"));
    assert_non_null(strstr(f.j.log, "whole 1"));
    nc_scp_sink_free(f.sink);
}

/* Answers that nobody takes are bounded. */
static void test_a_peer_that_never_reads(void **state)
{
    fixture f;
    int rc = NACRE_OK;
    (void)state;
    begin(&f, NULL);
    f.out.budget = 0;
    for (int i = 0; i < 200000 && rc == NACRE_OK; i++) {
        rc = nc_scp_sink_input(f.sink, nc_span("D0755 0 a\nE\n", 12));
    }
    assert_int_equal(rc, NACRE_LIMIT);
    nc_scp_sink_free(f.sink);
}

static void test_a_refused_target(void **state)
{
    nacre_pipe pipe;
    fixture f;
    nacre_error why = {.status = NACRE_OK};
    nc_scp_sink_options o = {.max_depth = 3};
    (void)state;
    memset(&f, 0, sizeof(f));
    collector_pipe(&f.out, &pipe);
    assert_int_equal(nc_scp_sink_new(&f.sink, &pipe, &journal_sink_ops, &f.j, &o), NACRE_OK);
    (void)nc_fail(&why, NACRE_IO, "x: Not a directory");
    nc_scp_sink_refuse(f.sink, &why);
    expect_answers(&f, "\1scp: x: Not a directory\n", 25);
    assert_int_equal(nc_scp_sink_flush(f.sink), NACRE_IO);
    expect_answers(&f, "\1scp: x: Not a directory\n", 25);
    nc_scp_sink_free(f.sink);
}

/* What the user cancels ends all, and what came so far passes for nothing whole. */
static void test_cancelled(void **state)
{
    static const char text[] = "C0644 3 big\nbbb\0C0644 1 a\na\0";
    fixture f;
    (void)state;
    begin(&f, NULL);
    f.j.cancel = "big";
    assert_int_equal(feed(&f, text, sizeof(text) - 1, 1), NACRE_CANCELLED);
    assert_null(strstr(f.j.log, "whole"));
    assert_null(strstr(f.j.log, "file a"));
    assert_int_equal(nc_scp_sink_eof(f.sink), NACRE_CANCELLED);
    nc_scp_sink_free(f.sink);
}

/* The peer's word in place of the byte behind the data. */
static void test_a_fatal_word_behind_the_data(void **state)
{
    char words[4096];
    fixture f;
    int rc = NACRE_OK;
    (void)state;
    begin(&f, NULL);
    assert_int_equal(feed(&f, "C0644 1 a\na\2scp: a: gone\n", 26, 1), NACRE_SCP_REFUSED);
    assert_string_equal(nc_scp_sink_error(f.sink)->text, "scp: a: gone");
    assert_non_null(strstr(f.j.log, "broken 1"));
    nc_scp_sink_free(f.sink);
    memset(words, 'x', sizeof(words));
    begin(&f, NULL);
    assert_int_equal(feed(&f, "C0644 1 a\na\1", 12, 1), NACRE_OK);
    for (int i = 0; i < 20 && rc == NACRE_OK; i++) {
        rc = nc_scp_sink_input(f.sink, nc_span(words, sizeof(words)));
    }
    assert_int_equal(rc, NACRE_SCP_PROTOCOL);
    assert_null(strstr(f.j.log, "whole"));
    nc_scp_sink_free(f.sink);
    /* a line that is too long for any of the protocol's, but ends */
    begin(&f, NULL);
    words[0] = 'C';
    words[4095] = '\n';
    assert_int_equal(nc_scp_sink_input(f.sink, nc_span(words, sizeof(words))), NACRE_SCP_PROTOCOL);
    assert_string_equal(f.j.log, "");
    nc_scp_sink_free(f.sink);
}

static void test_pipes_that_fail(void **state)
{
    static const char text[] = "C0644 1 a\na\0";
    fixture f;
    (void)state;
    begin(&f, NULL);
    assert_true(nc_scp_sink_idle(f.sink));
    f.out.write_rc = NACRE_IO;
    assert_int_equal(feed(&f, text, sizeof(text) - 1, 1), NACRE_IO);
    assert_false(nc_scp_sink_idle(f.sink));
    assert_int_equal(nc_scp_sink_flush(f.sink), NACRE_IO);
    assert_int_equal(nc_scp_sink_eof(f.sink), NACRE_IO);
    nc_scp_sink_free(f.sink);
    begin(&f, NULL);
    f.out.credit_rc = NACRE_IO;
    assert_int_equal(feed(&f, text, sizeof(text) - 1, 1), NACRE_IO);
    nc_scp_sink_free(f.sink);
    /* a peer that is gone is heard out: its last words are in what it sent */
    begin(&f, NULL);
    f.out.write_rc = NACRE_CLOSED;
    assert_int_equal(feed(&f, text, sizeof(text) - 1, 1), NACRE_OK);
    assert_int_equal(nc_scp_sink_things(f.sink), 1);
    assert_int_equal(feed(&f, "\2scp: bye\n", 11, 1), NACRE_SCP_REFUSED);
    nc_scp_sink_free(f.sink);
}

static void test_every_allocation_may_fail(void **state)
{
    static const char text[] = "C0644 1 a\na\0D0755 0 d\nE\n";
    (void)state;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        fixture f;
        nacre_pipe pipe;
        nc_scp_sink_options o = {.allocator = &m.hooks, .recursive = true, .max_depth = 3};
        memset(&f, 0, sizeof(f));
        collector_pipe(&f.out, &pipe);
        int rc = nc_scp_sink_new(&f.sink, &pipe, &journal_sink_ops, &f.j, &o);
        if (rc == NACRE_OK) {
            rc = feed(&f, text, sizeof(text) - 1, 1);
            nc_scp_sink_free(f.sink);
        }
        test_memory_judge(&m, rc);
    }
    assert_true(m.refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_however_they_are_cut),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_only_what_was_asked_for),
        cmocka_unit_test(test_structure),
        cmocka_unit_test(test_an_end_in_place_of_a_word),
        cmocka_unit_test(test_lines_without_an_end),
        cmocka_unit_test(test_the_peers_words),
        cmocka_unit_test(test_refusals_are_told),
        cmocka_unit_test(test_a_full_target_stays_in_step),
        cmocka_unit_test(test_a_peer_that_never_reads),
        cmocka_unit_test(test_a_refused_target),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_a_fatal_word_behind_the_data),
        cmocka_unit_test(test_pipes_that_fail),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
