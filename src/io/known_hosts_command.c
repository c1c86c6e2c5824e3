/*
 * known_hosts_command.c - known_hosts lines that a program prints.
 */
#include "base/buf.h"
#include "base/error.h"
#include "io/capture.h"
#include "keys/known_hosts.h"
#include "nacre/host_trust.h"

int nacre_known_hosts_add_command(nacre_known_hosts *h, char *const *argv, const char *source,
                                  uint32_t timeout_ms, nacre_error *err)
{
    nc_buf out;
    nc_error_clear(err);
    if (!argv[0] || argv[0][0] != '/') {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the program for host keys must be named by an absolute path");
    }
    nc_buf_init(&out, NULL, NC_HOSTS_MAX_TEXT);
    const nc_capture c = {.argv = argv, .timeout_ms = timeout_ms};
    int rc = nc_capture_run(&c, &out, err);
    if (rc == NACRE_OK) {
        rc = nacre_known_hosts_add_text(h, nc_buf_span(&out), source);
        if (rc != NACRE_OK) {
            rc = nc_fail(err, rc, "%s: %s", NC_ESC(nc_span_cstr(argv[0])), nacre_status_text(rc));
        }
    }
    nc_buf_clear(&out);
    return rc;
}
