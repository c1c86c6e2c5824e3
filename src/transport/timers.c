/*
 * timers.c - every clock of a transport in one deadline: key exchange, login grace, rekey by age, and
 * the services' own; and the other reasons for new keys: bytes and packets (RFC 4253 9, RFC 4344 3).
 */
#include "transport/core_state.h"

static uint64_t after(uint64_t start, uint64_t ms)
{
    return start > UINT64_MAX - ms ? UINT64_MAX : start + ms;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t grace_deadline(const nc_core *c)
{
    uint32_t ms = c->config.login_grace_ms;
    return ms && !c->authenticated ? after(c->created_at, ms) : UINT64_MAX;
}

static uint64_t age_deadline(const nc_core *c)
{
    uint64_t ms = (uint64_t)c->config.rekey_seconds * 1000;
    bool counts = ms && c->key_exchanges > 0 && c->kex.step == NC_KEX_IDLE && !c->rekey_wanted &&
                  !(c->link.quirks & NC_QUIRK_NO_REKEY);
    return counts ? after(c->keyed_at, ms) : UINT64_MAX;
}

static uint64_t service_deadline(const nc_service *s)
{
    return s->deadline ? s->deadline(s->ctx) : UINT64_MAX;
}

uint64_t nc_core_timer(const nc_core *c)
{
    if (c->over) {
        return UINT64_MAX;
    }
    uint64_t d = least(c->kex.deadline, grace_deadline(c));
    d = least(d, age_deadline(c));
    d = least(d, service_deadline(&c->userauth));
    return least(d, service_deadline(&c->connection));
}

static const char *kex_stage(const nc_core *c)
{
    if (!c->peer_version_known) {
        return "the peer's version line did not come";
    }
    if (c->kex.step == NC_KEX_SENT) {
        return "the peer's KEXINIT did not come";
    }
    return c->kex.step == NC_KEX_WAIT_NEWKEYS ? "the peer's NEWKEYS did not come"
                                              : "the peer's part of it did not come";
}

int nc_core_run_timers(nc_core *c)
{
    uint64_t now = c->link.now_ms;
    if (now >= grace_deadline(c)) {
        return nc_link_fail(&c->link, NACRE_LOGIN_TIMEOUT, "no login within %u ms",
                            c->config.login_grace_ms);
    }
    if (now >= c->kex.deadline) {
        return nc_link_fail(&c->link, NACRE_TIMEOUT, "key exchange took longer than %u ms: %s",
                            c->config.kex_timeout_ms, kex_stage(c));
    }
    if (now >= age_deadline(c)) {
        c->rekey_wanted = true;
    }
    return NACRE_OK;
}

/*
 * RFC 4344 3.2: with a block of L bits at most 2^(L/4) blocks; that is 64 GiB for AES. Other ciphers:
 * RFC 4253 9's gigabyte.
 */
static uint64_t byte_limit(const nc_core *c, const nc_choice *choice, int direction)
{
    if (c->config.rekey_bytes) {
        return c->config.rekey_bytes;
    }
    const nc_cipher_alg *cipher = choice->cipher[direction];
    return cipher && cipher->block >= 16 ? (uint64_t)1 << 36 : (uint64_t)1 << 30;
}

bool nc_core_rekey_due(const nc_core *c)
{
    if (c->key_exchanges == 0 || c->kex.step != NC_KEX_IDLE || c->over) {
        return false;
    }
    bool client = c->link.role == NACRE_CLIENT;
    /* A message between SUCCESS's leaving and its arrival would meet a decompressor that expects
       another stream: zlib@openssh.com has no other marker. */
    if (client && !c->authenticated && c->choice[1].compression[NC_C2S] == NC_COMPRESS_DELAYED) {
        return false;
    }
    if (c->rekey_wanted) {
        return true;
    }
    nc_packetizer_counters n;
    nc_packetizer_get_counters(c->packetizer, &n);
    uint64_t packets = n.key_packets_in > n.key_packets_out ? n.key_packets_in : n.key_packets_out;
    if (c->link.quirks & NC_QUIRK_NO_REKEY) {
        /* Such a peer may break; with sequence numbers that repeat, everything would. */
        return packets >= NC_MOST_KEY_PACKETS;
    }
    int out = client ? NC_C2S : NC_S2C;
    return n.key_bytes_in >= byte_limit(c, &c->choice[0], 1 - out) ||
           n.key_bytes_out >= byte_limit(c, &c->choice[1], out) ||
           packets >= c->config.rekey_packets;
}

/*
 * RFC 4344 3.1 wants new keys long before 2^32 packets. A peer that puts them off for so long, or one
 * that sends as many within the first exchange (Terrapin's other way), is not to be waited for.
 */
int nc_core_check_sequence(nc_core *c)
{
    nc_packetizer_counters n;
    nc_packetizer_get_counters(c->packetizer, &n);
    if (!c->proxied && (n.seq_wrapped_in || n.seq_wrapped_out)) {
        return nc_link_fail(&c->link, NACRE_PROTOCOL,
                            "more than 2^32 packets without new keys; the connection is not safe");
    }
    return NACRE_OK;
}
