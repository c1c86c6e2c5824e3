/*
 * sftp_transfer.c - the calls that move one file: each starts one xfer and waits until it is over. The
 * session's timeout bounds the time without progress, not the whole.
 */
#include "client/sftp_xfer_state.h"

#include <string.h>

void nacre_sftp_transfer_options_init(nacre_sftp_transfer_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
}

static void told(void *user, nc_xfer *x)
{
    (void)x;
    *(bool *)user = true;
}

static bool is_true(void *user)
{
    return *(bool *)user;
}

/* What is left of it may be waited for, but only as long as the server answers. */
static void give_up(nacre_sftp *s, nc_xfer *x, bool *over)
{
    nacre_error why = s->error;
    nc_xfer_stop(x, &why);
    if (!*over && nc_sftp_drive(s, is_true, over, false) != NACRE_OK) {
        why = s->error;
        why.status = why.status == NACRE_CANCELLED ? NACRE_TIMEOUT : why.status;
        nc_xfer_stop(x, &why);
    }
}

static int run(nacre_sftp *s, nc_xfer_spec *spec, const nacre_sftp_transfer_options *o)
{
    nc_xfer *x = NULL;
    bool over = false;
    int rc = nc_sftp_begin(s);
    if (rc != NACRE_OK) {
        return rc;
    }
    spec->dir = -1;
    spec->o = o;
    spec->over = told;
    spec->user = &over;
    if (nc_xfer_start(&x, s, spec) != NACRE_OK) {
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for a transfer");
    }
    if (nc_sftp_drive(s, is_true, &over, o && o->rate != 0) != NACRE_OK) {
        give_up(s, x, &over);
    }
    nacre_error why = *nc_xfer_error(x);
    uint32_t code = nc_xfer_code(x);
    nc_xfer_free(x);
    nc_sftp_push(s); /* a CLOSE that nobody waits for leaves now, not with the next call */
    s->error = why;
    s->status = code;
    return s->error.status;
}

int nacre_sftp_get(nacre_sftp *s, const char *remote, const char *local,
                   const nacre_sftp_transfer_options *o)
{
    nc_xfer_spec spec = {.remote = remote, .local = local};
    return run(s, &spec, o);
}

int nacre_sftp_put(nacre_sftp *s, const char *local, const char *remote,
                   const nacre_sftp_transfer_options *o)
{
    nc_xfer_spec spec = {.up = true, .remote = remote, .local = local};
    return run(s, &spec, o);
}

int nacre_sftp_getfo(nacre_sftp *s, const char *remote, nacre_sftp_write_fn write,
                     void *stream_user, const nacre_sftp_transfer_options *o)
{
    nc_xfer_spec spec = {.remote = remote, .write = write, .stream_user = stream_user};
    return run(s, &spec, o);
}

int nacre_sftp_putfo(nacre_sftp *s, nacre_sftp_read_fn read, void *stream_user, uint64_t size,
                     const char *remote, uint32_t mode, const nacre_sftp_transfer_options *o)
{
    nc_xfer_spec spec = {.up = true,
                         .remote = remote,
                         .read = read,
                         .stream_user = stream_user,
                         .stream_size = size,
                         .stream_mode = mode};
    return run(s, &spec, o);
}
