/*
 * core.c - a transport's life and its step: version exchange, then packet after packet through the
 * gate to whom it belongs (RFC 4253 4.2, 6, 11).
 */
#include "transport/core.h"
#include "keys/cert.h"

#include <stdio.h>
#include <string.h>

#include "transport/core_state.h"

enum {
    /* What a read brings at most: large enough that bulk comes in few system calls. */
    INPUT_ROOM = 256 * 1024,
    /* The packetizer's own cap on queued output lies above every mark that we keep. */
    OUTPUT_SLACK = 16 * 1024 * 1024
};

/* ---- life ---------------------------------------------------------------------------------------- */

static void init_link(nc_core *c, uint64_t now_ms)
{
    c->link.ops = &nc_core_link_ops;
    c->link.alloc = c->config.allocator;
    c->link.log.fn = c->config.log;
    c->link.log.user = c->config.log_user;
    c->link.log.level = c->config.log_level;
    c->link.role = c->config.role;
    c->link.now_ms = now_ms;
    c->link.heard_ms = now_ms;
    c->link.round_trip_ms = NC_ROUND_TRIP_UNKNOWN;
    c->link.peer_software = c->peer_software;
    c->link.config = &c->config;
    c->random.fn = c->config.random;
    c->random.user = c->config.random_user;
}

static void init_buffers(nc_core *c)
{
    nc_buf_init(&c->held, c->link.alloc, NC_MAX_HELD);
    nc_buf_init(&c->extensions, c->link.alloc, NC_MAX_EXTENSIONS);
    nc_buf_init(&c->host_signature, c->link.alloc, NC_MAX_KEY_BLOB);
    nc_buf_init(&c->scratch, c->link.alloc, NC_MAX_SCRATCH + 1024);
    nc_buf_init(&c->nowhere, c->link.alloc, 0);
    nc_kex_init(c);
}

static int send_version(nc_core *c)
{
    char line[sizeof(c->our_version) + 2];
    const char *comments = c->comments ? c->comments : "";
    int n = snprintf(c->our_version, sizeof(c->our_version), "SSH-2.0-%s%s%s%s",
                     c->software ? c->software : "nacre_", c->software ? "" : nacre_version(),
                     *comments ? " " : "", comments);
    if (n < 0 || n + 2 > NC_MAX_VERSION_LINE) {
        return NACRE_TOO_LARGE;
    }
    n = snprintf(line, sizeof(line), "%s\r\n", c->our_version);
    return nc_packetizer_raw(c->packetizer, nc_span(line, (size_t)n));
}

/* RFC 4253 4.2: lines before a server's version line end with CR LF, whatever the file had. */
static int send_banner(nc_core *c)
{
    int rc = NACRE_OK;
    nacre_span rest = nc_span_cstr(c->config.banner);
    while (rc == NACRE_OK && rest.n > 0) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        size_t skip = end ? n + 1 : n;
        n -= n > 0 && rest.p[n - 1] == '\r' ? 1 : 0;
        rc = nc_packetizer_raw(c->packetizer, nc_span(rest.p, n));
        if (rc == NACRE_OK) {
            rc = nc_packetizer_raw(c->packetizer, nc_span("\r\n", 2));
        }
        rest.p += skip;
        rest.n -= skip;
    }
    return rc;
}

static int start(nc_core *c)
{
    int rc = nc_kex_host_key_list(c);
    if (rc == NACRE_OK && c->link.role == NACRE_SERVER) {
        rc = send_banner(c);
    }
    if (rc == NACRE_OK) {
        rc = send_version(c);
    }
    if (rc == NACRE_OK) {
        c->started = true;
        rc = nc_kex_start(c);
    }
    return nc_core_checked(c, rc, "starting");
}

/* Where a connection stands after login, and never leaves. */
static int start_proxied(nc_core *c)
{
    nc_packetizer_set_bare(c->packetizer);
    c->proxied = true;
    c->started = c->peer_version_known = true;
    c->input_keyed = c->output_keyed = true;
    c->service_accepted = c->authenticated = c->success_queued = true;
    /* These speak to the server about the transport that another process has with it. */
    c->config.keepalive_ms = 0;
    c->config.announce_host_keys = false;
    c->user = nc_strdup(c->link.alloc, "");
    return c->user ? NACRE_OK : NACRE_NO_MEMORY;
}

static int make(nc_core **out, const nacre_config *cfg, uint64_t now_ms, bool proxied,
                nacre_error *err)
{
    *out = NULL;
    nc_error_clear(err);
    nc_core *c = nc_zalloc(cfg->allocator, sizeof(*c));
    if (!c) {
        return nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    c->config.allocator = cfg->allocator;
    c->created_at = now_ms;
    int rc = nc_core_config(c, cfg, err);
    init_link(c, now_ms);
    init_buffers(c);
    if (rc != NACRE_OK) {
        goto failed;
    }
    nc_packetizer_limits limits = {NC_MAX_PACKET, INPUT_ROOM, c->config.output_hard + OUTPUT_SLACK};
    rc = nc_packetizer_new(&c->packetizer, c->link.alloc, &c->random, &limits);
    if (rc == NACRE_OK && proxied) {
        rc = start_proxied(c);
    } else if (rc == NACRE_OK && c->link.role == NACRE_CLIENT) {
        rc = start(c);
    }
    if (rc != NACRE_OK) {
        (void)nc_fail(err, rc, "%s", c->over ? c->error.text : nacre_status_text(rc));
        goto failed;
    }
    *out = c;
    return NACRE_OK;

failed:
    nc_core_free(c);
    return rc;
}

int nc_core_new(nc_core **out, const nacre_config *cfg, uint64_t now_ms, nacre_error *err)
{
    return make(out, cfg, now_ms, false, err);
}

int nc_core_new_proxied(nc_core **out, const nacre_config *cfg, uint64_t now_ms, nacre_error *err)
{
    return make(out, cfg, now_ms, true, err);
}

void nc_core_free(nc_core *c)
{
    if (!c) {
        return;
    }
    const nacre_allocator *a = c->config.allocator;
    nc_kex_clear(c);
    nc_packetizer_free(c->packetizer);
    for (size_t i = 0; i < c->host_key_count; i++) {
        nacre_key_free(c->host_keys[i]);
    }
    nacre_key_free(c->host_key);
    nc_buf_clear(&c->host_signature);
    nc_buf_clear(&c->held);
    nc_buf_clear(&c->extensions);
    nc_buf_clear(&c->scratch);
    nc_free(a, c->user);
    nc_core_config_clear(c);
    nc_wipe_free(a, c, sizeof(*c));
}

nc_link *nc_core_link(nc_core *c)
{
    return &c->link;
}

void nc_core_set_services(nc_core *c, nc_service userauth, nc_service connection)
{
    c->userauth = userauth;
    c->connection = connection;
    if (c->proxied) {
        (void)nc_core_start_connection(c); /* a failure is the connection's, and sticky */
    }
}

/* Clients that do not know the CA know the key itself, perhaps: a certificate is offered beside it. */
int nc_core_add_host_key(nc_core *c, nacre_key *key)
{
    if (c->link.role != NACRE_SERVER || c->started) {
        return NACRE_WRONG_STATE;
    }
    size_t needed = key && nacre_key_is_cert(key) ? 2 : 1;
    if (!key || c->host_key_count + needed > NC_MAX_HOST_KEYS) {
        return key ? NACRE_LIMIT : NACRE_INVALID_ARGUMENT;
    }
    nacre_key *plain = NULL;
    int rc = needed == 2 ? nacre_key_plain(&plain, key) : NACRE_OK;
    if (rc != NACRE_OK) {
        return rc;
    }
    c->host_keys[c->host_key_count++] = nacre_key_ref(key);
    if (plain) {
        c->host_keys[c->host_key_count++] = plain;
    }
    return NACRE_OK;
}

/* ---- where it stands ----------------------------------------------------------------------------- */

nc_phase nc_core_phase(const nc_core *c)
{
    bool kex = nc_kex_blocks_input(c);
    if (c->proxied) {
        return NC_PHASE_PROXIED;
    }
    if (!c->input_keyed) {
        return kex ? NC_PHASE_FIRST_KEX : NC_PHASE_FIRST_KEXINIT;
    }
    if (kex) {
        return c->authenticated ? NC_PHASE_REKEY : NC_PHASE_REKEY_AUTH;
    }
    if (!c->service_accepted) {
        return NC_PHASE_SERVICE;
    }
    return c->authenticated ? NC_PHASE_CONNECTION : NC_PHASE_AUTH;
}

/*
 * Not while the application judges the host key: nothing of an unknown server is acted on. Not above
 * the hard mark either, which only replies that the peer provoked can reach; once input has ended
 * what is left is bounded.
 */
bool nc_core_may_parse(const nc_core *c)
{
    if (c->over || c->kex.step == NC_KEX_WAIT_VERDICT) {
        return false;
    }
    size_t mark = c->config.output_hard;
    if (!c->authenticated && mark > NC_MAX_OUTPUT_BEFORE_LOGIN) {
        mark = NC_MAX_OUTPUT_BEFORE_LOGIN;
    }
    return c->input_ended || nc_packetizer_output(c->packetizer).n <= mark;
}

/* ---- version exchange ---------------------------------------------------------------------------- */

static int on_version(nc_core *c, nacre_span line, nacre_event *ev)
{
    nacre_span software = nc_version_software(line);
    memcpy(c->peer_version, line.p, line.n); /* nc_version_judge has bounded it */
    c->peer_version[line.n] = '\0';
    if (software.n) {
        memcpy(c->peer_software, software.p, software.n);
    }
    c->peer_software[software.n] = '\0';
    c->peer_version_known = true;
    c->link.quirks = nc_version_quirks(software);
    nc_logf(&c->link.log, NACRE_LOG_VERBOSE, "peer is %s", c->peer_version);
    for (unsigned i = 0; i < NC_QUIRKS; i++) {
        if (c->link.quirks & (1U << i)) {
            nc_logf(&c->link.log, NACRE_LOG_VERBOSE, "this peer is known for: %s",
                    nc_version_quirk_name(i));
        }
    }
    ev->type = NACRE_EVENT_VERSION;
    ev->text = nc_span_cstr(c->peer_version);
    return NACRE_OK;
}

static void note_first_line(nc_core *c, nacre_span line)
{
    if (c->first_line_len == 0) {
        c->first_line_len = line.n < sizeof(c->first_line) ? line.n : sizeof(c->first_line);
        memcpy(c->first_line, line.p ? line.p : (const uint8_t *)"", c->first_line_len);
    }
}

static int read_line(nc_core *c, nacre_event *ev)
{
    nacre_span line;
    nc_line_kind kind = NC_LINE_BANNER;
    nacre_error why;
    bool client = c->link.role == NACRE_CLIENT;
    size_t max = client ? NC_MAX_BANNER_LINE : NC_MAX_VERSION_LINE;
    int rc = nc_packetizer_line(c->packetizer, max, &line);
    if (rc == NACRE_OVERSIZED) {
        return nc_link_fail(&c->link, NACRE_VERSION,
                            "the peer's first line is longer than %zu bytes: no SSH peer", max);
    }
    if (rc != NACRE_OK) {
        return nc_core_checked(c, rc, "reading the version line");
    }
    nc_error_clear(&why);
    rc = nc_version_judge(c->link.role, line, &kind, &why);
    if (rc != NACRE_OK) {
        return nc_link_fail(&c->link, rc, "%s", why.text);
    }
    if (kind == NC_LINE_VERSION) {
        return on_version(c, line, ev);
    }
    if (++c->banner_lines > NC_MAX_BANNER_LINES) {
        return nc_link_fail(&c->link, NACRE_VERSION,
                            "more than %d lines came before the server's version line",
                            NC_MAX_BANNER_LINES);
    }
    note_first_line(c, line);
    ev->type = NACRE_EVENT_PRE_BANNER;
    ev->text = line;
    return NACRE_OK;
}

/* ---- packets ------------------------------------------------------------------------------------- */

static int refuse(nc_core *c, uint8_t number, nc_phase phase, bool strict)
{
    bool only_strict = strict && nc_gate(c->link.role, phase, false, number) != NC_GATE_DISCONNECT;
    bool first = phase == NC_PHASE_FIRST_KEX || phase == NC_PHASE_FIRST_KEXINIT;
    int status = only_strict || (first && c->strict) ? NACRE_STRICT_KEX : NACRE_OUT_OF_PLACE;
    return nc_link_fail(&c->link, status, "message %u (%s) may not arrive %s%s", number,
                        nc_message_name(number), nc_phase_name(phase),
                        status == NACRE_STRICT_KEX ? " (strict key exchange)" : "");
}

static int to_service(nc_core *c, const nc_service *s, const nc_packet *pkt, nacre_event *ev)
{
    nc_rd r = nc_rd_init(nc_span(pkt->payload.p + 1, pkt->payload.n - 1));
    if (!s->packet) {
        return nc_core_send_unimplemented(c, pkt->seq);
    }
    int rc = s->packet(s->ctx, pkt->number, &r, ev);
    if (rc == NACRE_UNSUPPORTED && !c->over) {
        return nc_core_send_unimplemented(c, pkt->seq);
    }
    return nc_core_checked(c, rc, "handling a message");
}

static int dispatch(nc_core *c, const nc_packet *pkt, nacre_event *ev)
{
    nc_phase phase = nc_core_phase(c);
    bool strict = c->strict || !c->strict_known;
    nc_verdict verdict = nc_gate(c->link.role, phase, strict, pkt->number);
    if (c->link.log.level >= NACRE_LOG_TRACE) {
        nc_logf(&c->link.log, NACRE_LOG_TRACE, "received %s", nc_message_name(pkt->number));
    }
    if (verdict == NC_GATE_DISCONNECT) {
        return refuse(c, pkt->number, phase, strict);
    }
    if (verdict == NC_GATE_UNIMPLEMENTED) {
        return nc_core_send_unimplemented(c, pkt->seq);
    }
    if (pkt->number >= 20 && pkt->number < 50) {
        return nc_kex_packet(c, pkt, ev);
    }
    if (pkt->number >= 50 && pkt->number < 80) {
        /* RFC 4252 5.1: requests after success are ignored without a word. */
        return c->authenticated ? NACRE_AGAIN : to_service(c, &c->userauth, pkt, ev);
    }
    if (pkt->number >= 80 && pkt->number < 128) {
        return to_service(c, &c->connection, pkt, ev);
    }
    return nc_core_own_packet(c, pkt, ev);
}

static int read_packet(nc_core *c, nacre_event *ev, bool *progress)
{
    nc_packet pkt;
    nacre_error why;
    nc_error_clear(&why);
    int rc = nc_packetizer_next(c->packetizer, &pkt, &why);
    if (rc == NACRE_AGAIN) {
        return rc;
    }
    if (rc != NACRE_OK) {
        bool ours = rc == NACRE_NO_MEMORY || !why.text[0];
        return ours ? nc_core_checked(c, rc, "reading a packet")
                    : nc_link_fail(&c->link, rc, "%s (%s)", why.text,
                                   nc_phase_name(nc_core_phase(c)));
    }
    *progress = true;
    c->link.heard_ms = c->link.now_ms;
    if (pkt.payload.n == 0) {
        return nc_link_fail(&c->link, NACRE_MALFORMED, "a packet without a message number");
    }
    rc = dispatch(c, &pkt, ev);
    /* Only the packet right behind NEWKEYS stands in the slot that NEWKEYS opened. */
    c->ext_info_slot = pkt.number == SSH_MSG_NEWKEYS && c->ext_info_slot;
    return rc;
}

/* ---- the step ------------------------------------------------------------------------------------ */

static int poll_service(nc_core *c, const nc_service *s, nacre_event *ev)
{
    if (!s->poll) {
        return NACRE_AGAIN;
    }
    return nc_core_checked(c, s->poll(s->ctx, ev), "working on what waits");
}

static int tell_end(nc_core *c, nacre_event *ev)
{
    if (c->end_told) {
        return c->error.status;
    }
    c->end_told = true;
    if (c->userauth.closing) {
        c->userauth.closing(c->userauth.ctx);
    }
    if (c->connection.closing) {
        c->connection.closing(c->connection.ctx);
    }
    c->link.open_tickets = 0;
    memset(ev, 0, sizeof(*ev));
    ev->type = NACRE_EVENT_DISCONNECTED;
    ev->text = nc_span_cstr(c->error.text);
    return NACRE_OK;
}

/* What came instead tells a user at once that the port was the wrong one. */
static int on_end_before_version(nc_core *c)
{
    static const char text[] = "the connection was closed by the peer before its version line";
    note_first_line(c, nc_packetizer_waiting(c->packetizer));
    nacre_span first = nc_span(c->first_line, c->first_line_len);
    if (first.n == 0) {
        return nc_core_finish(c, NACRE_END, NACRE_BY_PEER, 0, "%s", text);
    }
    const char *question =
        c->link.role == NACRE_CLIENT ? ": is that an SSH server?" : ": is that an SSH client?";
    bool ssh = first.n >= 4 && memcmp(first.p, "SSH-", 4) == 0;
    return nc_core_finish(c, NACRE_END, NACRE_BY_PEER, 0, "%s; it began with \"%s\"%s", text,
                          NC_ESC(first), ssh ? "" : question);
}

static int on_end_of_input(nc_core *c)
{
    char where[128];
    if (!c->peer_version_known) {
        return on_end_before_version(c);
    }
    if (c->kex.step == NC_KEX_SENT && !c->input_keyed) {
        snprintf(where, sizeof(where), "during key exchange (before its KEXINIT)");
    } else {
        snprintf(where, sizeof(where), "%s", nc_phase_name(nc_core_phase(c)));
    }
    nc_packetizer_counters counters;
    nc_packetizer_get_counters(c->packetizer, &counters);
    bool inside = counters.input_len > 0;
    return nc_core_finish(c, NACRE_END, NACRE_BY_PEER, 0,
                          "the connection was closed by the peer %s%s", where,
                          inside ? ", within a packet" : "");
}

/* Nothing more to read now: what waited for that, then the end of input, then memory. */
static int when_dry(nc_core *c, bool *progress)
{
    if (c->userauth_due) {
        c->userauth_due = false;
        *progress = true;
        int rc = c->userauth.start ? c->userauth.start(c->userauth.ctx) : NACRE_OK;
        return nc_core_checked(c, rc, "starting ssh-userauth");
    }
    if (c->input_ended) {
        return on_end_of_input(c);
    }
    return NACRE_AGAIN;
}

static int step(nc_core *c, nacre_event *ev, bool *progress)
{
    int rc = poll_service(c, &c->userauth, ev);
    if (rc == NACRE_AGAIN && c->connection_started) {
        rc = poll_service(c, &c->connection, ev);
    }
    if (rc != NACRE_AGAIN) {
        return rc;
    }
    rc = nc_core_run_timers(c);
    if (rc == NACRE_OK) {
        rc = nc_core_check_sequence(c);
    }
    if (rc == NACRE_OK && nc_core_rekey_due(c)) {
        rc = nc_kex_start(c);
    }
    if (rc != NACRE_OK) {
        return nc_core_checked(c, rc, "starting key exchange");
    }
    if (!nc_core_may_parse(c)) {
        return NACRE_AGAIN;
    }
    if (!c->peer_version_known) {
        rc = read_line(c, ev);
    } else {
        rc = read_packet(c, ev, progress);
    }
    return rc == NACRE_AGAIN && !*progress ? when_dry(c, progress) : rc;
}

int nc_core_next_event(nc_core *c, nacre_event *ev)
{
    memset(ev, 0, sizeof(*ev));
    if (!c->started && !c->over) {
        (void)start(c);
    }
    for (;;) {
        bool progress = false;
        if (c->over) {
            return tell_end(c, ev);
        }
        int rc = step(c, ev, &progress);
        if (c->over) {
            continue;
        }
        if (rc == NACRE_OK && ev->type != NACRE_EVENT_NONE) {
            return NACRE_OK;
        }
        if (!progress) {
            return NACRE_AGAIN;
        }
    }
}

/* ---- bytes --------------------------------------------------------------------------------------- */

unsigned nc_core_wants(const nc_core *c)
{
    unsigned w = c->over ? (unsigned)NACRE_CLOSED_FLAG : 0;
    /* Where parsing goes on, a step empties the input side; where it does not, TCP shall wait. */
    if (nc_core_may_parse(c) && !c->input_ended) {
        w |= NACRE_WANT_INPUT;
    }
    if (nc_packetizer_output(c->packetizer).n > 0) {
        w |= NACRE_HAS_OUTPUT;
    }
    if (c->link.open_tickets > 0) {
        w |= NACRE_AWAITS_ANSWER;
    }
    return w;
}

uint8_t *nc_core_recv_buffer(nc_core *c, size_t *room)
{
    *room = 0;
    if (c->over || c->input_ended) {
        return NULL;
    }
    uint8_t *p = nc_packetizer_recv_buffer(c->packetizer, room);
    if (!p && !nc_packetizer_has_input(c->packetizer)) {
        /* Nothing waits, so it is not full: there is no memory for it. */
        (void)nc_link_fail_local(&c->link, NACRE_NO_MEMORY, "no memory for input");
    }
    return p;
}

int nc_core_received(nc_core *c, size_t n)
{
    if (c->over) {
        return NACRE_OK;
    }
    if (n == 0) {
        c->input_ended = true;
        return NACRE_OK;
    }
    return c->input_ended ? NACRE_WRONG_STATE : nc_packetizer_received(c->packetizer, n);
}

bool nc_core_keeps(const nc_core *c, nacre_span bytes)
{
    return nc_packetizer_keeps(c->packetizer, bytes);
}

nacre_span nc_core_output(const nc_core *c)
{
    return nc_packetizer_output(c->packetizer);
}

void nc_core_sent(nc_core *c, size_t n)
{
    nc_packetizer_sent(c->packetizer, n);
}

uint64_t nc_core_deadline(const nc_core *c)
{
    return nc_core_timer(c);
}

void nc_core_advance(nc_core *c, uint64_t now_ms)
{
    if (now_ms > c->link.now_ms) {
        c->link.now_ms = now_ms;
    }
}

int nc_core_answer(nc_core *c, uint32_t ticket, const nacre_answer *answer)
{
    if (c->over) {
        return NACRE_NOT_FOUND;
    }
    const nc_service *s = NULL;
    switch (ticket >> NC_OWNER_SHIFT) {
    case NC_OWNER_TRANSPORT:
        if (ticket != c->kex.ticket) {
            return NACRE_NOT_FOUND;
        }
        return nc_core_checked(c, nc_kex_answer(c, answer), "answering");
    case NC_OWNER_AUTH:
        s = &c->userauth;
        break;
    case NC_OWNER_CHANNEL:
        s = &c->connection;
        break;
    default:
        return NACRE_NOT_FOUND;
    }
    return s->answer ? s->answer(s->ctx, ticket, answer) : NACRE_NOT_FOUND;
}

int nc_core_rekey(nc_core *c)
{
    if (c->over) {
        return c->error.status;
    }
    if (c->proxied) {
        return NACRE_WRONG_STATE;
    }
    if (c->kex.step == NC_KEX_IDLE) {
        c->rekey_wanted = true;
        if (nc_core_rekey_due(c)) {
            return nc_core_checked(c, nc_kex_start(c), "starting key exchange");
        }
    }
    return NACRE_OK;
}

/* ---- asking -------------------------------------------------------------------------------------- */

const nacre_error *nc_core_error(const nc_core *c)
{
    return &c->error;
}

const nacre_negotiated *nc_core_negotiated(const nc_core *c)
{
    return c->key_exchanges > 0 ? &c->negotiated : NULL;
}

const char *nc_core_peer_version(const nc_core *c)
{
    return c->peer_version;
}

const nacre_key *nc_core_host_key(const nc_core *c)
{
    return c->host_key ? c->host_key : c->kex.candidate;
}

nacre_span nc_core_host_signature(const nc_core *c)
{
    return nc_buf_span(&c->host_signature);
}

bool nc_core_authenticated(const nc_core *c)
{
    return c->authenticated;
}

const char *nc_core_user(const nc_core *c)
{
    return c->user ? c->user : "";
}

void nc_core_counters(const nc_core *c, nacre_counters *out)
{
    nc_packetizer_counters n;
    nc_packetizer_get_counters(c->packetizer, &n);
    memset(out, 0, sizeof(*out));
    out->bytes_in = n.bytes_in;
    out->bytes_out = n.bytes_out;
    out->packets_in = n.packets_in;
    out->packets_out = n.packets_out;
    out->key_exchanges = c->key_exchanges;
    out->memory_in = n.memory_in;
    out->memory_out = n.memory_out;
}
