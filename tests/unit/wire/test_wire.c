/* RFC 4251 types, name-lists, mpints, and every message of messages.def in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/msg.h"

static nacre_span text(const char *s)
{
    return nc_span_cstr(s);
}

/* mpint examples of RFC 4251 section 5: value, encoding without the length. */
static void mpints_follow_rfc_4251(void **state)
{
    (void)state;
    static const struct {
        const char *magnitude;
        size_t n;
        const char *wire;
        size_t wire_n;
    } rows[] = {
        {"", 0, "", 0},
        {"\x00\x00", 2, "", 0},
        {"\x09\xa3\x78\xf9\xb2\xe3\x32\xa7", 8, "\x09\xa3\x78\xf9\xb2\xe3\x32\xa7", 8},
        {"\x80", 1, "\x00\x80", 2},
        {"\x00\x00\x7f", 3, "\x7f", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nc_buf b;
        nc_buf_init(&b, NULL, 100);
        nc_wr w = nc_wr_init(&b);
        nc_wr_mpint(&w, nc_span(rows[i].magnitude, rows[i].n));
        assert_int_equal(nc_wr_err(&w), NACRE_OK);
        assert_int_equal(b.len, rows[i].wire_n + 4);
        assert_memory_equal(b.data + 4, rows[i].wire, rows[i].wire_n);
        nc_rd r = nc_rd_init(nc_buf_span(&b));
        nacre_span back = nc_rd_mpint(&r, 8);
        assert_int_equal(nc_rd_end(&r), NACRE_OK);
        assert_true(back.n <= rows[i].n);
        nc_buf_clear(&b);
    }
}

static void bad_mpints_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *wire;
        size_t n;
    } rows[] = {
        {"\0\0\0\1\x80", 5},       /* negative */
        {"\0\0\0\2\xed\xcc", 6},   /* negative */
        {"\0\0\0\1\0", 5},         /* zero is the empty string */
        {"\0\0\0\2\0\x7f", 6},     /* padded */
        {"\0\0\0\5\1\2\3\4\5", 9}, /* above the cap of 4 */
        {"\xff\xff\xff\xff\1", 5}, /* longer than there is */
        {"\0\0\0\2\1", 5},         /* truncated */
        {"\0\0\0", 3},             /* truncated length */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nc_rd r = nc_rd_init(nc_span(rows[i].wire, rows[i].n));
        nacre_span m = nc_rd_mpint(&r, 4);
        assert_int_equal(m.n, 0);
        assert_int_equal(nc_rd_end(&r), NACRE_MALFORMED);
    }
}

static void namelists(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        bool good;
    } rows[] = {
        {"", true},     {"none", true},  {"a,b", true},    {"zlib@openssh.com,none", true},
        {",", false},   {"a,", false},   {",a", false},    {"a,,b", false},
        {"a b", false}, {"a\tb", false}, {"a\x7f", false}, {"\xc3\xa4", false},
        {"a\n", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nc_buf b;
        nc_buf_init(&b, NULL, 100);
        nc_wr w = nc_wr_init(&b);
        nc_wr_cstr(&w, rows[i].list);
        nc_rd r = nc_rd_init(nc_buf_span(&b));
        nacre_span s = nc_rd_namelist(&r, 30);
        assert_int_equal(nc_rd_end(&r), rows[i].good ? NACRE_OK : NACRE_MALFORMED);
        assert_int_equal(s.n, rows[i].good ? strlen(rows[i].list) : 0);
        r = nc_rd_init(nc_buf_span(&b));
        if (strlen(rows[i].list) > 2) {
            (void)nc_rd_namelist(&r, 2);
            assert_int_equal(nc_rd_err(&r), NACRE_MALFORMED);
        }
        nc_buf_clear(&b);
    }
    assert_true(nc_namelist_has(text("a,bc,d"), "bc"));
    assert_true(nc_namelist_has(text("a,bc,d"), "d"));
    assert_false(nc_namelist_has(text("a,bc,d"), "b"));
    assert_false(nc_namelist_has(text(""), ""));
}

static void reader_errors_stick(void **state)
{
    (void)state;
    nc_rd r = nc_rd_init(nc_span("\0\0\0\1", 4));
    assert_int_equal(nc_rd_u64(&r), 0);
    assert_int_equal(nc_rd_u8(&r), 0);
    assert_int_equal(nc_rd_u32(&r), 0);
    assert_int_equal(nc_rd_str(&r).n, 0);
    assert_int_equal(nc_rd_rest(&r).n, 0);
    assert_int_equal(nc_rd_end(&r), NACRE_MALFORMED);
    nc_rd none = nc_rd_init(nc_span(NULL, 0));
    assert_int_equal(nc_rd_end(&none), NACRE_OK);
    assert_int_equal(nc_rd_u8(&none), 0);
    assert_int_equal(nc_rd_end(&none), NACRE_MALFORMED);
}

static void writer_errors_stick(void **state)
{
    (void)state;
    nc_buf b;
    nc_buf_init(&b, NULL, 6);
    nc_wr w = nc_wr_init(&b);
    nc_wr_u32(&w, 1);
    nc_wr_u32(&w, 2);
    assert_int_equal(nc_wr_err(&w), NACRE_LIMIT);
    nc_wr_u8(&w, 3);
    assert_int_equal(b.len, 4);
    assert_int_equal(nc_wr_err(&w), NACRE_LIMIT);
    nc_buf_clear(&b);
}

/* A value for every field of a message, different in each place. */
static void fill(const nc_msg_desc *d, uint8_t *msg)
{
    static const char *const names[] = {"alpha", "beta,gamma", "delta", "epsilon,zeta,eta"};
    memset(msg, 0, d->size);
    for (size_t i = 0; i < d->count; i++) {
        void *field = msg + d->fields[i].offset;
        switch (d->fields[i].kind) {
        case NC_KIND_none:
            break;
        case NC_KIND_bool:
            *(bool *)field = true;
            break;
        case NC_KIND_u32:
            *(uint32_t *)field = 0x01020304u + (uint32_t)i;
            break;
        case NC_KIND_mpint:
            *(nacre_span *)field = nc_span("\x12\x34\x56", 3);
            break;
        case NC_KIND_cookie:
            *(nacre_span *)field = nc_span("0123456789abcdef", 16);
            break;
        case NC_KIND_str:
        case NC_KIND_namelist:
        case NC_KIND_rest:
            *(nacre_span *)field = text(names[i % 4]);
            break;
        }
    }
}

static bool same_fields(const nc_msg_desc *d, const uint8_t *a, const uint8_t *b)
{
    for (size_t i = 0; i < d->count; i++) {
        const void *x = a + d->fields[i].offset;
        const void *y = b + d->fields[i].offset;
        switch (d->fields[i].kind) {
        case NC_KIND_none:
            break;
        case NC_KIND_bool:
            if (*(const bool *)x != *(const bool *)y) {
                return false;
            }
            break;
        case NC_KIND_u32:
            if (*(const uint32_t *)x != *(const uint32_t *)y) {
                return false;
            }
            break;
        default:
            if (!nc_span_eq(*(const nacre_span *)x, *(const nacre_span *)y)) {
                return false;
            }
        }
    }
    return true;
}

static bool ends_in_rest(const nc_msg_desc *d)
{
    return d->fields[d->count - 1].kind == NC_KIND_rest;
}

static bool zeroed(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i]) {
            return false;
        }
    }
    return true;
}

static void every_message_round_trips_and_refuses_cuts(void **state)
{
    (void)state;
    static uint8_t in[512], out[512];
    size_t messages = 0;
    for (size_t m = 0; nc_msg_all[m]; m++, messages++) {
        const nc_msg_desc *d = nc_msg_all[m];
        assert_true(d->size <= sizeof(in));
        fill(d, in);
        nc_buf b;
        nc_buf_init(&b, NULL, 4096);
        nc_wr w = nc_wr_init(&b);
        nc_msg_encode(d, &w, in);
        assert_int_equal(nc_wr_err(&w), NACRE_OK);

        size_t head = d->number >= 0 ? 1 : 0;
        if (head) {
            assert_int_equal(b.data[0], d->number);
        }
        nacre_span body = nc_span(b.data + head, b.len - head);
        nc_rd r = nc_rd_init(body);
        assert_int_equal(nc_msg_decode(d, &r, out), NACRE_OK);
        assert_true(same_fields(d, in, out));

        /* Cut anywhere: an error and an empty struct, unless the cut is inside the open end. */
        size_t rest =
            ends_in_rest(d) ? ((nacre_span *)(void *)(in + d->fields[d->count - 1].offset))->n : 0;
        for (size_t n = 0; n + rest < body.n; n++) {
            r = nc_rd_init(nc_span(body.p, n));
            assert_int_equal(nc_msg_decode(d, &r, out), NACRE_MALFORMED);
            assert_true(zeroed(out, d->size));
        }
        /* One byte too many. */
        if (!ends_in_rest(d)) {
            assert_int_equal(nc_buf_append(&b, "x", 1), NACRE_OK);
            r = nc_rd_init(nc_span(b.data + head, b.len - head));
            assert_int_equal(nc_msg_decode(d, &r, out), NACRE_MALFORMED);
        }
        nc_buf_clear(&b);
    }
    assert_true(messages >= 45);
}

/* Every length field set to 0, 1, 2^31 and 2^32-1: never read past the end. */
static void absurd_lengths_in_every_message(void **state)
{
    (void)state;
    static const uint32_t absurd[] = {0x7fffffffu, 0x80000000u, 0xfffffffeu, 0xffffffffu, 4096};
    static uint8_t in[512], out[512];
    for (size_t m = 0; nc_msg_all[m]; m++) {
        const nc_msg_desc *d = nc_msg_all[m];
        fill(d, in);
        nc_buf b;
        nc_buf_init(&b, NULL, 4096);
        nc_wr w = nc_wr_init(&b);
        nc_msg_encode(d, &w, in);
        size_t at = d->number >= 0 ? 1 : 0;
        for (size_t f = 0; f < d->count; f++) {
            nc_field_kind kind = d->fields[f].kind;
            bool has_length =
                kind == NC_KIND_str || kind == NC_KIND_namelist || kind == NC_KIND_mpint;
            for (size_t k = 0; has_length && k < sizeof(absurd) / sizeof(absurd[0]); k++) {
                uint8_t keep[4];
                memcpy(keep, b.data + at, 4);
                nc_put_u32(b.data + at, absurd[k]);
                size_t head = d->number >= 0 ? 1 : 0;
                nc_rd r = nc_rd_init(nc_span(b.data + head, b.len - head));
                assert_int_equal(nc_msg_decode(d, &r, out), NACRE_MALFORMED);
                memcpy(b.data + at, keep, 4);
            }
            size_t len = has_length ? 4 + nc_get_u32(b.data + at) : 0;
            len += kind == NC_KIND_u32      ? 4
                   : kind == NC_KIND_bool   ? 1
                   : kind == NC_KIND_cookie ? 16
                                            : 0;
            at += len;
        }
        nc_buf_clear(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mpints_follow_rfc_4251),
        cmocka_unit_test(bad_mpints_are_refused),
        cmocka_unit_test(namelists),
        cmocka_unit_test(reader_errors_stick),
        cmocka_unit_test(writer_errors_stick),
        cmocka_unit_test(every_message_round_trips_and_refuses_cuts),
        cmocka_unit_test(absurd_lengths_in_every_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
