/*
 * sshd_place.c - where a login lands: ChrootDirectory, and the file that ExposeAuthInfo promises.
 */
#include "sshd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- ChrootDirectory ----------------------------------------------------------------------------------- */

/* Whoever can write one of the directories on the way could put another tree in its place. */
static bool component_good(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        say(LOG_LEVEL_ERROR, "chroot component \"%s\": %s", plain_text(path), strerror(errno));
        return false;
    }
    if (st.st_uid != 0 || (st.st_mode & 022) != 0 || !S_ISDIR(st.st_mode)) {
        say(LOG_LEVEL_ERROR, "bad ownership or modes for chroot directory \"%s\"",
            plain_text(path));
        return false;
    }
    return true;
}

static bool way_good(const char *path)
{
    char part[4096];
    size_t n = strlen(path);
    if (path[0] != '/' || n >= sizeof(part)) {
        say(LOG_LEVEL_ERROR, "chroot path \"%s\" does not begin at root", plain_text(path));
        return false;
    }
    for (size_t i = 1; i <= n; i++) {
        if (path[i] == '/' || path[i] == '\0') {
            memcpy(part, path, i);
            part[i] = '\0';
            if (!component_good(part)) {
                return false;
            }
        }
    }
    return component_good("/");
}

bool place_enter(const login *l)
{
    char path[4096];
    if (!l->s->chroot_directory) {
        return true;
    }
    if (!l->d->root) {
        say(LOG_LEVEL_ERROR, "only root can confine user %s to a ChrootDirectory",
            plain_text(l->user));
        return false;
    }
    int rc = nacre_sshd_expand_path(l->s->chroot_directory, l->account->name, l->account->home,
                                    (uint32_t)l->account->uid, path, sizeof(path));
    if (rc != NACRE_OK || !way_good(path)) {
        return false;
    }
    log_keep(); /* the system log cannot be reached from within */
    if (chdir(path) != 0 || chroot(".") != 0 || chdir("/") != 0) {
        say(LOG_LEVEL_ERROR, "chroot(\"%s\"): %s", plain_text(path), strerror(errno));
        return false;
    }
    say(LOG_LEVEL_VERBOSE, "Changed root directory to \"%s\"", plain_text(path));
    return true;
}

/* ---- ExposeAuthInfo --------------------------------------------------------------------------------------- */

void place_tell(login *l)
{
    char line[SSHD_KEY_LINE] = "";
    static const char name[] = "/tmp/sshauth.XXXXXXXXXXXX";
    if (!l->s->expose_auth_info) {
        return;
    }
    (void)snprintf(l->auth_info, sizeof(l->auth_info), "%s", name);
    int fd = mkstemp(l->auth_info); /* 0600 */
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (!f) {
        say(LOG_LEVEL_ERROR, "cannot write what the login was: %s", strerror(errno));
        if (fd >= 0) {
            (void)close(fd);
            (void)unlink(l->auth_info);
        }
        l->auth_info[0] = '\0';
        return;
    }
    if (l->key && nacre_key_public_line(l->key, line, sizeof(line)) > 0) {
        (void)fprintf(f, "%s %s\n", l->method, line);
    } else {
        (void)fprintf(f, "%s\n", l->method);
    }
    (void)fclose(f);
}

void place_forget(login *l)
{
    if (l->auth_info[0]) {
        (void)unlink(l->auth_info);
        l->auth_info[0] = '\0';
    }
}
