#include "transport/derive.h"

#include <string.h>

#include "wire/wr.h"

/* Pieces of one hash; strings bring a length of their own. */
enum { MAX_STRINGS = 7, MAX_PIECES = 2 * MAX_STRINGS + 3 };

typedef struct piece_list {
    nacre_span pieces[MAX_PIECES];
    uint8_t lengths[MAX_STRINGS][4];
    size_t count, strings;
} piece_list;

static void add_raw(piece_list *l, nacre_span s)
{
    l->pieces[l->count++] = s;
}

static void add_str(piece_list *l, nacre_span s)
{
    uint8_t *length = l->lengths[l->strings++];
    nc_put_u32(length, (uint32_t)s.n);
    add_raw(l, nc_span(length, 4));
    add_raw(l, s);
}

int nc_exchange_hash(const nc_hash_alg *alg, const nc_transcript *t, uint8_t *out)
{
    piece_list l;
    uint8_t sizes[12];
    l.count = 0;
    l.strings = 0;
    add_str(&l, t->client_version);
    add_str(&l, t->server_version);
    add_str(&l, t->client_kexinit);
    add_str(&l, t->server_kexinit);
    add_str(&l, t->host_key);
    if (t->group_exchange) {
        nc_put_u32(sizes, t->min);
        nc_put_u32(sizes + 4, t->preferred);
        nc_put_u32(sizes + 8, t->max);
        add_raw(&l, nc_span(sizes, sizeof(sizes)));
        add_raw(&l, t->group);
    }
    /* mpint or string: on the wire, and so in the hash, both are a length and bytes. */
    add_str(&l, t->client_value);
    add_str(&l, t->server_value);
    add_raw(&l, t->secret);
    return nc_hash(alg, l.pieces, l.count, out);
}

int nc_derive_key(const nc_hash_alg *alg, nacre_span secret, nacre_span exchange_hash, char letter,
                  nacre_span session_id, uint8_t *out, size_t n)
{
    uint8_t block[NC_MAX_HASH];
    int rc = NACRE_OK;
    size_t done = 0;
    while (rc == NACRE_OK && done < n) {
        /* K1 = HASH(K || H || X || session_id), Kn = HASH(K || H || K1 || ... || Kn-1) */
        const nacre_span first[] = {secret, exchange_hash, nc_span(&letter, 1), session_id};
        const nacre_span next[] = {secret, exchange_hash, nc_span(out, done)};
        rc = done == 0 ? nc_hash(alg, first, 4, block) : nc_hash(alg, next, 3, block);
        if (rc == NACRE_OK) {
            size_t take = n - done < alg->len ? n - done : alg->len;
            memcpy(out + done, block, take);
            done += take;
        }
    }
    nc_wipe(block, sizeof(block));
    if (rc != NACRE_OK) {
        nc_wipe(out, n);
    }
    return rc;
}
