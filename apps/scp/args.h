/*
 * args.h - the command line of scp(1), taken apart. No I/O but for getopt's own complaints.
 */
#ifndef SCP_ARGS_H
#define SCP_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct scp_args {
    bool agent;        /* -A */
    bool direct;       /* -R: the source's host connects to the target's */
    bool batch;        /* -B */
    bool legacy;       /* -O */
    bool preserve;     /* -p */
    bool quiet;        /* -q */
    bool recursive;    /* -r */
    bool any_name;     /* -T */
    bool to_directory; /* -d, or several sources: the target must be a directory */
    int verbose;       /* -1: -q, 0, or how often -v */
    const char *server, *config_file, *program; /* -D, -F, -S; NULL: not given */
    uint16_t port;                              /* -P; 0: not given */
    uint64_t rate;                              /* -l in bytes per second; 0: no bound */
    uint32_t requests, buffer;                  /* -X; 0: not given */
    char **o;                                   /* "Keyword=value", for the library */
    size_t o_count;
    char **ssh; /* the same as words for -S's program */
    size_t ssh_count;
    char *const *operands; /* sources, and the target behind them */
    size_t operand_count;
} scp_args;

typedef enum args_result {
    ARGS_GOOD = 0,
    ARGS_USAGE, /* not a command line of scp */
    ARGS_WRONG  /* why says what is wrong */
} args_result;

/* Strings are borrowed from argv, which getopt reorders. out is to be cleared in any case. */
args_result args_parse(scp_args *out, int argc, char **argv, char *why, size_t size);
void args_clear(scp_args *a);

#endif
