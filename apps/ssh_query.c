/*
 * ssh_query.c - what nacre-ssh can do (-Q), and what it would do (-G).
 */
#include "ssh_session.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LIST_MAX = 8192 };

static bool is_aead(const char *name)
{
    return strstr(name, "gcm") || strstr(name, "poly1305");
}

/* Which names of a list a query prints. */
typedef enum shown { EVERY, AEAD, TYPES, CERT_TYPES, PLAIN_TYPES, SIGNATURES } shown;

static bool is_shown(const char *name, shown what)
{
    bool cert = strstr(name, "-cert-v01@") != NULL;
    bool type = strncmp(name, "rsa-sha2-", 9) != 0; /* signatures of the type ssh-rsa */
    switch (what) {
    case AEAD:
        return is_aead(name);
    case TYPES:
        return type;
    case CERT_TYPES:
        return type && cert;
    case PLAIN_TYPES:
        return type && !cert;
    case SIGNATURES:
        return !cert;
    default:
        return true;
    }
}

static void print_names(nacre_algorithm_kind kind, shown what)
{
    char list[LIST_MAX];
    char *rest = list;
    (void)nacre_algorithms(kind, false, list, sizeof(list));
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
        if (*name && is_shown(name, what)) {
            (void)puts(name);
        }
    }
}

static const struct {
    const char *name;
    nacre_algorithm_kind kind;
    shown what;
} rows[] = {{"cipher", NACRE_ALG_CIPHER, EVERY},
            {"Ciphers", NACRE_ALG_CIPHER, EVERY},
            {"cipher-auth", NACRE_ALG_CIPHER, AEAD},
            {"compression", NACRE_ALG_COMPRESSION, EVERY},
            {"kex", NACRE_ALG_KEX, EVERY},
            {"KexAlgorithms", NACRE_ALG_KEX, EVERY},
            {"key", NACRE_ALG_HOST_KEY, TYPES},
            {"key-cert", NACRE_ALG_HOST_KEY, CERT_TYPES},
            {"key-plain", NACRE_ALG_HOST_KEY, PLAIN_TYPES},
            {"key-ca-sign", NACRE_ALG_CA_SIGNATURE, EVERY},
            {"CASignatureAlgorithms", NACRE_ALG_CA_SIGNATURE, EVERY},
            {"HostKeyAlgorithms", NACRE_ALG_HOST_KEY, EVERY},
            {"mac", NACRE_ALG_MAC, EVERY},
            {"MACs", NACRE_ALG_MAC, EVERY},
            {"sig", NACRE_ALG_SIGNATURE, SIGNATURES},
            {"key-sig", NACRE_ALG_SIGNATURE, EVERY},
            {"PubkeyAcceptedAlgorithms", NACRE_ALG_SIGNATURE, EVERY},
            {"PubkeyAcceptedKeyTypes", NACRE_ALG_SIGNATURE, EVERY},
            {"HostbasedAcceptedAlgorithms", NACRE_ALG_SIGNATURE, EVERY},
            {"HostbasedAcceptedKeyTypes", NACRE_ALG_SIGNATURE, EVERY},
            {"HostbasedKeyTypes", NACRE_ALG_SIGNATURE, EVERY}};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

int query_print(const char *program, const char *kind)
{
    if (strcasecmp(kind, "help") == 0) {
        for (size_t i = 0; i < ROWS; i++) {
            if (!isupper((unsigned char)rows[i].name[0])) { /* keywords name lists, too */
                (void)puts(rows[i].name);
            }
        }
        (void)puts("protocol-version");
        return 0;
    }
    if (strcasecmp(kind, "protocol-version") == 0) {
        (void)puts("2");
        return 0;
    }
    for (size_t i = 0; i < ROWS; i++) {
        if (strcasecmp(kind, rows[i].name) == 0) {
            print_names(rows[i].kind, rows[i].what);
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
