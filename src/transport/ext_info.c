/*
 * ext_info.c - extension negotiation (RFC 8308): what we announce, and what the peer did.
 */
#include "keys/cert.h"
#include "transport/core_state.h"

typedef struct extension {
    const char *name;
    const char *value; /* NULL: how users may sign */
    bool client, server;
} extension;

static const extension announced[] = {
    {"server-sig-algs", NULL, false, true},
    {"publickey-hostbound@openssh.com", "0", false, true},
    {"ping@openssh.com", "0", true, true},
    {"agent-forward", "0", false, true}, /* RFC 9987: the names agent-req and agent-connect */
    {"ext-info-in-auth@openssh.com", "0", true, false},
};

enum {
    NC_MAX_SIG_ALGS = 32 /* there are eleven */
};
enum { ANNOUNCED = sizeof(announced) / sizeof(announced[0]) };

static bool is_ours(const nc_core *c, const extension *e)
{
    return c->link.role == NACRE_CLIENT ? e->client : e->server;
}

/*
 * What the configured list means for signatures: a certificate's algorithm stands for the plain one, each is named
 * once, as OpenSSH has it.
 */
static void write_sig_algs(const nc_core *c, nc_wr *w)
{
    nacre_span list = nc_span_cstr(c->signature);
    nacre_span name;
    const nc_sig_alg *said[NC_MAX_SIG_ALGS];
    size_t count = 0;
    size_t mark = nc_wr_begin_str(w);
    while (count < NC_MAX_SIG_ALGS && nc_namelist_next(&list, &name)) {
        const nc_sig_alg *alg = nc_pubkey_alg_find(name, NULL);
        bool again = !alg;
        for (size_t i = 0; i < count; i++) {
            again = again || said[i] == alg;
        }
        if (!again) {
            nc_wr_bytes(w, nc_span(",", count ? 1 : 0));
            nc_wr_bytes(w, nc_span_cstr(alg->name));
            said[count++] = alg;
        }
    }
    nc_wr_end_str(w, mark);
}

static void write_ext_info(const nc_core *c, nc_wr *w)
{
    uint32_t count = 0;
    for (size_t i = 0; i < ANNOUNCED; i++) {
        count += is_ours(c, &announced[i]) ? 1 : 0;
    }
    nc_wr_u8(w, SSH_MSG_EXT_INFO);
    nc_wr_u32(w, count);
    for (size_t i = 0; i < ANNOUNCED; i++) {
        if (is_ours(c, &announced[i])) {
            nc_wr_cstr(w, announced[i].name);
            if (announced[i].value) {
                nc_wr_cstr(w, announced[i].value);
            } else {
                write_sig_algs(c, w);
            }
        }
    }
}

/* first: right behind our NEWKEYS, before anything that was held. Else in its place in the order. */
int nc_core_send_ext_info(nc_core *c, bool first)
{
    if (!c->peer_ext_info || (c->link.quirks & NC_QUIRK_NO_EXT_INFO)) {
        return NACRE_OK;
    }
    nc_wr *w = first ? nc_core_begin_now(c) : c->link.ops->begin(&c->link, 0);
    write_ext_info(c, w);
    return first ? nc_core_end_now(c) : c->link.ops->end(&c->link);
}

/* The two legal places, RFC 8308 2.4; and OpenSSH's, which our ext-info-in-auth asked for. */
static bool in_place(nc_core *c)
{
    if (c->ext_info_slot) {
        return true;
    }
    bool auth = c->link.role == NACRE_CLIENT && nc_core_phase(c) == NC_PHASE_AUTH;
    return auth && c->auth_ext_infos++ < NC_MAX_AUTH_EXT_INFO;
}

int nc_core_on_ext_info(nc_core *c, nc_rd *r)
{
    nc_msg_ext_info m;
    if (!in_place(c)) {
        return nc_link_fail(&c->link, NACRE_OUT_OF_PLACE,
                            "EXT_INFO may come only right after NEWKEYS and before login ends");
    }
    if (NC_DECODE(ext_info, r, &m) != NACRE_OK || m.extensions.n > NC_MAX_EXTENSIONS) {
        return nc_link_fail(&c->link, NACRE_MALFORMED, "EXT_INFO is malformed or oversized");
    }
    /* The bytes are the bound; the count only has to agree with them in the end. */
    nc_rd pairs = nc_rd_init(m.extensions);
    uint32_t seen = 0;
    while (nc_rd_left(&pairs) > 0 && nc_rd_err(&pairs) == NACRE_OK) {
        nacre_span name = nc_rd_str(&pairs);
        nacre_span value = nc_rd_str(&pairs);
        seen++;
        nc_logf(&c->link.log, NACRE_LOG_DEBUG, "peer's extension %s: %s", NC_ESC(name),
                NC_ESC(value));
    }
    if (nc_rd_err(&pairs) != NACRE_OK || seen != m.count || seen > NC_MAX_EXTENSION_COUNT) {
        return nc_link_fail(&c->link, NACRE_MALFORMED,
                            "EXT_INFO announces %u extensions and holds %u", m.count, seen);
    }
    /* RFC 8308 2.4: a second one replaces the first as a whole. */
    nc_buf_reset(&c->extensions);
    int rc = nc_buf_append(&c->extensions, m.extensions.p, m.extensions.n);
    return rc == NACRE_OK ? NACRE_AGAIN : nc_core_checked(c, rc, "keeping EXT_INFO");
}

bool nc_core_peer_extension(const nc_core *c, const char *name, nacre_span *value)
{
    nc_rd r = nc_rd_init(nc_buf_span(&c->extensions));
    while (nc_rd_left(&r) > 0 && nc_rd_err(&r) == NACRE_OK) {
        nacre_span key = nc_rd_str(&r);
        nacre_span found = nc_rd_str(&r);
        if (nc_rd_err(&r) == NACRE_OK && nc_span_is(key, name)) {
            *value = found;
            return true;
        }
    }
    return false;
}
