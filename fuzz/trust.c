/*
 * known_hosts and authorized_keys: any text, and questions about it.
 */
#include <string.h>

#include "fuzz.h"
#include "nacre/authorized_keys.h"
#include "nacre/known_hosts.h"

static const char line[] = "ssh-ed25519 "
                           "AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const nacre_span text = {data, size};
    const nacre_span key_line = {(const uint8_t *)line, sizeof(line) - 1};
    nacre_known_hosts *hosts = NULL;
    nacre_key *key = NULL;
    if (nacre_key_from_public_line(&key, NULL, key_line, NULL) != NACRE_OK) {
        return 0;
    }
    if (nacre_known_hosts_new(&hosts, NULL) == NACRE_OK &&
        nacre_known_hosts_add_text(hosts, text, "input") == NACRE_OK) {
        char types[256];
        (void)nacre_known_hosts_check(hosts, "host.example", 22, key, NULL);
        (void)nacre_known_hosts_check(hosts, "host.example", 2222, key, NULL);
        (void)nacre_known_hosts_types(hosts, "10.0.0.1", 22, types, sizeof(types));
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
    nacre_key_free(key);
    return 0;
}
