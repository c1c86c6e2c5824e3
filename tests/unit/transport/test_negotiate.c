/* List syntax, KEXINIT choice, version lines: the pure parts of the handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "keys/cert.h"
#include "transport/negotiate.h"
#include "transport/version.h"

static const char *resolve(nacre_algorithm_kind kind, const char *spec, int want)
{
    static char text[1024];
    char *list = NULL;
    nacre_error err;
    nc_error_clear(&err);
    int rc = nc_algo_resolve(kind, spec, NULL, &list, &err);
    assert_int_equal(rc, want);
    snprintf(text, sizeof(text), "%s", rc == NACRE_OK ? list : err.text);
    nc_free(NULL, list);
    return text;
}

static void lists_follow_openssh_syntax(void **state)
{
    (void)state;
    const char *macs = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,hmac-sha2-256,"
                       "hmac-sha2-512";
    assert_string_equal(resolve(NACRE_ALG_MAC, NULL, NACRE_OK), macs);
    assert_string_equal(resolve(NACRE_ALG_MAC, "hmac-sha2-512,hmac-sha2-256", NACRE_OK),
                        "hmac-sha2-512,hmac-sha2-256");
    assert_string_equal(resolve(NACRE_ALG_MAC, "-*-etm*", NACRE_OK), "hmac-sha2-256,hmac-sha2-512");
    assert_string_equal(resolve(NACRE_ALG_MAC, "-hmac-sha2-512,*256", NACRE_OK),
                        "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com");
    assert_string_equal(resolve(NACRE_ALG_MAC, "-nothing*", NACRE_OK), macs);
    assert_string_equal(resolve(NACRE_ALG_MAC, "^hmac-sha2-512", NACRE_OK),
                        "hmac-sha2-512,hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
                        "hmac-sha2-256");
    assert_string_equal(resolve(NACRE_ALG_COMPRESSION, "+zlib", NACRE_OK),
                        "none,zlib@openssh.com,zlib");
    assert_string_equal(resolve(NACRE_ALG_COMPRESSION, "+none", NACRE_OK), "none,zlib@openssh.com");
    assert_string_equal(resolve(NACRE_ALG_COMPRESSION, "zlib,zlib", NACRE_OK), "zlib");
}

static void bad_lists_name_the_culprit(void **state)
{
    (void)state;
    assert_non_null(
        strstr(resolve(NACRE_ALG_CIPHER, "aes128-ctr,rot13", NACRE_UNKNOWN_NAME), "rot13"));
    assert_non_null(strstr(resolve(NACRE_ALG_CIPHER, "+rot13", NACRE_UNKNOWN_NAME), "rot13"));
    assert_non_null(strstr(resolve(NACRE_ALG_CIPHER, "-rot13", NACRE_UNKNOWN_NAME), "rot13"));
    assert_non_null(strstr(resolve(NACRE_ALG_CIPHER, "aes*", NACRE_UNKNOWN_NAME), "aes*"));
    assert_non_null(
        strstr(resolve(NACRE_ALG_CIPHER, "aes128-ctr,,aes256-ctr", NACRE_UNKNOWN_NAME), "\"\""));
    assert_non_null(strstr(resolve(NACRE_ALG_CIPHER, "-*", NACRE_UNKNOWN_NAME), "leaves no"));
    assert_non_null(strstr(resolve(NACRE_ALG_KEX, "", NACRE_UNKNOWN_NAME), "leaves no"));
    assert_non_null(strstr(resolve(NACRE_ALG_KEX, "aes128-ctr\x1b[", NACRE_UNKNOWN_NAME), "\\033"));
}

static void every_default_exists(void **state)
{
    (void)state;
    char names[2048];
    for (int kind = NACRE_ALG_KEX; kind <= NACRE_ALG_CA_SIGNATURE; kind++) {
        size_t n = nacre_algorithms((nacre_algorithm_kind)kind, false, names, sizeof(names));
        assert_true(n > 0 && n < sizeof(names) && n == strlen(names));
        nacre_span list = nc_span_cstr(names);
        nacre_span name;
        nc_compression compression;
        while (nc_namelist_next(&list, &name)) {
            bool exists = kind == NACRE_ALG_KEX           ? nc_kex_find(name) != NULL
                          : kind == NACRE_ALG_CIPHER      ? nc_cipher_find(name) != NULL
                          : kind == NACRE_ALG_MAC         ? nc_mac_find(name) != NULL
                          : kind == NACRE_ALG_COMPRESSION ? nc_compression_find(name, &compression)
                                                          : nc_pubkey_alg_find(name, NULL) != NULL;
            assert_true(exists);
            assert_false(
                nc_namelist_has(list, nc_algo_static_name((nacre_algorithm_kind)kind, name)));
        }
        assert_true(nacre_algorithms((nacre_algorithm_kind)kind, true, NULL, 0) <= n);
        char small[8];
        (void)nacre_algorithms((nacre_algorithm_kind)kind, false, small, sizeof(small));
        assert_true(strlen(small) < sizeof(small));
    }
}

static nc_msg_kexinit kexinit_of(nc_buf *b, const nc_proposal *p, nacre_role role)
{
    static const uint8_t cookie[16] = {0};
    nc_msg_kexinit m;
    nc_buf_init(b, NULL, 8192);
    nc_wr w = nc_wr_init(b);
    nc_kexinit_write(&w, role, p, cookie, true);
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    nc_rd r = nc_rd_init(nc_buf_span(b));
    assert_int_equal(nc_rd_u8(&r), SSH_MSG_KEXINIT);
    assert_int_equal(NC_DECODE(kexinit, &r, &m), NACRE_OK);
    return m;
}

static nc_proposal proposal(const char *kex, const char *host_key, const char *cipher,
                            const char *mac)
{
    nacre_config cfg;
    memset(&cfg, 0, sizeof(cfg));
    cfg.kex = kex;
    cfg.host_key = host_key;
    cfg.cipher_c2s = cfg.cipher_s2c = cipher;
    cfg.mac_c2s = cfg.mac_s2c = mac;
    nc_proposal p;
    nacre_error err;
    nc_error_clear(&err);
    assert_int_equal(nc_proposal_init(&p, &cfg, &err), NACRE_OK);
    return p;
}

static void the_client_order_decides(void **state)
{
    (void)state;
    nc_proposal c =
        proposal("ecdh-sha2-nistp521,curve25519-sha256", NULL, "aes256-ctr,aes128-ctr", NULL);
    nc_proposal s = proposal("curve25519-sha256,ecdh-sha2-nistp521", "rsa-sha2-256,ssh-ed25519",
                             "aes128-ctr,aes256-ctr", "hmac-sha2-512,hmac-sha2-256");
    nc_buf cb, sb;
    nc_msg_kexinit cm = kexinit_of(&cb, &c, NACRE_CLIENT);
    nc_msg_kexinit sm = kexinit_of(&sb, &s, NACRE_SERVER);
    nc_choice at_client, at_server;
    assert_int_equal(nc_negotiate(NACRE_CLIENT, &c, &sm, &at_client, NULL), NACRE_OK);
    assert_int_equal(nc_negotiate(NACRE_SERVER, &s, &cm, &at_server, NULL), NACRE_OK);
    assert_memory_equal(&at_client, &at_server, sizeof(at_client));
    assert_string_equal(at_client.kex->name, "ecdh-sha2-nistp521");
    assert_string_equal(at_client.host_key, "ssh-ed25519");
    assert_string_equal(at_client.cipher[NC_C2S]->name, "aes256-ctr");
    assert_string_equal(at_client.mac[NC_S2C]->name, "hmac-sha2-256");
    assert_true(at_client.peer_strict && at_client.peer_ext_info);
    assert_false(at_client.peer_guessed || at_client.ignore_guess);
    nacre_negotiated n;
    nc_choice_describe(&at_client, true, &n);
    assert_string_equal(n.compression_c2s, "none");
    assert_true(n.strict_kex);
    nc_buf_clear(&cb);
    nc_buf_clear(&sb);
    nc_proposal_clear(&c);
    nc_proposal_clear(&s);
}

static void an_aead_needs_no_common_mac(void **state)
{
    (void)state;
    nc_proposal c = proposal(NULL, NULL, "aes128-gcm@openssh.com,aes128-ctr", "hmac-sha2-256");
    nc_proposal s = proposal(NULL, NULL, "aes128-gcm@openssh.com,aes128-ctr", "hmac-sha2-512");
    nc_buf sb;
    nc_msg_kexinit sm = kexinit_of(&sb, &s, NACRE_SERVER);
    nc_choice choice;
    assert_int_equal(nc_negotiate(NACRE_CLIENT, &c, &sm, &choice, NULL), NACRE_OK);
    assert_null(choice.mac[0]);
    nc_buf_clear(&sb);
    nc_proposal_clear(&s);

    s = proposal(NULL, NULL, "aes128-ctr", "hmac-sha2-512");
    sm = kexinit_of(&sb, &s, NACRE_SERVER);
    nacre_error err;
    nc_error_clear(&err);
    assert_int_equal(nc_negotiate(NACRE_CLIENT, &c, &sm, &choice, &err), NACRE_NO_COMMON_ALGORITHM);
    assert_non_null(strstr(err.text, "MAC client to server"));
    assert_non_null(strstr(err.text, "hmac-sha2-256"));
    assert_non_null(strstr(err.text, "hmac-sha2-512"));
    nc_buf_clear(&sb);
    nc_proposal_clear(&s);
    nc_proposal_clear(&c);
}

static void a_failed_choice_names_slot_and_lists(void **state)
{
    (void)state;
    nc_proposal c = proposal("curve25519-sha256", NULL, NULL, NULL);
    nc_proposal s = proposal("diffie-hellman-group16-sha512", NULL, NULL, NULL);
    nc_buf sb;
    nc_msg_kexinit sm = kexinit_of(&sb, &s, NACRE_SERVER);
    nc_choice choice;
    nacre_error err;
    nc_error_clear(&err);
    assert_int_equal(nc_negotiate(NACRE_CLIENT, &c, &sm, &choice, &err), NACRE_NO_COMMON_ALGORITHM);
    assert_non_null(strstr(err.text, "key exchange"));
    assert_non_null(strstr(err.text, "curve25519-sha256"));
    assert_non_null(strstr(err.text, "diffie-hellman-group16-sha512"));
    assert_int_equal(err.disconnect_reason, 3);

    /* The markers are no methods: two sides that share nothing else share nothing. */
    sm.kex = nc_span_cstr("ext-info-c,kex-strict-c-v00@openssh.com");
    assert_int_equal(nc_negotiate(NACRE_CLIENT, &c, &sm, &choice, NULL), NACRE_NO_COMMON_ALGORITHM);
    sm.kex = nc_span_cstr("");
    assert_int_equal(nc_negotiate(NACRE_CLIENT, &c, &sm, &choice, NULL), NACRE_NO_COMMON_ALGORITHM);
    nc_buf_clear(&sb);
    nc_proposal_clear(&s);
    nc_proposal_clear(&c);
}

/* The best of some tries of the processor's time for lists of n bytes, none of whose names but the last is ours. */
static clock_t time_for_lists(nacre_role role, const nc_proposal *ours, size_t n)
{
    enum { TRIES = 9 };
    static const char *const last[NC_SLOT_COUNT] = {
        ",curve25519-sha256", ",ssh-ed25519",   ",aes128-ctr", ",aes128-ctr",
        ",hmac-sha2-256",     ",hmac-sha2-256", ",none",       ",none"};
    static char room[NC_SLOT_COUNT][NC_MAX_NAMELIST];
    nc_msg_kexinit m;
    nacre_span *const lists[NC_SLOT_COUNT] = {&m.kex,     &m.host_key, &m.cipher_c2s, &m.cipher_s2c,
                                              &m.mac_c2s, &m.mac_s2c,  &m.comp_c2s,   &m.comp_s2c};
    memset(&m, 0, sizeof(m));
    for (size_t i = 0; i < NC_SLOT_COUNT; i++) {
        for (size_t k = 0; k < n; k++) {
            room[i][k] = k % 2 ? ',' : 'x';
        }
        memcpy(room[i] + n - strlen(last[i]), last[i], strlen(last[i]));
        *lists[i] = nc_span(room[i], n);
    }
    clock_t best = 0;
    for (int i = 0; i < TRIES; i++) {
        nc_choice out;
        clock_t before = clock();
        assert_int_equal(nc_negotiate(role, ours, &m, &out, NULL), NACRE_OK);
        clock_t took = clock() - before;
        best = i == 0 || took < best ? took : best;
    }
    return best;
}

/* Lists eight times as long take eight times as long and not sixty-four times. */
static void long_lists_take_their_length_in_time(void **state)
{
    (void)state;
    nc_proposal ours = proposal(NULL, NULL, NULL, NULL);
    for (int role = 0; role < 2; role++) {
        clock_t few = time_for_lists((nacre_role)role, &ours, NC_MAX_NAMELIST / 8);
        clock_t many = time_for_lists((nacre_role)role, &ours, NC_MAX_NAMELIST);
        assert_true(many < 24 * (few + CLOCKS_PER_SEC / 20000));
    }
    nc_proposal_clear(&ours);
}

static void guesses_are_judged(void **state)
{
    (void)state;
    nc_proposal c =
        proposal("curve25519-sha256,ecdh-sha2-nistp256", "ssh-ed25519,rsa-sha2-512", NULL, NULL);
    nc_proposal s =
        proposal("curve25519-sha256,ecdh-sha2-nistp256", "ssh-ed25519,rsa-sha2-512", NULL, NULL);
    nc_buf cb;
    nc_msg_kexinit cm = kexinit_of(&cb, &c, NACRE_CLIENT);
    cm.first_kex_packet_follows = true;
    nc_choice choice;
    assert_int_equal(nc_negotiate(NACRE_SERVER, &s, &cm, &choice, NULL), NACRE_OK);
    assert_true(choice.peer_guessed);
    assert_false(choice.ignore_guess);
    assert_int_equal(nc_proposal_set(&s, NC_SLOT_KEX, "ecdh-sha2-nistp256,curve25519-sha256"),
                     NACRE_OK);
    assert_int_equal(nc_negotiate(NACRE_SERVER, &s, &cm, &choice, NULL), NACRE_OK);
    assert_true(choice.ignore_guess);
    assert_int_equal(nc_proposal_set(&s, NC_SLOT_KEX, "curve25519-sha256"), NACRE_OK);
    assert_int_equal(nc_proposal_set(&s, NC_SLOT_HOST_KEY, "rsa-sha2-512,ssh-ed25519"), NACRE_OK);
    assert_int_equal(nc_negotiate(NACRE_SERVER, &s, &cm, &choice, NULL), NACRE_OK);
    assert_true(choice.ignore_guess);
    nc_buf_clear(&cb);
    nc_proposal_clear(&s);
    nc_proposal_clear(&c);
}

static void version_lines(void **state)
{
    (void)state;
    static const struct {
        nacre_role role;
        const char *line;
        int rc;
        nc_line_kind kind;
    } rows[] = {
        {NACRE_CLIENT, "SSH-2.0-OpenSSH_9.2p1 Debian-2", NACRE_OK, NC_LINE_VERSION},
        {NACRE_CLIENT, "SSH-1.99-Cisco-1.25", NACRE_OK, NC_LINE_VERSION},
        {NACRE_SERVER, "SSH-2.0-x", NACRE_OK, NC_LINE_VERSION},
        {NACRE_CLIENT, "hello there", NACRE_OK, NC_LINE_BANNER},
        {NACRE_CLIENT, "", NACRE_OK, NC_LINE_BANNER},
        {NACRE_SERVER, "GET / HTTP/1.1", NACRE_VERSION, NC_LINE_BANNER},
        {NACRE_CLIENT, "SSH-1.5-old", NACRE_VERSION, NC_LINE_VERSION},
        {NACRE_CLIENT, "SSH-3.0-new", NACRE_VERSION, NC_LINE_VERSION},
        {NACRE_CLIENT, "SSH-", NACRE_VERSION, NC_LINE_VERSION},
        {NACRE_CLIENT, "SSH-2.0-a\x01", NACRE_VERSION, NC_LINE_VERSION},
        {NACRE_CLIENT, "SSH-2.0-\xc3\xa4", NACRE_VERSION, NC_LINE_VERSION},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nc_line_kind kind;
        nacre_error err;
        nc_error_clear(&err);
        assert_int_equal(nc_version_judge(rows[i].role, nc_span_cstr(rows[i].line), &kind, &err),
                         rows[i].rc);
        assert_int_equal(kind, rows[i].kind);
        assert_true((rows[i].rc == NACRE_OK) == (err.text[0] == '\0'));
    }
    char line[300];
    memset(line, 'a', sizeof(line));
    memcpy(line, "SSH-2.0-", 8);
    nc_line_kind kind;
    assert_int_equal(nc_version_judge(NACRE_CLIENT, nc_span(line, 253), &kind, NULL), NACRE_OK);
    assert_int_equal(nc_version_judge(NACRE_CLIENT, nc_span(line, 254), &kind, NULL),
                     NACRE_VERSION);
}

static void software_and_quirks(void **state)
{
    (void)state;
    assert_true(nc_span_is(nc_version_software(nc_span_cstr("SSH-2.0-OpenSSH_9.2p1 Debian-2")),
                           "OpenSSH_9.2p1"));
    assert_true(nc_span_is(nc_version_software(nc_span_cstr("SSH-1.99-Cisco-1.25")), "Cisco-1.25"));
    assert_int_equal(nc_version_software(nc_span_cstr("SSH-")).n, 0);
    assert_int_equal(nc_version_quirks(nc_span_cstr("OpenSSH_9.2p1")), 0);
    assert_int_equal(nc_version_quirks(nc_span_cstr("OpenSSH_7.4p1")), NC_QUIRK_HIDES_RSA_SHA2);
    assert_true(nc_version_quirks(nc_span_cstr("Cisco-1.25")) & NC_QUIRK_NO_REKEY);
    assert_int_equal(nc_version_quirks(nc_span_cstr("")), 0);
    assert_true(nc_version_software_valid("nacre_0.1.0"));
    assert_true(nc_version_comments_valid(""));
    assert_true(nc_version_comments_valid("a comment - of more than one word"));
    assert_false(nc_version_comments_valid("new\nline"));
    assert_false(nc_version_comments_valid("\r"));
    assert_false(nc_version_comments_valid("\x80"));
    char longest[142];
    memset(longest, 'a', sizeof(longest));
    longest[141] = '\0';
    assert_false(nc_version_comments_valid(longest));
    longest[140] = '\0';
    assert_true(nc_version_comments_valid(longest));
    assert_false(nc_version_software_valid(""));
    assert_false(nc_version_software_valid("has space"));
    assert_false(nc_version_software_valid("has-minus"));
    assert_false(nc_version_software_valid("new\nline"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_follow_openssh_syntax),
        cmocka_unit_test(bad_lists_name_the_culprit),
        cmocka_unit_test(every_default_exists),
        cmocka_unit_test(the_client_order_decides),
        cmocka_unit_test(an_aead_needs_no_common_mac),
        cmocka_unit_test(a_failed_choice_names_slot_and_lists),
        cmocka_unit_test(long_lists_take_their_length_in_time),
        cmocka_unit_test(guesses_are_judged),
        cmocka_unit_test(version_lines),
        cmocka_unit_test(software_and_quirks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
