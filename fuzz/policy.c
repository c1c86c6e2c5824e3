/*
 * Who gets in, by text: lines of shosts files, and lists of AuthenticationMethods with a way through them.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "nacre/auth_policy.h"
#include "nacre/hostbased.h"

static void insist(bool truth)
{
    if (!truth) {
        abort();
    }
}

static void ask_rhosts(nacre_span text)
{
    uint32_t line = 0;
    if (text.n && memchr(text.p, '@', text.n)) {
        return; /* netgroups are the system's */
    }
    int rc = nacre_rhosts_check(text, "host.example", "192.0.2.1", "bob", "alice", &line);
    insist(rc == NACRE_OK || rc == NACRE_AUTH_FAILED || rc == NACRE_NOT_FOUND);
    insist((line > 0) == (rc != NACRE_NOT_FOUND));
}

/* Whatever the list, nobody is in before a list of methods that all were asked for is complete. */
static void walk(nacre_auth_policy *p, nacre_span steps)
{
    static const char *const names[] = {"publickey", "password", "keyboard-interactive",
                                        "hostbased"};
    while (steps.n) {
        const char *name = names[fuzz_byte(&steps) % 4];
        bool allowed = nacre_auth_policy_allows(p, name, NULL);
        insist(allowed == (strstr(nacre_auth_policy_methods(p), name) != NULL));
        int rc = nacre_auth_policy_passed(p, name, NULL);
        insist(rc == NACRE_OK || rc == NACRE_AUTH_PARTIAL || rc == NACRE_AUTH_FAILED);
        insist(allowed || rc == NACRE_AUTH_FAILED);
        if (rc == NACRE_OK) {
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char list[512];
    nacre_span in = {data, size};
    ask_rhosts(in);
    nacre_span head = fuzz_take(&in, 200);
    if (head.n) {
        memcpy(list, head.p, head.n);
    }
    list[head.n] = '\0';
    const char *lists[] = {list, "publickey,password"};
    nacre_error why;
    int fit = nacre_auth_policy_check(list, &why);
    for (size_t count = 1; count <= 2; count++) {
        nacre_auth_policy *p = NULL;
        int rc = nacre_auth_policy_new(&p, NULL, lists, count,
                                       "publickey,password,keyboard-interactive,hostbased", &why);
        insist((rc == NACRE_OK) == (p != NULL));
        insist(fit == NACRE_OK || rc == NACRE_SYNTAX);
        if (p) {
            walk(p, in.n ? in : head);
        }
        nacre_auth_policy_free(p);
    }
    return 0;
}
