/*
 * delay.c - a link with a delay, made of a proxy: what comes in on either side of a TCP connection goes
 * out on the other so many milliseconds later, at any rate. It bounds nothing else: a slow reader fills
 * its buffer (64 MiB a direction), and only then the writer waits.
 *
 *     delay [-d MS] PORT
 *
 * Listens on a free port of 127.0.0.1, which it prints; every connection is passed on to PORT there. MS
 * (25) is the delay each way, so a round trip takes twice as long. Ends with its standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    RING = 64 * 1024 * 1024, /* 400 MB/s for 160 ms */
    MARKS = 1 << 16,         /* of a direction; when they are used up, reading waits */
    STEP = 512 * 1024,       /* read and written at once */
    MAX_LINKS = 64
};

/* What came until here may leave then. */
typedef struct mark {
    uint64_t end;
    int64_t due_ns;
} mark;

typedef struct way {
    int from, to;
    uint8_t *ring;
    mark *marks;
    uint64_t in, out; /* bytes, ever */
    size_t first, last;
    bool from_ended, to_told; /* end of input seen; passed on */
} way;

typedef struct connection {
    bool used;
    way ways[2];
} connection;

static connection links[MAX_LINKS];
static int64_t delay_ns = 25 * 1000000LL;

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void *map(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return p;
}

static bool can_read(const way *w)
{
    return !w->from_ended && w->in - w->out < RING && w->last - w->first < MARKS;
}

static bool can_write(const way *w, int64_t now)
{
    return w->first < w->last && w->marks[w->first % MARKS].due_ns <= now;
}

static void take(way *w, int64_t now)
{
    size_t at = (size_t)(w->in % RING);
    size_t room = RING - (size_t)(w->in - w->out);
    ssize_t got;

    room = room < RING - at ? room : RING - at;
    got = read(w->from, w->ring + at, room < STEP ? room : STEP);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        w->from_ended = true;
        got = 0; /* the end arrives as late as everything else */
    }
    w->in += (uint64_t)got;
    w->marks[w->last++ % MARKS] = (mark){w->in, now + delay_ns};
}

/* Bytes that are due, from the ring's front on. */
static size_t due(const way *w, int64_t now)
{
    uint64_t end = w->out;
    size_t i;

    for (i = w->first; i < w->last && w->marks[i % MARKS].due_ns <= now && end < w->out + STEP;
         i++) {
        end = w->marks[i % MARKS].end;
    }
    return (size_t)(end - w->out);
}

static void give(way *w, int64_t now)
{
    size_t at = (size_t)(w->out % RING);
    size_t n = due(w, now);
    ssize_t put = 0;

    n = n < RING - at ? n : RING - at;
    if (n > 0 && !w->to_told) {
        put = send(w->to, w->ring + at, n, MSG_NOSIGNAL);
    }
    if (put < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (put < 0 || w->to_told) { /* nobody reads it: the writer shall notice */
        shutdown(w->from, SHUT_RD);
        w->to_told = true;
        put = (ssize_t)n;
    }
    w->out += (uint64_t)put;
    while (w->first < w->last && w->marks[w->first % MARKS].end <= w->out) {
        w->first++;
    }
    if (w->from_ended && w->first == w->last && !w->to_told) {
        shutdown(w->to, SHUT_WR);
        w->to_told = true;
    }
}

static void free_way(way *w)
{
    munmap(w->ring, RING);
    munmap(w->marks, MARKS * sizeof(mark));
}

static void finish(connection *c)
{
    int i;

    for (i = 0; i < 2; i++) {
        if (!c->ways[i].from_ended || c->ways[i].first < c->ways[i].last) {
            return;
        }
    }
    close(c->ways[0].from);
    close(c->ways[0].to);
    free_way(&c->ways[0]);
    free_way(&c->ways[1]);
    c->used = false;
}

static void make_way(way *w, int from, int to)
{
    memset(w, 0, sizeof(*w));
    w->from = from;
    w->to = to;
    w->ring = map(RING);
    w->marks = map(MARKS * sizeof(mark));
}

static void greet(int listener, const struct sockaddr_in *target)
{
    connection *c = links;
    int one = 1;
    int near = accept(listener, NULL, NULL);
    int far;

    if (near < 0) {
        return;
    }
    while (c < links + MAX_LINKS && c->used) {
        c++;
    }
    far = socket(AF_INET, SOCK_STREAM, 0);
    if (c == links + MAX_LINKS || far < 0 ||
        connect(far, (const struct sockaddr *)target, sizeof(*target)) != 0) {
        close(near);
        close(far);
        return;
    }
    setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(near, F_SETFL, O_NONBLOCK);
    fcntl(far, F_SETFL, O_NONBLOCK);
    c->used = true;
    make_way(&c->ways[0], near, far);
    make_way(&c->ways[1], far, near);
}

/* The sockets to look at, 4 entries a connection; until when at most, in *wait_ns (-1: for ever). */
static nfds_t watch(struct pollfd *fds, int64_t now, int64_t *wait_ns)
{
    nfds_t n = 2;
    int i, k;

    *wait_ns = -1;
    for (i = 0; i < MAX_LINKS; i++) {
        for (k = 0; k < 2 && links[i].used; k++) {
            const way *w = &links[i].ways[k];
            int64_t left = w->first < w->last ? w->marks[w->first % MARKS].due_ns - now : -1;
            fds[n++] = (struct pollfd){can_read(w) ? w->from : -1, POLLIN, 0};
            fds[n++] = (struct pollfd){can_write(w, now) && !w->to_told ? w->to : -1, POLLOUT, 0};
            if (left > 0 && (*wait_ns < 0 || left < *wait_ns)) {
                *wait_ns = left;
            } else if (w->first < w->last && left <= 0 && w->to_told) {
                *wait_ns = 0;
            }
        }
    }
    return n;
}

static void serve(const struct pollfd *fds)
{
    int64_t now = now_ns();
    nfds_t n = 2;
    int i, k;

    for (i = 0; i < MAX_LINKS; i++) {
        bool used = links[i].used;
        for (k = 0; k < 2 && used; k++, n += 2) {
            way *w = &links[i].ways[k];
            if (fds[n].revents != 0) {
                take(w, now);
            }
            if (fds[n + 1].revents != 0 || (w->to_told && can_write(w, now))) {
                give(w, now);
            }
        }
        if (used) {
            finish(&links[i]);
        }
    }
}

static int listen_on(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, MAX_LINKS) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &n) != 0) {
        perror("listening");
        exit(1);
    }
    *port = ntohs(a.sin_port);
    return fd;
}

int main(int argc, char **argv)
{
    static struct pollfd fds[2 + 4 * MAX_LINKS];
    struct sockaddr_in target = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port;
    char byte;
    int c;

    while ((c = getopt(argc, argv, "d:")) == 'd') {
        delay_ns = (int64_t)(strtod(optarg, NULL) * 1e6);
    }
    if (c != -1 || argc - optind != 1) {
        fprintf(stderr, "usage: delay [-d MS] PORT\n");
        return 2;
    }
    target.sin_port = htons((uint16_t)strtoul(argv[optind], NULL, 10));
    fds[0] = (struct pollfd){STDIN_FILENO, POLLIN, 0};
    fds[1] = (struct pollfd){listen_on(&port), POLLIN, 0};
    printf("%u\n", port);
    fflush(stdout);
    for (;;) {
        int64_t wait_ns;
        nfds_t n = watch(fds, now_ns(), &wait_ns);
        struct timespec wait = {wait_ns / 1000000000LL, wait_ns % 1000000000LL};
        if (ppoll(fds, n, wait_ns < 0 ? NULL : &wait, NULL) < 0 && errno != EINTR) {
            perror("poll");
            return 1;
        }
        if (fds[0].revents != 0 && read(STDIN_FILENO, &byte, 1) <= 0) {
            return 0;
        }
        serve(fds);
        if (fds[1].revents != 0) {
            greet(fds[1].fd, &target);
        }
    }
}
