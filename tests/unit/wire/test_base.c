/* Memory, buffers, queues, errors and escaping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/error.h"

static void buffer_grows_to_its_cap_only(void **state)
{
    (void)state;
    nc_buf b;
    nc_buf_init(&b, NULL, 1000);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(nc_buf_append(&b, "0123456789", 10), NACRE_OK);
    }
    assert_int_equal(b.len, 1000);
    assert_int_equal(nc_buf_append(&b, "x", 1), NACRE_LIMIT);
    assert_null(nc_buf_extend(&b, 1));
    assert_int_equal(nc_buf_reserve(&b, SIZE_MAX), NACRE_LIMIT);
    assert_int_equal(b.len, 1000);
    nc_buf_truncate(&b, 3);
    assert_memory_equal(b.data, "012", 3);
    assert_int_equal(b.data[3], 0); /* wiped */
    nc_buf_clear(&b);
    assert_int_equal(nc_buf_append(&b, "again", 5), NACRE_OK);
    nc_buf_clear(&b);
}

static void queue_keeps_order_and_closes_gaps(void **state)
{
    (void)state;
    nc_queue q;
    nc_queue_init(&q, NULL, 4096);
    uint32_t in = 0, out = 0;
    for (int round = 0; round < 2000; round++) {
        size_t put = (size_t)(round * 7 % 13) + 1;
        for (size_t i = 0; i < put && nc_queue_len(&q) + 4 <= 2048; i++, in++) {
            assert_int_equal(nc_queue_append(&q, &in, 4), NACRE_OK);
        }
        size_t take = (size_t)(round * 5 % 11);
        for (size_t i = 0; i < take && nc_queue_len(&q) >= 4; i++, out++) {
            uint32_t v;
            memcpy(&v, nc_queue_front(&q), 4);
            assert_int_equal(v, out);
            nc_queue_consume(&q, 4);
        }
    }
    assert_true(q.buf.cap <= 4096);
    nc_queue_consume(&q, SIZE_MAX);
    assert_int_equal(nc_queue_len(&q), 0);
    nc_queue_shrink(&q, 16);
    assert_int_equal(q.buf.cap, 0);
    nc_queue_clear(&q);
}

static void constant_time_comparison_compares(void **state)
{
    (void)state;
    uint8_t a[33], b[33];
    memset(a, 0x5a, sizeof(a));
    memcpy(b, a, sizeof(b));
    assert_true(nc_ct_equal(a, b, sizeof(a)));
    for (size_t i = 0; i < sizeof(a); i++) {
        for (int bit = 0; bit < 8; bit++) {
            b[i] = (uint8_t)(b[i] ^ (1 << bit));
            assert_false(nc_ct_equal(a, b, sizeof(a)));
            b[i] = a[i];
        }
    }
    assert_true(nc_ct_equal(a, b, 0));
}

static void escaping_leaves_nothing_a_terminal_obeys(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain ~ text", "plain ~ text"},
        {"\x1b[31mred\x07", "\\033[31mred\\007"},
        {"a\nb\tc\r", "a\\012b\\011c\\015"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xe2\x82\xac \xf0\x9f\x90\x9a", "\xe2\x82\xac \xf0\x9f\x90\x9a"},
        {"\xc2\x9b"
         "31m",
         "\\302\\23331m"},                   /* C1 control */
        {"\xe2\x80\xae", "\\342\\200\\256"}, /* right-to-left override */
        {"\xc0\xaf", "\\300\\257"},          /* overlong */
        {"\xed\xa0\x80", "\\355\\240\\200"}, /* surrogate */
        {"\xe2\x82", "\\342\\202"},          /* cut */
        {"\xff\x7f", "\\377\\177"},
    };
    char out[128];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = nacre_escape(out, sizeof(out), nc_span_cstr(rows[i].in));
        assert_string_equal(out, rows[i].out);
        assert_int_equal(n, strlen(rows[i].out));
        /* Too little room: terminated, a prefix, no half escape. */
        for (size_t size = 1; size < n + 1; size++) {
            memset(out, 'x', sizeof(out));
            assert_int_equal(nacre_escape(out, size, nc_span_cstr(rows[i].in)), n);
            assert_true(strlen(out) < size);
            assert_memory_equal(out, rows[i].out, strlen(out));
        }
    }
    assert_int_equal(nacre_escape(NULL, 0, nc_span("\0", 1)), 4);
}

static void first_error_wins(void **state)
{
    (void)state;
    nacre_error e;
    nc_error_clear(&e);
    assert_int_equal(nc_fail(&e, NACRE_BAD_KEY, "first %d", 1), NACRE_BAD_KEY);
    assert_int_equal(nc_fail(&e, NACRE_IO, "second"), NACRE_IO);
    assert_int_equal(e.status, NACRE_BAD_KEY);
    assert_string_equal(e.text, "first 1");
    assert_int_equal(nc_fail(NULL, NACRE_IO, "nobody listens"), NACRE_IO);
}

static void status_table_is_sound(void **state)
{
    (void)state;
    static const int all[] = {
#define NUMBER(sym, num, cls, disc, text) num,
        NACRE_STATUS_TABLE(NUMBER)
#undef NUMBER
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        assert_true(all[i] <= 0);
        assert_true(strlen(nacre_status_text(all[i])) > 0);
        assert_memory_equal(nacre_status_symbol(all[i]), "NACRE_", 6);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(all[i], all[k]);
        }
    }
    assert_string_equal(nacre_status_text(12345), "unknown status");
    char expected[32];
    snprintf(expected, sizeof(expected), "%d.%d.%d", NACRE_VERSION_MAJOR, NACRE_VERSION_MINOR,
             NACRE_VERSION_PATCH);
    assert_string_equal(nacre_version(), expected);
    assert_int_equal(nacre_version_number(),
                     NACRE_VERSION_MAJOR * 65536 + NACRE_VERSION_MINOR * 256 + NACRE_VERSION_PATCH);
    static const struct {
        int status;
        nacre_class class;
    } classes[] = {
        {NACRE_OK, NACRE_CLASS_OK},
        {NACRE_AGAIN, NACRE_CLASS_AGAIN},
        {NACRE_NO_MEMORY, NACRE_CLASS_MEMORY},
        {NACRE_MALFORMED, NACRE_CLASS_PEER},
        {NACRE_AUTH_FAILED, NACRE_CLASS_AUTH},
        {NACRE_CLOSED, NACRE_CLASS_CLOSED},
        {NACRE_SCP_PROTOCOL, NACRE_CLASS_SFTP},
        {12345, NACRE_CLASS_USAGE},
    };
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        assert_int_equal(nacre_status_class(classes[i].status), classes[i].class);
    }
}

static void *no_memory(void *user, size_t n)
{
    (void)user;
    (void)n;
    return NULL;
}
static void *no_resize(void *user, void *p, size_t n)
{
    (void)user;
    (void)p;
    (void)n;
    return NULL;
}
static void no_release(void *user, void *p)
{
    (void)user;
    assert_null(p);
}

static void allocation_failure_changes_nothing(void **state)
{
    (void)state;
    const nacre_allocator none = {no_memory, no_resize, no_release, NULL};
    nc_buf b;
    nc_buf_init(&b, &none, 100);
    assert_int_equal(nc_buf_append(&b, "x", 1), NACRE_NO_MEMORY);
    assert_int_equal(b.len, 0);
    assert_null(nc_alloc_array(NULL, SIZE_MAX, 2));
    assert_null(nc_strdup(&none, "x"));
    nc_buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_grows_to_its_cap_only),
        cmocka_unit_test(queue_keeps_order_and_closes_gaps),
        cmocka_unit_test(constant_time_comparison_compares),
        cmocka_unit_test(escaping_leaves_nothing_a_terminal_obeys),
        cmocka_unit_test(first_error_wins),
        cmocka_unit_test(status_table_is_sound),
        cmocka_unit_test(allocation_failure_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
