/*
 * kex.c - the course of a key exchange, either role (RFC 4253 7, 8; RFC 5656 4; RFC 8731): KEXINIT both
 * ways, the method's messages, NEWKEYS. The proof of the host key is in kex_host.c, the keys in
 * newkeys.c, group exchange in kex_gex.c.
 */
#include "transport/kex.h"

#include <string.h>

#include "transport/core_state.h"

enum {
    /* Our value or the group: an mpint of 8192 bits, or a hybrid's key; the cap is far above. */
    MAX_VALUE = 16 * 1024,
    MAX_KEXINIT = NC_MAX_PACKET
};

void nc_kex_init(nc_core *c)
{
    nc_kex *k = &c->kex;
    memset(k, 0, sizeof(*k));
    nc_buf_init(&k->ours, c->link.alloc, MAX_KEXINIT);
    nc_buf_init(&k->theirs, c->link.alloc, MAX_KEXINIT);
    nc_buf_init(&k->public_value, c->link.alloc, MAX_VALUE);
    nc_buf_init(&k->secret, c->link.alloc, MAX_VALUE);
    nc_buf_init(&k->group, c->link.alloc, MAX_VALUE);
    /* The first exchange includes the wait for the peer's version line. */
    uint64_t timeout = c->config.kex_timeout_ms;
    k->deadline = timeout ? c->link.now_ms + timeout : UINT64_MAX;
}

void nc_kex_clear(nc_core *c)
{
    nc_kex *k = &c->kex;
    if (k->ticket) {
        nc_link_ticket_done(&c->link);
        k->ticket = 0;
    }
    nc_buf_clear(&k->ours);
    nc_buf_clear(&k->theirs);
    nc_buf_clear(&k->public_value);
    nc_buf_clear(&k->secret);
    nc_buf_clear(&k->group);
    nc_kem_free(k->kem);
    k->kem = NULL;
    nc_dh_kem_free(c->link.alloc, k->dh);
    k->dh = NULL;
    nc_pktcipher_free(k->next_in);
    k->next_in = NULL;
    nacre_key_free(k->candidate);
    k->candidate = NULL;
    k->signing_key = NULL;
    nc_wipe(k->hash, sizeof(k->hash));
    k->hash_len = 0;
    k->drop_guess = false;
    k->step = NC_KEX_IDLE;
    k->deadline = UINT64_MAX;
}

bool nc_kex_blocks_output(const nc_core *c)
{
    return c->kex.step != NC_KEX_IDLE && c->kex.step != NC_KEX_WAIT_NEWKEYS;
}

bool nc_kex_blocks_input(const nc_core *c)
{
    return c->kex.step > NC_KEX_SENT;
}

/* ---- KEXINIT ------------------------------------------------------------------------------------- */

int nc_kex_start(nc_core *c)
{
    nc_kex *k = &c->kex;
    uint8_t cookie[16];
    int rc = nc_random_bytes(&c->random, cookie, sizeof(cookie));
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_wr w = nc_wr_init(&k->ours);
    nc_buf_reset(&k->ours);
    nc_kexinit_write(&w, c->link.role, &c->proposal, cookie, !c->output_keyed);
    rc = nc_wr_err(&w);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_wr *packet = nc_core_begin_now(c);
    nc_wr_bytes(packet, nc_buf_span(&k->ours));
    rc = nc_core_end_now(c);
    if (rc != NACRE_OK) {
        return rc;
    }
    c->rekey_wanted = false;
    k->step = NC_KEX_SENT;
    if (c->output_keyed && c->config.kex_timeout_ms) {
        k->deadline = c->link.now_ms + c->config.kex_timeout_ms;
    }
    nc_logf(&c->link.log, NACRE_LOG_DEBUG, "key exchange begins");
    return NACRE_OK;
}

/* ---- public values ------------------------------------------------------------------------------- */

const nc_kem_alg *nc_kex_kem(const nc_core *c)
{
    return c->kex.choice.kex->kem ? c->kex.choice.kex->kem : c->kex.dh;
}

/* Finite-field methods exchange mpints, all others strings (RFC 4253 8, RFC 5656 4). */
static bool is_mpint(const nc_kem_alg *kem)
{
    return kem->start == nc_kem_group14.start;
}

int nc_kex_prepare_value(nc_core *c, const nc_kem_alg *kem)
{
    static const uint8_t zero = 0;
    nc_buf_reset(&c->kex.public_value);
    return is_mpint(kem) ? nc_buf_append(&c->kex.public_value, &zero, 1) : NACRE_OK;
}

nacre_span nc_kex_own_value(const nc_core *c)
{
    nacre_span v = nc_buf_span(&c->kex.public_value);
    bool bare = is_mpint(nc_kex_kem(c)) && v.n > 1 && !(v.p[1] & 0x80);
    return bare ? nc_span(v.p + 1, v.n - 1) : v;
}

bool nc_kex_value_ok(const nc_core *c, nacre_span value)
{
    if (!is_mpint(nc_kex_kem(c))) {
        return true;
    }
    bool negative = value.n > 0 && (value.p[0] & 0x80);
    bool padded = value.n > 0 && value.p[0] == 0 && (value.n == 1 || !(value.p[1] & 0x80));
    return value.n > 0 && !negative && !padded;
}

static int send_init(nc_core *c)
{
    nc_kex *k = &c->kex;
    const nc_kem_alg *kem = nc_kex_kem(c);
    int rc = nc_kex_prepare_value(c, kem);
    if (rc == NACRE_OK) {
        rc = kem->start(kem, c->link.alloc, &c->random, &k->kem, &k->public_value);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_msg_kex_init m = {nc_kex_own_value(c)};
    k->step = NC_KEX_WAIT_REPLY;
    return nc_core_send_now(c, &nc_desc_kex_init, &m);
}

static int begin_method(nc_core *c)
{
    nc_kex *k = &c->kex;
    bool gex = !k->choice.kex->kem;
    if (c->link.role == NACRE_CLIENT) {
        return gex ? nc_gex_send_request(c) : send_init(c);
    }
    k->signing_key = nc_kex_find_host_key(c, k->choice.host_key);
    if (!k->signing_key) {
        return nc_link_fail_local(&c->link, NACRE_KEX_FAILED, "no host key for %s",
                                  k->choice.host_key);
    }
    k->step = gex ? NC_KEX_WAIT_GEX_REQUEST : NC_KEX_WAIT_INIT;
    return NACRE_OK;
}

/* Strict kex is decided by the first two KEXINITs and holds for good (PROTOCOL 1.10). */
static int decide_strict(nc_core *c, const nc_packet *pkt)
{
    if (c->strict_known) {
        return NACRE_OK;
    }
    c->strict_known = true;
    c->strict = c->kex.choice.peer_strict;
    c->peer_ext_info = c->kex.choice.peer_ext_info;
    if (c->strict && pkt->seq != 0) {
        return nc_link_fail(&c->link, NACRE_STRICT_KEX,
                            "KEXINIT was not the peer's first packet (strict key exchange)");
    }
    return NACRE_OK;
}

static void log_choice(const nc_core *c)
{
    nacre_negotiated n;
    nc_choice_describe(&c->kex.choice, c->strict, &n);
    nc_logf(&c->link.log, NACRE_LOG_VERBOSE,
            "kex: %s, host key %s, client to server %s %s %s, server to client %s %s %s%s", n.kex,
            n.host_key, n.cipher_c2s, n.mac_c2s, n.compression_c2s, n.cipher_s2c, n.mac_s2c,
            n.compression_s2c, n.strict_kex ? ", strict" : "");
}

/* The peer's KEXINIT came first: ours follows it, unless a stranger asks for it again and again. */
static int follow(nc_core *c)
{
    bool early = c->input_keyed && !c->authenticated;
    if (early && ++c->early_rekeys > NC_MAX_EARLY_REKEYS) {
        return nc_link_fail(&c->link, NACRE_LIMIT,
                            "the peer began more than %d key exchanges before login",
                            NC_MAX_EARLY_REKEYS);
    }
    return nc_kex_start(c);
}

static int on_kexinit(nc_core *c, const nc_packet *pkt)
{
    nc_kex *k = &c->kex;
    nc_msg_kexinit m;
    nacre_error why;
    if (nc_kex_blocks_input(c)) {
        return nc_link_fail(&c->link, c->strict ? NACRE_STRICT_KEX : NACRE_OUT_OF_PLACE,
                            "a second KEXINIT came during key exchange");
    }
    if (k->step == NC_KEX_IDLE) {
        int rc = follow(c);
        if (rc != NACRE_OK) {
            return rc;
        }
    }
    nc_rd r = nc_rd_init(nc_span(pkt->payload.p + 1, pkt->payload.n - 1));
    if (NC_DECODE(kexinit, &r, &m) != NACRE_OK) {
        return nc_link_fail(&c->link, NACRE_MALFORMED, "KEXINIT is malformed");
    }
    nc_buf_reset(&k->theirs);
    int rc = nc_buf_append(&k->theirs, pkt->payload.p, pkt->payload.n);
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_error_clear(&why);
    rc = nc_negotiate(c->link.role, &c->proposal, &m, &k->choice, &why);
    if (rc != NACRE_OK) {
        return nc_link_fail(&c->link, rc, "%s", why.text);
    }
    rc = decide_strict(c, pkt);
    if (rc != NACRE_OK) {
        return rc;
    }
    k->drop_guess = k->choice.ignore_guess;
    log_choice(c);
    return begin_method(c);
}

/* ---- the method's messages ------------------------------------------------------------------------ */

static int on_init(nc_core *c, nc_rd *r, nacre_event *ev)
{
    nc_msg_kex_init m;
    if (NC_DECODE(kex_init, r, &m) != NACRE_OK) {
        return nc_link_fail(&c->link, NACRE_MALFORMED, "KEXDH_INIT is malformed");
    }
    return nc_kex_prove(c, m.public_value, ev);
}

static int on_reply(nc_core *c, nc_rd *r, nacre_event *ev)
{
    nc_msg_kex_reply m;
    if (NC_DECODE(kex_reply, r, &m) != NACRE_OK) {
        return nc_link_fail(&c->link, NACRE_MALFORMED, "KEXDH_REPLY is malformed");
    }
    return nc_kex_check_proof(c, m.host_key, m.public_value, m.signature, ev);
}

typedef struct step_row {
    nc_kex_step step;
    uint8_t number;
    int (*handle)(nc_core *c, nc_rd *r, nacre_event *ev);
} step_row;

/* What may come in each step; whatever is not here is out of place. */
static const step_row step_rows[] = {
    {NC_KEX_WAIT_INIT, SSH_MSG_KEXDH_INIT, on_init},
    {NC_KEX_WAIT_REPLY, SSH_MSG_KEXDH_REPLY, on_reply},
    {NC_KEX_WAIT_GEX_REQUEST, SSH_MSG_KEX_DH_GEX_REQUEST, nc_gex_on_request},
    {NC_KEX_WAIT_GEX_GROUP, SSH_MSG_KEX_DH_GEX_GROUP, nc_gex_on_group},
    {NC_KEX_WAIT_GEX_INIT, SSH_MSG_KEX_DH_GEX_INIT, on_init},
    {NC_KEX_WAIT_GEX_REPLY, SSH_MSG_KEX_DH_GEX_REPLY, on_reply},
    {NC_KEX_WAIT_NEWKEYS, SSH_MSG_NEWKEYS, nc_kex_on_newkeys},
};

static const step_row *find_step(nc_kex_step step, uint8_t number)
{
    for (size_t i = 0; i < sizeof(step_rows) / sizeof(step_rows[0]); i++) {
        if (step_rows[i].step == step && step_rows[i].number == number) {
            return &step_rows[i];
        }
    }
    return NULL;
}

static int method_packet(nc_core *c, const nc_packet *pkt, nacre_event *ev)
{
    nc_kex *k = &c->kex;
    if (k->drop_guess && pkt->number >= 30) {
        k->drop_guess = false;
        nc_logf(&c->link.log, NACRE_LOG_DEBUG, "the peer guessed wrong; its packet is dropped");
        return NACRE_OK;
    }
    const step_row *row = find_step(k->step, pkt->number);
    if (!row) {
        return nc_link_fail(&c->link, c->strict ? NACRE_STRICT_KEX : NACRE_OUT_OF_PLACE,
                            "message %u (%s) is not what key exchange awaits now", pkt->number,
                            nc_message_name(pkt->number));
    }
    nc_rd r = nc_rd_init(nc_span(pkt->payload.p + 1, pkt->payload.n - 1));
    return row->handle(c, &r, ev);
}

int nc_kex_packet(nc_core *c, const nc_packet *pkt, nacre_event *ev)
{
    int rc = pkt->number == SSH_MSG_KEXINIT ? on_kexinit(c, pkt) : method_packet(c, pkt, ev);
    if (rc == NACRE_OK) {
        return ev->type == NACRE_EVENT_NONE ? NACRE_AGAIN : NACRE_OK;
    }
    return nc_core_checked(c, rc, "exchanging keys");
}
