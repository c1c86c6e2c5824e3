/*
 * test_client_trust.c - trust in a host beyond known_hosts: what the DNS says, lines from elsewhere, the address, and
 * that no check which fails lets anybody pass.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "client/state.h"
#include "client_server.h"
#include "nacre/sshfp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One case: what there is, and what becomes of it. */
typedef struct trial {
    stage s;
    const char *known, *more;   /* lines; %s is the host's key, %o another one */
    int dns_rc;                 /* of the look-up */
    bool dns_secure, dns_other; /* its answer */
    int more_rc;
    const char *address;
    bool says_yes;
    unsigned asked, looked_up, wanted[3];
    char warnings[4096];
    nacre_host_question question;
    char other_names[512];
    nacre_key *other;
    nacre_known_hosts *hosts;
} trial;

static void fill_in(const trial *t, const char *text, char *out, size_t size)
{
    char key[1024];
    size_t n = 0;
    for (const char *p = text; *p && n + 1 < size; p++) {
        if (*p == '%' && (p[1] == 's' || p[1] == 'o')) {
            assert_true(nacre_key_public_line(p[1] == 's' ? t->s.host_key : t->other, key,
                                              sizeof(key)) > 0);
            n += (size_t)snprintf(out + n, size - n, "%s", key);
            p++;
        } else {
            out[n++] = *p;
        }
    }
    out[n] = '\0';
}

static int look_up(void *user, const char *host, nacre_sshfp_answer *out, nacre_error *err)
{
    trial *t = user;
    char line[256];
    t->looked_up++;
    assert_string_equal(host, "host");
    (void)err;
    if (t->dns_rc != NACRE_OK) {
        return t->dns_rc;
    }
    int n = nacre_sshfp_text(t->dns_other ? t->other : t->s.host_key, 2, "h", false, line,
                             sizeof(line));
    assert_true(n > 64);
    memset(out, 0, sizeof(*out));
    out->authenticated = t->dns_secure;
    out->count = 1;
    out->records[0].algorithm = 4;
    out->records[0].hash = 2;
    out->records[0].length = 32;
    for (size_t i = 0; i < 32; i++) {
        char hex[3] = {line[n - 64 + (int)(2 * i)], line[n - 63 + (int)(2 * i)], '\0'};
        out->records[0].digest[i] = (uint8_t)strtoul(hex, NULL, 16);
    }
    return NACRE_OK;
}

static int more_lines(void *user, const nacre_lines_wanted *w, nacre_known_hosts *into,
                      nacre_error *err)
{
    trial *t = user;
    char text[4096];
    (void)err;
    t->wanted[w->reason]++;
    assert_string_equal(w->name,
                        w->reason == NACRE_LINES_ADDRESS ? "[192.0.2.7]:2222" : "[host]:2222");
    assert_int_equal(w->key != NULL, w->reason != NACRE_LINES_ORDER);
    if (w->reason != NACRE_LINES_NAME) {
        return NACRE_OK;
    }
    if (t->more_rc != NACRE_OK) {
        return t->more_rc;
    }
    fill_in(t, t->more, text, sizeof(text));
    return nacre_known_hosts_add_text(into, text_span(text), "elsewhere");
}

static bool answer(void *user, const nacre_host_question *q)
{
    trial *t = user;
    t->asked++;
    t->question = *q;
    (void)snprintf(t->other_names, sizeof(t->other_names), "%s", q->other_names);
    return t->says_yes;
}

static void warn(void *user, const char *text)
{
    trial *t = user;
    size_t n = strlen(t->warnings);
    (void)snprintf(t->warnings + n, sizeof(t->warnings) - n, "%s\n", text);
}

/* A socket pair has no address: the client is told one before the key is judged. */
static void give_address(void *user, nacre_client *c, const nacre_event *ev)
{
    trial *t = user;
    if (ev->type == NACRE_EVENT_VERSION && t->address) {
        (void)snprintf(c->address, sizeof(c->address), "%s", t->address);
    }
    if (ev->ticket) {
        (void)nacre_transport_refuse(nacre_client_transport(c), ev->ticket);
    }
}

static void begin(trial *t, nacre_host_policy policy)
{
    memset(t, 0, sizeof(*t));
    stage_init(&t->s);
    assert_int_equal(nacre_key_generate(&t->other, NULL, "ed25519", 0, &t->s.err), NACRE_OK);
    t->s.cfg.host_policy = policy;
    t->s.cfg.known_hosts_file = t->s.path;
    t->s.cfg.callbacks.ask_host = answer;
    t->s.cfg.callbacks.warning = warn;
    t->s.cfg.callbacks.event = give_address;
    t->s.cfg.callbacks.user = t;
    t->s.cfg.trust.user = t;
}

static int run(trial *t)
{
    char text[4096];
    assert_int_equal(nacre_known_hosts_new(&t->hosts, NULL), NACRE_OK);
    if (t->known) {
        fill_in(t, t->known, text, sizeof(text));
        assert_int_equal(nacre_known_hosts_add_text(t->hosts, text_span(text), "file"), NACRE_OK);
    }
    t->s.cfg.known_hosts = t->hosts;
    if (t->more) {
        t->s.cfg.trust.more_lines = more_lines;
    }
    stage_open(&t->s);
    return nacre_client_connect_fd(t->s.c, t->s.fd, t->s.fd, "host", 2222);
}

static void end(trial *t)
{
    stage_clear(&t->s);
    nacre_key_free(t->other);
    nacre_known_hosts_free(t->hosts);
}

/* ---- the DNS ---- */

static void the_dns_vouches_only_when_it_is_secure_and_asked_to(void **state)
{
    (void)state;
    static const struct {
        nacre_dns_policy policy;
        int dns_rc;
        bool secure, other;
        const char *known;
        int rc;
    } rows[] = {
        {NACRE_DNS_YES, NACRE_OK, true, false, NULL, NACRE_OK},
        {NACRE_DNS_YES, NACRE_OK, true, false, "[host]:2222 %o\n", NACRE_OK},
        {NACRE_DNS_YES, NACRE_OK, false, false, NULL, NACRE_HOST_KEY_UNKNOWN},
        {NACRE_DNS_YES, NACRE_OK, false, false, "[host]:2222 %o\n", NACRE_HOST_KEY_CHANGED},
        {NACRE_DNS_YES, NACRE_OK, true, true, NULL, NACRE_HOST_KEY_UNKNOWN},
        {NACRE_DNS_ASK, NACRE_OK, true, false, NULL, NACRE_HOST_KEY_UNKNOWN},
        {NACRE_DNS_ASK, NACRE_OK, true, false, "[host]:2222 %o\n", NACRE_HOST_KEY_CHANGED},
        {NACRE_DNS_YES, NACRE_NOT_FOUND, true, false, NULL, NACRE_HOST_KEY_UNKNOWN},
        {NACRE_DNS_YES, NACRE_RESOLVE, true, false, NULL, NACRE_HOST_KEY_UNKNOWN},
        {NACRE_DNS_YES, NACRE_TIMEOUT, true, false, NULL, NACRE_HOST_KEY_UNKNOWN},
        {NACRE_DNS_YES, NACRE_NO_MEMORY, true, false, NULL, NACRE_HOST_KEY_UNKNOWN},
        {NACRE_DNS_YES, NACRE_RESOLVE, true, false, "[host]:2222 %s\n", NACRE_OK},
        /* revoked is revoked, whatever the DNS says */
        {NACRE_DNS_YES, NACRE_OK, true, false, "@revoked * %s\n", NACRE_HOST_KEY_REVOKED},
        {NACRE_DNS_NO, NACRE_OK, true, false, NULL, NACRE_HOST_KEY_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        trial t;
        begin(&t, NACRE_HOST_REJECT);
        t.s.cfg.trust.verify_dns = rows[i].policy;
        t.s.cfg.trust.lookup_sshfp = look_up;
        t.dns_rc = rows[i].dns_rc;
        t.dns_secure = rows[i].secure;
        t.dns_other = rows[i].other;
        t.known = rows[i].known;
        int rc = run(&t);
        if (rc != rows[i].rc) {
            fail_msg("row %zu: %d (%s)", i, rc, nacre_client_error(t.s.c)->text);
        }
        bool revoked = rows[i].rc == NACRE_HOST_KEY_REVOKED;
        assert_int_equal(t.looked_up, rows[i].policy == NACRE_DNS_NO || revoked ? 0 : 1);
        assert_int_equal(access(t.s.path, F_OK), -1);
        end(&t);
    }
}

static void a_person_is_told_what_the_dns_says(void **state)
{
    (void)state;
    for (int other = 0; other < 2; other++) {
        trial t;
        begin(&t, NACRE_HOST_ASK);
        t.s.cfg.trust.verify_dns = NACRE_DNS_ASK;
        t.s.cfg.trust.lookup_sshfp = look_up;
        t.s.cfg.trust.visual = true;
        t.dns_other = other == 1;
        t.known = "elsewhere %s\n";
        assert_int_equal(run(&t), NACRE_HOST_KEY_REJECTED);
        assert_int_equal(t.asked, 1);
        assert_int_equal(t.question.dns, other ? NACRE_DNS_MATCHES_NOT : NACRE_DNS_MATCHES);
        assert_non_null(strstr(t.other_names, "file:1: elsewhere"));
        assert_int_equal(strstr(t.warnings, "the DNS has other fingerprints") != NULL, other == 1);
        end(&t);
    }
}

/* ---- lines from elsewhere ---- */

static void lines_from_elsewhere_count_like_those_of_files(void **state)
{
    (void)state;
    static const struct {
        const char *known, *more;
        int more_rc, rc;
    } rows[] = {
        {NULL, "[host]:2222 %s\n", NACRE_OK, NACRE_OK},
        {"[host]:2222 %o\n", "[host]:2222 %s\n", NACRE_OK, NACRE_OK},
        {"[host]:2222 %s\n", "[host]:2222 %o\n", NACRE_OK, NACRE_OK},
        {"[host]:2222 %s\n", "@revoked * %s\n", NACRE_OK, NACRE_HOST_KEY_REVOKED},
        {NULL, "[host]:2222 %o\n", NACRE_OK, NACRE_HOST_KEY_CHANGED},
        {NULL, "", NACRE_OK, NACRE_HOST_KEY_UNKNOWN},
        {NULL, "host %s\n", NACRE_OK, NACRE_OK}, /* the bare name */
        {"[host]:2222 %s\n", "", NACRE_IO, NACRE_IO},
        {"[host]:2222 %s\n", "", NACRE_NO_MEMORY, NACRE_NO_MEMORY},
        {"[host]:2222 %s\n", "", 1, NACRE_HOST_KEY_REJECTED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        trial t;
        begin(&t, NACRE_HOST_REJECT);
        t.known = rows[i].known;
        t.more = rows[i].more;
        t.more_rc = rows[i].more_rc;
        int rc = run(&t);
        if (rc != rows[i].rc) {
            fail_msg("row %zu: %d (%s)", i, rc, nacre_client_error(t.s.c)->text);
        }
        assert_int_equal(t.wanted[NACRE_LINES_ORDER], 1);
        assert_int_equal(t.wanted[NACRE_LINES_NAME], 1);
        assert_int_equal(t.wanted[NACRE_LINES_ADDRESS], 0);
        end(&t);
    }
}

static void a_list_that_cannot_be_read_refuses(void **state)
{
    (void)state;
    trial t;
    begin(&t, NACRE_HOST_INSECURE);
    t.known = "[host]:2222 %s\n";
    t.s.cfg.trust.revoked_keys = "/nonexistent/list";
    assert_int_equal(run(&t), NACRE_HOST_KEY_REJECTED);
    end(&t);
}

/* ---- the address ---- */

static bool file_is(const trial *t, const char *want)
{
    char text[4096] = "", there[4096] = "";
    FILE *f = fopen(t->s.path, "r");
    if (f) {
        there[fread(there, 1, sizeof(there) - 1, f)] = '\0';
        (void)fclose(f);
    }
    fill_in(t, want, text, sizeof(text));
    return strcmp(there, text) == 0;
}

static void the_address_has_its_say(void **state)
{
    (void)state;
    static const struct {
        const char *known;
        nacre_host_policy policy;
        bool says_yes;
        int rc;
        unsigned asked;
        const char *written;
    } rows[] = {
        {"[host]:2222 %s\n[192.0.2.7]:2222 %s\n", NACRE_HOST_REJECT, false, NACRE_OK, 0, ""},
        {"[host]:2222 %s\n", NACRE_HOST_REJECT, false, NACRE_OK, 0, "[192.0.2.7]:2222 %s\n"},
        {"[host]:2222 %s\n[192.0.2.7]:2222 %o\n", NACRE_HOST_REJECT, false, NACRE_HOST_KEY_CHANGED,
         0, ""},
        {"[host]:2222 %s\n[192.0.2.7]:2222 %o\n", NACRE_HOST_ACCEPT_NEW, false,
         NACRE_HOST_KEY_CHANGED, 0, ""},
        {"[host]:2222 %s\n[192.0.2.7]:2222 %o\n", NACRE_HOST_ASK, true, NACRE_OK, 1, ""},
        {"[host]:2222 %s\n[192.0.2.7]:2222 %o\n", NACRE_HOST_ASK, false, NACRE_HOST_KEY_CHANGED, 1,
         ""},
        {"[host]:2222 %s\n[192.0.2.7]:2222 %o\n", NACRE_HOST_INSECURE, false, NACRE_OK, 0, ""},
        {NULL, NACRE_HOST_ACCEPT_NEW, false, NACRE_OK, 0, "[host]:2222,[192.0.2.7]:2222 %s\n"},
        {"[192.0.2.7]:2222 %o\n", NACRE_HOST_ACCEPT_NEW, false, NACRE_HOST_KEY_CHANGED, 0, ""},
        {"[192.0.2.7]:2222 %s\n", NACRE_HOST_ACCEPT_NEW, false, NACRE_OK, 0, "[host]:2222 %s\n"},
        {"[192.0.2.7]:2222 %o\n", NACRE_HOST_ASK, true, NACRE_OK, 1, "[host]:2222 %s\n"},
        {"[host]:2222 %s\n@revoked [192.0.2.7]:2222 %s\n", NACRE_HOST_INSECURE, false,
         NACRE_HOST_KEY_REVOKED, 0, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        trial t;
        begin(&t, rows[i].policy);
        t.s.cfg.trust.check_host_ip = true;
        t.address = "192.0.2.7";
        t.known = rows[i].known;
        t.says_yes = rows[i].says_yes;
        int rc = run(&t);
        if (rc != rows[i].rc || t.asked != rows[i].asked || !file_is(&t, rows[i].written)) {
            fail_msg("row %zu: %d (%s), asked %u", i, rc, nacre_client_error(t.s.c)->text, t.asked);
        }
        end(&t);
    }
}

static void some_addresses_are_not_looked_at(void **state)
{
    (void)state;
    static const char *const addresses[] = {"127.0.0.1", "127.8.8.8", "::1", "host", ""};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        trial t;
        begin(&t, NACRE_HOST_REJECT);
        t.s.cfg.trust.check_host_ip = true;
        t.address = addresses[i];
        t.known = "[host]:2222 %s\n";
        assert_int_equal(run(&t), NACRE_OK);
        assert_true(file_is(&t, ""));
        end(&t);
    }
}

static void loopback_may_be_trusted_blindly_but_no_revoked_key(void **state)
{
    (void)state;
    static const struct {
        const char *address, *known, *alias;
        int rc;
    } rows[] = {
        {"127.0.0.1", "[host]:2222 %o\n", NULL, NACRE_OK},
        {"::1", NULL, NULL, NACRE_OK},
        {"192.0.2.7", NULL, NULL, NACRE_HOST_KEY_UNKNOWN},
        {"", NULL, NULL, NACRE_HOST_KEY_UNKNOWN},
        {"127.0.0.1", NULL, "alias", NACRE_HOST_KEY_UNKNOWN},
        {"127.0.0.1", "@revoked * %s\n", NULL, NACRE_HOST_KEY_REVOKED},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        trial t;
        begin(&t, NACRE_HOST_REJECT);
        t.s.cfg.trust.trust_loopback = true;
        t.s.cfg.host_key_alias = rows[i].alias;
        t.address = rows[i].address;
        t.known = rows[i].known;
        assert_int_equal(run(&t), rows[i].rc);
        end(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_dns_vouches_only_when_it_is_secure_and_asked_to),
        cmocka_unit_test(a_person_is_told_what_the_dns_says),
        cmocka_unit_test(lines_from_elsewhere_count_like_those_of_files),
        cmocka_unit_test(a_list_that_cannot_be_read_refuses),
        cmocka_unit_test(the_address_has_its_say),
        cmocka_unit_test(some_addresses_are_not_looked_at),
        cmocka_unit_test(loopback_may_be_trusted_blindly_but_no_revoked_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
