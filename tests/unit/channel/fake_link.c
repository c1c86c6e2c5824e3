#include "fake_link.h"

#include <stdlib.h>
#include <string.h>

/* ---- link ops ------------------------------------------------------------------------------------ */

static nc_wr *op_begin(nc_link *l, size_t hint)
{
    fake_link *f = (fake_link *)l;
    (void)hint;
    assert_false(f->begun);
    assert_int_equal(f->lent_count, 0);
    f->begun = true;
    nc_buf_reset(&f->current);
    f->wr = nc_wr_init(&f->current);
    return &f->wr;
}

static void queue_packet(fake_link *f, const uint8_t *p, size_t n)
{
    uint8_t head[4];
    nc_put_u32(head, (uint32_t)n);
    assert_int_equal(nc_queue_append(&f->out, head, 4), NACRE_OK);
    assert_int_equal(nc_queue_append(&f->out, p, n), NACRE_OK);
    n += f->cost;
    f->room = f->room > n ? f->room - n : 0;
}

static int op_end(nc_link *l)
{
    fake_link *f = (fake_link *)l;
    assert_true(f->begun);
    f->begun = false;
    if (f->wr.err != NACRE_OK) {
        return f->wr.err;
    }
    if (f->end_rc != NACRE_OK) {
        return f->end_rc;
    }
    assert_true(f->current.len > 0 && f->current.len < NC_MAX_PACKET - 512);
    queue_packet(f, f->current.data, f->current.len);
    return NACRE_OK;
}

static void op_abandon(nc_link *l)
{
    ((fake_link *)l)->begun = false;
}

static size_t op_room(const nc_link *l)
{
    const fake_link *f = (const fake_link *)l;
    return f->kex ? 0 : f->room;
}

static int op_reserve(nc_link *l, nacre_span head, size_t max_data, size_t want, nacre_room *rooms,
                      size_t *count)
{
    fake_link *f = (fake_link *)l;
    size_t most = *count < 64 ? *count : 64;
    assert_int_equal(f->lent_count, 0);
    assert_false(f->kex);
    nc_buf_reset(&f->lent);
    size_t total = (want / max_data + 1) * (max_data + head.n + 4);
    assert_int_equal(nc_buf_reserve(&f->lent, total), NACRE_OK);
    f->lent_head = head.n;
    *count = 0;
    while (want > 0 && *count < most) {
        size_t n = want < max_data ? want : max_data;
        uint8_t *p = nc_buf_extend(&f->lent, head.n + 4 + n);
        assert_non_null(p);
        memcpy(p, head.p, head.n);
        rooms[*count].p = p + head.n + 4;
        rooms[*count].n = n;
        f->lent_n[*count] = n;
        want -= n;
        *count += 1;
    }
    f->lent_count = *count;
    return NACRE_OK;
}

static int op_commit(nc_link *l, size_t n)
{
    fake_link *f = (fake_link *)l;
    uint8_t *p = f->lent.data;
    assert_true(f->lent_count > 0);
    for (size_t i = 0; i < f->lent_count && n > 0; i++) {
        size_t part = f->lent_n[i] < n ? f->lent_n[i] : n;
        nc_put_u32(p + f->lent_head, (uint32_t)part);
        queue_packet(f, p, f->lent_head + 4 + part);
        p += f->lent_head + 4 + f->lent_n[i];
        n -= part;
    }
    assert_int_equal(n, 0);
    f->lent_count = 0;
    return f->end_rc;
}

static int op_vfail(nc_link *l, int status, nacre_blame by, const char *fmt, va_list ap)
    NACRE_PRINTF(4, 0);

static int op_vfail(nc_link *l, int status, nacre_blame by, const char *fmt, va_list ap)
{
    return nc_vfail(&((fake_link *)l)->error, status, by, fmt, ap);
}

static int op_ping(nc_link *l)
{
    fake_link *f = (fake_link *)l;
    f->pings++;
    return f->ping_rc;
}

static const nc_link_ops ops = {
    .begin = op_begin,
    .end = op_end,
    .abandon = op_abandon,
    .room = op_room,
    .reserve = op_reserve,
    .commit = op_commit,
    .vfail = op_vfail,
    .ping = op_ping,
};

/*
 * The helpers of link.h for programs that are linked without the transport floor. Weak: where that
 * floor is there, its own are used.
 */
#define WEAK __attribute__((weak))

WEAK uint32_t nc_link_ticket(nc_link *l, uint32_t owner)
{
    l->open_tickets++;
    l->next_ticket++;
    return owner << NC_OWNER_SHIFT | l->next_ticket;
}

WEAK void nc_link_ticket_done(nc_link *l)
{
    l->open_tickets--;
}

WEAK int nc_link_fail(nc_link *l, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    l->ops->vfail(l, status, NACRE_BY_PEER, fmt, ap);
    va_end(ap);
    return status;
}

WEAK int nc_link_fail_local(nc_link *l, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    l->ops->vfail(l, status, NACRE_BY_US, fmt, ap);
    va_end(ap);
    return status;
}

WEAK int nc_link_send(nc_link *l, const nc_msg_desc *d, const void *msg)
{
    nc_wr *w = l->ops->begin(l, 0);
    nc_msg_encode(d, w, msg);
    return l->ops->end(l);
}

/* ---- life ---------------------------------------------------------------------------------------- */

void fake_prepare(fake_link *f, nacre_role role)
{
    memset(f, 0, sizeof(*f));
    f->config.role = role;
    f->config.max_channels = 16;
    f->config.window = 128 * 1024;
    f->config.max_packet = 32 * 1024;
    f->config.output_soft = 1024 * 1024;
    f->config.keepalive_max = 3;
    test_memory_init(&f->memory);
    f->room = f->config.output_soft;
    nc_queue_init(&f->out, NULL, 256U * 1024 * 1024);
    nc_buf_init(&f->current, NULL, NC_MAX_PACKET);
    nc_buf_init(&f->lent, NULL, 64U * 1024 * 1024);
    f->link.ops = &ops;
    f->link.alloc = &f->memory.hooks;
    f->link.role = role;
    f->link.now_ms = 1000;
    f->link.heard_ms = 1000;
    f->link.round_trip_ms = NC_ROUND_TRIP_UNKNOWN;
    f->link.peer_software = "";
    f->link.config = &f->config;
}

int fake_start(fake_link *f)
{
    int rc = nc_mux_new(&f->mux, &f->link, (nacre_transport *)(void *)f);
    if (rc != NACRE_OK) {
        return rc;
    }
    f->service = nc_mux_service(f->mux);
    return f->service.start(f->service.ctx);
}

void fake_init(fake_link *f, nacre_role role)
{
    fake_prepare(f, role);
    assert_int_equal(fake_start(f), NACRE_OK);
}

void fake_free(fake_link *f)
{
    if (f->mux) {
        f->service.closing(f->service.ctx);
        nc_mux_free(f->mux);
    }
    assert_int_equal(f->link.open_tickets, 0);
    assert_int_equal(f->memory.live, 0);
    assert_int_equal(f->lent_count, 0);
    nc_queue_clear(&f->out);
    nc_buf_clear(&f->current);
    nc_buf_clear(&f->lent);
}

/* ---- packets ------------------------------------------------------------------------------------- */

size_t fake_take(fake_link *f, uint8_t *buf, size_t size)
{
    if (f->kex || nc_queue_len(&f->out) == 0) {
        return 0;
    }
    size_t n = nc_get_u32(nc_queue_front(&f->out));
    assert_true(n <= size);
    memcpy(buf, nc_queue_front(&f->out) + 4, n);
    nc_queue_consume(&f->out, 4 + n);
    f->room += n;
    return n;
}

size_t fake_waiting(const fake_link *f)
{
    return nc_queue_len(&f->out);
}

void fake_expect(fake_link *f, const nc_msg_desc *d, void *msg)
{
    f->incoming_n = fake_take(f, f->incoming, sizeof(f->incoming));
    assert_true(f->incoming_n > 0);
    assert_int_equal(f->incoming[0], d->number);
    nc_rd r = nc_rd_init(nc_span(f->incoming + 1, f->incoming_n - 1));
    assert_int_equal(nc_msg_decode(d, &r, msg), NACRE_OK);
}

void fake_expect_none(fake_link *f)
{
    assert_int_equal(nc_queue_len(&f->out), 0);
}

int fake_give_bytes(fake_link *f, nacre_span payload, nacre_event *ev)
{
    memset(ev, 0, sizeof(*ev));
    /* An allocation of the exact size lets the sanitizer see a read behind the packet. */
    uint8_t *copy = malloc(payload.n + 1);
    assert_non_null(copy);
    memcpy(copy, payload.p, payload.n);
    uint8_t *exact = realloc(copy, payload.n ? payload.n : 1);
    nc_rd r = nc_rd_init(nc_span(exact + 1, payload.n - 1));
    f->link.heard_ms = f->link.now_ms;
    int rc = f->service.packet(f->service.ctx, exact[0], &r, ev);
    free(exact);
    return rc;
}

int fake_give(fake_link *f, const nc_msg_desc *d, const void *msg, nacre_event *ev)
{
    nc_buf b;
    nc_buf_init(&b, NULL, NC_MAX_PACKET);
    nc_wr w = nc_wr_init(&b);
    nc_msg_encode(d, &w, msg);
    assert_int_equal(w.err, NACRE_OK);
    int rc = fake_give_bytes(f, nc_buf_span(&b), ev);
    nc_buf_clear(&b);
    return rc;
}

int fake_step(fake_link *f, fake_link *peer, nacre_event *ev)
{
    for (;;) {
        memset(ev, 0, sizeof(*ev));
        int rc = f->service.poll(f->service.ctx, ev);
        if (rc != NACRE_AGAIN) {
            return rc;
        }
        f->incoming_n = fake_take(peer, f->incoming, sizeof(f->incoming));
        if (f->incoming_n == 0) {
            return NACRE_AGAIN;
        }
        nc_rd r = nc_rd_init(nc_span(f->incoming + 1, f->incoming_n - 1));
        f->link.heard_ms = f->link.now_ms;
        rc = f->service.packet(f->service.ctx, f->incoming[0], &r, ev);
        if (rc != NACRE_AGAIN) {
            return rc;
        }
    }
}

void fake_event(fake_link *f, fake_link *peer, nacre_event_type type, nacre_event *ev)
{
    int rc = fake_step(f, peer, ev);
    if (rc != NACRE_OK) {
        print_error("no event: %s, %s\n", nacre_status_symbol(rc), f->error.text);
    }
    assert_int_equal(rc, NACRE_OK);
    assert_int_equal(ev->type, type);
}

void fake_quiet(fake_link *f, fake_link *peer)
{
    nacre_event ev;
    assert_int_equal(fake_step(f, peer, &ev), NACRE_AGAIN);
    fake_expect_none(peer);
}

int fake_answer(fake_link *f, uint32_t ticket, bool accept)
{
    nacre_answer a = {.accept = accept};
    return f->service.answer(f->service.ctx, ticket, &a);
}

void fake_session(fake_link *client, fake_link *server, nacre_channel **c, nacre_channel **s)
{
    nacre_event ev;
    assert_int_equal(nc_mux_open(client->mux, "session", nc_span(NULL, 0), 0, 0, c), NACRE_OK);
    fake_event(server, client, NACRE_EVENT_CHANNEL_OPEN, &ev);
    *s = ev.channel;
    assert_int_equal(fake_answer(server, ev.ticket, true), NACRE_OK);
    fake_event(client, server, NACRE_EVENT_CHANNEL_OPENED, &ev);
    assert_ptr_equal(ev.channel, *c);
}
