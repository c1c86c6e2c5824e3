/*
 * known_hosts and authorized_keys: any text, questions about it, and known_hosts edited and written again.
 */
#include <stdlib.h>
#include <string.h>

#include "fixed_key.h"
#include "fuzz.h"
#include "nacre/authorized_keys.h"
#include "nacre/known_hosts.h"

/* Every line hashed where it can be, every third removed; the text is what was not touched, and is read again. */
static void edit(nacre_known_hosts *hosts, nacre_span before)
{
    uint8_t *text = NULL;
    size_t n = 0;
    nacre_known_hosts *again = NULL;
    if (nacre_known_hosts_text(hosts, NULL, &text, &n) != NACRE_OK) {
        return;
    }
    if (n != before.n || (n && memcmp(text, before.p, n) != 0)) {
        abort();
    }
    nacre_secret_free(NULL, text, n);
    for (size_t i = 0; i < nacre_known_hosts_count(hosts) && i < 64;) {
        size_t lines = 1;
        (void)!nacre_known_hosts_hash(hosts, i, &lines);
        if (i % 3 == 2) {
            (void)!nacre_known_hosts_remove(hosts, i);
        } else {
            i += lines;
        }
    }
    if (nacre_known_hosts_text(hosts, NULL, &text, &n) != NACRE_OK) {
        return;
    }
    if (nacre_known_hosts_new(&again, NULL) == NACRE_OK &&
        nacre_known_hosts_add_text(again, (nacre_span){text, n}, "again") == NACRE_OK &&
        nacre_known_hosts_count(again) != nacre_known_hosts_count(hosts)) {
        abort();
    }
    nacre_known_hosts_free(again);
    nacre_secret_free(NULL, text, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const nacre_span text = {data, size};
    const nacre_key *key = fuzz_fixed_key();
    nacre_known_hosts *hosts = NULL;
    if (nacre_known_hosts_new(&hosts, NULL) == NACRE_OK &&
        nacre_known_hosts_add_text(hosts, text, "input") == NACRE_OK) {
        char types[256];
        (void)nacre_known_hosts_check(hosts, "host.example", 22, key, NULL);
        (void)nacre_known_hosts_check(hosts, "host.example", 2222, key, NULL);
        (void)nacre_known_hosts_types(hosts, "10.0.0.1", 22, types, sizeof(types));
        (void)nacre_known_hosts_has_authority(hosts, "host.example", 22);
        edit(hosts, text);
    }
    nacre_known_hosts_free(hosts);

    static nacre_key_grant grant;
    nacre_login_facts facts;
    nacre_error why;
    memset(&facts, 0, sizeof(facts));
    facts.user = "user";
    facts.peer_address = "192.0.2.1";
    facts.peer_host = "host.example";
    facts.now_seconds = 1700000000;
    (void)!nacre_authorized_keys_check(text, key, &facts, &grant, &why);
    return 0;
}
