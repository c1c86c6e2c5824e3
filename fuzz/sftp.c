/*
 * The SFTP machines: the first byte chooses the end and the cuts, the rest is what the other end says.
 * The client asks for a little of everything beforehand, so that replies find requests.
 */
#include <stdlib.h>
#include <string.h>

#include "mutator.h"
#include "nacre/sftp_engine.h"
#include "nacre/sftp_server.h"

const fuzz_shape fuzz_input_shape = {FUZZ_MESSAGES, 1};

static int pipe_write(void *ctx, const void *p, size_t n, size_t *took)
{
    (void)ctx;
    (void)p;
    *took = n;
    return NACRE_OK;
}

static uint32_t op_open(nacre_sftp_call *call, nacre_span path, uint32_t pflags,
                        const nacre_sftp_attrs *attrs, void **file)
{
    (void)call;
    (void)path;
    (void)pflags;
    (void)attrs;
    *file = file; /* any address: it is only handed back */
    return NACRE_FX_OK;
}

static uint32_t op_close(nacre_sftp_call *call, void *user, void *file)
{
    (void)call;
    (void)user;
    (void)file;
    return NACRE_FX_OK;
}

static uint32_t op_write(nacre_sftp_call *call, void *file, uint64_t offset, nacre_span data)
{
    (void)call;
    (void)file;
    (void)offset;
    return data.n && data.p[0] == 0xff ? NACRE_FX_FAILURE : NACRE_FX_OK;
}

static uint32_t op_read(nacre_sftp_call *call, void *file, uint64_t offset, const nacre_room *rooms,
                        size_t count, size_t want, size_t *got)
{
    (void)call;
    (void)file;
    *got = count && rooms[0].n < want ? rooms[0].n : count ? want : 0;
    if (offset > 100000) {
        *got = 0;
        return NACRE_FX_EOF;
    }
    memset(rooms[0].p, 'r', *got < rooms[0].n ? *got : rooms[0].n);
    *got = *got < rooms[0].n ? *got : rooms[0].n;
    return NACRE_FX_OK;
}

static uint32_t op_stat(nacre_sftp_call *call, nacre_span path, nacre_sftp_attrs *out)
{
    (void)call;
    (void)path;
    memset(out, 0, sizeof(*out));
    return NACRE_FX_OK;
}

static void fuzz_server(nacre_span in, uint8_t flags, const nacre_pipe *pipe)
{
    nacre_sftp_server_ops ops;
    memset(&ops, 0, sizeof(ops));
    ops.size = sizeof(ops);
    ops.open = op_open;
    ops.close = op_close;
    ops.write = op_write;
    ops.read = op_read;
    ops.stat = op_stat;
    ops.lstat = op_stat;
    nacre_sftp_server *s = NULL;
    if (nacre_sftp_server_new(&s, pipe, &ops, NULL, NULL, NULL) != NACRE_OK) {
        return;
    }
    int rc = NACRE_OK;
    while (in.n && rc == NACRE_OK) {
        rc = nacre_sftp_server_input(s, fuzz_take(&in, flags & 2 ? 1 : 4096));
    }
    nacre_sftp_server_free(s);
}

static void ask(nacre_sftp_engine *e)
{
    uint32_t id;
    const nacre_span path = {(const uint8_t *)"path", 4};
    (void)!nacre_sftp_req_open(e, path, NACRE_FXF_READ, NULL, &id);
    (void)!nacre_sftp_req_read(e, path, 0, 1000, NULL, &id);
    (void)!nacre_sftp_req_stat(e, path, &id);
    (void)!nacre_sftp_req_readdir(e, path, &id);
    (void)!nacre_sftp_req_realpath(e, path, &id);
    (void)!nacre_sftp_req_remove(e, path, &id);
    (void)!nacre_sftp_req_limits(e, &id);
    (void)!nacre_sftp_req_statvfs(e, path, &id);
    (void)!nacre_sftp_engine_flush(e);
}

static void fuzz_client(nacre_span in, uint8_t flags, const nacre_pipe *pipe)
{
    nacre_sftp_engine *e = NULL;
    nacre_sftp_event ev;
    if (nacre_sftp_engine_new(&e, NULL, pipe) != NACRE_OK) {
        return;
    }
    int rc = nacre_sftp_engine_start(e);
    rc = rc == NACRE_OK ? nacre_sftp_engine_flush(e) : rc;
    while (rc == NACRE_OK && in.n) {
        nacre_span piece = fuzz_take(&in, flags & 2 ? 1 : 4096);
        while (piece.n && rc == NACRE_OK) {
            size_t used = 0;
            rc = nacre_sftp_engine_input(e, piece, &used, &ev);
            piece.p += used;
            piece.n -= used;
            if (rc == NACRE_OK && ev.type == NACRE_SFTP_EVENT_VERSION) {
                ask(e);
            }
            nacre_sftp_name entry;
            while (rc == NACRE_OK && ev.type == NACRE_SFTP_EVENT_NAMES &&
                   nacre_sftp_names_next(&ev.u.names, &entry)) {
            }
            if (rc == NACRE_AGAIN && used == 0 && piece.n) {
                abort(); /* neither bytes nor events */
            }
            rc = rc == NACRE_AGAIN ? NACRE_OK : rc;
        }
    }
    if (nacre_sftp_engine_end(e) == NACRE_AGAIN) {
        abort(); /* the end waits for nothing */
    }
    nacre_sftp_engine_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    uint8_t flags = fuzz_byte(&in);
    nacre_pipe pipe;
    memset(&pipe, 0, sizeof(pipe));
    pipe.write = pipe_write;
    if (flags & 1) {
        fuzz_server(in, flags, &pipe);
    } else {
        fuzz_client(in, flags, &pipe);
    }
    return 0;
}
