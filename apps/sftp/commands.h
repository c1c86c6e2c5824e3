/*
 * commands.h - the table of what can be typed at "sftp> ".
 */
#ifndef SFTP_COMMANDS_H
#define SFTP_COMMANDS_H

#include "app.h"

/* What a word behind a command names, for whoever completes it. */
typedef enum argument {
    ARG_NONE = 0,
    ARG_REMOTE,
    ARG_REMOTE_DIR,
    ARG_LOCAL,
    ARG_LOCAL_DIR
} argument;

typedef struct command {
    const char *name;
    int (*run)(app *a, const call *c);
    const char *flags;        /* letters; NULL: what stands behind the name is nobody's but run's */
    argument first, second;   /* second also of all that follow */
    const char *usage, *help; /* help NULL: known, but not shown */
} command;

const command *command_find(const char *name);
/* NULL behind the last. */
const command *command_at(size_t index);

/* ---- attributes.c */
int chmod_command(app *a, const call *c);
int chown_command(app *a, const call *c);
int chgrp_command(app *a, const call *c);
/* All of text as a number, as strtoll(3) reads it: true and *out. */
bool whole_number(const char *text, int base, uint32_t *out);

/* ---- local.c */
int lcd_command(app *a, const call *c);
int lls_command(app *a, const call *c);
int lmkdir_command(app *a, const call *c);
int lpwd_command(app *a, const call *c);
int lumask_command(app *a, const call *c);
/* A command for the user's shell; "": the shell itself. Its failure is told, and is none of ours. */
void run_shell(app *a, const char *script);

#endif
