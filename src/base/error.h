/*
 * error.h - filling the error object where a fault is seen, the log hook, and escaping.
 */
#ifndef NC_BASE_ERROR_H
#define NC_BASE_ERROR_H

#include "base/mem.h"

#include <stdarg.h>

/*
 * Records status and a sentence, unless *e (NULL ok) holds an error already: the first cause wins.
 * Returns status, so that a fault is one line: return nc_fail(e, NACRE_BAD_KEY, "...").
 */
int nc_fail(nacre_error *e, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);
int nc_vfail(nacre_error *e, int status, nacre_blame by, const char *fmt, va_list ap)
    NACRE_PRINTF(4, 0);
void nc_error_clear(nacre_error *e);

/* Drops a result on purpose, where the compiler insists on a look: the caller says beside it why nothing is lost. */
static inline void nc_drop(long result)
{
    (void)result;
}

/* The disconnect reason that goes with a status (RFC 4253 11.1); 0: none. */
uint32_t nc_status_disconnect_reason(int status);

typedef struct nc_log {
    nacre_log_fn fn; /* NULL: silent */
    void *user;
    nacre_log_level level;
} nc_log;

void nc_logf(const nc_log *log, nacre_log_level level, const char *fmt, ...) NACRE_PRINTF(3, 4);

/* Escaped copy of up to what fits of s, for "%s" in messages: NC_ESC(span) in an argument list. */
typedef struct nc_escaped {
    char text[256];
} nc_escaped;
nc_escaped nc_escape_span(nacre_span s);
#define NC_ESC(span) (nc_escape_span(span).text)

#endif
