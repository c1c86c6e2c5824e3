/*
 * core_config.c - the options of a connection: their defaults, and the transport's own copy, in which
 * every list is resolved to names.
 */
#include <string.h>

#include "transport/core_state.h"

enum {
    DEFAULT_MIN_RSA_BITS = 2048,
    DEFAULT_KEX_TIMEOUT_MS = 60 * 1000,
    DEFAULT_SERVER_GRACE_MS = 120 * 1000,
    DEFAULT_AUTH_TRIES = 6,
    DEFAULT_KEEPALIVE_MAX = 3,
    DEFAULT_CHANNELS = 256,
    DEFAULT_WINDOW = 2 * 1024 * 1024,
    DEFAULT_WINDOW_CAP = 64 * 1024 * 1024,
    MOST_WINDOW_CAP = 128 * 1024 * 1024, /* who queues what is not consumed has bounds above it */
    DEFAULT_MAX_PACKET = 64 * 1024,
    LEAST_MAX_PACKET = 1024,
    MOST_MAX_PACKET = 192 * 1024, /* with all headers it stays below NC_MAX_PACKET */
    DEFAULT_OUTPUT_SOFT = 1024 * 1024,
    DEFAULT_OUTPUT_HARD = 4 * 1024 * 1024
};

void nacre_config_init(nacre_config *cfg, nacre_role role)
{
    memset(cfg, 0, sizeof(*cfg));
    cfg->size = sizeof(*cfg);
    cfg->role = role;
    cfg->log_level = NACRE_LOG_INFO;
    cfg->compression_c2s = "none,zlib@openssh.com";
    cfg->compression_s2c = "none,zlib@openssh.com";
    cfg->min_rsa_bits = DEFAULT_MIN_RSA_BITS;
    cfg->rekey_packets = NC_MOST_KEY_PACKETS;
    cfg->kex_timeout_ms = DEFAULT_KEX_TIMEOUT_MS;
    cfg->keepalive_max = DEFAULT_KEEPALIVE_MAX;
    cfg->max_channels = DEFAULT_CHANNELS;
    cfg->window = DEFAULT_WINDOW;
    cfg->window_cap = DEFAULT_WINDOW_CAP;
    cfg->max_packet = DEFAULT_MAX_PACKET;
    cfg->output_soft = DEFAULT_OUTPUT_SOFT;
    cfg->output_hard = DEFAULT_OUTPUT_HARD;
    if (role == NACRE_SERVER) {
        cfg->announce_host_keys = true;
        cfg->login_grace_ms = DEFAULT_SERVER_GRACE_MS;
        cfg->max_auth_tries = DEFAULT_AUTH_TRIES;
        cfg->auth_methods = "publickey,password,keyboard-interactive";
    }
}

/* A field that is zero where zero means nothing takes its default, so that an old caller's shorter
   struct works as well. */
static void fill_gaps(nacre_config *c)
{
    nacre_config d;
    nacre_config_init(&d, c->role);
#define FILL(field) c->field = c->field ? c->field : d.field
    FILL(min_rsa_bits);
    FILL(keepalive_max);
    FILL(max_channels);
    FILL(window);
    FILL(window_cap);
    FILL(max_packet);
    FILL(output_soft);
    FILL(output_hard);
    FILL(auth_methods);
    FILL(rekey_packets);
#undef FILL
    if (c->rekey_packets > NC_MOST_KEY_PACKETS) {
        c->rekey_packets = NC_MOST_KEY_PACKETS;
    }
    if (c->max_packet < LEAST_MAX_PACKET) {
        c->max_packet = LEAST_MAX_PACKET;
    }
    if (c->max_packet > MOST_MAX_PACKET) {
        c->max_packet = MOST_MAX_PACKET;
    }
    if (c->window_cap > MOST_WINDOW_CAP) {
        c->window_cap = MOST_WINDOW_CAP;
    }
    if (c->output_hard < c->output_soft) {
        c->output_hard = c->output_soft;
    }
}

static int copy_text(const nacre_allocator *a, const char *from, char **own, const char **field)
{
    *own = nc_strdup(a, from);
    *field = *own;
    return from && !*own ? NACRE_NO_MEMORY : NACRE_OK;
}

static int copy_strings(nc_core *c)
{
    nacre_config *cfg = &c->config;
    const nacre_allocator *a = cfg->allocator;
    int rc = copy_text(a, cfg->software, &c->software, &cfg->software);
    if (rc == NACRE_OK) {
        rc = copy_text(a, cfg->comments, &c->comments, &cfg->comments);
    }
    if (rc == NACRE_OK) {
        rc = copy_text(a, cfg->banner, &c->banner, &cfg->banner);
    }
    if (rc == NACRE_OK) {
        rc = copy_text(a, cfg->auth_methods, &c->auth_methods, &cfg->auth_methods);
    }
    if (rc == NACRE_OK && cfg->moduli.n) {
        c->moduli = nc_alloc(a, cfg->moduli.n);
        if (!c->moduli) {
            return NACRE_NO_MEMORY;
        }
        memcpy(c->moduli, cfg->moduli.p, cfg->moduli.n);
        cfg->moduli.p = c->moduli;
    }
    return rc;
}

/* A banner line that began with "SSH-" would be taken for the version line (RFC 4253 4.2). */
static bool banner_is_safe(const char *banner)
{
    for (const char *line = banner; line && *line;) {
        if (strncmp(line, "SSH-", 4) == 0) {
            return false;
        }
        const char *end = strchr(line, '\n');
        line = end ? end + 1 : NULL;
    }
    return true;
}

int nc_core_config(nc_core *c, const nacre_config *cfg, nacre_error *err)
{
    if (cfg->size < offsetof(nacre_config, random) ||
        (cfg->role != NACRE_CLIENT && cfg->role != NACRE_SERVER)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "the config was not made by nacre_config_init");
    }
    size_t n = cfg->size < sizeof(c->config) ? cfg->size : sizeof(c->config);
    memcpy(&c->config, cfg, n);
    c->config.size = sizeof(c->config);
    fill_gaps(&c->config);
    const char *software = c->config.software;
    if (software && !nc_version_software_valid(software)) {
        c->config.software = NULL;
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "\"%s\" cannot be a software version: printable US-ASCII without space and "
                       "minus is needed",
                       NC_ESC(nc_span_cstr(software)));
    }
    if (c->config.comments && !nc_version_comments_valid(c->config.comments)) {
        c->config.comments = NULL;
        return nc_fail(err, NACRE_INVALID_ARGUMENT,
                       "what stands behind the software version must be printable US-ASCII, 140 "
                       "bytes at most");
    }
    if (!banner_is_safe(c->config.banner)) {
        return nc_fail(err, NACRE_INVALID_ARGUMENT, "no line of the banner may begin with SSH-");
    }
    int rc = nc_proposal_init(&c->proposal, &c->config, err);
    if (rc == NACRE_OK) {
        rc = nc_algo_resolve(NACRE_ALG_SIGNATURE, c->config.signature, c->config.allocator,
                             &c->signature, err);
    }
    if (rc == NACRE_OK) {
        rc = nc_algo_resolve(NACRE_ALG_SIGNATURE, c->config.hostbased, c->config.allocator,
                             &c->hostbased, err);
    }
    if (rc == NACRE_OK && copy_strings(c) != NACRE_OK) {
        rc = nc_fail(err, NACRE_NO_MEMORY, "out of memory");
    }
    /* What the services see are names, not the caller's strings, which may be gone by then. */
    c->config.signature = c->signature;
    c->config.hostbased = c->hostbased;
    c->config.kex = c->proposal.lists[NC_SLOT_KEX];
    c->config.host_key = NULL; /* changes with the keys there are: see proposal */
    c->config.cipher_c2s = c->proposal.lists[NC_SLOT_CIPHER_C2S];
    c->config.cipher_s2c = c->proposal.lists[NC_SLOT_CIPHER_S2C];
    c->config.mac_c2s = c->proposal.lists[NC_SLOT_MAC_C2S];
    c->config.mac_s2c = c->proposal.lists[NC_SLOT_MAC_S2C];
    c->config.compression_c2s = c->proposal.lists[NC_SLOT_COMP_C2S];
    c->config.compression_s2c = c->proposal.lists[NC_SLOT_COMP_S2C];
    return rc;
}

void nc_core_config_clear(nc_core *c)
{
    const nacre_allocator *a = c->config.allocator;
    nc_proposal_clear(&c->proposal);
    nc_free(a, c->signature);
    nc_free(a, c->hostbased);
    nc_free(a, c->software);
    nc_free(a, c->comments);
    nc_free(a, c->banner);
    nc_free(a, c->auth_methods);
    nc_free(a, c->moduli);
}

void nacre_limits_init(nacre_limits *l)
{
    nacre_config defaults;
    nacre_config_init(&defaults, NACRE_SERVER);
    memset(l, 0, sizeof(*l));
    l->size = sizeof(*l);
    l->rekey_bytes = defaults.rekey_bytes;
    l->rekey_seconds = defaults.rekey_seconds;
    l->keepalive_ms = defaults.keepalive_ms;
    l->keepalive_max = defaults.keepalive_max;
    l->max_auth_tries = defaults.max_auth_tries;
}

void nc_core_set_limits(nc_core *c, const nacre_limits *given)
{
    nacre_limits l;
    nacre_limits_init(&l);
    memcpy(&l, given, given->size < sizeof(l) ? given->size : sizeof(l));
    c->config.rekey_bytes = l.rekey_bytes;
    c->config.rekey_seconds = l.rekey_seconds;
    c->config.keepalive_ms = l.keepalive_ms;
    c->config.keepalive_max = l.keepalive_max ? l.keepalive_max : DEFAULT_KEEPALIVE_MAX;
    c->config.max_auth_tries = l.max_auth_tries ? l.max_auth_tries : DEFAULT_AUTH_TRIES;
}
