/*
 * app.h - what the files of nacre-sftp share: the session and where it stands, paths, messages.
 */
#ifndef SFTP_APP_H
#define SFTP_APP_H

#include "nacre/sftp_transfer.h"
#include "words.h"

#include <signal.h>

typedef struct app {
    nacre_sftp *s;
    char *pwd;   /* remote, absolute */
    char *start; /* where the session began */
    bool batch;
    bool interactive; /* a person types */
    bool quiet;
    bool show_progress;
    bool preserve, recursive, sync, resume; /* given on the command line, for every transfer */
    bool ended;                             /* bye */
    uint64_t rate;                          /* bytes per second */
    uint32_t requests;
    volatile sig_atomic_t busy, interrupted;
} app;

/* ---- messages (app.c) */
/* To stdout, unless quiet. */
void tell(const app *a, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* To stderr, a line. Returns -1. */
int complain(const char *fmt, ...) NACRE_PRINTF(1, 2);
/* The session's error, as a line. Returns -1. */
int complain_sftp(const app *a);
/*
 * What was refused, as sftp(1) words it, and why; path is the last one the request named. A failure
 * that is no answer of the server's is told like any other.
 */
int complain_path(const app *a, const char *path, const char *fmt, ...) NACRE_PRINTF(3, 4);
/* Text of unknown origin as it may be shown; one of a few static buffers. */
const char *shown(const char *text);
/* malloc that ends the program when there is no memory. */
char *text_of(const char *fmt, ...) NACRE_PRINTF(1, 2);
void *keep(void *p);

/* ---- paths (paths.c) */
/* path from where we stand; malloc'd. */
char *absolute(const app *a, const char *path);
char *joined(const char *dir, const char *name);
const char *base_name(const char *path); /* "" for "/" and "dir/" */
bool is_dir(const nacre_sftp_attrs *attrs);
bool is_file(const nacre_sftp_attrs *attrs);
bool remote_is_dir(app *a, const char *path);
bool local_is_dir(const char *path);

typedef struct names {
    char **at;
    size_t count;
} names;
void names_add(names *n, char *taken);
void names_free(names *n);
void names_sort(names *n);
/* Remote paths that match; a word without magic gives itself, unchecked. -1: told already. */
int remote_glob(app *a, const word *w, names *out);
int local_glob(const word *w, names *out);

/* ---- transfers (transfer.c) */
typedef struct transfer_flags {
    bool preserve, recursive, sync, resume;
} transfer_flags;
int get_command(app *a, const transfer_flags *f, const word *from, const char *to);
int put_command(app *a, const transfer_flags *f, const word *from, const char *to);

/* ---- listing (list.c) */
int ls_command(app *a, const words *w);
int df_command(app *a, const words *w);

/* ---- progress.c */
void progress_begin(app *a, const char *name);
bool progress_step(void *user, const char *path, uint64_t done, uint64_t total);
void progress_end(app *a, bool good);

/* ---- commands.c */
/* 0: done, -1: failed (told). */
int run_line(app *a, const char *line);

#endif
