#include "packetizer_util.h"

/* ---- protections ------------------------------------------------------------------------------ */

static size_t count_macs(void)
{
    size_t n = 0;
    while (nc_mac_algs[n]) {
        n++;
    }
    return n;
}

/* Walks through them all; stops at the one that is wanted. */
static size_t walk(size_t wanted, protection *found)
{
    size_t n = 1;
    *found = (protection){&nc_cipher_none, NULL};
    for (size_t i = 0; nc_cipher_algs[i] && (wanted >= n); i++) {
        size_t variants = nc_cipher_algs[i]->tag_len ? 1 : count_macs();
        if (wanted < n + variants) {
            found->cipher = nc_cipher_algs[i];
            found->mac = nc_cipher_algs[i]->tag_len ? NULL : nc_mac_algs[wanted - n];
        }
        n += variants;
    }
    return n;
}

size_t protection_count(void)
{
    protection ignored;
    return walk(SIZE_MAX, &ignored);
}

protection protection_at(size_t i)
{
    protection p;
    walk(i, &p);
    return p;
}

protection protection_named(const char *cipher)
{
    for (size_t i = 0; i < protection_count(); i++) {
        if (strcmp(protection_at(i).cipher->name, cipher) == 0) {
            return protection_at(i);
        }
    }
    fail_msg("no cipher %s", cipher);
    return protection_at(0);
}

const char *protection_name(protection p)
{
    static char name[128];
    snprintf(name, sizeof(name), "%s %s", p.cipher->name, p.mac ? p.mac->name : "");
    return name;
}

int protection_new(nc_pktcipher **out, const nacre_allocator *a, protection p, uint8_t generation,
                   bool seal)
{
    uint8_t key[64], iv[64], mac_key[64];
    for (size_t i = 0; i < sizeof(key); i++) {
        key[i] = (uint8_t)(i * 7 + generation);
        iv[i] = (uint8_t)(i * 3 + generation + 1);
        mac_key[i] = (uint8_t)(i * 5 + generation + 2);
    }
    *out = NULL;
    if (p.cipher == &nc_cipher_none) {
        return NACRE_OK;
    }
    return nc_pktcipher_new(out, a, p.cipher, p.mac, key, iv, mac_key, seal);
}

/* ---- ends ------------------------------------------------------------------------------------- */

uint32_t test_random(void)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

static int random_bytes(void *user, uint8_t *out, size_t n)
{
    (void)user;
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint8_t)(test_random() >> 11);
    }
    return 0;
}

const nc_random test_nc_random = {random_bytes, NULL};

void ends_init(ends *p, const nacre_allocator *a, const nc_packetizer_limits *limits)
{
    assert_int_equal(nc_packetizer_new(&p->tx, a, &test_nc_random, limits), NACRE_OK);
    assert_int_equal(nc_packetizer_new(&p->rx, a, &test_nc_random, limits), NACRE_OK);
}

void ends_keys(ends *p, protection prot, uint8_t generation, bool reset)
{
    nc_pktcipher *c = NULL;
    assert_int_equal(protection_new(&c, NULL, prot, generation, true), NACRE_OK);
    nc_packetizer_set_output_keys(p->tx, c, reset);
    assert_int_equal(protection_new(&c, NULL, prot, generation, false), NACRE_OK);
    nc_packetizer_set_input_keys(p->rx, c, reset);
}

void ends_compress(ends *p, bool on)
{
    assert_int_equal(nc_packetizer_set_output_compression(p->tx, on), NACRE_OK);
    assert_int_equal(nc_packetizer_set_input_compression(p->rx, on), NACRE_OK);
}

void ends_free(ends *p)
{
    nc_packetizer_free(p->tx);
    nc_packetizer_free(p->rx);
    memset(p, 0, sizeof(*p));
}

void fill_payload(uint8_t *out, size_t n, uint8_t number, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        out[i] = (uint8_t)(seed >> 16);
    }
    out[0] = number;
}

int send_payload(nc_packetizer *p, const uint8_t *payload, size_t n, size_t hint)
{
    nc_wr *w = nc_packetizer_begin(p, hint);
    nc_wr_bytes(w, nc_span(payload, n));
    return nc_packetizer_end(p);
}

size_t feed(nc_packetizer *rx, const uint8_t *bytes, size_t n)
{
    size_t room = 0;
    uint8_t *to = nc_packetizer_recv_buffer(rx, &room);
    n = n < room ? n : room;
    if (n) {
        memcpy(to, bytes, n);
    }
    assert_int_equal(nc_packetizer_received(rx, n), NACRE_OK);
    return n;
}

void move_output(ends *p, size_t cut)
{
    for (;;) {
        nacre_span out = nc_packetizer_output(p->tx);
        size_t n = feed(p->rx, out.p, out.n < cut ? out.n : cut);
        if (n == 0) {
            return;
        }
        nc_packetizer_sent(p->tx, n);
    }
}

void expect_payload(nc_packetizer *rx, const uint8_t *payload, size_t n)
{
    nc_packet pkt;
    nacre_error err = {0};
    int rc = nc_packetizer_next(rx, &pkt, &err);
    if (rc != NACRE_OK) {
        fail_msg("payload of %zu: %s %s", n, nacre_status_symbol(rc), err.text);
    }
    assert_int_equal(pkt.payload.n, n);
    assert_memory_equal(pkt.payload.p, payload, n);
    assert_int_equal(pkt.number, payload[0]);
}

void expect_status(nc_packetizer *rx, int status)
{
    nc_packet pkt;
    nacre_error err = {0};
    int rc = nc_packetizer_next(rx, &pkt, &err);
    if (rc != status) {
        fail_msg("%s instead of %s: %s", nacre_status_symbol(rc), nacre_status_symbol(status),
                 err.text);
    }
    assert_null(pkt.payload.p);
    assert_int_equal(err.status, status == NACRE_AGAIN ? NACRE_OK : status);
}

size_t seal_by_hand(uint8_t *out, protection prot, uint32_t seq, uint32_t length,
                    const uint8_t *body, size_t n)
{
    nc_pktcipher *c = NULL;
    assert_int_equal(protection_new(&c, NULL, prot, 1, true), NACRE_OK);
    nc_put_u32(out, length);
    if (n) {
        memcpy(out + 4, body, n);
    }
    size_t tag = 0;
    if (c) {
        /* The cipher is told how much there is; what the length field says is the test's matter. */
        assert_int_equal(nc_pktcipher_seal(c, seq, out, (uint32_t)n), NACRE_OK);
        tag = nc_pktcipher_get_layout(c)->tag_len;
    }
    nc_pktcipher_free(c);
    return 4 + n + tag;
}
