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

static void print_lower(const char *keyword, const char *value)
{
    for (const char *p = keyword; *p; p++) {
        (void)putchar(tolower((unsigned char)*p));
    }
    (void)printf(" %s\n", value);
}

static void print_default(const ssh_setup *s, const char *keyword, const char *value)
{
    if (!nacre_ssh_config_get(s->conf, keyword)) {
        print_lower(keyword, value);
    }
}

static void print_algorithms(const ssh_setup *s, const char *keyword, nacre_algorithm_kind kind)
{
    char list[LIST_MAX];
    if (!nacre_ssh_config_get(s->conf, keyword)) {
        (void)nacre_algorithms(kind, true, list, sizeof(list));
        print_lower(keyword, list);
    }
}

/* The values of a list stand in one line, as ssh reads them again. */
static void print_values(const ssh_setup *s)
{
    const char *keyword, *value, *before = "";
    bool open = false;
    for (size_t i = 0; nacre_ssh_config_at(s->conf, i, &keyword, &value); i++) {
        if (strcasecmp(keyword, "HostName") == 0 || strcasecmp(keyword, "User") == 0 ||
            strcasecmp(keyword, "Port") == 0) {
            continue;
        }
        bool list = strcmp(keyword, "UserKnownHostsFile") == 0 ||
                    strcmp(keyword, "GlobalKnownHostsFile") == 0;
        if (open && list && strcmp(before, keyword) == 0) {
            (void)printf(" %s", value);
            continue;
        }
        if (open) {
            (void)putchar('\n');
        }
        for (const char *p = keyword; *p; p++) {
            (void)putchar(tolower((unsigned char)*p));
        }
        (void)printf(" %s", value);
        open = true;
        before = keyword;
    }
    if (open) {
        (void)putchar('\n');
    }
}

void query_config(const ssh_setup *s)
{
    static const char *const defaults[][2] = {
        {"AddressFamily", "any"},
        {"BatchMode", "no"},
        {"Compression", "no"},
        {"ConnectionAttempts", "1"},
        {"ConnectTimeout", "none"},
        {"EscapeChar", "~"},
        {"ForwardAgent", "no"},
        {"ForwardX11", "no"},
        {"GlobalKnownHostsFile", "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"},
        {"HashKnownHosts", "no"},
        {"IdentitiesOnly", "no"},
        {"KbdInteractiveAuthentication", "yes"},
        {"NumberOfPasswordPrompts", "3"},
        {"PasswordAuthentication", "yes"},
        {"PreferredAuthentications", "publickey,keyboard-interactive,password"},
        {"PubkeyAuthentication", "true"},
        {"RekeyLimit", "0 0"},
        {"RequestTTY", "auto"},
        {"RequiredRSASize", "1024"},
        {"ServerAliveCountMax", "3"},
        {"ServerAliveInterval", "0"},
        {"SessionType", "default"},
        {"StdinNull", "no"},
        {"StrictHostKeyChecking", "ask"},
        {"TCPKeepAlive", "yes"},
        {"UserKnownHostsFile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"}};
    print_lower("host", s->dest.host);
    print_lower("user", s->user);
    print_lower("hostname", s->host);
    print_lower("port", s->port_text);
    print_values(s);
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++) {
        print_default(s, defaults[i][0], defaults[i][1]);
    }
    if (nacre_ssh_config_count(s->conf, "IdentityFile") == 0) {
        print_lower("identityfile", "~/.ssh/id_ed25519");
        print_lower("identityfile", "~/.ssh/id_ecdsa");
        print_lower("identityfile", "~/.ssh/id_rsa");
    }
    print_algorithms(s, "KexAlgorithms", NACRE_ALG_KEX);
    print_algorithms(s, "HostKeyAlgorithms", NACRE_ALG_HOST_KEY);
    print_algorithms(s, "Ciphers", NACRE_ALG_CIPHER);
    print_algorithms(s, "MACs", NACRE_ALG_MAC);
    print_algorithms(s, "PubkeyAcceptedAlgorithms", NACRE_ALG_SIGNATURE);
}
