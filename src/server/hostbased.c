/*
 * hostbased.c - the files behind hostbased: which of them are read, in which order, and when they are
 * believed. Lines are judged in rhosts.c; keys in known_hosts.
 */
#include "nacre/hostbased.h"

#include "base/buf.h"
#include "base/error.h"
#include "io/fd.h"
#include "nacre/cert.h"
#include "wire/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024, HOST_MAX = 1025, PATH_SIZE = 4096 };

void nacre_hostbased_rules_init(nacre_hostbased_rules *rules)
{
    static const char *const equiv[] = {"/etc/hosts.equiv", "/etc/ssh/shosts.equiv"};
    static const char *const known[] = {"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"};
    memset(rules, 0, sizeof(*rules));
    rules->size = sizeof(*rules);
    rules->user_known_hosts = true;
    rules->strict_modes = true;
    rules->equiv_files = equiv;
    rules->equiv_count = 2;
    rules->known_hosts_files = known;
    rules->known_hosts_count = 2;
}

/* The same in one place, as strings that the C library can be asked about. */
typedef struct check {
    const nacre_hostbased_rules *rules;
    const nacre_account *account;
    const nacre_key *key;
    const char *address;
    char host[HOST_MAX]; /* that is looked up */
    char client_user[HOST_MAX];
    nacre_error *why;
} check;

static bool take_name(nacre_span s, char *out, size_t size)
{
    if (s.n == 0 || s.n >= size) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= 0x20 || s.p[i] == 0x7F) {
            return false; /* a word of a line has none of them */
        }
        out[i] = (char)s.p[i];
    }
    out[s.n] = '\0';
    return true;
}

/* ---- files -------------------------------------------------------------------------------------------- */

/* home: NULL for a file of the system's; else the user's, and judged if the rules say so. */
static int read_file(const check *k, const char *path, bool users, nc_buf *out)
{
    struct stat st;
    int rc = NACRE_OK;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return NACRE_NOT_FOUND;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        rc = nc_fail(k->why, NACRE_IO, "%s is not a regular file of bearable size",
                     NC_ESC(nc_span_cstr(path)));
    } else if (users && k->rules->strict_modes) {
        rc = nacre_path_secure(path, fd, k->account->uid, k->account->home, k->why);
    }
    uint8_t *to = rc == NACRE_OK ? nc_buf_extend(out, (size_t)st.st_size) : NULL;
    if (rc == NACRE_OK && !to) {
        rc = nc_fail(k->why, NACRE_NO_MEMORY, "out of memory");
    }
    for (size_t got = 0; rc == NACRE_OK && got < (size_t)st.st_size;) {
        ssize_t n = read(fd, to + got, (size_t)st.st_size - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) { /* half a file could lack the line that forbids */
            rc = nc_fail(k->why, NACRE_IO, "%s cannot be read whole", NC_ESC(nc_span_cstr(path)));
        } else {
            got += (size_t)n;
        }
    }
    (void)close(fd);
    return rc;
}

/* NACRE_OK: it allows; NACRE_NOT_FOUND: it says nothing, or is not believed; else it forbids. */
static int ask_file(check *k, const char *path, bool users)
{
    nc_buf text;
    uint32_t line = 0;
    nc_buf_init(&text, NULL, FILE_MAX);
    int rc = read_file(k, path, users, &text);
    if (rc == NACRE_OK) {
        rc = nacre_rhosts_check(nc_buf_span(&text), k->host, k->address, k->client_user,
                                k->account->name, &line);
    } else if (rc == NACRE_KEY_PERMISSIONS) {
        rc = NACRE_NOT_FOUND; /* as if it were not there; *why says so */
    }
    nc_buf_clear(&text);
    if (rc == NACRE_AUTH_FAILED) {
        return nc_fail(k->why, rc, "%s:%u forbids %s of %s", NC_ESC(nc_span_cstr(path)), line,
                       NC_ESC(nc_span_cstr(k->client_user)), NC_ESC(nc_span_cstr(k->host)));
    }
    return rc;
}

/* A line that forbids ends its file, not the search: so does sshd. */
static bool allows(check *k, const char *path, bool users)
{
    return ask_file(k, path, users) == NACRE_OK;
}

static bool home_file(const check *k, const char *name, char *path)
{
    int n = snprintf(path, PATH_SIZE, "%s/%s", k->account->home, name);
    return n > 0 && n < PATH_SIZE;
}

static bool host_is_equivalent(check *k)
{
    static const char *const names[] = {".shosts", ".rhosts"};
    size_t count = k->rules->user_files == NACRE_RHOSTS_BOTH          ? 2
                   : k->rules->user_files == NACRE_RHOSTS_SHOSTS_ONLY ? 1
                                                                      : 0;
    char path[PATH_SIZE];
    /* Whole hosts are equivalent for ordinary users only. */
    for (size_t i = 0; k->account->uid != 0 && i < k->rules->equiv_count; i++) {
        if (allows(k, k->rules->equiv_files[i], false)) {
            return true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (home_file(k, names[i], path) && allows(k, path, true)) {
            return true;
        }
    }
    return false;
}

/* ---- the key ------------------------------------------------------------------------------------------ */

static int add_hosts(check *k, nacre_known_hosts *known, const char *path, bool users)
{
    nc_buf text;
    nc_buf_init(&text, NULL, FILE_MAX);
    int rc = read_file(k, path, users, &text);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_add_text(known, nc_buf_span(&text), path);
    }
    nc_buf_clear(&text);
    /* One that is not there says nothing; one that cannot be read could revoke the key. */
    return rc == NACRE_NOT_FOUND ? NACRE_OK : rc;
}

static int load_hosts(check *k, nacre_known_hosts *known)
{
    char path[PATH_SIZE];
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < k->rules->known_hosts_count; i++) {
        rc = add_hosts(k, known, k->rules->known_hosts_files[i], false);
    }
    if (rc == NACRE_OK && k->rules->user_known_hosts && home_file(k, ".ssh/known_hosts", path)) {
        rc = add_hosts(k, known, path, true);
    }
    return rc;
}

/* Its authority is known for this host; the rest the certificate says itself. */
static int certificate_is_good(check *k)
{
    nacre_cert_rules rules;
    nacre_cert_rules_init(&rules, NACRE_CERT_HOST);
    rules.principal = k->host;
    rules.now = (uint64_t)time(NULL);
    rules.peer_address = k->address;
    return nacre_cert_check(k->key, &rules, k->why);
}

static int key_is_known(check *k)
{
    nacre_known_hosts *known = NULL;
    nacre_host_match match = NACRE_HOST_UNKNOWN;
    int rc = nacre_known_hosts_new(&known, NULL);
    if (rc == NACRE_OK) {
        rc = load_hosts(k, known);
    }
    if (rc == NACRE_OK) {
        match = nacre_known_hosts_check(known, k->host, 0, k->key, NULL);
    }
    nacre_known_hosts_free(known);
    if (rc == NACRE_OK && match == NACRE_HOST_AUTHORITY) {
        return certificate_is_good(k);
    }
    if (rc != NACRE_OK) {
        return k->why && k->why->status == rc ? rc : nc_fail(k->why, rc, "out of memory");
    }
    if (match != NACRE_HOST_MATCH) {
        return nc_fail(k->why, NACRE_AUTH_FAILED,
                       match == NACRE_HOST_REVOKED
                           ? "the %s key of %s is revoked"
                           : "the %s key that signed is not one that is known of %s",
                       nacre_key_label(k->key), NC_ESC(nc_span_cstr(k->host)));
    }
    return NACRE_OK;
}

/* ---- both ---------------------------------------------------------------------------------------------- */

static int take_claim(check *k, const nacre_hostbased_claim *claim)
{
    char said[HOST_MAX];
    nacre_span host = claim->client_host;
    if (host.n > 1 && host.p[host.n - 1] == '.') {
        host.n--;
    }
    if (!claim->account || !claim->key || !claim->peer_address ||
        !take_name(host, said, sizeof(said)) ||
        !take_name(claim->client_user, k->client_user, sizeof(k->client_user))) {
        return nc_fail(k->why, NACRE_AUTH_FAILED, "the client's host or user name is not one");
    }
    const char *resolved = claim->peer_name ? claim->peer_name : claim->peer_address;
    const char *use = k->rules->name_from_packet_only ? said : resolved;
    if (!take_name(nc_span_cstr(use), k->host, sizeof(k->host))) {
        return nc_fail(k->why, NACRE_AUTH_FAILED, "the client's host has no name");
    }
    k->account = claim->account;
    k->key = claim->key;
    /* With the name alone to go by, the address of whoever forwards it means nothing. */
    k->address = k->rules->name_from_packet_only ? k->host : claim->peer_address;
    return NACRE_OK;
}

int nacre_hostbased_check(const nacre_hostbased_rules *rules, const nacre_hostbased_claim *claim,
                          nacre_error *why)
{
    nacre_error own;
    check k;
    memset(&k, 0, sizeof(k));
    k.rules = rules;
    k.why = why ? why : &own;
    nc_error_clear(k.why);
    int rc = take_claim(&k, claim);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (!host_is_equivalent(&k)) {
        return k.why->status != NACRE_OK
                   ? k.why->status
                   : nc_fail(k.why, NACRE_AUTH_FAILED, "no file names %s of %s an equivalent of %s",
                             NC_ESC(nc_span_cstr(k.client_user)), NC_ESC(nc_span_cstr(k.host)),
                             NC_ESC(nc_span_cstr(k.account->name)));
    }
    nc_error_clear(k.why);
    rc = key_is_known(&k);
    if (rc == NACRE_OK) {
        nc_error_clear(k.why); /* what was passed over on the way is no fault */
    }
    return rc;
}
