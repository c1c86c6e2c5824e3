/*
 * test_loop_threads.c - many threads with a connection each, on both sides, and calls that are cancelled from other
 * threads. Keys and the known hosts are shared by all, nothing else is. For ThreadSanitizer (scripts/tsan.sh), and
 * quick enough to run without it.
 */
#include "nacre/client.h"
#include "nacre/memory_files.h"
#include "nacre/server.h"
#include "nacre/sftp_transfer.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

enum { LINKS = 8, ROUNDS = 2, FILE_SIZE = 300 * 1000, PATIENCE_MS = 60000 };

static const char host_name[] = "server.example";

/* What all threads use at once. */
typedef struct shared {
    nacre_key *host_key, *user_key;
    nacre_known_hosts *known;
    uint16_t port; /* 0: each client has a server of its own, at the other end of a socket pair */
} shared;

/* A client in its thread, and what others see of it. Only cmocka's thread asserts: a failure is a text here. */
typedef struct line {
    const shared *s;
    int client_fd, server_fd;
    pthread_t client_thread, server_thread;
    nacre_client *client;
    atomic_bool hanging; /* inside a call that ends by being cancelled, or just before it */
    atomic_bool done;
    const char *client_trouble, *server_trouble;
    char why[200];
} line;

static nacre_span text_span(const char *s)
{
    return (nacre_span){(const uint8_t *)s, strlen(s)};
}

/* ---- a server --------------------------------------------------------------------------------------------- */

static nacre_verdict take_key(void *user, nacre_server_conn *c, const nacre_event *ev, bool signed_)
{
    const shared *s = user;
    (void)c;
    (void)signed_;
    return nacre_key_equal(s->user_key, ev->u.auth.key) ? NACRE_ACCEPT : NACRE_REFUSE;
}

/* "echo" gives back what comes; "hang" is never answered. */
static nacre_verdict take_exec(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    (void)user;
    (void)c;
    return ev->u.request.command.n == 4 && memcmp(ev->u.request.command.p, "hang", 4) == 0
               ? NACRE_LATER
               : NACRE_ACCEPT;
}

static void on_event(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    size_t took = 0;
    (void)user;
    (void)c;
    if (ev->type == NACRE_EVENT_CHANNEL_DATA) {
        /* Less than a window: all of it is taken, or the client misses some. */
        if (nacre_channel_write(ev->channel, NACRE_STDOUT, ev->u.data.bytes.p, ev->u.data.bytes.n,
                                &took) == NACRE_OK) {
            (void)nacre_channel_consumed(ev->channel, ev->u.data.bytes.n);
        }
    } else if (ev->type == NACRE_EVENT_CHANNEL_EOF) {
        if (nacre_channel_exit_status(ev->channel, 7) == NACRE_OK) {
            (void)nacre_channel_close(ev->channel);
        }
    }
}

static void free_files(void *files)
{
    nacre_memory_files_free(files);
}

static nacre_verdict take_sftp(void *user, nacre_server_conn *c, const nacre_event *ev)
{
    nacre_memory_files *files = NULL;
    (void)user;
    if (nacre_memory_files_new(&files, NULL) != NACRE_OK) {
        return NACRE_REFUSE;
    }
    if (nacre_server_sftp(c, ev->channel, nacre_memory_files_ops(), files, NULL, free_files,
                          NULL) != NACRE_OK) {
        nacre_memory_files_free(files);
        return NACRE_REFUSE;
    }
    return NACRE_ACCEPT;
}

static int make_server(const shared *s, nacre_server **out)
{
    nacre_server_config cfg;
    nacre_server_config_init(&cfg);
    cfg.host_keys = (nacre_key *const *)&s->host_key;
    cfg.host_key_count = 1;
    cfg.startups_begin = cfg.startups_full = 2 * LINKS;
    cfg.callbacks.user = (void *)(uintptr_t)s;
    cfg.callbacks.auth_key = take_key;
    cfg.callbacks.exec = take_exec;
    cfg.callbacks.subsystem = take_sftp;
    cfg.callbacks.event = on_event;
    return nacre_server_new(out, &cfg, NULL);
}

static void *serve_one(void *user)
{
    line *l = user;
    nacre_server *server = NULL;
    if (make_server(l->s, &server) != NACRE_OK) {
        l->server_trouble = "no server";
        return NULL;
    }
    if (nacre_server_adopt(server, l->server_fd, l->server_fd, NULL, NULL) != NACRE_OK) {
        l->server_trouble = "the server does not take the socket";
    } else if (nacre_server_run(server, true) != NACRE_OK) {
        l->server_trouble = "the server does not run";
    }
    nacre_server_free(server);
    return NULL;
}

/* ---- a client --------------------------------------------------------------------------------------------- */

typedef struct piece {
    uint8_t *p;
    size_t at, n;
} piece;

static bool give(void *user, void *p, size_t n, size_t *got)
{
    piece *f = user;
    *got = f->n - f->at < n ? f->n - f->at : n;
    memcpy(p, f->p + f->at, *got);
    f->at += *got;
    return true;
}

static bool compare(void *user, const void *p, size_t n)
{
    piece *f = user;
    bool same = n <= f->n - f->at && memcmp(f->p + f->at, p, n) == 0;
    f->at += n;
    return same;
}

static const char *echo(nacre_client *c)
{
    static const char words[] = "through and back";
    nacre_exec_result r;
    int rc = nacre_client_exec(c, "echo", text_span(words), PATIENCE_MS, &r);
    bool good = rc == NACRE_OK && r.exit.exited && r.exit.status == 7 &&
                r.out_len == sizeof(words) - 1 && memcmp(r.out, words, r.out_len) == 0;
    nacre_exec_result_free(&r);
    return good ? NULL : "a command fails";
}

static const char *move_a_file(nacre_client *c, uint8_t *bytes)
{
    nacre_sftp *s = NULL;
    piece up = {bytes, 0, FILE_SIZE}, down = {bytes, 0, FILE_SIZE};
    const char *trouble = NULL;
    if (nacre_sftp_open(&s, c, NULL, NULL) != NACRE_OK) {
        return "no SFTP";
    }
    if (nacre_sftp_putfo(s, give, &up, FILE_SIZE, "/file", 0600, NULL) != NACRE_OK) {
        trouble = "a file does not go up";
    } else if (nacre_sftp_getfo(s, "/file", compare, &down, NULL) != NACRE_OK ||
               down.at != FILE_SIZE) {
        trouble = "a file does not come down as it was";
    }
    nacre_sftp_close(s);
    return trouble;
}

/* Waits for what never comes until another thread cancels it. */
static const char *hang(line *l)
{
    nacre_exec_result r;
    atomic_store(&l->hanging, true);
    int rc = nacre_client_exec(l->client, "hang", text_span(""), PATIENCE_MS, &r);
    nacre_exec_result_free(&r);
    return rc == NACRE_CANCELLED ? NULL : "a call that was cancelled does not say so";
}

static const char *use(line *l)
{
    static _Thread_local uint8_t bytes[FILE_SIZE];
    nacre_client *c = l->client;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i * 31 + (i >> 8));
    }
    int rc = l->s->port ? nacre_client_login(c, -1, -1, "127.0.0.1", l->s->port)
                        : nacre_client_login(c, l->client_fd, l->client_fd, host_name, 22);
    const char *trouble = rc == NACRE_OK ? NULL : "no login";
    for (int i = 0; !trouble && i < ROUNDS; i++) {
        trouble = echo(c);
        trouble = trouble ? trouble : move_a_file(c, bytes);
        if (!trouble && nacre_transport_rekey(nacre_client_transport(c)) != NACRE_OK) {
            trouble = "no new keys";
        }
        trouble = trouble ? trouble : hang(l);
    }
    return trouble ? trouble : echo(c);
}

static void *be_client(void *user)
{
    line *l = user;
    l->client_trouble = use(l);
    if (l->client_trouble) {
        const char *text = nacre_client_error(l->client)->text;
        size_t n = strnlen(text, sizeof(l->why) - 1);
        memcpy(l->why, text, n);
        l->why[n] = '\0';
    }
    nacre_client_disconnect(l->client);
    atomic_store(&l->done, true);
    return NULL;
}

static void make_client(line *l)
{
    nacre_client_config cfg;
    nacre_client_config_init(&cfg);
    cfg.user = "me";
    cfg.keys = (nacre_key *const *)&l->s->user_key;
    cfg.key_count = 1;
    cfg.known_hosts = l->s->known;
    cfg.default_key_files = false;
    cfg.use_agent = false;
    assert_int_equal(nacre_client_new(&l->client, &cfg, NULL), NACRE_OK);
}

/* ---- all of them ------------------------------------------------------------------------------------------ */

static void know(shared *s, const char *host, uint16_t port)
{
    char text[512];
    assert_true(nacre_known_hosts_add(s->known, host, port, s->host_key, true, text, sizeof(text)) >
                0);
}

static void make_shared(shared *s)
{
    memset(s, 0, sizeof(*s));
    assert_int_equal(nacre_key_generate(&s->host_key, NULL, "ecdsa", 256, NULL), NACRE_OK);
    assert_int_equal(nacre_key_generate(&s->user_key, NULL, "ed25519", 0, NULL), NACRE_OK);
    assert_int_equal(nacre_known_hosts_new(&s->known, NULL), NACRE_OK);
    know(s, host_name, 22);
}

static void free_shared(shared *s)
{
    nacre_key_free(s->host_key);
    nacre_key_free(s->user_key);
    nacre_known_hosts_free(s->known);
}

/* This thread is the one that cancels, until all clients have what they came for. */
static void cancel_all(line *links)
{
    for (int waiting = LINKS; waiting > 0; (void)usleep(1000)) {
        waiting = 0;
        for (int i = 0; i < LINKS; i++) {
            if (atomic_exchange(&links[i].hanging, false)) {
                nacre_client_cancel(links[i].client);
            }
            waiting += atomic_load(&links[i].done) ? 0 : 1;
        }
    }
}

static void start_clients(line *links, const shared *s)
{
    memset(links, 0, LINKS * sizeof(*links));
    for (int i = 0; i < LINKS; i++) {
        links[i].s = s;
        atomic_init(&links[i].hanging, false);
        atomic_init(&links[i].done, false);
        make_client(&links[i]);
        if (!s->port) {
            int pair[2];
            assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
            links[i].client_fd = pair[0];
            links[i].server_fd = pair[1];
            assert_int_equal(pthread_create(&links[i].server_thread, NULL, serve_one, &links[i]),
                             0);
        }
        assert_int_equal(pthread_create(&links[i].client_thread, NULL, be_client, &links[i]), 0);
    }
}

static void end_clients(line *links)
{
    for (int i = 0; i < LINKS; i++) {
        assert_int_equal(pthread_join(links[i].client_thread, NULL), 0);
        nacre_client_free(links[i].client);
        if (!links[i].s->port) {
            assert_int_equal(pthread_join(links[i].server_thread, NULL), 0);
        }
    }
    for (int i = 0; i < LINKS; i++) {
        if (links[i].client_trouble || links[i].server_trouble) {
            fail_msg("link %d: %s (%s); %s", i,
                     links[i].client_trouble ? links[i].client_trouble : "client good",
                     links[i].why,
                     links[i].server_trouble ? links[i].server_trouble : "server good");
        }
    }
}

static void test_a_thread_for_each_end(void **state)
{
    shared s;
    line links[LINKS];
    (void)state;
    make_shared(&s);
    start_clients(links, &s);
    cancel_all(links);
    end_clients(links);
    free_shared(&s);
}

static void *run_server(void *user)
{
    nacre_server *server = user;
    return nacre_server_run(server, false) == NACRE_OK ? user : NULL;
}

static void test_one_server_that_is_stopped_from_outside(void **state)
{
    shared s;
    line links[LINKS];
    nacre_server *server = NULL;
    pthread_t runner;
    void *ran = NULL;
    (void)state;
    make_shared(&s);
    assert_int_equal(make_server(&s, &server), NACRE_OK);
    assert_int_equal(nacre_server_listen(server, "127.0.0.1", 0, &s.port, NULL), NACRE_OK);
    know(&s, "127.0.0.1", s.port);
    assert_int_equal(pthread_create(&runner, NULL, run_server, server), 0);
    start_clients(links, &s);
    cancel_all(links);
    end_clients(links);
    nacre_server_stop(server);
    assert_int_equal(pthread_join(runner, &ran), 0);
    assert_ptr_equal(ran, server);
    nacre_server_free(server);
    free_shared(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_thread_for_each_end),
        cmocka_unit_test(test_one_server_that_is_stopped_from_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
