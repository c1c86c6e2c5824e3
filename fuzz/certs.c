/*
 * Certificates and revocation lists: what is read must be judged, printed, asked and written again without harm, and
 * come back the same.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "nacre/cert.h"
#include "nacre/krl.h"

static nacre_key *some_key(void)
{
    static const char line[] =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";
    const nacre_span text = {(const uint8_t *)line, sizeof(line) - 1};
    nacre_key *k = NULL;
    return nacre_key_from_public_line(&k, NULL, text, NULL) == NACRE_OK ? k : NULL;
}

static void walk(const nacre_cert_info *i)
{
    nacre_span rest = i->principals;
    nacre_span name, data;
    size_t count = 0;
    while (nacre_cert_next_principal(&rest, &name)) {
        count++;
    }
    rest = i->critical;
    while (nacre_cert_next_option(&rest, &name, &data)) {
        count++;
    }
    rest = i->extensions;
    while (nacre_cert_next_option(&rest, &name, &data)) {
        count++;
    }
    if (count > i->principals.n + i->critical.n + i->extensions.n) {
        abort();
    }
}

static void use_cert(nacre_key *k)
{
    nacre_cert_info i;
    nacre_cert_grant grant;
    nacre_cert_rules rules;
    nacre_key *plain = NULL;
    nacre_error why;
    if (nacre_key_cert_info(k, &i) == NACRE_OK) {
        walk(&i);
        (void)!nacre_cert_options(k, &grant, &why);
        nacre_cert_rules_init(&rules, i.kind);
        rules.principal = "alice";
        rules.now = 1750000000;
        rules.peer_address = "10.0.0.1";
        (void)!nacre_cert_check(k, &rules, &why);
        if (nacre_key_plain(&plain, k) != NACRE_OK || nacre_key_equal(plain, k)) {
            abort();
        }
        nacre_key_free(plain);
    }
    nacre_key_free(k);
}

static void use_krl(nacre_krl *k, nacre_key *key)
{
    uint8_t *file = NULL;
    size_t n = 0;
    nacre_krl *again = NULL;
    nacre_krl_cursor at;
    nacre_krl_entry e;
    memset(&at, 0, sizeof(at));
    (void)!nacre_krl_check(k, key, NULL);
    while (nacre_krl_next(k, &at, &e)) {
        if (e.kind == NACRE_KRL_SERIALS && (e.lo == 0 || e.lo > e.hi)) {
            abort();
        }
    }
    if (nacre_krl_write(k, &file, &n) == NACRE_OK) {
        const nacre_span written = {file, n};
        if (nacre_krl_parse(&again, NULL, written, NULL) != NACRE_OK) {
            abort();
        }
        nacre_secret_free(NULL, file, n);
    }
    nacre_krl_free(again);
    nacre_krl_free(k);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_key *k = NULL;
    nacre_krl *list = NULL;
    nacre_error err;
    const nacre_span in = {data, size};
    if (nacre_key_from_public_line(&k, NULL, in, &err) == NACRE_OK) {
        use_cert(k);
    }
    if (nacre_key_from_blob(&k, NULL, in, &err) == NACRE_OK) {
        use_cert(k);
    }
    nacre_key *key = some_key();
    if (key && nacre_krl_parse(&list, NULL, in, &err) == NACRE_OK) {
        use_krl(list, key);
    }
    nacre_key_free(key);
    return 0;
}
