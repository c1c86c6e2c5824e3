/*
 * The transport core between fake services: what goes up, what is held and in which order, what the
 * seam promises. No userauth and no channel is near.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "nacre/key.h"
#include "support/memory.h"
#include "transport/core_state.h"
#include "transport/packetizer_impl.h"

enum { MAX_GOT = 4096 };

/* Two cores and the services that both think they have. */
typedef struct fake {
    nc_core *core;
    int started[2], closed;
    uint8_t got[MAX_GOT]; /* numbers of what came, and the byte behind */
    uint8_t arg[MAX_GOT];
    size_t count;
    int answer; /* what packet returns */
} fake;

static fake ends[2];
static nacre_key *host_key;

static int start_auth(void *ctx)
{
    fake *f = ctx;
    f->started[0]++;
    return NACRE_OK;
}

static int start_connection(void *ctx)
{
    fake *f = ctx;
    f->started[1]++;
    return NACRE_OK;
}

static int got_packet(void *ctx, uint8_t number, nc_rd *r, nacre_event *ev)
{
    (void)ev;
    fake *f = ctx;
    if (f->count < MAX_GOT) {
        f->got[f->count] = number;
        f->arg[f->count++] = nc_rd_u8(r);
    }
    if (number == SSH_MSG_USERAUTH_SUCCESS) {
        nc_link *l = nc_core_link(f->core);
        return l->ops->authenticated(l, nc_span_cstr("bob")) == NACRE_OK ? NACRE_AGAIN
                                                                         : NACRE_WRONG_STATE;
    }
    return f->answer;
}

static void closing(void *ctx)
{
    ((fake *)ctx)->closed++;
}

static nc_link *link_of(int who)
{
    return nc_core_link(ends[who].core);
}

static void make(int who, nacre_config *cfg)
{
    nacre_error why;
    fake *f = &ends[who];
    memset(f, 0, sizeof(*f));
    f->answer = NACRE_AGAIN;
    assert_int_equal(nc_core_new(&f->core, cfg, 0, &why), NACRE_OK);
    nc_service auth = {.ctx = f,
                       .name = "ssh-userauth",
                       .start = start_auth,
                       .packet = got_packet,
                       .closing = closing};
    nc_service connection = auth;
    connection.name = "ssh-connection";
    connection.start = start_connection;
    nc_core_set_services(f->core, auth, connection);
}

static void send(int who, uint8_t number, uint8_t arg)
{
    nc_link *l = link_of(who);
    nc_wr *w = l->ops->begin(l, 0);
    nc_wr_u8(w, number);
    nc_wr_u8(w, arg);
    assert_int_equal(l->ops->end(l), NACRE_OK);
}

static bool turn(void)
{
    bool moved = false;
    for (int who = 0; who < 2; who++) {
        nacre_event ev;
        nc_core *c = ends[who].core;
        while (nc_core_next_event(c, &ev) == NACRE_OK) {
            nacre_answer yes = {.accept = true};
            if (ev.ticket) {
                assert_int_equal(nc_core_answer(c, ev.ticket, &yes), NACRE_OK);
            }
        }
    }
    for (int who = 0; who < 2; who++) {
        nacre_span out = nc_core_output(ends[who].core);
        size_t room = 0;
        uint8_t *to = nc_core_recv_buffer(ends[1 - who].core, &room);
        size_t n = out.n < room ? out.n : room;
        if (to && n) {
            memcpy(to, out.p, n);
            assert_int_equal(nc_core_received(ends[1 - who].core, n), NACRE_OK);
            nc_core_sent(ends[who].core, n);
            moved = true;
        }
    }
    return moved;
}

static void run(void)
{
    while (turn()) {
    }
}

/* Both ends keyed and logged in, with that compression. */
static void begin(const char *compression)
{
    for (int who = 0; who < 2; who++) {
        nacre_config cfg;
        nacre_config_init(&cfg, (nacre_role)who);
        cfg.compression_c2s = cfg.compression_s2c = compression;
        make(who, &cfg);
    }
    assert_int_equal(nc_core_add_host_key(ends[1].core, host_key), NACRE_OK);
    run();
    assert_int_equal(ends[0].started[0], 1);
    assert_int_equal(ends[1].started[0], 1);
    assert_int_equal(nc_core_add_host_key(ends[1].core, host_key), NACRE_WRONG_STATE);
}

static void log_in(void)
{
    nc_link *server = link_of(1);
    nc_msg_userauth_success m = {0};
    assert_int_equal(ends[1].started[1], 0);
    assert_int_equal(server->ops->authenticated(server, nc_span_cstr("bob")), NACRE_OK);
    assert_int_equal(ends[1].started[1], 0); /* not before SUCCESS is on its way */
    assert_int_equal(nc_link_send(server, &nc_desc_userauth_success, &m), NACRE_OK);
    assert_int_equal(ends[1].started[1], 1);
    assert_int_equal(server->ops->authenticated(server, nc_span_cstr("eve")), NACRE_WRONG_STATE);
    run();
    assert_int_equal(ends[0].started[1], 1);
    assert_string_equal(nc_core_user(ends[0].core), "bob");
    assert_string_equal(nc_core_user(ends[1].core), "bob");
    ends[0].count = ends[1].count = 0;
}

static void finish(void)
{
    nc_core_free(ends[0].core);
    nc_core_free(ends[1].core);
}

static void test_services(void **state)
{
    (void)state;
    begin("none");
    send(0, SSH_MSG_USERAUTH_REQUEST, 7);
    run();
    assert_int_equal(ends[1].count, 1);
    assert_int_equal(ends[1].got[0], SSH_MSG_USERAUTH_REQUEST);
    assert_int_equal(ends[1].arg[0], 7);
    log_in();
    /* After success requests are ignored without a word. */
    send(0, SSH_MSG_USERAUTH_REQUEST, 8);
    send(0, SSH_MSG_CHANNEL_DATA, 9);
    run();
    assert_int_equal(ends[1].count, 1);
    assert_int_equal(ends[1].got[0], SSH_MSG_CHANNEL_DATA);
    /* A number that the service does not know is answered by the transport. */
    ends[1].answer = NACRE_UNSUPPORTED;
    uint64_t before;
    nacre_counters n;
    nc_core_counters(ends[1].core, &n);
    before = n.packets_out;
    send(0, SSH_MSG_CHANNEL_FAILURE, 1);
    run();
    nc_core_counters(ends[1].core, &n);
    assert_int_equal(n.packets_out, before + 1);
    assert_int_equal(nc_core_error(ends[1].core)->status, NACRE_OK);
    /* A service that fails without saying so fails the connection all the same. */
    ends[1].answer = NACRE_NO_MEMORY;
    send(0, SSH_MSG_CHANNEL_FAILURE, 1);
    run();
    assert_int_equal(nc_core_error(ends[1].core)->status, NACRE_NO_MEMORY);
    assert_int_equal(nc_core_error(ends[0].core)->status, NACRE_PEER_DISCONNECTED);
    assert_int_equal(ends[0].closed, 2);
    assert_int_equal(ends[1].closed, 2);
    finish();
}

static void test_held_in_order(void **state)
{
    (void)state;
    begin("none");
    log_in();
    nc_link *l = link_of(0);
    assert_true(l->ops->room(l) > 0);
    for (uint8_t i = 0; i < 200; i++) {
        if (i == 50) {
            assert_int_equal(nc_core_rekey(ends[0].core), NACRE_OK);
            assert_int_equal(l->ops->room(l), 0);
            nacre_room room;
            size_t count = 1;
            assert_int_equal(l->ops->reserve(l, nc_span("head", 4), 100, 100, &room, &count),
                             NACRE_OK);
            assert_int_equal(count, 0);
        }
        send(0, SSH_MSG_CHANNEL_REQUEST, i);
    }
    run();
    assert_true(l->ops->room(l) > 0);
    assert_int_equal(ends[1].count, 200);
    for (uint8_t i = 0; i < 200; i++) {
        assert_int_equal(ends[1].arg[i], i);
    }
    nacre_counters n;
    nc_core_counters(ends[0].core, &n);
    assert_int_equal(n.key_exchanges, 2);
    finish();
}

/* Much of it, too; the memory that it took goes back. */
static void test_much_is_held(void **state)
{
    (void)state;
    static const uint8_t bulk[30000];
    begin("none");
    log_in();
    nc_link *l = link_of(0);
    assert_int_equal(nc_core_rekey(ends[0].core), NACRE_OK);
    for (int i = 0; i < 20; i++) {
        nc_wr *w = l->ops->begin(l, 0);
        nc_wr_u8(w, SSH_MSG_CHANNEL_DATA);
        nc_wr_bytes(w, nc_span(bulk, sizeof(bulk)));
        assert_int_equal(l->ops->end(l), NACRE_OK);
    }
    run();
    assert_int_equal(ends[1].count, 20);
    assert_int_equal(ends[0].core->held.cap, 0);
    finish();
}

static void test_abandon(void **state)
{
    (void)state;
    begin("none");
    log_in();
    nc_link *l = link_of(0);
    for (int kex = 0; kex < 2; kex++) {
        if (kex) {
            assert_int_equal(nc_core_rekey(ends[0].core), NACRE_OK);
        }
        nc_wr *w = l->ops->begin(l, 0);
        nc_wr_u8(w, SSH_MSG_CHANNEL_DATA);
        nc_wr *second = l->ops->begin(l, 0); /* one at a time */
        assert_int_equal(nc_wr_err(second), NACRE_WRONG_STATE);
        l->ops->abandon(l);
        l->ops->abandon(l);
        assert_int_equal(l->ops->end(l), NACRE_WRONG_STATE);
        send(0, SSH_MSG_CHANNEL_DATA, 5);
        run();
        assert_int_equal(ends[1].count, (size_t)kex + 1);
        assert_int_equal(ends[1].arg[kex], 5);
    }
    finish();
}

static void test_held_has_a_cap(void **state)
{
    (void)state;
    static const uint8_t bulk[100000];
    begin("none");
    log_in();
    nc_link *l = link_of(0);
    assert_int_equal(nc_core_rekey(ends[0].core), NACRE_OK);
    int rc = NACRE_OK;
    for (int i = 0; i < 100 && rc == NACRE_OK; i++) {
        nc_wr *w = l->ops->begin(l, 0);
        nc_wr_u8(w, SSH_MSG_CHANNEL_REQUEST);
        nc_wr_bytes(w, nc_span(bulk, sizeof(bulk)));
        rc = l->ops->end(l);
    }
    assert_int_equal(rc, NACRE_LIMIT);
    assert_int_equal(nc_core_error(ends[0].core)->status, NACRE_LIMIT);
    nc_wr *w = l->ops->begin(l, 0);
    assert_int_equal(nc_wr_err(w), NACRE_LIMIT);
    assert_int_equal(l->ops->end(l), NACRE_LIMIT);
    finish();
}

static void test_bulk(void **state)
{
    (void)state;
    static const char *const compressions[] = {"none", "zlib", "zlib@openssh.com"};
    for (size_t z = 0; z < 3; z++) {
        begin(compressions[z]);
        log_in();
        nc_link *l = link_of(0);
        const uint8_t head[] = {SSH_MSG_CHANNEL_DATA, 42};
        nacre_room rooms[16];
        size_t count = 16;
        size_t lent = 0;
        assert_int_equal(l->ops->reserve(l, nc_span(head, 2), 1000, 10000, rooms, &count),
                         NACRE_OK);
        assert_true(count >= 1);
        for (size_t i = 0; i < count; i++) {
            memset(rooms[i].p, 'x', rooms[i].n);
            lent += rooms[i].n;
        }
        assert_int_equal(lent, 10000);
        assert_int_equal(l->ops->commit(l, 4500), NACRE_OK);
        send(0, SSH_MSG_CHANNEL_EOF, 43);
        count = 16;
        assert_int_equal(l->ops->reserve(l, nc_span(head, 2), 1000, 10000, rooms, &count),
                         NACRE_OK);
        assert_int_equal(l->ops->commit(l, 0), NACRE_OK);
        count = 0; /* no place for what would be lent */
        assert_int_equal(l->ops->reserve(l, nc_span(head, 2), 1000, 10000, rooms, &count),
                         NACRE_OK);
        assert_int_equal(count, 0);
        run();
        assert_int_equal(ends[1].count, 6); /* 4 * 1000, 500, EOF */
        assert_int_equal(ends[1].arg[4], 42);
        assert_int_equal(ends[1].arg[5], 43);
        finish();
    }
}

/* SUCCESS given while the server's own key exchange runs: held, and compression starts behind it. */
static void test_success_during_kex(void **state)
{
    (void)state;
    begin("zlib@openssh.com");
    nc_link *server = link_of(1);
    nc_msg_userauth_success m = {0};
    assert_int_equal(nc_core_rekey(ends[1].core), NACRE_OK);
    assert_int_equal(server->ops->authenticated(server, nc_span_cstr("bob")), NACRE_OK);
    assert_int_equal(nc_link_send(server, &nc_desc_userauth_success, &m), NACRE_OK);
    send(1, SSH_MSG_GLOBAL_REQUEST, 1);
    assert_int_equal(ends[0].count, 0);
    run();
    assert_int_equal(nc_core_error(ends[0].core)->status, NACRE_OK);
    assert_int_equal(nc_core_error(ends[1].core)->status, NACRE_OK);
    assert_int_equal(ends[0].count, 2);
    assert_int_equal(ends[0].got[0], SSH_MSG_USERAUTH_SUCCESS);
    for (int i = 0; i < 3; i++) {
        send(0, SSH_MSG_CHANNEL_DATA, 2);
        send(1, SSH_MSG_CHANNEL_DATA, 3);
        assert_int_equal(nc_core_rekey(ends[i % 2].core), NACRE_OK);
        run();
    }
    assert_int_equal(ends[0].count, 5);
    assert_int_equal(ends[1].count, 3);
    assert_true(ends[0].core->delayed_compression && ends[1].core->delayed_compression);
    finish();
}

static void test_tickets(void **state)
{
    (void)state;
    begin("none");
    nc_link *l = link_of(0);
    nacre_answer yes = {.accept = true};
    uint32_t a = nc_link_ticket(l, NC_OWNER_AUTH);
    uint32_t b = nc_link_ticket(l, NC_OWNER_CHANNEL);
    assert_int_equal(a >> NC_OWNER_SHIFT, NC_OWNER_AUTH);
    assert_int_equal(b >> NC_OWNER_SHIFT, NC_OWNER_CHANNEL);
    assert_true(nc_core_wants(ends[0].core) & NACRE_AWAITS_ANSWER);
    nc_link_ticket_done(l);
    nc_link_ticket_done(l);
    nc_link_ticket_done(l);
    assert_false(nc_core_wants(ends[0].core) & NACRE_AWAITS_ANSWER);
    l->next_ticket = (1u << NC_OWNER_SHIFT) - 2;
    assert_int_not_equal(nc_link_ticket(l, NC_OWNER_AUTH) & 0x3fffffff, 0);
    assert_int_not_equal(nc_link_ticket(l, NC_OWNER_AUTH) & 0x3fffffff, 0);
    /* Of nobody, of a service without answers, of no exchange. */
    assert_int_equal(nc_core_answer(ends[0].core, 0, &yes), NACRE_NOT_FOUND);
    assert_int_equal(nc_core_answer(ends[0].core, 5, &yes), NACRE_NOT_FOUND);
    assert_int_equal(nc_core_answer(ends[0].core, a, &yes), NACRE_NOT_FOUND);
    assert_int_equal(nc_core_answer(ends[0].core, 0x40000000u, &yes), NACRE_NOT_FOUND);
    assert_int_equal(nc_core_answer(ends[0].core, 0x40000001u, &yes), NACRE_NOT_FOUND);
    finish();
}

/*
 * Sequence numbers that come round within one set of keys are nonces and MAC counters used twice. A peer that puts new keys
 * off for so long is left, whichever direction it was.
 */
static void test_numbers_that_come_round(void **state)
{
    (void)state;
    for (int from = 0; from < 2; from++) {
        begin("none");
        log_in();
        ends[from].core->packetizer->out.seq = UINT32_MAX - 1;
        ends[1 - from].core->packetizer->in.seq = UINT32_MAX - 1;
        assert_int_equal(nc_core_send_ignore(ends[from].core, nc_span("x", 1)), NACRE_OK);
        run();
        assert_int_equal(nc_core_error(ends[0].core)->status, NACRE_OK);
        assert_int_equal(nc_core_error(ends[1].core)->status, NACRE_OK);
        assert_int_equal(nc_core_send_ignore(ends[from].core, nc_span("y", 1)), NACRE_OK);
        run();
        assert_int_equal(nc_core_error(ends[from].core)->status, NACRE_PROTOCOL);
        assert_non_null(strstr(nc_core_error(ends[from].core)->text, "2^32"));
        assert_int_not_equal(nc_core_error(ends[1 - from].core)->status, NACRE_OK);
        finish();
    }
}

/* ---- what is asked of a connection that is over, or of one without a transport -------------------- */

static void test_after_the_end(void **state)
{
    (void)state;
    begin("none");
    nc_link *l = link_of(0);
    nacre_room room;
    size_t count = 1;
    assert_int_equal(nc_core_disconnect(ends[0].core, 11, "enough"), NACRE_OK);
    assert_int_equal(nc_core_disconnect(ends[0].core, 11, "again"), NACRE_OK);
    assert_non_null(strstr(nc_core_error(ends[0].core)->text, "enough"));
    assert_int_equal(l->ops->reserve(l, nc_span("head", 4), 100, 100, &room, &count), NACRE_CLOSED);
    assert_int_equal(count, 0);
    assert_int_equal(l->ops->commit(l, 1), NACRE_CLOSED);
    assert_int_equal(l->ops->room(l), 0);
    assert_int_equal(l->ops->authenticated(l, nc_span_cstr("eve")), NACRE_CLOSED);
    assert_int_equal(l->ops->end(l), NACRE_CLOSED);
    assert_int_equal(nc_core_ping(ends[0].core, nc_span("x", 1)), NACRE_CLOSED);
    assert_int_equal(nc_link_fail(l, NACRE_MALFORMED, "too late"), NACRE_CLOSED);
    assert_int_equal(nc_core_finish(ends[0].core, NACRE_IO, NACRE_BY_PEER, 0, "too late"),
                     NACRE_CLOSED);
    assert_int_equal(nc_core_deadline(ends[0].core), UINT64_MAX);
    assert_string_equal(nc_core_user(ends[0].core), "");
    assert_null(strstr(nc_core_error(ends[0].core)->text, "late"));
    finish();
}

/* Behind a master (a shared connection) the transport's own messages are not ours to send. */
static void test_proxied(void **state)
{
    nacre_config cfg;
    nacre_error why;
    nc_core *c = NULL;
    (void)state;
    nacre_config_init(&cfg, NACRE_CLIENT);
    assert_int_equal(nc_core_new_proxied(&c, &cfg, 0, &why), NACRE_OK);
    nacre_span before = nc_core_output(c);
    assert_int_equal(nc_core_send_debug(c, true, "x"), NACRE_WRONG_STATE);
    assert_int_equal(nc_core_send_ignore(c, nc_span("x", 1)), NACRE_WRONG_STATE);
    assert_int_equal(nc_core_send_unimplemented(c, 1), NACRE_AGAIN);
    assert_int_equal(nc_core_output(c).n, before.n);
    nc_core_free(c);
}

static nc_packetizer *packetizer_of(int who)
{
    return ends[who].core->packetizer;
}

/* A peer that breaks when keys change is spared until its own safety is at stake. */
static void test_rekey_at_last(void **state)
{
    nacre_counters n;
    (void)state;
    begin("none");
    log_in();
    ends[0].core->link.quirks |= NC_QUIRK_NO_REKEY;
    packetizer_of(0)->out.key_bytes = UINT64_MAX / 2;
    packetizer_of(0)->out.key_packets = ends[0].core->config.rekey_packets - 2;
    send(0, SSH_MSG_CHANNEL_REQUEST, 1);
    run();
    nc_core_counters(ends[0].core, &n);
    assert_int_equal(n.key_exchanges, 1);
    send(0, SSH_MSG_CHANNEL_REQUEST, 2);
    run();
    nc_core_counters(ends[0].core, &n);
    assert_int_equal(n.key_exchanges, 2);
    finish();
}

/* ---- configurations -------------------------------------------------------------------------------- */

static void refused_config(const nacre_config *cfg, const char *says)
{
    nc_core *c = NULL;
    nacre_error why = {0};
    assert_int_equal(nc_core_new(&c, cfg, 0, &why), NACRE_INVALID_ARGUMENT);
    assert_null(c);
    assert_non_null(strstr(why.text, says));
}

static void test_bad_configs(void **state)
{
    static char long_one[142];
    nacre_config cfg;
    (void)state;
    nacre_config_init(&cfg, NACRE_SERVER);
    cfg.role = (nacre_role)2;
    refused_config(&cfg, "nacre_config_init");
    nacre_config_init(&cfg, NACRE_SERVER);
    cfg.size = 4;
    refused_config(&cfg, "nacre_config_init");
    nacre_config_init(&cfg, NACRE_SERVER);
    cfg.comments = "line\r\nSSH-2.0-other";
    refused_config(&cfg, "140");
    memset(long_one, 'c', sizeof(long_one) - 1);
    cfg.comments = long_one;
    refused_config(&cfg, "140");
    cfg.comments = NULL;
    cfg.software = "two-words";
    refused_config(&cfg, "software version");
    cfg.software = "";
    refused_config(&cfg, "software version");
}

/* What is out of bounds is brought to the nearest that is in them. */
static void test_absurd_configs(void **state)
{
    nacre_config cfg;
    nacre_error why;
    nc_core *c = NULL;
    (void)state;
    nacre_config_init(&cfg, NACRE_CLIENT);
    nacre_config d = cfg;
    cfg.rekey_packets = UINT64_MAX;
    cfg.max_packet = 1;
    cfg.window_cap = UINT32_MAX;
    cfg.output_soft = 9 * 1000 * 1000;
    assert_int_equal(nc_core_new(&c, &cfg, 0, &why), NACRE_OK);
    assert_true(c->config.rekey_packets == d.rekey_packets);
    assert_int_equal(c->config.max_packet, 1024);
    assert_int_equal(c->config.window_cap, 128 * 1024 * 1024);
    assert_int_equal(c->config.output_hard, 9 * 1000 * 1000);
    nc_core_free(c);
    cfg.max_packet = UINT32_MAX;
    cfg.window_cap = 0;
    cfg.output_hard = 0;
    assert_int_equal(nc_core_new(&c, &cfg, 0, &why), NACRE_OK);
    assert_int_equal(c->config.max_packet, 192 * 1024);
    assert_int_equal(c->config.window_cap, d.window_cap);
    nc_core_free(c);
}

/* Texts are copied; when one of them, or any list, finds no memory, nothing is left behind. */
static void test_config_without_memory(void **state)
{
    test_memory m;
    (void)state;
    for (test_memory_init(&m); test_memory_round(&m);) {
        char text[] = "20260101000000 2 6 100 2047 2 FF";
        nacre_config cfg;
        nacre_error why;
        nc_core *c = NULL;
        nacre_config_init(&cfg, NACRE_SERVER);
        cfg.allocator = &m.hooks;
        cfg.software = "pearl_1";
        cfg.comments = "of the sea";
        cfg.banner = "hello\n";
        cfg.moduli = nc_span(text, strlen(text));
        int rc = nc_core_new(&c, &cfg, 0, &why);
        test_memory_judge(&m, rc);
        if (rc == NACRE_OK) {
            memset(text, 0, sizeof(text));
            assert_int_equal(c->config.moduli.p[0], '2');
            assert_string_equal(c->config.comments, "of the sea");
        }
        nc_core_free(c);
    }
    assert_true(m.refused > 4);
}

static void test_host_keys_have_a_cap(void **state)
{
    nacre_config cfg;
    (void)state;
    nacre_config_init(&cfg, NACRE_SERVER);
    make(1, &cfg);
    assert_int_equal(nc_core_add_host_key(ends[1].core, NULL), NACRE_INVALID_ARGUMENT);
    for (int i = 0; i < NC_MAX_HOST_KEYS; i++) {
        assert_int_equal(nc_core_add_host_key(ends[1].core, host_key), NACRE_OK);
    }
    assert_int_equal(nc_core_add_host_key(ends[1].core, host_key), NACRE_LIMIT);
    nc_core_free(ends[1].core);
    nacre_config_init(&cfg, NACRE_CLIENT);
    make(0, &cfg);
    assert_int_equal(nc_core_add_host_key(ends[0].core, host_key), NACRE_WRONG_STATE);
    nc_core_free(ends[0].core);
}

static int make_key(void **state)
{
    (void)state;
    return nacre_key_generate(&host_key, NULL, "ed25519", 0, NULL);
}

static int free_key(void **state)
{
    (void)state;
    nacre_key_free(host_key);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_held_in_order),
        cmocka_unit_test(test_much_is_held),
        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_held_has_a_cap),
        cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_success_during_kex),
        cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_after_the_end),
        cmocka_unit_test(test_proxied),
        cmocka_unit_test(test_numbers_that_come_round),
        cmocka_unit_test(test_rekey_at_last),
        cmocka_unit_test(test_bad_configs),
        cmocka_unit_test(test_absurd_configs),
        cmocka_unit_test(test_config_without_memory),
        cmocka_unit_test(test_host_keys_have_a_cap),
    };
    return cmocka_run_group_tests(tests, make_key, free_key);
}
