/*
 * server_job.c - see server_job.h: the life of a job, and copy-data.
 */
#include "sftp/server.h"

#include <stdio.h>
#include <string.h>

void nc_job_finish(nc_job *j, uint32_t code, const char *text)
{
    j->done = true;
    j->code = code;
    (void)snprintf(j->note, sizeof(j->note), "%s", text ? text : "");
}

nacre_sftp_call nc_job_call(nacre_sftp_server *s)
{
    nacre_sftp_call call = {s->user, s, nc_server_ticket_number(s, s->job.ticket), NULL};
    return call;
}

void nc_job_park(nacre_sftp_server *s)
{
    s->job.parked = true;
    nc_server_park(s, s->job.ticket);
}

bool nc_server_job_runnable(const nacre_sftp_server *s)
{
    return s->job.kind != NC_JOB_NONE && !s->job.parked && s->state != NC_SERVER_FAILED;
}

void nc_server_job_drop(nacre_sftp_server *s)
{
    nc_job *j = &s->job;
    if (j->own_file && j->file && s->ops.close) {
        s->ops.close(NULL, s->user, j->file);
    }
    nc_hasher_free(j->hasher);
    nc_wipe_free(s->alloc, j->chunk, NC_CHECK_CHUNK);
    nc_buf_clear(&j->hashes);
    memset(j, 0, sizeof(*j));
}

/* ---- copy-data ------------------------------------------------------------------------------------ */

static void copy_step(nacre_sftp_server *s)
{
    nc_job *j = &s->job;
    uint64_t copied = 0;
    nacre_sftp_call call = nc_job_call(s);
    uint32_t code = s->ops.copy_data(&call, j->from->object, j->from_offset, j->left, j->to->object,
                                     j->to_offset, &copied);
    if (code == NACRE_SFTP_LATER) {
        nc_job_park(s);
        return;
    }
    if (code != NACRE_FX_OK || copied == 0 || (!j->to_end && copied >= j->left)) {
        nc_job_finish(j, code, call.message);
        return;
    }
    if (copied > UINT64_MAX - j->from_offset || copied > UINT64_MAX - j->to_offset) {
        nc_job_finish(j, NACRE_FX_FAILURE, NULL);
        return;
    }
    j->from_offset += copied;
    j->to_offset += copied;
    j->left -= j->to_end ? 0 : copied;
    s->budget -= copied < s->budget ? (size_t)copied : s->budget;
}

/* ---- any job -------------------------------------------------------------------------------------- */

static int reply(nacre_sftp_server *s)
{
    nc_job *j = &s->job;
    uint32_t id = j->ticket->id;
    int ext = j->ticket->row->ext;
    nc_server_release_ticket(s, j->ticket);
    if (j->code != NACRE_FX_OK || j->kind == NC_JOB_COPY) {
        return nc_server_send_status(s, id, j->code, j->note[0] ? j->note : NULL);
    }
    nc_wr w = nc_server_reply_begin(&s->reply, NACRE_FXP_EXTENDED_REPLY, id);
    nc_check_put_reply(&w, ext, nc_span_cstr(j->alg->name), nc_buf_span(&j->hashes));
    return nc_server_reply_end(s, &w);
}

int nc_server_job_step(nacre_sftp_server *s)
{
    nc_job *j = &s->job;
    while (nc_server_job_runnable(s) && !j->done && s->budget > 0) {
        if (j->kind == NC_JOB_COPY) {
            copy_step(s);
        } else {
            nc_check_step(s);
        }
    }
    if (!nc_server_job_runnable(s) || !j->done) {
        return NACRE_OK;
    }
    int rc = reply(s);
    nc_server_job_drop(s);
    return rc;
}

/* ---- late answers --------------------------------------------------------------------------------- */

static void unpark(nacre_sftp_server *s)
{
    s->job.parked = false;
    s->job.ticket->later = false;
    s->later_others--;
}

int nc_server_job_answered(nacre_sftp_server *s, uint32_t code, const char *text)
{
    nc_job *j = &s->job;
    unpark(s);
    if (j->kind == NC_JOB_CHECK && !j->opening && code == NACRE_FX_EOF) {
        nc_check_end_of_file(s);
    } else {
        nc_job_finish(j, code, text);
    }
    return NACRE_OK;
}

int nc_server_job_opened(nacre_sftp_server *s, void *file)
{
    unpark(s);
    s->job.opening = false;
    s->job.file = file;
    return NACRE_OK;
}

int nc_server_job_data(nacre_sftp_server *s, nacre_span data)
{
    unpark(s);
    nc_check_take(s, data);
    return NACRE_OK;
}
