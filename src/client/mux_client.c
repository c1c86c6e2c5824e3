/*
 * mux_client.c - the program that finds a master at its socket and asks it for something (PROTOCOL.mux). One
 * request at a time; every wait can be cancelled from outside.
 */
#include "base/buf.h"
#include "base/error.h"
#include "channel/control.h"
#include "io/control_socket.h"
#include "io/fd.h"
#include "io/pass_fd.h"
#include "nacre/mux.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_ONCE = 16 * 1024, ENV_MAX = 128 * 1024 };

struct nacre_mux {
    const nacre_allocator *alloc;
    int fd, cancel_fd;
    atomic_int cancelled;
    uint32_t timeout_ms;
    uint32_t next_id;
    bool info;                     /* the master knows requests for information */
    volatile sig_atomic_t running; /* something was opened and has not ended */
    bool is_session;               /* ... and it is a session */
    uint32_t session;              /* the master's number of it */
    volatile pid_t pid;            /* of the master; 0: not known */
    nacre_mux_session cb;          /* of the session: its callback */
    nc_buf in, out;
    nacre_error err;
};

/* ---- waiting ---- */

static int failed(nacre_mux *m, int status, const char *fmt, ...) NACRE_PRINTF(3, 4);
static int failed(nacre_mux *m, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int rc = nc_vfail(&m->err, status, NACRE_BY_US, fmt, ap);
    va_end(ap);
    return rc;
}

static uint64_t until(uint32_t timeout_ms)
{
    return timeout_ms ? nacre_loop_now(NULL) + timeout_ms : UINT64_MAX;
}

static int wait_for(nacre_mux *m, short events, uint64_t deadline)
{
    for (;;) {
        struct pollfd p[2] = {{m->fd, events, 0}, {m->cancel_fd, POLLIN, 0}};
        uint64_t now = nacre_loop_now(NULL);
        uint64_t left = deadline > now ? deadline - now : 0;
        int ms = deadline == UINT64_MAX ? -1 : left > INT_MAX ? INT_MAX : (int)left;
        int rc = poll(p, 2, ms);
        if (p[1].revents || atomic_load(&m->cancelled)) {
            uint64_t drop;
            (void)!read(m->cancel_fd, &drop, sizeof(drop));
            atomic_store(&m->cancelled, 0);
            return failed(m, NACRE_CANCELLED, "waiting for the master was cancelled");
        }
        if (rc > 0) {
            return NACRE_OK;
        }
        if (rc == 0 && (ms >= 0 && nacre_loop_now(NULL) >= deadline)) {
            return failed(m, NACRE_TIMEOUT, "the master does not answer");
        }
        if (rc < 0 && errno != EINTR) {
            return nc_os_fail(&m->err, NACRE_IO, errno, "waiting for the master");
        }
    }
}

static int master_gone(nacre_mux *m)
{
    return failed(m, NACRE_END, "the master has closed the connection to it");
}

static int write_all(nacre_mux *m, uint64_t deadline)
{
    size_t at = 0;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && at < m->out.len) {
        ssize_t put = nc_fd_write(m->fd, NC_FD_SOCKET, m->out.data + at, m->out.len - at);
        if (put > 0) {
            at += (size_t)put;
        } else if (errno == EAGAIN) {
            rc = wait_for(m, POLLOUT, deadline);
        } else {
            rc = errno == EPIPE || errno == ECONNRESET
                     ? master_gone(m)
                     : nc_os_fail(&m->err, NACRE_IO, errno, "writing to the master");
        }
    }
    nc_buf_reset(&m->out);
    return rc;
}

/* Until the buffer holds n bytes, and never a byte more: what follows a packet may be another protocol. */
static int read_up_to(nacre_mux *m, size_t n, uint64_t deadline)
{
    while (m->in.len < n) {
        size_t some = n - m->in.len < READ_ONCE ? n - m->in.len : READ_ONCE;
        if (nc_buf_reserve(&m->in, some) != NACRE_OK) {
            return failed(m, NACRE_NO_MEMORY, "out of memory");
        }
        ssize_t got = nc_fd_read(m->fd, NC_FD_SOCKET, m->in.data + m->in.len, some);
        if (got > 0) {
            m->in.len += (size_t)got;
        } else if (got == 0 || errno == ECONNRESET) {
            return master_gone(m);
        } else if (errno == EAGAIN) {
            int rc = wait_for(m, POLLIN, deadline);
            if (rc != NACRE_OK) {
                return rc;
            }
        } else {
            return nc_os_fail(&m->err, NACRE_IO, errno, "reading from the master");
        }
    }
    return NACRE_OK;
}

static int receive(nacre_mux *m, nc_ctl_msg *msg, uint64_t deadline)
{
    nc_buf_reset(&m->in);
    int rc = read_up_to(m, 4, deadline);
    if (rc != NACRE_OK) {
        return rc;
    }
    uint32_t n = nc_get_u32(m->in.data);
    if (n > NC_CTL_MAX_PACKET) {
        return failed(m, NACRE_OVERSIZED,
                      "the master sent a message of %" PRIu32 " bytes; %d are the most", n,
                      NC_CTL_MAX_PACKET);
    }
    rc = read_up_to(m, 4 + (size_t)n, deadline);
    if (rc == NACRE_OK) {
        rc = nc_ctl_read(nc_span(m->in.data + 4, n), true, msg, &m->err);
        rc = rc == NACRE_UNSUPPORTED ? NACRE_PROTOCOL : rc;
        m->err.status = rc;
    }
    return rc;
}

static int send_msg(nacre_mux *m, const nc_ctl_msg *msg, uint64_t deadline)
{
    nc_buf_reset(&m->out);
    int rc = nc_ctl_write(&m->out, msg);
    if (rc != NACRE_OK) {
        return failed(m, rc,
                      rc == NACRE_NO_MEMORY ? "out of memory"
                                            : "this is more than a request to a master holds");
    }
    return write_all(m, deadline);
}

/* ---- life ---- */

static int hello(nacre_mux *m, uint64_t deadline)
{
    nc_ctl_msg msg = {.type = NC_CTL_HELLO};
    msg.u.hello.version = NC_CTL_VERSION;
    int rc = send_msg(m, &msg, deadline);
    rc = rc == NACRE_OK ? receive(m, &msg, deadline) : rc;
    if (rc != NACRE_OK) {
        return rc;
    }
    if (msg.type != NC_CTL_HELLO) {
        return failed(m, NACRE_PROTOCOL, "the master sent 0x%08" PRIx32 " instead of a greeting",
                      msg.type);
    }
    if (msg.u.hello.version != NC_CTL_VERSION) {
        return failed(m, NACRE_VERSION,
                      "the master speaks version %" PRIu32 " of the protocol, and not %d",
                      msg.u.hello.version, NC_CTL_VERSION);
    }
    m->info = msg.u.hello.info;
    return NACRE_OK;
}

int nacre_mux_connect(nacre_mux **out, const char *path, uint32_t timeout_ms,
                      const nacre_allocator *alloc, nacre_error *err)
{
    uint64_t deadline = until(timeout_ms);
    *out = NULL;
    nc_error_clear(err);
    nacre_mux *m = nc_zalloc(alloc, sizeof(*m));
    if (!m) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    m->alloc = alloc;
    m->fd = -1;
    m->timeout_ms = timeout_ms;
    atomic_init(&m->cancelled, 0);
    nc_buf_init(&m->in, alloc, NC_CTL_MAX_PACKET + 4);
    nc_buf_init(&m->out, alloc, NC_CTL_MAX_PACKET + 4);
    m->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = m->cancel_fd < 0 ? nc_os_fail(&m->err, NACRE_IO, errno, "no descriptor for waiting")
                              : nc_control_connect(path, timeout_ms, &m->fd, &m->err);
    rc = rc == NACRE_OK ? hello(m, deadline) : rc;
    if (rc != NACRE_OK) {
        if (err) {
            *err = m->err;
        }
        nacre_mux_free(m);
        return rc;
    }
    *out = m;
    return NACRE_OK;
}

void nacre_mux_free(nacre_mux *m)
{
    if (!m) {
        return;
    }
    nc_fd_close(&m->fd);
    nc_fd_close(&m->cancel_fd);
    nc_buf_clear(&m->in);
    nc_buf_clear(&m->out);
    nc_free(m->alloc, m);
}

const nacre_error *nacre_mux_error(const nacre_mux *m)
{
    return &m->err;
}

void nacre_mux_cancel(nacre_mux *m)
{
    const uint64_t one = 1;
    int saved = errno;
    atomic_store(&m->cancelled, 1);
    (void)!write(m->cancel_fd, &one, sizeof(one));
    errno = saved;
}

/* ---- asking ---- */

static int begin(nacre_mux *m)
{
    nc_error_clear(&m->err);
    if (m->fd < 0 || m->running) {
        return failed(m, NACRE_WRONG_STATE,
                      m->fd < 0 ? "the connection to the master was given away"
                                : "something runs on this connection to the master already");
    }
    return NACRE_OK;
}

static int refused(nacre_mux *m, const nc_ctl_msg *msg, const char *what)
{
    return failed(m, NACRE_REQUEST_REFUSED, "%s: the master %s: %s", what,
                  msg->type == NC_CTL_S_DENIED ? "refused" : "failed", NC_ESC(msg->u.text.text));
}

/* The answer to what was sent last. Whatever it is, it must be an answer to that. */
static int answer(nacre_mux *m, uint32_t want, const char *what, nc_ctl_msg *msg, uint64_t deadline)
{
    uint32_t id = m->next_id++;
    int rc = receive(m, msg, deadline);
    if (rc != NACRE_OK) {
        return rc;
    }
    bool answers =
        msg->type != NC_CTL_HELLO && msg->type != NC_CTL_S_EXIT && msg->type != NC_CTL_S_TTY_FAILED;
    if (!answers || msg->id != id) {
        return failed(m, NACRE_PROTOCOL,
                      "%s: the master answered 0x%08" PRIx32 " to request %" PRIu32
                      ", and request %" PRIu32 " was asked",
                      what, msg->type, msg->id, id);
    }
    if (msg->type == NC_CTL_S_DENIED || msg->type == NC_CTL_S_FAILURE) {
        return refused(m, msg, what);
    }
    if (msg->type != want) {
        return failed(m, NACRE_PROTOCOL, "%s: the master's answer 0x%08" PRIx32 " is none to that",
                      what, msg->type);
    }
    return NACRE_OK;
}

static int simple(nacre_mux *m, uint32_t type, uint32_t want, const char *what, nc_ctl_msg *msg)
{
    uint64_t deadline = until(m->timeout_ms);
    int rc = begin(m);
    if (rc != NACRE_OK) {
        return rc;
    }
    memset(msg, 0, sizeof(*msg));
    msg->type = type;
    msg->id = m->next_id;
    rc = send_msg(m, msg, deadline);
    return rc == NACRE_OK ? answer(m, want, what, msg, deadline) : rc;
}

int nacre_mux_alive(nacre_mux *m, uint32_t *pid)
{
    nc_ctl_msg msg;
    int rc = simple(m, NC_CTL_C_ALIVE, NC_CTL_S_ALIVE, "alive check", &msg);
    *pid = rc == NACRE_OK ? msg.u.number : 0;
    m->pid = *pid > 1 && *pid <= INT_MAX ? (pid_t)*pid : 0;
    return rc;
}

int nacre_mux_terminate(nacre_mux *m)
{
    nc_ctl_msg msg;
    int rc = simple(m, NC_CTL_C_TERMINATE, NC_CTL_S_OK, "termination request", &msg);
    /* A master may be gone before its answer is. */
    return rc == NACRE_END ? NACRE_OK : rc;
}

int nacre_mux_stop(nacre_mux *m)
{
    nc_ctl_msg msg;
    return simple(m, NC_CTL_C_STOP, NC_CTL_S_OK, "stop listening request", &msg);
}

int nacre_mux_info(nacre_mux *m, const char *what, char **text, size_t *length)
{
    uint64_t deadline = until(m->timeout_ms);
    nc_ctl_msg msg = {.type = NC_CTL_C_INFO, .id = m->next_id};
    *text = NULL;
    *length = 0;
    int rc = begin(m);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (!m->info) {
        return failed(m, NACRE_UNSUPPORTED, "this master does not tell about itself");
    }
    msg.u.text.text = nc_span_cstr(what);
    rc = send_msg(m, &msg, deadline);
    rc = rc == NACRE_OK ? answer(m, NC_CTL_S_INFO, "information", &msg, deadline) : rc;
    if (rc != NACRE_OK) {
        return rc;
    }
    if (!msg.u.text.good) {
        return refused(m, &msg, "information");
    }
    *text = nc_strndup(m->alloc, msg.u.text.text);
    *length = msg.u.text.text.n;
    return *text ? NACRE_OK : failed(m, NACRE_NO_MEMORY, "out of memory");
}

/* ---- forwardings ---- */

/* As OpenSSH writes them: "" is its default of where to listen, "*" is everywhere. */
static void write_end(const nacre_forward_end *e, bool listen, nacre_span *host, uint32_t *port)
{
    const char *name = e->path ? e->path : listen && e->host && !*e->host ? "*" : e->host;
    *host = nc_span_cstr(name);
    *port = e->path ? NC_CTL_PORT_PATH : e->port;
}

static int ask_forward(nacre_mux *m, uint32_t type, const nacre_forward_options *o, nc_ctl_msg *msg)
{
    int rc = begin(m);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (!o || o->size == 0) {
        return failed(m, NACRE_INVALID_ARGUMENT,
                      "a forwarding was not made by nacre_forward_options_init");
    }
    memset(msg, 0, sizeof(*msg));
    msg->type = type;
    msg->id = m->next_id;
    msg->u.forward.kind = o->kind == NACRE_FORWARD_LOCAL     ? NC_CTL_LOCAL
                          : o->kind == NACRE_FORWARD_DYNAMIC ? NC_CTL_DYNAMIC
                                                             : NC_CTL_REMOTE;
    write_end(&o->listen, true, &msg->u.forward.listen_host, &msg->u.forward.listen_port);
    if (o->kind == NACRE_FORWARD_LOCAL || o->kind == NACRE_FORWARD_REMOTE) {
        write_end(&o->connect, false, &msg->u.forward.connect_host, &msg->u.forward.connect_port);
    } else {
        msg->u.forward.connect_host = nc_span_cstr("socks");
    }
    return send_msg(m, msg, until(m->timeout_ms));
}

int nacre_mux_forward(nacre_mux *m, const nacre_forward_options *o, uint16_t *port)
{
    static const char what[] = "forwarding request";
    nc_ctl_msg msg;
    uint16_t none;
    port = port ? port : &none;
    *port = 0;
    int rc = ask_forward(m, NC_CTL_C_OPEN_FORWARD, o, &msg);
    if (rc != NACRE_OK) {
        return rc;
    }
    /* People may be asked, and the server is: there is no deadline. */
    bool chosen = (o->kind == NACRE_FORWARD_REMOTE || o->kind == NACRE_FORWARD_REMOTE_DYNAMIC) &&
                  !o->listen.path && o->listen.port == 0;
    rc = answer(m, chosen ? NC_CTL_S_PORT : NC_CTL_S_OK, what, &msg, UINT64_MAX);
    if (rc == NACRE_OK && chosen) {
        if (msg.u.number == 0 || msg.u.number > UINT16_MAX) {
            return failed(m, NACRE_PROTOCOL,
                          "%s: the master says that the server listens on port %" PRIu32, what,
                          msg.u.number);
        }
        *port = (uint16_t)msg.u.number;
    }
    return rc;
}

int nacre_mux_cancel_forward(nacre_mux *m, const nacre_forward_options *o)
{
    nc_ctl_msg msg;
    int rc = ask_forward(m, NC_CTL_C_CLOSE_FORWARD, o, &msg);
    return rc == NACRE_OK ? answer(m, NC_CTL_S_OK, "cancellation request", &msg, UINT64_MAX) : rc;
}

/* ---- sessions ---- */

void nacre_mux_session_init(nacre_mux_session *s)
{
    memset(s, 0, sizeof(*s));
    s->size = sizeof(*s);
    s->escape = -1;
    s->fds[0] = STDIN_FILENO;
    s->fds[1] = STDOUT_FILENO;
    s->fds[2] = STDERR_FILENO;
}

static int send_fds(nacre_mux *m, const int *fds, size_t count, uint64_t deadline)
{
    for (size_t i = 0; i < count;) {
        if (nc_pass_fd(m->fd, fds[i]) == 0) {
            i++;
            continue;
        }
        int rc = errno == EAGAIN || errno == EWOULDBLOCK
                     ? wait_for(m, POLLOUT, deadline)
                     : nc_os_fail(&m->err, NACRE_IO, errno,
                                  "descriptor %d cannot be passed to the master", fds[i]);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_OK;
}

static int open_with(nacre_mux *m, nc_ctl_msg *msg, const int *fds, size_t count, const char *what)
{
    uint64_t deadline = until(m->timeout_ms);
    msg->id = m->next_id;
    int rc = send_msg(m, msg, deadline);
    rc = rc == NACRE_OK ? send_fds(m, fds, count, deadline) : rc;
    /* People may be asked, at either end: there is no deadline. */
    rc = rc == NACRE_OK ? answer(m, NC_CTL_S_SESSION, what, msg, UINT64_MAX) : rc;
    if (rc == NACRE_OK) {
        m->running = true;
        m->session = msg->u.number;
    }
    return rc;
}

static int write_env(nacre_mux *m, nc_buf *env, const nacre_mux_session *s)
{
    nc_wr w = nc_wr_init(env);
    if (s->env_count > NC_CTL_MAX_ENV) {
        return failed(m, NACRE_LIMIT, "%zu variables are more than the %d of one session",
                      s->env_count, NC_CTL_MAX_ENV);
    }
    for (size_t i = 0; i < s->env_count; i++) {
        nc_wr_cstr(&w, s->env[i]);
    }
    return nc_wr_err(&w) == NACRE_OK
               ? NACRE_OK
               : failed(m, nc_wr_err(&w), "the variables take more than %d bytes", ENV_MAX);
}

int nacre_mux_open_session(nacre_mux *m, const nacre_mux_session *s)
{
    nc_ctl_msg msg = {.type = NC_CTL_C_NEW_SESSION};
    nc_buf env;
    uint32_t pid;
    if (!s || s->size == 0 || s->size > sizeof(*s)) {
        return failed(m, NACRE_INVALID_ARGUMENT,
                      "a session was not made by nacre_mux_session_init");
    }
    /* Its process is told later that a terminal has another size. */
    int rc = nacre_mux_alive(m, &pid);
    if (rc != NACRE_OK) {
        return rc;
    }
    nacre_mux_session_init(&m->cb);
    memcpy(&m->cb, s, s->size);
    s = &m->cb;
    nc_buf_init(&env, m->alloc, ENV_MAX);
    rc = write_env(m, &env, s);
    msg.u.session.tty = s->tty;
    msg.u.session.x11 = s->x11;
    msg.u.session.agent = s->agent;
    msg.u.session.subsystem = s->subsystem;
    msg.u.session.escape = s->escape >= 0 ? (uint32_t)s->escape : NC_CTL_NO_ESCAPE;
    msg.u.session.term = nc_span_cstr(s->term);
    msg.u.session.command = nc_span_cstr(s->command);
    msg.u.session.env = nc_buf_span(&env);
    rc = rc == NACRE_OK ? open_with(m, &msg, s->fds, 3, "session request") : rc;
    nc_buf_clear(&env);
    m->is_session = true;
    return rc;
}

int nacre_mux_open_stdio(nacre_mux *m, const nacre_forward_end *where, const int fds[2])
{
    nc_ctl_msg msg = {.type = NC_CTL_C_NEW_STDIO};
    int rc = begin(m);
    if (rc != NACRE_OK) {
        return rc;
    }
    write_end(where, false, &msg.u.stdio.host, &msg.u.stdio.port);
    m->is_session = false;
    return open_with(m, &msg, fds, 2, "stdio forwarding request");
}

void nacre_mux_resized(nacre_mux *m)
{
    pid_t pid = m->pid;
    if (m->running && pid > 1) {
        int saved = errno;
        (void)kill(pid, SIGWINCH);
        errno = saved;
    }
}

static int take_end(nacre_mux *m, const nc_ctl_msg *msg, nacre_mux_result *result)
{
    bool exit = msg->type == NC_CTL_S_EXIT;
    if (!m->is_session || (!exit && msg->type != NC_CTL_S_TTY_FAILED)) {
        return failed(m, NACRE_PROTOCOL, "the master sent 0x%08" PRIx32 " into a session",
                      msg->type);
    }
    if (msg->u.exit.session != m->session) {
        return failed(m, NACRE_PROTOCOL,
                      "the master speaks of session %" PRIu32 ", and ours is %" PRIu32,
                      msg->u.exit.session, m->session);
    }
    if (!exit) {
        if (m->cb.tty_refused) {
            m->cb.tty_refused(m->cb.user);
        }
        return NACRE_OK;
    }
    if (result->exited) {
        return failed(m, NACRE_PROTOCOL, "the master told the end of a session twice");
    }
    result->exited = true;
    result->status = msg->u.exit.status;
    return NACRE_OK;
}

int nacre_mux_wait(nacre_mux *m, uint32_t timeout_ms, nacre_mux_result *result)
{
    uint64_t deadline = until(timeout_ms);
    nc_ctl_msg msg;
    memset(result, 0, sizeof(*result));
    nc_error_clear(&m->err);
    if (!m->running) {
        return failed(m, NACRE_WRONG_STATE, "nothing was opened at the master");
    }
    for (;;) {
        int rc = receive(m, &msg, deadline);
        if (rc == NACRE_END && m->in.len == 0) { /* between messages: it is over */
            nc_error_clear(&m->err);
            m->running = false;
            return NACRE_OK;
        }
        rc = rc == NACRE_OK ? take_end(m, &msg, result) : rc;
        if (rc != NACRE_OK) {
            return rc;
        }
    }
}

int nacre_mux_proxy(nacre_mux *m, int *fd)
{
    nc_ctl_msg msg;
    *fd = -1;
    int rc = simple(m, NC_CTL_C_PROXY, NC_CTL_S_PROXY, "proxy request", &msg);
    if (rc == NACRE_OK) {
        *fd = m->fd;
        m->fd = -1;
    }
    return rc;
}
