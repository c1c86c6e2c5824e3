/*
 * ssh_query.c - what nacre-ssh can do (-Q), and what it would do (-G).
 */
#include "ssh_session.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LIST_MAX = 8192 };

static bool is_aead(const char *name)
{
    return strstr(name, "gcm") || strstr(name, "poly1305");
}

static bool is_rsa_sha2(const char *name)
{
    return strncmp(name, "rsa-sha2-", 9) == 0;
}

static void print_names(nacre_algorithm_kind kind, bool only_aead, bool key_types)
{
    char list[LIST_MAX];
    char *rest = list;
    bool rsa = false;
    (void)nacre_algorithms(kind, false, list, sizeof(list));
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
        if (!*name || (only_aead && !is_aead(name))) {
            continue;
        }
        if (key_types && (is_rsa_sha2(name) || strcmp(name, "ssh-rsa") == 0)) {
            if (!rsa) {
                (void)puts("ssh-rsa"); /* one type of key, three names of signatures */
            }
            rsa = true;
            continue;
        }
        (void)puts(name);
    }
}

static const struct {
    const char *name;
    nacre_algorithm_kind kind;
    bool aead, types;
} rows[] = {{"cipher", NACRE_ALG_CIPHER, false, false},
            {"Ciphers", NACRE_ALG_CIPHER, false, false},
            {"cipher-auth", NACRE_ALG_CIPHER, true, false},
            {"compression", NACRE_ALG_COMPRESSION, false, false},
            {"kex", NACRE_ALG_KEX, false, false},
            {"KexAlgorithms", NACRE_ALG_KEX, false, false},
            {"key", NACRE_ALG_HOST_KEY, false, true},
            {"key-plain", NACRE_ALG_HOST_KEY, false, true},
            {"HostKeyAlgorithms", NACRE_ALG_HOST_KEY, false, false},
            {"mac", NACRE_ALG_MAC, false, false},
            {"MACs", NACRE_ALG_MAC, false, false},
            {"sig", NACRE_ALG_SIGNATURE, false, false},
            {"key-sig", NACRE_ALG_SIGNATURE, false, false},
            {"PubkeyAcceptedAlgorithms", NACRE_ALG_SIGNATURE, false, false}};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

int query_print(const char *program, const char *kind)
{
    if (strcasecmp(kind, "help") == 0) {
        for (size_t i = 0; i < ROWS; i++) {
            (void)puts(rows[i].name);
        }
        (void)puts("protocol-version");
        return 0;
    }
    if (strcasecmp(kind, "protocol-version") == 0) {
        (void)puts("2");
        return 0;
    }
    if (strcasecmp(kind, "key-cert") == 0 || strcasecmp(kind, "key-ca-sign") == 0) {
        return 0;
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (strcasecmp(kind, rows[i].name) == 0) {
            print_names(rows[i].kind, rows[i].aead, rows[i].types);
            return 0;
        }
    }
    (void)fprintf(stderr, "%s: Unsupported query \"%s\"\n", program, kind);
    return 255;
}

/* user: whether to print. */
static void print_line(void *user, const char *keyword, const char *value)
{
    if (user) {
        (void)printf("%s %s\n", keyword, value);
    }
}

int query_config(const ssh_setup *s)
{
    nacre_error why = {0};
    bool print = true;
    /* All or nothing: what fails is seen before the first line. */
    if (nacre_ssh_config_show(s->conf, print_line, NULL, &why) == NACRE_OK &&
        nacre_ssh_config_show(s->conf, print_line, &print, &why) == NACRE_OK) {
        return 0;
    }
    setup_say(s, "%s", why.text);
    return 255;
}
