/*
 * dns.c - see dns.h. The question is shared by the asking side and the helper thread and freed by whoever
 * leaves last; its memory comes from the C library, because an allocator hook need not be safe for a
 * thread it does not know.
 */
#include "io/dns.h"

#include "io/fd.h"

#include <arpa/nameser.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <resolv.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    TYPE_SSHFP = 44,     /* RFC 4255 5; older <arpa/nameser.h> lack it */
    HOST_SIZE = 1025,    /* a DNS name has at most 255 octets; escapes may make four of one */
    MESSAGE_MAX = 65535, /* RFC 1035 4.2.2: over TCP; and no answer is longer */
    NOT_ANSWERED = -1
};

struct nc_dns_question {
    atomic_int holders;
    char host[HOST_SIZE];
    int wake[2];
    int length; /* of message; NOT_ANSWERED */
    int reason; /* h_errno */
    uint8_t message[MESSAGE_MAX];
};

static void leave(nc_dns_question *q)
{
    if (atomic_fetch_sub(&q->holders, 1) == 1) {
        nc_fd_close(&q->wake[0]);
        nc_fd_close(&q->wake[1]);
        nc_free(NULL, q);
    }
}

/*
 * The AD bit of the answer stays only where the configuration trusts the way to the resolver (trust-ad);
 * the library takes it away otherwise, and asks with it set, so that the resolver tells.
 */
static void ask_system(nc_dns_question *q)
{
    struct __res_state state;
    memset(&state, 0, sizeof(state));
    if (res_ninit(&state) != 0) {
        q->reason = NO_RECOVERY;
        return;
    }
#ifdef RES_USE_EDNS0
    state.options |= RES_USE_EDNS0;
#endif
#ifdef RES_USE_DNSSEC
    state.options |= RES_USE_DNSSEC;
#endif
    q->length = res_nquery(&state, q->host, ns_c_in, TYPE_SSHFP, q->message, sizeof(q->message));
    q->reason = state.res_h_errno;
    if (q->length > (int)sizeof(q->message)) {
        q->length = NOT_ANSWERED; /* cut: what is missing could be what matters */
        q->reason = NO_RECOVERY;
    }
    res_nclose(&state);
}

static void *run(void *user)
{
    nc_dns_question *q = user;
    ask_system(q);
    nc_drop(
        nc_fd_write_all(q->wake[1], NC_FD_PIPE, "r", 1)); /* only who has gone does not get it */
    leave(q);
    return NULL;
}

static int start_thread(nc_dns_question *q)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    int rc = pthread_attr_init(&attr);
    if (rc != 0) {
        return rc;
    }
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    /* Signals are for the program's own threads. */
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&thread, &attr, run, q);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    return rc;
}

int nc_dns_start(nc_dns_question **out, const char *host, int *wait_fd, nacre_error *err)
{
    size_t n = strlen(host);
    *out = NULL;
    if (n == 0 || n >= HOST_SIZE) {
        return nc_fail(err, NACRE_RESOLVE, "the host name is %s", n ? "too long" : "empty");
    }
    nc_dns_question *q = nc_zalloc(NULL, sizeof(*q));
    if (!q) {
        return nc_fail(err, NACRE_NO_MEMORY, "no memory to ask the DNS");
    }
    memcpy(q->host, host, n);
    q->length = NOT_ANSWERED;
    q->wake[0] = q->wake[1] = -1;
    atomic_init(&q->holders, 1);
    int why = nc_fd_pipe(q->wake, false) == 0 ? 0 : errno;
    if (why == 0) {
        atomic_store(&q->holders, 2);
        why = start_thread(q);
        if (why != 0) {
            atomic_store(&q->holders, 1);
        }
    }
    if (why != 0) {
        leave(q);
        return nc_os_fail(err, NACRE_RESOLVE, why, "cannot begin to ask the DNS for %s",
                          NC_ESC(nc_span_cstr(host)));
    }
    *wait_fd = q->wake[0];
    *out = q;
    return NACRE_OK;
}

int nc_dns_take(nc_dns_question *q, nacre_sshfp_answer *out, nacre_error *err)
{
    char c;
    memset(out, 0, sizeof(*out));
    /* The byte in the pipe is what makes the thread's writes visible here; holders orders them too. */
    nc_drop(nc_fd_read(q->wake[0], NC_FD_PIPE, &c, 1));
    (void)atomic_load(&q->holders);
    int rc;
    if (q->length >= 0) {
        rc = nacre_sshfp_read_answer(nc_span(q->message, (size_t)q->length), out);
    } else {
        rc = q->reason == HOST_NOT_FOUND || q->reason == NO_DATA ? NACRE_NOT_FOUND : NACRE_RESOLVE;
    }
    if (rc != NACRE_OK) {
        (void)nc_fail(err, rc, "no SSHFP records of %s: %s", NC_ESC(nc_span_cstr(q->host)),
                      rc == NACRE_NOT_FOUND   ? "the name has none"
                      : rc == NACRE_MALFORMED ? "the answer is malformed or cut off"
                                              : "the name server could not say");
    }
    leave(q);
    return rc;
}

void nc_dns_drop(nc_dns_question *q)
{
    if (q) {
        leave(q);
    }
}

/* ---- blocking ---- */

static uint64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int wait_readable(int fd, uint32_t timeout_ms)
{
    uint64_t end = now_ms() + timeout_ms;
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        uint64_t now = now_ms();
        uint64_t left = timeout_ms == 0 ? UINT64_MAX : end > now ? end - now : 0;
        int n = poll(&p, 1, timeout_ms == 0 ? -1 : left > INT_MAX ? INT_MAX : (int)left);
        if (n > 0) {
            return NACRE_OK;
        }
        if (n == 0 || errno != EINTR) {
            return n == 0 ? NACRE_TIMEOUT : NACRE_IO;
        }
    }
}

int nacre_sshfp_lookup(const char *host, uint32_t timeout_ms, nacre_sshfp_answer *out,
                       nacre_error *err)
{
    nc_dns_question *q = NULL;
    int fd = -1;
    nc_error_clear(err);
    memset(out, 0, sizeof(*out));
    int rc = nc_dns_start(&q, host, &fd, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    rc = wait_readable(fd, timeout_ms);
    if (rc != NACRE_OK) {
        nc_dns_drop(q);
        return nc_fail(err, rc, "no SSHFP records of %s: %s", NC_ESC(nc_span_cstr(host)),
                       rc == NACRE_TIMEOUT ? "the name server did not answer in time"
                                           : "its answer cannot be waited for");
    }
    return nc_dns_take(q, out, err);
}
