/*
 * server_read.c - READ and WRITE, draft section 6.4: the two requests whose payload is never put
 * together. Data of READ is read right into output space, data of WRITE goes on as it comes.
 */
#include "sftp/server.h"

#include <stdio.h>
#include <string.h>

enum { DATA_HEAD = 4 + 1 + 4 + 4 };

static nc_run begin_run(nacre_sftp_server *s, nc_ticket *ticket)
{
    nc_run run;
    memset(&run, 0, sizeof(run));
    run.s = s;
    run.ticket = ticket;
    run.call.user = s->user;
    run.call.server = s;
    run.call.ticket = nc_server_ticket_number(s, ticket);
    return run;
}

static void lay_data_head(uint8_t head[DATA_HEAD], uint32_t id, size_t n)
{
    nc_put_u32(head, (uint32_t)(DATA_HEAD - 4 + n));
    head[4] = NACRE_FXP_DATA;
    nc_put_u32(head + 5, id);
    nc_put_u32(head + 9, (uint32_t)n);
}

/* ---- READ ----------------------------------------------------------------------------------------- */

/* The place is there: asks the application, and sends what it gave. */
static int read_into(nacre_sftp_server *s, nc_ticket *t, uint64_t offset, const nacre_room *rooms,
                     size_t count)
{
    nc_run run = begin_run(s, t);
    size_t got = 0;
    size_t want = s->out.granted;
    uint32_t code = s->ops.read(&run.call, t->handle->object, offset, rooms, count, want, &got);
    if (code == NACRE_FX_OK && got == 0) {
        code = NACRE_FX_EOF;
    }
    if (code == NACRE_FX_OK && got > want) {
        code = NACRE_FX_FAILURE; /* the application lies; what it wrote where cannot be known */
    }
    if (code == NACRE_FX_OK) {
        uint8_t head[DATA_HEAD];
        lay_data_head(head, t->id, got);
        t->handle->bytes_read += got;
        s->stats.bytes_read += got;
        nc_server_release_ticket(s, t);
        return nc_sftp_out_commit(&s->out, head, got);
    }
    int rc = nc_sftp_out_abandon(&s->out);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (code == NACRE_SFTP_LATER) {
        nc_server_park(s, t);
        return NACRE_OK;
    }
    uint32_t id = t->id;
    nc_server_release_ticket(s, t);
    return nc_server_send_status(s, id, code, run.call.message);
}

static int read_nothing(nacre_sftp_server *s, uint32_t id)
{
    nc_wr w = nc_server_reply_begin(&s->reply, NACRE_FXP_DATA, id);
    nc_wr_u32(&w, 0);
    return nc_server_reply_end(s, &w);
}

int nc_server_read(nacre_sftp_server *s, uint32_t id, const nc_request_row *row, nc_rd r)
{
    nacre_span wire = nc_rd_str(&r);
    uint64_t offset = nc_rd_u64(&r);
    uint32_t want = nc_rd_u32(&r);
    if (nc_rd_err(&r) != NACRE_OK) {
        return nc_server_send_status(s, id, NACRE_FX_BAD_MESSAGE, NULL);
    }
    nc_handle *h = NULL;
    const char *text = NULL;
    uint32_t code = nc_server_check_handle(s, wire, NC_HANDLE_FILE, NACRE_FXF_READ, &h, &text);
    if (code != NACRE_FX_OK) {
        return nc_server_send_status(s, id, code, text);
    }
    if (want == 0) {
        return read_nothing(s, id);
    }
    nacre_room rooms[NC_SFTP_ROOMS];
    size_t count = NC_SFTP_ROOMS;
    size_t granted;
    want = want < NC_SFTP_MAX_DATA ? want : NC_SFTP_MAX_DATA;
    /* Short replies are legal, but some clients make all later requests as short: so a reply that the
       pipe has no room for is read whole into our queue, and goes out as the window allows. */
    nc_sftp_place place = {.header = DATA_HEAD, .want = want, .least = want, .stage = true};
    int rc = nc_sftp_out_reserve(&s->out, place, rooms, &count, &granted);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_ticket *t = nc_server_take_ticket(s, id, row);
    t->want = want;
    t->handle = h;
    return read_into(s, t, offset, rooms, count);
}

int nacre_sftp_reply_data(nacre_sftp_server *s, uint32_t ticket, nacre_span data)
{
    nc_ticket *t = NULL;
    int rc = nc_server_late(s, ticket, NC_WITH_DATA, &t);
    if (rc != NACRE_OK) {
        return rc;
    }
    if (data.n > t->want) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (data.n == 0) {
        return nacre_sftp_reply_status(s, ticket, NACRE_FX_EOF, NULL);
    }
    if (t == s->job.ticket) {
        return nc_server_job_data(s, data);
    }
    rc = nc_queue_reserve(&s->out.queue, DATA_HEAD + data.n);
    if (rc != NACRE_OK) {
        return rc;
    }
    uint8_t head[DATA_HEAD];
    lay_data_head(head, t->id, data.n);
    nc_wr w = nc_wr_init(&s->out.queue.buf);
    nc_wr_bytes(&w, nc_span(head, sizeof(head)));
    nc_wr_bytes(&w, data);
    t->handle->bytes_read += data.n;
    s->stats.bytes_read += data.n;
    nc_server_late_done(s, t);
    return NACRE_OK;
}

/* ---- WRITE ---------------------------------------------------------------------------------------- */

/* The reply to the WRITE at hand, and on to what follows it. */
static int write_end(nacre_sftp_server *s)
{
    uint32_t id = s->write_ticket->id;
    nc_server_release_ticket(s, s->write_ticket);
    s->write_ticket = NULL;
    s->write_handle = NULL;
    s->state = s->swallow > 0 ? NC_SERVER_SWALLOW : NC_SERVER_PACKET;
    return nc_server_send_status(s, id, s->write_code, s->write_text);
}

/* The fields in front of the data. The rest of the packet is known to be there: rest bytes. */
static uint32_t write_fields(nacre_sftp_server *s, nc_rd *r, size_t rest)
{
    nacre_span wire = nc_rd_str(r);
    s->write_offset = nc_rd_u64(r);
    s->write_left = nc_rd_u32(r);
    if (nc_rd_err(r) != NACRE_OK || s->write_left > rest) {
        s->write_left = 0;
        return NACRE_FX_BAD_MESSAGE;
    }
    if (s->write_left > UINT64_MAX - s->write_offset) {
        return NACRE_FX_FAILURE;
    }
    return nc_server_check_handle(s, wire, NC_HANDLE_FILE, NACRE_FXF_WRITE, &s->write_handle,
                                  &s->write_text);
}

int nc_server_write_begin(nacre_sftp_server *s)
{
    size_t rest = 4 + (size_t)nc_get_u32(s->in.data) - s->in.len;
    nc_rd r = nc_rd_init(nc_span(s->in.data + 5, s->in.len - 5));
    uint32_t id = nc_rd_u32(&r);
    const nc_request_row *row = nc_server_find_row(NACRE_FXP_WRITE, nc_span(NULL, 0));
    s->write_text = NULL;
    s->write_handle = NULL;
    s->write_code = write_fields(s, &r, rest);
    uint32_t gate = nc_server_gate(s, row);
    if (gate != NACRE_FX_OK && s->write_code != NACRE_FX_BAD_MESSAGE) {
        s->write_code = gate;
        s->write_text = NULL;
    }
    s->swallow = (uint32_t)(rest - s->write_left);
    s->write_ticket = nc_server_take_ticket(s, id, row);
    nc_buf_reset(&s->in);
    s->state = NC_SERVER_PAYLOAD;
    return s->write_left == 0 ? write_end(s) : NACRE_OK;
}

static int write_took(nacre_sftp_server *s, uint32_t n, uint32_t code, const char *text)
{
    if (code != NACRE_FX_OK) {
        /* The text is the application's for this call only; the reply may be many pieces away. */
        s->write_code = code;
        snprintf(s->write_note, sizeof(s->write_note), "%s", text ? text : "");
        s->write_text = text ? s->write_note : NULL;
    } else {
        s->write_handle->bytes_written += n;
        s->stats.bytes_written += n;
    }
    s->write_offset += n;
    s->write_left -= n;
    return s->write_left == 0 ? write_end(s) : NACRE_OK;
}

int nc_server_write_piece(nacre_sftp_server *s, nacre_span *input)
{
    if (s->write_waits || input->n == 0) {
        return NACRE_AGAIN;
    }
    uint32_t n = input->n < s->write_left ? (uint32_t)input->n : s->write_left;
    nacre_span piece = nc_span(input->p, n);
    input->p += n;
    input->n -= n;
    if (s->write_code != NACRE_FX_OK) {
        s->write_left -= n; /* it failed already: what still comes is dropped */
        return s->write_left == 0 ? write_end(s) : NACRE_OK;
    }
    nc_run run = begin_run(s, s->write_ticket);
    uint32_t code = s->ops.write(&run.call, s->write_handle->object, s->write_offset, piece);
    if (code == NACRE_SFTP_LATER) {
        s->write_waits = true;
        s->write_piece = n;
        nc_server_park(s, s->write_ticket);
        return NACRE_AGAIN;
    }
    return write_took(s, n, code, run.call.message);
}

int nc_server_write_answered(nacre_sftp_server *s, uint32_t code, const char *text)
{
    s->write_waits = false;
    s->write_ticket->later = false;
    s->later_others--;
    return write_took(s, s->write_piece, code, text);
}
