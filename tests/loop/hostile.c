/* What the tests of hostile peers share: how far a pair has come, and how it has to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hostile.h"

enum { CLEAR_ROOM = 16 * 1024, SAY_ROOM = 128 * 1024 };

const nacre_error *hostile_error(const pair *p, int who)
{
    return nacre_transport_error(p->end[who].t);
}

void hostile_start(pair *p, uint64_t seed)
{
    pair_init(p, seed);
    assert_int_equal(pair_start(p, NULL), NACRE_OK);
}

void hostile_end(pair *p, int who, int status)
{
    pair_run(p);
    if (hostile_error(p, who)->status != status) {
        print_error("got %s: %s\n", nacre_status_symbol(hostile_error(p, who)->status),
                    hostile_error(p, who)->text);
    }
    assert_int_equal(hostile_error(p, who)->status, status);
    assert_int_equal(p->end[who].seen[NACRE_EVENT_DISCONNECTED], 1);
    assert_int_equal(p->end[who].status, status);
    assert_true(strlen(hostile_error(p, who)->text) > 10);
}

/* The server has keys; the client waits for its login until told. */
void hostile_until_keyed(pair *p)
{
    pair_init(p, 3);
    p->no_login = true;
    assert_int_equal(pair_start(p, NULL), NACRE_OK);
    pair_run(p);
    assert_int_equal(p->end[0].seen[NACRE_EVENT_KEX_DONE], 1);
    assert_int_equal(p->end[1].seen[NACRE_EVENT_KEX_DONE], 1);
}

void hostile_until_in(pair *p)
{
    pair_init(p, 4);
    p->no_channels = true;
    assert_int_equal(pair_start(p, NULL), NACRE_OK);
    pair_run(p);
    assert_true(nacre_transport_authenticated(p->end[0].t));
    assert_true(nacre_transport_authenticated(p->end[1].t));
}

static void write_field(nc_wr *w, char kind, va_list *args)
{
    if (kind == 'u') {
        nc_wr_u32(w, va_arg(*args, unsigned));
    } else if (kind == 's') {
        nc_wr_cstr(w, va_arg(*args, const char *));
    } else if (kind == 'S') {
        nc_wr_str(w, va_arg(*args, nacre_span));
    } else if (kind == 'r') {
        nc_wr_bytes(w, va_arg(*args, nacre_span));
    } else if (kind == 'b') {
        nc_wr_u8(w, (uint8_t)va_arg(*args, int));
    } else {
        unsigned n = va_arg(*args, unsigned);
        assert_int_equal(kind, '*');
        nc_wr_u32(w, n);
        uint8_t *room = nc_wr_room(w, n);
        assert_non_null(room);
        memset(room, 'd', n);
    }
}

void hostile_say(pair *p, int who, int number, const char *form, ...)
{
    nc_buf b;
    nc_buf_init(&b, NULL, SAY_ROOM);
    nc_wr w = nc_wr_init(&b);
    va_list args;
    va_start(args, form);
    nc_wr_u8(&w, (uint8_t)number);
    for (; *form; form++) {
        write_field(&w, *form, &args);
    }
    va_end(args);
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    pair_inject(p, who, b.data, b.len);
    nc_buf_clear(&b);
}

void hostile_give(pair *p, int to, const uint8_t *bytes, size_t n)
{
    size_t room = 0;
    uint8_t *in = nacre_transport_recv_buffer(p->end[to].t, &room);
    assert_non_null(in);
    assert_true(room >= n);
    memcpy(in, bytes, n);
    assert_int_equal(nacre_transport_received(p->end[to].t, n), NACRE_OK);
}

bool hostile_over(const pair *p, int who)
{
    return (nacre_transport_wants(p->end[who].t) & NACRE_CLOSED_FLAG) != 0;
}

nacre_span hostile_unit(const pair *p, int from)
{
    nacre_span out = nacre_transport_output(p->end[from].t);
    if (out.n > 4 && !hostile_over(p, 1 - from) && !p->end[1 - from].core->input_keyed) {
        const uint8_t *end = memchr(out.p, '\n', out.n);
        bool line = memcmp(out.p, "SSH-", 4) == 0 && end;
        size_t n = line ? (size_t)(end - out.p) + 1 : 4 + nc_get_u32(out.p);
        assert_true(n <= out.n);
        out.n = n;
    }
    return out;
}

bool hostile_carry(pair *p, int from)
{
    nacre_span unit = hostile_unit(p, from);
    if (unit.n > 0 && !hostile_over(p, 1 - from)) {
        hostile_give(p, 1 - from, unit.p, unit.n);
    }
    nacre_transport_sent(p->end[from].t, unit.n);
    return unit.n > 0;
}

void hostile_say_clear(pair *p, int to, const void *payload, size_t n)
{
    uint8_t packet[CLEAR_ROOM] = {0};
    size_t padding = 4 + (8 - (5 + n + 4) % 8) % 8;
    assert_true(5 + n + padding <= sizeof(packet));
    nc_put_u32(packet, (uint32_t)(1 + n + padding));
    packet[4] = (uint8_t)padding;
    memcpy(packet + 5, payload, n);
    hostile_give(p, to, packet, 5 + n + padding);
}

void hostile_make_lax(pair *p, int who)
{
    nc_core *c = p->end[who].core;
    static const char marker[] = "kex-strict-";
    const nacre_span places[] = {nacre_transport_output(p->end[who].t), nc_buf_span(&c->kex.ours)};
    for (size_t i = 0; i < 2; i++) {
        uint8_t *b = (uint8_t *)(uintptr_t)places[i].p;
        size_t at = 0;
        while (at + sizeof(marker) < places[i].n && memcmp(b + at, marker, sizeof(marker) - 1)) {
            at++;
        }
        assert_true(at + sizeof(marker) < places[i].n);
        b[at + 4] = 'S';
    }
    c->strict_known = true;
    c->peer_ext_info = true;
}

int hostile_cleanup(void **state)
{
    (void)state;
    pair_keys_free();
    return 0;
}
