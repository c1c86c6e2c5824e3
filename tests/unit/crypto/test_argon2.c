/* Argon2: RFC 9106's vectors, libsodium's opinion where it has one, and the bounds. */
#include "support/memory.h"
#include "vectors.h"

#include <sodium.h>
#include <string.h>

static uint8_t password[32], salt[16], secret[8], data[12];

static nc_argon2_params rfc_params(nc_argon2_kind kind)
{
    memset(password, 1, sizeof password);
    memset(salt, 2, sizeof salt);
    memset(secret, 3, sizeof secret);
    memset(data, 4, sizeof data);
    return (nc_argon2_params){kind,
                              32,
                              3,
                              4,
                              nc_span(password, sizeof password),
                              nc_span(salt, sizeof salt),
                              nc_span(secret, sizeof secret),
                              nc_span(data, sizeof data)};
}

/* RFC 9106 section 5 */
static void rfc_vectors(void **state)
{
    static const char *const tags[] = {
        [NC_ARGON2D] = "512b391b6f1162975371d30919734294f868e3be3984f3c1a13a4db9fabe4acb",
        [NC_ARGON2I] = "c814d9d1dc7f37aa13f0d77f2494bda1c8de6b016dd388d29952a4c4672b6ce8",
        [NC_ARGON2ID] = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(tags); i++) {
        nc_argon2_params p = rfc_params((nc_argon2_kind)i);
        nc_buf want = hex_buf(tags[i]);
        uint8_t got[32];

        assert_int_equal(nc_argon2(&p, NULL, got, sizeof got), NACRE_OK);
        assert_memory_equal(got, want.data, sizeof got);
        nc_buf_clear(&want);
    }
}

/* libsodium knows one lane, Argon2i with three passes and more, and Argon2id. */
static void as_libsodium(void **state)
{
    static const struct {
        nc_argon2_kind kind;
        int alg;
        uint32_t passes, memory;
        size_t n;
    } rows[] = {
        {NC_ARGON2ID, crypto_pwhash_ALG_ARGON2ID13, 1, 8, 16},
        {NC_ARGON2ID, crypto_pwhash_ALG_ARGON2ID13, 1, 11, 32},
        {NC_ARGON2ID, crypto_pwhash_ALG_ARGON2ID13, 2, 600, 64},
        {NC_ARGON2ID, crypto_pwhash_ALG_ARGON2ID13, 3, 2048, 65},
        {NC_ARGON2ID, crypto_pwhash_ALG_ARGON2ID13, 2, 64, 96},
        {NC_ARGON2I, crypto_pwhash_ALG_ARGON2I13, 3, 8, 80},
        {NC_ARGON2I, crypto_pwhash_ALG_ARGON2I13, 4, 1500, 200},
    };

    (void)state;
    assert_true(sodium_init() >= 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint8_t want[200];
        uint8_t got[200];
        nc_argon2_params p = {.kind = rows[i].kind,
                              .memory_kib = rows[i].memory,
                              .passes = rows[i].passes,
                              .parallelism = 1,
                              .password = nc_span("pass", 4),
                              .salt = nc_span("sixteen bytes!!!", 16)};

        assert_int_equal(crypto_pwhash(want, rows[i].n, "pass", 4,
                                       (const unsigned char *)"sixteen bytes!!!", rows[i].passes,
                                       (size_t)rows[i].memory * 1024, rows[i].alg),
                         0);
        assert_int_equal(nc_argon2(&p, NULL, got, rows[i].n), NACRE_OK);
        assert_memory_equal(got, want, rows[i].n);
    }
}

static int with(uint32_t memory, uint32_t passes, uint32_t lanes)
{
    nc_argon2_params p = rfc_params(NC_ARGON2ID);
    uint8_t out[32];

    p.memory_kib = memory;
    p.passes = passes;
    p.parallelism = lanes;
    return nc_argon2(&p, NULL, out, sizeof out);
}

static void bounds(void **state)
{
    nc_argon2_params p = rfc_params(NC_ARGON2ID);
    uint8_t out[1100];

    (void)state;
    assert_int_equal(with(8, 1, 1), NACRE_OK);
    assert_int_equal(with(512, 1, 64), NACRE_OK);
    assert_int_equal(with(7, 1, 1), NACRE_LIMIT);
    assert_int_equal(with(31, 1, 4), NACRE_LIMIT);
    assert_int_equal(with(0, 1, 1), NACRE_LIMIT);
    assert_int_equal(with(8, 0, 1), NACRE_LIMIT);
    assert_int_equal(with(8, 1, 0), NACRE_LIMIT);
    assert_int_equal(with(520, 1, 65), NACRE_LIMIT);
    assert_int_equal(with(0xffffffff, 1, 1), NACRE_LIMIT);
    assert_int_equal(with(NC_ARGON2_MAX_MEMORY + 1, 1, 1), NACRE_LIMIT);
    assert_int_equal(with(NC_ARGON2_MAX_MEMORY, 33, 1), NACRE_LIMIT);
    assert_int_equal(with(8, 0xffffffff, 1), NACRE_LIMIT);
    assert_int_equal(with(0xffffffff, 0xffffffff, 0xffffffff), NACRE_LIMIT);
    assert_int_equal(nc_argon2(&p, NULL, out, 3), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_argon2(&p, NULL, out, 1025), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nc_argon2(&p, NULL, out, 1024), NACRE_OK);
    p.salt.n = 7;
    assert_int_equal(nc_argon2(&p, NULL, out, 32), NACRE_INVALID_ARGUMENT);
    p = rfc_params((nc_argon2_kind)3);
    assert_int_equal(nc_argon2(&p, NULL, out, 32), NACRE_INVALID_ARGUMENT);
}

static void memory_may_be_refused(void **state)
{
    test_memory m;
    nc_argon2_params p = rfc_params(NC_ARGON2ID);
    uint8_t out[32];

    (void)state;
    for (test_memory_init(&m); test_memory_round(&m);) {
        test_memory_judge(&m, nc_argon2(&p, &m.hooks, out, sizeof out));
    }
    assert_true(m.refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_vectors),
        cmocka_unit_test(as_libsodium),
        cmocka_unit_test(bounds),
        cmocka_unit_test(memory_may_be_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
