/*
 * scp.h - the inside of a nacre_scp: one remote program at a time, on a channel of a client, and what
 * became of the things that it was about.
 */
#ifndef NC_CLIENT_SCP_H
#define NC_CLIENT_SCP_H

#include "base/error.h"
#include "client/transfer_report.h"
#include "nacre/scp.h"
#include "scp/join.h"
#include "scp/sink.h"
#include "scp/source.h"

struct nacre_scp {
    const nacre_allocator *alloc;
    nacre_client *c;
    nacre_scp_options o;
    char *program;
    nacre_error err;
};

/* ---- scp_run.c: one remote program ---------------------------------------------------------------------- */

typedef struct nc_scp_run {
    nacre_scp *s;
    nacre_channel *ch;
    nacre_pipe pipe; /* for the machine */
    nacre_pipe wire; /* below it: the channel's */
    nc_scp_source *source;
    nc_scp_sink *sink; /* one of them, or */
    nc_scp_join *join; /* this one, which belongs to both runs; */
    struct nc_scp_run *other;
    bool lower;  /* and this is the receiving program's */
    int verdict; /* the machine's; NACRE_AGAIN: it works */
    bool closed;
    uint64_t activity; /* grows whenever something comes or goes */
    nacre_exit exit;
    char words[256]; /* the end of what the program said on stderr */
    size_t words_len;
    /* bounded rate */
    uint64_t tokens, tokens_at, held_back, timer;
} nc_scp_run;

typedef struct nc_scp_command {
    char direction; /* 't' or 'f' */
    const char *path;
    bool preserve, to_directory;
} nc_scp_command;
/* Starts "scp flag... path". On failure s->err is set and nothing is left. */
int nc_scp_run_open(nc_scp_run *r, nacre_scp *s, const nc_scp_command *what) NACRE_MUST_CHECK;
/* Hears its events from now on, in whatever call turns the loop. */
int nc_scp_run_listen(nc_scp_run *r) NACRE_MUST_CHECK;
/* With a machine in it: until both are through. s->err is set on failure. */
int nc_scp_run_wait(nc_scp_run *r) NACRE_MUST_CHECK;
/* Frees channel and machine, but for one of two runs. */
void nc_scp_run_close(nc_scp_run *r);
/* How much of want may go now; 0: the machine will be called again when some may. */
size_t nc_scp_run_may(nc_scp_run *r, size_t want);
/* Line by line without waiting, where the other end is known to read so. */
bool nc_scp_run_pipelined(const nc_scp_run *r);

/* ---- scp.c: what became of things ------------------------------------------------------------------------ */

typedef struct nc_scp_book {
    nacre_scp *s;
    nacre_sftp_report *report; /* never NULL */
    nacre_sftp_report own;
    nacre_error first; /* failure */
    bool stopped;      /* stop_on_error has struck */
    uint64_t told_at;  /* progress */
} nc_scp_book;

void nc_scp_book_begin(nc_scp_book *b, nacre_scp *s, nacre_sftp_report *report);
void nc_scp_book_end(nc_scp_book *b);
void nc_scp_book_started(nc_scp_book *b, const nacre_sftp_item *item);
/* why: NACRE_OK, or a failure (NACRE_UNSUPPORTED: it was skipped), which is a warning too. */
void nc_scp_book_over(nc_scp_book *b, nacre_sftp_item *item, const nacre_error *why);
/* False: the caller wants no more. now: not only when it is time. */
bool nc_scp_book_progress(nc_scp_book *b, const char *path, uint64_t done, uint64_t total,
                          bool now);
/* What a call returns that ended with rc, and why. */
int nc_scp_book_result(nc_scp_book *b, int rc);

#endif
