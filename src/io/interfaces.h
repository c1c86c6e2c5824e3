/*
 * interfaces.h - the addresses that this machine has now.
 */
#ifndef NC_IO_INTERFACES_H
#define NC_IO_INTERFACES_H

#include "nacre/base.h"

/* Whether fn says yes to one of the addresses, as text, of interfaces that are up. */
bool nc_interfaces_any(bool (*fn)(void *user, const char *address), void *user);

#endif
