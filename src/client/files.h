/*
 * files.h - small text files of a user's: read whole, with a cap.
 */
#ifndef NC_CLIENT_FILES_H
#define NC_CLIENT_FILES_H

#include "base/buf.h"
#include "base/error.h"

enum { NC_FILE_MAX = 1024 * 1024 };

/* Appends the file to out (whose max is the cap). NACRE_NOT_FOUND, NACRE_IO, NACRE_TOO_LARGE. */
int nc_file_read(const char *path, nc_buf *out, nacre_error *err) NACRE_MUST_CHECK;
/*
 * The same for a configuration that could run programs or change whom we trust: NACRE_KEY_PERMISSIONS
 * unless it belongs to us or root and nobody else can write it.
 */
int nc_file_read_own(const char *path, nc_buf *out, nacre_error *err) NACRE_MUST_CHECK;

#endif
