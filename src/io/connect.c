/*
 * connect.c - connecting by name: resolve, then race the addresses (RFC 8305) in a loop. The blocking
 * form runs a loop of its own until this is done.
 */
#include "nacre/net.h"

#include "io/fd.h"
#include "io/loop.h"
#include "io/resolve.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { STAGGER_MS = 250, REPORT_MAX = 720 };

typedef struct attempt {
    nacre_connecting *owner;
    int fd; /* -1: not begun, or over */
} attempt;

struct nacre_connecting {
    nacre_loop *loop;
    const nacre_allocator *alloc;
    nacre_connect_options opts; /* its strings are not kept: source has what they said */
    nacre_connect_fn fn;
    void *user;
    char *host;
    uint16_t port;
    nc_address source[2]; /* to bind to; len 0: none. By family: IPv4, IPv6 */
    bool bound;
    nc_resolution *resolution;
    int resolution_fd;
    nc_address addresses[NC_ADDRESSES_MAX];
    attempt attempts[NC_ADDRESSES_MAX];
    size_t count, next; /* addresses; the next one to try */
    size_t running;
    uint64_t deadline_timer, stagger_timer;
    nc_task task; /* ends from outside of the starting call */
    int done_fd;
    nacre_error why;
    int last_errno;
    char report[REPORT_MAX]; /* ", " separated: address: reason */
    bool done;
};

void nacre_connect_options_init(nacre_connect_options *o)
{
    memset(o, 0, sizeof(*o));
    o->size = sizeof(*o);
    o->cancel_fd = -1;
    o->stagger_ms = STAGGER_MS;
}

static void forget_attempt(attempt *a)
{
    if (a->fd >= 0) {
        nacre_loop_remove(a->owner->loop, a->fd);
        nc_fd_close(&a->fd);
        a->owner->running--;
    }
}

static void clear(nacre_connecting *c)
{
    for (size_t i = 0; i < c->next; i++) {
        forget_attempt(&c->attempts[i]);
    }
    if (c->resolution) {
        nacre_loop_remove(c->loop, c->resolution_fd);
        nc_resolve_drop(c->resolution);
        c->resolution = NULL;
    }
    if (c->opts.cancel_fd >= 0) {
        nacre_loop_remove(c->loop, c->opts.cancel_fd);
        c->opts.cancel_fd = -1;
    }
    nacre_loop_cancel(c->loop, c->deadline_timer);
    nacre_loop_cancel(c->loop, c->stagger_timer);
    c->deadline_timer = c->stagger_timer = 0;
    nc_loop_undefer(c->loop, &c->task);
}

static void destroy(nacre_connecting *c)
{
    clear(c);
    nc_fd_close(&c->done_fd);
    nc_free(c->alloc, c->host);
    nc_free(c->alloc, c);
}

void nacre_net_connect_cancel(nacre_connecting *c)
{
    if (c) {
        destroy(c);
    }
}

static void tell(void *user)
{
    nacre_connecting *c = user;
    int fd = c->done_fd;
    nacre_error why = c->why;
    nacre_connect_fn fn = c->fn;
    void *fn_user = c->user;
    c->done_fd = -1;
    destroy(c);
    fn(fn_user, fd, &why);
}

/* The result is known. fd -1: why says what happened. */
static void done(nacre_connecting *c, int fd)
{
    if (c->done) {
        return;
    }
    c->done = true;
    clear(c);
    c->done_fd = fd;
    nc_loop_defer(c->loop, &c->task);
}

static void note(nacre_connecting *c, const nc_address *a, int errnum)
{
    size_t used = strlen(c->report);
    c->last_errno = errnum;
    (void)snprintf(c->report + used, sizeof(c->report) - used, "%s%s: %s", used ? ", " : "",
                   nc_address_describe(a).text, NC_ERRNO(errnum));
}

static void fail_connect(nacre_connecting *c)
{
    (void)nc_fail(&c->why, NACRE_CONNECT, "cannot connect to %s port %u (%s)",
                  NC_ESC(nc_span_cstr(c->host)), c->port,
                  c->report[0] ? c->report : "no address can be used");
    c->why.detail = (uint32_t)c->last_errno;
    done(c, -1);
}

static void try_next(nacre_connecting *c);

static void on_stagger(void *user)
{
    nacre_connecting *c = user;
    c->stagger_timer = 0;
    try_next(c);
}

static void attempt_failed(nacre_connecting *c, attempt *a, int errnum)
{
    note(c, &c->addresses[a - c->attempts], errnum);
    forget_attempt(a);
    /* No reason to wait for the stagger: this one is out of the race. */
    nacre_loop_cancel(c->loop, c->stagger_timer);
    c->stagger_timer = 0;
    try_next(c);
}

static void on_attempt(void *user, int fd, unsigned ready)
{
    attempt *a = user;
    nacre_connecting *c = a->owner;
    int errnum = 0;
    socklen_t n = sizeof(errnum);
    (void)ready;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &n) != 0) {
        errnum = errno;
    }
    if (errnum != 0) {
        attempt_failed(c, a, errnum);
        return;
    }
    nacre_loop_remove(c->loop, fd);
    a->fd = -1;
    c->running--;
    done(c, fd);
}

/* 0: it runs, or is through already (then done); else errno. */
static int begin(nacre_connecting *c, size_t i)
{
    const nc_address *to = &c->addresses[i];
    attempt *a = &c->attempts[i];
    const nc_address *from = &c->source[to->sa.ss_family == AF_INET6];
    a->owner = c;
    a->fd = -1;
    if (c->bound && from->len == 0) {
        return EADDRNOTAVAIL;
    }
    int fd = socket(to->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    int rc = from->len ? bind(fd, (const struct sockaddr *)&from->sa, from->len) : 0;
    bool bound = rc == 0;
    if (bound) {
        rc = connect(fd, (const struct sockaddr *)&to->sa, to->len);
    }
    if (rc == 0) {
        done(c, fd);
        return 0;
    }
    /* EINTR: it goes on by itself, like EINPROGRESS. */
    int why = errno;
    if (bound && (why == EINPROGRESS || why == EINTR)) {
        why = nacre_loop_add(c->loop, fd, NACRE_WRITE, on_attempt, a) == NACRE_OK ? 0 : ENOMEM;
    }
    if (why != 0) {
        nc_fd_close(&fd);
        return why;
    }
    a->fd = fd;
    c->running++;
    return 0;
}

static void try_next(nacre_connecting *c)
{
    while (!c->done && c->next < c->count) {
        size_t i = c->next++;
        int why = begin(c, i);
        if (why != 0) {
            note(c, &c->addresses[i], why);
            continue;
        }
        if (!c->done && c->next < c->count &&
            nacre_loop_timer(c->loop, c->opts.stagger_ms, on_stagger, c, &c->stagger_timer) !=
                NACRE_OK) {
            continue; /* then at once */
        }
        return;
    }
    if (!c->done && c->running == 0) {
        fail_connect(c);
    }
}

static void on_resolved(void *user, int fd, unsigned ready)
{
    nacre_connecting *c = user;
    nc_resolution *r = c->resolution;
    (void)ready;
    nacre_loop_remove(c->loop, fd);
    c->resolution = NULL;
    if (nc_resolve_take(r, c->addresses, NC_ADDRESSES_MAX, &c->count, &c->why) != NACRE_OK) {
        done(c, -1);
        return;
    }
    try_next(c);
}

static void on_deadline(void *user)
{
    nacre_connecting *c = user;
    c->deadline_timer = 0;
    for (size_t i = 0; i < c->next; i++) {
        if (c->attempts[i].fd >= 0) {
            note(c, &c->addresses[i], ETIMEDOUT);
        }
    }
    (void)nc_fail(&c->why, NACRE_TIMEOUT, "no connection to %s port %u within %u ms (%s)",
                  NC_ESC(nc_span_cstr(c->host)), c->port, c->opts.timeout_ms,
                  c->report[0] ? c->report : "its name was not resolved");
    c->why.detail = ETIMEDOUT;
    done(c, -1);
}

static void on_cancel(void *user, int fd, unsigned ready)
{
    nacre_connecting *c = user;
    (void)fd;
    (void)ready;
    (void)nc_fail(&c->why, NACRE_CANCELLED, "connecting to %s was cancelled",
                  NC_ESC(nc_span_cstr(c->host)));
    done(c, -1);
}

/* ---- source addresses ---- */

static int source_of_interface(nacre_connecting *c, const char *name, nacre_error *err)
{
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0) {
        return nc_os_fail(err, NACRE_CONNECT, errno, "cannot list network interfaces");
    }
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || strcmp(i->ifa_name, name) != 0) {
            continue;
        }
        bool six = i->ifa_addr->sa_family == AF_INET6;
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)i->ifa_addr;
        if ((!six && i->ifa_addr->sa_family != AF_INET) ||
            (six && IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr)) || c->source[six].len) {
            continue;
        }
        c->source[six].len = six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        memcpy(&c->source[six].sa, i->ifa_addr, c->source[six].len);
    }
    freeifaddrs(list);
    if (c->source[0].len == 0 && c->source[1].len == 0) {
        return nc_fail(err, NACRE_CONNECT, "there is no interface %s with an address",
                       NC_ESC(nc_span_cstr(name)));
    }
    return NACRE_OK;
}

static int choose_source(nacre_connecting *c, const nacre_connect_options *o, nacre_error *err)
{
    if (!o->bind_address && !o->bind_interface) {
        return NACRE_OK;
    }
    c->bound = true;
    if (!o->bind_address) {
        return source_of_interface(c, o->bind_interface, err);
    }
    nc_address a;
    if (nc_address_parse(o->bind_address, 0, AF_UNSPEC, &a) != NACRE_OK) {
        return nc_fail(err, NACRE_CONNECT, "bind address %s is not a numeric address",
                       NC_ESC(nc_span_cstr(o->bind_address)));
    }
    c->source[a.sa.ss_family == AF_INET6] = a;
    return NACRE_OK;
}

/* ---- starting ---- */

static int start(nacre_connecting *c, int family, nacre_error *err)
{
    int rc = NACRE_OK;
    if (c->opts.timeout_ms) {
        rc = nacre_loop_timer(c->loop, c->opts.timeout_ms, on_deadline, c, &c->deadline_timer);
    }
    if (rc == NACRE_OK && c->opts.cancel_fd >= 0) {
        rc = nacre_loop_add(c->loop, c->opts.cancel_fd, NACRE_READ, on_cancel, c);
        c->opts.cancel_fd = rc == NACRE_OK ? c->opts.cancel_fd : -1;
    }
    if (rc != NACRE_OK) {
        return nc_fail(err, rc, "cannot set up a connection attempt");
    }
    if (nc_address_parse(c->host, c->port, family, &c->addresses[0]) == NACRE_OK) {
        c->count = 1;
        try_next(c);
        return NACRE_OK;
    }
    int fd = -1;
    rc = nc_resolve_start(&c->resolution, c->host, c->port, family, &fd, err);
    if (rc == NACRE_OK) {
        c->resolution_fd = fd;
        rc = nacre_loop_add(c->loop, fd, NACRE_READ, on_resolved, c);
        if (rc != NACRE_OK) {
            (void)nc_fail(err, rc, "cannot set up a connection attempt");
        }
    }
    return rc;
}

int nacre_net_connect_start(nacre_connecting **out, nacre_loop *loop, const nacre_allocator *alloc,
                            const char *host, uint16_t port, const nacre_connect_options *o,
                            nacre_connect_fn fn, void *user, nacre_error *err)
{
    nc_error_clear(err);
    nacre_connect_options opts;
    nacre_connect_options_init(&opts);
    *out = NULL;
    if (o && o->size > 0 && o->size <= sizeof(opts)) {
        memcpy(&opts, o, o->size);
    }
    int family = nc_family_of(opts.family);
    if (!host || !fn || port == 0 || family < 0) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "host, port or address family is not valid");
    }
    nacre_connecting *c = nc_zalloc(alloc, sizeof(*c));
    if (!c || !(c->host = nc_strdup(alloc, host))) {
        nc_free(alloc, c);
        return nc_fail(err, NACRE_NO_MEMORY, "no memory to connect");
    }
    c->loop = loop;
    c->alloc = alloc;
    c->opts = opts;
    c->opts.bind_address = c->opts.bind_interface = NULL;
    c->fn = fn;
    c->user = user;
    c->port = port;
    c->done_fd = -1;
    c->task.fn = tell;
    c->task.user = c;
    int rc = choose_source(c, &opts, err);
    if (rc != NACRE_OK) {
        c->opts.cancel_fd = -1; /* not watched yet */
    } else {
        rc = start(c, family, err);
    }
    if (rc != NACRE_OK) {
        destroy(c);
        return rc;
    }
    *out = c;
    return NACRE_OK;
}

typedef struct outcome {
    bool there;
    int fd;
    nacre_error why;
} outcome;

static void on_outcome(void *user, int fd, const nacre_error *why)
{
    outcome *o = user;
    o->there = true;
    o->fd = fd;
    o->why = *why;
}

int nacre_net_connect(const char *host, uint16_t port, const nacre_connect_options *o, int *fd,
                      nacre_error *err)
{
    nc_error_clear(err);
    nacre_loop *loop = NULL;
    nacre_connecting *c = NULL;
    outcome result = {.fd = -1};
    *fd = -1;
    int rc = nacre_loop_new(&loop, NULL, err);
    if (rc == NACRE_OK) {
        rc = nacre_net_connect_start(&c, loop, NULL, host, port, o, on_outcome, &result, err);
    }
    while (rc == NACRE_OK && !result.there) {
        rc = nacre_loop_run_once(loop, -1);
        if (rc != NACRE_OK && !result.there) {
            nacre_net_connect_cancel(c);
            (void)nc_fail(err, rc, "cannot wait for a connection");
        }
    }
    nacre_loop_free(loop);
    if (rc == NACRE_OK && result.fd < 0) {
        rc = result.why.status;
        if (err && err->status == NACRE_OK) {
            *err = result.why;
        }
    }
    *fd = result.fd;
    return rc;
}
