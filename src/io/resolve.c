/*
 * resolve.c - see resolve.h. The job is shared by the asking side and the helper thread and freed by
 * whoever leaves last; its memory comes from the C library, because an allocator hook need not be
 * safe for a thread it does not know.
 */
#include "io/resolve.h"

#include "io/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOST_MAX = 1025 };

struct nc_resolution {
    atomic_int holders;
    char host[HOST_MAX];
    char port[8];
    int family;
    int wake[2];
    int error;  /* of getaddrinfo */
    int errnum; /* with EAI_SYSTEM */
    struct addrinfo *list;
};

int nc_family_of(int four_or_six)
{
    switch (four_or_six) {
    case 0:
        return AF_UNSPEC;
    case 4:
        return AF_INET;
    case 6:
        return AF_INET6;
    default:
        return -1;
    }
}

static bool parse6(const char *host, uint16_t port, nc_address *out)
{
    char text[INET6_ADDRSTRLEN + IF_NAMESIZE + 4];
    size_t n = strlen(host);
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
        host++;
        n -= 2;
    }
    if (n >= sizeof(text)) {
        return false;
    }
    memcpy(text, host, n);
    text[n] = '\0';
    struct addrinfo hints = {.ai_family = AF_INET6,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *got = NULL;
    /* With AI_NUMERICHOST nobody is asked; it is here for the scope of link-local addresses. */
    if (!strchr(text, ':') || getaddrinfo(text, NULL, &hints, &got) != 0 || !got) {
        return false;
    }
    memcpy(&out->sa, got->ai_addr, got->ai_addrlen);
    out->len = got->ai_addrlen;
    ((struct sockaddr_in6 *)&out->sa)->sin6_port = htons(port);
    freeaddrinfo(got);
    return true;
}

int nc_address_parse(const char *host, uint16_t port, int family, nc_address *out)
{
    memset(out, 0, sizeof(*out));
    struct sockaddr_in *in4 = (struct sockaddr_in *)&out->sa;
    if (family != AF_INET6 && inet_pton(AF_INET, host, &in4->sin_addr) == 1) {
        in4->sin_family = AF_INET;
        in4->sin_port = htons(port);
        out->len = sizeof(*in4);
        return NACRE_OK;
    }
    return family != AF_INET && parse6(host, port, out) ? NACRE_OK : NACRE_NOT_FOUND;
}

static void leave(nc_resolution *r)
{
    if (atomic_fetch_sub(&r->holders, 1) == 1) {
        if (r->list) {
            freeaddrinfo(r->list);
        }
        nc_fd_close(&r->wake[0]);
        nc_fd_close(&r->wake[1]);
        nc_free(NULL, r);
    }
}

static void *resolve(void *user)
{
    nc_resolution *r = user;
    struct addrinfo hints = {
        .ai_family = r->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    r->error = getaddrinfo(r->host, r->port, &hints, &r->list);
    r->errnum = errno;
    nc_drop(
        nc_fd_write_all(r->wake[1], NC_FD_PIPE, "r", 1)); /* only who has gone does not get it */
    leave(r);
    return NULL;
}

static int start_thread(nc_resolution *r)
{
    pthread_attr_t attr;
    pthread_t thread;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) {
        return rc;
    }
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    /* Signals are for the program's own threads. */
    sigset_t all, old;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&thread, &attr, resolve, r);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return rc;
}

int nc_resolve_start(nc_resolution **out, const char *host, uint16_t port, int family, int *wait_fd,
                     nacre_error *err)
{
    *out = NULL;
    size_t n = strlen(host);
    if (n == 0 || n >= HOST_MAX) {
        return nc_fail(err, NACRE_RESOLVE, "the host name is %s", n ? "too long" : "empty");
    }
    nc_resolution *r = nc_zalloc(NULL, sizeof(*r));
    if (!r) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory to resolve a name");
    }
    memcpy(r->host, host, n);
    (void)snprintf(r->port, sizeof(r->port), "%u", port);
    r->family = family;
    r->wake[0] = r->wake[1] = -1;
    atomic_init(&r->holders, 1);
    int why = nc_fd_pipe(r->wake, false) == 0 ? 0 : errno;
    if (why == 0) {
        atomic_store(&r->holders, 2);
        why = start_thread(r);
        if (why != 0) {
            atomic_store(&r->holders, 1);
        }
    }
    if (why != 0) {
        leave(r);
        return nc_os_fail(err, NACRE_RESOLVE, why, "cannot begin to resolve %s",
                          NC_ESC(nc_span_cstr(host)));
    }
    *wait_fd = r->wake[0];
    *out = r;
    return NACRE_OK;
}

int nc_resolve_take(nc_resolution *r, nc_address *out, size_t max, size_t *count, nacre_error *err)
{
    int rc = NACRE_OK;
    *count = 0;
    /* The byte in the pipe is what makes the thread's writes visible here; holders orders them too. */
    char c;
    nc_drop(nc_fd_read(r->wake[0], NC_FD_PIPE, &c, 1));
    (void)atomic_load(&r->holders);
    for (const struct addrinfo *a = r->list; r->error == 0 && a && *count < max; a = a->ai_next) {
        if ((a->ai_family == AF_INET || a->ai_family == AF_INET6) &&
            a->ai_addrlen <= sizeof(out->sa)) {
            nc_address *to = &out[(*count)++];
            memset(to, 0, sizeof(*to));
            memcpy(&to->sa, a->ai_addr, a->ai_addrlen);
            to->len = a->ai_addrlen;
        }
    }
    if (r->error != 0) {
        rc = nc_fail(err, NACRE_RESOLVE, "cannot resolve %s: %s", NC_ESC(nc_span_cstr(r->host)),
                     r->error == EAI_SYSTEM ? NC_ERRNO(r->errnum) : gai_strerror(r->error));
    } else if (*count == 0) {
        rc = nc_fail(err, NACRE_RESOLVE, "%s has no address", NC_ESC(nc_span_cstr(r->host)));
    }
    nc_addresses_interleave(out, *count);
    leave(r);
    return rc;
}

void nc_resolve_drop(nc_resolution *r)
{
    if (r) {
        leave(r);
    }
}

void nc_addresses_interleave(nc_address *list, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (list[i].sa.ss_family != list[i - 1].sa.ss_family) {
            continue;
        }
        size_t other = i;
        while (other < n && list[other].sa.ss_family == list[i - 1].sa.ss_family) {
            other++;
        }
        if (other == n) {
            return; /* one family is left */
        }
        nc_address moved = list[other];
        memmove(&list[i + 1], &list[i], (other - i) * sizeof(moved));
        list[i] = moved;
    }
}

nc_address_text nc_address_describe(const nc_address *a)
{
    nc_address_text t = {{0}};
    char host[64], port[8];
    if (getnameinfo((const struct sockaddr *)&a->sa, a->len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        (void)snprintf(t.text, sizeof(t.text), "(unknown address)");
        return t;
    }
    (void)snprintf(t.text, sizeof(t.text), a->sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host,
                   port);
    return t;
}
