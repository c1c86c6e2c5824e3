/*
 * The SFTP server machine over a tree in memory: the input is what a client says, after one byte that
 * chooses the cuts and the limits. Handles have no random tag here, so that the input may guess them.
 */
#include <stdlib.h>
#include <string.h>

#include "mutator.h"
#include "nacre/memory_files.h"

const fuzz_shape fuzz_input_shape = {FUZZ_MESSAGES, 1};

static int no_random(void *user, uint8_t *out, size_t n)
{
    (void)user;
    memset(out, 0, n);
    return 0;
}

/* A slow reader: takes a little of what is offered each time. */
static int pipe_write(void *ctx, const void *p, size_t n, size_t *took)
{
    const uint8_t *flags = ctx;
    (void)p;
    *took = *flags & 4 && n > 100 ? 100 : n;
    return NACRE_OK;
}

static int fill(nacre_memory_files *m)
{
    static const uint8_t text[10000];
    const nacre_span bytes = {text, sizeof(text)};
    int rc = nacre_memory_files_put(m, "/d/f", bytes, 0644);
    rc = rc == NACRE_OK ? nacre_memory_files_put(m, "/f", bytes, 0600) : rc;
    return rc == NACRE_OK ? nacre_memory_files_mkdir(m, "/e", 0755) : rc;
}

/* Until it waits for input; a job that never ends would show as a hang. */
static int settle(nacre_sftp_server *s)
{
    int rc = NACRE_OK;
    while (rc == NACRE_OK &&
           (nacre_sftp_server_wants_step(s) || nacre_sftp_server_wants_write(s))) {
        rc = nacre_sftp_server_flush(s);
    }
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_span in = {data, size};
    uint8_t flags = fuzz_byte(&in);
    nacre_pipe pipe = {.ctx = &flags, .write = pipe_write};
    nacre_memory_files_options mo;
    nacre_sftp_server_options so;
    nacre_memory_files *m = NULL;
    nacre_sftp_server *s = NULL;
    nacre_memory_files_options_init(&mo);
    nacre_sftp_server_options_init(&so);
    mo.max_bytes = 256 * 1024;
    mo.max_files = 64;
    so.max_handles = 8;
    so.read_only = flags & 1;
    so.random = no_random;
    if (nacre_memory_files_new(&m, &mo) != NACRE_OK || fill(m) != NACRE_OK ||
        nacre_sftp_server_new(&s, &pipe, nacre_memory_files_ops(), m, &so, NULL) != NACRE_OK) {
        abort();
    }
    int rc = NACRE_OK;
    while (in.n && rc == NACRE_OK) {
        rc = nacre_sftp_server_input(s, fuzz_take(&in, flags & 2 ? 1 : 4096));
        rc = rc == NACRE_OK ? settle(s) : rc;
    }
    nacre_sftp_server_free(s);
    nacre_span bytes;
    (void)!nacre_memory_files_get(m, "/f", &bytes);
    nacre_memory_files_free(m);
    return 0;
}
