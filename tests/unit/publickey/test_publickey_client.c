/*
 * test_publickey_client.c - the client of RFC 4819 against bytes written down from the RFC's text, and
 * against servers that do not keep to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "publickey/client.h"
#include "support/memory.h"

#include <stdlib.h>
#include <string.h>

#define BYTES(text) nc_span(text, sizeof(text) - 1)

/* RFC 4819 3.4: length 15, "version", 2 */
#define VERSION_2   "\0\0\0\x0f\0\0\0\x07version\0\0\0\x02"
/* 3.3: "status", code, description, language */
#define SUCCESS                                                                                    \
    "\0\0\0\x18\0\0\0\x06status\0\0\0\0\0\0\0\0\0\0\0\x02"                                         \
    "en"
#define NOT_FOUND                                                                                  \
    "\0\0\0\x1c\0\0\0\x06status\0\0\0\x04\0\0\0\x04gone\0\0\0\x02"                                 \
    "en"

static nc_pks_client c;
static nc_pks_event ev;

static nacre_span output(void)
{
    return nc_span(nc_queue_front(&c.pipe.out), nc_queue_len(&c.pipe.out));
}

static void expect_output(nacre_span want)
{
    assert_int_equal(output().n, want.n);
    assert_memory_equal(output().p, want.p, want.n);
    nc_queue_consume(&c.pipe.out, want.n);
}

static int feed(nacre_span s)
{
    int rc = nc_pks_client_input(&c, s);
    return rc == NACRE_OK ? nc_pks_client_next(&c, &ev) : rc;
}

static void open_session(void)
{
    assert_int_equal(nc_pks_client_init(&c, NULL), NACRE_OK);
    expect_output(BYTES(VERSION_2));
    assert_int_equal(feed(BYTES(VERSION_2)), NACRE_OK);
    assert_int_equal(ev.news, NC_PKS_READY);
}

static void close_session(void)
{
    nc_pks_client_clear(&c);
}

/* ---- what is sent ---------------------------------------------------------------------------------------- */

static void requests_are_as_the_rfc_says(void **state)
{
    (void)state;
    const nacre_publickey_attribute with[] = {{BYTES("comment"), BYTES("hi"), false},
                                              {BYTES("from"), BYTES("*"), true}};
    nacre_publickey_entry e = {BYTES("ssh-rsa"), BYTES("BLOB"), with, 2};
    open_session();
    assert_int_equal(nc_pks_client_add(&c, &e, true), NACRE_OK);
    expect_output(BYTES("\0\0\0\x3f"
                        "\0\0\0\x03"
                        "add"
                        "\0\0\0\x07"
                        "ssh-rsa"
                        "\0\0\0\x04"
                        "BLOB"
                        "\x01"
                        "\0\0\0\x02"
                        "\0\0\0\x07"
                        "comment"
                        "\0\0\0\x02"
                        "hi"
                        "\0"
                        "\0\0\0\x04"
                        "from"
                        "\0\0\0\x01"
                        "*"
                        "\x01"));
    assert_int_equal(nc_pks_client_list(&c), NACRE_WRONG_STATE);
    assert_int_equal(feed(BYTES(SUCCESS)), NACRE_OK);
    assert_int_equal(ev.news, NC_PKS_OVER);
    assert_int_equal(ev.status, NACRE_OK);
    assert_int_equal(nc_pks_client_remove(&c, BYTES("ssh-rsa"), BYTES("BLOB")), NACRE_OK);
    expect_output(BYTES("\0\0\0\x1d"
                        "\0\0\0\x06"
                        "remove"
                        "\0\0\0\x07"
                        "ssh-rsa"
                        "\0\0\0\x04"
                        "BLOB"));
    assert_int_equal(feed(BYTES(NOT_FOUND)), NACRE_OK);
    assert_int_equal(ev.status, NACRE_NOT_FOUND);
    assert_int_equal(c.error.detail, NACRE_PUBLICKEY_KEY_NOT_FOUND);
    assert_non_null(strstr(c.error.text, "gone"));
    assert_int_equal(nc_pks_client_list(&c), NACRE_OK);
    expect_output(BYTES("\0\0\0\x08\0\0\0\x04list"));
    assert_int_equal(feed(BYTES(SUCCESS)), NACRE_OK);
    assert_int_equal(nc_pks_client_known(&c), NACRE_OK);
    expect_output(BYTES("\0\0\0\x12\0\0\0\x0elistattributes"));
    assert_int_equal(feed(BYTES(SUCCESS)), NACRE_OK);
    assert_int_equal(output().n, 0);
    close_session();
}

/* ---- what comes ---------------------------------------------------------------------------------------- */

#define ENTRY                                                                                      \
    "\0\0\0\x36"                                                                                   \
    "\0\0\0\x09publickey"                                                                          \
    "\0\0\0\x07ssh-rsa"                                                                            \
    "\0\0\0\x04"                                                                                   \
    "BLOB"                                                                                         \
    "\0\0\0\x01"                                                                                   \
    "\0\0\0\x07"                                                                                   \
    "comment"                                                                                      \
    "\0\0\0\x03"                                                                                   \
    "abc"
#define KNOWN                                                                                      \
    "\0\0\0\x19\0\0\0\x09"                                                                         \
    "attribute"                                                                                    \
    "\0\0\0\x07"                                                                                   \
    "comment"                                                                                      \
    "\x01"

static void expect_entry(void)
{
    assert_int_equal(ev.news, NC_PKS_ENTRY);
    assert_true(nc_span_is(ev.entry.algorithm, "ssh-rsa"));
    assert_true(nc_span_is(ev.entry.blob, "BLOB"));
    assert_int_equal(ev.entry.attribute_count, 1);
    assert_true(nc_span_is(ev.entry.attributes[0].name, "comment"));
    assert_true(nc_span_is(ev.entry.attributes[0].value, "abc"));
    assert_false(ev.entry.attributes[0].critical);
}

static void lists_are_read_in_any_pieces(void **state)
{
    (void)state;
    nacre_span all = BYTES(ENTRY ENTRY SUCCESS);
    for (size_t piece = 1; piece <= all.n; piece++) {
        int entries = 0, over = 0;
        open_session();
        assert_int_equal(nc_pks_client_list(&c), NACRE_OK);
        for (size_t at = 0; at < all.n; at += piece) {
            size_t n = all.n - at < piece ? all.n - at : piece;
            assert_int_equal(nc_pks_client_input(&c, nc_span(all.p + at, n)), NACRE_OK);
            while (nc_pks_client_next(&c, &ev) == NACRE_OK) {
                over += ev.news == NC_PKS_OVER;
                if (ev.news == NC_PKS_ENTRY) {
                    expect_entry();
                    entries++;
                }
            }
        }
        assert_int_equal(entries, 2);
        assert_int_equal(over, 1);
        close_session();
    }
    open_session();
    assert_int_equal(nc_pks_client_known(&c), NACRE_OK);
    assert_int_equal(feed(BYTES(KNOWN SUCCESS)), NACRE_OK);
    assert_int_equal(ev.news, NC_PKS_KNOWN);
    assert_true(nc_span_is(ev.known, "comment"));
    assert_true(ev.compulsory);
    assert_int_equal(nc_pks_client_next(&c, &ev), NACRE_OK);
    assert_int_equal(ev.news, NC_PKS_OVER);
    close_session();
}

static void every_code_is_an_error_of_its_kind(void **state)
{
    (void)state;
    static const struct {
        uint32_t code;
        int status;
    } rows[] = {{0, NACRE_OK},          {1, NACRE_REQUEST_REFUSED},  {2, NACRE_LIMIT},
                {3, NACRE_UNSUPPORTED}, {4, NACRE_NOT_FOUND},        {5, NACRE_UNSUPPORTED},
                {6, NACRE_EXISTS},      {7, NACRE_REQUEST_REFUSED},  {8, NACRE_UNSUPPORTED},
                {9, NACRE_UNSUPPORTED}, {10, NACRE_REQUEST_REFUSED}, {255, NACRE_REQUEST_REFUSED}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char answer[] = "\0\0\0\x1c\0\0\0\x06status\0\0\0\x04\0\0\0\x04g\x1b[n\0\0\0\x02"
                        "en";
        answer[17] = (char)rows[i].code;
        open_session();
        assert_int_equal(nc_pks_client_list(&c), NACRE_OK);
        assert_int_equal(feed(nc_span(answer, sizeof(answer) - 1)), NACRE_OK);
        assert_int_equal(ev.news, NC_PKS_OVER);
        assert_int_equal(ev.status, rows[i].status);
        if (rows[i].status != NACRE_OK) {
            assert_int_equal(c.error.status, rows[i].status);
            assert_int_equal(c.error.detail, rows[i].code);
            assert_null(strchr(c.error.text, '\x1b'));
        }
        assert_int_equal(nc_pks_client_list(&c), NACRE_OK); /* the session goes on */
        close_session();
    }
}

static void newer_servers_speak_our_version(void **state)
{
    (void)state;
    assert_int_equal(nc_pks_client_init(&c, NULL), NACRE_OK);
    assert_int_equal(feed(BYTES("\0\0\0\x0f\0\0\0\x07version\xff\xff\xff\xff")), NACRE_OK);
    assert_int_equal(ev.news, NC_PKS_READY);
    close_session();
    for (int version = 0; version < 2; version++) {
        char old[] = "\0\0\0\x0f\0\0\0\x07version\0\0\0\0";
        old[18] = (char)version;
        assert_int_equal(nc_pks_client_init(&c, NULL), NACRE_OK);
        expect_output(BYTES(VERSION_2));
        assert_int_equal(feed(nc_span(old, sizeof(old) - 1)), NACRE_UNSUPPORTED);
        assert_true(output().n > 18); /* a status: VERSION_NOT_SUPPORTED */
        assert_int_equal(output().p[17], 3);
        assert_int_equal(nc_pks_client_list(&c), NACRE_UNSUPPORTED);
        close_session();
    }
    assert_int_equal(nc_pks_client_init(&c, NULL), NACRE_OK);
    assert_int_equal(feed(BYTES("\0\0\0\x1c\0\0\0\x06status\0\0\0\x03\0\0\0\x04"
                                "1994\0\0\0\x02"
                                "en")),
                     NACRE_UNSUPPORTED);
    assert_non_null(strstr(c.error.text, "1994"));
    close_session();
}

/* ---- servers that do not keep to it ------------------------------------------------------------------- */

static void expect_broken(int rc, int status)
{
    assert_int_equal(rc, status);
    assert_int_equal(c.error.status, status);
    assert_int_equal(nc_pks_client_list(&c), status);
    assert_int_equal(nc_pks_client_input(&c, BYTES(SUCCESS)), status);
    assert_int_equal(nc_pks_client_next(&c, &ev), status);
    close_session();
}

typedef int (*start_fn)(nc_pks_client *);

static int add_one(nc_pks_client *m)
{
    nacre_publickey_entry e = {BYTES("a"), BYTES("b"), NULL, 0};
    return nc_pks_client_add(m, &e, false);
}

static void answers_to_other_questions_end_it(void **state)
{
    (void)state;
    static const start_fn starts[] = {NULL, add_one, nc_pks_client_list, nc_pks_client_known};
    const nacre_span answers[] = {BYTES(SUCCESS),
                                  BYTES(ENTRY),
                                  BYTES(KNOWN),
                                  BYTES(VERSION_2),
                                  BYTES("\0\0\0\x08\0\0\0\x04list"),
                                  BYTES("\0\0\0\x04\0\0\0\0")};
    static const bool good[4][6] = {
        {false, false, false}, {true, false, false}, {true, true, false}, {true, false, true}};
    for (int s = 0; s < 4; s++) {
        for (int a = 0; a < 6; a++) {
            open_session();
            assert_int_equal(starts[s] ? starts[s](&c) : NACRE_OK, NACRE_OK);
            int rc = feed(answers[a]);
            if (good[s][a]) {
                assert_int_equal(rc, NACRE_OK);
                close_session();
            } else {
                expect_broken(rc, NACRE_PROTOCOL);
            }
        }
    }
    assert_int_equal(nc_pks_client_init(&c, NULL), NACRE_OK); /* before the version */
    expect_broken(feed(BYTES(SUCCESS)), NACRE_PROTOCOL);
    assert_int_equal(nc_pks_client_init(&c, NULL), NACRE_OK);
    assert_int_equal(nc_pks_client_list(&c), NACRE_WRONG_STATE);
    expect_broken(feed(BYTES(ENTRY)), NACRE_PROTOCOL);
}

static void lengths_are_not_believed(void **state)
{
    (void)state;
    const nacre_span bad[] = {
        BYTES("\xff\xff\xff\xff"), BYTES("\x80\0\0\0"), BYTES("\x7f\xff\xff\xff"),
        BYTES("\0\x04\0\x01"), /* one above the cap */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        open_session();
        assert_int_equal(nc_pks_client_list(&c), NACRE_OK);
        expect_broken(feed(bad[i]), NACRE_OVERSIZED);
        assert_true(c.pipe.in.buf.cap < 4096); /* nothing was made room for */
    }
    const nacre_span mal[] = {
        BYTES("\0\0\0\0"), /* no name */
        BYTES("\0\0\0\x03"
              "abc"), /* half a name's length */
        BYTES("\0\0\0\x04\xff\xff\xff\xff"),
        BYTES("\0\0\0\x08\0\0\0\x05"
              "list"),
        BYTES("\0\0\0\x0a\0\0\0\x06status"),                   /* no code */
        BYTES("\0\0\0\x0e\0\0\0\x06status\0\0\0\0"),           /* no words */
        BYTES("\0\0\0\x12\0\0\0\x06status\0\0\0\0\0\0\0\x09"), /* words that are not there */
        BYTES("\0\0\0\x19\0\0\0\x06status\0\0\0\0\0\0\0\0\0\0\0\x02"
              "enX"), /* more than a status */
        BYTES("\0\0\0\x24\0\0\0\x09publickey\0\0\0\x07ssh-rsa\0\0\0\x04"
              "BLOB"
              "\0\0\0\x01"),
        BYTES("\0\0\0\x24\0\0\0\x09publickey\0\0\0\x07ssh-rsa\0\0\0\x04"
              "BLOB"
              "\xff\xff\xff\xff"),
        BYTES("\0\0\0\x24\0\0\0\x09publickey\0\0\0\x07ssh-rsa\0\0\0\x04"
              "BLOB"
              "\x20\0\0\0"),
        BYTES("\0\0\0\x24\0\0\0\x09publickey\0\0\0\x07ssh-rsa\0\0\0\xff"
              "BLOB"
              "\0\0\0\0"),
        BYTES("\0\0\0\x24\0\0\0\x09publickey\xff\xff\xff\xffssh-rsa\0\0\0\x04"
              "BLOB"
              "\0\0\0\0"),
    };
    for (size_t i = 0; i < sizeof(mal) / sizeof(mal[0]); i++) {
        open_session();
        assert_int_equal(nc_pks_client_list(&c), NACRE_OK);
        expect_broken(feed(mal[i]), NACRE_MALFORMED);
    }
}

/* A length that is honest about a packet whose inside is cut anywhere. */
static void cut_packets_are_malformed(void **state)
{
    (void)state;
    const nacre_span whole[] = {BYTES(ENTRY), BYTES(SUCCESS), BYTES(KNOWN), BYTES(VERSION_2)};
    for (size_t w = 0; w < 4; w++) {
        for (size_t n = 4; n < whole[w].n; n++) {
            uint8_t *cut = malloc(n);
            assert_non_null(cut);
            memcpy(cut, whole[w].p, n);
            nc_put_u32(cut, (uint32_t)(n - 4));
            if (w == 3) {
                assert_int_equal(nc_pks_client_init(&c, NULL), NACRE_OK);
            } else {
                open_session();
                assert_int_equal(w == 2 ? nc_pks_client_known(&c) : nc_pks_client_list(&c),
                                 NACRE_OK);
            }
            expect_broken(feed(nc_span(cut, n)), NACRE_MALFORMED);
            free(cut);
        }
    }
}

static void text_of_a_login_script_is_named(void **state)
{
    (void)state;
    assert_int_equal(nc_pks_client_init(&c, NULL), NACRE_OK);
    int rc = feed(BYTES("Welcome to this host!\n" VERSION_2));
    assert_non_null(strstr(c.error.text, "login script"));
    expect_broken(rc, NACRE_OVERSIZED);
}

static void counts_have_caps(void **state)
{
    (void)state;
    /* 65 attributes, and the count says so */
    nc_buf b;
    nc_buf_init(&b, NULL, 65536);
    nc_wr w = nc_wr_init(&b);
    size_t mark = nc_wr_begin_str(&w);
    nc_wr_cstr(&w, "publickey");
    nc_wr_cstr(&w, "ssh-rsa");
    nc_wr_cstr(&w, "BLOB");
    nc_wr_u32(&w, NC_PKS_MAX_ATTRIBUTES + 1);
    for (int i = 0; i <= NC_PKS_MAX_ATTRIBUTES; i++) {
        nc_wr_cstr(&w, "n");
        nc_wr_cstr(&w, "v");
    }
    nc_wr_end_str(&w, mark);
    open_session();
    assert_int_equal(nc_pks_client_list(&c), NACRE_OK);
    expect_broken(feed(nc_buf_span(&b)), NACRE_OVERSIZED);
    nc_buf_clear(&b);
    /* keys without end */
    open_session();
    assert_int_equal(nc_pks_client_list(&c), NACRE_OK);
    int rc = NACRE_OK;
    for (long i = 0; rc == NACRE_OK && i <= NC_PKS_MAX_KEYS; i++) {
        rc = feed(BYTES(ENTRY));
    }
    expect_broken(rc, NACRE_LIMIT);
    open_session();
    assert_int_equal(nc_pks_client_known(&c), NACRE_OK);
    rc = NACRE_OK;
    for (long i = 0; rc == NACRE_OK && i <= NC_PKS_MAX_KNOWN; i++) {
        rc = feed(BYTES(KNOWN));
    }
    expect_broken(rc, NACRE_LIMIT);
    /* more input than a packet can be, never asked for */
    open_session();
    uint8_t *big = calloc(1, NC_PKS_MAX_INPUT + 1);
    assert_non_null(big);
    expect_broken(nc_pks_client_input(&c, nc_span(big, NC_PKS_MAX_INPUT + 1)), NACRE_LIMIT);
    free(big);
}

static void what_does_not_fit_is_not_sent(void **state)
{
    (void)state;
    static uint8_t big[NC_PKS_MAX_FRAME];
    nacre_publickey_attribute many[NC_PKS_MAX_ATTRIBUTES + 1];
    memset(many, 0, sizeof(many));
    nacre_publickey_entry e = {BYTES("a"), nc_span(big, sizeof(big)), NULL, 0};
    open_session();
    assert_int_equal(nc_pks_client_add(&c, &e, false), NACRE_TOO_LARGE);
    assert_int_equal(nc_pks_client_remove(&c, BYTES("a"), e.blob), NACRE_TOO_LARGE);
    e.blob = BYTES("b");
    e.attributes = many;
    e.attribute_count = NC_PKS_MAX_ATTRIBUTES + 1;
    assert_int_equal(nc_pks_client_add(&c, &e, false), NACRE_TOO_LARGE);
    many[3].value = nc_span(big, SIZE_MAX);
    e.attribute_count = 4;
    assert_int_equal(nc_pks_client_add(&c, &e, false), NACRE_TOO_LARGE);
    assert_int_equal(output().n, 0);
    many[3].value = nc_span(big, 1000);
    assert_int_equal(nc_pks_client_add(&c, &e, false), NACRE_OK);
    close_session();
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        int rc = nc_pks_client_init(&c, &m.hooks);
        rc = rc == NACRE_OK ? feed(BYTES(VERSION_2)) : rc;
        rc = rc == NACRE_OK ? nc_pks_client_list(&c) : rc;
        rc = rc == NACRE_OK ? feed(BYTES(ENTRY)) : rc;
        rc = rc == NACRE_OK ? nc_pks_client_next(&c, &ev) : rc;
        nc_pks_client_clear(&c);
        test_memory_judge(&m, rc == NACRE_AGAIN ? NACRE_OK : rc);
    }
    assert_true(m.refused >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_as_the_rfc_says),
        cmocka_unit_test(lists_are_read_in_any_pieces),
        cmocka_unit_test(every_code_is_an_error_of_its_kind),
        cmocka_unit_test(newer_servers_speak_our_version),
        cmocka_unit_test(answers_to_other_questions_end_it),
        cmocka_unit_test(lengths_are_not_believed),
        cmocka_unit_test(cut_packets_are_malformed),
        cmocka_unit_test(text_of_a_login_script_is_named),
        cmocka_unit_test(counts_have_caps),
        cmocka_unit_test(what_does_not_fit_is_not_sent),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("public key subsystem: client", tests, NULL, NULL);
}
