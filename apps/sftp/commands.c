/*
 * commands.c - the commands of nacre-sftp about names over there and about the session, and the table of all.
 */
#include "commands.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int judge(const app *a, int rc, const char *operation, const char *path)
{
    return rc == NACRE_OK ? 0 : complain_about(a, "remote %s \"%s\"", operation, shown(path));
}

static int no_path(const call *c)
{
    return complain("You must specify a path after a %s command.", c->name);
}

/* ---- where we are ------------------------------------------------------------------------------------- */

static int enter(app *a, const char *real)
{
    nacre_sftp_attrs attrs;
    if (nacre_sftp_stat(a->s, real, &attrs) != NACRE_OK) {
        return complain_about(a, "stat remote");
    }
    if (!(attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS)) {
        return complain("Can't change directory: Can't check target");
    }
    if (!is_dir(&attrs)) {
        return complain("Can't change directory: \"%s\" is not a directory", shown(real));
    }
    free(a->pwd);
    a->pwd = keep(strdup(real));
    return 0;
}

static int do_cd(app *a, const call *c)
{
    char *real = NULL;
    char *path = absolute(a, c->count > 0 && *c->at[0].text ? c->at[0].text : a->start);
    int rc = nacre_sftp_realpath(a->s, path, &real) == NACRE_OK
                 ? enter(a, real)
                 : complain_about(a, "realpath %s", shown(path));
    nacre_sftp_string_free(a->s, real);
    free(path);
    return rc;
}

static int do_pwd(app *a, const call *c)
{
    (void)c;
    printf("Remote working directory: %s\n", shown(a->pwd));
    return 0;
}

/* ---- names -------------------------------------------------------------------------------------------- */

static int on_path(app *a, const call *c, const char *operation,
                   int (*fn)(nacre_sftp *s, const char *path))
{
    if (c->count < 1) {
        return no_path(c);
    }
    if (c->count > 1) {
        return complain("%s takes one path: quote the blanks in it", c->name);
    }
    char *path = absolute(a, c->at[0].text);
    int rc = judge(a, fn(a->s, path), operation, path);
    free(path);
    return rc;
}

static int make_dir(nacre_sftp *s, const char *path)
{
    return nacre_sftp_mkdir(s, path, 0777);
}

static int do_mkdir(app *a, const call *c)
{
    return on_path(a, c, "mkdir", make_dir);
}

static int do_rmdir(app *a, const call *c)
{
    return on_path(a, c, "rmdir", nacre_sftp_rmdir);
}

static int remove_matches(app *a, const word *w)
{
    matches found = {0};
    char *pattern = absolute_pattern(a, w->pattern);
    int rc = remote_matches(a, pattern, false, &found);
    if (rc == 0 && found.count == 0) {
        matches_add(&found, absolute(a, w->text));
    }
    for (size_t i = 0; i < found.count && !a->interrupted; i++) {
        const char *path = found.at[i].path;
        tell(a, "Removing %s\n", shown(path));
        if (nacre_sftp_remove(a->s, path) != NACRE_OK) {
            rc = complain_about(a, "remote delete %s", shown(path));
        }
        if ((rc != 0 && a->stop_on_error) || session_over(a)) {
            break;
        }
    }
    rc = found.refused > 0 ? -1 : rc;
    matches_free(&found);
    free(pattern);
    return rc;
}

static int do_rm(app *a, const call *c)
{
    int rc = 0;
    if (c->count < 1) {
        return no_path(c);
    }
    for (size_t i = 0; i < c->count && !a->interrupted; i++) {
        rc |= remove_matches(a, &c->at[i]);
        if (rc != 0 && (a->stop_on_error || session_over(a))) {
            break;
        }
    }
    return rc;
}

static int two_paths(const call *c)
{
    return c->count == 2  ? 0
           : c->count < 2 ? complain("You must specify two paths after a %s command.", c->name)
                          : complain("%s takes two paths: quote the blanks in them", c->name);
}

static int from_to(app *a, const call *c, const char *operation,
                   int (*fn)(nacre_sftp *s, const char *from, const char *to))
{
    char *from = absolute(a, c->at[0].text);
    char *to = absolute(a, c->at[1].text);
    int rc = fn(a->s, from, to) == NACRE_OK ? 0
                                            : complain_about(a, "remote %s \"%s\" to \"%s\"",
                                                             operation, shown(from), shown(to));
    free(from);
    free(to);
    return rc;
}

static int do_rename(app *a, const call *c)
{
    return two_paths(c) != 0
               ? -1
               : from_to(a, c, "rename",
                         has_flag(c, 'l') ? nacre_sftp_rename_new : nacre_sftp_rename);
}

/* The target of a symbolic link goes as it is typed: it is relative to the link. */
static int do_symlink(app *a, const call *c)
{
    if (two_paths(c) != 0) {
        return -1;
    }
    const char *target = c->at[0].text;
    char *link = absolute(a, c->at[1].text);
    int rc =
        nacre_sftp_symlink(a->s, target, link) == NACRE_OK
            ? 0
            : complain_about(a, "remote symlink file \"%s\" to \"%s\"", shown(target), shown(link));
    free(link);
    return rc;
}

static int do_ln(app *a, const call *c)
{
    if (has_flag(c, 's')) {
        return do_symlink(a, c);
    }
    if (two_paths(c) != 0) {
        return -1;
    }
    if (!nacre_sftp_has(a->s, NACRE_SFTP_EXT_HARDLINK)) {
        return complain("Server does not support hardlink@openssh.com extension");
    }
    return from_to(a, c, "link", nacre_sftp_hardlink);
}

static int copy_file(app *a, const char *from, const char *to)
{
    nacre_sftp_attrs attrs;
    nacre_sftp_transfer_options o;
    if (nacre_sftp_stat(a->s, from, &attrs) != NACRE_OK) {
        return complain_about(a, "stat remote");
    }
    if ((attrs.flags & NACRE_SFTP_ATTR_PERMISSIONS) &&
        (attrs.permissions & NACRE_SFTP_S_IFMT) != NACRE_SFTP_S_IFREG) {
        return complain("Cannot copy non-regular file: %s", shown(from));
    }
    nacre_sftp_transfer_options_init(&o);
    if (nacre_sftp_copy(a->s, from, to, &o) == NACRE_OK) {
        return 0;
    }
    const char *why = nacre_sftp_error(a->s)->text;
    for (size_t i = 0; i < 2; i++) {
        char *opening = text_of("open %s:", shown(i == 0 ? from : to));
        bool it_was = strncmp(why, opening, strlen(opening)) == 0;
        free(opening);
        if (it_was) {
            return complain_about(a, "remote open(\"%s\")", shown(i == 0 ? from : to));
        }
    }
    return complain_about(a, "Couldn't copy file \"%s\" to \"%s\"", shown(from), shown(to));
}

static int do_copy(app *a, const call *c)
{
    if (two_paths(c) != 0) {
        return -1;
    }
    char *from = absolute(a, c->at[0].text);
    char *to = absolute(a, c->at[1].text);
    int rc = copy_file(a, from, to);
    free(from);
    free(to);
    return rc;
}

/* ---- transfers ---------------------------------------------------------------------------------------- */

static int transfer(app *a, const call *c, bool resume,
                    int (*fn)(app *a, const transfer_flags *f, const word *from, const char *to))
{
    if (c->count < 1) {
        return complain("You must specify at least one path after a %s command.", c->name);
    }
    if (c->count > 2) {
        return complain("%s takes a source and a target: quote the blanks in them", c->name);
    }
    transfer_flags f = {
        .preserve = a->preserve || has_flag(c, 'p') || has_flag(c, 'P'),
        .recursive = a->recursive || has_flag(c, 'r') || has_flag(c, 'R'),
        .sync = a->sync || has_flag(c, 'f'),
        .resume = a->resume || resume || has_flag(c, 'a'),
    };
    return fn(a, &f, &c->at[0], c->count > 1 ? c->at[1].text : NULL);
}

static int do_get(app *a, const call *c)
{
    return transfer(a, c, false, get_command);
}

static int do_put(app *a, const call *c)
{
    return transfer(a, c, false, put_command);
}

static int do_reget(app *a, const call *c)
{
    return transfer(a, c, true, get_command);
}

static int do_reput(app *a, const call *c)
{
    return transfer(a, c, true, put_command);
}

/* ---- the session -------------------------------------------------------------------------------------- */

static int do_bye(app *a, const call *c)
{
    (void)c;
    a->ended = true;
    return 0;
}

static int do_progress(app *a, const call *c)
{
    (void)c;
    a->show_progress = !a->show_progress;
    printf("Progress meter %s\n", a->show_progress ? "enabled" : "disabled");
    return 0;
}

/* What the server can do besides is a person's to see; scripts get the line that they know. */
static int do_version(app *a, const call *c)
{
    nacre_span name, data;
    (void)c;
    printf("SFTP protocol version %d\n", (int)NACRE_SFTP_VERSION);
    for (size_t i = 0; a->interactive && nacre_sftp_extension_at(a->s, i, &name, &data); i++) {
        char *n = keep(strndup((const char *)name.p, name.n));
        char *d = keep(strndup((const char *)data.p, data.n));
        printf("Server supports %s revision %s\n", shown(n), shown(d));
        free(n);
        free(d);
    }
    return 0;
}

static int do_help(app *a, const call *c)
{
    (void)a;
    (void)c;
    printf("Available commands:\n");
    for (size_t i = 0; command_at(i); i++) {
        if (command_at(i)->help) {
            printf("%-34s %s\n", command_at(i)->usage, command_at(i)->help);
        }
    }
    return 0;
}

static int do_shell(app *a, const call *c)
{
    run_shell(a, c->raw + strspn(c->raw, " \t"));
    return 0;
}

/* ---- the table ---------------------------------------------------------------------------------------- */

static const command table[] = {
    {"bye", do_bye, "", ARG_NONE, ARG_NONE, "bye", "Quit"},
    {"cd", do_cd, "", ARG_REMOTE_DIR, ARG_NONE, "cd [path]", "Change remote directory"},
    {"chdir", do_cd, "", ARG_REMOTE_DIR, ARG_NONE, "chdir [path]", NULL},
    {"chgrp", chgrp_command, "h", ARG_NONE, ARG_REMOTE, "chgrp [-h] gid path",
     "Change group of remote files"},
    {"chmod", chmod_command, "h", ARG_NONE, ARG_REMOTE, "chmod [-h] mode path",
     "Change permissions of remote files"},
    {"chown", chown_command, "h", ARG_NONE, ARG_REMOTE, "chown [-h] uid path",
     "Change owner of remote files"},
    {"copy", do_copy, "", ARG_REMOTE, ARG_REMOTE, "copy old new",
     "Copy remote file to remote file"},
    {"cp", do_copy, "", ARG_REMOTE, ARG_REMOTE, "cp old new", "The same as copy"},
    {"df", df_command, "hi", ARG_REMOTE, ARG_NONE, "df [-hi] [path]",
     "Show space of remote file system"},
    {"dir", ls_command, "1Safhlnrt", ARG_REMOTE, ARG_REMOTE, "dir [-1afhlnrSt] [path]", NULL},
    {"exit", do_bye, "", ARG_NONE, ARG_NONE, "exit", "Quit"},
    {"get", do_get, "afPpRr", ARG_REMOTE, ARG_LOCAL, "get [-afpR] remote [local]",
     "Download files"},
    {"help", do_help, "", ARG_NONE, ARG_NONE, "help", "Show this text"},
    {"lcd", lcd_command, "", ARG_LOCAL_DIR, ARG_NONE, "lcd [path]", "Change local directory"},
    {"lchdir", lcd_command, "", ARG_LOCAL_DIR, ARG_NONE, "lchdir [path]", NULL},
    {"lls", lls_command, NULL, ARG_LOCAL, ARG_LOCAL, "lls [ls-options [path]]",
     "List local directory"},
    {"lmkdir", lmkdir_command, "", ARG_LOCAL_DIR, ARG_NONE, "lmkdir path", "Make local directory"},
    {"ln", do_ln, "s", ARG_REMOTE, ARG_REMOTE, "ln [-s] existing new",
     "Link remote file (-s: symbolic)"},
    {"lpwd", lpwd_command, "", ARG_NONE, ARG_NONE, "lpwd", "Show local directory"},
    {"ls", ls_command, "1Safhlnrt", ARG_REMOTE, ARG_REMOTE, "ls [-1afhlnrSt] [path]",
     "List remote directory"},
    {"lumask", lumask_command, "", ARG_NONE, ARG_NONE, "lumask mask", "Set local umask"},
    {"mget", do_get, "afPpRr", ARG_REMOTE, ARG_LOCAL, "mget [-afpR] remote [local]", NULL},
    {"mkdir", do_mkdir, "", ARG_REMOTE_DIR, ARG_NONE, "mkdir path", "Make remote directory"},
    {"mput", do_put, "afPpRr", ARG_LOCAL, ARG_REMOTE, "mput [-afpR] local [remote]", NULL},
    {"progress", do_progress, "", ARG_NONE, ARG_NONE, "progress",
     "Show progress of transfers or not"},
    {"put", do_put, "afPpRr", ARG_LOCAL, ARG_REMOTE, "put [-afpR] local [remote]", "Upload files"},
    {"pwd", do_pwd, "", ARG_NONE, ARG_NONE, "pwd", "Show remote directory"},
    {"quit", do_bye, "", ARG_NONE, ARG_NONE, "quit", "Quit"},
    {"reget", do_reget, "afPpRr", ARG_REMOTE, ARG_LOCAL, "reget [-fpR] remote [local]",
     "Go on with a download"},
    {"rename", do_rename, "l", ARG_REMOTE, ARG_REMOTE, "rename [-l] old new",
     "Rename remote file (-l: never replace)"},
    {"reput", do_reput, "afPpRr", ARG_LOCAL, ARG_REMOTE, "reput [-fpR] local [remote]",
     "Go on with an upload"},
    {"rm", do_rm, "", ARG_REMOTE, ARG_REMOTE, "rm path ...", "Remove remote files"},
    {"rmdir", do_rmdir, "", ARG_REMOTE_DIR, ARG_NONE, "rmdir path", "Remove remote directory"},
    {"symlink", do_symlink, "", ARG_REMOTE, ARG_REMOTE, "symlink existing new",
     "Make remote symbolic link"},
    {"version", do_version, "", ARG_NONE, ARG_NONE, "version", "Show version of the protocol"},
    {"!", do_shell, NULL, ARG_LOCAL, ARG_LOCAL, "![command]",
     "Run a command, or a shell, on this machine"},
    {"?", do_help, "", ARG_NONE, ARG_NONE, "?", "The same as help"},
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

/* ---- lines -------------------------------------------------------------------------------------------- */

bool has_flag(const call *c, char letter)
{
    return strchr(c->given, letter) != NULL;
}

/* Flags in front of the operands. Each letter is kept once, where it came last. */
static int take_flags(const command *cmd, call *c)
{
    while (c->count > 0 && c->at[0].text[0] == '-' && c->at[0].text[1]) {
        const char *text = c->at[0].text + 1;
        c->at++;
        c->count--;
        if (strcmp(text, "-") == 0) {
            break; /* what follows "--" may begin with a dash */
        }
        for (; *text; text++) {
            if (!strchr(cmd->flags, *text)) {
                return complain("%s: Invalid flag -%c", cmd->name,
                                isprint((unsigned char)*text) ? *text : '?');
            }
            char *earlier = strchr(c->given, *text);
            if (earlier) {
                memmove(earlier, earlier + 1, strlen(earlier));
            }
            size_t n = strlen(c->given);
            c->given[n] = *text;
            c->given[n + 1] = '\0';
        }
    }
    return 0;
}

static int run_command(app *a, const command *cmd, call *c)
{
    if (cmd->flags && take_flags(cmd, c) != 0) {
        return -1;
    }
    a->busy = cmd->flags != NULL; /* a shell's ^C is the shell's */
    int rc = cmd->run(a, c);
    a->busy = 0;
    return rc;
}

const char *behind_prefixes(const char *line, bool *may_fail, bool *silent)
{
    line += strspn(line, " \t\r\n");
    for (*may_fail = *silent = false; *line == '-' || *line == '@'; line++) {
        *(*line == '-' ? may_fail : silent) = true;
    }
    return line + strspn(line, " \t\r\n");
}

/* A command that has the rest of the line for itself, whatever quotes stand in it. */
static const command *raw_command(const char *line, const char **rest)
{
    char name[8] = "!";
    size_t n = *line == '!' ? 1 : strcspn(line, " \t\r\n");
    if (n >= sizeof(name)) {
        return NULL;
    }
    memcpy(name, line, n);
    name[n] = '\0';
    *rest = line + n;
    const command *cmd = command_find(name);
    return cmd && !cmd->flags ? cmd : NULL;
}

int run_line(app *a, const char *line)
{
    words w;
    const char *why;
    bool may_fail, silent;
    call c = {0};
    line = behind_prefixes(line, &may_fail, &silent);
    a->stop_on_error = a->batch && !may_fail;
    const command *cmd = raw_command(line, &c.raw);
    if (cmd) {
        c.name = cmd->name;
        return run_command(a, cmd, &c);
    }
    if (!words_split(line, &w, &why)) {
        return complain("%s", why);
    }
    int rc = 0;
    if (w.count > 0) {
        cmd = command_find(w.at[0].text);
        c.name = cmd ? cmd->name : "";
        c.at = w.at + 1;
        c.count = w.count - 1;
        rc = cmd ? run_command(a, cmd, &c) : complain("Invalid command.");
    }
    words_free(&w);
    fflush(stdout);
    return rc;
}
