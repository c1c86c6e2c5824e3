/*
 * agent.c - asking an agent: one request at a time over a Unix-domain socket or a stream, each with a
 * deadline. What the bytes mean is keys/agent_wire.c.
 *
 * An exchange that did not end as it should leaves the stream at an unknown place: the agent is not
 * spoken to any more then, for a late signature would be taken for the answer to another question.
 */
#include "io/agent.h"

#include "io/fd.h"
#include "keys/agent_wire.h"
#include "nacre/account.h"
#include "nacre/net.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    /* As long as OpenSSH's and our own servers wait for a login: a person may have to touch a key. */
    SLOW_MS = 120 * 1000,
    QUICK_MS = 10 * 1000,
    CHUNK = 16 * 1024,
    NAME_SHOWN = 256
};

struct nacre_agent {
    const nacre_allocator *alloc;
    int fd; /* -1: a stream */
    nc_fd_kind kind;
    nacre_agent_stream stream;
    char name[NAME_SHOWN]; /* for sentences, escaped */
    uint32_t slow_ms, quick_ms;
    nc_agent_wait_fn wait;
    void *wait_user;
    bool broken;
    nc_buf out;  /* the request */
    nc_queue in; /* the reply */
};

/* ---- open and close ------------------------------------------------------------------------------ */

static int make(nacre_agent **out, const nacre_allocator *a, const char *name, nacre_error *err)
{
    *out = NULL;
    nacre_agent *g = nc_zalloc(a, sizeof(*g));
    if (!g) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    g->alloc = a;
    g->fd = -1;
    g->slow_ms = SLOW_MS;
    g->quick_ms = QUICK_MS;
    (void)snprintf(g->name, sizeof(g->name), "%s", NC_ESC(nc_span_cstr(name)));
    nc_buf_init(&g->out, a, NC_AGENT_MAX_MESSAGE + 4);
    nc_queue_init(&g->in, a, NC_AGENT_MAX_MESSAGE + 4 + CHUNK);
    *out = g;
    return NACRE_OK;
}

void nacre_agent_free(nacre_agent *a)
{
    if (!a) {
        return;
    }
    nc_fd_close(&a->fd);
    if (a->stream.close) {
        a->stream.close(a->stream.user);
    }
    nc_buf_clear(&a->out);
    nc_queue_clear(&a->in);
    nc_free(a->alloc, a);
}

static int take_fd(nacre_agent *a, int fd, nacre_error *err)
{
    if (nc_fd_set_nonblock(fd, true) != 0 || nc_fd_set_cloexec(fd) != 0) {
        return nc_os_fail(err, NACRE_IO, errno, "%s: the descriptor cannot be used", a->name);
    }
    a->fd = fd;
    a->kind = nc_fd_classify(fd);
    return NACRE_OK;
}

static int open_fd(nacre_agent **out, const nacre_allocator *a, int fd, const char *name,
                   nacre_error *err)
{
    int rc = make(out, a, name, err);
    if (rc == NACRE_OK) {
        rc = take_fd(*out, fd, err);
    }
    if (rc != NACRE_OK) {
        nacre_agent_free(*out);
        *out = NULL;
    }
    return rc;
}

int nacre_agent_open_fd(nacre_agent **out, const nacre_allocator *a, int fd, nacre_error *err)
{
    nc_error_clear(err);
    return open_fd(out, a, fd, "the agent", err);
}

int nacre_agent_open_stream(nacre_agent **out, const nacre_allocator *a,
                            const nacre_agent_stream *stream, nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    if (!stream || !stream->read || !stream->write) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "an agent's stream needs read and write");
    }
    int rc = make(out, a, "the agent", err);
    if (rc == NACRE_OK) {
        (*out)->stream = *stream;
    }
    return rc;
}

static bool is_ours(uid_t owner)
{
    uid_t me = geteuid();
    return owner == me || owner == 0 || me == 0;
}

/* Before connecting: a path out of the environment may name anything. */
static int check_path(const char *path, nacre_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        int why = errno;
        return nc_os_fail(err, why == ENOENT || why == ENOTDIR ? NACRE_CONNECT : nc_os_status(why),
                          why, "there is no agent at %s", NC_ESC(nc_span_cstr(path)));
    }
    if (!S_ISSOCK(st.st_mode)) {
        return nc_fail(err, NACRE_KEY_PERMISSIONS,
                       "%s is not a socket, so no agent is spoken to there",
                       NC_ESC(nc_span_cstr(path)));
    }
    if (!is_ours(st.st_uid)) {
        return nc_fail(err, NACRE_KEY_PERMISSIONS,
                       "the agent's socket %s belongs to the user with number %lu, neither to us "
                       "nor to root: nothing is asked there",
                       NC_ESC(nc_span_cstr(path)), (unsigned long)st.st_uid);
    }
    return NACRE_OK;
}

static int check_peer(int fd, const char *path, nacre_error *err)
{
    uid_t uid;
    gid_t gid;
    if (nacre_peer_credentials(fd, &uid, &gid) != NACRE_OK) {
        return nc_os_fail(err, NACRE_IO, errno, "%s: who listens there cannot be told",
                          NC_ESC(nc_span_cstr(path)));
    }
    if (!is_ours(uid)) {
        return nc_fail(err, NACRE_KEY_PERMISSIONS,
                       "the agent at %s runs as the user with number %lu, neither as us nor as "
                       "root: nothing is asked there",
                       NC_ESC(nc_span_cstr(path)), (unsigned long)uid);
    }
    return NACRE_OK;
}

int nc_agent_connect(const char *path, int *fd, nacre_error *err)
{
    *fd = -1;
    int rc = check_path(path, err);
    if (rc == NACRE_OK) {
        rc = nacre_net_connect_unix(path, fd, err);
    }
    if (rc == NACRE_OK) {
        rc = check_peer(*fd, path, err);
    }
    if (rc != NACRE_OK) {
        nc_fd_close(fd);
    }
    return rc;
}

int nacre_agent_open(nacre_agent **out, const nacre_allocator *a, const char *path,
                     nacre_error *err)
{
    int fd = -1;
    *out = NULL;
    nc_error_clear(err);
    path = path ? path : getenv("SSH_AUTH_SOCK");
    if (!path || !*path) {
        return nc_fail(err, NACRE_NOT_FOUND, "no agent: SSH_AUTH_SOCK is not set");
    }
    int rc = nc_agent_connect(path, &fd, err);
    if (rc == NACRE_OK) {
        rc = open_fd(out, a, fd, path, err);
        if (rc != NACRE_OK) {
            nc_fd_close(&fd);
        }
    }
    return rc;
}

void nacre_agent_set_timeout(nacre_agent *a, uint32_t ms, uint32_t quick_ms)
{
    a->slow_ms = ms;
    a->quick_ms = quick_ms;
}

void nc_agent_set_wait(nacre_agent *a, nc_agent_wait_fn fn, void *user)
{
    a->wait = fn;
    a->wait_user = user;
}

/* ---- one exchange -------------------------------------------------------------------------------- */

typedef struct call {
    nacre_agent *a;
    const char *what; /* "list its keys" */
    uint64_t deadline;
    nacre_error *err;
} call;

static int wait_poll(int fd, bool writing, uint64_t deadline)
{
    for (;;) {
        uint64_t now = nacre_loop_now(NULL);
        int ms = -1;
        if (deadline != UINT64_MAX) {
            uint64_t left = deadline > now ? deadline - now : 0;
            ms = left > INT_MAX ? INT_MAX : (int)left;
        }
        struct pollfd p = {fd, (short)(writing ? POLLOUT : POLLIN), 0};
        int n = poll(&p, 1, ms);
        if (n > 0) {
            return NACRE_OK;
        }
        if (n < 0 && errno != EINTR) {
            return NACRE_IO;
        }
        if (n == 0 && nacre_loop_now(NULL) >= deadline) {
            return NACRE_TIMEOUT;
        }
    }
}

static int wait_for(const call *c, bool writing)
{
    const nacre_agent *a = c->a;
    return a->wait ? a->wait(a->wait_user, a->fd, writing, c->deadline)
                   : wait_poll(a->fd, writing, c->deadline);
}

static uint32_t ms_left(const call *c)
{
    if (c->deadline == UINT64_MAX) {
        return 0;
    }
    uint64_t now = nacre_loop_now(NULL);
    return c->deadline > now ? (uint32_t)(c->deadline - now) : 1;
}

static int send_all(const call *c)
{
    nacre_agent *a = c->a;
    size_t at = 0;
    if (a->fd < 0) {
        return a->stream.write(a->stream.user, a->out.data, a->out.len, ms_left(c));
    }
    while (at < a->out.len) {
        ssize_t put = nc_fd_write(a->fd, a->kind, a->out.data + at, a->out.len - at);
        if (put > 0) {
            at += (size_t)put;
            continue;
        }
        if (put < 0 && errno != EAGAIN) {
            return errno == EPIPE || errno == ECONNRESET ? NACRE_CLOSED : nc_os_status(errno);
        }
        int rc = wait_for(c, true);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    return NACRE_OK;
}

/* Some bytes more, behind those that are there. */
static int receive_some(const call *c)
{
    nacre_agent *a = c->a;
    size_t got = 0;
    int rc = nc_queue_reserve(&a->in, CHUNK);
    if (rc != NACRE_OK) {
        return rc;
    }
    uint8_t *to = a->in.buf.data + a->in.buf.len;
    if (a->fd < 0) {
        rc = a->stream.read(a->stream.user, to, CHUNK, ms_left(c), &got);
        if (rc != NACRE_OK || got > CHUNK) {
            return rc == NACRE_OK ? NACRE_INVALID_ARGUMENT : rc;
        }
    } else {
        ssize_t n = nc_fd_read(a->fd, a->kind, to, CHUNK);
        if (n < 0 && errno == EAGAIN) {
            return wait_for(c, false);
        }
        if (n < 0) {
            return errno == ECONNRESET ? NACRE_CLOSED : nc_os_status(errno);
        }
        got = (size_t)n;
    }
    if (got == 0) {
        return NACRE_CLOSED;
    }
    a->in.buf.len += got;
    return NACRE_OK;
}

static int exchange(const call *c, nacre_span *msg)
{
    nacre_agent *a = c->a;
    int rc = send_all(c);
    while (rc == NACRE_OK) {
        rc = nc_agent_frame(&a->in, msg);
        if (rc != NACRE_AGAIN) {
            break;
        }
        rc = receive_some(c);
    }
    /* It speaks when it is asked, and says one thing. */
    if (rc == NACRE_OK && nc_queue_len(&a->in) != msg->n + 4) {
        rc = NACRE_AGENT_PROTOCOL;
    }
    return rc;
}

static int explain(const call *c, int rc)
{
    const char *name = c->a->name;
    switch (rc) {
    case NACRE_OK:
        return rc;
    case NACRE_AGENT_REFUSED:
        return nc_fail(c->err, rc, "%s refused to %s", name, c->what);
    case NACRE_AGENT_PROTOCOL:
        return nc_fail(c->err, rc, "%s sent nonsense when it was asked to %s", name, c->what);
    case NACRE_TIMEOUT:
        return nc_fail(c->err, rc, "%s did not answer in time when it was asked to %s", name,
                       c->what);
    case NACRE_CLOSED:
        return nc_fail(c->err, rc, "%s closed the connection when it was asked to %s", name,
                       c->what);
    case NACRE_BAD_SIGNATURE:
        return nc_fail(c->err, rc,
                       "%s made a signature that is not by the key, or not of the algorithm, that "
                       "it was asked for: it is not used",
                       name);
    case NACRE_UNSUPPORTED:
        return nc_fail(c->err, rc, "%s does not know how to %s", name, c->what);
    default:
        return nc_fail(c->err, rc, "%s could not be asked to %s: %s", name, c->what,
                       nacre_status_text(rc));
    }
}

/* A new question: the request goes to a->out. */
static call begin(nacre_agent *a, const char *what, bool slow, nacre_error *err)
{
    uint32_t ms = slow ? a->slow_ms : a->quick_ms;
    call c = {a, what, ms ? nacre_loop_now(NULL) + ms : UINT64_MAX, err};
    nc_error_clear(err);
    nc_buf_reset(&a->out);
    return c;
}

/*
 * The reply to the request in a->out that was built with rc; *msg is borrowed until the next call. The
 * request is wiped: it may hold a key or a passphrase.
 */
static int ask(const call *c, int rc, nacre_span *msg)
{
    nacre_agent *a = c->a;
    *msg = nc_span(NULL, 0);
    if (rc == NACRE_OK && a->broken) {
        rc = nc_fail(c->err, NACRE_CLOSED,
                     "%s is not asked to %s: an earlier exchange with it failed", a->name, c->what);
    } else if (rc == NACRE_OK) {
        nc_queue_clear(&a->in);
        rc = exchange(c, msg);
        a->broken = rc != NACRE_OK;
    }
    nc_buf_reset(&a->out);
    return rc;
}

/* Nonsense inside a whole message: the framing can no longer be believed either. */
static int judged(const call *c, int rc)
{
    c->a->broken = c->a->broken || rc == NACRE_AGENT_PROTOCOL;
    return explain(c, rc);
}

static int ask_for_status(const call *c, int rc)
{
    nacre_span msg;
    rc = ask(c, rc, &msg);
    return judged(c, rc == NACRE_OK ? nc_agent_read_status(msg) : rc);
}

/* ---- the questions ------------------------------------------------------------------------------- */

int nacre_agent_list(nacre_agent *a, nacre_key ***keys, size_t *count, nacre_error *err)
{
    call c = begin(a, "list its keys", false, err);
    nacre_span msg;
    *keys = NULL;
    *count = 0;
    int rc = ask(&c, nc_agent_ask(&a->out, SSH_AGENTC_REQUEST_IDENTITIES), &msg);
    return judged(&c, rc == NACRE_OK ? nc_agent_read_list(msg, a->alloc, keys, count) : rc);
}

static int copy_out(const nacre_agent *a, nacre_span s, uint8_t **p, size_t *n)
{
    *p = nc_alloc(a->alloc, s.n);
    if (!*p) {
        return NACRE_NO_MEMORY;
    }
    memcpy(*p, s.p, s.n);
    *n = s.n;
    return NACRE_OK;
}

int nacre_agent_sign(nacre_agent *a, const nacre_key *key, const char *algorithm, nacre_span data,
                     uint8_t **sig, size_t *n, nacre_error *err)
{
    call c = begin(a, "sign", true, err);
    const nc_sig_alg *alg;
    uint32_t flags;
    nacre_span msg, blob;
    *sig = NULL;
    *n = 0;
    int rc = nc_agent_choose(key, algorithm, &alg, &flags);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "the signature algorithm %s does not go with a key of type %s",
                       NC_ESC(nc_span_cstr(algorithm)), nacre_key_type(key));
    }
    rc = ask(&c, nc_agent_ask_sign(&a->out, nacre_key_blob(key), data, flags), &msg);
    if (rc == NACRE_OK) {
        rc = nc_agent_read_signature(msg, key, alg, data, &blob);
    }
    if (rc == NACRE_OK) {
        rc = copy_out(a, blob, sig, n);
    }
    return judged(&c, rc);
}

int nacre_agent_sign_fn(void *agent, const nacre_key *key, const char *algorithm, nacre_span data,
                        uint8_t **sig, size_t *n)
{
    return nacre_agent_sign(agent, key, algorithm, data, sig, n, NULL);
}

static int check_constraints(const call *c, const nacre_agent_constraints *k)
{
    return !k || k->size == sizeof(*k)
               ? NACRE_OK
               : nc_fail(c->err, NACRE_INVALID_ARGUMENT,
                         "the constraints were not made by nacre_agent_constraints_init");
}

int nacre_agent_add(nacre_agent *a, const nacre_key *key,
                    const nacre_agent_constraints *constraints, nacre_error *err)
{
    call c = begin(a, "take a key", true, err);
    int rc = check_constraints(&c, constraints);
    if (rc == NACRE_OK && !nacre_key_is_private(key)) {
        rc = nc_fail(err, NACRE_NOT_PRIVATE,
                     "an agent is given private keys; of this one only the public half is here");
    }
    return ask_for_status(&c, rc == NACRE_OK ? nc_agent_ask_add(&a->out, key, constraints) : rc);
}

int nacre_agent_remove(nacre_agent *a, const nacre_key *key, nacre_error *err)
{
    call c = begin(a, "remove a key", false, err);
    return ask_for_status(
        &c, nc_agent_ask_string(&a->out, SSH_AGENTC_REMOVE_IDENTITY, nacre_key_blob(key)));
}

int nacre_agent_remove_all(nacre_agent *a, nacre_error *err)
{
    call c = begin(a, "remove its keys", false, err);
    return ask_for_status(&c, nc_agent_ask(&a->out, SSH_AGENTC_REMOVE_ALL_IDENTITIES));
}

int nacre_agent_add_token(nacre_agent *a, const char *token, nacre_span pin,
                          const nacre_agent_constraints *constraints, nacre_error *err)
{
    call c = begin(a, "take the keys of a token", true, err);
    int rc = check_constraints(&c, constraints);
    return ask_for_status(
        &c, rc == NACRE_OK ? nc_agent_ask_token(&a->out, true, token, pin, constraints) : rc);
}

int nacre_agent_remove_token(nacre_agent *a, const char *token, nacre_span pin, nacre_error *err)
{
    call c = begin(a, "remove the keys of a token", true, err);
    return ask_for_status(&c, nc_agent_ask_token(&a->out, false, token, pin, NULL));
}

int nacre_agent_lock(nacre_agent *a, nacre_span passphrase, nacre_error *err)
{
    call c = begin(a, "lock itself", false, err);
    return ask_for_status(&c, nc_agent_ask_string(&a->out, SSH_AGENTC_LOCK, passphrase));
}

/* Agents make one wait who guesses. */
int nacre_agent_unlock(nacre_agent *a, nacre_span passphrase, nacre_error *err)
{
    call c = begin(a, "unlock itself", true, err);
    return ask_for_status(&c, nc_agent_ask_string(&a->out, SSH_AGENTC_UNLOCK, passphrase));
}

int nacre_agent_extension(nacre_agent *a, const char *name, nacre_span data, uint8_t **reply,
                          size_t *n, nacre_error *err)
{
    char what[160];
    nacre_span msg, rest = {NULL, 0};
    (void)snprintf(what, sizeof(what), "use the extension %.120s", NC_ESC(nc_span_cstr(name)));
    call c = begin(a, what, true, err);
    if (reply) {
        *reply = NULL;
        *n = 0;
    }
    int rc = ask(&c, nc_agent_ask_extension(&a->out, name, data), &msg);
    if (rc == NACRE_OK) {
        rc = nc_agent_read_extension(msg, name, &rest);
    }
    if (rc == NACRE_OK && reply && rest.n) {
        rc = copy_out(a, rest, reply, n);
    }
    return judged(&c, rc);
}

int nacre_agent_supports(nacre_agent *a, const char *name, nacre_error *err)
{
    uint8_t *reply;
    size_t n;
    const nacre_span none = {NULL, 0};
    int rc = nacre_agent_extension(a, NC_AGENT_EXT_QUERY, none, &reply, &n, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_rd r = nc_rd_init(nc_span(reply, n));
    bool found = false;
    while (nc_rd_left(&r) && nc_rd_err(&r) == NACRE_OK) {
        found = nc_span_is(nc_rd_str(&r), name) || found;
    }
    rc = nc_rd_end(&r) != NACRE_OK ? NACRE_AGENT_PROTOCOL : found ? NACRE_OK : NACRE_UNSUPPORTED;
    nacre_secret_free(a->alloc, reply, n);
    if (rc == NACRE_AGENT_PROTOCOL) {
        a->broken = true;
        return nc_fail(err, rc, "%s sent a malformed list of extensions", a->name);
    }
    return rc == NACRE_OK ? rc
                          : nc_fail(err, rc, "%s does not know the extension %s", a->name,
                                    NC_ESC(nc_span_cstr(name)));
}

int nacre_agent_bind(nacre_agent *a, const nacre_key *host_key, nacre_span session_id,
                     nacre_span signature, bool forwarding, nacre_error *err)
{
    call c = begin(a, "bind itself to a session (session-bind@openssh.com)", false, err);
    nacre_span msg, rest;
    int rc = ask(&c, nc_agent_ask_bind(&a->out, host_key, session_id, signature, forwarding), &msg);
    return judged(&c, rc == NACRE_OK ? nc_agent_read_extension(msg, NC_AGENT_EXT_BIND, &rest) : rc);
}
