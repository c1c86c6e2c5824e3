/* Hashes, HMAC, base64 and the random hook. */
#include "vectors.h"

#include <string.h>

/* FIPS 180-4 and RFC 1321: the digests of "" and "abc". */
static const struct {
    nc_hash_id id;
    const char *empty, *abc;
} digests[] = {
    {NC_MD5, "d41d8cd98f00b204e9800998ecf8427e", "900150983cd24fb0d6963f7d28e17f72"},
    {NC_SHA1, "da39a3ee5e6b4b0d3255bfef95601890afd80709",
     "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {NC_SHA256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {NC_SHA384,
     "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b"
     "9"
     "5b",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c82"
     "5"
     "a7"},
    {NC_SHA512,
     "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877ee"
     "c"
     "2f63b931bd47417a81a538327af927da3e",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fee"
     "b"
     "bd454d4423643ce80e2a9ac94fa54ca49f"},
};

static void known_digests(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(digests); i++) {
        const nc_hash_alg *alg = nc_hash_get(digests[i].id);
        nacre_span pieces[3] = {nc_span("a", 1), nc_span(NULL, 0), nc_span("bc", 2)};
        nc_buf want = hex_buf(digests[i].abc);
        nc_buf none = hex_buf(digests[i].empty);
        uint8_t out[NC_MAX_HASH];
        nc_hasher *h;

        assert_int_equal(alg->id, digests[i].id);
        assert_int_equal(alg->len, want.len);
        assert_int_equal(nc_hash(alg, pieces, 3, out), NACRE_OK);
        assert_memory_equal(out, want.data, want.len);
        assert_int_equal(nc_hash(alg, NULL, 0, out), NACRE_OK);
        assert_memory_equal(out, none.data, none.len);

        assert_int_equal(nc_hasher_new(&h, NULL, alg), NACRE_OK);
        for (int round = 0; round < 2; round++) {
            for (size_t j = 0; j < 3; j++) {
                assert_int_equal(nc_hasher_update(h, pieces[j]), NACRE_OK);
            }
            memset(out, 0, sizeof out);
            assert_int_equal(nc_hasher_final(h, out), NACRE_OK);
            assert_memory_equal(out, want.data, want.len);
        }
        nc_hasher_free(h);
        nc_buf_clear(&want);
        nc_buf_clear(&none);
    }
    nc_hasher_free(NULL);
}

static void hash_names(void **state)
{
    (void)state;
    assert_ptr_equal(nc_hash_find("sha256"), nc_hash_get(NC_SHA256));
    assert_ptr_equal(nc_hash_find("SHA512"), nc_hash_get(NC_SHA512));
    assert_ptr_equal(nc_hash_find("mD5"), nc_hash_get(NC_MD5));
    assert_null(nc_hash_find("sha25"));
    assert_null(nc_hash_find("sha2566"));
    assert_null(nc_hash_find(""));
    assert_null(nc_hash_find(NULL));
}

static void hmac_vector(const cJSON *group, const cJSON *test, void *user)
{
    const nc_hash_alg *alg = user;
    nc_buf key = hex_field(test, "key");
    nc_buf msg = hex_field(test, "msg");
    nc_buf tag = hex_field(test, "tag");
    nacre_span pieces[2] = {
        nc_span(msg.data, msg.len / 2),
        nc_span(msg.len ? msg.data + msg.len / 2 : NULL, msg.len - msg.len / 2)};
    bool valid = strcmp(text_field(test, "result"), "valid") == 0;
    uint8_t out[NC_MAX_HASH];

    (void)group;
    assert_int_equal(nc_hmac(alg, nc_buf_span(&key), pieces, 2, out), NACRE_OK);
    assert_true(tag.len <= alg->len);
    assert_int_equal(nc_ct_equal(out, tag.data, tag.len), valid);
    nc_buf_clear(&key);
    nc_buf_clear(&msg);
    nc_buf_clear(&tag);
}

static void hmac_vectors(void **state)
{
    nc_hash_alg sha256 = *nc_hash_get(NC_SHA256);
    nc_hash_alg sha512 = *nc_hash_get(NC_SHA512);

    (void)state;
    assert_true(each_vector("hmac_sha256_test.json", hmac_vector, &sha256) > 100);
    assert_true(each_vector("hmac_sha512_test.json", hmac_vector, &sha512) > 100);
}

static void hmac_empty_key(void **state)
{
    /* HMAC-SHA256 of nothing under an empty key. */
    nc_buf want = hex_buf("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    uint8_t out[NC_MAX_HASH];

    (void)state;
    assert_int_equal(nc_hmac(nc_hash_get(NC_SHA256), nc_span(NULL, 0), NULL, 0, out), NACRE_OK);
    assert_memory_equal(out, want.data, want.len);
    nc_buf_clear(&want);
}

/* ---- base64 ------------------------------------------------------------------------------------- */

static void base64_pairs(void **state)
{
    /* RFC 4648 10. */
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xff\xbf", "+/+/"}};

    (void)state;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        nc_buf b = empty_buf();

        assert_int_equal(nc_base64_encode(nc_span_cstr(pairs[i][0]), &b), NACRE_OK);
        assert_span_eq(nc_buf_span(&b), nc_span_cstr(pairs[i][1]));
        nc_buf_reset(&b);
        assert_int_equal(nc_buf_append(&b, "x", 1), NACRE_OK);
        assert_int_equal(nc_base64_decode(nc_span_cstr(pairs[i][1]), &b), NACRE_OK);
        assert_int_equal(b.data[0], 'x');
        assert_span_eq(nc_span(b.data + 1, b.len - 1), nc_span_cstr(pairs[i][0]));
        nc_buf_clear(&b);
    }
}

static void base64_every_byte(void **state)
{
    uint8_t all[256];

    (void)state;
    for (size_t i = 0; i < sizeof all; i++) {
        all[i] = (uint8_t)i;
    }
    for (size_t n = 0; n <= sizeof all; n++) {
        nc_buf text = empty_buf();
        nc_buf back = empty_buf();

        assert_int_equal(nc_base64_encode(nc_span(all + (sizeof all - n), n), &text), NACRE_OK);
        assert_int_equal(text.len, (n + 2) / 3 * 4);
        assert_int_equal(nc_base64_decode(nc_buf_span(&text), &back), NACRE_OK);
        assert_span_eq(nc_buf_span(&back), nc_span(all + (sizeof all - n), n));
        nc_buf_clear(&text);
        nc_buf_clear(&back);
    }
}

static void base64_rejects(void **state)
{
    static const char *const bad[] = {
        "Z",        "Zg",   "Zg=",   "Zh==",      "Zm9=",    "Zm9v\n", "Zm 9v", "Zm-_",  "====",
        "Zg==Zg==", "=Zg=", "Zm9v=", "Zm9vYmE==", "Zm9\x80", " Zm9v",  "Z===",  "Zm9v ", "Zg==\n"};

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        nc_buf b = empty_buf();

        assert_int_equal(nc_buf_append(&b, "keep", 4), NACRE_OK);
        assert_int_equal(nc_base64_decode(nc_span_cstr(bad[i]), &b), NACRE_SYNTAX);
        assert_int_equal(b.len, 4);
        nc_buf_clear(&b);
    }
}

static void base64_respects_the_cap(void **state)
{
    nc_buf b;

    (void)state;
    nc_buf_init(&b, NULL, 4);
    assert_int_equal(nc_base64_encode(nc_span_cstr("foo"), &b), NACRE_OK);
    assert_int_equal(nc_base64_encode(nc_span_cstr("f"), &b), NACRE_LIMIT);
    assert_int_equal(b.len, 4);
    nc_buf_clear(&b);
}

/* ---- randomness --------------------------------------------------------------------------------- */

static void random_hook(void **state)
{
    uint8_t seed = 1;
    nc_random counting = {counting_random, &seed};
    nc_random broken = {broken_random, NULL};
    uint8_t a[40];
    uint8_t b[40];
    uint8_t zero[40] = {0};

    (void)state;
    assert_int_equal(nc_random_bytes(&counting, a, sizeof a), NACRE_OK);
    seed = 1;
    assert_int_equal(nc_random_bytes(&counting, b, sizeof b), NACRE_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(nc_random_bytes(&broken, a, sizeof a), NACRE_RANDOM);
    assert_memory_equal(a, zero, sizeof a);
    assert_int_equal(nc_random_bytes(NULL, a, sizeof a), NACRE_OK);
    assert_int_equal(nc_random_bytes(NULL, b, sizeof b), NACRE_OK);
    assert_memory_not_equal(a, b, sizeof a);
    assert_int_equal(nc_random_bytes(&broken, a, 0), NACRE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_digests),  cmocka_unit_test(hash_names),
        cmocka_unit_test(hmac_vectors),   cmocka_unit_test(hmac_empty_key),
        cmocka_unit_test(base64_pairs),   cmocka_unit_test(base64_every_byte),
        cmocka_unit_test(base64_rejects), cmocka_unit_test(base64_respects_the_cap),
        cmocka_unit_test(random_hook),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
