/*
 * capture.h - a program that is given little and says little: run to its end, within a time and a size.
 */
#ifndef NC_IO_CAPTURE_H
#define NC_IO_CAPTURE_H

#include "base/buf.h"
#include "base/error.h"

typedef struct nc_capture {
    char *const *argv;   /* NULL-ended; argv[0] an absolute path */
    char *const *envp;   /* NULL: our own */
    nacre_span input;    /* at most a pipe's worth, 4 KiB */
    bool quiet;          /* what it writes to its standard error is nobody's business */
    uint32_t timeout_ms; /* 0: none */
} nc_capture;

/*
 * Appends what it prints to out, whose max is the cap. NACRE_OK: it said that it went well. NACRE_IO: it
 * could not be started, or failed; NACRE_TIMEOUT, NACRE_TOO_LARGE: it was ended. err names the program.
 */
int nc_capture_run(const nc_capture *c, nc_buf *out, nacre_error *err) NACRE_MUST_CHECK;

#endif
