/*
 * args.h - the command line of nacre-sftp.
 */
#ifndef SFTP_ARGS_H
#define SFTP_ARGS_H

#include "app.h"

enum { FAILED = 1, FATAL = 255 };

typedef struct arguments {
    connect_options c;
    const char *batch_file; /* -b; NULL: none; "-": stdin */
    int batch_fd;
    bool noisy;       /* -N: not quiet in spite of -b and -q, wherever they stand */
    char **ssh_words; /* for -S */
    size_t ssh_count;
    char **o;
    size_t o_count;
    char *user, *host, *path;
    const char *local; /* where path goes */
} arguments;

/* Ends the program when something is wrong: told, with sftp(1)'s exit status. */
void arguments_parse(app *a, arguments *g, int argc, char **argv);
void arguments_free(arguments *g);

#endif
