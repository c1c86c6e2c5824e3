/*
 * scp_command.h - the commands by which scp clients start their other half, read as a shell reads them.
 */
#ifndef NC_SERVER_SCP_COMMAND_H
#define NC_SERVER_SCP_COMMAND_H

#include "nacre/base.h"

typedef struct nc_scp_args {
    const nacre_allocator *alloc;
    bool source; /* -f, else -t */
    bool recursive, preserve, to_directory;
    char **paths;
    size_t count;
} nc_scp_args;

/*
 * "scp" with -t or -f, perhaps -r -p -d -v, and paths: quotes and backslashes are taken off, "~" becomes
 * home (NULL: the process's user's), wildcards of -f become what they match below start. NACRE_UNSUPPORTED:
 * anything else, which only a shell understands. out is to be cleared on success.
 */
int nc_scp_args_parse(nc_scp_args *out, const char *command, const char *start, const char *home,
                      const nacre_allocator *alloc) NACRE_MUST_CHECK;
void nc_scp_args_clear(nc_scp_args *a);

#endif
