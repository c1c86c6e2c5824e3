/*
 * authorized_keys, principals files and files of authorities: any text, asked about a plain key and about a
 * certificate. What lets in must say so in a grant that holds together.
 */
#include <stdlib.h>
#include <string.h>

#include "fixed_key.h"
#include "fuzz.h"
#include "nacre/authorized_keys.h"
#include "nacre/cert.h"

/* The key of tests/data/keys/ed25519, and a certificate of it that was made for alice and bob. */
static const char plain_line[] =
    "ssh-ed25519 "
    "AAAAC3NzaC1lZDI1NTE5AAAAIFj6ajJ8MJdS8WwtZytV9F0/uNrD4yk/4YB03RIBrq14";
static const char cert_line[] =
    "ssh-ed25519-cert-v01@openssh.com "
    "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIL4fMRkKHqwHodLtglaVucnb"
    "NNQusi9625Dm4B/UMDsZAAAAIFj6ajJ8MJdS8WwtZytV9F0/uNrD4yk/4YB03RIBrq14AAAAAAAA"
    "AAEAAAABAAAADHVzZXIgZWQyNTUxOQAAABAAAAAFYWxpY2UAAAADYm9iAAAAAGWSAIAAAAAAeGH4"
    "AAAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZv"
    "cndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkA"
    "AAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIDu3n5E0"
    "840zoVF+uvNBjRneS0gW0B3hMtJ13LAZRelDAAAAUwAAAAtzc2gtZWQyNTUxOQAAAED2gjaZW1QY"
    "MgunaED35zqXVagtVVKYR5GraH4pjM4iyVELGSXeM3vo/G5dUuSMYimInaSQnVzR8L3Wv5DDnLQL";

static void look_at(const nacre_key_grant *g)
{
    nacre_sk_details sk = {.sk = true};
    if (g->may & ~(uint32_t)NACRE_MAY_ALL) {
        abort();
    }
    (void)!nacre_key_grant_signature(g, &sk, false, false, NULL);
    if (nacre_key_grant_permits(g, false, "host.example", 22) &&
        !(g->may & NACRE_MAY_FORWARD_PORT)) {
        abort();
    }
    (void)nacre_key_grant_permits(g, true, "localhost", 8080);
}

static void ask(const nacre_key *key, nacre_span text, const nacre_login_facts *facts)
{
    static nacre_key_grant grant;
    nacre_error why;
    if (nacre_authorized_keys_check(text, key, facts, &grant, &why) == NACRE_OK) {
        look_at(&grant);
        if (grant.certificate != nacre_key_is_cert(key)) {
            abort();
        }
    }
    if (nacre_authorized_principals_check(text, key, facts, &grant, &why) == NACRE_OK) {
        look_at(&grant);
        if (!nacre_key_is_cert(key)) {
            abort();
        }
    }
    (void)!nacre_keys_list_has(text, key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static nacre_key *plain, *cert;
    const nacre_span text = {data, size};
    nacre_login_facts facts;
    memset(&facts, 0, sizeof(facts));
    facts.user = "alice";
    facts.peer_address = "192.0.2.1";
    facts.peer_host = "host.example";
    facts.now_seconds = 1750000000;
    ask(fuzz_key_once(&plain, plain_line), text, &facts);
    ask(fuzz_key_once(&cert, cert_line), text, &facts);
    return 0;
}
