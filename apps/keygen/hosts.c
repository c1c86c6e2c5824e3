/*
 * hosts.c - known_hosts files: finding (-F), removing (-R), hashing (-H); and records for the DNS (-r).
 */
#include "keygen.h"
#include "nacre/known_hosts.h"
#include "nacre/sshfp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- editing ---- */

typedef struct edit_job {
    const keygen *g;
    bool hashing;
} edit_job;

static void tell(void *user, const nacre_hosts_note *note)
{
    const edit_job *job = user;
    const keygen *g = job->g;
    unsigned long line = note->line;
    switch (note->fact) {
    case NACRE_HOSTS_FOUND:
        if (!g->quiet) {
            (void)printf("# Host %s found: line %lu\n", g->host, line);
        }
        return;
    case NACRE_HOSTS_PATTERN:
        kg_say("%s:%lu: ignoring host name with wildcard: %.64s", g->file, line, note->names);
        return;
    case NACRE_HOSTS_INVALID:
        kg_say("%s:%lu: invalid line", g->file, line);
        return;
    default:
        return;
    }
}

static void keep_old(const keygen *g)
{
    char old[KG_PATH + 8];
    (void)snprintf(old, sizeof(old), "%s.old", g->file);
    if (unlink(old) != 0 && errno != ENOENT) {
        kg_die("unlink %.100s: %s", old, strerror(errno));
    }
    if (link(g->file, old) != 0) {
        kg_die("link %.100s to %.100s: %s", g->file, old, strerror(errno));
    }
}

static int edit(keygen *g)
{
    edit_job job = {g, !g->remove};
    nacre_hosts_report report = {0};
    nacre_error why;
    const unsigned flags = NACRE_HOSTS_BACKUP | NACRE_HOSTS_MUST_EXIST;
    int rc = job.hashing ? nacre_known_hosts_hash_file(g->file, flags, tell, &job, &report, &why)
                         : nacre_known_hosts_remove_host(g->file, g->host, 0, flags, tell, &job,
                                                         &report, &why);
    if (rc == NACRE_SYNTAX) {
        kg_say("%s is not a valid known_hosts file.", g->file);
        kg_say("Not replacing existing known_hosts file because of errors");
        return 1;
    }
    if (rc != NACRE_OK) {
        kg_die("%s", why.text);
    }
    if (!job.hashing && report.found == 0) {
        kg_say("Host %s not found in %s", g->host, g->file);
        return 0;
    }
    if (job.hashing && report.hashed == 0) {
        keep_old(g); /* the file is as it was, and so is what is kept of it */
    }
    (void)printf("%s updated.\nOriginal contents retained as %s.old\n", g->file, g->file);
    if (report.hashed) {
        kg_say("WARNING: %s.old contains unhashed entries", g->file);
        kg_say("Delete this file to ensure privacy of hostnames");
    }
    return 0;
}

/* ---- finding ---- */

static bool is_marker(nacre_span s, const char *name)
{
    return s.n == strlen(name) && memcmp(s.p, name, s.n) == 0;
}

static void put_span(nacre_span s)
{
    (void)fwrite(s.p, 1, s.n, stdout);
}

static void put_print(const keygen *g, const nacre_host_entry *e)
{
    char print[256], comment[KG_COMMENT];
    kg_print_of(g, e->key, g->babble, print, sizeof(print));
    (void)printf("%s %s %s", g->host, nacre_key_label(e->key), print);
    (void)snprintf(comment, sizeof(comment), "%.*s",
                   (int)(e->comment.n < 1000 ? e->comment.n : 1000),
                   e->comment.n ? (const char *)e->comment.p : "");
    if (*comment) {
        (void)putchar(' ');
        kg_put(comment);
    }
    (void)putchar('\n');
    if (g->verbose) {
        kg_put_art(g, e->key);
    }
}

/* -HF: the line with its names hashed, which the file keeps as it is. */
static void put_hashed(const nacre_host_entry *e)
{
    nacre_known_hosts *one = NULL;
    uint8_t *text = NULL;
    size_t n = 0, lines = 0;
    if (nacre_known_hosts_new(&one, NULL) != NACRE_OK ||
        nacre_known_hosts_add_text(one, e->text, "") != NACRE_OK) {
        kg_die("hash_host failed");
    }
    int rc = nacre_known_hosts_hash(one, 0, &lines);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_text(one, NULL, &text, &n);
    }
    if (rc == NACRE_OK) {
        nacre_span all = {text, n};
        put_span(all);
        if (n && text[n - 1] != '\n') {
            (void)putchar('\n');
        }
    } else {
        put_span(e->text); /* hashed already, or a pattern */
        (void)putchar('\n');
    }
    nacre_secret_free(NULL, text, n);
    nacre_known_hosts_free(one);
}

static void put_entry(const keygen *g, const nacre_host_entry *e)
{
    if (!g->quiet) {
        const char *marker = is_marker(e->marker, "@cert-authority") ? "CA"
                             : is_marker(e->marker, "@revoked")      ? "REVOKED"
                                                                     : "";
        (void)printf("# Host %s found: line %lu %s\n", g->host, (unsigned long)e->line, marker);
    }
    if (g->hash_hosts) {
        put_hashed(e);
    } else if (g->print_print && e->key) {
        put_print(g, e);
    } else {
        put_span(e->text);
        (void)putchar('\n');
    }
}

static int find(keygen *g)
{
    nacre_known_hosts *h = NULL;
    nacre_error why;
    int rc = nacre_known_hosts_new(&h, NULL);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_add_file(h, g->file, &why);
    }
    if (rc != NACRE_OK) {
        kg_die("%s", why.text);
    }
    bool found = false;
    for (size_t i = 0; i < nacre_known_hosts_count(h); i++) {
        nacre_host_entry e;
        if (nacre_known_hosts_get(h, i, &e) == NACRE_OK && e.kind == NACRE_HOST_LINE_KEY &&
            (!g->print_print || e.key) && nacre_known_hosts_entry_is(h, i, g->host, 0)) {
            found = true;
            put_entry(g, &e);
        }
    }
    nacre_known_hosts_free(h);
    return found ? 0 : 1;
}

int kg_known_hosts(keygen *g)
{
    struct stat st;
    if (!g->have_file) {
        (void)snprintf(g->file, sizeof(g->file), "%.3000s/.ssh/known_hosts", g->home);
    }
    if (stat(g->file, &st) != 0) {
        kg_die("Cannot stat %s: %s", g->file, strerror(errno));
    }
    return g->find ? find(g) : edit(g);
}

/* ---- SSHFP ---- */

/* Which of the two hashes; 0: both. */
static uint8_t record_hash(const keygen *g)
{
    uint8_t hash = 0;
    for (size_t i = 0; i < g->nopts; i++) {
        const char *name = kg_option(g->opts[i], "hashalg=");
        if (!name) {
            kg_say("Invalid option \"%s\"", g->opts[i]);
            exit(255);
        }
        if (strcasecmp(name, "sha1") == 0) {
            hash = 1;
        } else if (strcasecmp(name, "sha256") == 0) {
            hash = 2;
        } else {
            kg_die("Unsupported hash algorithm");
        }
    }
    return hash;
}

/* False: there is no such file. */
static bool put_records(const keygen *g, const char *path)
{
    struct stat st;
    uint8_t wanted = record_hash(g);
    if (stat(path, &st) != 0) {
        if (errno == ENOENT) {
            return false;
        }
        kg_die("%s: %s", path, strerror(errno));
    }
    nacre_key *key = NULL;
    nacre_error why;
    int rc = kg_load_public(path, &key, NULL, &why);
    if (rc != NACRE_OK) {
        kg_die("Failed to read v2 public key from \"%s\": %s", path, kg_reason(rc, &why));
    }
    for (uint8_t hash = 1; hash <= 2; hash++) {
        char line[2048];
        if (wanted && hash != wanted) {
            continue;
        }
        rc = nacre_sshfp_text(key, hash, g->host, g->generic, line, sizeof(line));
        if (rc < 0) {
            kg_say("export_dns_rr: %s", nacre_status_text(rc));
            break;
        }
        (void)puts(line);
    }
    nacre_key_free(key);
    return true;
}

int kg_resource_record(keygen *g)
{
    static const char *const paths[] = {"/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key",
                                        "/etc/ssh/ssh_host_ed25519_key"};
    if (g->have_file) {
        if (!put_records(g, g->file)) {
            kg_die("%s: %s", g->file, strerror(ENOENT));
        }
        return 0;
    }
    bool any = false;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        any = put_records(g, paths[i]) || any;
    }
    if (!any) {
        kg_die("no keys found.");
    }
    return 0;
}
