/* What both sides hash, against values computed apart; and groups out of a moduli(5) text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "transport/derive.h"
#include "transport/moduli.h"

static void hex(const uint8_t *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(out + 2 * i, 3, "%02x", p[i]);
    }
}

static const uint8_t secret[] = {0, 0, 0, 8, 0, 0x80, 's', 'e', 'c', 'r', 'e', 't'};

static nc_transcript transcript(void)
{
    nc_transcript t = {
        .client_version = nc_span_cstr("SSH-2.0-a"),
        .server_version = nc_span_cstr("SSH-2.0-b"),
        .client_kexinit = nc_span_cstr("\x14"
                                       "client"),
        .server_kexinit = nc_span_cstr("\x14"
                                       "server"),
        .host_key = nc_span_cstr("hostkey"),
        .client_value = nc_span_cstr("cvalue"),
        .server_value = nc_span_cstr("svalue"),
        .secret = nc_span(secret, sizeof(secret)),
    };
    return t;
}

static void test_exchange_hash(void **state)
{
    (void)state;
    static const uint8_t group[] = {0, 0, 0, 1, 0x17, 0, 0, 0, 1, 2};
    uint8_t h[NC_MAX_HASH];
    char text[2 * NC_MAX_HASH + 1];
    nc_transcript t = transcript();
    assert_int_equal(nc_exchange_hash(nc_hash_get(NC_SHA256), &t, h), NACRE_OK);
    hex(h, 32, text);
    assert_string_equal(text, "ab876f9ec17871a8c12a503df5be66811198403e5300f050aed10532c8624385");
    t.group_exchange = true;
    t.min = 2048;
    t.preferred = 3072;
    t.max = 8192;
    t.group = nc_span(group, sizeof(group));
    assert_int_equal(nc_exchange_hash(nc_hash_get(NC_SHA256), &t, h), NACRE_OK);
    hex(h, 32, text);
    assert_string_equal(text, "a0e3c30b1effdc335aebb7b1abc40b738a7264270a3554ee57db348fffc0e241");
}

static void test_key_derivation(void **state)
{
    (void)state;
    static const char whole[] =
        "69ee165afa47a8aca5bbf7f5bc6192664bbdc01a5f15e51049685aaf81acae3ba362346225f58a4664601af338"
        "d2a223b90339344c44a6b7623453ab6f9ac47b73989c18269c";
    uint8_t h[NC_MAX_HASH], key[70], sid[32];
    char text[2 * sizeof(key) + 1];
    nc_transcript t = transcript();
    memset(sid, 'S', sizeof(sid));
    assert_int_equal(nc_exchange_hash(nc_hash_get(NC_SHA256), &t, h), NACRE_OK);
    for (size_t n = 1; n <= sizeof(key); n++) {
        memset(key, 0, sizeof(key));
        assert_int_equal(nc_derive_key(nc_hash_get(NC_SHA256), nc_span(secret, sizeof(secret)),
                                       nc_span(h, 32), 'C', nc_span(sid, 32), key, n),
                         NACRE_OK);
        hex(key, n, text);
        assert_memory_equal(text, whole, 2 * n);
        assert_true(n == sizeof(key) || key[n] == 0);
    }
}

/* Numbers of the right size; that they are no primes is not the parser's business. */
static void add_line(char *text, size_t size, const char *head, uint32_t bits, char low)
{
    char digits[5000];
    size_t n = bits / 4;
    memset(digits, 'A', n);
    digits[0] = 'C';
    digits[n - 1] = low;
    digits[n] = '\0';
    size_t at = strlen(text);
    assert_true(at + n + 100 < size);
    snprintf(text + at, size - at, "%s %s\n", head, digits);
}

static int choose(const char *text, uint32_t min, uint32_t preferred, uint32_t max, nc_dh_group *g,
                  nc_buf *storage)
{
    nc_random random = {NULL, NULL};
    nc_buf_reset(storage);
    return nc_moduli_choose(nc_span_cstr(text), min, preferred, max, &random, storage, g);
}

static void test_moduli_sizes(void **state)
{
    (void)state;
    static char text[64 * 1024];
    nc_buf storage;
    nc_dh_group g;
    text[0] = '\0';
    nc_buf_init(&storage, NULL, 8192);
    snprintf(text, sizeof(text), "# Time Type Tests Tries Size Generator Modulus\n\n");
    add_line(text, sizeof(text), "20200101000000 2 6 100 2047 2", 2048, '3');
    add_line(text, sizeof(text), "20200101000000 2 6 100 3071 5", 3072, '3');
    add_line(text, sizeof(text), "20200101000000 2 6 100 4095 2", 4096, '3');
    add_line(text, sizeof(text), "20200101000000 2 6 100 4095 2", 4096, '5');
    static const struct {
        uint32_t min, preferred, max;
        size_t bytes; /* 0: none */
    } rows[] = {
        {2048, 2048, 8192, 256}, {2048, 3072, 8192, 384}, {2048, 3000, 8192, 384},
        {2048, 8192, 8192, 512}, {2048, 8192, 4095, 384}, {3073, 3073, 8192, 512},
        {4097, 4097, 8192, 0},   {1024, 1024, 2047, 0},   {2049, 2050, 3000, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int rc = choose(text, rows[i].min, rows[i].preferred, rows[i].max, &g, &storage);
        assert_int_equal(rc, rows[i].bytes ? NACRE_OK : NACRE_NOT_FOUND);
        if (rows[i].bytes) {
            assert_int_equal(g.p.n, rows[i].bytes);
            assert_int_equal(g.p.p[0], 0xCA);
            assert_int_equal(g.g.n, 1);
            assert_int_equal(g.g.p[0], rows[i].bytes == 384 ? 5 : 2);
        }
    }
    /* Both of the equal ones come up. */
    bool seen3 = false;
    bool seen5 = false;
    for (int i = 0; i < 200 && !(seen3 && seen5); i++) {
        assert_int_equal(choose(text, 4096, 4096, 4096, &g, &storage), NACRE_OK);
        seen3 = seen3 || g.p.p[511] == 0xA3;
        seen5 = seen5 || g.p.p[511] == 0xA5;
    }
    assert_true(seen3 && seen5);
    nc_buf_clear(&storage);
}

static void test_moduli_rejected(void **state)
{
    (void)state;
    static const char *const heads[] = {
        "20200101000000 4 6 100 2047 2", /* not a safe prime */
        "20200101000000 2 0 100 2047 2", /* not tested */
        "20200101000000 2 7 100 2047 2", /* composite */
        "20200101000000 2 6 0 2047 2",   /* no tries */
        "20200101000000 2 6 100 2048 2", /* says another size */
        "20200101000000 2 6 100 2046 2",      "20200101000000 2 6 100 2047 0",
        "20200101000000 2 6 100 2047 1",      "20200101000000 2 6 100 4294969343 2",
        "20200101000000 2 6 100 -2047 2",     "20200101000000 2 6 x 2047 2",
        "20200101000000 2 6 100 2047",        "2 6 100 2047 2",
        "#20200101000000 2 6 100 2047 2",     "20200101000000 2 6 100 2047 2 zz",
        "20200101000000 2 6 100 2047 2 0x12", "20200101000000 2 6 100 2047 2 -",
    };
    static char text[8192];
    nc_buf storage;
    nc_dh_group g;
    nc_buf_init(&storage, NULL, 8192);
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        text[0] = '\0';
        add_line(text, sizeof(text), heads[i], 2048, '3');
        assert_int_equal(choose(text, 2048, 2048, 8192, &g, &storage), NACRE_NOT_FOUND);
    }
    /* Cut anywhere, there is no group any more. */
    text[0] = '\0';
    add_line(text, sizeof(text), "20200101000000 2 6 100 2047 2", 2048, '3');
    assert_int_equal(choose(text, 2048, 2048, 8192, &g, &storage), NACRE_OK);
    for (size_t n = strlen(text) - 1; n-- > 0;) {
        text[n] = '\0';
        assert_int_equal(choose(text, 2048, 2048, 8192, &g, &storage), NACRE_NOT_FOUND);
    }
    nc_buf_clear(&storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange_hash),
        cmocka_unit_test(test_key_derivation),
        cmocka_unit_test(test_moduli_sizes),
        cmocka_unit_test(test_moduli_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
