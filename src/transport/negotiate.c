/*
 * negotiate.c - writing our KEXINIT and choosing from both (RFC 4253 7.1).
 */
#include "transport/negotiate.h"

#include <string.h>

static const char *const slot_names[NC_SLOT_COUNT] = {
    "key exchange",
    "host key",
    "cipher client to server",
    "cipher server to client",
    "MAC client to server",
    "MAC server to client",
    "compression client to server",
    "compression server to client",
};

int nc_proposal_init(nc_proposal *p, const nacre_config *cfg, nacre_error *err)
{
    const struct {
        nacre_algorithm_kind kind;
        const char *spec;
    } slots[NC_SLOT_COUNT] = {
        {NACRE_ALG_KEX, cfg->kex},
        {NACRE_ALG_HOST_KEY, cfg->host_key},
        {NACRE_ALG_CIPHER, cfg->cipher_c2s},
        {NACRE_ALG_CIPHER, cfg->cipher_s2c},
        {NACRE_ALG_MAC, cfg->mac_c2s},
        {NACRE_ALG_MAC, cfg->mac_s2c},
        {NACRE_ALG_COMPRESSION, cfg->compression_c2s},
        {NACRE_ALG_COMPRESSION, cfg->compression_s2c},
    };
    memset(p, 0, sizeof(*p));
    p->alloc = cfg->allocator;
    for (int i = 0; i < NC_SLOT_COUNT; i++) {
        int rc = nc_algo_resolve(slots[i].kind, slots[i].spec, p->alloc, &p->lists[i], err);
        if (rc != NACRE_OK) {
            nc_proposal_clear(p);
            return rc;
        }
    }
    return NACRE_OK;
}

void nc_proposal_clear(nc_proposal *p)
{
    for (int i = 0; i < NC_SLOT_COUNT; i++) {
        nc_free(p->alloc, p->lists[i]);
        p->lists[i] = NULL;
    }
}

int nc_proposal_set(nc_proposal *p, int slot, const char *names)
{
    char *copy = nc_strdup(p->alloc, names);
    if (!copy) {
        return NACRE_NO_MEMORY;
    }
    nc_free(p->alloc, p->lists[slot]);
    p->lists[slot] = copy;
    return NACRE_OK;
}

/*
 * Pseudo-methods stand behind the real ones and only in the first KEXINIT: they announce, they are
 * never chosen (RFC 8308 2.1; OpenSSH PROTOCOL 1.10).
 */
static const char *const client_markers = ",ext-info-c,kex-strict-c-v00@openssh.com";
static const char *const server_markers = ",ext-info-s,kex-strict-s-v00@openssh.com";

void nc_kexinit_write(nc_wr *w, nacre_role role, const nc_proposal *p, const uint8_t cookie[16],
                      bool first)
{
    nc_wr_u8(w, SSH_MSG_KEXINIT);
    nc_wr_bytes(w, nc_span(cookie, 16));
    size_t mark = nc_wr_begin_str(w);
    nc_wr_bytes(w, nc_span_cstr(p->lists[NC_SLOT_KEX]));
    if (first) {
        nc_wr_bytes(w, nc_span_cstr(role == NACRE_CLIENT ? client_markers : server_markers));
    }
    nc_wr_end_str(w, mark);
    for (int slot = NC_SLOT_HOST_KEY; slot < NC_SLOT_COUNT; slot++) {
        nc_wr_cstr(w, p->lists[slot]);
    }
    nc_wr_cstr(w, ""); /* languages, both directions */
    nc_wr_cstr(w, "");
    nc_wr_bool(w, false); /* we never guess */
    nc_wr_u32(w, 0);
}

static nacre_span first_name(nacre_span list)
{
    nacre_span name;
    (void)nc_namelist_next(&list, &name);
    return name;
}

/* The first of the client's names that the server has too. */
static bool choose(nacre_span client, nacre_span server, nacre_span *name)
{
    while (nc_namelist_next(&client, name)) {
        nacre_span rest = server;
        nacre_span other;
        while (nc_namelist_next(&rest, &other)) {
            if (nc_span_eq(*name, other)) {
                return true;
            }
        }
    }
    return false;
}

static int no_common(nacre_error *err, int slot, nacre_span ours, nacre_span theirs)
{
    return nc_fail(err, NACRE_NO_COMMON_ALGORITHM,
                   "no common %s algorithm. We offer: %s. The peer offers: %s. Enable one of the "
                   "peer's, if you trust it",
                   slot_names[slot], NC_ESC(ours), NC_ESC(theirs));
}

static const int mac_slots[2] = {NC_SLOT_MAC_C2S, NC_SLOT_MAC_S2C};
static const int cipher_slots[2] = {NC_SLOT_CIPHER_C2S, NC_SLOT_CIPHER_S2C};
static const int comp_slots[2] = {NC_SLOT_COMP_C2S, NC_SLOT_COMP_S2C};

int nc_negotiate(nacre_role role, const nc_proposal *ours, const nc_msg_kexinit *peer,
                 nc_choice *out, nacre_error *err)
{
    const nacre_span theirs[NC_SLOT_COUNT] = {
        peer->kex,     peer->host_key, peer->cipher_c2s, peer->cipher_s2c,
        peer->mac_c2s, peer->mac_s2c,  peer->comp_c2s,   peer->comp_s2c,
    };
    nacre_span chosen[NC_SLOT_COUNT];
    bool found[NC_SLOT_COUNT];

    for (int i = 0; i < NC_SLOT_COUNT; i++) {
        nacre_span mine = nc_span_cstr(ours->lists[i]);
        found[i] = role == NACRE_CLIENT ? choose(mine, theirs[i], &chosen[i])
                                        : choose(theirs[i], mine, &chosen[i]);
        bool is_mac = i == NC_SLOT_MAC_C2S || i == NC_SLOT_MAC_S2C;
        /* Whether a MAC is needed is known once the cipher is; an AEAD brings its own. */
        if (!found[i] && !is_mac) {
            return no_common(err, i, mine, theirs[i]);
        }
    }

    memset(out, 0, sizeof(*out));
    out->kex = nc_kex_find(chosen[NC_SLOT_KEX]);
    out->host_key = nc_algo_static_name(NACRE_ALG_HOST_KEY, chosen[NC_SLOT_HOST_KEY]);
    for (int d = 0; d < 2; d++) {
        out->cipher[d] = nc_cipher_find(chosen[cipher_slots[d]]);
        bool aead = out->cipher[d] && out->cipher[d]->tag_len > 0;
        if (!aead && !found[mac_slots[d]]) {
            return no_common(err, mac_slots[d], nc_span_cstr(ours->lists[mac_slots[d]]),
                             theirs[mac_slots[d]]);
        }
        out->mac[d] = aead ? NULL : nc_mac_find(chosen[mac_slots[d]]);
        bool known = nc_compression_find(chosen[comp_slots[d]], &out->compression[d]);
        if (!out->cipher[d] || (!aead && !out->mac[d]) || !known) {
            return nc_fail(err, NACRE_CRYPTO, "a negotiated algorithm has no implementation");
        }
    }
    if (!out->kex || !out->host_key) {
        return nc_fail(err, NACRE_CRYPTO, "a negotiated algorithm has no implementation");
    }

    /* RFC 4253 7: a guess is right when both sides' first kex and host key names agree. */
    out->peer_guessed = peer->first_kex_packet_follows;
    out->ignore_guess =
        out->peer_guessed &&
        (!nc_span_eq(first_name(peer->kex), first_name(nc_span_cstr(ours->lists[NC_SLOT_KEX]))) ||
         !nc_span_eq(first_name(peer->host_key),
                     first_name(nc_span_cstr(ours->lists[NC_SLOT_HOST_KEY]))));
    bool server = role == NACRE_SERVER;
    out->peer_ext_info = nc_namelist_has(peer->kex, server ? "ext-info-c" : "ext-info-s");
    out->peer_strict = nc_namelist_has(peer->kex, server ? "kex-strict-c-v00@openssh.com"
                                                         : "kex-strict-s-v00@openssh.com");
    return NACRE_OK;
}

void nc_choice_describe(const nc_choice *c, bool strict, nacre_negotiated *out)
{
    static const char *const compression_names[] = {"none", "zlib", "zlib@openssh.com"};
    out->kex = c->kex->name;
    out->host_key = c->host_key;
    out->cipher_c2s = c->cipher[NC_C2S]->name;
    out->cipher_s2c = c->cipher[NC_S2C]->name;
    out->mac_c2s = c->mac[NC_C2S] ? c->mac[NC_C2S]->name : "";
    out->mac_s2c = c->mac[NC_S2C] ? c->mac[NC_S2C]->name : "";
    out->compression_c2s = compression_names[c->compression[NC_C2S]];
    out->compression_s2c = compression_names[c->compression[NC_S2C]];
    out->strict_kex = strict;
    out->post_quantum = c->kex->post_quantum;
}
