/*
 * sshd_login_files.c - files that shape a session: variables of the system and the user, and the script that
 * runs before what was asked for. All of it is read and run with the user's rights.
 */
#include "sshd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ENV_FILE_MAX = 64 * 1024 };

/* ---- variables ---- */

/* To be freed; NULL: there is none, or it cannot be read whole. */
static char *load(const char *path, size_t *n)
{
    struct stat st;
    /* Whatever stands there instead of a file must not keep us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return NULL;
    }
    char *text = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= ENV_FILE_MAX
                     ? keys_read_all(fd, (size_t)st.st_size, n)
                     : NULL;
    (void)close(fd);
    if (!text) {
        say(LOG_LEVEL_INFO, "%s is not read: no file, too large, or not readable", path);
    }
    return text;
}

static void read_pairs(const char *path, nacre_env_syntax syntax, login_pair_fn fn, void *user)
{
    nacre_error why = {0};
    size_t n = 0, line = 0, bad = 0;
    int rc;
    char *text = load(path, &n);
    char *pair = text ? malloc(n + 1) : NULL;
    nacre_span rest = {(const uint8_t *)text, n};
    while (pair && (rc = nacre_env_next(&rest, &line, syntax, pair, n + 1, &why)) != 0) {
        if (rc == 1) {
            fn(user, pair);
        } else if (bad++ == 0) { /* the file is the user's, the log is not */
            say(LOG_LEVEL_INFO, "%s: %s", path, why.text);
        }
    }
    free(pair);
    free(text);
}

void login_system_pairs(login_pair_fn fn, void *user)
{
    read_pairs("/etc/environment", NACRE_ENV_SYSTEM, fn, user);
    read_pairs("/etc/default/locale", NACRE_ENV_SYSTEM, fn, user);
}

typedef struct checked_pairs {
    const login *l;
    login_pair_fn fn;
    void *user;
} checked_pairs;

static void if_permitted(void *user, const char *pair)
{
    const checked_pairs *c = user;
    if (nacre_sshd_config_user_env(c->l->config, pair)) {
        c->fn(c->user, pair);
    }
}

void login_user_pairs(const login *l, login_pair_fn fn, void *user)
{
    char path[4096];
    checked_pairs c = {l, fn, user};
    int n = snprintf(path, sizeof(path), "%s/.ssh/environment", l->account->home);
    if (l->s->permit_user_environment && n > 0 && (size_t)n < sizeof(path)) {
        read_pairs(path, NACRE_ENV_USER, if_permitted, &c);
    }
}

/* ---- the script ---- */

bool login_script(const login *l, bool subsystem, login_script_words *w)
{
    char path[4096];
    static char flag[] = "-c", shell[] = "/bin/sh", users[] = "/bin/sh .ssh/rc",
                systems[] = "/etc/ssh/sshrc";
    int n = snprintf(path, sizeof(path), "%s/.ssh/rc", l->account->home);
    bool may = !subsystem && !l->s->force_command && (l->may & NACRE_MAY_USER_RC);
    if (may && n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0) {
        char *const words[] = {l->account->shell, flag, users, NULL};
        memcpy(w->argv, words, sizeof(words));
        return true;
    }
    if (access(systems, F_OK) == 0) {
        char *const words[] = {shell, systems, NULL, NULL};
        memcpy(w->argv, words, sizeof(words));
        return true;
    }
    return false;
}
