/*
 * keysign.c - a signature by a host key that only root can read: OpenSSH's ssh-keysign makes it, which
 * looks for itself at what it signs, at who we are, and at the connection.
 *
 * One message each way on its standard input and output: uint32 length, byte version (2), and then
 * uint32 descriptor of the connection and string data there; string signature here.
 */
#include "client/state.h"
#include "io/fd.h"
#include "nacre/process.h"
#include "wire/rd.h"
#include "wire/wr.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    VERSION = 2,
    SOCKET_FD = 3,          /* where nacre_spawn puts the extra descriptor */
    REPLY_MAX = 256 * 1024, /* what ssh-keysign itself takes for a message */
    PATIENCE_MS = 10 * 1000
};

static int request(nc_buf *b, nacre_span data)
{
    nc_wr w = nc_wr_init(b);
    size_t mark = nc_wr_begin_str(&w);
    nc_wr_u8(&w, VERSION);
    nc_wr_u32(&w, SOCKET_FD);
    nc_wr_str(&w, data);
    nc_wr_end_str(&w, mark);
    return nc_wr_err(&w);
}

/* Below the size of a socket's buffer, so that it cannot be waited for; and a program that has ended
 * must not end us by a signal. */
static int send_request(int fd, nacre_span s)
{
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return NACRE_IO;
        }
        s.p += n;
        s.n -= (size_t)n;
    }
    return NACRE_OK;
}

/* The whole message, or NACRE_IO; NACRE_TIMEOUT: the program thinks for ever. */
static int read_reply(int fd, nc_buf *b)
{
    for (;;) {
        nc_rd r = nc_rd_init(nc_buf_span(b));
        if (b->len >= 4 && nc_rd_u32(&r) <= nc_rd_left(&r)) {
            return NACRE_OK;
        }
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int ready = poll(&p, 1, PATIENCE_MS);
        if (ready < 0 && errno == EINTR) {
            continue;
        }
        if (ready <= 0) {
            return ready ? NACRE_IO : NACRE_TIMEOUT;
        }
        uint8_t bytes[4096];
        ssize_t n = read(fd, bytes, sizeof(bytes));
        if (n <= 0 || nc_buf_append(b, bytes, (size_t)n) != NACRE_OK) {
            return NACRE_IO;
        }
    }
}

static int take_signature(const nc_buf *b, uint8_t **sig, size_t *n, const nacre_allocator *alloc)
{
    nc_rd all = nc_rd_init(nc_buf_span(b));
    nc_rd r = nc_rd_init(nc_rd_str(&all));
    uint8_t version = nc_rd_u8(&r);
    nacre_span s = nc_rd_str(&r);
    if (nc_rd_end(&r) != NACRE_OK || nc_rd_end(&all) != NACRE_OK || version != VERSION || !s.n) {
        return NACRE_IO;
    }
    *sig = nc_alloc(alloc, s.n);
    if (!*sig) {
        return NACRE_NO_MEMORY;
    }
    memcpy(*sig, s.p, s.n);
    *n = s.n;
    return NACRE_OK;
}

static int talk(const nacre_process *p, nacre_span data, const nacre_allocator *alloc,
                uint8_t **sig, size_t *n)
{
    nc_buf out, in;
    nc_buf_init(&out, alloc, REPLY_MAX);
    nc_buf_init(&in, alloc, REPLY_MAX);
    int rc = request(&out, data);
    if (rc == NACRE_OK) {
        rc = send_request(p->in, nc_buf_span(&out));
    }
    if (rc == NACRE_OK) {
        rc = read_reply(p->out, &in);
    }
    if (rc == NACRE_OK) {
        rc = take_signature(&in, sig, n, alloc);
    }
    nc_buf_clear(&out);
    nc_buf_clear(&in);
    return rc;
}

int nc_keysign(nacre_client *c, const char *program, int connection, nacre_span data, uint8_t **sig,
               size_t *n)
{
    char *argv[] = {(char *)(uintptr_t)program, NULL};
    nacre_spawn_options o;
    nacre_process p;
    nacre_error why;
    nacre_spawn_options_init(&o);
    o.program = program;
    o.argv = argv;
    o.stdio = NACRE_STDIO_SOCKETS;
    o.keep_stderr = true;
    o.extra_fd = connection;
    *sig = NULL;
    *n = 0;
    int rc = nacre_spawn(&o, &p, &why);
    if (rc != NACRE_OK) {
        nc_client_warn(c, "ssh-keysign cannot be run: %s", why.text);
        return rc;
    }
    rc = talk(&p, data, c->alloc, sig, n);
    nacre_process_close(&p);
    if (rc != NACRE_OK) {
        (void)kill(p.pid, SIGKILL);
    }
    int status = 0;
    while (waitpid(p.pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (rc != NACRE_OK) {
        nc_client_warn(c,
                       "%s made no signature (%s); it says why itself, as a rule that "
                       "EnableSSHKeysign is not set in /etc/ssh/ssh_config",
                       NC_ESC(nc_span_cstr(program)), nacre_status_text(rc));
    }
    return rc;
}
