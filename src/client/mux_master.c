/*
 * mux_master.c - a master's socket and its clients' packets (PROTOCOL.mux 1): accepted, read one at a time with the
 * descriptors that belong to them, answered. What they ask for is served in mux_serve.c.
 */
#include "client/mux_master.h"

#include "io/control_socket.h"
#include "io/fd.h"
#include "io/pass_fd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    READ_ONCE = 16 * 1024,
    ACCEPT_ONCE = 8,     /* clients in a turn: others want to live too */
    NO_FDS_WAIT_MS = 500 /* until accept is tried again when descriptors were short */
};

static void on_conn(void *user, int fd, unsigned ready);

/* ---- one client ---- */

static void watch(nc_mux_conn *x)
{
    unsigned events = 0;
    if (x->fd < 0) {
        return;
    }
    if (nc_queue_len(&x->out) > 0 || x->closing || x->proxy_due || x->terminate_due) {
        events = NACRE_WRITE; /* the loop finds it writable, and then sees to it */
    } else if (!x->paused) {
        events = NACRE_READ;
    }
    (void)nacre_loop_modify(x->m->c->loop, x->fd, events);
}

void nc_mux_take_fds(nc_mux_conn *x)
{
    for (unsigned i = 0; i < NC_MUX_FDS; i++) {
        x->fds[i] = x->came[i];
        x->came[i] = -1;
    }
    x->came_count = 0;
}

void nc_mux_close_fds(nc_mux_conn *x)
{
    for (unsigned i = 0; i < NC_MUX_FDS; i++) {
        nc_fd_close(&x->fds[i]);
    }
}

/* Those that nobody took. */
static void drop_came(nc_mux_conn *x)
{
    for (unsigned i = 0; i < NC_MUX_FDS; i++) {
        nc_fd_close(&x->came[i]);
    }
    x->came_count = 0;
}

static void conn_free(nc_mux_conn *x)
{
    nacre_mux_master *m = x->m;
    nc_mux_session_drop(x);
    nc_mux_forward_forget(x);
    nc_mux_bridge_free(x->bridge);
    for (nc_mux_conn **at = &m->conns; *at; at = &(*at)->next) {
        if (*at == x) {
            *at = x->next;
            m->count--;
            break;
        }
    }
    if (x->fd >= 0) {
        nacre_loop_remove(m->c->loop, x->fd);
        nc_fd_close(&x->fd);
    }
    nc_mux_close_fds(x);
    drop_came(x);
    nc_buf_clear(&x->in);
    nc_queue_clear(&x->out);
    nc_buf_clear(&x->env);
    nc_free(m->alloc, x->command);
    nc_free(m->alloc, x->term);
    nc_free(m->alloc, x);
    if (m->fd >= 0 && m->accept_timer == 0) {
        (void)nacre_loop_modify(m->c->loop, m->fd, m->count < NC_MUX_CLIENTS_MAX ? NACRE_READ : 0);
    }
    nc_mux_master_touch(m);
}

/* True: all of it is out. */
static bool flush(nc_mux_conn *x, bool *broken)
{
    *broken = false;
    while (nc_queue_len(&x->out) > 0) {
        ssize_t put =
            nc_fd_write(x->fd, NC_FD_SOCKET, nc_queue_front(&x->out), nc_queue_len(&x->out));
        if (put <= 0) {
            *broken = errno != EAGAIN;
            return false;
        }
        nc_queue_consume(&x->out, (size_t)put);
    }
    nc_queue_shrink(&x->out, 4096);
    return true;
}

/* Answers go when the loop comes to it: x is never gone behind the back of who calls. */
void nc_mux_send(nc_mux_conn *x, const nc_ctl_msg *msg)
{
    if (nc_ctl_write(&x->out.buf, msg) != NACRE_OK) {
        x->closing = true;
    }
    watch(x);
}

void nc_mux_ok(nc_mux_conn *x, uint32_t id)
{
    nc_ctl_msg msg = {.type = NC_CTL_S_OK, .id = id};
    nc_mux_send(x, &msg);
}

void nc_mux_refuse(nc_mux_conn *x, uint32_t type, uint32_t id, const char *why)
{
    nc_ctl_msg msg = {.type = type, .id = id};
    msg.u.text.text = nc_span_cstr(why);
    nc_client_log(x->m->c, NACRE_LOG_VERBOSE, "a client of the shared connection: %s", why);
    nc_mux_send(x, &msg);
}

void nc_mux_resume(nc_mux_conn *x)
{
    x->paused = false;
    watch(x);
}

void nc_mux_hang_up(nc_mux_conn *x)
{
    x->closing = true;
    watch(x);
}

void nc_mux_gone(nc_mux_conn *x)
{
    conn_free(x);
}

bool nc_mux_may(nc_mux_conn *x, uint32_t id, const char *fmt, ...)
{
    const nacre_mux_master_options *o = &x->m->opts;
    char question[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(question, sizeof(question), fmt, ap);
    va_end(ap);
    if (!o->ask || o->ask(o->user, question)) {
        return true;
    }
    nc_mux_refuse(x, NC_CTL_S_DENIED, id, "Permission denied");
    return false;
}

/* ---- reading ---- */

typedef enum reading { READ_MORE, READ_WAIT, READ_OVER } reading;

static reading complain(nc_mux_conn *x, const char *what)
{
    nc_client_log(x->m->c, NACRE_LOG_INFO, "a client of the shared connection is hung up on: %s",
                  what);
    return READ_OVER;
}

/* Exactly up to n bytes: descriptors hang at the bytes that follow. */
static reading read_up_to(nc_mux_conn *x, size_t n)
{
    while (x->in.len < n) {
        size_t some = n - x->in.len < READ_ONCE ? n - x->in.len : READ_ONCE;
        if (nc_buf_reserve(&x->in, some) != NACRE_OK) {
            return complain(x, "out of memory");
        }
        ssize_t got = nc_fd_read(x->fd, NC_FD_SOCKET, x->in.data + x->in.len, some);
        if (got < 0 && errno == EAGAIN) {
            return READ_WAIT;
        }
        if (got <= 0) {
            return x->in.len ? complain(x, "it left in the middle of a request") : READ_OVER;
        }
        x->in.len += (size_t)got;
    }
    return READ_MORE;
}

static reading greet(nc_mux_conn *x)
{
    if (x->greeted) {
        return complain(x, "it said hello twice");
    }
    if (x->msg.u.hello.version != NC_CTL_VERSION) {
        return complain(x, "it speaks another version of the protocol");
    }
    x->greeted = true;
    nc_buf_clear(&x->in);
    return READ_MORE;
}

static reading read_packet(nc_mux_conn *x)
{
    nacre_error why;
    reading r = read_up_to(x, 4);
    if (r != READ_MORE) {
        return r;
    }
    uint32_t n = nc_get_u32(x->in.data);
    if (n > NC_CTL_MAX_PACKET) {
        return complain(x, "a request is longer than 256 KiB");
    }
    r = read_up_to(x, 4 + (size_t)n);
    if (r != READ_MORE) {
        return r;
    }
    nc_error_clear(&why);
    int rc = nc_ctl_read(nc_span(x->in.data + 4, n), false, &x->msg, &why);
    if (rc == NACRE_UNSUPPORTED && x->greeted) {
        nc_mux_refuse(x, NC_CTL_S_FAILURE, x->msg.id, "unsupported request");
        nc_buf_clear(&x->in);
        return READ_MORE;
    }
    if (rc != NACRE_OK) {
        return complain(x, why.text);
    }
    if (x->msg.type == NC_CTL_HELLO) {
        return greet(x);
    }
    if (!x->greeted) {
        return complain(x, "it asks before it says hello");
    }
    x->has_msg = true;
    return READ_MORE;
}

static reading read_descriptors(nc_mux_conn *x)
{
    while (x->came_count < nc_ctl_descriptors(x->msg.type)) {
        int fd;
        int rc = nc_receive_fd(x->fd, &fd);
        if (rc == NACRE_AGAIN) {
            return READ_WAIT;
        }
        if (rc != NACRE_OK) {
            nc_mux_refuse(x, NC_CTL_S_FAILURE, x->msg.id, "did not receive file descriptors");
            x->closing = true;
            return READ_WAIT;
        }
        x->came[x->came_count++] = fd;
    }
    return READ_MORE;
}

static reading read_request(nc_mux_conn *x)
{
    reading r = x->has_msg ? READ_MORE : read_packet(x);
    if (r != READ_MORE || !x->has_msg) {
        return r;
    }
    r = read_descriptors(x);
    if (r != READ_MORE) {
        return r;
    }
    x->has_msg = false;
    if (!nc_mux_serve(x)) {
        return complain(x, "its request makes no sense");
    }
    drop_came(x);
    nc_buf_clear(&x->in);
    return READ_MORE;
}

static void on_conn(void *user, int fd, unsigned ready)
{
    nc_mux_conn *x = user;
    reading r = READ_MORE;
    bool broken = false;
    (void)fd;
    (void)ready;
    bool drained = flush(x, &broken);
    while (drained && !broken && r == READ_MORE && !x->paused && !x->closing && !x->terminate_due) {
        r = read_request(x);
        drained = flush(x, &broken);
    }
    if (x->terminate_due && (drained || broken)) { /* also when who asked is gone already */
        x->terminate_due = false;
        x->m->opts.terminate(x->m->opts.user);
    }
    if (broken || r == READ_OVER || (x->closing && drained)) {
        conn_free(x);
        return;
    }
    if (x->proxy_due && drained) {
        x->proxy_due = false;
        if (nc_mux_bridge_start(x) != NACRE_OK) {
            conn_free(x);
            return;
        }
    }
    watch(x);
}

/* ---- the socket ---- */

static void on_listener(void *user, int fd, unsigned ready);

static void accept_again(void *user)
{
    nacre_mux_master *m = user;
    m->accept_timer = 0;
    if (m->fd >= 0) {
        (void)nacre_loop_modify(m->c->loop, m->fd, NACRE_READ);
    }
}

static int conn_new(nacre_mux_master *m, int fd)
{
    nc_mux_conn *x = nc_zalloc(m->alloc, sizeof(*x));
    nc_ctl_msg hello = {.type = NC_CTL_HELLO};
    if (!x) {
        return NACRE_NO_MEMORY;
    }
    x->m = m;
    x->fd = fd;
    for (unsigned i = 0; i < NC_MUX_FDS; i++) {
        x->fds[i] = x->came[i] = -1;
    }
    x->line_start = true;
    nc_buf_init(&x->in, m->alloc, NC_CTL_MAX_PACKET + 4);
    nc_buf_init(&x->env, m->alloc, NC_CTL_MAX_PACKET);
    nc_queue_init(&x->out, m->alloc, (size_t)2 * NC_CTL_MAX_PACKET);
    hello.u.hello.version = NC_CTL_VERSION;
    hello.u.hello.info = true;
    int rc = nc_ctl_write(&x->out.buf, &hello);
    rc = rc == NACRE_OK ? nacre_loop_add(m->c->loop, fd, NACRE_WRITE, on_conn, x) : rc;
    if (rc != NACRE_OK) {
        nc_queue_clear(&x->out);
        nc_free(m->alloc, x);
        return rc;
    }
    x->next = m->conns;
    m->conns = x;
    m->count++;
    nc_mux_master_touch(m);
    return NACRE_OK;
}

static void accept_one(nacre_mux_master *m, int fd)
{
    nacre_error why;
    nc_error_clear(&why);
    int rc = nc_control_check_peer(fd, &why);
    if (rc == NACRE_OK && conn_new(m, fd) != NACRE_OK) {
        rc = nc_fail(&why, NACRE_NO_MEMORY, "out of memory");
    }
    if (rc != NACRE_OK) {
        nc_client_warn(m->c, "a client of the shared connection is turned away: %s", why.text);
        (void)close(fd);
    }
}

static void on_listener(void *user, int fd, unsigned ready)
{
    nacre_mux_master *m = user;
    (void)ready;
    for (int i = 0; i < ACCEPT_ONCE && m->count < NC_MUX_CLIENTS_MAX; i++) {
        int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (got >= 0) {
            accept_one(m, got);
            continue;
        }
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
            /* Mostly: no descriptor is left. Polling would spin. */
            (void)nacre_loop_modify(m->c->loop, m->fd, 0);
            if (nacre_loop_timer(m->c->loop, NO_FDS_WAIT_MS, accept_again, m, &m->accept_timer) !=
                NACRE_OK) {
                nacre_mux_master_stop(m);
            }
        }
        return;
    }
    if (m->count >= NC_MUX_CLIENTS_MAX) {
        (void)nacre_loop_modify(m->c->loop, m->fd, 0);
    }
}

/* ---- nobody uses it ---- */

static bool is_idle(const nacre_mux_master *m)
{
    return !m->conns && !m->c->chans;
}

static void on_idle(void *user)
{
    nacre_mux_master *m = user;
    m->idle_timer = 0;
    if (is_idle(m) && m->opts.idle) {
        m->opts.idle(m->opts.user);
    }
}

static void look_idle(void *user)
{
    nacre_mux_master *m = user;
    bool idle = is_idle(m) && m->opts.idle && m->opts.idle_ms;
    if (!idle) {
        nacre_loop_cancel(m->c->loop, m->idle_timer);
        m->idle_timer = 0;
    } else if (m->idle_timer == 0 && nacre_loop_timer(m->c->loop, m->opts.idle_ms, on_idle, m,
                                                      &m->idle_timer) != NACRE_OK) {
        m->idle_timer = 0; /* it stays: no harm */
    }
}

void nc_mux_master_touch(nacre_mux_master *m)
{
    if (m) {
        nc_loop_defer(m->c->loop, &m->idle_task);
    }
}

/* ---- life ---- */

void nacre_mux_master_options_init(nacre_mux_master_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
}

int nacre_mux_master_new(nacre_mux_master **out, nacre_client *c, const char *path,
                         const nacre_mux_master_options *options, nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    if (!c->t || c->closed || !nacre_transport_authenticated(c->t) || c->mux_master) {
        return nc_fail(err, NACRE_WRONG_STATE,
                       "a master needs a connection that is logged in and has none yet");
    }
    if (options && (options->size == 0 || options->size > sizeof(*options))) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "the options were not made by nacre_mux_master_options_init");
    }
    nacre_mux_master *m = nc_zalloc(c->alloc, sizeof(*m));
    if (!m || !(m->path = nc_strdup(c->alloc, path))) {
        nc_free(c->alloc, m);
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    m->alloc = c->alloc;
    m->c = c;
    m->fd = -1;
    nacre_mux_master_options_init(&m->opts);
    if (options) {
        memcpy(&m->opts, options, options->size);
    }
    m->idle_task.fn = look_idle;
    m->idle_task.user = m;
    int rc = nc_control_listen(path, &m->fd, err);
    if (rc != NACRE_OK) {
        nc_free(m->alloc, m->path);
        nc_free(m->alloc, m);
        return rc;
    }
    rc = nacre_loop_add(c->loop, m->fd, NACRE_READ, on_listener, m);
    if (rc != NACRE_OK) {
        (void)nc_fail(err, rc, "the control socket cannot be watched");
        nacre_mux_master_free(m);
        return rc;
    }
    c->mux_master = m;
    nc_mux_master_touch(m);
    *out = m;
    return NACRE_OK;
}

static void close_listener(nacre_mux_master *m, bool remove)
{
    if (m->fd >= 0) {
        nacre_loop_remove(m->c->loop, m->fd);
        nc_fd_close(&m->fd);
    }
    nacre_loop_cancel(m->c->loop, m->accept_timer);
    m->accept_timer = 0;
    if (m->path && remove) {
        (void)unlink(m->path);
    }
    nc_free(m->alloc, m->path);
    m->path = NULL;
}

void nacre_mux_master_stop(nacre_mux_master *m)
{
    close_listener(m, true);
}

static void destroy(nacre_mux_master *m, bool remove)
{
    nacre_client *c = m->c;
    close_listener(m, remove);
    while (m->conns) {
        conn_free(m->conns);
    }
    nacre_loop_cancel(c->loop, m->idle_timer);
    nc_loop_undefer(c->loop, &m->idle_task);
    if (c->mux_master == m) {
        c->mux_master = NULL;
    }
    nc_free(m->alloc, m);
}

void nacre_mux_master_free(nacre_mux_master *m)
{
    if (m) {
        destroy(m, true);
    }
}

void nacre_mux_master_abandon(nacre_mux_master *m)
{
    destroy(m, false);
}

size_t nacre_mux_master_clients(const nacre_mux_master *m)
{
    return m->count;
}

void nacre_mux_master_resized(nacre_mux_master *m)
{
    for (nc_mux_conn *x = m->conns; x; x = x->next) {
        nc_mux_session_resized(x);
    }
}

void nc_mux_master_over(nacre_mux_master *m)
{
    if (!m) {
        return;
    }
    nacre_mux_master_stop(m);
    for (nc_mux_conn *x = m->conns; x; x = x->next) {
        nc_mux_session_over(x);
    }
}
