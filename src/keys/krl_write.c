/*
 * krl_write.c - revocation lists in their binary form (PROTOCOL.krl), small and always the same for the same list.
 */
#include "keys/krl.h"

enum {
    HEAD = 5,                       /* a section's number and length */
    SERIAL_COST = 8,                /* in a list */
    RANGE_COST = HEAD + 16,         /* a section of its own */
    BITMAP_COST = HEAD + 8 + 4 + 1, /* and a byte for each eight numbers that it spans */
    MAX_SPAN = NC_KRL_MAX_BITMAP * 8
};

/* What a run of serial numbers costs outside of a bitmap. */
static uint64_t plain_cost(nc_krl_range r)
{
    uint64_t span = r.hi - r.lo;
    return span < RANGE_COST / SERIAL_COST ? (span + 1) * SERIAL_COST : RANGE_COST;
}

static uint64_t bytes_of(uint64_t span)
{
    return span / 8 + 1;
}

/*
 * How many runs from here on one bitmap should take: it goes on as long as spanning the gap and the next run is
 * cheaper than naming the run. 0: naming them all is.
 */
static size_t bitmap_runs(const nc_krl_range *r, size_t count)
{
    uint64_t named = plain_cost(r[0]);
    size_t n = 1;
    if (r[0].hi - r[0].lo >= MAX_SPAN) {
        return 0;
    }
    while (n < count && r[n].hi - r[0].lo < MAX_SPAN &&
           bytes_of(r[n].hi - r[0].lo) - bytes_of(r[n - 1].hi - r[0].lo) <= plain_cost(r[n])) {
        named += plain_cost(r[n]);
        n++;
    }
    return BITMAP_COST + bytes_of(r[n - 1].hi - r[0].lo) < named ? n : 0;
}

static void write_bitmap(nc_wr *w, const nc_krl_range *r, size_t count)
{
    uint8_t bits[NC_KRL_MAX_BITMAP] = {0};
    uint64_t span = r[count - 1].hi - r[0].lo;
    size_t n = (size_t)bytes_of(span);
    for (size_t i = 0; i < count; i++) {
        for (uint64_t at = r[i].lo - r[0].lo; at <= r[i].hi - r[0].lo; at++) {
            bits[n - 1 - at / 8] |= (uint8_t)(1u << (at % 8));
        }
    }
    nc_wr_u8(w, NC_KRL_SERIAL_BITMAP);
    size_t mark = nc_wr_begin_str(w);
    nc_wr_u64(w, r[0].lo);
    nc_wr_mpint(w, nc_span(bits, n));
    nc_wr_end_str(w, mark);
}

static void write_range(nc_wr *w, nc_krl_range r)
{
    nc_wr_u8(w, NC_KRL_SERIAL_RANGE);
    size_t mark = nc_wr_begin_str(w);
    nc_wr_u64(w, r.lo);
    nc_wr_u64(w, r.hi);
    nc_wr_end_str(w, mark);
}

/* Bitmaps and ranges as they come; what stays single is gathered in one list behind them. */
static void write_serials(nc_wr *w, const nc_krl_ranges *set, nc_buf *singles)
{
    nc_wr list = nc_wr_init(singles);
    for (size_t i = 0; i < set->count && nc_wr_err(w) == NACRE_OK;) {
        nc_krl_range r = set->items[i];
        size_t n = bitmap_runs(set->items + i, set->count - i);
        if (n) {
            write_bitmap(w, set->items + i, n);
        } else if (plain_cost(r) == RANGE_COST) {
            write_range(w, r);
        } else {
            for (uint64_t s = r.lo; s - r.lo <= r.hi - r.lo; s++) {
                nc_wr_u64(&list, s);
            }
        }
        i += n ? n : 1;
    }
    w->err = w->err ? w->err : nc_wr_err(&list);
    if (singles->len) {
        nc_wr_u8(w, NC_KRL_SERIAL_LIST);
        nc_wr_str(w, nc_buf_span(singles));
    }
}

static void write_texts(nc_wr *w, uint8_t section, const nc_krl_texts *set)
{
    if (set->count == 0) {
        return;
    }
    nc_wr_u8(w, section);
    size_t mark = nc_wr_begin_str(w);
    for (size_t i = 0; i < set->count; i++) {
        nc_wr_str(w, set->items[i]);
    }
    nc_wr_end_str(w, mark);
}

static void write_ca(nc_wr *w, const nc_krl_ca *c)
{
    if (c->serials.count == 0 && c->key_ids.count == 0) {
        return;
    }
    nc_buf singles;
    nc_buf_init(&singles, w->b->alloc, NC_KRL_MAX_FILE);
    nc_wr_u8(w, NC_KRL_CERTIFICATES);
    size_t mark = nc_wr_begin_str(w);
    nc_wr_str(w, c->blob);
    nc_wr_cstr(w, ""); /* reserved */
    write_serials(w, &c->serials, &singles);
    write_texts(w, NC_KRL_KEY_ID, &c->key_ids);
    nc_wr_end_str(w, mark);
    nc_buf_clear(&singles);
}

int nacre_krl_write(nacre_krl *k, uint8_t **out, size_t *n)
{
    nc_buf b;
    *out = NULL;
    *n = 0;
    nc_buf_init(&b, k->alloc, NC_KRL_MAX_FILE);
    nc_krl_settle(k);
    nc_wr w = nc_wr_init(&b);
    nc_wr_bytes(&w, nc_span(nc_krl_magic, sizeof(nc_krl_magic)));
    nc_wr_u32(&w, NC_KRL_FORMAT);
    nc_wr_u64(&w, k->version);
    nc_wr_u64(&w, k->generated);
    nc_wr_u64(&w, k->flags);
    nc_wr_cstr(&w, ""); /* reserved */
    nc_wr_cstr(&w, k->comment);
    for (size_t i = 0; i < k->ca_count; i++) {
        write_ca(&w, &k->cas[i]);
    }
    write_texts(&w, NC_KRL_EXPLICIT, &k->keys);
    write_texts(&w, NC_KRL_SHA1, &k->sha1s);
    write_texts(&w, NC_KRL_SHA256, &k->sha256s);
    int rc = nc_wr_err(&w);
    if (rc != NACRE_OK) {
        nc_buf_clear(&b);
        return rc == NACRE_LIMIT ? NACRE_TOO_LARGE : rc;
    }
    *out = b.data;
    *n = b.len;
    return NACRE_OK;
}
