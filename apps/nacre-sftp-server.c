/*
 * nacre-sftp-server.c - SFTP on stdin and stdout, as a subsystem of any SSH server, or under a client
 * that starts it itself.
 *
 * Both descriptors are polled at once: a client that writes its requests without reading replies must
 * find us reading, and one that reads slowly must not stop us from noticing its end.
 */
#include "sftp_args.h"

#include <nacre/account.h>
#include <nacre/local_files.h>
#include <nacre/sftp_server.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum {
    IN_SIZE = 256 * 1024,       /* one large WRITE and its head */
    OUT_SIZE = 4 * 1024 * 1024, /* replies that wait; many READs of one turn */
    SEND_EARLY = 256 * 1024,    /* does not wait for the end of the input at hand */
    EXIT_USAGE = 1
};

/* Output between head and tail; lent room lies behind tail. */
typedef struct out_queue {
    uint8_t *data;
    size_t head, tail;
    bool dead; /* nobody reads any more */
} out_queue;

static bool log_to_stderr;
static int log_limit = 2; /* ERROR, as sftp-server */

static void log_line(void *user, nacre_log_level level, const char *line)
{
    static const int priorities[] = {LOG_ERR, LOG_ERR, LOG_INFO, LOG_INFO, LOG_DEBUG, LOG_DEBUG};
    (void)user;
    if (log_to_stderr) {
        fprintf(stderr, "%s\n", line);
    } else {
        syslog(priorities[level], "%s", line);
    }
}

static nacre_log_level engine_level(int level)
{
    static const nacre_log_level of[] = {NACRE_LOG_QUIET, NACRE_LOG_ERROR,   NACRE_LOG_ERROR,
                                         NACRE_LOG_INFO,  NACRE_LOG_VERBOSE, NACRE_LOG_DEBUG,
                                         NACRE_LOG_DEBUG, NACRE_LOG_TRACE};
    return of[level];
}

/* ---- the pipe ---------------------------------------------------------------------------------------- */

static void make_room(out_queue *q)
{
    if (q->head > 0) {
        memmove(q->data, q->data + q->head, q->tail - q->head);
        q->tail -= q->head;
        q->head = 0;
    }
}

static int out_reserve(void *ctx, size_t want, nacre_room *rooms, size_t *count)
{
    out_queue *q = ctx;
    if (q->head == q->tail) {
        q->head = q->tail = 0;
    }
    if (OUT_SIZE - q->tail < want && q->tail - q->head < OUT_SIZE / 2) {
        make_room(q);
    }
    size_t room = OUT_SIZE - q->tail;
    if (room == 0 || *count == 0) {
        *count = 0;
        return NACRE_OK;
    }
    rooms[0].p = q->data + q->tail;
    rooms[0].n = want < room ? want : room;
    *count = 1;
    return NACRE_OK;
}

static int out_commit(void *ctx, size_t n)
{
    out_queue *q = ctx;
    q->tail += n;
    return NACRE_OK;
}

static int out_write(void *ctx, const void *p, size_t n, size_t *took)
{
    nacre_room room = {NULL, 0};
    size_t count = 1;
    (void)out_reserve(ctx, n, &room, &count);
    *took = count ? room.n : 0;
    if (*took > 0) {
        memcpy(room.p, p, *took);
    }
    return out_commit(ctx, *took);
}

/* True when something went. */
static bool drain(out_queue *q)
{
    bool any = false;
    while (q->head < q->tail && !q->dead) {
        ssize_t put = write(STDOUT_FILENO, q->data + q->head, q->tail - q->head);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        }
        q->dead = put <= 0;
        q->head += put > 0 ? (size_t)put : 0;
        any = any || put > 0;
    }
    return any;
}

/* ---- the loop ---------------------------------------------------------------------------------------- */

static int take_input(nacre_sftp_server *s, uint8_t *in, bool *ended)
{
    ssize_t got;
    do {
        got = read(STDIN_FILENO, in, IN_SIZE);
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return NACRE_OK;
    }
    if (got <= 0) {
        *ended = true;
        return NACRE_OK;
    }
    nacre_span bytes = {in, (size_t)got};
    return nacre_sftp_server_input(s, bytes);
}

static int run(nacre_sftp_server *s, out_queue *q, uint8_t *in)
{
    bool ended = false;
    int rc = NACRE_OK;
    while (rc == NACRE_OK && !q->dead) {
        if (ended && q->head == q->tail && nacre_sftp_server_idle(s)) {
            return NACRE_OK;
        }
        bool wants = !ended && nacre_sftp_server_wants_input(s);
        bool step = nacre_sftp_server_wants_step(s);
        bool out = q->head < q->tail;
        /* With a long request under way it matters at once that nobody waits for it any more. */
        struct pollfd fds[2] = {{wants ? STDIN_FILENO : -1, POLLIN, 0},
                                {out || step ? STDOUT_FILENO : -1, out ? POLLOUT : 0, 0}};
        if (poll(fds, 2, step ? 0 : -1) < 0 && errno != EINTR) {
            return NACRE_IO;
        }
        q->dead = step && (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
        if (fds[1].revents || step) {
            (void)drain(q);
            rc = nacre_sftp_server_flush(s);
        }
        if (rc == NACRE_OK && fds[0].revents) {
            rc = take_input(s, in, &ended);
        }
        /* Without waiting for poll to say so: it is mostly ready. */
        while (rc == NACRE_OK && q->head < q->tail && drain(q) &&
               nacre_sftp_server_wants_write(s)) {
            rc = nacre_sftp_server_flush(s);
        }
    }
    /* What was answered before the fault still goes out. */
    (void)drain(q);
    return rc;
}

static int serve(const sftp_args *a, const nacre_account *account)
{
    char start[4096] = "";
    nacre_error why = {0};
    nacre_local_files *files = NULL;
    nacre_sftp_server *server = NULL;
    nacre_local_files_options lo;
    nacre_sftp_server_options so;
    out_queue q = {malloc(OUT_SIZE), 0, 0, false};
    uint8_t *in = malloc(IN_SIZE);
    nacre_pipe pipe = {&q, out_reserve, out_commit, out_write, NULL};
    int rc = q.data && in ? NACRE_OK : NACRE_NO_MEMORY;
    nacre_local_files_options_init(&lo);
    nacre_sftp_server_options_init(&so);
    lo.read_only = so.read_only = a->read_only;
    so.allow = a->allow;
    so.deny = a->deny;
    so.log = log_line;
    so.log_level = engine_level(log_limit);
    if (rc == NACRE_OK && a->start) {
        bool good = sftp_args_start(a->start, account ? account->name : "",
                                    account ? account->home : "/", start, sizeof(start));
        if (!good || chdir(start) != 0) {
            fprintf(stderr, "nacre-sftp-server: cannot begin in \"%s\": %s\n", a->start,
                    good ? strerror(errno) : "bad tokens");
            rc = NACRE_IO;
        }
    }
    if (rc == NACRE_OK) {
        rc = nacre_local_files_new(&files, &lo, &why);
    }
    if (rc == NACRE_OK) {
        rc = nacre_sftp_server_new(&server, &pipe, nacre_local_files_ops(), files, &so, &why);
    }
    if (rc != NACRE_OK) {
        fprintf(stderr, "nacre-sftp-server: %s\n", why.text[0] ? why.text : nacre_status_text(rc));
    } else {
        rc = run(server, &q, in);
    }
    if (rc != NACRE_OK && server && nacre_sftp_server_error(server)->status != NACRE_OK) {
        log_line(NULL, NACRE_LOG_ERROR, nacre_sftp_server_error(server)->text);
    }
    nacre_sftp_server_free(server);
    nacre_local_files_free(files);
    free(q.data);
    free(in);
    return rc == NACRE_OK ? 0 : 255;
}

/* ---- the command line ---------------------------------------------------------------------------------- */

static int usage(const char *wrong)
{
    if (wrong) {
        fprintf(stderr, "nacre-sftp-server: %s\n", wrong);
    }
    fprintf(
        stderr,
        "usage: nacre-sftp-server [-ehRV] [-d start_directory] [-f log_facility] [-l log_level]\n"
        "           [-P denied_requests] [-p allowed_requests] [-u umask]\n"
        "       nacre-sftp-server -Q requests\n");
    return EXIT_USAGE;
}

static int answer_query(const char *query)
{
    if (strcmp(query, "requests") != 0) {
        return usage("-Q knows \"requests\" only");
    }
    for (size_t i = 0; nacre_sftp_server_request_name(i); i++) {
        printf("%s\n", nacre_sftp_server_request_name(i));
    }
    return 0;
}

int main(int argc, char **argv)
{
    sftp_args a;
    const char *wrong = NULL;
    if (!sftp_args_parse(&a, argc, argv, &wrong)) {
        return usage(wrong);
    }
    if (a.help) {
        return usage(NULL);
    }
    if (a.version) {
        fprintf(stderr, "nacre_%s\n", nacre_version());
        return 0;
    }
    if (a.query) {
        return answer_query(a.query);
    }
    if (a.umask >= 0) {
        (void)umask((mode_t)a.umask);
    }
    /* Who is held to SFTP must not write a program of his own into us through /proc/self/mem. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    log_to_stderr = a.to_stderr;
    log_limit = a.level >= 0 ? a.level : log_limit;
    if (!log_to_stderr) {
        openlog("nacre-sftp-server", LOG_PID, a.facility >= 0 ? a.facility : LOG_AUTH);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    int in_flags = fcntl(STDIN_FILENO, F_GETFL);
    int out_flags = fcntl(STDOUT_FILENO, F_GETFL);
    if (in_flags < 0 || out_flags < 0) {
        return usage("stdin and stdout must be open");
    }
    nacre_account *account = NULL;
    /* Nobody we know (a container's number, say) is served too: only -d needs a name. */
    if (nacre_account_lookup_uid(&account, NULL, getuid(), NULL) != NACRE_OK) {
        account = NULL;
    }
    (void)fcntl(STDIN_FILENO, F_SETFL, in_flags | O_NONBLOCK);
    (void)fcntl(STDOUT_FILENO, F_SETFL, out_flags | O_NONBLOCK);
    int status = serve(&a, account);
    (void)fcntl(STDIN_FILENO, F_SETFL, in_flags);
    (void)fcntl(STDOUT_FILENO, F_SETFL, out_flags);
    nacre_account_free(account);
    return status;
}
