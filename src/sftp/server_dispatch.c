/*
 * server_dispatch.c - from a complete packet to its handler, and from the handler's verdict to a reply.
 */
#include "sftp/server.h"

#include <string.h>

const nc_request_row *nc_server_find_row(uint8_t type, nacre_span ext_name)
{
    for (size_t i = 0; i < nc_request_row_count; i++) {
        const nc_request_row *row = &nc_request_rows[i];
        if (row->type != type) {
            continue;
        }
        if (row->ext < 0 || nc_span_is(ext_name, nc_sftp_ext_name((nacre_sftp_ext)row->ext))) {
            return row;
        }
    }
    return NULL;
}

/* Sends what the handler built (its last byte is in the reply already), or its status. */
static int finish(nacre_sftp_server *s, nc_run *run, uint32_t code)
{
    if (code == NACRE_SFTP_LATER) {
        nc_server_park(s, run->ticket);
        return NACRE_OK;
    }
    if (code == NC_JOB_BEGUN) {
        return nc_server_job_step(s);
    }
    uint32_t id = run->ticket->id;
    bool built =
        run->answer.w.b != NULL && (run->answer.kind != NC_ANSWER_BYTES || run->answer.count);
    nc_server_release_ticket(s, run->ticket);
    if (code != NACRE_FX_OK || !built) {
        return nc_server_send_status(s, id, code, code ? run->call.message : NULL);
    }
    int rc = nc_wr_err(&run->answer.w);
    if (rc == NACRE_LIMIT) {
        return nc_server_send_status(s, id, NACRE_FX_FAILURE, "Reply too large");
    }
    return rc == NACRE_OK ? nc_server_reply_end(s, &run->answer.w) : rc;
}

static uint32_t run_application_ext(nc_run *run, const char *name)
{
    run->answer.w =
        nc_server_reply_begin(&run->s->reply, NACRE_FXP_EXTENDED_REPLY, run->ticket->id);
    run->answer.kind = NC_ANSWER_BYTES;
    uint32_t code = run->s->ops.extended(&run->call, name, nc_rd_rest(&run->r), &run->answer);
    return code == NACRE_FX_OK && run->answer.failed ? NACRE_FX_FAILURE : code;
}

static int run_row(nacre_sftp_server *s, nc_run *run, uint32_t id, const nc_request_row *row)
{
    run->ticket = nc_server_take_ticket(s, id, row);
    run->call.ticket = nc_server_ticket_number(s, run->ticket);
    return finish(s, run, row->run(run));
}

static int run_extension_of_application(nacre_sftp_server *s, nc_run *run, uint32_t id,
                                        nacre_span name)
{
    bool denied;
    const struct nacre_sftp_server_ext *x = nc_server_find_ext(s, name, &denied);
    if (!x) {
        uint32_t code = denied ? NACRE_FX_PERMISSION_DENIED : NACRE_FX_OP_UNSUPPORTED;
        return nc_server_send_status(s, id, code, NULL);
    }
    run->ticket = nc_server_take_ticket(s, id, NULL);
    run->call.ticket = nc_server_ticket_number(s, run->ticket);
    return finish(s, run, run_application_ext(run, x->name));
}

int nc_server_run(nacre_sftp_server *s, uint8_t type, nc_rd r)
{
    nc_run run;
    memset(&run, 0, sizeof(run));
    run.s = s;
    run.call.user = s->user;
    run.call.server = s;
    uint32_t id = nc_rd_u32(&r); /* the frame's least length has made sure of it */
    nacre_span ext_name = type == NACRE_FXP_EXTENDED ? nc_rd_str(&r) : nc_span(NULL, 0);
    run.r = r;
    if (nc_rd_err(&r) != NACRE_OK) {
        return nc_server_send_status(s, id, NACRE_FX_BAD_MESSAGE, NULL);
    }
    const nc_request_row *row = nc_server_find_row(type, ext_name);
    if (!row && type == NACRE_FXP_EXTENDED) {
        return run_extension_of_application(s, &run, id, ext_name);
    }
    uint32_t gate = row ? nc_server_gate(s, row) : NACRE_FX_OP_UNSUPPORTED;
    if (gate != NACRE_FX_OK) {
        nc_logf(&s->log, NACRE_LOG_VERBOSE, "refusing %s request", row ? row->name : "unknown");
        return nc_server_send_status(s, id, gate, NULL);
    }
    if (row->type == NACRE_FXP_READ) {
        return nc_server_read(s, id, row, r);
    }
    return run_row(s, &run, id, row);
}
