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

/* The system's file has quotes around values, and "export" in front, as a shell would read it (pam_env). */
static char *system_value(char *line)
{
    static const char word[] = "export ";
    if (strncmp(line, word, sizeof(word) - 1) == 0) {
        line += sizeof(word) - 1;
        line += strspn(line, " \t");
    }
    char *value = strchr(line, '=');
    size_t n = value ? strlen(++value) : 0;
    while (n > 0 && strchr(" \t\r", value[n - 1])) {
        value[--n] = '\0';
    }
    if (n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n - 1] == value[0]) {
        value[n - 1] = '\0';
        memmove(value, value + 1, n - 1);
    }
    return line;
}

static void take_line(char *line, bool of_system, login_pair_fn fn, void *user)
{
    line += strspn(line, " \t");
    if (*line == '#' || *line == '\0') {
        return;
    }
    if (of_system) {
        line = system_value(line);
    }
    const char *equals = strchr(line, '=');
    if (equals && equals > line) {
        fn(user, line);
    }
}

static void read_pairs(const char *path, bool of_system, login_pair_fn fn, void *user)
{
    struct stat st;
    size_t n = 0;
    /* Whatever stands there instead of a file must not keep us. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return;
    }
    char *text = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= ENV_FILE_MAX
                     ? keys_read_all(fd, (size_t)st.st_size, &n)
                     : NULL;
    (void)close(fd);
    if (!text) {
        say(LOG_LEVEL_INFO, "%s is not read: no file, or too large", path);
        return;
    }
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        take_line(line, of_system, fn, user);
    }
    free(text);
}

void login_system_pairs(login_pair_fn fn, void *user)
{
    read_pairs("/etc/environment", true, fn, user);
    read_pairs("/etc/default/locale", true, fn, user);
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
        read_pairs(path, false, if_permitted, &c);
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
