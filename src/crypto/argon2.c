/*
 * argon2.c - Argon2 version 0x13 (RFC 9106), the key derivation of PuTTY's files. libsodium has one too,
 * but for a single lane only; BLAKE2b is taken from there.
 *
 * The lanes of a slice do not depend on each other; they are filled one after the other here, because a
 * library starts no threads.
 */
#include "crypto/crypto.h"

#include <sodium.h>
#include <string.h>

enum {
    VERSION = 0x13,
    WORDS = 128, /* of 64 bits in a block */
    BLOCK = 8 * WORDS,
    SLICES = 4,
    HASH = 64, /* BLAKE2b's longest output */
    SEED = HASH + 8
};

/* The memory and where the filling stands. */
typedef struct filling {
    const nc_argon2_params *p;
    uint64_t *blocks; /* lane by lane, WORDS each */
    uint32_t lane_len, segment_len;
    uint32_t pass, slice, lane;
    uint64_t counter; /* of address blocks in this segment */
    uint64_t addresses[WORDS];
    uint64_t scratch[WORDS];
} filling;

/* ---- the hash (RFC 9106 3.3) --------------------------------------------------------------------- */

static void store_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> 8 * i);
    }
}

static bool hash_part(crypto_generichash_state *st, const void *p, size_t n)
{
    return crypto_generichash_update(st, p, n) == 0;
}

static bool hash_number(crypto_generichash_state *st, uint32_t v)
{
    uint8_t b[4];

    store_le32(b, v);
    return hash_part(st, b, sizeof b);
}

static bool hash_field(crypto_generichash_state *st, nacre_span s)
{
    return hash_number(st, (uint32_t)s.n) && (s.n == 0 || hash_part(st, s.p, s.n));
}

/* H^n(number n, in) */
static bool hash_numbered(uint8_t *out, size_t len, uint32_t n, nacre_span in)
{
    crypto_generichash_state st;
    bool ok = crypto_generichash_init(&st, NULL, 0, len) == 0 && hash_number(&st, n) &&
              hash_part(&st, in.p, in.n) && crypto_generichash_final(&st, out, len) == 0;

    nc_wipe(&st, sizeof st);
    return ok;
}

/* H': an output of any length. */
static bool long_hash(uint8_t *out, size_t n, nacre_span in)
{
    uint8_t v[HASH];
    bool ok;

    if (n <= HASH) {
        return hash_numbered(out, n, (uint32_t)n, in);
    }
    ok = hash_numbered(v, HASH, (uint32_t)n, in);
    while (ok && n > HASH) {
        memcpy(out, v, HASH / 2);
        out += HASH / 2;
        n -= HASH / 2;
        ok = crypto_generichash(v, n > HASH ? HASH : n, v, HASH, NULL, 0) == 0;
    }
    if (ok) { /* else more than v holds is left to do */
        memcpy(out, v, n);
    }
    nc_wipe(v, sizeof v);
    return ok;
}

/* H0, with room for the two numbers that follow it. */
static bool seed(const nc_argon2_params *p, size_t n, uint8_t out[SEED])
{
    crypto_generichash_state st;
    bool ok = crypto_generichash_init(&st, NULL, 0, HASH) == 0 &&
              hash_number(&st, p->parallelism) && hash_number(&st, (uint32_t)n) &&
              hash_number(&st, p->memory_kib) && hash_number(&st, p->passes) &&
              hash_number(&st, VERSION) && hash_number(&st, (uint32_t)p->kind) &&
              hash_field(&st, p->password) && hash_field(&st, p->salt) &&
              hash_field(&st, p->secret) && hash_field(&st, p->data) &&
              crypto_generichash_final(&st, out, HASH) == 0;

    nc_wipe(&st, sizeof st);
    return ok;
}

/* ---- the compression function G (3.5, 3.6) ------------------------------------------------------- */

static inline uint64_t rotate(uint64_t v, unsigned bits)
{
    return v >> bits | v << (64 - bits);
}

/* BLAKE2b's addition, made dear for hardware by a product. */
static inline uint64_t blend(uint64_t a, uint64_t b)
{
    return a + b + 2 * (a & 0xffffffff) * (b & 0xffffffff);
}

#define QUARTER(a, b, c, d)                                                                        \
    do {                                                                                           \
        (a) = blend(a, b);                                                                         \
        (d) = rotate((d) ^ (a), 32);                                                               \
        (c) = blend(c, d);                                                                         \
        (b) = rotate((b) ^ (c), 24);                                                               \
        (a) = blend(a, b);                                                                         \
        (d) = rotate((d) ^ (a), 16);                                                               \
        (c) = blend(c, d);                                                                         \
        (b) = rotate((b) ^ (c), 63);                                                               \
    } while (0)

/* P over 16 words: pairs of neighbours, step words from pair to pair. */
static inline void permute(uint64_t *w, size_t step)
{
    uint64_t v[16];

    for (size_t i = 0; i < 8; i++) {
        v[2 * i] = w[i * step];
        v[2 * i + 1] = w[i * step + 1];
    }
    QUARTER(v[0], v[4], v[8], v[12]);
    QUARTER(v[1], v[5], v[9], v[13]);
    QUARTER(v[2], v[6], v[10], v[14]);
    QUARTER(v[3], v[7], v[11], v[15]);
    QUARTER(v[0], v[5], v[10], v[15]);
    QUARTER(v[1], v[6], v[11], v[12]);
    QUARTER(v[2], v[7], v[8], v[13]);
    QUARTER(v[3], v[4], v[9], v[14]);
    for (size_t i = 0; i < 8; i++) {
        w[i * step] = v[2 * i];
        w[i * step + 1] = v[2 * i + 1];
    }
}

/* out = G(x, y), or out ^ G(x, y); z is scratch */
static void compress(uint64_t *z, uint64_t *out, const uint64_t *x, const uint64_t *y, bool keep)
{
    for (size_t i = 0; i < WORDS; i++) {
        z[i] = x[i] ^ y[i];
        out[i] = keep ? out[i] ^ z[i] : z[i];
    }
    for (size_t row = 0; row < 8; row++) {
        permute(z + 16 * row, 2);
    }
    for (size_t column = 0; column < 8; column++) {
        permute(z + 2 * column, 16);
    }
    for (size_t i = 0; i < WORDS; i++) {
        out[i] ^= z[i];
    }
}

/* ---- filling (3.1.1, 3.4) ------------------------------------------------------------------------ */

static uint64_t *block_at(const filling *f, uint32_t lane, uint32_t column)
{
    return f->blocks + ((size_t)lane * f->lane_len + column) * WORDS;
}

static void load_block(uint64_t *out, const uint8_t *in)
{
    for (size_t i = 0; i < WORDS; i++) {
        out[i] = 0;
        for (size_t j = 0; j < 8; j++) {
            out[i] |= (uint64_t)in[8 * i + j] << 8 * j;
        }
    }
}

static void store_block(uint8_t *out, const uint64_t *in)
{
    for (size_t i = 0; i < BLOCK; i++) {
        out[i] = (uint8_t)(in[i / 8] >> 8 * (i % 8));
    }
}

static bool first_columns(filling *f, uint8_t h0[SEED])
{
    uint8_t bytes[BLOCK];
    bool ok = true;

    for (uint32_t lane = 0; ok && lane < f->p->parallelism; lane++) {
        store_le32(h0 + HASH + 4, lane);
        for (uint32_t column = 0; ok && column < 2; column++) {
            store_le32(h0 + HASH, column);
            ok = long_hash(bytes, BLOCK, nc_span(h0, SEED));
            load_block(block_at(f, lane, column), bytes);
        }
    }
    nc_wipe(bytes, sizeof bytes);
    return ok;
}

/* Argon2i's addresses depend on the position alone; Argon2id does so for half of the first pass. */
static bool data_independent(const filling *f)
{
    return f->p->kind == NC_ARGON2I ||
           (f->p->kind == NC_ARGON2ID && f->pass == 0 && f->slice < SLICES / 2);
}

static void next_addresses(filling *f)
{
    static const uint64_t zero[WORDS];
    uint64_t in[WORDS] = {f->pass,      f->lane,
                          f->slice,     (uint64_t)f->lane_len * f->p->parallelism,
                          f->p->passes, (uint64_t)f->p->kind,
                          ++f->counter};

    compress(f->scratch, f->addresses, zero, in, false);
    memcpy(in, f->addresses, sizeof in);
    compress(f->scratch, f->addresses, zero, in, false);
}

/* The block that goes into that of this index of the segment, by a random number (3.4.1.3, 3.4.2). */
static const uint64_t *reference(const filling *f, uint32_t index, uint64_t random)
{
    bool first = f->pass == 0 && f->slice == 0;
    uint32_t lane = first ? f->lane : (uint32_t)((random >> 32) % f->p->parallelism);
    uint32_t done = f->pass == 0 ? f->slice * f->segment_len : f->lane_len - f->segment_len;
    uint32_t start = f->pass == 0 || f->slice == SLICES - 1 ? 0 : (f->slice + 1) * f->segment_len;
    uint32_t area;
    uint64_t x = random & 0xffffffff;

    if (lane == f->lane) {
        area = done + index - 1;
    } else {
        area = done - (index == 0 ? 1 : 0);
    }
    x = x * x >> 32;
    x = area * x >> 32;
    return block_at(f, lane, (uint32_t)((start + (uint64_t)area - 1 - x) % f->lane_len));
}

static void fill_segment(filling *f)
{
    bool independent = data_independent(f);
    uint32_t from = f->pass == 0 && f->slice == 0 ? 2 : 0;

    f->counter = 0;
    for (uint32_t i = from; i < f->segment_len; i++) {
        uint32_t column = f->slice * f->segment_len + i;
        uint32_t before = column == 0 ? f->lane_len - 1 : column - 1;
        const uint64_t *previous = block_at(f, f->lane, before);
        uint64_t random = previous[0];

        if (independent) {
            if (i == from || i % WORDS == 0) {
                next_addresses(f);
            }
            random = f->addresses[i % WORDS];
        }
        compress(f->scratch, block_at(f, f->lane, column), previous, reference(f, i, random),
                 f->pass > 0);
    }
}

static void fill(filling *f)
{
    for (f->pass = 0; f->pass < f->p->passes; f->pass++) {
        for (f->slice = 0; f->slice < SLICES; f->slice++) {
            for (f->lane = 0; f->lane < f->p->parallelism; f->lane++) {
                fill_segment(f);
            }
        }
    }
}

static bool finish(const filling *f, uint8_t *out, size_t n)
{
    uint64_t sum[WORDS] = {0};
    uint8_t bytes[BLOCK];
    bool ok;

    for (uint32_t lane = 0; lane < f->p->parallelism; lane++) {
        const uint64_t *last = block_at(f, lane, f->lane_len - 1);

        for (size_t i = 0; i < WORDS; i++) {
            sum[i] ^= last[i];
        }
    }
    store_block(bytes, sum);
    ok = long_hash(out, n, nc_span(bytes, BLOCK));
    nc_wipe(sum, sizeof sum);
    nc_wipe(bytes, sizeof bytes);
    return ok;
}

bool nc_argon2_affordable(const nc_argon2_params *p)
{
    return p->parallelism >= 1 && p->parallelism <= NC_ARGON2_MAX_LANES && p->passes >= 1 &&
           p->memory_kib >= 8 * p->parallelism && p->memory_kib <= NC_ARGON2_MAX_MEMORY &&
           (uint64_t)p->memory_kib * p->passes <= NC_ARGON2_MAX_WORK;
}

int nc_argon2(const nc_argon2_params *p, const nacre_allocator *a, uint8_t *out, size_t n)
{
    filling f = {.p = p};
    uint8_t h0[SEED];
    size_t bytes;
    bool ok;

    if (p->kind > NC_ARGON2ID || p->salt.n < 8 || n < 4 || n > BLOCK ||
        p->password.n > UINT32_MAX) {
        return NACRE_INVALID_ARGUMENT;
    }
    if (!nc_argon2_affordable(p)) {
        return NACRE_LIMIT;
    }
    f.segment_len = p->memory_kib / (SLICES * p->parallelism);
    f.lane_len = SLICES * f.segment_len;
    bytes = (size_t)f.lane_len * p->parallelism * BLOCK;
    f.blocks = nc_alloc(a, bytes);
    if (!f.blocks) {
        return NACRE_NO_MEMORY;
    }
    ok = sodium_init() >= 0 && seed(p, n, h0) && first_columns(&f, h0);
    if (ok) {
        fill(&f);
        ok = finish(&f, out, n);
    }
    nc_wipe(h0, sizeof h0);
    nc_wipe(f.addresses, sizeof f.addresses);
    nc_wipe(f.scratch, sizeof f.scratch);
    nc_wipe_free(a, f.blocks, bytes);
    return ok ? NACRE_OK : NACRE_CRYPTO;
}
