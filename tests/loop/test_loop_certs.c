/*
 * Certificates on both sides of a connection: a host that shows one, users that log in with one, signed here or
 * elsewhere, and what an application sees that knows of none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nacre/cert.h"
#include "support/pair.h"

static nacre_key *ca;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(nacre_key_generate(&ca, NULL, "ed25519", 0, NULL), NACRE_OK);
    return 0;
}

static int cleanup(void **state)
{
    (void)state;
    nacre_key_free(ca);
    pair_keys_free();
    return 0;
}

/* key showing a certificate. Owned. */
static nacre_key *certified(const nacre_key *key, nacre_cert_kind kind, const char *principal)
{
    nacre_span name = nc_span_cstr(principal);
    nacre_cert_request r;
    nacre_key *shown = NULL;
    nacre_cert_request_init(&r, kind);
    r.principals = &name;
    r.principal_count = 1;
    assert_int_equal(nacre_cert_issue(&shown, key, ca, &r, NULL), NACRE_OK);
    return shown;
}

/* What the hooks do and saw. */
typedef struct world {
    nacre_key *user;   /* the client's */
    nacre_key *signer; /* answers SIGN of either side */
    unsigned signs;
    bool plain_only; /* the server's application compares keys and knows of no certificates */
    char host_type[64], host_alg[64], user_alg[64], in_alg[64];
    int cert_status;
    bool in, failed;
} world;

static void note(char *out, const char *text)
{
    strncpy(out, text, 63);
}

static bool sign(pair *p, int who, const nacre_event *ev)
{
    world *w = p->user;
    uint8_t *sig = NULL;
    size_t n = 0;
    w->signs++;
    assert_true(nacre_key_is_cert(ev->u.sign.key));
    assert_null(strstr(ev->u.sign.algorithm, "-cert-"));
    assert_int_equal(nacre_key_sign(w->signer, ev->u.sign.algorithm, ev->u.sign.data, &sig, &n),
                     NACRE_OK);
    nacre_answer a = {.accept = true, .signature = nc_span(sig, n)};
    assert_int_equal(nacre_transport_answer(p->end[who].t, ev->ticket, &a), NACRE_OK);
    nacre_secret_free(NULL, sig, n);
    return true;
}

static bool judge_user(pair *p, const nacre_event *ev)
{
    world *w = p->user;
    nacre_transport *t = p->end[NACRE_SERVER].t;
    nacre_cert_rules rules;
    nacre_cert_info info;
    bool good;
    note(w->user_alg, ev->u.auth.algorithm);
    if (w->plain_only) {
        good = nacre_key_equal(ev->u.auth.key, pair_key("ecdsa", 256));
    } else {
        nacre_cert_rules_init(&rules, NACRE_CERT_USER);
        rules.principal = "alice";
        rules.now = 1;
        w->cert_status = nacre_cert_check(ev->u.auth.key, &rules, NULL);
        good = w->cert_status == NACRE_OK &&
               nacre_key_cert_info(ev->u.auth.key, &info) == NACRE_OK &&
               nacre_key_equal(info.ca, ca);
    }
    int rc = good ? nacre_transport_accept(t, ev->ticket) : nacre_transport_refuse(t, ev->ticket);
    assert_int_equal(rc, NACRE_OK);
    return true;
}

static bool hook(pair *p, int who, const nacre_event *ev)
{
    world *w = p->user;
    switch (ev->type) {
    case NACRE_EVENT_HOST_KEY:
        note(w->host_type, nacre_key_type(ev->u.host_key.key));
        note(w->host_alg, ev->u.host_key.algorithm);
        return false;
    case NACRE_EVENT_SIGN:
        return sign(p, who, ev);
    case NACRE_EVENT_AUTH_KEY:
    case NACRE_EVENT_AUTH_KEY_PROBE:
        return judge_user(p, ev);
    case NACRE_EVENT_AUTHENTICATED:
        note(w->in_alg, ev->u.auth.algorithm ? ev->u.auth.algorithm : "");
        w->in = true;
        return false;
    case NACRE_EVENT_AUTH_RESULT:
        w->failed = ev->u.auth_result.status != NACRE_OK;
        return w->failed;
    default:
        return false;
    }
}

static void begin(pair *p, world *w)
{
    pair_init(p, 21);
    p->hook = hook;
    p->user = w;
    p->config[0].kex = "curve25519-sha256";
    p->no_login = w->user != NULL;
}

static void run(pair *p, world *w, nacre_key *host)
{
    assert_int_equal(pair_start(p, host), NACRE_OK);
    if (w->user) {
        assert_int_equal(nacre_transport_auth_publickey(p->end[0].t, "alice", w->user, NULL),
                         NACRE_OK);
    }
    pair_run(p);
}

static void hosts_show_certificates_first(void **state)
{
    (void)state;
    nacre_key *host = certified(pair_key("rsa", 2048), NACRE_CERT_HOST, "*");
    static const struct {
        const char *client, *type, *alg;
    } rows[] = {
        {NULL, "ssh-rsa-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com"},
        {"rsa-sha2-256-cert-v01@openssh.com,rsa-sha2-512", "ssh-rsa-cert-v01@openssh.com",
         "rsa-sha2-256-cert-v01@openssh.com"},
        {"rsa-sha2-512", "ssh-rsa", "rsa-sha2-512"},
        {"ssh-ed25519-cert-v01@openssh.com,rsa-sha2-256", "ssh-rsa", "rsa-sha2-256"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pair p;
        world w = {0};
        begin(&p, &w);
        p.config[0].host_key = rows[i].client;
        run(&p, &w, host);
        assert_true(pair_echo_done(&p));
        assert_string_equal(w.host_type, rows[i].type);
        assert_string_equal(w.host_alg, rows[i].alg);
        pair_free(&p);
    }
    nacre_key_free(host);
}

static void a_host_may_sign_elsewhere(void **state)
{
    (void)state;
    nacre_key *public_half = NULL;
    nacre_key *key = pair_key("ecdsa", 384);
    assert_int_equal(nacre_key_from_blob(&public_half, NULL, nacre_key_blob(key), NULL), NACRE_OK);
    nacre_key *host = certified(public_half, NACRE_CERT_HOST, "*");
    pair p;
    world w = {.signer = key};
    begin(&p, &w);
    run(&p, &w, host);
    assert_true(pair_echo_done(&p));
    assert_int_equal(w.signs, 1);
    assert_string_equal(w.host_alg, "ecdsa-sha2-nistp384-cert-v01@openssh.com");
    pair_free(&p);
    nacre_key_free(host);
    nacre_key_free(public_half);
}

/* Turns a bit of the CA's signature, which ends the certificate, where the reply carries it. */
static void tamper(pair *p, int from, uint8_t *bytes, size_t n)
{
    const nacre_key *host = ((const nacre_key *const *)p->user)[0];
    nacre_span blob = nacre_key_blob(host);
    for (size_t i = 0; from == NACRE_SERVER && i + blob.n <= n; i++) {
        if (memcmp(bytes + i, blob.p, blob.n) == 0) {
            bytes[i + blob.n - 1] ^= 1;
        }
    }
}

static void a_host_certificate_that_nobody_signed_is_refused(void **state)
{
    (void)state;
    nacre_key *host = certified(pair_key("ecdsa", 256), NACRE_CERT_HOST, "*");
    pair p;
    pair_init(&p, 22);
    p.user = &host;
    p.wire = tamper;
    assert_int_equal(pair_start(&p, host), NACRE_OK);
    pair_run(&p);
    assert_int_equal(p.end[0].seen[NACRE_EVENT_HOST_KEY], 0);
    assert_int_equal(nacre_transport_error(p.end[0].t)->status, NACRE_BAD_KEY);
    assert_non_null(strstr(nacre_transport_error(p.end[0].t)->text, "CA's signature"));
    pair_free(&p);
    nacre_key_free(host);
}

static void users_log_in_with_certificates(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        uint32_t bits;
        const char *alg;
    } rows[] = {{"ed25519", 0, "ssh-ed25519-cert-v01@openssh.com"},
                {"ecdsa", 256, "ecdsa-sha2-nistp256-cert-v01@openssh.com"},
                {"ecdsa", 521, "ecdsa-sha2-nistp521-cert-v01@openssh.com"},
                {"rsa", 2048, "rsa-sha2-512-cert-v01@openssh.com"}};
    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_key *key = pair_key(rows[i / 2].type, rows[i / 2].bits);
        nacre_key *public_half = NULL;
        assert_int_equal(nacre_key_from_blob(&public_half, NULL, nacre_key_blob(key), NULL),
                         NACRE_OK);
        bool elsewhere = i % 2;
        pair p;
        world w = {.user = certified(elsewhere ? public_half : key, NACRE_CERT_USER, "alice"),
                   .signer = key};
        begin(&p, &w);
        run(&p, &w, NULL);
        assert_true(w.in && pair_echo_done(&p));
        assert_int_equal(w.signs, elsewhere ? 1 : 0);
        assert_string_equal(w.user_alg, rows[i / 2].alg);
        assert_string_equal(w.in_alg, rows[i / 2].alg);
        pair_free(&p);
        nacre_key_free(w.user);
        nacre_key_free(public_half);
    }
}

/* The server says how it takes signatures; the client's certificate algorithm follows from that. */
static void server_sig_algs_choose(void **state)
{
    (void)state;
    static const struct {
        const char *server, *client, *alg; /* alg NULL: refused */
    } rows[] = {{"rsa-sha2-256-cert-v01@openssh.com", NULL, "rsa-sha2-256-cert-v01@openssh.com"},
                {NULL, "rsa-sha2-256-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com"},
                {"rsa-sha2-512", NULL, NULL}, /* plain ones only */
                {"ssh-ed25519-cert-v01@openssh.com", NULL, NULL}};
    nacre_key *user = certified(pair_key("rsa", 2048), NACRE_CERT_USER, "alice");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        pair p;
        world w = {.user = user};
        begin(&p, &w);
        p.config[1].signature = rows[i].server;
        p.config[0].signature = rows[i].client;
        run(&p, &w, NULL);
        assert_int_equal(w.in, rows[i].alg != NULL);
        assert_string_equal(w.user_alg, rows[i].alg ? rows[i].alg : "");
        pair_free(&p);
    }
    nacre_key_free(user);
}

static void the_wrong_certificate_stays_out(void **state)
{
    (void)state;
    nacre_key *key = pair_key("ecdsa", 256);
    nacre_key *users[] = {certified(key, NACRE_CERT_USER, "bob"),
                          certified(key, NACRE_CERT_HOST, "alice")};
    for (size_t i = 0; i < 2; i++) {
        pair p;
        world w = {.user = users[i]};
        begin(&p, &w);
        run(&p, &w, NULL);
        assert_true(!w.in && w.failed);
        assert_int_equal(w.cert_status, NACRE_CERT_REFUSED);
        pair_free(&p);
        nacre_key_free(users[i]);
    }
}

/* The key is known and allowed; a certificate for it is not that key. */
static void who_knows_no_certificates_is_safe(void **state)
{
    (void)state;
    nacre_key *key = pair_key("ecdsa", 256);
    for (int with = 0; with < 2; with++) {
        pair p;
        world w = {.plain_only = true,
                   .user = with ? certified(key, NACRE_CERT_USER, "alice") : nacre_key_ref(key)};
        begin(&p, &w);
        run(&p, &w, NULL);
        assert_int_equal(w.in, !with);
        pair_free(&p);
        nacre_key_free(w.user);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_show_certificates_first),
        cmocka_unit_test(a_host_may_sign_elsewhere),
        cmocka_unit_test(a_host_certificate_that_nobody_signed_is_refused),
        cmocka_unit_test(users_log_in_with_certificates),
        cmocka_unit_test(server_sig_algs_choose),
        cmocka_unit_test(the_wrong_certificate_stays_out),
        cmocka_unit_test(who_knows_no_certificates_is_safe),
    };
    return cmocka_run_group_tests(tests, setup, cleanup);
}
