/*
 * private_dir.c - directories of our own.
 */
#include "io/private_dir.h"

#include "io/fd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int nc_private_dir(const char *base, char *out, size_t size, const char *purpose, nacre_error *err)
{
    const char *tmp = getenv("TMPDIR");
    if (!base) {
        base = tmp && *tmp ? tmp : "/tmp";
    }
    int n = snprintf(out, size, "%s/nacre-XXXXXXXXXX", base);
    if (n < 0 || (size_t)n >= size || !mkdtemp(out)) {
        int why = n < 0 || (size_t)n >= size ? ENAMETOOLONG : errno;
        out[0] = '\0';
        return nc_os_fail(err, NACRE_IO, why, "no directory for %s in %s", purpose,
                          NC_ESC(nc_span_cstr(base)));
    }
    return NACRE_OK;
}
