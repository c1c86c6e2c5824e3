/*
 * app.h - what the files of nacre-sftp share: the session and where it stands, paths, messages.
 */
#ifndef SFTP_APP_H
#define SFTP_APP_H

#include "../sftp_connect.h"
#include "nacre/sftp_transfer.h"
#include "words.h"

#include <signal.h>
#include <stdio.h>

typedef struct app {
    nacre_sftp *s;
    connection *conn;
    char *pwd;   /* remote, absolute */
    char *start; /* where the session began */
    bool batch;
    bool interactive; /* a person types */
    bool quiet;       /* no word of what is done: -b, -q */
    bool silent;      /* -q: nor of what is passed over */
    bool show_progress;
    bool preserve, recursive, sync, resume; /* given on the command line, for every transfer */
    bool stop_on_error;                     /* this line, when it fails, ends the batch */
    bool lost;                              /* the connection is gone: told */
    uint64_t rate;                          /* bytes per second */
    uint32_t requests;
    volatile sig_atomic_t busy, interrupted;
    volatile sig_atomic_t ended; /* bye, or a signal that ends programs */
} app;

/* A command as it was given. */
typedef struct call {
    const char *name;
    char given[32]; /* the letters of its flags, each once, the last one last */
    const word *at; /* what stands behind them */
    size_t count;
    const char *raw; /* all behind the name, as it was typed */
} call;
/* Was that flag among them? */
bool has_flag(const call *c, char letter);

/* ---- messages (app.c) */
/* To stdout, unless quiet. */
void tell(const app *a, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* To stderr, a line. Returns -1. */
int complain(const char *fmt, ...) NACRE_PRINTF(1, 2);
/* The session's error, as a line. Returns -1. */
int complain_sftp(const app *a);
/*
 * What was refused, as sftp(1) words it, and why. A failure that is no answer of the server's is told like
 * any other.
 */
int complain_about(const app *a, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* The session cannot go on. May ask the server, when the last failure leaves that open. */
bool session_over(app *a);
/* Text of unknown origin as it may be shown; one of a few static buffers. */
const char *shown(const char *text);
/* A status code's text as sftp(1) has it. */
const char *status_words(uint32_t code);
/* malloc that ends the program when there is no memory. */
char *text_of(const char *fmt, ...) NACRE_PRINTF(1, 2);
void *keep(void *p);

/* ---- paths (paths.c) */
/* path from where we stand; malloc'd. */
char *absolute(const app *a, const char *path);
/* The same for a pattern: where we stand has no magic. */
char *absolute_pattern(const app *a, const char *pattern);
char *joined(const char *dir, const char *name);
/* As basename(3): "d" for "a/d/", "/" for "/", "." for "". malloc'd. */
char *last_name(const char *path);
bool is_dir(const nacre_sftp_attrs *attrs);
bool is_link(const nacre_sftp_attrs *attrs);
bool remote_is_dir(app *a, const char *path);
bool local_is_dir(const char *path);
/* "~", "~/x" and "~user/x" written out; malloc'd. */
char *tilde(const char *path);

/* What a pattern stands for. */
typedef struct match {
    char *path;
    bool dir;               /* or a link to one */
    bool there;             /* as asked: only where something had to be */
    nacre_sftp_attrs attrs; /* of what a link leads to, where it leads somewhere */
} match;
typedef struct matches {
    match *at;
    size_t count;
    size_t refused; /* names that are none, which a server listed: told */
} matches;
/*
 * Remote paths, absolute, that match an absolute pattern and exist, sorted; added to out. look: attrs and
 * dir are filled in. -1: the session failed, told already.
 */
int remote_matches(app *a, const char *pattern, bool look, matches *out);
/* The same here; only path and dir. What matches nothing gives itself. */
int local_matches(const word *w, matches *out);
void matches_add(matches *m, char *taken);
void matches_free(matches *m);

/* ---- transfers (transfer.c) */
typedef struct transfer_flags {
    bool preserve, recursive, sync, resume;
} transfer_flags;
/* to may be NULL. */
int get_command(app *a, const transfer_flags *f, const word *from, const char *to);
int put_command(app *a, const transfer_flags *f, const word *from, const char *to);

/* ---- listing (list.c, space.c) */
int ls_command(app *a, const call *c);
int df_command(app *a, const call *c);
/* Rounded to a tenth below 100, to a whole above, with a unit; malloc'd. */
char *scaled(uint64_t n);
unsigned terminal_columns(void);
/* Text that is fit to be shown, and blanks up to so many columns. */
void print_padded(const char *text, size_t width);

/* ---- owners.c */
/* Names of a user and a group as the server knows them; NULL: it does not. Asked for once each. */
void owners_ask(app *a, const nacre_sftp_attrs *const *attrs, size_t count);
const char *owner_name(uint32_t uid);
const char *group_name(uint32_t gid);
void owners_forget(void);

/* ---- commands.c */
/* Behind the "-" (its failure does not end a batch) and "@" (it is not echoed) in front of a line. */
const char *behind_prefixes(const char *line, bool *may_fail, bool *silent);
/* 0: done, -1: failed (told). Sets stop_on_error, by the line's prefixes. */
int run_line(app *a, const char *line);

/* ---- input.c */
/* Waits until fd has something, keeping the connection alive. False: interrupted, or it is lost (told). */
bool wait_for_input(app *a, int fd);

/* ---- edit.c, complete.c */
/* Lines from a person, until the end. */
int edited_lines(app *a);
/* Lines from a file or a pipe. */
int plain_lines(app *a, int fd);

#endif
