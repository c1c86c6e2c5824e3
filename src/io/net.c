/*
 * net.c - listening, accepting, Unix-domain sockets, and who is at the ends of a connection.
 */
#include "nacre/net.h"

#include "io/fd.h"
#include "io/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 128, NO_PORT = 65535 };

/* ---- listening ---- */

static int listen_on(const nc_address *a, int backlog, int *fd)
{
    int on = 1;
    int s = socket(a->sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0) {
        return errno;
    }
    /* A restarted server shall not wait for the old connections' TIME_WAIT. */
    int rc = setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (rc == 0 && a->sa.ss_family == AF_INET6) {
        rc = setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (rc == 0) {
        rc = bind(s, (const struct sockaddr *)&a->sa, a->len);
    }
    if (rc == 0) {
        rc = listen(s, backlog > 0 ? backlog : BACKLOG);
    }
    if (rc != 0) {
        int why = errno;
        nc_fd_close(&s);
        return why;
    }
    *fd = s;
    return 0;
}

static int listen_first(nc_address *list, size_t n, int backlog, int *fd, nacre_error *err)
{
    int why = EADDRNOTAVAIL;
    size_t last = 0;
    for (size_t i = 0; i < n; i++) {
        why = listen_on(&list[i], backlog, fd);
        last = i;
        if (why == 0) {
            return NACRE_OK;
        }
    }
    return nc_os_fail(err, NACRE_IO, why, "cannot listen on %s",
                      nc_address_describe(&list[last]).text);
}

static size_t wildcard(int family, uint16_t port, nc_address out[2])
{
    size_t n = 0;
    if (family != AF_INET) {
        n += nc_address_parse("::", port, AF_INET6, &out[n]) == NACRE_OK;
    }
    if (family != AF_INET6) {
        n += nc_address_parse("0.0.0.0", port, AF_INET, &out[n]) == NACRE_OK;
    }
    return n;
}

int nacre_net_listen(const char *address, uint16_t port, int family, int backlog, int *fd,
                     uint16_t *bound_port, nacre_error *err)
{
    nc_error_clear(err);
    nc_address list[NC_ADDRESSES_MAX];
    size_t n = 0;
    int af = nc_family_of(family);
    *fd = -1;
    if (af < 0) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "address family is neither 4 nor 6");
    }
    if (!address || address[0] == '\0' || strcmp(address, "*") == 0) {
        n = wildcard(af, port, list);
    } else if (nc_address_parse(address, port, af, &list[0]) == NACRE_OK) {
        n = 1;
    } else {
        nc_resolution *r = NULL;
        int ready = -1;
        int rc = nc_resolve_start(&r, address, port, af, &ready, err);
        if (rc == NACRE_OK) {
            rc = nc_resolve_take(r, list, NC_ADDRESSES_MAX, &n, err);
        }
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    int rc = listen_first(list, n, backlog, fd, err);
    nacre_endpoint self;
    if (rc == NACRE_OK && bound_port) {
        *bound_port = nacre_net_local(*fd, &self) == NACRE_OK ? self.port : port;
    }
    return rc;
}

int nacre_net_accept(int listen_fd, int *fd, nacre_error *err)
{
    nc_error_clear(err);
    do {
        *fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (*fd < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EPROTO));
    if (*fd >= 0) {
        return NACRE_OK;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return NACRE_AGAIN;
    }
    return nc_os_fail(err, errno == EMFILE || errno == ENFILE ? NACRE_LIMIT : NACRE_IO, errno,
                      "cannot accept a connection");
}

/* ---- Unix-domain sockets ---- */

static int unix_address(const char *path, struct sockaddr_un *sun, nacre_error *err)
{
    size_t n = strlen(path);
    memset(sun, 0, sizeof(*sun));
    sun->sun_family = AF_UNIX;
    if (n == 0 || n >= sizeof(sun->sun_path)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "socket path %s is %s",
                       NC_ESC(nc_span_cstr(path)), n ? "too long" : "empty");
    }
    memcpy(sun->sun_path, path, n);
    return NACRE_OK;
}

int nacre_net_connect_unix(const char *path, int *fd, nacre_error *err)
{
    nc_error_clear(err);
    struct sockaddr_un sun;
    *fd = -1;
    int rc = unix_address(path, &sun, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0) {
        return nc_os_fail(err, NACRE_CONNECT, errno, "cannot make a socket");
    }
    /* Local: either somebody listens, or not. EAGAIN means a full backlog, which is a "not now". */
    do {
        rc = connect(s, (const struct sockaddr *)&sun, sizeof(sun));
    } while (rc != 0 && errno == EINTR);
    if (rc != 0 && errno != EISCONN) {
        int why = errno;
        nc_fd_close(&s);
        return nc_os_fail(err, NACRE_CONNECT, why, "cannot connect to %s",
                          NC_ESC(nc_span_cstr(path)));
    }
    *fd = s;
    return NACRE_OK;
}

/*
 * The umask takes bits away when bind makes the file. They are given back through a descriptor of what is there: a
 * name that somebody has put in its place since gives its target nothing. 0 or errno.
 */
static int give_mode(const char *path, mode_t mode)
{
    struct stat st;
    char self[48];
    int why = 0;
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        why = errno;
    } else if (!S_ISSOCK(st.st_mode) || st.st_uid != geteuid()) {
        why = EEXIST;
    } else if ((st.st_mode & 0777) != mode) {
        (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
        why = chmod(self, mode) == 0 ? 0 : errno;
    }
    nc_fd_close(&fd);
    return why;
}

int nacre_net_listen_unix(const char *path, unsigned mode, bool replace, int backlog, int *fd,
                          nacre_error *err)
{
    nc_error_clear(err);
    struct sockaddr_un sun;
    struct stat st;
    *fd = -1;
    int rc = unix_address(path, &sun, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0) {
        return nc_os_fail(err, NACRE_IO, errno, "cannot make a socket");
    }
    if (replace && lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)unlink(path);
    }
    /* bind makes the file with the socket's mode less the umask; the umask is the process's, hence not
       touched: the mode is set on the socket before there is a name for it, so that it is never wider. */
    bool made = fchmod(s, (mode_t)mode & 0777) == 0 &&
                bind(s, (const struct sockaddr *)&sun, sizeof(sun)) == 0;
    int why = made ? give_mode(path, (mode_t)mode & 0777) : errno;
    if (made && why == 0 && listen(s, backlog > 0 ? backlog : BACKLOG) == 0) {
        *fd = s;
        return NACRE_OK;
    }
    why = why ? why : errno;
    if (made) {
        (void)unlink(path);
    }
    nc_fd_close(&s);
    return nc_os_fail(err, NACRE_IO, why, "cannot listen on %s", NC_ESC(nc_span_cstr(path)));
}

/* ---- endpoints ---- */

static int describe(const struct sockaddr_storage *sa, nacre_endpoint *out)
{
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in4 = (const struct sockaddr_in *)sa;
        out->family = 4;
        out->port = ntohs(in4->sin_port);
        return inet_ntop(AF_INET, &in4->sin_addr, out->address, sizeof(out->address)) ? NACRE_OK
                                                                                      : NACRE_IO;
    }
    if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
        out->family = mapped ? 4 : 6;
        out->port = ntohs(in6->sin6_port);
        const void *bytes =
            mapped ? (const void *)&in6->sin6_addr.s6_addr[12] : (const void *)&in6->sin6_addr;
        return inet_ntop(mapped ? AF_INET : AF_INET6, bytes, out->address, sizeof(out->address))
                   ? NACRE_OK
                   : NACRE_IO;
    }
    out->port = NO_PORT;
    (void)snprintf(out->address, sizeof(out->address), "%s",
                   sa->ss_family == AF_UNIX ? "UNIX-DOMAIN" : "UNKNOWN");
    return NACRE_OK;
}

static int endpoint(int fd, int (*ask)(int, struct sockaddr *, socklen_t *), nacre_endpoint *out)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof(sa);
    memset(&sa, 0, sizeof(sa));
    memset(out, 0, sizeof(*out));
    if (ask(fd, (struct sockaddr *)&sa, &n) != 0) {
        int why = errno;
        memset(&sa, 0, sizeof(sa));
        int rc = describe(&sa, out);
        return why == ENOTSOCK ? rc : NACRE_IO;
    }
    return describe(&sa, out);
}

static int ask_peer(int fd, struct sockaddr *sa, socklen_t *n)
{
    return getpeername(fd, sa, n);
}

static int ask_local(int fd, struct sockaddr *sa, socklen_t *n)
{
    return getsockname(fd, sa, n);
}

int nacre_net_peer(int fd, nacre_endpoint *out)
{
    return endpoint(fd, ask_peer, out);
}

int nacre_net_local(int fd, nacre_endpoint *out)
{
    return endpoint(fd, ask_local, out);
}

/* ---- options of a connection; what cannot be had is done without ---- */

void nacre_net_set_dscp(int fd, unsigned dscp)
{
    int tos = (int)((dscp & 0x3f) << 2);
    nacre_endpoint e;
    if (nacre_net_local(fd, &e) == NACRE_OK && e.family == 6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos));
    } else {
        (void)setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));
    }
}

void nacre_net_set_keepalive(int fd, bool on)
{
    int value = on;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value));
}

void nacre_net_set_nodelay(int fd, bool on)
{
    int value = on;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, sizeof(value));
}
