/*
 * commands.c - the commands of nacre-sftp but for listing and transferring.
 */
#include "commands.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- helpers ------------------------------------------------------------------------------------------ */

/* Options in front of the operands: the letters that are known; *next is the first operand. */
static int options(const words *w, const char *known, char *given, size_t *next)
{
    size_t n = 0;
    *next = 1;
    given[0] = '\0';
    while (*next < w->count && w->at[*next].text[0] == '-' && w->at[*next].text[1]) {
        if (strcmp(w->at[*next].text, "--") == 0) {
            (*next)++;
            break; /* what follows may begin with a dash */
        }
        for (const char *p = w->at[(*next)++].text + 1; *p; p++) {
            if (!strchr(known, *p)) {
                return complain("%s: unknown option -%s", w->at[0].text, shown(p));
            }
            if (!strchr(given, *p)) {
                given[n++] = *p;
                given[n] = '\0';
            }
        }
    }
    return 0;
}

/* A number of a given base, all of the text. */
static int number(const char *text, int base, unsigned long max, uint32_t *out)
{
    char *end;
    errno = 0;
    unsigned long n = strtoul(text, &end, base);
    if (!*text || *end || errno || n > max || text[0] == '-' || text[0] == '+' || text[0] == ' ') {
        return complain("%s is not a number that fits here", shown(text));
    }
    *out = (uint32_t)n;
    return 0;
}

/* Runs fn for each remote path that a word stands for. */
static int each(app *a, const word *w, int (*fn)(app *a, const char *path, const void *arg),
                const void *arg)
{
    names found;
    int rc = remote_glob(a, w, &found);
    for (size_t i = 0; i < found.count && rc == 0 && !a->interrupted; i++) {
        rc = fn(a, found.at[i], arg);
    }
    names_free(&found);
    return rc;
}

/* What became of a request about a path. */
static int judge_path(const app *a, int rc, const char *operation, const char *path)
{
    return rc == NACRE_OK ? 0 : complain_path(a, path, "remote %s \"%s\"", operation, shown(path));
}

/* ---- where we are ------------------------------------------------------------------------------------- */

static int do_cd(app *a, const words *w)
{
    char *real = NULL;
    names found = {0};
    if (w->count > 1) {
        if (remote_glob(a, &w->at[1], &found) != 0) {
            return -1;
        }
        if (found.count > 1) {
            names_free(&found);
            return complain("%s: several directories match", shown(w->at[1].text));
        }
    } else {
        names_add(&found, keep(strdup(a->start)));
    }
    int rc = judge_path(a, nacre_sftp_realpath(a->s, found.at[0], &real), "realpath", found.at[0]);
    nacre_sftp_attrs attrs;
    if (rc == 0) {
        rc = judge_path(a, nacre_sftp_stat(a->s, real, &attrs), "stat", real);
    }
    if (rc == 0 && (attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) && !is_dir(&attrs)) {
        rc = complain("Can't change directory: \"%s\" is not a directory", shown(found.at[0]));
    }
    if (rc == 0) {
        free(a->pwd);
        a->pwd = keep(strdup(real));
    }
    nacre_sftp_string_free(a->s, real);
    names_free(&found);
    return rc;
}

static int do_pwd(app *a, const words *w)
{
    (void)w;
    printf("Remote working directory: %s\n", shown(a->pwd));
    return 0;
}

static int do_lcd(app *a, const words *w)
{
    (void)a;
    names found = {0};
    const char *home = getenv("HOME");
    if (w->count > 1) {
        if (local_glob(&w->at[1], &found) != 0) {
            return -1;
        }
    } else {
        names_add(&found, keep(strdup(home ? home : "/")));
    }
    int rc = found.count == 1 ? 0 : complain("%s: several directories match", w->at[1].text);
    if (rc == 0 && chdir(found.at[0]) != 0) {
        rc = complain("local directory %s: %s", shown(found.at[0]), strerror(errno));
    }
    names_free(&found);
    return rc;
}

static int do_lpwd(app *a, const words *w)
{
    char *dir = getcwd(NULL, 0);
    (void)a;
    (void)w;
    if (!dir) {
        return complain("local working directory: %s", strerror(errno));
    }
    printf("Local working directory: %s\n", shown(dir));
    free(dir);
    return 0;
}

/* ---- this machine ------------------------------------------------------------------------------------- */

/* The user's own shell, on the user's own command: not a string of any peer's. */
static int shell(const char *script)
{
    const char *sh = getenv("SHELL");
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0) {
        return complain("fork: %s", strerror(errno));
    }
    if (pid == 0) {
        sh = sh && *sh ? sh : "/bin/sh";
        if (script) {
            execl(sh, sh, "-c", script, (char *)NULL);
        } else {
            execl(sh, sh, (char *)NULL);
        }
        complain("%s: %s", sh, strerror(errno));
        _exit(127);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return complain("wait: %s", strerror(errno));
        }
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        return 0;
    }
    return WIFEXITED(status) ? complain("Shell exited with status %d", WEXITSTATUS(status))
                             : complain("Shell exited abnormally");
}

static int do_lls(app *a, const words *w)
{
    (void)a;
    char *script = text_of("ls");
    for (size_t i = 1; i < w->count; i++) {
        /* Patterns are the shell's to expand; the rest goes as it was meant. */
        char *quoted =
            w->at[i].magic ? keep(strdup(w->at[i].pattern)) : keep(words_quote(w->at[i].text));
        char *longer = text_of("%s %s", script, quoted);
        free(quoted);
        free(script);
        script = longer;
    }
    int rc = shell(script);
    free(script);
    return rc;
}

static int do_lmkdir(app *a, const words *w)
{
    (void)a;
    return mkdir(w->at[1].text, 0777) == 0
               ? 0
               : complain("make local directory %s: %s", shown(w->at[1].text), strerror(errno));
}

static int do_lumask(app *a, const words *w)
{
    uint32_t mask;
    (void)a;
    if (number(w->at[1].text, 8, 0777, &mask) != 0) {
        return -1;
    }
    umask((mode_t)mask);
    tell(a, "Local umask: %03o\n", mask);
    return 0;
}

/* ---- names over there --------------------------------------------------------------------------------- */

static int do_mkdir(app *a, const words *w)
{
    char *path = absolute(a, w->at[1].text);
    int rc = judge_path(a, nacre_sftp_mkdir(a->s, path, 0777), "mkdir", path);
    free(path);
    return rc;
}

static int do_rmdir(app *a, const words *w)
{
    char *path = absolute(a, w->at[1].text);
    int rc = judge_path(a, nacre_sftp_rmdir(a->s, path), "rmdir", path);
    free(path);
    return rc;
}

static int remove_one(app *a, const char *path, const void *arg)
{
    (void)arg;
    tell(a, "Removing %s\n", shown(path));
    return judge_path(a, nacre_sftp_remove(a->s, path), "delete", path);
}

static int do_rm(app *a, const words *w)
{
    char given[1];
    size_t i;
    int rc = options(w, "", given, &i);
    for (; i < w->count && rc == 0; i++) {
        rc = each(a, &w->at[i], remove_one, NULL);
    }
    return rc;
}

static int two_paths(app *a, const char *operation, const word *from, const word *to,
                     int (*fn)(nacre_sftp *s, const char *from, const char *to))
{
    char *f = absolute(a, from->text);
    char *t = absolute(a, to->text);
    int rc = 0;
    if (fn(a->s, f, t) != NACRE_OK) {
        rc = complain_path(a, t, "remote %s \"%s\" to \"%s\"", operation, shown(f), shown(t));
    }
    free(f);
    free(t);
    return rc;
}

static int do_rename(app *a, const words *w)
{
    char given[8];
    size_t i;
    if (options(w, "l", given, &i) != 0) {
        return -1;
    }
    if (w->count - i != 2) {
        return complain("usage: rename [-l] from to");
    }
    return two_paths(a, "rename", &w->at[i], &w->at[i + 1],
                     *given ? nacre_sftp_rename_new : nacre_sftp_rename);
}

/* The target of a symbolic link goes as it is typed: it is relative to the link. */
static int link_symbolic(app *a, const char *target, const char *link)
{
    char *path = absolute(a, link);
    int rc = 0;
    if (nacre_sftp_symlink(a->s, target, path) != NACRE_OK) {
        rc = complain_path(a, path, "remote symlink file \"%s\" to \"%s\"", shown(target),
                           shown(path));
    }
    free(path);
    return rc;
}

static int do_ln(app *a, const words *w)
{
    char given[8];
    size_t i;
    if (options(w, "s", given, &i) != 0) {
        return -1;
    }
    if (w->count - i != 2) {
        return complain("usage: ln [-s] existing new");
    }
    if (*given) {
        return link_symbolic(a, w->at[i].text, w->at[i + 1].text);
    }
    return two_paths(a, "link", &w->at[i], &w->at[i + 1], nacre_sftp_hardlink);
}

static int do_symlink(app *a, const words *w)
{
    return link_symbolic(a, w->at[1].text, w->at[2].text);
}

/* ---- attributes --------------------------------------------------------------------------------------- */

typedef struct change {
    uint32_t value;
    bool keep_links; /* -h: the link itself */
} change;

static int change_attrs(app *a, const char *path, const change *c, nacre_sftp_attrs *attrs)
{
    return c->keep_links ? judge_path(a, nacre_sftp_lsetstat(a->s, path, attrs), "lsetstat", path)
                         : judge_path(a, nacre_sftp_setstat(a->s, path, attrs), "setstat", path);
}

static int chmod_one(app *a, const char *path, const void *arg)
{
    const change *c = arg;
    nacre_sftp_attrs attrs = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = c->value};
    tell(a, "Changing mode on %s\n", shown(path));
    return change_attrs(a, path, c, &attrs);
}

/* Version 3 sets owner and group together: the other one must be asked for. */
static int change_owner(app *a, const char *path, const change *c, bool group)
{
    nacre_sftp_attrs now;
    int rc = c->keep_links ? nacre_sftp_lstat(a->s, path, &now) : nacre_sftp_stat(a->s, path, &now);
    if (rc != NACRE_OK) {
        return judge_path(a, rc, "stat", path);
    }
    if (!(now.flags & NACRE_SFTP_ATTR_UIDGID)) {
        return complain("%s: the server tells no owner", shown(path));
    }
    nacre_sftp_attrs attrs = {.flags = NACRE_SFTP_ATTR_UIDGID, .uid = now.uid, .gid = now.gid};
    *(group ? &attrs.gid : &attrs.uid) = c->value;
    tell(a, "Changing %s on %s\n", group ? "group" : "owner", shown(path));
    return change_attrs(a, path, c, &attrs);
}

static int chown_one(app *a, const char *path, const void *arg)
{
    return change_owner(a, path, arg, false);
}

static int chgrp_one(app *a, const char *path, const void *arg)
{
    return change_owner(a, path, arg, true);
}

static int change_all(app *a, const words *w, int base, unsigned long max,
                      int (*fn)(app *a, const char *path, const void *arg))
{
    char given[8];
    size_t i;
    change c = {0};
    if (options(w, "h", given, &i) != 0) {
        return -1;
    }
    if (w->count - i != 2) {
        return complain("usage: %s [-h] value path", w->at[0].text);
    }
    c.keep_links = *given != '\0';
    return number(w->at[i].text, base, max, &c.value) != 0 ? -1 : each(a, &w->at[i + 1], fn, &c);
}

static int do_chmod(app *a, const words *w)
{
    return change_all(a, w, 8, 07777, chmod_one);
}

static int do_chown(app *a, const words *w)
{
    return change_all(a, w, 10, UINT32_MAX, chown_one);
}

static int do_chgrp(app *a, const words *w)
{
    return change_all(a, w, 10, UINT32_MAX, chgrp_one);
}

/* ---- transfers ---------------------------------------------------------------------------------------- */

static int transfer(app *a, const words *w,
                    int (*fn)(app *a, const transfer_flags *f, const word *from, const char *to))
{
    char given[16];
    size_t i;
    if (options(w, "aRrPpf", given, &i) != 0) {
        return -1;
    }
    if (w->count - i < 1 || w->count - i > 2) {
        return complain("usage: %s [-fpR] from [to]", w->at[0].text);
    }
    if (strchr(given, 'a') || a->resume) {
        return complain("%s -a: resuming is not supported yet", w->at[0].text);
    }
    transfer_flags f = {.preserve = a->preserve || strpbrk(given, "pP"),
                        .recursive = a->recursive || strpbrk(given, "rR"),
                        .sync = a->sync || strchr(given, 'f')};
    return fn(a, &f, &w->at[i], i + 1 < w->count ? w->at[i + 1].text : NULL);
}

static int do_get(app *a, const words *w)
{
    return transfer(a, w, get_command);
}

static int do_put(app *a, const words *w)
{
    return transfer(a, w, put_command);
}

static int do_unsupported(app *a, const words *w)
{
    (void)a;
    return complain("%s is not supported yet", w->at[0].text);
}

/* ---- the session -------------------------------------------------------------------------------------- */

static int do_bye(app *a, const words *w)
{
    (void)w;
    a->ended = true;
    return 0;
}

static int do_progress(app *a, const words *w)
{
    (void)w;
    a->show_progress = !a->show_progress;
    tell(a, "Progress meter %s\n", a->show_progress ? "enabled" : "disabled");
    return 0;
}

static int do_version(app *a, const words *w)
{
    nacre_span name, data;
    (void)w;
    printf("SFTP protocol version %d\n", (int)NACRE_SFTP_VERSION);
    for (size_t i = 0; nacre_sftp_extension_at(a->s, i, &name, &data); i++) {
        char *n = keep(strndup((const char *)name.p, name.n));
        char *d = keep(strndup((const char *)data.p, data.n));
        printf("Server supports %s revision %s\n", shown(n), shown(d));
        free(n);
        free(d);
    }
    return 0;
}

static int do_help(app *a, const words *w)
{
    (void)a;
    (void)w;
    printf("Available commands:\n");
    for (size_t i = 0; command_at(i); i++) {
        if (command_at(i)->help) {
            printf("%-34s %s\n", command_at(i)->usage, command_at(i)->help);
        }
    }
    printf("%-34s %s\n%-34s %s\n", "!command", "Run a command in the local shell", "!",
           "Escape to the local shell");
    return 0;
}

static const command table[] = {
    {"bye", do_bye, 0, 0, "bye", "Quit"},
    {"cd", do_cd, 0, 1, "cd [path]", "Change remote directory"},
    {"chgrp", do_chgrp, 2, 3, "chgrp [-h] gid path", "Change group of remote file"},
    {"chmod", do_chmod, 2, 3, "chmod [-h] mode path", "Change permissions of remote file"},
    {"chown", do_chown, 2, 3, "chown [-h] uid path", "Change owner of remote file"},
    {"copy", do_unsupported, 2, 2, "copy old new", NULL},
    {"cp", do_unsupported, 2, 2, "cp old new", NULL},
    {"df", df_command, 0, SIZE_MAX, "df [-hi] [path]", "Show space of remote file system"},
    {"exit", do_bye, 0, 0, "exit", "Quit"},
    {"get", do_get, 1, SIZE_MAX, "get [-fpR] remote [local]", "Download files"},
    {"help", do_help, 0, 0, "help", "Show this text"},
    {"lcd", do_lcd, 0, 1, "lcd [path]", "Change local directory"},
    {"lls", do_lls, 0, SIZE_MAX, "lls [options] [path]", "List local directory"},
    {"lmkdir", do_lmkdir, 1, 1, "lmkdir path", "Make local directory"},
    {"ln", do_ln, 2, 3, "ln [-s] existing new", "Link remote file (-s: symbolic)"},
    {"lpwd", do_lpwd, 0, 0, "lpwd", "Show local directory"},
    {"ls", ls_command, 0, SIZE_MAX, "ls [-1afhlnrSt] [path]", "List remote directory"},
    {"lumask", do_lumask, 1, 1, "lumask mask", "Set local umask"},
    {"mkdir", do_mkdir, 1, 1, "mkdir path", "Make remote directory"},
    {"progress", do_progress, 0, 0, "progress", "Show progress of transfers or not"},
    {"put", do_put, 1, SIZE_MAX, "put [-fpR] local [remote]", "Upload files"},
    {"pwd", do_pwd, 0, 0, "pwd", "Show remote directory"},
    {"quit", do_bye, 0, 0, "quit", "Quit"},
    {"reget", do_unsupported, 1, SIZE_MAX, "reget remote [local]", NULL},
    {"rename", do_rename, 2, 3, "rename [-l] old new", "Rename remote file"},
    {"reput", do_unsupported, 1, SIZE_MAX, "reput local [remote]", NULL},
    {"rm", do_rm, 1, SIZE_MAX, "rm path ...", "Remove remote files"},
    {"rmdir", do_rmdir, 1, 1, "rmdir path", "Remove remote directory"},
    {"symlink", do_symlink, 2, 2, "symlink existing new", "Make remote symbolic link"},
    {"version", do_version, 0, 0, "version", "Show protocol version and extensions"},
    {"?", do_help, 0, 0, "?", "The same as help"},
};

const command *command_at(size_t index)
{
    return index < sizeof(table) / sizeof(table[0]) ? &table[index] : NULL;
}

const command *command_find(const char *name)
{
    for (size_t i = 0; command_at(i); i++) {
        if (strcasecmp(table[i].name, name) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

int run_line(app *a, const char *line)
{
    words w;
    const char *why;
    line += strspn(line, " \t\r\n");
    if (*line == '!') {
        line += 1 + strspn(line + 1, " \t\r\n");
        return shell(*line ? line : NULL);
    }
    if (!words_split(line, &w, &why)) {
        return complain("%s", why);
    }
    int rc = 0;
    if (w.count > 0) {
        const command *c = command_find(w.at[0].text);
        if (!c) {
            rc = complain("Invalid command: %s (help lists them)", shown(w.at[0].text));
        } else if (w.count - 1 < c->least || w.count - 1 > c->most) {
            rc = complain("usage: %s", c->usage);
        } else {
            a->busy = 1;
            rc = c->run(a, &w);
            a->busy = 0;
        }
    }
    words_free(&w);
    fflush(stdout);
    return rc;
}
