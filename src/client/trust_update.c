/*
 * trust_update.c - host keys learned from the server (UpdateHostKeys; OpenSSH PROTOCOL 2.5): what it announces
 * after login is compared with the user's known_hosts; new keys are asked to be proven; then they are added
 * and those that are gone are removed.
 *
 * It never makes a host more trusted than it is: it runs only where the key in use stood in those files under
 * a plain name of this host, and not where any of the keys stands there for somebody else.
 */
#include "client/trust.h"
#include "crypto/crypto.h"
#include "keys/known_hosts.h"

#include <stdio.h>
#include <string.h>

enum {
    MATCH_HOST = 1,
    MATCH_ADDRESS = 2,
    OLD_MAX = 256 /* lines of one host; no file of a person has more */
};

/* ---- what the server said ---- */

static void drop_keys(const nacre_client *c, nacre_key **keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        nacre_key_free(keys[i]);
    }
    nc_free(c->alloc, keys);
}

void nc_client_update_drop(nacre_client *c)
{
    nc_update *u = &c->update;
    drop_keys(c, u->keys, u->count);
    drop_keys(c, u->old, u->old_count);
    nc_free(c->alloc, u->matched);
    memset(u, 0, sizeof(*u));
}

bool nc_trust_may_update(const nacre_client *c, const nc_trial *t, bool asked)
{
    const nacre_host_trust *trust = &c->cfg.trust;
    if (trust->update_host_keys == NACRE_UPDATE_NO || trust->file_count == 0 ||
        (trust->update_host_keys == NACRE_UPDATE_ASK && !trust->ask_update)) {
        return false;
    }
    if (asked) {
        return true;
    }
    if (t->match != NACRE_HOST_MATCH || t->from_more || !t->line.source) {
        return false;
    }
    for (size_t i = 0; i < trust->file_count; i++) {
        if (strcmp(trust->files[i], t->line.source) == 0) {
            return true;
        }
    }
    nc_client_log(c, NACRE_LOG_DEBUG,
                  "host key found in a file that is not the user's; disabling UpdateHostkeys");
    return false;
}

void nc_client_update_event(nacre_client *c, const nacre_event *ev)
{
    nc_update *u = &c->update;
    if (ev->type == NACRE_EVENT_HOST_KEYS_PROVEN) {
        if (u->stage == NC_UPDATE_ASKED) {
            u->stage = ev->u.host_keys.status == NACRE_OK ? NC_UPDATE_PROVEN : NC_UPDATE_DONE;
            nc_client_log(c, NACRE_LOG_VERBOSE, "proof of the server's new host keys: %s",
                          nacre_status_text(ev->u.host_keys.status));
        }
        return;
    }
    if (!c->may_update || u->stage != NC_UPDATE_NONE) {
        return;
    }
    u->stage = NC_UPDATE_DONE;
    u->keys = nc_alloc_array(c->alloc, ev->u.host_keys.count, sizeof(nacre_key *));
    if (!u->keys) {
        return;
    }
    for (; u->count < ev->u.host_keys.count; u->count++) {
        u->keys[u->count] = nacre_key_ref(ev->u.host_keys.keys[u->count]);
    }
    u->stage = NC_UPDATE_ANNOUNCED;
}

/* ---- what known_hosts says ---- */

typedef struct survey {
    nacre_client *c;
    char host[NC_HOSTS_MAX_NAME], address[NC_HOSTS_MAX_NAME]; /* address "": not looked at */
    const char *stop;                                         /* why nothing is changed */
} survey;

static bool begin_survey(nacre_client *c, survey *s)
{
    memset(s, 0, sizeof(*s));
    s->c = c;
    bool by_address = c->cfg.trust.check_host_ip && *c->address && strcmp(c->address, c->host) != 0;
    return nc_hosts_name(nc_trust_host(c), nc_trust_port(c), s->host, sizeof(s->host)) &&
           (!by_address || nc_hosts_name(c->address, c->port, s->address, sizeof(s->address)));
}

static unsigned wanted(const survey *s)
{
    return MATCH_HOST | (s->address[0] ? (unsigned)MATCH_ADDRESS : 0);
}

/* Bits of what a line means; *failed: it could not be told. */
static unsigned means(const survey *s, const nacre_known_hosts *h, const nc_host_entry *e,
                      bool *failed)
{
    nc_match host = nc_hosts_names(h, e, nc_span_cstr(s->host));
    nc_match address = s->address[0] ? nc_hosts_names(h, e, nc_span_cstr(s->address)) : NC_MATCH_NO;
    *failed = host == NC_MATCH_BAD || address == NC_MATCH_BAD;
    return (host == NC_MATCH_YES ? MATCH_HOST : 0) |
           (address == NC_MATCH_YES ? (unsigned)MATCH_ADDRESS : 0);
}

/* SIZE_MAX: not among them. */
static size_t find(nacre_key *const *keys, size_t count, const nacre_key *key)
{
    for (size_t i = 0; i < count; i++) {
        if (nacre_key_equal(keys[i], key)) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* More than "host" or "host,address": somebody wrote it by hand, and it is left alone. */
static bool is_complex(nacre_span names)
{
    unsigned commas = 0;
    for (size_t i = 0; i < names.n; i++) {
        if (memchr("*?!", names.p[i], 3)) {
            return true;
        }
        commas += names.p[i] == ',' ? 1 : 0;
    }
    return commas > 1;
}

static int note_old(survey *s, nacre_key *key)
{
    nc_update *u = &s->c->update;
    if (find(u->old, u->old_count, key) != SIZE_MAX) {
        return NACRE_OK;
    }
    if (u->old_count >= OLD_MAX) {
        return NACRE_LIMIT;
    }
    nacre_key **more = nc_resize(s->c->alloc, u->old, (u->old_count + 1) * sizeof(nacre_key *));
    if (!more) {
        return NACRE_NO_MEMORY;
    }
    u->old = more;
    u->old[u->old_count++] = nacre_key_ref(key);
    return NACRE_OK;
}

static int look_at_match(survey *s, nacre_known_hosts *h, nc_host_entry *e, unsigned bits)
{
    nc_update *u = &s->c->update;
    nacre_key *key = NULL;
    int rc = nc_hosts_key(h, e, &key);
    bool several = memchr(e->names.p, ',', e->names.n) != NULL;
    if (e->marker != NC_MARKER_NONE) {
        s->stop = "a CA or revocation marker stands at this host";
    } else if (is_complex(e->names)) {
        s->stop = "a pattern, or a list of names, stands at this host";
    } else if (s->address[0] && several && bits != wanted(s)) {
        s->stop = "a line has this host with another address, or the address with another host";
    }
    if (rc != NACRE_OK || s->stop) {
        return rc == NACRE_NO_MEMORY ? rc : NACRE_OK; /* a key of no known type is left alone */
    }
    size_t at = find(u->keys, u->count, key);
    if (at == SIZE_MAX) {
        return note_old(s, key);
    }
    u->matched[at] |= (uint8_t)bits;
    return NACRE_OK;
}

/* Lines of this host are looked at in the first round; those of others when it is known what is old. */
static int look(survey *s, nacre_known_hosts *h, bool others)
{
    nc_update *u = &s->c->update;
    for (size_t i = 0; i < h->count && !s->stop; i++) {
        nc_host_entry *e = nc_hosts_at(h, i);
        bool failed = false;
        nacre_key *key = NULL;
        if (e->kind != NACRE_HOST_LINE_KEY) {
            continue;
        }
        unsigned bits = means(s, h, e, &failed);
        int rc = failed ? NACRE_NO_MEMORY : NACRE_OK;
        if (rc == NACRE_OK && bits && !others) {
            rc = look_at_match(s, h, e, bits);
        } else if (rc == NACRE_OK && !bits && others) {
            rc = nc_hosts_key(h, e, &key);
            if (rc == NACRE_OK && (find(u->keys, u->count, key) != SIZE_MAX ||
                                   find(u->old, u->old_count, key) != SIZE_MAX)) {
                s->stop = "one of the keys stands there under another name";
            }
            rc = rc == NACRE_NO_MEMORY ? rc : NACRE_OK;
        }
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_OK;
}

static int read_files(survey *s, nacre_known_hosts **out)
{
    const nacre_host_trust *trust = &s->c->cfg.trust;
    int rc = nacre_known_hosts_new(out, s->c->alloc);
    for (size_t i = 0; rc == NACRE_OK && i < trust->file_count; i++) {
        rc = nacre_known_hosts_add_file(*out, trust->files[i], NULL);
        rc = rc == NACRE_NOT_FOUND ? NACRE_OK : rc;
    }
    return rc;
}

/* ---- changing the files ---- */

typedef struct change {
    survey *s;
    bool add; /* the first file gets the keys; from the others the host goes */
} change;

static int add_missing(change *ch, nacre_known_hosts *h, const uint8_t *there)
{
    nacre_client *c = ch->s->c;
    nc_update *u = &c->update;
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < u->count; i++) {
        unsigned missing = wanted(ch->s) & ~(unsigned)there[i];
        nc_buf lines;
        nc_buf_init(&lines, c->alloc, NC_HOSTS_MAX_TEXT);
        if (missing) {
            rc = nc_trust_lines(c, u->keys[i], (missing & MATCH_HOST) != 0,
                                (missing & MATCH_ADDRESS) != 0, &lines);
            rc = rc == NACRE_OK ? nacre_known_hosts_add_text(h, nc_buf_span(&lines), "") : rc;
        }
        nc_buf_clear(&lines);
    }
    return rc;
}

static int edit(void *user, nacre_known_hosts *h)
{
    change *ch = user;
    nc_update *u = &ch->s->c->update;
    uint8_t there[NC_MAX_ANNOUNCED] = {0};
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < h->count;) {
        nc_host_entry *e = nc_hosts_at(h, i);
        nacre_key *key = NULL;
        bool failed = false;
        unsigned bits = e->kind == NACRE_HOST_LINE_KEY && e->marker == NC_MARKER_NONE
                            ? means(ch->s, h, e, &failed)
                            : 0;
        rc = failed ? NACRE_NO_MEMORY : NACRE_OK;
        if (rc != NACRE_OK || !bits || nc_hosts_key(h, e, &key) != NACRE_OK) {
            i++;
            continue;
        }
        size_t at = ch->add ? find(u->keys, u->count, key) : SIZE_MAX;
        if (at != SIZE_MAX) {
            there[at] |= (uint8_t)bits;
            i++;
        } else {
            rc = nacre_known_hosts_remove(h, i);
        }
    }
    return rc == NACRE_OK && ch->add ? add_missing(ch, h, there) : rc;
}

static void tell_keys(const nacre_client *c, const char *what, nacre_key *const *keys, size_t count,
                      const uint8_t *skip)
{
    char print[NC_FINGERPRINT_MAX];
    for (size_t i = 0; i < count; i++) {
        if ((skip && skip[i]) || nacre_key_fingerprint(keys[i], c->cfg.trust.fingerprint_hash,
                                                       print, sizeof(print)) < 0) {
            continue;
        }
        if (c->cfg.trust.update_host_keys == NACRE_UPDATE_ASK) {
            nc_client_warn(c, "%s hostkey: %s %s", what, nacre_key_label(keys[i]), print);
        } else {
            nc_client_log(c, NACRE_LOG_VERBOSE, "%s hostkey: %s %s", what, nacre_key_label(keys[i]),
                          print);
        }
    }
}

static bool is_wanted(nacre_client *c)
{
    const nacre_host_trust *trust = &c->cfg.trust;
    nc_update *u = &c->update;
    char name[NC_NAME_MAX];
    nacre_key *learned[NC_MAX_ANNOUNCED];
    size_t n = 0;
    for (size_t i = 0; i < u->count; i++) {
        if (!u->matched[i]) {
            learned[n++] = u->keys[i];
        }
    }
    tell_keys(c, "Learned new", u->keys, u->count, u->matched);
    tell_keys(c, "Deprecating obsolete", u->old, u->old_count, NULL);
    if (trust->update_host_keys == NACRE_UPDATE_YES) {
        return true;
    }
    nc_client_host_name(c, name, sizeof(name));
    const nacre_host_update question = {name, learned, n, u->old, u->old_count};
    return trust->ask_update && trust->ask_update(trust->user, &question);
}

static void change_files(nacre_client *c)
{
    const nacre_host_trust *trust = &c->cfg.trust;
    survey s;
    if (!begin_survey(c, &s) || !is_wanted(c)) {
        return;
    }
    for (size_t i = 0; i < trust->file_count; i++) {
        nacre_error why;
        change ch = {&s, i == 0};
        int rc = nacre_known_hosts_update_file(trust->files[i], edit, &ch,
                                               NACRE_HOSTS_BACKUP | NACRE_HOSTS_MUST_EXIST, &why);
        if (rc != NACRE_OK && rc != NACRE_NOT_FOUND) {
            nc_client_warn(c, "The server's new host keys were not remembered: %s",
                           why.text[0] ? why.text : nacre_status_text(rc));
        }
    }
}

/* ---- steps ---- */

/* Asks for the proof of what is new; with nothing new, goes on at once. */
static void ask_for_proof(nacre_client *c)
{
    nc_update *u = &c->update;
    nacre_key *fresh[NC_MAX_ANNOUNCED];
    size_t n = 0;
    for (size_t i = 0; i < u->count; i++) {
        if (!u->matched[i]) {
            fresh[n++] = u->keys[i];
        }
    }
    if (n == 0 && u->old_count == 0) {
        nc_client_log(c, NACRE_LOG_DEBUG, "no new or deprecated keys from server");
        return;
    }
    if (n == 0) {
        change_files(c);
    } else if (nacre_transport_prove_host_keys(c->t, fresh, n) == NACRE_OK) {
        u->stage = NC_UPDATE_ASKED;
        nacre_driver_kick(c->d);
    }
}

static void plan(nacre_client *c)
{
    nc_update *u = &c->update;
    nacre_known_hosts *h = NULL;
    survey s;
    u->stage = NC_UPDATE_DONE;
    u->matched = u->count <= NC_MAX_ANNOUNCED ? nc_zalloc(c->alloc, u->count + 1) : NULL;
    if (!u->matched || !begin_survey(c, &s)) {
        return;
    }
    int rc = read_files(&s, &h);
    if (rc == NACRE_OK) {
        rc = look(&s, h, false);
    }
    if (rc == NACRE_OK) {
        rc = look(&s, h, true);
    }
    /* The key in use must be among what it says: a server that disowns it is not to be followed. */
    if (rc == NACRE_OK && !s.stop && find(u->keys, u->count, c->host_key) == SIZE_MAX) {
        s.stop = "the server does not name the key that it uses";
    }
    nacre_known_hosts_free(h);
    if (rc != NACRE_OK || s.stop) {
        nc_client_log(c, NACRE_LOG_VERBOSE, "%s, skipping UserKnownHostsFile update",
                      s.stop ? s.stop : nacre_status_text(rc));
        return;
    }
    ask_for_proof(c);
}

void nc_client_update_step(nacre_client *c)
{
    nc_update *u = &c->update;
    nacre_error kept = c->err;
    if (u->stage == NC_UPDATE_ANNOUNCED) {
        plan(c);
    }
    if (u->stage == NC_UPDATE_PROVEN) {
        u->stage = NC_UPDATE_DONE;
        change_files(c);
    }
    c->err = kept;
}
