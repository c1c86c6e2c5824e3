/*
 * private_dir.h - directories of our own for sockets and secrets.
 */
#ifndef NC_IO_PRIVATE_DIR_H
#define NC_IO_PRIVATE_DIR_H

#include "base/error.h"

/*
 * Makes a new directory (mode 0700) in base, NULL: in $TMPDIR or /tmp. "" in out when it fails. NACRE_IO,
 * errno in detail. purpose: "the agent's socket".
 */
int nc_private_dir(const char *base, char *out, size_t size, const char *purpose,
                   nacre_error *err) NACRE_MUST_CHECK;

#endif
