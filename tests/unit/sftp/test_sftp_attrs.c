/*
 * Attributes, ls -l text, status names.
 */
#include "base/mem.h"
#include "nacre/sftp_attrs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void round_trip(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 32; bits++) {
        nacre_sftp_attrs a = {.flags = bits & 15,
                              .size = UINT64_C(0x0102030405060708),
                              .uid = 1,
                              .gid = 0xFFFFFFFF,
                              .permissions = 0100644,
                              .atime = 0x80000000,
                              .mtime = 3};
        if (bits & 16) {
            a.flags |= NACRE_SFTP_ATTR_EXTENDED;
            a.extended_count = 2;
            a.extended = nc_span("\0\0\0\1a\0\0\0\0\0\0\0\2bc\0\0\0\1d", 9 + 11);
        }
        uint8_t b[100];
        size_t n;
        size_t used;
        nacre_sftp_attrs back;
        assert_int_equal(nacre_sftp_attrs_encode(&a, b, sizeof(b), &n), NACRE_OK);
        assert_int_equal(nacre_sftp_attrs_encode(&a, b, n - 1, &used), NACRE_TOO_LARGE);
        assert_int_equal(used, n);
        assert_int_equal(nacre_sftp_attrs_encode(&a, b, n, &used), NACRE_OK);
        assert_int_equal(nacre_sftp_attrs_decode(nc_span(b, sizeof(b)), &used, &back), NACRE_OK);
        assert_int_equal(used, n);
        assert_int_equal(back.flags, a.flags);
        assert_true(!(bits & 1) || back.size == a.size);
        assert_true(!(bits & 2) || (back.uid == a.uid && back.gid == a.gid));
        assert_true(!(bits & 4) || back.permissions == a.permissions);
        assert_true(!(bits & 8) || (back.atime == a.atime && back.mtime == a.mtime));
        assert_true(nc_span_eq(back.extended, a.extended));
        for (size_t cut = 0; cut < n; cut++) {
            assert_int_equal(nacre_sftp_attrs_decode(nc_span(b, cut), &used, &back),
                             NACRE_MALFORMED);
            assert_int_equal(back.flags, 0);
            assert_int_equal(used, 0);
        }
    }
}

static void extended(void **state)
{
    nacre_span rest = nc_span("\0\0\0\1a\0\0\0\0\0\0\0\2bc\0\0\0\1d", 20);
    nacre_span type;
    nacre_span data;
    size_t used;
    nacre_sftp_attrs a;
    uint8_t b[64];
    (void)state;
    assert_true(nacre_sftp_attrs_next(&rest, &type, &data));
    assert_true(nc_span_is(type, "a") && data.n == 0);
    assert_true(nacre_sftp_attrs_next(&rest, &type, &data));
    assert_true(nc_span_is(type, "bc") && nc_span_is(data, "d"));
    assert_false(nacre_sftp_attrs_next(&rest, &type, &data));
    static const char *const absurd[] = {"\xFF\xFF\xFF\xFF", "\x80\0\0\0", "\0\0\0\1"};
    for (size_t i = 0; i < 3; i++) {
        memcpy(b, "\x80\0\0\0", 4);
        memcpy(b + 4, absurd[i], 4);
        memcpy(b + 8, "\0\0\0\0", 4);
        assert_int_equal(nacre_sftp_attrs_decode(nc_span(b, 12), &used, &a), NACRE_MALFORMED);
    }
    memset(&a, 0, sizeof(a));
    a.flags = NACRE_SFTP_ATTR_EXTENDED;
    a.extended_count = 1;
    a.extended = nc_span("\0\0\0\1a", 5);
    assert_int_equal(nacre_sftp_attrs_encode(&a, b, sizeof(b), &used), NACRE_INVALID_ARGUMENT);
    /* Flags that nobody knows carry nothing. */
    assert_int_equal(nacre_sftp_attrs_decode(nc_span("\x7F\xFF\xFF\xF0", 4), &used, &a), NACRE_OK);
    assert_int_equal(a.flags, 0);
}

static void longnames(void **state)
{
    char line[200];
    nacre_sftp_attrs a = {.flags = 15,
                          .size = 12345,
                          .uid = 1000,
                          .gid = 100,
                          .permissions = 0100644,
                          .mtime = 951782400}; /* 2000-02-29 00:00 UTC */
    (void)state;
    nacre_span name = nc_span_cstr("file");
    size_t n = nacre_sftp_longname(line, sizeof(line), name, &a, 1, "me", "us", 951790000, 0);
    assert_string_equal(line, "-rw-r--r--   1 me       us          12345 Feb 29 00:00 file");
    assert_int_equal(n, strlen(line));
    (void)nacre_sftp_longname(line, sizeof(line), name, &a, 1, "me", "us", 951790000, -3600);
    assert_string_equal(line, "-rw-r--r--   1 me       us          12345 Feb 28 23:00 file");
    (void)nacre_sftp_longname(line, sizeof(line), name, &a, 2, NULL, NULL, 1700000000, 86400);
    assert_string_equal(line, "-rw-r--r--   2 1000     100         12345 Mar  1  2000 file");
    (void)nacre_sftp_longname(line, sizeof(line), name, &a, 2, NULL, NULL, 0, 0);
    assert_string_equal(line, "-rw-r--r--   2 1000     100         12345 Feb 29  2000 file");
    a.flags = 0;
    (void)nacre_sftp_longname(line, sizeof(line), name, &a, 0, NULL, NULL, 0, 0);
    assert_string_equal(line, "??????????   ? ?        ?               0 Jan  1 00:00 file");
    for (size_t size = 1; size < 60; size++) {
        memset(line, 'x', sizeof(line));
        assert_int_equal(nacre_sftp_longname(line, size, name, &a, 0, NULL, NULL, 0, 0), 59);
        assert_int_equal(line[size - 1], '\0');
        assert_int_equal(line[size], 'x');
    }
    static const struct {
        uint32_t mode;
        const char *text;
    } modes[] = {{040755, "drwxr-xr-x"},  {0104755, "-rwsr-xr-x"}, {0104644, "-rwSr--r--"},
                 {0102755, "-rwxr-sr-x"}, {041777, "drwxrwxrwt"},  {041776, "drwxrwxrwT"},
                 {0120777, "lrwxrwxrwx"}, {0140000, "s---------"}, {010000, "p---------"},
                 {020000, "c---------"},  {060000, "b---------"},  {0170000, "?---------"}};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        char text[11];
        nacre_sftp_mode_text(modes[i].mode, text);
        assert_string_equal(text, modes[i].text);
    }
}

static void names(void **state)
{
    (void)state;
    static const char *const bad[] = {"", ".", "..", "/", "a/b", "/a", "a/"};
    static const char *const good[] = {"a", "...", ".a", "a b", "\xFF"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(nacre_sftp_name_is_plain(nc_span_cstr(bad[i])));
    }
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(nacre_sftp_name_is_plain(nc_span_cstr(good[i])));
    }
    assert_false(nacre_sftp_name_is_plain(nc_span("a\0b", 3)));
    assert_string_equal(nacre_sftp_status_text(NACRE_FX_NO_SUCH_FILE), "No such file");
    assert_string_equal(nacre_sftp_status_name(NACRE_FX_EOF), "SSH_FX_EOF");
    assert_string_equal(nacre_sftp_status_text(9), "Unknown status");
    assert_string_equal(nacre_sftp_status_name(0xFFFFFFFF), "SSH_FX_?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(extended),
        cmocka_unit_test(longnames),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
