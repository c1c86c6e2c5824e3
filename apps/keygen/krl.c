/*
 * krl.c - key revocation lists: made or added to from specifications (-k, -u), and asked (-Q).
 */
#include "nacre/krl.h"
#include "keygen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>

/* ---- reading a list ---- */

static nacre_krl *load(const char *path)
{
    static const char magic[8] = "SSHKRL\n";
    uint8_t *data = NULL;
    size_t n = 0;
    int number = strcmp(path, "-") == 0 ? ENOENT : kg_read(path, &data, &n);
    if (number) {
        kg_die("Unable to load KRL %s: %s", path, strerror(number));
    }
    if (n < sizeof(magic) || memcmp(data, magic, sizeof(magic)) != 0) {
        kg_die("Invalid KRL file %s: KRL file has invalid magic number", path);
    }
    nacre_krl *krl = NULL;
    nacre_error why;
    nacre_span file = {data, n};
    int rc = nacre_krl_parse(&krl, NULL, file, &why);
    if (rc != NACRE_OK) {
        kg_die("Invalid KRL file %s: %s", path, why.text);
    }
    kg_forget(data, n);
    return krl;
}

/* ---- specifications ---- */

typedef struct spec {
    const keygen *g;
    nacre_krl *krl;
    const nacre_key *ca;
    bool any_ca;
    const char *path;
    unsigned long line;
} spec;

static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Base64 without padding, as fingerprints have it. The length; -1: it is none, or too long. */
static int decode(const char *text, uint8_t *out, size_t size)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t n = 0;
    for (; *text && *text != '='; text++) {
        int v = base64_value(*text);
        if (v < 0) {
            return -1;
        }
        bits = bits << 6 | (uint32_t)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            if (n == size) {
                return -1;
            }
            out[n++] = (uint8_t)(bits >> held);
        }
    }
    return (int)n;
}

static void need_ca(const spec *s, const char *by)
{
    if (!s->ca && !s->any_ca) {
        kg_die("revoking certificates by %s requires specification of a CA key", by);
    }
}

static uint64_t take_serial(const spec *s, const char *text, char **end)
{
    errno = 0;
    unsigned long long v = strtoull(text, end, 0);
    if (*end == text) {
        kg_die("%s:%lu: invalid serial \"%s\"", s->path, s->line, text);
    }
    if (errno == ERANGE) {
        kg_die("%s:%lu: serial out of range", s->path, s->line);
    }
    return v;
}

static void revoke_serials(const spec *s, const char *text)
{
    need_ca(s, "serial number");
    char *end = NULL;
    uint64_t lo = take_serial(s, text, &end), hi = lo;
    if (*end == '-') {
        const char *second = end + 1;
        hi = take_serial(s, second, &end);
        if (!*end && hi <= lo) {
            kg_die("%s:%lu: invalid serial range %llu:%llu", s->path, s->line,
                   (unsigned long long)lo, (unsigned long long)hi);
        }
        text = second;
    }
    if (*end) {
        kg_die("%s:%lu: invalid serial \"%s\"", s->path, s->line, text);
    }
    if (nacre_krl_revoke_serials(s->krl, s->ca, lo, hi) != NACRE_OK) {
        kg_die("update_krl_from_file: revoke serial failed");
    }
}

static void revoke_id(const spec *s, const char *text)
{
    need_ca(s, "key ID");
    if (nacre_krl_revoke_key_id(s->krl, s->ca, kg_text(text)) != NACRE_OK) {
        kg_die("update_krl_from_file: revoke key ID failed");
    }
}

static void revoke_digest(const spec *s, const char *hash, const char *text)
{
    uint8_t digest[64];
    int n = decode(text, digest, sizeof(digest));
    if (n < 0) {
        kg_die("%s:%lu: decode hash failed: invalid format", s->path, s->line);
    }
    nacre_span d = {digest, (size_t)n};
    if (nacre_krl_revoke_digest(s->krl, hash, d) != NACRE_OK) {
        kg_die("update_krl_from_file: revoke key failed: invalid format");
    }
}

static void revoke_hash(const spec *s, const char *text)
{
    if (strncmp(text, "SHA256:", 7) != 0) {
        kg_die("%s:%lu: unsupported hash algorithm", s->path, s->line);
    }
    revoke_digest(s, "sha256", text + 7);
}

static nacre_key *take_key(const spec *s, const char *text)
{
    nacre_error why = {0};
    nacre_key *key = kg_key_at(&text, &why);
    if (!key) {
        kg_die("%s:%lu: invalid key: %s", s->path, s->line,
               why.status == NACRE_UNSUPPORTED ? "unknown or unsupported key type"
                                               : "invalid format");
    }
    return key;
}

static void revoke_print(const spec *s, const char *hash, const char *text)
{
    char print[256];
    nacre_key *key = take_key(s, text);
    if (nacre_key_fingerprint(key, hash, print, sizeof(print)) < 0) {
        kg_die("%s:%lu: fingerprint failed", s->path, s->line);
    }
    revoke_digest(s, hash, strchr(print, ':') + 1);
    nacre_key_free(key);
}

static void revoke_sha1(const spec *s, const char *text)
{
    revoke_print(s, "sha1", text);
}

static void revoke_sha256(const spec *s, const char *text)
{
    revoke_print(s, "sha256", text);
}

static void revoke_key(const spec *s, const char *text)
{
    nacre_key *key = take_key(s, text);
    int rc = nacre_krl_revoke_key(s->krl, key);
    if (rc != NACRE_OK) {
        kg_die("update_krl_from_file: revoke key failed: %s", nacre_status_text(rc));
    }
    nacre_key_free(key);
}

/* A certificate means itself here, a key itself. */
static void revoke_either(const spec *s, const char *text)
{
    nacre_key *key = take_key(s, text);
    int rc = nacre_key_is_cert(key) ? nacre_krl_revoke_cert(s->krl, key)
                                    : nacre_krl_revoke_key(s->krl, key);
    if (rc != NACRE_OK) {
        kg_die("update_krl_from_file: revoke key failed: %s", nacre_status_text(rc));
    }
    nacre_key_free(key);
}

/* Cuts a comment and the blanks around it. */
static char *trim(char *line)
{
    line += strspn(line, " \t");
    line[strcspn(line, "#")] = '\0';
    size_t n = strlen(line);
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t')) {
        line[--n] = '\0';
    }
    return line;
}

static void take_line(const spec *s, char *line)
{
    static const struct {
        const char *word;
        void (*revoke)(const spec *s, const char *text);
    } rows[] = {{"serial:", revoke_serials}, {"id:", revoke_id},     {"hash:", revoke_hash},
                {"key:", revoke_key},        {"sha1:", revoke_sha1}, {"sha256:", revoke_sha256}};
    line = trim(line);
    if (!*line) {
        return;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *rest = kg_option(line, rows[i].word);
        if (rest) {
            rows[i].revoke(s, rest + strspn(rest, " \t"));
            return;
        }
    }
    revoke_either(s, line);
}

static void take_file(spec *s, const char *name)
{
    char path[KG_PATH];
    kg_expand(s->g, name, path, sizeof(path));
    bool standard = strcmp(path, "-") == 0;
    FILE *f = standard ? stdin : fopen(path, "re");
    if (!f) {
        kg_die("fopen %s: %s", path, strerror(errno));
    }
    s->path = standard ? "(standard input)" : path;
    s->line = 0;
    if (!s->g->quiet) {
        (void)printf("Revoking from %s\n", s->path);
    }
    char *buffer = NULL, *line;
    size_t room = 0;
    while ((line = kg_line(f, &buffer, &room)) != NULL) {
        s->line++;
        take_line(s, line);
    }
    free(buffer);
    if (!standard) {
        (void)fclose(f);
    }
}

/* ---- making a list ---- */

static void check_file(const keygen *g)
{
    struct stat st;
    if (!g->file[0]) {
        kg_die("KRL generation requires an output file");
    }
    if (stat(g->file, &st) == 0) {
        return;
    }
    if (errno != ENOENT) {
        kg_die("Cannot access KRL \"%s\": %s", g->file, strerror(errno));
    }
    if (g->update_krl) {
        kg_die("KRL \"%s\" does not exist", g->file);
    }
}

static void save(const keygen *g, nacre_krl *krl)
{
    nacre_krl_info info;
    nacre_krl_get_info(krl, &info);
    info.version = g->serial ? g->serial : info.version;
    info.comment = g->comment ? g->comment : info.comment;
    info.generated = (uint64_t)time(NULL);
    uint8_t *out = NULL;
    size_t n = 0;
    if (nacre_krl_set_info(krl, &info) != NACRE_OK || nacre_krl_write(krl, &out, &n) != NACRE_OK) {
        kg_die("Couldn't generate KRL");
    }
    mode_t mask = umask(0);
    (void)umask(mask);
    int number = kg_write(g->file, out, n, 0644 & ~mask);
    if (number) {
        kg_die("write %s: %s", g->file, strerror(number));
    }
    nacre_secret_free(NULL, out, n);
}

int kg_make_krl(keygen *g)
{
    nacre_key *ca = NULL;
    nacre_error why;
    bool any_ca = false;
    check_file(g);
    if (g->ca_path && strcasecmp(g->ca_path, "none") == 0) {
        any_ca = true;
    } else if (g->ca_path) {
        char path[KG_PATH];
        kg_expand(g, g->ca_path, path, sizeof(path));
        int rc = kg_load_public(path, &ca, NULL, &why);
        if (rc != NACRE_OK) {
            kg_die("Cannot load CA public key %s: %s", path, kg_reason(rc, &why));
        }
    }
    spec s = {g, NULL, ca, any_ca, NULL, 0};
    if (g->update_krl) {
        s.krl = load(g->file);
    } else if (nacre_krl_new(&s.krl, NULL) != NACRE_OK) {
        kg_die("couldn't create KRL");
    }
    for (int i = 0; i < g->argc; i++) {
        take_file(&s, g->argv[i]);
    }
    save(g, s.krl);
    nacre_krl_free(s.krl);
    nacre_key_free(ca);
    return 0;
}

/* ---- asking ---- */

static void put_hex(nacre_span s)
{
    for (size_t i = 0; i < s.n; i++) {
        (void)printf("%02x", s.p[i]);
    }
    (void)putchar('\n');
}

/* "<what> SHA256:..." of a key; as its type and print stand in ssh-keygen -Q -l. */
static void put_key(nacre_span blob, bool ca)
{
    nacre_key *key = NULL;
    char print[256];
    if (nacre_key_from_blob(&key, NULL, blob, NULL) != NACRE_OK ||
        nacre_key_fingerprint(key, "sha256", print, sizeof(print)) < 0) {
        kg_say("parse KRL key: invalid format");
    } else if (ca) {
        (void)printf("# CA key %s %s\n", nacre_key_type(key), print);
    } else {
        (void)printf("hash: %s # %s\n", print, nacre_key_type(key));
    }
    nacre_key_free(key);
}

static void put_entry(const nacre_krl_entry *e)
{
    switch (e->kind) {
    case NACRE_KRL_KEY:
        put_key(e->blob, false);
        break;
    case NACRE_KRL_SHA256:
        (void)printf("hash: SHA256:");
        put_hex(e->blob);
        break;
    case NACRE_KRL_SHA1:
        (void)printf("# hash SHA1:");
        put_hex(e->blob);
        break;
    case NACRE_KRL_CA:
        (void)putchar('\n');
        if (e->blob.n) {
            put_key(e->blob, true);
        } else {
            (void)puts("# Wildcard CA");
        }
        break;
    case NACRE_KRL_SERIALS:
        (void)printf("serial: %llu", (unsigned long long)e->lo);
        if (e->hi != e->lo) {
            (void)printf("-%llu", (unsigned long long)e->hi);
        }
        (void)putchar('\n');
        break;
    case NACRE_KRL_KEY_ID: {
        char text[4096];
        (void)nacre_escape(text, sizeof(text), e->blob);
        (void)printf("id: %s\n", text);
        break;
    }
    }
}

/* "20261129T155307", in the local zone. */
static void put_timestamp(uint64_t seconds)
{
    char text[32];
    (void)nacre_date_write(seconds, nacre_zone_local, NULL, text, sizeof(text));
    for (const char *p = text; *p; p++) {
        if (*p != '-' && *p != ':') {
            (void)putchar(*p);
        }
    }
}

static void dump(nacre_krl *krl)
{
    nacre_krl_info info;
    nacre_krl_get_info(krl, &info);
    (void)printf("# KRL version %llu\n# Generated at ", (unsigned long long)info.version);
    put_timestamp(info.generated);
    (void)putchar('\n');
    if (info.comment[0]) {
        (void)printf("# Comment: ");
        kg_put(info.comment);
        (void)putchar('\n');
    }
    (void)putchar('\n');
    nacre_krl_cursor at = {0};
    nacre_krl_entry e;
    while (nacre_krl_next(krl, &at, &e)) {
        put_entry(&e);
    }
}

int kg_query_krl(keygen *g)
{
    if (!g->file[0]) {
        kg_die("KRL checking requires an input file");
    }
    int status = 0;
    nacre_krl *krl = load(g->file);
    if (g->print_print) {
        dump(krl);
    }
    for (int i = 0; i < g->argc; i++) {
        nacre_key *key = NULL;
        nacre_error why;
        char comment[KG_COMMENT];
        int rc = kg_load_public(g->argv[i], &key, comment, &why);
        if (rc != NACRE_OK) {
            kg_die("Cannot load public key %s: %s", g->argv[i], kg_reason(rc, &why));
        }
        bool good = nacre_krl_check(krl, key, &why) == NACRE_OK;
        kg_put(g->argv[i]);
        if (comment[0]) {
            (void)printf(" (");
            kg_put(comment);
            (void)putchar(')');
        }
        (void)printf(": %s\n", good ? "ok" : "REVOKED");
        status = good ? status : 1;
        nacre_key_free(key);
    }
    nacre_krl_free(krl);
    return status;
}
