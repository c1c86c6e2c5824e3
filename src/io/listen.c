/*
 * listen.c - see listen.h.
 */
#include "io/listen.h"

#include "io/fd.h"
#include "io/loop.h"
#include "io/resolve.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PATH_ROOM = 108, /* of sockaddr_un */
    PORT_TRIES = 16  /* for a port that is free on every address */
};

struct nc_listen {
    nacre_loop *loop;
    const nacre_allocator *alloc;
    nc_listen_calls calls;
    int fds[NC_LISTEN_SOCKETS_MAX];
    size_t count;
    uint16_t port;
    char path[PATH_ROOM];
    dev_t dev; /* of the socket's file */
    ino_t ino;
    bool paused;    /* by the owner */
    bool troubled;  /* said so */
    uint64_t timer; /* until the next try */
    bool in_turn;   /* connections are handed out */
    bool gone;      /* freed in that: the memory goes at its end */
};

/* ---- taking connections ---- */

static void set_events(nc_listen *l)
{
    unsigned events = l->paused || l->timer ? 0 : NACRE_READ;
    for (size_t i = 0; i < l->count; i++) {
        (void)nacre_loop_modify(l->loop, l->fds[i], events);
    }
}

static void on_timer(void *user)
{
    nc_listen *l = user;
    l->timer = 0;
    set_events(l);
}

static void wait_a_while(nc_listen *l, const nacre_error *why)
{
    bool first = !l->troubled;
    l->troubled = true;
    if (!l->timer &&
        nacre_loop_timer(l->loop, NC_LISTEN_PAUSE_MS, on_timer, l, &l->timer) != NACRE_OK) {
        l->timer = 0; /* no memory for a timer: the next turn of the loop tries again */
    }
    set_events(l);
    if (first && l->calls.trouble) {
        l->calls.trouble(l->calls.user, l, why);
    }
}

static void on_readable(void *user, int fd, unsigned ready)
{
    nc_listen *l = user;
    (void)ready;
    l->in_turn = true;
    for (int i = 0; i < NC_LISTEN_TURN && !l->paused && !l->gone; i++) {
        nacre_error why;
        int one = -1;
        memset(&why, 0, sizeof(why));
        int rc = nacre_net_accept(fd, &one, &why);
        if (rc == NACRE_AGAIN) {
            break;
        }
        if (rc != NACRE_OK) {
            wait_a_while(l, &why);
            break;
        }
        l->troubled = false;
        l->calls.accepted(l->calls.user, l, one);
    }
    l->in_turn = false;
    if (l->gone) {
        nc_free(l->alloc, l);
    }
}

/* ---- making them ---- */

static nc_listen *make(nacre_loop *loop, const nc_listen_calls *calls, nacre_error *err)
{
    nc_listen *l = nc_zalloc(nc_loop_allocator(loop), sizeof(*l));
    if (!l) {
        (void)nc_fail(err, NACRE_NO_MEMORY, "no memory for a listening socket");
        return NULL;
    }
    l->loop = loop;
    l->alloc = nc_loop_allocator(loop);
    l->calls = *calls;
    return l;
}

/* Takes fd on success. */
static int add_socket(nc_listen *l, int fd, nacre_error *err)
{
    int rc = nacre_loop_add(l->loop, fd, NACRE_READ, on_readable, l);
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "cannot watch a listening socket");
    }
    l->fds[l->count++] = fd;
    return NACRE_OK;
}

static void close_sockets(nc_listen *l)
{
    while (l->count > 0) {
        int fd = l->fds[--l->count];
        nacre_loop_remove(l->loop, fd);
        nc_fd_close(&fd);
    }
}

/* The addresses that a name stands for, as text that nacre_net_listen takes. */
typedef struct places {
    nc_address_text text[NC_LISTEN_SOCKETS_MAX];
    int family[NC_LISTEN_SOCKETS_MAX];
    size_t count;
} places;

static void add_place(places *p, const char *text, int family)
{
    if (p->count < NC_LISTEN_SOCKETS_MAX) {
        size_t n = strlen(text);
        n = n < sizeof(p->text[0].text) ? n : sizeof(p->text[0].text) - 1;
        memcpy(p->text[p->count].text, text, n);
        p->text[p->count].text[n] = '\0';
        p->family[p->count++] = family;
    }
}

static int look_up(const char *name, int family, places *p, nacre_error *err)
{
    nc_address list[NC_ADDRESSES_MAX];
    nc_resolution *r = NULL;
    int ready = -1;
    size_t n = 0;
    int rc = nc_resolve_start(&r, name, 0, nc_family_of(family), &ready, err);
    if (rc == NACRE_OK) {
        rc = nc_resolve_take(r, list, NC_ADDRESSES_MAX, &n, err);
    }
    for (size_t i = 0; rc == NACRE_OK && i < n; i++) {
        char text[80];
        if (getnameinfo((const struct sockaddr *)&list[i].sa, list[i].len, text, sizeof(text), NULL,
                        0, NI_NUMERICHOST) == 0) {
            add_place(p, text, list[i].sa.ss_family == AF_INET6 ? 6 : 4);
        }
    }
    return rc;
}

static int find_places(const char *address, int family, places *p, nacre_error *err)
{
    nc_address numeric;
    bool all = !address || !*address || strcmp(address, "*") == 0;
    p->count = 0;
    if (nc_family_of(family) < 0) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "address family is neither 4 nor 6");
    }
    if (all || strcasecmp(address, "localhost") == 0) {
        if (family != 6) {
            add_place(p, all ? "0.0.0.0" : "127.0.0.1", 4);
        }
        if (family != 4) {
            add_place(p, all ? "::" : "::1", 6);
        }
        return NACRE_OK;
    }
    if (nc_address_parse(address, 0, nc_family_of(family), &numeric) == NACRE_OK) {
        add_place(p, address, numeric.sa.ss_family == AF_INET6 ? 6 : 4);
        return NACRE_OK;
    }
    return look_up(address, family, p, err);
}

/* This host has no such family or address: no fault as long as there is another. */
static bool is_absent(uint32_t why)
{
    return why == EAFNOSUPPORT || why == EADDRNOTAVAIL || why == EPROTONOSUPPORT;
}

/* All places with one port. NACRE_AGAIN: the port that the system chose is taken elsewhere. */
static int listen_all(nc_listen *l, const places *p, uint16_t port, nacre_error *err)
{
    nacre_error absent;
    memset(&absent, 0, sizeof(absent));
    l->port = port;
    for (size_t i = 0; i < p->count; i++) {
        nacre_error why;
        int fd = -1;
        uint16_t bound = 0;
        memset(&why, 0, sizeof(why));
        int rc = nacre_net_listen(p->text[i].text, l->port, p->family[i], NC_LISTEN_BACKLOG, &fd,
                                  &bound, &why);
        if (rc != NACRE_OK && is_absent(why.detail)) {
            absent = why;
            continue;
        }
        if (rc != NACRE_OK && port == 0 && l->count > 0 && why.detail == EADDRINUSE) {
            return NACRE_AGAIN;
        }
        if (rc != NACRE_OK) {
            return nc_os_fail(err, rc, (int)why.detail, "cannot listen on %s port %u",
                              NC_ESC(nc_span_cstr(p->text[i].text)), (unsigned)l->port);
        }
        l->port = bound;
        rc = add_socket(l, fd, err);
        if (rc != NACRE_OK) {
            nc_fd_close(&fd);
            return rc;
        }
    }
    if (l->count > 0) {
        return NACRE_OK;
    }
    return absent.status != NACRE_OK
               ? nc_fail(err, absent.status, "%s", absent.text)
               : nc_fail(err, NACRE_RESOLVE, "there is no address to listen on");
}

int nc_listen_tcp(nc_listen **out, nacre_loop *loop, const char *address, uint16_t port, int family,
                  const nc_listen_calls *calls, nacre_error *err)
{
    places p;
    *out = NULL;
    nc_error_clear(err);
    int rc = find_places(address, family, &p, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_listen *l = make(loop, calls, err);
    if (!l) {
        return NACRE_NO_MEMORY;
    }
    rc = NACRE_AGAIN;
    for (int i = 0; i < PORT_TRIES && rc == NACRE_AGAIN; i++) {
        close_sockets(l);
        rc = listen_all(l, &p, port, err);
    }
    if (rc == NACRE_AGAIN) {
        rc = nc_fail(err, NACRE_IO, "no port is free on all addresses of %s",
                     NC_ESC(nc_span_cstr(address && *address ? address : "*")));
    }
    if (rc != NACRE_OK) {
        nc_listen_free(l);
        return rc;
    }
    *out = l;
    return NACRE_OK;
}

int nc_listen_unix(nc_listen **out, nacre_loop *loop, const char *path, unsigned mask, bool replace,
                   const nc_listen_calls *calls, nacre_error *err)
{
    struct stat st;
    int fd = -1;
    *out = NULL;
    nc_error_clear(err);
    nc_listen *l = make(loop, calls, err);
    if (!l) {
        return NACRE_NO_MEMORY;
    }
    int rc = nacre_net_listen_unix(path, 0777 & ~mask, replace, NC_LISTEN_BACKLOG, &fd, err);
    if (rc == NACRE_OK) {
        memcpy(l->path, path, strlen(path) + 1); /* nacre_net_listen_unix measured it */
        if (lstat(path, &st) == 0) {
            l->dev = st.st_dev;
            l->ino = st.st_ino;
        }
        rc = add_socket(l, fd, err);
        if (rc != NACRE_OK) {
            nc_fd_close(&fd);
        }
    }
    if (rc != NACRE_OK) {
        nc_listen_free(l);
        return rc;
    }
    *out = l;
    return NACRE_OK;
}

int nc_listen_fd(nc_listen **out, nacre_loop *loop, int fd, const nc_listen_calls *calls,
                 nacre_error *err)
{
    nacre_endpoint self;
    *out = NULL;
    nc_error_clear(err);
    nc_listen *l = make(loop, calls, err);
    if (!l) {
        return NACRE_NO_MEMORY;
    }
    int rc = add_socket(l, fd, err);
    if (rc != NACRE_OK) {
        nc_listen_free(l);
        return rc;
    }
    if (nacre_net_local(fd, &self) == NACRE_OK && self.family) {
        l->port = self.port;
    }
    *out = l;
    return NACRE_OK;
}

/* ---- the rest ---- */

uint16_t nc_listen_port(const nc_listen *l)
{
    return l->port;
}

const char *nc_listen_path(const nc_listen *l)
{
    return l->path;
}

void nc_listen_pause(nc_listen *l, bool pause)
{
    if (l->paused != pause) {
        l->paused = pause;
        set_events(l);
    }
}

void nc_listen_free(nc_listen *l)
{
    struct stat st;
    if (!l) {
        return;
    }
    nacre_loop_cancel(l->loop, l->timer);
    close_sockets(l);
    /* Somebody may have put another there since. */
    if (l->path[0] && lstat(l->path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == l->dev &&
        st.st_ino == l->ino) {
        (void)unlink(l->path);
    }
    l->gone = true;
    if (!l->in_turn) {
        nc_free(l->alloc, l);
    }
}
