/*
 * session.c - programs on session channels: a process and a relay, and their end in whatever order
 * channel, connection and process end.
 */
#include "server/server.h"

#include "io/relay.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Its number is still its own: it runs, or nobody has reaped it yet. Who has reaped it knows best; to ask
 * the system alone is not enough, because the number may be that of a later program of ours.
 */
static bool is_ours(const nc_chan *k)
{
    siginfo_t info;
    bool reaped = k->relay && nc_relay_child_done(k->relay);
    return k->pid > 0 && !reaped &&
           waitid(P_PID, (id_t)k->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

static void hang_up(nc_chan *k)
{
    if (is_ours(k)) {
        (void)kill(-k->pid, SIGHUP);
        (void)kill(-k->pid, SIGCONT); /* a stopped one could not hear it */
    }
    k->pid = 0;
}

void nc_program_drop(nc_chan *k)
{
    if (k->relay) {
        hang_up(k);
        nacre_relay_free(k->relay);
        k->relay = NULL;
        k->pty_fd = -1;
    }
}

static void on_finished(void *user, nacre_relay *r, const nacre_relay_result *result)
{
    nc_chan *k = user;
    if (!result->child_alive) {
        k->pid = 0;
    }
    (void)r;
    nc_chan_over(k);
}

bool nc_program_event(nc_chan *k, const nacre_event *ev)
{
    return nacre_relay_event(k->relay, ev);
}

/* What came before there was a program to hear it. */
static void catch_up(nc_chan *k)
{
    nacre_event eof = {.type = NACRE_EVENT_CHANNEL_EOF, .channel = k->ch};
    if (k->eof) {
        (void)nacre_relay_event(k->relay, &eof);
    }
}

static int attach(nc_chan *k, nacre_process *p, nacre_error *err)
{
    nacre_relay_options o;
    nacre_relay_options_init(&o);
    bool pty = p->pty >= 0;
    o.source = pty ? p->pty : p->out;
    o.source_err = p->err;
    o.sink = pty ? p->pty : p->in;
    o.child = p->pid;
    o.on_finished = on_finished;
    o.user = k;
    return nacre_relay_new(&k->relay, k->conn->server->loop, k->conn->driver, k->ch, &o, err);
}

int nacre_server_spawn(nacre_server_conn *c, nacre_channel *ch, const nacre_spawn_options *o,
                       nacre_process *process, nacre_error *err)
{
    nc_error_clear(err);
    nacre_process p;
    nc_chan *k = nc_chan_find(c, ch);
    if (!k || k->closed || (k->work != NC_WORK_NONE && k->work != NC_WORK_OTHER)) {
        return nc_fail(err, NACRE_WRONG_STATE, "this channel cannot run a program");
    }
    int rc = nacre_spawn(o, &p, err);
    if (rc != NACRE_OK) {
        return rc;
    }
    k->pid = p.pid;
    rc = attach(k, &p, err);
    if (rc != NACRE_OK) {
        nacre_process_close(&p);
        hang_up(k);
        int reaped = nacre_loop_on_child(c->server->loop, p.pid, NULL, NULL);
        (void)reaped; /* without memory it stays a zombie until we end */
        return rc;
    }
    k->work = NC_WORK_PROGRAM;
    k->pty_fd = p.pty;
    catch_up(k);
    if (process) {
        *process = p;
        process->in = process->out = process->err = process->pty = -1;
    }
    return NACRE_OK;
}

int nacre_server_resize(nacre_server_conn *c, nacre_channel *ch, const nacre_pty *size)
{
    const nc_chan *k = nc_chan_find(c, ch);
    if (!k || !is_ours(k) || !k->relay || !nc_relay_uses(k->relay, k->pty_fd)) {
        return NACRE_NOT_FOUND;
    }
    return nacre_pty_resize(k->pty_fd, size);
}

int nacre_server_signal(nacre_server_conn *c, nacre_channel *ch, const char *name)
{
    const nc_chan *k = nc_chan_find(c, ch);
    if (!k || !is_ours(k)) {
        return NACRE_NOT_FOUND;
    }
    return nacre_process_signal(k->pid, name);
}

int nacre_server_break(nacre_server_conn *c, nacre_channel *ch)
{
    const nc_chan *k = nc_chan_find(c, ch);
    if (!k || !is_ours(k) || !k->relay || !nc_relay_uses(k->relay, k->pty_fd)) {
        return NACRE_NOT_FOUND;
    }
    return nacre_pty_break(k->pty_fd);
}
