/*
 * show_cert.c - what certificates say (-L).
 */
#include "keygen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is(nacre_span s, const char *word)
{
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

static void put_span(nacre_span s)
{
    char *text = malloc(4 * s.n + 1);
    if (!text) {
        kg_die("out of memory");
    }
    (void)nacre_escape(text, 4 * s.n + 1, s);
    (void)fputs(text, stdout);
    free(text);
}

static void put_hex(nacre_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        (void)printf("%02x", s.p[i]);
    }
}

static bool in_list(nacre_span name, const char *const *list)
{
    for (; *list; list++) {
        if (is(name, *list)) {
            return true;
        }
    }
    return false;
}

/*
 * The data of an option that nobody knows is shown as it lies there, which is with the length of the string
 * within where it has one.
 */
static void put_unknown(nacre_span name, nacre_span data, nacre_span rest, nacre_span before)
{
    /* name and data lie in before: a string each. What is behind the name and its data's length is the data. */
    const uint8_t *raw = before.p + 4 + name.n + 4;
    nacre_span whole = {raw, (size_t)(rest.p - raw)};
    (void)data;
    if (whole.n == 0) {
        (void)printf(" UNKNOWN FLAG OPTION\n");
        return;
    }
    (void)printf(" UNKNOWN OPTION: ");
    put_hex(whole);
    (void)printf(" (len %zu)\n", whole.n);
}

static void put_options(const char *title, nacre_span list, bool critical)
{
    static const char *const flags[] = {"permit-X11-forwarding",
                                        "permit-agent-forwarding",
                                        "permit-port-forwarding",
                                        "permit-pty",
                                        "permit-user-rc",
                                        "no-touch-required",
                                        NULL};
    static const char *const critical_flags[] = {"verify-required", NULL};
    static const char *const texts[] = {"force-command", "source-address", NULL};
    (void)printf("        %s: %s\n", title, list.n ? "" : "(none)");
    for (;;) {
        nacre_span before = list, name, data;
        if (!nacre_cert_next_option(&list, &name, &data)) {
            return;
        }
        (void)printf("                ");
        put_span(name);
        if (in_list(name, critical ? critical_flags : flags)) {
            (void)putchar('\n');
        } else if (critical && in_list(name, texts)) {
            (void)putchar(' ');
            put_span(data);
            (void)putchar('\n');
        } else {
            put_unknown(name, data, list, before);
        }
    }
}

void kg_format_validity(const nacre_cert_info *c, char *out, size_t size)
{
    char from[32] = "", to[32] = "";
    bool begins = c->valid_after != 0;
    bool ends = c->valid_before != NACRE_CERT_FOREVER;
    (void)nacre_date_write(c->valid_after, nacre_zone_local, NULL, from, sizeof(from));
    (void)nacre_date_write(c->valid_before, nacre_zone_local, NULL, to, sizeof(to));
    if (begins && ends) {
        (void)snprintf(out, size, "from %s to %s", from, to);
    } else if (begins) {
        (void)snprintf(out, size, "after %s", from);
    } else if (ends) {
        (void)snprintf(out, size, "before %s", to);
    } else {
        (void)snprintf(out, size, "forever");
    }
}

static void put_principals(nacre_span list)
{
    nacre_span name;
    (void)printf("        Principals: ");
    if (list.n == 0) {
        (void)printf("(none)\n");
        return;
    }
    while (nacre_cert_next_principal(&list, &name)) {
        (void)printf("\n                ");
        put_span(name);
    }
    (void)putchar('\n');
}

static void put_cert(const keygen *g, const nacre_key *key)
{
    nacre_cert_info c;
    char print[256], ca_print[256], valid[80];
    if (nacre_key_cert_info(key, &c) != NACRE_OK) {
        kg_die("not a certificate");
    }
    kg_print_of(g, key, false, print, sizeof(print));
    kg_print_of(g, c.ca, false, ca_print, sizeof(ca_print));
    kg_format_validity(&c, valid, sizeof(valid));
    (void)printf("        Type: %s %s certificate\n", nacre_key_type(key),
                 c.kind == NACRE_CERT_USER ? "user" : "host");
    (void)printf("        Public key: %s %s\n", nacre_key_label(key), print);
    (void)printf("        Signing CA: %s %s (using %s)\n", nacre_key_label(c.ca), ca_print,
                 c.ca_algorithm);
    (void)printf("        Key ID: \"");
    put_span(c.key_id);
    (void)printf("\"\n        Serial: %llu\n        Valid: %s\n", (unsigned long long)c.serial,
                 valid);
    put_principals(c.principals);
    put_options("Critical Options", c.critical, true);
    put_options("Extensions", c.extensions, false);
}

static bool show_line(const keygen *g, const char *at, const char *path, unsigned long number,
                      bool standard)
{
    nacre_error why = {0};
    nacre_key *key = kg_key_at(&at, &why);
    if (!key) {
        kg_say("%s:%lu: invalid key: %s", path, number,
               why.status == NACRE_UNSUPPORTED ? "unknown or unsupported key type"
                                               : "invalid format");
        return false;
    }
    bool cert = nacre_key_is_cert(key);
    if (!cert) {
        kg_say("%s:%lu is not a certificate", path, number);
    } else {
        if (!standard && number == 1) {
            (void)printf("%s:\n", path);
        } else {
            (void)printf("%s:%lu:\n", path, number);
        }
        put_cert(g, key);
    }
    nacre_key_free(key);
    return cert;
}

int kg_show_cert(keygen *g)
{
    struct stat st;
    if (!g->have_file) {
        kg_ask_file(g, "Enter file in which the key is");
    }
    bool standard = strcmp(g->file, "-") == 0;
    if (!standard && stat(g->file, &st) != 0) {
        kg_die("%s: %s: %s", g->program, g->file, strerror(errno));
    }
    FILE *f = standard ? stdin : fopen(g->file, "re");
    const char *path = standard ? "(stdin)" : g->file;
    if (!f) {
        kg_die("fopen %s: %s", g->file, strerror(errno));
    }
    char *buffer = NULL, *line;
    size_t room = 0;
    unsigned long number = 0;
    bool any = false;
    while ((line = kg_line(f, &buffer, &room)) != NULL) {
        number++;
        line += strspn(line, " \t");
        if (*line != '#' && *line != '\0') {
            any = show_line(g, line, path, number, standard) || any;
        }
    }
    free(buffer);
    if (!standard) {
        (void)fclose(f);
    }
    return any ? 0 : 1;
}
