/*
 * krl_file.c - revocation lists on disk. What stands in them is src/keys' business.
 */
#include "io/text_file.h"
#include "nacre/krl.h"

/* As src/keys/krl.h has it; a larger file is not read to its end. */
enum { MAX_KRL_FILE = 64 * 1024 * 1024 };

int nacre_krl_load_file(nacre_krl **out, const nacre_allocator *a, const char *path,
                        nacre_error *err)
{
    nc_buf file;
    *out = NULL;
    nc_error_clear(err);
    nc_buf_init(&file, a, MAX_KRL_FILE);
    int rc = nc_file_read(path, &file, err);
    if (rc == NACRE_OK) {
        nacre_error inner;
        rc = nacre_krl_parse(out, a, nc_buf_span(&file), &inner);
        if (rc != NACRE_OK) {
            nc_fail(err, rc, "%s: %s", NC_ESC(nc_span_cstr(path)), inner.text);
        }
    }
    nc_buf_clear(&file);
    return rc;
}
