/*
 * kex_gex.c - Diffie-Hellman group exchange (RFC 4419 with RFC 8270's minimum): the client says what
 * sizes it wants, the server names a group, then all goes on as with a fixed one. The old request
 * (message 30) with one number and no limits is refused.
 */
#include "transport/core_state.h"
#include "transport/moduli.h"

enum {
    GEX_MIN = 2048,     /* RFC 8270 */
    GEX_MAX = 8192,     /* above it the arithmetic is a burden that somebody else chooses */
    GEX_OLD_MAX = 4096, /* NC_QUIRK_GEX_OLD_LIMITS */
    MAX_GROUP = 4096    /* bytes of p and g together */
};

/* Size of a group about as strong as the ciphers (NIST SP 800-57; 8192 is where we stop). */
static uint32_t preferred_bits(const nc_choice *choice)
{
    size_t key = 0;
    for (int d = 0; d < 2; d++) {
        key = choice->cipher[d]->key_len > key ? choice->cipher[d]->key_len : key;
    }
    if (key <= 16) {
        return 3072;
    }
    return key <= 24 ? 7680 : GEX_MAX;
}

int nc_gex_send_request(nc_core *c)
{
    nc_kex *k = &c->kex;
    k->gex_min = GEX_MIN;
    k->gex_max = c->link.quirks & NC_QUIRK_GEX_OLD_LIMITS ? GEX_OLD_MAX : GEX_MAX;
    k->gex_preferred = preferred_bits(&k->choice);
    if (k->gex_preferred > k->gex_max) {
        k->gex_preferred = k->gex_max;
    }
    nc_msg_gex_request m = {k->gex_min, k->gex_preferred, k->gex_max};
    k->step = NC_KEX_WAIT_GEX_GROUP;
    return nc_core_send_now(c, &nc_desc_gex_request, &m);
}

/* Keeps the group in the form in which it enters the exchange hash, and makes a method of it. */
static int use_group(nc_core *c, const nc_dh_group *group)
{
    nc_kex *k = &c->kex;
    nc_wr w = nc_wr_init(&k->group);
    nc_buf_reset(&k->group);
    nc_wr_mpint(&w, group->p);
    nc_wr_mpint(&w, group->g);
    if (nc_wr_err(&w) != NACRE_OK) {
        return nc_wr_err(&w);
    }
    return nc_dh_kem_new(&k->dh, c->link.alloc, group, GEX_MIN, GEX_MAX);
}

static int choose_group(nc_core *c, uint32_t min, uint32_t preferred, uint32_t max)
{
    nc_buf storage;
    nc_dh_group group = {{NULL, 0}, {NULL, 0}};
    nc_buf_init(&storage, c->link.alloc, MAX_GROUP);
    int rc = NACRE_NOT_FOUND;
    if (c->config.moduli.n) {
        rc = nc_moduli_choose(c->config.moduli, min, preferred, max, &c->random, &storage, &group);
    }
    if (rc == NACRE_NOT_FOUND) {
        const nc_dh_group *builtin = nc_dh_builtin_group(min, preferred, max);
        rc = builtin ? NACRE_OK : NACRE_NOT_FOUND;
        group = builtin ? *builtin : group;
    }
    if (rc == NACRE_OK) {
        rc = use_group(c, &group);
    }
    nc_buf_clear(&storage);
    return rc;
}

int nc_gex_on_request(nc_core *c, nc_rd *r, nacre_event *ev)
{
    (void)ev;
    nc_kex *k = &c->kex;
    nc_msg_gex_request m;
    if (NC_DECODE(gex_request, r, &m) != NACRE_OK) {
        return nc_link_fail(&c->link, NACRE_MALFORMED, "KEX_DH_GEX_REQUEST is malformed");
    }
    if (m.min > m.preferred || m.preferred > m.max || m.max < GEX_MIN || m.min > GEX_MAX) {
        return nc_link_fail(&c->link, NACRE_KEX_FAILED,
                            "the client asks for a group of %u to %u bits, best %u; we have %d to "
                            "%d",
                            m.min, m.max, m.preferred, GEX_MIN, GEX_MAX);
    }
    k->gex_min = m.min;
    k->gex_preferred = m.preferred;
    k->gex_max = m.max;
    uint32_t min = m.min < GEX_MIN ? GEX_MIN : m.min;
    uint32_t max = m.max > GEX_MAX ? GEX_MAX : m.max;
    uint32_t preferred = m.preferred < min ? min : m.preferred;
    int rc = choose_group(c, min, preferred > max ? max : preferred, max);
    if (rc == NACRE_NOT_FOUND) {
        return nc_link_fail(&c->link, NACRE_KEX_FAILED, "no group of %u to %u bits", min, max);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_wr *w = nc_core_begin_now(c);
    nc_wr_u8(w, SSH_MSG_KEX_DH_GEX_GROUP);
    nc_wr_bytes(w, nc_buf_span(&k->group));
    k->step = NC_KEX_WAIT_GEX_INIT;
    return nc_core_end_now(c);
}

int nc_gex_on_group(nc_core *c, nc_rd *r, nacre_event *ev)
{
    (void)ev;
    nc_kex *k = &c->kex;
    nc_msg_gex_group m;
    if (NC_DECODE(gex_group, r, &m) != NACRE_OK) {
        return nc_link_fail(&c->link, NACRE_MALFORMED, "KEX_DH_GEX_GROUP is malformed");
    }
    nc_dh_group group = {m.p, m.g};
    int rc = use_group(c, &group);
    if (rc == NACRE_NO_MEMORY || rc == NACRE_CRYPTO) {
        return rc;
    }
    if (rc != NACRE_OK) {
        return nc_link_fail(&c->link, NACRE_KEX_FAILED,
                            "the server's Diffie-Hellman group is not acceptable: an odd prime of "
                            "%d to %d bits is demanded",
                            GEX_MIN, GEX_MAX);
    }
    rc = nc_kex_prepare_value(c, k->dh);
    if (rc == NACRE_OK) {
        rc = k->dh->start(k->dh, c->link.alloc, &c->random, &k->kem, &k->public_value);
    }
    if (rc != NACRE_OK) {
        return rc;
    }
    nc_msg_gex_init init = {nc_kex_own_value(c)};
    k->step = NC_KEX_WAIT_GEX_REPLY;
    return nc_core_send_now(c, &nc_desc_gex_init, &init);
}
