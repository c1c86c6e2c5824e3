#include "mem_server.h"

#include "nacre/paths.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 1024 * 1024 };

static bool read_all(int fd, uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t r = read(fd, p, n);
        if (r <= 0) {
            return false;
        }
        p += r;
        n -= (size_t)r;
    }
    return true;
}

static bool write_all(int fd, const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t r = send(fd, p, n, MSG_NOSIGNAL);
        if (r <= 0) {
            return false;
        }
        p += r;
        n -= (size_t)r;
    }
    return true;
}

static int pipe_write(void *ctx, const void *p, size_t n, size_t *took)
{
    *took = write_all(*(int *)ctx, p, n) ? n : 0;
    return *took == n ? NACRE_OK : NACRE_CLOSED;
}

/* A tree with "/" above all and "/home" as the beginning. */
static uint32_t op_realpath(nacre_sftp_call *call, nacre_span path, nacre_sftp_answer *out)
{
    char text[256];
    char real[600];
    char full[520];
    (void)call;
    if (path.n >= sizeof(text)) {
        return NACRE_FX_FAILURE;
    }
    memcpy(text, path.p, path.n);
    text[path.n] = '\0';
    if (nacre_path_join("/home", text, full, sizeof(full)) != NACRE_OK ||
        nacre_path_reparent("/", full, real, sizeof(real)) != NACRE_OK) {
        return NACRE_FX_NO_SUCH_FILE;
    }
    return nacre_sftp_answer_path(out, nc_span_cstr(real)) ? NACRE_FX_OK : NACRE_FX_FAILURE;
}

static nacre_sftp_server *make_machine(mem_server *m)
{
    nacre_sftp_server *s = NULL;
    nacre_sftp_server_ops ops;
    nacre_pipe pipe = {.ctx = &m->fd, .write = pipe_write};
    mem_backend_ops(&ops);
    ops.realpath = op_realpath;
    return nacre_sftp_server_new(&s, &pipe, &ops, &m->files, NULL, NULL) == NACRE_OK ? s : NULL;
}

static void count(mem_server *m, uint8_t type, nc_rd r)
{
    m->seen[type]++;
    if (type == NACRE_FXP_READ) {
        (void)nc_rd_u32(&r);
        (void)nc_rd_str(&r);
        (void)nc_rd_u64(&r);
        m->asked += nc_rd_u32(&r);
    }
}

static bool run_script(mem_server *m, uint8_t type, nc_rd r)
{
    uint32_t id = nc_rd_u32(&r);
    nc_buf_reset(&m->out);
    nc_wr w = nc_wr_init(&m->out);
    size_t mark = nc_wr_begin_str(&w);
    if (!m->script || !m->script(m, type, id, r, &w)) {
        return false;
    }
    nc_wr_end_str(&w, mark);
    if (m->out.len > 4) {
        write_all(m->fd, m->out.data, m->out.len);
    }
    return true;
}

static bool work(mem_server *m, const uint8_t *packet, size_t n)
{
    nc_rd r = nc_rd_init(nc_span(packet + 5, n - 5));
    uint8_t type = packet[4];
    count(m, type, r);
    if (run_script(m, type, r)) {
        return true;
    }
    return nacre_sftp_server_input(m->machine, nc_span(packet, n)) == NACRE_OK &&
           nacre_sftp_server_flush(m->machine) == NACRE_OK;
}

/* With files.later: when no request waits to be read, those that wait are answered, the youngest first. */
static void answer_late(mem_server *m)
{
    struct pollfd p = {.fd = m->fd, .events = POLLIN};
    while (m->files.late_count > 0 && poll(&p, 1, 0) == 0) {
        mem_backend_answer(&m->files, m->machine);
        (void)!nacre_sftp_server_flush(m->machine);
    }
}

static void *serve(void *arg)
{
    mem_server *m = arg;
    uint8_t *packet = malloc(MOST);
    m->machine = make_machine(m);
    for (unsigned i = 1; packet && m->machine && read_all(m->fd, packet, 4); i++) {
        size_t n = nc_get_u32(packet);
        if (n < 5 || n > MOST - 4 || !read_all(m->fd, packet + 4, n) ||
            (m->die_after && i > m->die_after) || !work(m, packet, n + 4)) {
            break;
        }
        answer_late(m);
    }
    if (m->machine) {
        nacre_sftp_server_free(m->machine);
    }
    close(m->fd);
    free(packet);
    return NULL;
}

void mem_server_init(mem_server *m)
{
    memset(m, 0, sizeof(*m));
    mem_backend_init(&m->files);
    nc_buf_init(&m->out, NULL, MOST);
}

int mem_server_open(mem_server *m, const nacre_sftp_options *o, nacre_sftp **s)
{
    int fds[2];
    *s = NULL;
    memset(m->seen, 0, sizeof(m->seen));
    m->asked = 0;
    m->said = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return NACRE_IO;
    }
    m->fd = fds[1];
    if (pthread_create(&m->thread, NULL, serve, m) != 0) {
        return NACRE_IO;
    }
    int rc = nacre_sftp_open_pipe(s, fds[0], fds[0], o, NULL);
    if (rc != NACRE_OK) {
        close(fds[0]);
        pthread_join(m->thread, NULL);
    }
    return rc;
}

void mem_server_close(mem_server *m, nacre_sftp *s)
{
    nacre_sftp_close(s);
    pthread_join(m->thread, NULL);
}

void mem_server_clear(mem_server *m)
{
    mem_backend_clear(&m->files);
    nc_buf_clear(&m->out);
}

void mem_server_status(nc_wr *w, uint32_t id, uint32_t code)
{
    nc_wr_u8(w, NACRE_FXP_STATUS);
    nc_wr_u32(w, id);
    nc_wr_u32(w, code);
    nc_wr_str(w, nc_span_cstr(""));
    nc_wr_str(w, nc_span_cstr(""));
}
