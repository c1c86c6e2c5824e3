/*
 * scp.h - what the files of nacre-scp share: the command line, connections, messages, the balance.
 */
#ifndef SCP_SCP_H
#define SCP_SCP_H

#include "../progress.h"
#include "../sftp_connect.h"
#include "args.h"
#include "nacre/sftp_transfer.h"
#include "place.h"

#include <signal.h>

enum { SCP_FAILED = 1, SCP_NO_CONNECTION = 255 };

typedef struct scp {
    scp_args args;
    progress *bar; /* NULL: none is shown */
    int status;    /* what the program ends with, so far */
    /* Set from the signal's handler. */
    volatile sig_atomic_t interrupted;
    /* The sessions that a signal cancels. */
    nacre_sftp *volatile active[2];
    struct nacre_scp *volatile old[2]; /* and with -O */
} scp;

/* ---- say.c: messages and names */

/* "nacre-scp: ..." on stderr, and the program will end with SCP_FAILED. */
void fail(scp *a, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* The same with SCP_NO_CONNECTION. */
void fail_badly(scp *a, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* A line that changes nothing; when -v was given. */
void debug(const scp *a, const char *fmt, ...) NACRE_PRINTF(2, 3);
/* What the session's last call says, with the path it was about. */
void fail_sftp(scp *a, nacre_sftp *s, const char *path);
/* The library's sentence, which names the path; a server's words end as the C library would put them. */
void fail_sentence(scp *a, const char *text);
/* Text of unknown origin as it may be shown; one of a few static buffers. */
const char *shown(const char *text);
/* p, or the end of the program when there is no memory. */
void *keep(void *p);
/* The callbacks of a job; user is the scp. */
bool on_progress(void *user, const char *path, uint64_t done, uint64_t total);
void on_item(void *user, const nacre_sftp_item *item);

/* ---- far.c: the other machines */

typedef struct far {
    connection *link;
    nacre_sftp *s;
    int slot; /* in scp.active */
} far;
/* Connects; loop may be NULL. False: told. */
bool far_open(scp *a, far *f, const place *p, nacre_loop *loop);
void far_close(scp *a, far *f);
/* The options of a connection to p, for what needs no SFTP. */
void far_options(const scp *a, const place *p, connect_options *o);
/* A path as the server takes it: ~ and ~user replaced; malloc'd, NULL: told. */
char *far_path(scp *a, far *f, const char *path);
typedef struct far_names {
    char **at;
    size_t count;
} far_names;
/*
 * The paths that a source names on its server: what its pattern matches, or itself when it is there; files, and
 * with -r directories, the rest is told of. False: there is no such thing, told.
 */
bool far_sources(scp *a, far *f, const char *path, far_names *out);
void far_names_free(far_names *n);

/* ---- files.c: jobs */

/* A job that does not mix what has the same target: it runs before a target comes a second time. */
typedef struct jobs jobs;
jobs *jobs_new(scp *a, far *f, bool up);
void jobs_add(jobs *j, const char *from, const char *to);
void jobs_run(jobs *j); /* and frees */

/* ---- the ways: sources are parsed, target too */
void copy_up(scp *a, const place *sources, size_t count, const place *target);
void copy_down(scp *a, const place *sources, size_t count, const char *target);
void copy_through(scp *a, const place *sources, size_t count, const place *target);
void copy_direct(scp *a, const place *source, const place *target);
void copy_here(scp *a, const char *source, const char *target);
/* Runs a program with our descriptors; a failure, which it has told itself, becomes ours. argv[0] may be
 * searched in PATH. */
void run_here(scp *a, char *const *argv);
void legacy_up(scp *a, const place *sources, size_t count, const place *target);
void legacy_through(scp *a, const place *sources, size_t count, const place *target);
void legacy_down(scp *a, const place *sources, size_t count, const char *target);

/* ---- pump.c: from one server to another */
typedef struct pump {
    scp *a;
    nacre_sftp *from, *to; /* the same: copied on the server */
    nacre_loop *loop;      /* under both, NULL: none */
    uint64_t began_ms, moved;
} pump;
/* A file or, with -r, a directory and all below it. What fails is told, and does not end the rest. */
void pump_copy(pump *p, const char *from, const char *to);

#endif
