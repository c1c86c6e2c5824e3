/*
 * keyring_serve.c - a keyring behind a Unix-domain socket: who may connect, bytes in and out, the clock.
 * What the bytes mean is keys/keyring_conn.c.
 */
#include "nacre/agent.h"

#include "io/fd.h"
#include "io/loop.h"
#include "io/private_dir.h"
#include "nacre/account.h"
#include "nacre/net.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    /* Each forwarded session holds one or two; so many processes of one user do not ask at once. */
    CLIENTS_MAX = 128,
    CHUNK = 16 * 1024,
    PATH_ROOM = 108 /* of sockaddr_un */
};

typedef struct client {
    struct client *next;
    nacre_keyring_server *server;
    nacre_keyring_conn *conn;
    int fd;
    bool over; /* nothing more comes in */
} client;

struct nacre_keyring_server {
    const nacre_allocator *alloc;
    nacre_loop *loop;
    nacre_keyring *ring;
    int fd;
    client *clients;
    size_t count;
    char path[PATH_ROOM];
    char dir[PATH_ROOM]; /* made here; "": not */
    uint64_t timer;
    nc_task task;
};

static void advance(nacre_keyring_server *s)
{
    time_t now = time(NULL);
    nacre_keyring_advance(s->ring, nacre_loop_now(s->loop), now > 0 ? (uint64_t)now : 0);
}

/* ---- clients ------------------------------------------------------------------------------------- */

static void drop_client(client *c)
{
    nacre_keyring_server *s = c->server;
    client **at = &s->clients;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    s->count--;
    nacre_loop_remove(s->loop, c->fd);
    nc_fd_close(&c->fd);
    nacre_keyring_conn_free(c->conn);
    nc_free(s->alloc, c);
}

static bool flush(client *c)
{
    nacre_span out = nacre_keyring_output(c->conn);
    while (out.n > 0) {
        ssize_t n = nc_fd_write(c->fd, NC_FD_SOCKET, out.p, out.n);
        if (n <= 0) {
            return n < 0 && errno == EAGAIN;
        }
        nacre_keyring_sent(c->conn, (size_t)n);
        out = nacre_keyring_output(c->conn);
    }
    return true;
}

/* Steps what waits, sends what is there, and says what to wait for. False: the connection is over. */
static bool serve(client *c)
{
    const nacre_span none = {NULL, 0};
    size_t took;
    bool sent;
    do { /* what was sent may have made room for more */
        if (nacre_keyring_received(c->conn, none, &took) != NACRE_OK) {
            return false;
        }
        sent = nacre_keyring_output(c->conn).n > 0;
        if (!flush(c)) {
            return false;
        }
    } while (sent && nacre_keyring_output(c->conn).n == 0);
    bool waiting = nacre_keyring_output(c->conn).n > 0;
    bool more = !c->over && nacre_keyring_wants_input(c->conn);
    if (c->over && !waiting) {
        return false; /* what it asked while it was there is answered, or nobody waits for it */
    }
    unsigned events = (more ? (unsigned)NACRE_READ : 0) | (waiting ? (unsigned)NACRE_WRITE : 0);
    return nacre_loop_modify(c->server->loop, c->fd, events) == NACRE_OK;
}

static bool receive(client *c)
{
    uint8_t bytes[CHUNK];
    size_t took = 0;
    ssize_t n = recv(c->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    }
    c->over = n == 0;
    int rc = nacre_keyring_received(c->conn, (nacre_span){bytes, (size_t)n}, &took);
    /* What is not taken stays in the socket: the client's backlog is its own. */
    while (took > 0) {
        n = recv(c->fd, bytes, took < sizeof(bytes) ? took : sizeof(bytes), MSG_DONTWAIT);
        if (n <= 0) {
            break;
        }
        took -= (size_t)n;
    }
    explicit_bzero(bytes, sizeof(bytes));
    return rc == NACRE_OK && took == 0;
}

static void set_timer(nacre_keyring_server *s);

static void on_client(void *user, int fd, unsigned ready)
{
    client *c = user;
    nacre_keyring_server *s = c->server;
    bool good = true;
    (void)fd;
    advance(s);
    if (ready & (NACRE_READ | NACRE_HUP)) {
        good = receive(c);
    }
    if (!good || !serve(c)) {
        (void)flush(c); /* the answers before what was wrong */
        drop_client(c);
    }
    set_timer(s);
}

static int add_client(nacre_keyring_server *s, int fd)
{
    uid_t uid;
    gid_t gid;
    if (s->count >= CLIENTS_MAX || nacre_peer_credentials(fd, &uid, &gid) != NACRE_OK ||
        (uid != geteuid() && uid != 0)) {
        return NACRE_LIMIT;
    }
    client *c = nc_zalloc(s->alloc, sizeof(*c));
    if (!c) {
        return NACRE_NO_MEMORY;
    }
    c->server = s;
    c->fd = fd;
    int rc = nacre_keyring_connect(&c->conn, s->ring);
    if (rc == NACRE_OK) {
        rc = nacre_loop_add(s->loop, fd, NACRE_READ, on_client, c);
    }
    if (rc != NACRE_OK) {
        nacre_keyring_conn_free(c->conn);
        nc_free(s->alloc, c);
        return rc;
    }
    c->next = s->clients;
    s->clients = c;
    s->count++;
    return NACRE_OK;
}

static void on_listener(void *user, int fd, unsigned ready)
{
    nacre_keyring_server *s = user;
    int one = -1;
    (void)ready;
    while (nacre_net_accept(fd, &one, NULL) == NACRE_OK) {
        if (add_client(s, one) != NACRE_OK) {
            nc_fd_close(&one);
        }
    }
}

/* ---- time ---------------------------------------------------------------------------------------- */

/* Everything that waited may go on: time has passed, or a person has answered. */
static void go_on(void *user)
{
    nacre_keyring_server *s = user;
    advance(s);
    for (client *c = s->clients, *next; c; c = next) {
        next = c->next;
        if (!serve(c)) {
            drop_client(c);
        }
    }
    set_timer(s);
}

static void on_timer(void *user)
{
    nacre_keyring_server *s = user;
    s->timer = 0;
    go_on(s);
}

static void set_timer(nacre_keyring_server *s)
{
    uint64_t at = nacre_keyring_deadline(s->ring), now = nacre_loop_now(s->loop);
    nacre_loop_cancel(s->loop, s->timer);
    s->timer = 0;
    if (at != UINT64_MAX &&
        nacre_loop_timer(s->loop, at > now ? at - now : 0, on_timer, s, &s->timer) != NACRE_OK) {
        s->timer = 0; /* the next request advances the clock all the same */
    }
}

void nacre_keyring_server_kick(nacre_keyring_server *s)
{
    nc_loop_defer(s->loop, &s->task);
}

/* ---- the socket ------------------------------------------------------------------------------------ */

static int make_dir(nacre_keyring_server *s, nacre_error *err)
{
    int rc = nc_private_dir(NULL, s->dir, sizeof(s->dir), "the agent's socket", err);
    if (rc != NACRE_OK) {
        return rc;
    }
    int n = snprintf(s->path, sizeof(s->path), "%s/agent.%ld", s->dir, (long)getpid());
    return n > 0 && (size_t)n < sizeof(s->path)
               ? NACRE_OK
               : nc_fail(err, NACRE_TOO_LARGE, "the path of the agent's socket is too long");
}

/* Others must not be able to put another socket in its place. */
static int check_dir(const char *path, nacre_error *err)
{
    char dir[PATH_ROOM];
    struct stat st;
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    (void)snprintf(dir, sizeof(dir), "%.*s", (int)(n ? n : 1),
                   slash && n ? path
                   : slash    ? "/"
                              : ".");
    if (stat(dir, &st) != 0) {
        return nc_os_fail(err, NACRE_IO, errno, "%s", NC_ESC(nc_span_cstr(dir)));
    }
    bool ours = st.st_uid == geteuid() || st.st_uid == 0;
    bool open = (st.st_mode & 022) && !(st.st_mode & S_ISVTX);
    return ours && !open ? NACRE_OK
                         : nc_fail(err, NACRE_KEY_PERMISSIONS,
                                   "%s belongs to somebody else or can be written by others: no "
                                   "agent's socket is made there",
                                   NC_ESC(nc_span_cstr(dir)));
}

static int place(nacre_keyring_server *s, const char *path, nacre_error *err)
{
    struct stat st;
    if (!path) {
        return make_dir(s, err);
    }
    int n = snprintf(s->path, sizeof(s->path), "%s", path);
    if (n <= 0 || (size_t)n >= sizeof(s->path)) {
        s->path[0] = '\0';
        return nc_fail(err, NACRE_TOO_LARGE, "a socket's path has 1 to %d bytes", PATH_ROOM - 1);
    }
    if (lstat(path, &st) == 0) {
        s->path[0] = '\0';
        return nc_fail(err, NACRE_EXISTS, "%s is there already", NC_ESC(nc_span_cstr(path)));
    }
    int rc = check_dir(path, err);
    if (rc != NACRE_OK) {
        s->path[0] = '\0';
    }
    return rc;
}

int nacre_keyring_serve(nacre_keyring_server **out, nacre_loop *loop, nacre_keyring *k,
                        const char *path, nacre_error *err)
{
    const nacre_allocator *a = nc_loop_allocator(loop);
    *out = NULL;
    nc_error_clear(err);
    nacre_keyring_server *s = nc_zalloc(a, sizeof(*s));
    if (!s) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    s->alloc = a;
    s->loop = loop;
    s->ring = k;
    s->fd = -1;
    s->task.fn = go_on;
    s->task.user = s;
    bool listens = !path || *path;
    int rc = listens ? place(s, path, err) : NACRE_OK;
    if (rc == NACRE_OK && listens) {
        rc = nacre_net_listen_unix(s->path, 0600, false, 0, &s->fd, err);
    }
    if (rc == NACRE_OK && listens) {
        rc = nacre_loop_add(loop, s->fd, NACRE_READ, on_listener, s);
    }
    if (rc != NACRE_OK) {
        if (s->fd < 0) {
            s->path[0] = '\0'; /* not ours to remove */
        }
        nacre_keyring_server_free(s);
        return nc_fail(err, rc, "the agent's socket: %s", nacre_status_text(rc));
    }
    advance(s);
    set_timer(s);
    *out = s;
    return NACRE_OK;
}

int nacre_keyring_serve_fd(nacre_keyring_server *s, int fd)
{
    if (nc_fd_set_nonblock(fd, true) != 0 || nc_fd_set_cloexec(fd) != 0) {
        return NACRE_IO;
    }
    return add_client(s, fd);
}

const char *nacre_keyring_server_path(const nacre_keyring_server *s)
{
    return s->path;
}

void nacre_keyring_server_free(nacre_keyring_server *s)
{
    if (!s) {
        return;
    }
    while (s->clients) {
        drop_client(s->clients);
    }
    nacre_loop_cancel(s->loop, s->timer);
    nc_loop_undefer(s->loop, &s->task);
    if (s->fd >= 0) {
        nacre_loop_remove(s->loop, s->fd);
        nc_fd_close(&s->fd);
    }
    if (s->path[0]) {
        (void)unlink(s->path);
    }
    if (s->dir[0]) {
        (void)rmdir(s->dir);
    }
    nc_free(s->alloc, s);
}
