/*
 * commands.h - the table of what can be typed at "sftp> ".
 */
#ifndef SFTP_COMMANDS_H
#define SFTP_COMMANDS_H

#include "app.h"

typedef struct command {
    const char *name;
    int (*run)(app *a, const words *w);
    size_t least, most; /* words behind the name, options not counted; most SIZE_MAX: any */
    const char *usage;
    const char *help; /* NULL: known, but not shown in help */
} command;

const command *command_find(const char *name);
/* NULL behind the last. */
const command *command_at(size_t index);

#endif
