/*
 * sshd_keys.c - authorized_keys: which files, read with whose rights, and believed when.
 */
#include "sshd.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MAX = 8 << 20 }; /* some sites list every key of the house */

/* ---- the user's rights for a while ----------------------------------------------------------------- */

bool rights_borrow(const nacre_account *a, rights_before *b)
{
    memset(b, 0, sizeof(*b));
    if (geteuid() != 0 || a->uid == 0) {
        return true;
    }
    b->uid = geteuid();
    b->gid = getegid();
    b->count = getgroups(0, NULL);
    b->groups = calloc((size_t)(b->count > 0 ? b->count : 1), sizeof(gid_t));
    if (b->count < 0 || !b->groups || getgroups(b->count, b->groups) != b->count) {
        return false; /* rights_return frees */
    }
    b->changed = true;
    return setgroups(a->group_count, a->groups) == 0 && setegid(a->gid) == 0 &&
           seteuid(a->uid) == 0;
}

/* A process that does not know who it is must not go on. */
void rights_return(rights_before *b)
{
    if (b->changed && (seteuid(b->uid) != 0 || setegid(b->gid) != 0 ||
                       setgroups((size_t)b->count, b->groups) != 0)) {
        say(LOG_LEVEL_FATAL, "cannot get our own rights back: %s", strerror(errno));
        _exit(255);
    }
    free(b->groups);
}

/* ---- a file ---------------------------------------------------------------------------------------------- */

char *keys_read_all(int fd, size_t size, size_t *got)
{
    char *text = malloc(size + 1);
    *got = 0;
    while (text && *got < size) {
        ssize_t n = read(fd, text + *got, size - *got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) { /* half a file is none */
            free(text);
            return NULL;
        }
        if (n == 0) {
            break;
        }
        *got += (size_t)n;
    }
    return text;
}

/* NULL: there is none, or it is not to be believed. */
static char *load(const login *l, const char *path, const char *what, size_t *n)
{
    struct stat st;
    nacre_error why = {0};
    char *text = NULL;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        say(errno == ENOENT ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
            "Could not open user '%s' %s '%s': %s", plain_text(l->user), what, plain_text(path),
            strerror(errno));
        return NULL;
    }
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
        say(LOG_LEVEL_INFO, "User '%s' %s '%s' is not a regular file of bearable size",
            plain_text(l->user), what, plain_text(path));
    } else if (l->s->strict_modes &&
               nacre_path_secure(path, fd, l->account->uid, l->account->home, &why) != NACRE_OK) {
        say(LOG_LEVEL_INFO, "Authentication refused: %s", why.text);
    } else {
        text = keys_read_all(fd, (size_t)st.st_size, n);
    }
    (void)close(fd);
    return text;
}

char *keys_user_file(const login *l, const char *pattern, const char *what, size_t *n)
{
    char path[4096];
    char *text = NULL;
    rights_before b;
    int rc = nacre_sshd_expand_path(pattern, l->account->name, l->account->home,
                                    (uint32_t)l->account->uid, path, sizeof(path));
    if (rc != NACRE_OK) {
        return NULL;
    }
    if (rights_borrow(l->account, &b)) {
        text = load(l, path, what, n);
    } else {
        say(LOG_LEVEL_ERROR, "cannot take the rights of user '%s': %s", plain_text(l->user),
            strerror(errno));
    }
    rights_return(&b);
    return text;
}

/* ---- what it says --------------------------------------------------------------------------------------- */

void keys_facts(key_facts *facts, const login *l)
{
    time_t now = time(NULL);
    struct tm local;
    memset(&local, 0, sizeof(local));
    memset(facts, 0, sizeof(*facts));
    (void)localtime_r(&now, &local);
    facts->f.user = l->account->name;
    facts->f.peer_address = nacre_server_conn_peer(l->c)->address;
    facts->f.now_seconds = (int64_t)now;
    facts->f.utc_offset = (int32_t)local.tm_gmtoff;
    /* A list that comes to nothing must not become the default. */
    facts->f.ca_algorithms = facts->ca_algorithms;
    if (!l->s->ca_algorithms) {
        facts->f.ca_algorithms = NULL;
    } else if (nacre_algorithms_resolve(NACRE_ALG_CA_SIGNATURE, l->s->ca_algorithms,
                                        facts->ca_algorithms, sizeof(facts->ca_algorithms),
                                        NULL) < 0) {
        facts->ca_algorithms[0] = '\0';
    }
}

static bool ask_text(login *l, const char *source, nacre_span text, const nacre_key *key,
                     nacre_key_grant *grant)
{
    nacre_error why = {0};
    key_facts facts;
    keys_facts(&facts, l);
    int rc = nacre_authorized_keys_check(text, key, &facts.f, grant, &why);
    if (rc == NACRE_OK) {
        say(LOG_LEVEL_DEBUG, "%s:%lu: matching key found", plain_text(source),
            (unsigned long)grant->line);
    } else if (why.text[0]) {
        say(LOG_LEVEL_INFO, "%s: %s", plain_text(source), why.text);
    }
    return rc == NACRE_OK;
}

static bool ask_files(login *l, const nacre_key *key, nacre_key_grant *grant)
{
    const nacre_sshd_list *files = &l->s->authorized_keys_files;
    bool found = false;
    for (size_t i = 0; !found && i < files->count; i++) {
        size_t n = 0;
        char *text = keys_user_file(l, files->items[i], "authorized keys", &n);
        nacre_span span = {(const uint8_t *)text, n};
        found = text && ask_text(l, files->items[i], span, key, grant);
        free(text);
    }
    return found;
}

static bool ask_program(login *l, const nacre_key *key, nacre_key_grant *grant)
{
    static const char keyword[] = "AuthorizedKeysCommand";
    size_t n = 0;
    program_words *w = l->s->authorized_keys_command ? calloc(1, sizeof(*w)) : NULL;
    if (!w) {
        return false;
    }
    program_tokens(w, l, key);
    char *text = program_output(l, keyword, l->s->authorized_keys_command,
                                l->s->authorized_keys_command_user, &w->t, &n);
    nacre_span span = {(const uint8_t *)text, n};
    bool found = text && ask_text(l, keyword, span, key, grant);
    free(text);
    free(w);
    return found;
}

/* The program only where no file has the key, as with OpenSSH. */
bool keys_allow(login *l, const nacre_key *key, nacre_key_grant *grant)
{
    return certs_allow(l, key, grant) || ask_files(l, key, grant) || ask_program(l, key, grant);
}
