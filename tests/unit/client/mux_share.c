#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "mux_share.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the client that is the master, while allocations fail in turn. */
static test_memory *rounds;

/* ---- the master's application ---- */

static bool on_ask(void *user, const char *question)
{
    share *sh = user;
    sh->asked++;
    (void)snprintf(sh->question, sizeof(sh->question), "%s", question);
    return !sh->deny;
}

static bool on_env(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "LANG") == 0;
}

static void on_terminate(void *user)
{
    share *sh = user;
    sh->terminated++;
}

static void on_stopped(void *user)
{
    share *sh = user;
    sh->stopped++;
}

static void on_idle(void *user)
{
    share *sh = user;
    sh->idle++;
}

void share_up(share *sh, bool ask, uint32_t idle_ms)
{
    nacre_mux_master_options o;
    nacre_error why;
    memset(sh, 0, sizeof(*sh));
    sh->patience_ms = SHARE_MS;
    stage_init(&sh->s);
    test_memory_init(&sh->memory);
    sh->s.cfg.transport.allocator = rounds ? &rounds->hooks : &sh->memory.hooks;
    stage_login(&sh->s);
    (void)snprintf(sh->path, sizeof(sh->path), "%s/control", sh->s.dir);
    nacre_mux_master_options_init(&o);
    o.ask = ask ? on_ask : NULL;
    o.permit_env = on_env;
    o.terminate = on_terminate;
    o.stopped = on_stopped;
    o.idle = on_idle;
    o.idle_ms = idle_ms;
    o.user = sh;
    assert_int_equal(nacre_mux_master_new(&sh->m, sh->s.c, sh->path, &o, &why), NACRE_OK);
}

void share_down(share *sh)
{
    struct stat st;
    nacre_mux_master_free(sh->m);
    assert_int_equal(stat(sh->path, &st), -1);
    stage_close(&sh->s);
    stage_clear(&sh->s);
    assert_int_equal(sh->memory.live, 0);
}

static void *run_work(void *arg)
{
    share *sh = arg;
    sh->work(sh);
    atomic_store(&sh->done, true);
    nacre_loop_wake(sh->s.loop);
    return NULL;
}

void share_beside(share *sh, void (*work)(share *sh))
{
    sh->work = work;
    sh->rc = NACRE_MISMATCH;
    atomic_store(&sh->done, false);
    assert_int_equal(pthread_create(&sh->thread, NULL, run_work, sh), 0);
    for (int i = 0; i < 4000 && !atomic_load(&sh->done); i++) {
        assert_int_equal(nacre_loop_run_once(sh->s.loop, 10), NACRE_OK);
    }
    assert_true(atomic_load(&sh->done));
    assert_int_equal(pthread_join(sh->thread, NULL), 0);
}

void share_alone(share *sh)
{
    for (int i = 0; i < 2000 && nacre_mux_master_clients(sh->m) > 0; i++) {
        assert_int_equal(nacre_loop_run_once(sh->s.loop, 10), NACRE_OK);
    }
    assert_int_equal(nacre_mux_master_clients(sh->m), 0);
}

nacre_mux *share_join(share *sh)
{
    nacre_mux *x = NULL;
    nacre_error why;
    sh->rc = nacre_mux_connect(&x, sh->path, SHARE_MS, NULL, &why);
    return x;
}

/* ---- works ---- */

void share_ask_all(share *sh)
{
    uint32_t pid = 0;
    char *text = NULL;
    size_t n = 0;
    nacre_mux *x = share_join(sh);
    int rc = x ? nacre_mux_alive(x, &pid) : sh->rc;
    rc = rc == NACRE_OK && pid != (uint32_t)getpid() ? NACRE_MISMATCH : rc;
    rc = rc == NACRE_OK ? nacre_mux_info(x, "connection", &text, &n) : rc;
    rc = rc == NACRE_OK && !strstr(text, "user \"") ? NACRE_MISMATCH : rc;
    nacre_secret_free(NULL, text, text ? n + 1 : 0);
    text = NULL;
    rc = rc == NACRE_OK ? nacre_mux_info(x, "channels", &text, &n) : rc;
    nacre_secret_free(NULL, text, text ? n + 1 : 0);
    text = NULL;
    if (rc == NACRE_OK && nacre_mux_info(x, "weather", &text, &n) != NACRE_REQUEST_REFUSED) {
        rc = NACRE_MISMATCH;
    }
    rc = rc == NACRE_OK ? nacre_mux_terminate(x) : rc;
    rc = rc == NACRE_OK ? nacre_mux_stop(x) : rc;
    rc = rc == NACRE_OK ? nacre_mux_alive(x, &pid) : rc; /* who is in stays in */
    nacre_mux_free(x);
    sh->rc = rc;
}

static int read_text(int fd, char *out, size_t size)
{
    size_t n = 0;
    ssize_t got;
    while (n + 1 < size && (got = read(fd, out + n, size - 1 - n)) > 0) {
        n += (size_t)got;
    }
    out[n] = '\0';
    return (int)n;
}

void share_session(share *sh)
{
    static const char *const env[] = {"LANG=C", "SECRET=1"};
    int in[2], out[2];
    char text[256];
    nacre_mux_result result;
    nacre_mux_session o;
    nacre_mux *x = share_join(sh);
    if (!x || pipe(in) != 0 || pipe(out) != 0) {
        return;
    }
    nacre_mux_session_init(&o);
    o.command = "cat";
    o.fds[0] = in[0];
    o.fds[1] = out[1];
    o.env = env;
    o.env_count = 2;
    sh->rc = nacre_mux_open_session(x, &o);
    (void)close(in[0]);
    (void)close(out[1]);
    if (sh->rc == NACRE_OK) {
        bool good = write(in[1], "through\n", 8) == 8;
        (void)close(in[1]);
        in[1] = -1;
        good = read_text(out[0], text, sizeof(text)) == 8 && strcmp(text, "through\n") == 0 && good;
        sh->rc = nacre_mux_wait(x, SHARE_MS, &result);
        if (sh->rc == NACRE_OK && (!good || !result.exited || result.status != 7)) {
            sh->rc = NACRE_MISMATCH;
        }
    }
    if (in[1] >= 0) {
        (void)close(in[1]);
    }
    (void)close(out[0]);
    nacre_mux_free(x);
}

void share_proxied(share *sh)
{
    nacre_client_config cfg;
    nacre_client *c = NULL;
    nacre_exec_result r = {0};
    nacre_error why;
    int fd = -1;
    nacre_mux *x = share_join(sh);
    if (!x) {
        return;
    }
    nacre_client_config_init(&cfg);
    sh->rc = nacre_mux_proxy(x, &fd);
    nacre_mux_free(x);
    if (sh->rc != NACRE_OK || nacre_client_new(&c, &cfg, &why) != NACRE_OK) {
        return;
    }
    sh->rc = nacre_client_connect_proxied(c, fd, "there", 22);
    for (int i = 0; i < 3 && sh->rc == NACRE_OK; i++) {
        sh->rc = nacre_client_exec(c, "cat", text_span("some words"), SHARE_MS, &r);
        if (sh->rc == NACRE_OK && (r.out_len != 10 || !r.exit.exited || r.exit.status != 7)) {
            sh->rc = NACRE_MISMATCH;
        }
        nacre_exec_result_free(&r);
    }
    if (sh->rc == NACRE_OK &&
        nacre_client_exec(c, "refuse", text_span(""), SHARE_MS, &r) != NACRE_REQUEST_REFUSED) {
        sh->rc = NACRE_MISMATCH;
    }
    nacre_exec_result_free(&r);
    /* there is no transport here to rekey, or to speak to */
    if (sh->rc == NACRE_OK &&
        (nacre_transport_rekey(nacre_client_transport(c)) != NACRE_WRONG_STATE ||
         nacre_transport_send_ignore(nacre_client_transport(c), text_span("x")) !=
             NACRE_WRONG_STATE ||
         nacre_client_auth_none(c) != NACRE_WRONG_STATE)) {
        sh->rc = NACRE_MISMATCH;
    }
    nacre_client_disconnect(c);
    nacre_client_free(c);
}

/* ---- memory ---- */

void share_without_memory(void (*prepare)(share *sh), void (*work)(share *sh))
{
    test_memory m;
    rounds = &m;
    for (test_memory_init(&m); test_memory_round(&m);) {
        share sh;
        m.paused = true;
        share_up(&sh, false, 0);
        if (prepare) {
            prepare(&sh);
        }
        m.paused = false;
        share_beside(&sh, work);
        m.paused = true;
        assert_int_not_equal(sh.rc, NACRE_TIMEOUT);
        assert_true(m.failed || sh.rc == NACRE_OK);
        share_alone(&sh);
        share_down(&sh);
    }
    rounds = NULL;
    assert_true(m.round > 10);
}
