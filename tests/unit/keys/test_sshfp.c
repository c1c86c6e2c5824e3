/* SSHFP records and random art: what ssh-keygen makes of the same keys, and answers that are cut, forged or absurd. */
#include "keydata.h"

#include "base/mem.h"
#include "nacre/sshfp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ssh-keygen -r h.example -f <name>.pub */
static const struct {
    const char *name;
    uint8_t algorithm;
    const char *sha1, *sha256;
} known[] = {
    {"ed25519", 4, "07f1260aa353008743c79a884813fa9e410ae950",
     "54305ab6344d4f931db9c66524105f84b4a93af30fe94c85b9d2d476cb6b1438"},
    {"ecdsa256", 3, "aed23444d0beea113924ddf99f9fc5b27e12cdab",
     "b31d18cc1be48f7f64580862f878441a9b5f9a74596f481d71f57f936d17dc1c"},
    {"rsa2048", 1, "2df127181ba477ba7c1c9c361b86108bcf5a9dbd",
     "8c67fd5d85c1cfe6782fefa1ca409f0f27e56c218720d1f51c1650aad075f087"},
};

static void lines_are_those_of_ssh_keygen(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        nacre_key *k = keydata_public(known[i].name);
        char line[256], want[256];
        for (uint8_t hash = 1; hash <= 2; hash++) {
            const char *hex = hash == 1 ? known[i].sha1 : known[i].sha256;
            snprintf(want, sizeof(want), "h.example IN SSHFP %u %u %s", known[i].algorithm, hash,
                     hex);
            assert_int_equal(nacre_sshfp_text(k, hash, "h.example", false, line, sizeof(line)),
                             strlen(want));
            assert_string_equal(line, want);
            snprintf(want, sizeof(want), "h.example IN TYPE44 \\# %d %02x %02x %s",
                     hash == 1 ? 22 : 34, known[i].algorithm, hash, hex);
            assert_int_equal(nacre_sshfp_text(k, hash, "h.example", true, line, sizeof(line)),
                             strlen(want));
            assert_string_equal(line, want);
        }
        assert_int_equal(nacre_sshfp_text(k, 3, "h", false, line, sizeof(line)), NACRE_UNSUPPORTED);
        for (size_t n = 0; n < strlen(want); n++) {
            assert_int_equal(nacre_sshfp_text(k, 2, "h.example", true, line, n), NACRE_TOO_LARGE);
        }
        nacre_key_free(k);
    }
}

static void pictures_are_those_of_ssh_keygen(void **state)
{
    (void)state;
    static const char sha256[] = "+--[ED25519 256]--+\n"
                                 "|        B+o =*+*+|\n"
                                 "|       = =.o.o+=o|\n"
                                 "|      . o   ..=+ |\n"
                                 "|       .     E+. |\n"
                                 "|        S   =.= o|\n"
                                 "|           + =.o.|\n"
                                 "|          = * .o |\n"
                                 "|           O . ..|\n"
                                 "|            +.o. |\n"
                                 "+----[SHA256]-----+";
    static const char md5[] = "+--[ED25519 256]--+\n"
                              "|   .+            |\n"
                              "|     =           |\n"
                              "|      + .        |\n"
                              "|       +         |\n"
                              "|        S        |\n"
                              "|         o O     |\n"
                              "|        . E B    |\n"
                              "|        .B *     |\n"
                              "|        .oBo     |\n"
                              "+------[MD5]------+";
    nacre_key *k = keydata_public("ed25519");
    char art[256];
    assert_int_equal(nacre_key_randomart(k, NULL, art, sizeof(art)), strlen(sha256));
    assert_string_equal(art, sha256);
    assert_int_equal(nacre_key_randomart(k, "md5", art, sizeof(art)), strlen(md5));
    assert_string_equal(art, md5);
    assert_int_equal(nacre_key_randomart(k, "sha3", art, sizeof(art)), NACRE_UNKNOWN_NAME);
    assert_int_equal(nacre_key_randomart(k, "md5", art, sizeof(sha256) - 1), NACRE_TOO_LARGE);
    nacre_key_free(k);
}

/* ---- answers ---- */

typedef struct message {
    uint8_t bytes[4096];
    size_t n;
} message;

static void add(message *m, const void *p, size_t n)
{
    assert_true(m->n + n <= sizeof(m->bytes));
    memcpy(m->bytes + m->n, p, n);
    m->n += n;
}

static void add16(message *m, unsigned v)
{
    uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    add(m, b, 2);
}

static void begin(message *m, unsigned flags, unsigned answers)
{
    m->n = 0;
    add16(m, 4711);
    add16(m, flags);
    add16(m, 1);
    add16(m, answers);
    add16(m, 0);
    add16(m, 0);
    add(m, "\1h\7example", 11); /* with its root */
    add16(m, 44);
    add16(m, 1);
}

static void record(message *m, unsigned type, unsigned class, const void *data, size_t n)
{
    add16(m, 0xc00c); /* the name of the question */
    add16(m, type);
    add16(m, class);
    add16(m, 0);
    add16(m, 3600);
    add16(m, (unsigned)n);
    add(m, data, n);
}

static size_t rdata(const char *name, unsigned hash, uint8_t *out)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(known[i].name, name) == 0) {
            const char *hex = hash == 1 ? known[i].sha1 : known[i].sha256;
            out[0] = known[i].algorithm;
            out[1] = (uint8_t)hash;
            size_t n = strlen(hex) / 2;
            for (size_t j = 0; j < n; j++) {
                char two[3] = {hex[2 * j], hex[2 * j + 1], '\0'};
                out[2 + j] = (uint8_t)strtoul(two, NULL, 16);
            }
            return n + 2;
        }
    }
    fail();
    return 0;
}

static void answers_are_read(void **state)
{
    (void)state;
    static nacre_sshfp_answer a;
    message m;
    uint8_t data[64];
    nacre_key *k = keydata_public("ed25519");
    nacre_key *other = keydata_public("ed25519_other");
    nacre_key *rsa = keydata_public("rsa2048_other");
    nacre_key *ec = keydata_public("ecdsa384");
    begin(&m, 0x81a0, 4); /* response, recursion, authentic */
    record(&m, 5, 1, "\0", 1);
    size_t n = rdata("ed25519", 1, data);
    record(&m, 44, 1, data, n);
    n = rdata("ed25519", 2, data);
    record(&m, 44, 1, data, n);
    n = rdata("rsa2048", 2, data);
    record(&m, 44, 1, data, n);
    assert_int_equal(nacre_sshfp_read_answer(nc_span(m.bytes, m.n), &a), NACRE_OK);
    assert_true(a.authenticated);
    assert_int_equal(a.count, 3);
    assert_int_equal(nacre_sshfp_check(&a, k), NACRE_SSHFP_SAME);
    assert_int_equal(nacre_sshfp_check(&a, other), NACRE_SSHFP_DIFFERS);
    assert_int_equal(nacre_sshfp_check(&a, rsa), NACRE_SSHFP_DIFFERS);
    assert_int_equal(nacre_sshfp_check(&a, ec), NACRE_SSHFP_NONE);
    /* every cut of it is no answer */
    for (size_t cut = 0; cut < m.n; cut++) {
        assert_int_equal(nacre_sshfp_read_answer(nc_span(m.bytes, cut), &a), NACRE_MALFORMED);
        assert_int_equal(a.count, 0);
        assert_false(a.authenticated);
    }
    /* not authenticated, cut by the server, no response, refused, no such name */
    static const struct {
        unsigned flags;
        int rc;
    } rows[] = {{0x8180, NACRE_OK},      {0x83a0, NACRE_MALFORMED}, {0x01a0, NACRE_MALFORMED},
                {0x81a2, NACRE_RESOLVE}, {0x81a3, NACRE_NOT_FOUND}, {0x81a5, NACRE_RESOLVE},
                {0x818f, NACRE_RESOLVE}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        m.bytes[2] = (uint8_t)(rows[i].flags >> 8);
        m.bytes[3] = (uint8_t)rows[i].flags;
        assert_int_equal(nacre_sshfp_read_answer(nc_span(m.bytes, m.n), &a), rows[i].rc);
        assert_false(a.authenticated);
    }
    nacre_key_free(k);
    nacre_key_free(other);
    nacre_key_free(rsa);
    nacre_key_free(ec);
}

static void records_of_another_key_beside_ours_are_a_mismatch(void **state)
{
    (void)state;
    static nacre_sshfp_answer a;
    nacre_key *k = keydata_public("ed25519");
    nacre_sshfp bad;
    uint8_t data[64];
    memset(&a, 0, sizeof(a));
    size_t n = rdata("ed25519", 2, data);
    assert_int_equal(nacre_sshfp_parse(nc_span(data, n), &a.records[0]), NACRE_OK);
    a.count = 1;
    assert_int_equal(nacre_sshfp_check(&a, k), NACRE_SSHFP_SAME);
    data[20] ^= 1;
    assert_int_equal(nacre_sshfp_parse(nc_span(data, n), &a.records[1]), NACRE_OK);
    a.count = 2;
    assert_int_equal(nacre_sshfp_check(&a, k), NACRE_SSHFP_DIFFERS);
    a.records[1].hash = 7; /* one that we do not know: it says nothing */
    assert_int_equal(nacre_sshfp_check(&a, k), NACRE_SSHFP_SAME);
    a.records[0].hash = 7;
    assert_int_equal(nacre_sshfp_check(&a, k), NACRE_SSHFP_NONE);
    for (size_t cut = 0; cut <= n + 1; cut++) {
        uint8_t longer[64] = {0};
        memcpy(longer, data, n);
        assert_int_equal(nacre_sshfp_parse(nc_span(longer, cut), &bad),
                         cut == n ? NACRE_OK : NACRE_MALFORMED);
    }
    data[1] = 0;
    assert_int_equal(nacre_sshfp_parse(nc_span(data, n), &bad), NACRE_MALFORMED);
    nacre_key_free(k);
}

static void absurd_messages_end(void **state)
{
    (void)state;
    static nacre_sshfp_answer a;
    message m;
    uint8_t data[64];
    size_t n = rdata("ed25519", 2, data);
    /* counts that lie */
    begin(&m, 0x81a0, 65535);
    record(&m, 44, 1, data, n);
    assert_int_equal(nacre_sshfp_read_answer(nc_span(m.bytes, m.n), &a), NACRE_MALFORMED);
    /* many records: the first ones are looked at */
    begin(&m, 0x81a0, 80);
    for (int i = 0; i < 80; i++) {
        record(&m, 44, 1, data, n);
    }
    assert_int_equal(nacre_sshfp_read_answer(nc_span(m.bytes, m.n), &a), NACRE_OK);
    assert_int_equal(a.count, NACRE_SSHFP_MAX);
    /* other types and classes, and records that are none */
    begin(&m, 0x81a0, 3);
    record(&m, 1, 1, data, n);
    record(&m, 44, 3, data, n);
    record(&m, 44, 1, data, 2);
    assert_int_equal(nacre_sshfp_read_answer(nc_span(m.bytes, m.n), &a), NACRE_NOT_FOUND);
    /* labels of a kind that does not exist, and a name without end */
    begin(&m, 0x81a0, 1);
    m.bytes[12] = 0x80;
    assert_int_equal(nacre_sshfp_read_answer(nc_span(m.bytes, m.n), &a), NACRE_MALFORMED);
    begin(&m, 0x81a0, 1);
    m.n = 12;
    for (int i = 0; i < 20; i++) {
        add(&m, "\77xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 64);
    }
    assert_int_equal(nacre_sshfp_read_answer(nc_span(m.bytes, m.n), &a), NACRE_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_those_of_ssh_keygen),
        cmocka_unit_test(pictures_are_those_of_ssh_keygen),
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(records_of_another_key_beside_ours_are_a_mismatch),
        cmocka_unit_test(absurd_messages_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
