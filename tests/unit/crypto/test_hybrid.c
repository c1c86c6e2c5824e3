/* The post-quantum hybrids: sizes on the wire, how the secret is made, and peers that send rubbish. */
#include "vectors.h"

#include "crypto/kem.h"
#include "crypto/mlkem.h"
#include "crypto/sntrup761.h"
#include "support/memory.h"
#include "wire/rd.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const nc_kem_alg *alg;
    size_t pq_public;
    size_t pq_private;
    size_t pq_ct;
    const nc_raw_dh *dh;
    nc_hash_id hash;
    const nc_mlkem_params *mlkem; /* NULL: sntrup761 */
} rows[] = {
    {&nc_kem_mlkem768x25519, 1184, 2400, 1088, &nc_raw_x25519, NC_SHA256, &nc_mlkem_768},
    {&nc_kem_sntrup761x25519, 1158, 1763, 1039, &nc_raw_x25519, NC_SHA512, NULL},
    {&nc_kem_mlkem768nistp256, 1184, 2400, 1088, &nc_raw_p256, NC_SHA256, &nc_mlkem_768},
    {&nc_kem_mlkem1024nistp384, 1568, 3168, 1568, &nc_raw_p384, NC_SHA384, &nc_mlkem_1024},
};

/* One exchange, complete. */
typedef struct exchange {
    nc_kem *kem;
    nc_buf client;
    nc_buf server;
    nc_buf client_secret;
    nc_buf server_secret;
} exchange;

static void begin(exchange *x, size_t i, uint8_t seed)
{
    nc_random rnd = {counting_random, &seed};
    const nc_kem_alg *alg = rows[i].alg;

    x->client = empty_buf();
    x->server = empty_buf();
    x->client_secret = empty_buf();
    x->server_secret = empty_buf();
    assert_int_equal(alg->start(alg, NULL, &rnd, &x->kem, &x->client), NACRE_OK);
    assert_int_equal(
        alg->respond(alg, NULL, &rnd, nc_buf_span(&x->client), &x->server, &x->server_secret),
        NACRE_OK);
}

static void end(exchange *x)
{
    nc_kem_free(x->kem);
    nc_buf_clear(&x->client);
    nc_buf_clear(&x->server);
    nc_buf_clear(&x->client_secret);
    nc_buf_clear(&x->server_secret);
}

static void both_ends_agree(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        exchange x;
        exchange again;
        nc_rd rd;

        begin(&x, i, 21);
        assert_int_equal(x.client.len, rows[i].pq_public + rows[i].dh->public_len);
        assert_int_equal(x.server.len, rows[i].pq_ct + rows[i].dh->public_len);
        assert_int_equal(rows[i].alg->finish(x.kem, nc_buf_span(&x.server), &x.client_secret),
                         NACRE_OK);
        assert_span_eq(nc_buf_span(&x.client_secret), nc_buf_span(&x.server_secret));
        /* A string of the hash's length: an mpint would have one byte more now and then. */
        rd = nc_rd_init(nc_buf_span(&x.client_secret));
        assert_int_equal(nc_rd_str(&rd).n, nc_hash_get(rows[i].hash)->len);
        assert_int_equal(nc_rd_end(&rd), NACRE_OK);

        /* The same random bytes, the same exchange. */
        begin(&again, i, 21);
        assert_span_eq(nc_buf_span(&x.client), nc_buf_span(&again.client));
        assert_span_eq(nc_buf_span(&x.server), nc_buf_span(&again.server));
        assert_span_eq(nc_buf_span(&x.server_secret), nc_buf_span(&again.server_secret));
        end(&x);
        end(&again);
    }
}

/* The secret from its parts, put together here. */
static void secret_of_the_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const nc_hash_alg *hash = nc_hash_get(rows[i].hash);
        uint8_t parts[32 + NC_RAW_DH_SHARED_MAX];
        uint8_t want[NC_MAX_HASH];
        nacre_span all = nc_span(parts, 32 + rows[i].dh->shared_len);
        nacre_span ct;
        nacre_span point;
        exchange x;
        int rc;

        begin(&x, i, 33);
        ct = nc_span(x.server.data, rows[i].pq_ct);
        point = nc_span(x.server.data + rows[i].pq_ct, rows[i].dh->public_len);
        assert_int_equal(x.kem->len, rows[i].pq_private + rows[i].dh->private_len);
        if (rows[i].mlkem) {
            rc = nc_mlkem_own.decaps(rows[i].mlkem, nc_span(x.kem->secret, rows[i].pq_private), ct,
                                     parts);
        } else {
            rc = nc_sntrup761_decaps(x.kem->secret, ct, parts);
        }
        assert_int_equal(rc, NACRE_OK);
        assert_int_equal(
            rows[i].dh->agree(rows[i].dh, x.kem->secret + rows[i].pq_private, point, parts + 32),
            NACRE_OK);
        assert_int_equal(nc_hash(hash, &all, 1, want), NACRE_OK);
        assert_memory_equal(x.server_secret.data + 4, want, hash->len);
        end(&x);
    }
}

/* What both roles must refuse without a trace in the output. */
static void refused(size_t i, nc_kem *kem, nacre_span as_client, nacre_span as_server)
{
    const nc_kem_alg *alg = rows[i].alg;
    uint8_t seed = 4;
    nc_random rnd = {counting_random, &seed};
    nc_buf public_value = empty_buf();
    nc_buf secret = empty_buf();

    assert_int_equal(nc_buf_append(&secret, "keep", 4), NACRE_OK);
    assert_int_equal(alg->respond(alg, NULL, &rnd, as_client, &public_value, &secret),
                     NACRE_KEX_FAILED);
    assert_int_equal(alg->finish(kem, as_server, &secret), NACRE_KEX_FAILED);
    assert_int_equal(secret.len, 4);
    assert_int_equal(public_value.len, 0);
    nc_buf_clear(&public_value);
    nc_buf_clear(&secret);
}

static void every_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        exchange x;

        begin(&x, i, 5);
        for (size_t n = 0; n < x.client.len || n < x.server.len; n++) {
            /* Cut blocks on the heap, so that a sanitizer sees a look beyond the end. */
            size_t client = n < x.client.len ? n : 0;
            size_t server = n < x.server.len ? n : 0;
            uint8_t *c = malloc(client + 1);
            uint8_t *s = malloc(server + 1);

            assert_true(c && s);
            memcpy(c + 1, x.client.data, client);
            memcpy(s + 1, x.server.data, server);
            refused(i, x.kem, nc_span(c + 1, client), nc_span(s + 1, server));
            free(c);
            free(s);
        }
        assert_int_equal(nc_buf_append(&x.client, "", 1), NACRE_OK);
        assert_int_equal(nc_buf_append(&x.server, "", 1), NACRE_OK);
        refused(i, x.kem, nc_buf_span(&x.client), nc_buf_span(&x.server));
        end(&x);
    }
}

static void bad_points(void **state)
{
    /* Points of small order on curve25519 (RFC 7748 6.1 wants their zero found). */
    static const char *const small_order[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        exchange x;

        begin(&x, i, 6);
        for (size_t j = 0; j < COUNT(small_order); j++) {
            nc_buf point = hex_buf(small_order[j]);
            uint8_t *client = x.client.data + rows[i].pq_public;
            uint8_t *server = x.server.data + rows[i].pq_ct;

            memcpy(client, point.data, 32); /* on a NIST curve: rubbish */
            memcpy(server, point.data, 32);
            refused(i, x.kem, nc_buf_span(&x.client), nc_buf_span(&x.server));
            nc_buf_clear(&point);
        }
        end(&x);
    }
}

/* A number of q or above in an ML-KEM key. */
static void keys_out_of_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        nc_buf public_value = empty_buf();
        nc_buf secret = empty_buf();
        uint8_t seed = 4;
        nc_random rnd = {counting_random, &seed};
        exchange x;

        if (!rows[i].mlkem) {
            continue;
        }
        begin(&x, i, 7);
        x.client.data[300] = 0xff;
        x.client.data[301] = 0xff;
        assert_int_equal(rows[i].alg->respond(rows[i].alg, NULL, &rnd, nc_buf_span(&x.client),
                                              &public_value, &secret),
                         NACRE_KEX_FAILED);
        assert_int_equal(public_value.len + secret.len, 0);
        nc_buf_clear(&public_value);
        nc_buf_clear(&secret);
        end(&x);
    }
}

/* A changed ciphertext is no error here, but the two sides do not agree. */
static void changed_ciphertext(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        exchange x;

        begin(&x, i, 8);
        x.server.data[17] ^= 1;
        assert_int_equal(rows[i].alg->finish(x.kem, nc_buf_span(&x.server), &x.client_secret),
                         NACRE_OK);
        assert_int_equal(x.client_secret.len, x.server_secret.len);
        assert_memory_not_equal(x.client_secret.data, x.server_secret.data, x.server_secret.len);
        end(&x);
    }
}

/* Randomness that ends at some point: an error wherever it is. */
static void randomness_that_ends(void **state)
{
    static uint8_t plenty[16384];
    uint8_t seed = 12;

    (void)state;
    assert_int_equal(counting_random(&seed, plenty, sizeof plenty), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const nc_kem_alg *alg = rows[i].alg;
        size_t failures = 0;

        for (size_t n = 0; n < sizeof plenty; n += 29) {
            nacre_span left = nc_span(plenty, n);
            nc_random rnd = {given_random, &left};
            nc_buf a = empty_buf();
            nc_buf b = empty_buf();
            nc_buf secret = empty_buf();
            nc_kem *k = NULL;
            int rc = alg->start(alg, NULL, &rnd, &k, &a);

            if (rc == NACRE_OK) {
                rc = alg->respond(alg, NULL, &rnd, nc_buf_span(&a), &b, &secret);
                assert_true(rc == NACRE_OK || b.len + secret.len == 0);
            } else {
                assert_null(k);
                assert_int_equal(a.len, 0);
            }
            assert_true(rc == NACRE_OK || rc == NACRE_RANDOM);
            failures += rc != NACRE_OK;
            nc_kem_free(k);
            nc_buf_clear(&a);
            nc_buf_clear(&b);
            nc_buf_clear(&secret);
            if (rc == NACRE_OK) {
                break;
            }
        }
        assert_true(failures > 3);
    }
}

/* ---- memory that runs out ------------------------------------------------------------------------ */

static int scarce_exchange(const nc_kem_alg *alg, const nacre_allocator *al)
{
    uint8_t seed = 1;
    nc_random rnd = {counting_random, &seed};
    nc_buf buf[4];
    nc_kem *k;
    int rc;

    for (size_t i = 0; i < COUNT(buf); i++) {
        nc_buf_init(&buf[i], al, 4096);
    }
    rc = alg->start(alg, al, &rnd, &k, &buf[0]);
    if (rc == NACRE_OK) {
        rc = alg->respond(alg, al, &rnd, nc_buf_span(&buf[0]), &buf[1], &buf[2]);
    }
    if (rc == NACRE_OK) {
        rc = alg->finish(k, nc_buf_span(&buf[1]), &buf[3]);
    }
    nc_kem_free(k);
    for (size_t i = 0; i < COUNT(buf); i++) {
        nc_buf_clear(&buf[i]);
    }
    return rc;
}

static void out_of_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        test_memory m;

        for (test_memory_init(&m); test_memory_round(&m);) {
            test_memory_judge(&m, scarce_exchange(rows[i].alg, &m.hooks));
        }
        assert_true(m.refused > 6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_agree),      cmocka_unit_test(secret_of_the_parts),
        cmocka_unit_test(every_length),         cmocka_unit_test(bad_points),
        cmocka_unit_test(keys_out_of_range),    cmocka_unit_test(changed_ciphertext),
        cmocka_unit_test(randomness_that_ends), cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
