/*
 * text_file.h - small text files, as configurations are: read whole, with a cap; and the files that an
 * Include names.
 */
#ifndef NC_IO_TEXT_FILE_H
#define NC_IO_TEXT_FILE_H

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

/*
 * Calls fn with each file that the pattern (of glob(7)) names, in order, until it fails: its status.
 * No file is no error, as with OpenSSH's Include.
 */
int nc_file_each(const char *pattern, int (*fn)(void *user, const char *path),
                 void *user) NACRE_MUST_CHECK;

/* "path: what: why" by errno: NACRE_NOT_FOUND or NACRE_IO; returns it. */
int nc_text_file_fail(nacre_error *err, const char *path, const char *what);
/* The rest of fd, up to the buffer's own cap: NACRE_TOO_LARGE. Leaves no copy behind: it may be a secret. */
int nc_text_file_read_fd(int fd, const char *path, nc_buf *out, nacre_error *err) NACRE_MUST_CHECK;

#endif
