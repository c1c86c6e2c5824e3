/*
 * canonical_name.h - what the system's resolver calls a host.
 */
#ifndef NC_IO_CANONICAL_NAME_H
#define NC_IO_CANONICAL_NAME_H

#include "base/error.h"

/*
 * NACRE_OK: name (family 0, 4, 6) has an address; out is the name that it belongs to in the end, "" when that is
 * not known. numeric: name is an address itself, out is how it is usually written. NACRE_RESOLVE: it has none.
 * Blocks as long as the resolver does.
 */
int nc_canonical_name(const char *name, int family, bool numeric, char *out,
                      size_t size) NACRE_MUST_CHECK;

#endif
