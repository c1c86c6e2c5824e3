/*
 * newkeys.c - from the shared secret to keys in use (RFC 4253 7.2, 7.3): both directions' keys are made
 * at once, ours go in behind our NEWKEYS, the peer's behind its. Compression follows the keys
 * (RFC 4253 6.2, OpenSSH PROTOCOL 1.2).
 */
#include <string.h>

#include "transport/core_state.h"
#include "transport/derive.h"

enum { MAX_KEY = 64, MAX_IV = 64, MAX_MAC_KEY = 64 };

typedef struct key_set {
    uint8_t iv[MAX_IV], key[MAX_KEY], mac[MAX_MAC_KEY];
} key_set;

static int derive_set(const nc_core *c, int direction, key_set *s)
{
    const nc_kex *k = &c->kex;
    const nc_hash_alg *alg = nc_hash_get(k->choice.kex->hash);
    const nc_cipher_alg *cipher = k->choice.cipher[direction];
    const nc_mac_alg *mac = k->choice.mac[direction];
    const struct {
        const char *letters; /* client to server, server to client */
        uint8_t *out;
        size_t n, room;
    } rows[] = {
        {"AB", s->iv, cipher->iv_len, sizeof(s->iv)},
        {"CD", s->key, cipher->key_len, sizeof(s->key)},
        {"EF", s->mac, mac ? mac->key_len : 0, sizeof(s->mac)},
    };
    int rc = NACRE_OK;
    for (size_t i = 0; rc == NACRE_OK && i < sizeof(rows) / sizeof(rows[0]); i++) {
        rc = rows[i].n > rows[i].room
                 ? NACRE_CRYPTO
                 : nc_derive_key(alg, nc_buf_span(&k->secret), nc_span(k->hash, k->hash_len),
                                 rows[i].letters[direction], c->link.session_id, rows[i].out,
                                 rows[i].n);
    }
    return rc;
}

static int make_cipher(const nc_core *c, int direction, bool seal, nc_pktcipher **out)
{
    key_set s;
    int rc = derive_set(c, direction, &s);
    if (rc == NACRE_OK) {
        rc = nc_pktcipher_new(out, c->link.alloc, c->kex.choice.cipher[direction],
                              c->kex.choice.mac[direction], s.key, s.iv, s.mac, seal);
    }
    nc_wipe(&s, sizeof(s));
    return rc;
}

static int out_direction(const nc_core *c)
{
    return c->link.role == NACRE_CLIENT ? NC_C2S : NC_S2C;
}

static bool compresses(const nc_core *c, const nc_choice *choice, int direction)
{
    nc_compression m = choice->compression[direction];
    return m == NC_COMPRESS_ZLIB || (m == NC_COMPRESS_DELAYED && c->delayed_compression);
}

/* What goes out right behind our NEWKEYS: EXT_INFO must be first there (RFC 8308 2.4). */
static int greet(nc_core *c, bool first)
{
    int rc = first ? nc_core_send_ext_info(c, true) : NACRE_OK;
    if (rc == NACRE_OK && first && c->link.role == NACRE_CLIENT) {
        rc = nc_core_request_userauth(c);
    }
    return rc == NACRE_OK ? nc_core_flush_held(c) : rc;
}

static void keep_session_id(nc_core *c)
{
    if (c->link.session_id.n == 0) {
        memcpy(c->session_id, c->kex.hash, c->kex.hash_len);
        c->link.session_id = nc_span(c->session_id, c->kex.hash_len);
    }
}

int nc_kex_send_newkeys(nc_core *c)
{
    nc_kex *k = &c->kex;
    nc_pktcipher *next_out = NULL;
    nc_msg_newkeys m = {0};
    bool first = !c->output_keyed;
    int out = out_direction(c);
    keep_session_id(c);
    int rc = make_cipher(c, out, true, &next_out);
    if (rc == NACRE_OK) {
        rc = make_cipher(c, 1 - out, false, &k->next_in);
    }
    if (rc == NACRE_OK) {
        rc = nc_core_send_now(c, &nc_desc_newkeys, &m);
    }
    if (rc != NACRE_OK) {
        nc_pktcipher_free(next_out);
        return rc;
    }
    nc_packetizer_set_output_keys(c->packetizer, next_out, c->strict);
    c->choice[1] = k->choice;
    c->output_keyed = true;
    rc = nc_packetizer_set_output_compression(c->packetizer, compresses(c, &k->choice, out));
    if (rc != NACRE_OK) {
        return rc;
    }
    /* The secrets have done their work; only the peer's NEWKEYS is missing. */
    nc_buf_clear(&k->secret);
    nc_kem_free(k->kem);
    k->kem = NULL;
    if (!c->host_key) {
        c->host_key = c->link.role == NACRE_CLIENT ? k->candidate : nacre_key_ref(k->signing_key);
        k->candidate = NULL;
        c->link.host_key = nacre_key_blob(c->host_key);
        c->link.host_key_algorithm = k->choice.host_key;
    }
    k->step = NC_KEX_WAIT_NEWKEYS;
    return greet(c, first);
}

int nc_kex_on_newkeys(nc_core *c, nc_rd *r, nacre_event *ev)
{
    nc_kex *k = &c->kex;
    nc_msg_newkeys m;
    int in = 1 - out_direction(c);
    bool first = !c->input_keyed;
    if (NC_DECODE(newkeys, r, &m) != NACRE_OK) {
        return nc_link_fail(&c->link, NACRE_MALFORMED, "NEWKEYS is malformed");
    }
    nc_packetizer_pause_input(c->packetizer);
    nc_packetizer_set_input_keys(c->packetizer, k->next_in, c->strict);
    k->next_in = NULL;
    c->choice[0] = k->choice;
    c->input_keyed = true;
    int rc = nc_packetizer_set_input_compression(c->packetizer, compresses(c, &k->choice, in));
    if (rc == NACRE_OK && first && c->link.role == NACRE_CLIENT) {
        rc = nc_kex_host_key_list(c);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    c->ext_info_slot = first;
    c->key_exchanges++;
    c->keyed_at = c->link.now_ms;
    nc_choice_describe(&k->choice, c->strict, &c->negotiated);
    nc_kex_clear(c);
    nc_logf(&c->link.log, NACRE_LOG_DEBUG, "key exchange is complete");
    ev->type = NACRE_EVENT_KEX_DONE;
    ev->u.kex.algorithms = &c->negotiated;
    ev->u.kex.first = first;
    return NACRE_OK;
}

/*
 * zlib@openssh.com begins behind USERAUTH_SUCCESS, in both directions: a server calls this when SUCCESS
 * is sealed, a client when it has it. A peer in the midst of its own re-exchange has not seen SUCCESS
 * yet; its stream begins at its NEWKEYS.
 */
void nc_core_start_delayed_compression(nc_core *c)
{
    int out = out_direction(c);
    if (c->delayed_compression) {
        return;
    }
    c->delayed_compression = true;
    int rc = NACRE_OK;
    if (c->choice[1].compression[out] == NC_COMPRESS_DELAYED) {
        rc = nc_packetizer_set_output_compression(c->packetizer, true);
    }
    bool deferred = nc_kex_blocks_input(c);
    if (rc == NACRE_OK && !deferred && c->choice[0].compression[1 - out] == NC_COMPRESS_DELAYED) {
        rc = nc_packetizer_set_input_compression(c->packetizer, true);
    }
    (void)nc_core_checked(c, rc, "starting compression");
}
