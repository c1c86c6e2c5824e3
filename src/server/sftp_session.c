/*
 * sftp_session.c - an SFTP server machine on a session channel: events in, and an orderly end, with the
 * exit status that clients wait for.
 */
#include "server/server.h"

#include <string.h>

enum { EXIT_OK = 0, EXIT_PROTOCOL = 255 };

void nc_sftp_drop(nc_chan *k)
{
    if (!k->sftp) {
        return;
    }
    nacre_loop_cancel(nacre_driver_loop(k->conn->driver), k->sftp_timer);
    k->sftp_timer = 0;
    nacre_sftp_server_free(k->sftp);
    k->sftp = NULL;
    if (k->done) {
        k->done(k->backend);
    }
}

static void finish(nc_chan *k, uint32_t status)
{
    if (!k->exit_sent) {
        k->exit_sent = true;
        (void)nacre_channel_eof(k->ch);
        /* When the engine is over, it says so itself. */
        int rc = nacre_channel_exit_status(k->ch, status);
        (void)rc;
        (void)nacre_channel_close(k->ch);
        nacre_driver_kick(k->conn->driver);
    }
}

static void go_on(void *user);

/* What follows from a call of the machine. */
static void conclude(nc_chan *k, int rc)
{
    if (rc == NACRE_OK && nacre_sftp_server_wants_step(k->sftp) && k->sftp_timer == 0) {
        /* Others have their turn first. */
        nacre_loop *loop = nacre_driver_loop(k->conn->driver);
        rc = nacre_loop_timer(loop, 0, go_on, k, &k->sftp_timer);
    }
    if (rc != NACRE_OK) {
        const nacre_error *why = nacre_sftp_server_error(k->sftp);
        nc_logf(&k->conn->server->log, NACRE_LOG_INFO, "sftp: ending the session: %s",
                why->status != NACRE_OK ? why->text : nacre_status_text(rc));
        finish(k, EXIT_PROTOCOL);
    } else if (k->eof && nacre_sftp_server_idle(k->sftp)) {
        finish(k, EXIT_OK);
    }
}

static void go_on(void *user)
{
    nc_chan *k = user;
    k->sftp_timer = 0;
    if (!k->exit_sent) {
        conclude(k, nacre_sftp_server_flush(k->sftp));
        nacre_driver_kick(k->conn->driver);
    }
}

static void on_data(nc_chan *k, const nacre_event *ev)
{
    if (ev->u.data.stream != NACRE_STDOUT || k->exit_sent) {
        (void)nacre_channel_consumed(k->ch, ev->u.data.bytes.n);
        return;
    }
    conclude(k, nacre_sftp_server_input(k->sftp, ev->u.data.bytes));
}

bool nc_sftp_event(nc_chan *k, const nacre_event *ev)
{
    switch (ev->type) {
    case NACRE_EVENT_CHANNEL_DATA:
        on_data(k, ev);
        return true;
    case NACRE_EVENT_CHANNEL_WRITABLE:
        if (!k->exit_sent) {
            conclude(k, nacre_sftp_server_flush(k->sftp));
        }
        return true;
    case NACRE_EVENT_CHANNEL_EOF:
        if (!k->exit_sent) {
            conclude(k, NACRE_OK);
        }
        return true;
    case NACRE_EVENT_CHANNEL_CLOSED:
        nc_chan_over(k);
        return true;
    default:
        return false;
    }
}

int nacre_server_sftp(nacre_server_conn *c, nacre_channel *ch, const nacre_sftp_server_ops *ops,
                      void *backend, const nacre_sftp_server_options *options,
                      void (*done)(void *backend), nacre_error *err)
{
    nc_error_clear(err);
    nacre_pipe pipe;
    nc_chan *k = nc_chan_find(c, ch);
    if (!k || k->closed || (k->work != NC_WORK_NONE && k->work != NC_WORK_OTHER)) {
        return nc_fail(err, NACRE_WRONG_STATE, "this channel cannot serve SFTP");
    }
    int rc = nacre_pipe_from_channel(ch, &pipe);
    if (rc == NACRE_OK) {
        rc = nacre_sftp_server_new(&k->sftp, &pipe, ops, backend, options, err);
    }
    if (rc != NACRE_OK) {
        k->sftp = NULL;
        return nc_fail(err, rc, "cannot serve SFTP");
    }
    k->backend = backend;
    k->done = done;
    k->work = NC_WORK_SFTP;
    if (k->eof) {
        finish(k, EXIT_OK);
    }
    return NACRE_OK;
}

int nacre_server_sftp_flush(nacre_server_conn *c, nacre_channel *ch)
{
    nc_chan *k = nc_chan_find(c, ch);
    if (!k || k->work != NC_WORK_SFTP || !k->sftp || k->exit_sent) {
        return NACRE_NOT_FOUND;
    }
    int rc = nacre_sftp_server_flush(k->sftp);
    conclude(k, rc);
    nacre_driver_kick(c->driver);
    return rc;
}
