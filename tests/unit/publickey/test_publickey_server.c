/*
 * test_publickey_server.c - the server of RFC 4819 against bytes written down from the RFC's text,
 * against clients that do not keep to it, and, at the end, against our own client.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "publickey/client.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(text) nc_span(text, sizeof(text) - 1)
#define VERSION_2   "\0\0\0\x0f\0\0\0\x07version\0\0\0\x02"
#define SUCCESS                                                                                    \
    "\0\0\0\x18\0\0\0\x06status\0\0\0\0\0\0\0\0\0\0\0\x02"                                         \
    "en"
#define LIST  "\0\0\0\x08\0\0\0\x04list"
/* a blob that begins with its type, as all do; 4.1: no attributes */
#define KEY_1 "\0\0\0\x04typebody"
#define ADD_1                                                                                      \
    "\0\0\0\x24\0\0\0\x03"                                                                         \
    "add"                                                                                          \
    "\0\0\0\x04type\0\0\0\x0c" KEY_1 "\0"                                                          \
    "\0\0\0\0"
#define REMOVE_1 "\0\0\0\x22\0\0\0\x06remove\0\0\0\x04type\0\0\0\x0c" KEY_1

static nacre_publickey_server *s;

/* ---- a store --------------------------------------------------------------------------------------------- */

typedef struct store {
    char blob[64];
    char comment[64];
    size_t count; /* how many the list shows */
    size_t big;   /* bytes of each of them, 0: as it is */
    int adds, removes;
    bool overwrite;
    size_t attributes; /* of the last add */
} store;

static store keys;
static uint8_t filler[300 * 1024];
static nacre_publickey_attribute shown[1];

static uint32_t add_key(void *user, const nacre_publickey_entry *e, bool overwrite, char *text,
                        size_t size)
{
    store *t = user;
    t->adds++;
    t->overwrite = overwrite;
    t->attributes = e->attribute_count;
    if (t->count && !overwrite) {
        snprintf(text, size, "it is there");
        return NACRE_PUBLICKEY_KEY_ALREADY_PRESENT;
    }
    t->comment[0] = '\0';
    if (e->attribute_count) {
        snprintf(t->comment, sizeof(t->comment), "%.*s", (int)e->attributes[0].value.n,
                 (const char *)e->attributes[0].value.p);
    }
    t->count = 1;
    return NACRE_PUBLICKEY_SUCCESS;
}

static uint32_t remove_key(void *user, nacre_span algorithm, nacre_span blob, char *text,
                           size_t size)
{
    store *t = user;
    (void)text;
    (void)size;
    t->removes++;
    if (!t->count || !nc_span_is(algorithm, "type") || !nc_span_eq(blob, BYTES(KEY_1))) {
        return NACRE_PUBLICKEY_KEY_NOT_FOUND;
    }
    t->count = 0;
    return NACRE_PUBLICKEY_SUCCESS;
}

static bool show_key(void *user, size_t index, nacre_publickey_entry *out)
{
    store *t = user;
    if (index >= t->count) {
        return false;
    }
    out->algorithm = BYTES("type");
    out->blob = t->big ? nc_span(filler, t->big) : BYTES(KEY_1);
    shown[0].name = BYTES("comment");
    shown[0].value = nc_span_cstr(t->comment);
    out->attributes = shown;
    out->attribute_count = t->comment[0] ? 1 : 0;
    return true;
}

static const nacre_publickey_supported supported[] = {{"comment", false}, {"env", true}};
static const nacre_publickey_ops ops = {.add = add_key,
                                        .remove = remove_key,
                                        .entry = show_key,
                                        .attributes = supported,
                                        .attribute_count = 2};
static const nacre_publickey_ops no_ops = {.add = NULL};

/* ---- help ------------------------------------------------------------------------------------------------ */

static void expect_output(nacre_span want)
{
    nacre_span got = nacre_publickey_server_output(s);
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
    assert_int_equal(nacre_publickey_server_sent(s, want.n), NACRE_OK);
}

/* A status with this code is all that waits. */
static void expect_status(uint32_t code)
{
    nacre_span got = nacre_publickey_server_output(s);
    nc_rd r = nc_rd_init(got);
    nc_rd p = nc_rd_init(nc_rd_str(&r));
    assert_int_equal(nc_rd_end(&r), NACRE_OK);
    assert_true(nc_span_is(nc_rd_str(&p), "status"));
    assert_int_equal(nc_rd_u32(&p), code);
    (void)nc_rd_str(&p);
    assert_true(nc_span_is(nc_rd_str(&p), "en"));
    assert_int_equal(nc_rd_end(&p), NACRE_OK);
    (void)nacre_publickey_server_sent(s, got.n);
}

static void open_raw(const nacre_publickey_ops *o)
{
    memset(&keys, 0, sizeof(keys));
    assert_int_equal(nacre_publickey_server_new(&s, NULL, o, &keys), NACRE_OK);
    expect_output(BYTES(VERSION_2));
}

static void open_session(const nacre_publickey_ops *o)
{
    open_raw(o);
    assert_int_equal(nacre_publickey_server_input(s, BYTES(VERSION_2)), NACRE_OK);
    assert_int_equal(nacre_publickey_server_output(s).n, 0);
}

static void close_session(void)
{
    nacre_publickey_server_free(s);
    s = NULL;
}

static int feed(nacre_span in)
{
    return nacre_publickey_server_input(s, in);
}

static void expect_broken(int rc, int status)
{
    assert_int_equal(rc, status);
    assert_int_equal(nacre_publickey_server_error(s)->status, status);
    expect_status(NACRE_PUBLICKEY_GENERAL_FAILURE);
    assert_int_equal(feed(BYTES(LIST)), status);
    assert_int_equal(nacre_publickey_server_output(s).n, 0);
    close_session();
}

/* ---- as the RFC says ------------------------------------------------------------------------------------ */

static void requests_are_answered(void **state)
{
    (void)state;
    open_session(&ops);
    assert_int_equal(feed(BYTES(LIST)), NACRE_OK);
    expect_output(BYTES(SUCCESS));
    assert_int_equal(feed(BYTES(ADD_1)), NACRE_OK);
    expect_output(BYTES(SUCCESS));
    assert_false(keys.overwrite);
    assert_int_equal(feed(BYTES(ADD_1)), NACRE_OK);
    expect_output(BYTES("\0\0\0\x23\0\0\0\x06status\0\0\0\x06\0\0\0\x0bit is there\0\0\0\x02"
                        "en"));
    assert_int_equal(feed(BYTES(LIST)), NACRE_OK);
    expect_output(
        BYTES("\0\0\0\x29\0\0\0\x09publickey\0\0\0\x04type\0\0\0\x0c" KEY_1 "\0\0\0\0" SUCCESS));
    assert_int_equal(feed(BYTES("\0\0\0\x12\0\0\0\x0elistattributes")), NACRE_OK);
    expect_output(BYTES("\0\0\0\x19\0\0\0\x09"
                        "attribute"
                        "\0\0\0\x07"
                        "comment"
                        "\0"
                        "\0\0\0\x15\0\0\0\x09"
                        "attribute"
                        "\0\0\0\x03"
                        "env"
                        "\x01" SUCCESS));
    assert_int_equal(feed(BYTES(REMOVE_1)), NACRE_OK);
    expect_output(BYTES(SUCCESS));
    assert_int_equal(feed(BYTES(REMOVE_1)), NACRE_OK);
    expect_status(NACRE_PUBLICKEY_KEY_NOT_FOUND);
    assert_int_equal(feed(BYTES("\0\0\0\x09\0\0\0\x05"
                                "rot13")),
                     NACRE_OK);
    expect_status(NACRE_PUBLICKEY_REQUEST_NOT_SUPPORTED);
    close_session();
}

static void attributes_are_sifted(void **state)
{
    (void)state;
    /* comment "hi", then x@y: first as one that may be dropped, then as a critical one */
#define WITH(flag)                                                                                 \
    "\0\0\0\x42\0\0\0\x03"                                                                         \
    "add"                                                                                          \
    "\0\0\0\x04type\0\0\0\x0c" KEY_1 "\x01"                                                        \
    "\0\0\0\x02"                                                                                   \
    "\0\0\0\x07"                                                                                   \
    "comment"                                                                                      \
    "\0\0\0\x02hi\x01"                                                                             \
    "\0\0\0\x03x@y\0\0\0\0" flag
    open_session(&ops);
    assert_int_equal(feed(BYTES(WITH("\0"))), NACRE_OK);
    expect_output(BYTES(SUCCESS));
    assert_true(keys.overwrite);
    assert_int_equal(keys.attributes, 1);
    assert_string_equal(keys.comment, "hi");
    assert_int_equal(feed(BYTES(WITH("\x01"))), NACRE_OK);
    expect_status(NACRE_PUBLICKEY_ATTRIBUTE_NOT_SUPPORTED);
    assert_int_equal(keys.adds, 1); /* nobody was asked */
    close_session();
}

static void a_key_of_another_type_is_refused(void **state)
{
    (void)state;
    open_session(&ops);
    assert_int_equal(feed(BYTES("\0\0\0\x24\0\0\0\x03"
                                "add"
                                "\0\0\0\x04tYpe\0\0\0\x0c" KEY_1 "\0"
                                "\0\0\0\0")),
                     NACRE_OK);
    expect_status(NACRE_PUBLICKEY_KEY_NOT_SUPPORTED);
    assert_int_equal(feed(BYTES("\0\0\0\x14\0\0\0\x03"
                                "add"
                                "\0\0\0\0\0\0\0\0"
                                "\0"
                                "\0\0\0\0")),
                     NACRE_OK);
    expect_status(NACRE_PUBLICKEY_KEY_NOT_SUPPORTED);
    assert_int_equal(keys.adds, 0);
    close_session();
}

static void what_is_not_there_is_not_supported(void **state)
{
    (void)state;
    open_session(&no_ops);
    const nacre_span requests[] = {BYTES(ADD_1), BYTES(REMOVE_1), BYTES(LIST)};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(feed(requests[i]), NACRE_OK);
        expect_status(NACRE_PUBLICKEY_REQUEST_NOT_SUPPORTED);
    }
    close_session();
    assert_int_equal(nacre_publickey_server_new(&s, NULL, NULL, NULL), NACRE_INVALID_ARGUMENT);
    assert_null(s);
}

static void a_long_list_waits_for_its_reader(void **state)
{
    (void)state;
    enum { KEYS = 500, SIZE = 4000 };
    size_t entries = 0, most = 0;
    open_session(&ops);
    keys.count = KEYS;
    keys.big = SIZE;
    assert_int_equal(feed(BYTES(LIST REMOVE_1)), NACRE_OK);
    for (int i = 0; i < 100000; i++) {
        nacre_span o = nacre_publickey_server_output(s);
        most = o.n > most ? o.n : most;
        if (o.n < 64 && nc_get_u32(o.p) == 24) {
            break; /* the status behind the last one */
        }
        assert_true(o.n > SIZE);
        uint32_t one = nc_get_u32(o.p) + 4;
        if (entries + 64 < KEYS) {
            assert_int_equal(keys.removes, 0); /* the next request has not been looked at */
        }
        entries++;
        assert_int_equal(nacre_publickey_server_sent(s, one), NACRE_OK);
    }
    assert_int_equal(entries, KEYS);
    assert_true(most < 128 * 1024);
    close_session();
    open_session(&ops); /* one that no packet holds */
    keys.count = 2;
    keys.big = sizeof(filler);
    assert_int_equal(feed(BYTES(LIST)), NACRE_OK);
    expect_status(NACRE_PUBLICKEY_GENERAL_FAILURE);
    close_session();
}

/* ---- clients that do not keep to it ------------------------------------------------------------------- */

static void the_version_comes_first_and_once(void **state)
{
    (void)state;
    const nacre_span early[] = {BYTES(LIST), BYTES(ADD_1),
                                BYTES("\0\0\0\x09\0\0\0\x05"
                                      "rot13"),
                                BYTES(SUCCESS)};
    for (size_t i = 0; i < 4; i++) {
        open_raw(&ops);
        expect_broken(feed(early[i]), NACRE_PROTOCOL);
    }
    open_raw(&ops); /* cut, and with something behind it */
    expect_broken(feed(BYTES("\0\0\0\x0e\0\0\0\x07version\0\0\0")), NACRE_MALFORMED);
    open_raw(&ops);
    expect_broken(feed(BYTES("\0\0\0\x10\0\0\0\x07version\0\0\0\x02x")), NACRE_MALFORMED);
    open_session(&ops);
    expect_broken(feed(BYTES(VERSION_2)), NACRE_PROTOCOL);
    open_session(&ops);
    expect_broken(feed(BYTES(SUCCESS)), NACRE_PROTOCOL);
    open_raw(&ops); /* an old one is told, and not listened to any more */
    assert_int_equal(feed(BYTES("\0\0\0\x0f\0\0\0\x07version\0\0\0\x01" ADD_1)), NACRE_OK);
    expect_status(NACRE_PUBLICKEY_VERSION_NOT_SUPPORTED);
    assert_int_equal(feed(BYTES(ADD_1)), NACRE_OK);
    assert_int_equal(nacre_publickey_server_output(s).n, 0);
    assert_int_equal(keys.adds, 0);
    close_session();
    open_raw(&ops); /* a newer one speaks ours */
    assert_int_equal(feed(BYTES("\0\0\0\x0f\0\0\0\x07version\0\0\0\x03" LIST)), NACRE_OK);
    expect_output(BYTES(SUCCESS));
    close_session();
    open_raw(&ops); /* one that does not like our version says so, and is not answered */
    assert_int_equal(feed(BYTES("\0\0\0\x18\0\0\0\x06status\0\0\0\x03\0\0\0\0\0\0\0\x02"
                                "en")),
                     NACRE_OK);
    assert_int_equal(nacre_publickey_server_output(s).n, 0);
    close_session();
}

static void lengths_are_not_believed(void **state)
{
    (void)state;
    const nacre_span bad[] = {BYTES("\xff\xff\xff\xff"), BYTES("\x80\0\0\0"), BYTES("\0\x04\0\x01"),
                              BYTES("SSH-")};
    for (size_t i = 0; i < 4; i++) {
        open_session(&ops);
        expect_broken(feed(bad[i]), NACRE_OVERSIZED);
    }
    const nacre_span mal[] = {
        BYTES("\0\0\0\0"),
        BYTES("\0\0\0\x04\0\0\0\x01"),
        BYTES("\0\0\0\x09\0\0\0\x04listX"),
        BYTES("\0\0\0\x13\0\0\0\x0elistattributesX"),
        BYTES("\0\0\0\x23\0\0\0\x06remove\0\0\0\x04type\0\0\0\x0c" KEY_1 "X"),
        /* attributes that are announced and not there; there and not announced; a huge count */
        BYTES("\0\0\0\x24\0\0\0\x03"
              "add"
              "\0\0\0\x04type\0\0\0\x0c" KEY_1 "\0"
              "\0\0\0\x01"),
        BYTES("\0\0\0\x24\0\0\0\x03"
              "add"
              "\0\0\0\x04type\0\0\0\x0c" KEY_1 "\0"
              "\xff\xff\xff\xff"),
        BYTES("\0\0\0\x2d\0\0\0\x03"
              "add"
              "\0\0\0\x04type\0\0\0\x0c" KEY_1 "\0"
              "\0\0\0\0"
              "\0\0\0\0\0\0\0\0\0"),
    };
    for (size_t i = 0; i < sizeof(mal) / sizeof(mal[0]); i++) {
        open_session(&ops);
        expect_broken(feed(mal[i]), NACRE_MALFORMED);
    }
}

static void cut_requests_are_malformed(void **state)
{
    (void)state;
    const nacre_span whole[] = {BYTES(ADD_1), BYTES(REMOVE_1), BYTES(WITH("\x01"))};
    for (size_t w = 0; w < 3; w++) {
        for (size_t n = 4; n < whole[w].n; n++) {
            uint8_t *cut = malloc(n);
            assert_non_null(cut);
            memcpy(cut, whole[w].p, n);
            nc_put_u32(cut, (uint32_t)(n - 4));
            open_session(&ops);
            int rc = feed(nc_span(cut, n));
            /* the name of an add may end where that of another request would */
            assert_int_equal(keys.adds + keys.removes, 0);
            expect_broken(rc, NACRE_MALFORMED);
            free(cut);
        }
    }
}

static void a_flood_is_not_kept(void **state)
{
    (void)state;
    open_session(&ops);
    keys.count = 100000;
    keys.big = 1000;
    int rc = feed(BYTES(LIST));
    long rounds = 0;
    while (rc == NACRE_OK && rounds < 100000) {
        rc = feed(BYTES(ADD_1));
        rounds++;
    }
    assert_int_equal(rc, NACRE_LIMIT);
    assert_int_equal(keys.adds, 0);
    assert_true(s && nacre_publickey_server_output(s).n < NC_PKS_MAX_OUTPUT);
    close_session();
}

/* ---- both ends -------------------------------------------------------------------------------------------- */

static nc_pks_client c;

static void shuttle(void)
{
    nacre_span o = nc_span(nc_queue_front(&c.pipe.out), nc_queue_len(&c.pipe.out));
    assert_int_equal(feed(o), NACRE_OK);
    nc_queue_consume(&c.pipe.out, o.n);
    for (o = nacre_publickey_server_output(s); o.n; o = nacre_publickey_server_output(s)) {
        assert_int_equal(nc_pks_client_input(&c, o), NACRE_OK);
        assert_int_equal(nacre_publickey_server_sent(s, o.n), NACRE_OK);
    }
}

static void our_client_and_our_server(void **state)
{
    (void)state;
    nc_pks_event ev;
    nacre_key *key = NULL;
    nacre_publickey_attribute comment[] = {{BYTES("comment"), BYTES("mine"), true}};
    assert_int_equal(nacre_key_generate(&key, NULL, "ed25519", 0, NULL), NACRE_OK);
    memset(&keys, 0, sizeof(keys));
    assert_int_equal(nacre_publickey_server_new(&s, NULL, &ops, &keys), NACRE_OK);
    assert_int_equal(nc_pks_client_init(&c, NULL), NACRE_OK);
    shuttle();
    assert_int_equal(nc_pks_client_next(&c, &ev), NACRE_OK);
    assert_int_equal(ev.news, NC_PKS_READY);
    nacre_publickey_entry e = {nc_span_cstr(nacre_key_type(key)), nacre_key_blob(key), comment, 1};
    assert_int_equal(nc_pks_client_add(&c, &e, false), NACRE_OK);
    shuttle();
    assert_int_equal(nc_pks_client_next(&c, &ev), NACRE_OK);
    assert_int_equal(ev.news, NC_PKS_OVER);
    assert_int_equal(ev.status, NACRE_OK);
    assert_int_equal(nc_pks_client_list(&c), NACRE_OK);
    shuttle();
    assert_int_equal(nc_pks_client_next(&c, &ev), NACRE_OK);
    assert_int_equal(ev.news, NC_PKS_ENTRY);
    assert_true(nc_span_is(ev.entry.attributes[0].value, "mine"));
    assert_int_equal(nc_pks_client_next(&c, &ev), NACRE_OK);
    assert_int_equal(ev.news, NC_PKS_OVER);
    nc_pks_client_clear(&c);
    close_session();
    nacre_key_free(key);
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    test_memory m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        memset(&keys, 0, sizeof(keys));
        keys.count = 3;
        int rc = nacre_publickey_server_new(&s, &m.hooks, &ops, &keys);
        rc = rc == NACRE_OK ? feed(BYTES(VERSION_2 LIST)) : rc;
        close_session();
        test_memory_judge(&m, rc);
    }
    assert_true(m.refused >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered),
        cmocka_unit_test(attributes_are_sifted),
        cmocka_unit_test(a_key_of_another_type_is_refused),
        cmocka_unit_test(what_is_not_there_is_not_supported),
        cmocka_unit_test(a_long_list_waits_for_its_reader),
        cmocka_unit_test(the_version_comes_first_and_once),
        cmocka_unit_test(lengths_are_not_believed),
        cmocka_unit_test(cut_requests_are_malformed),
        cmocka_unit_test(a_flood_is_not_kept),
        cmocka_unit_test(our_client_and_our_server),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("public key subsystem: server", tests, NULL, NULL);
}
