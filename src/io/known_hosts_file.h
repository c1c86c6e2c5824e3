/*
 * known_hosts_file.h - adding lines to a known_hosts file, for the client.
 */
#ifndef NC_IO_KNOWN_HOSTS_FILE_H
#define NC_IO_KNOWN_HOSTS_FILE_H

#include "base/error.h"

/* Appends whole lines; as nacre_known_hosts_append_file. */
int nc_known_hosts_append(const char *path, nacre_span lines, nacre_error *err) NACRE_MUST_CHECK;

#endif
