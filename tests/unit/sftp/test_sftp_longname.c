/*
 * test_sftp_longname.c - lines of ls -l as servers write them, and lines that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "nacre/sftp_attrs.h"

#include <stdlib.h>
#include <string.h>

#define ALL                                                                                        \
    (NACRE_SFTP_LONGNAME_MODE | NACRE_SFTP_LONGNAME_NLINK | NACRE_SFTP_LONGNAME_USER |             \
     NACRE_SFTP_LONGNAME_GROUP | NACRE_SFTP_LONGNAME_SIZE)

static const struct good {
    const char *line;
    uint32_t known, mode;
    uint64_t nlink, size;
    const char *user, *group, *date, *name;
} good[] = {
    {"-rw-r--r--    1 joe      users        1234 Jan  1 12:34 a file", ALL, 0100644, 1, 1234, "joe",
     "users", "Jan  1 12:34", "a file"},
    {"drwxr-sr-t+  12 1000     100          4096 Dec 31  1999 d", ALL, 043755, 12, 4096, "1000",
     "100", "Dec 31  1999", "d"},
    {"lrwxrwxrwx. 1 root root 7 Feb 29 00:00 l -> ../a b", ALL, 0120777, 1, 7, "root", "root",
     "Feb 29 00:00", "l -> ../a b"},
    {"-rwSr-Sr-T@ 1 u g 0 Mar  3 01:02  two spaces", ALL, 0107644, 1, 0, "u", "g", "Mar  3 01:02",
     " two spaces"},
    {"-rw-r--r--   1 0        0            1234 01 Jan 12:34 paramiko's", ALL, 0100644, 1, 1234,
     "0", "0", "01 Jan 12:34", "paramiko's"},
    {"-rw-------   1 0        0              12 (unknown date) x", ALL, 0100600, 1, 12, "0", "0",
     "(unknown date)", "x"},
    {"-rw-rw-r-- 2 joe Domain Users 99 2024-02-29 23:59:59.123456789 +0100 iso", ALL, 0100664, 2,
     99, "joe", "Domain Users", "2024-02-29 23:59:59.123456789 +0100", "iso"},
    {"-rw-rw-r-- 2 joe users 99 2024-02-29 23:59 +0100", ALL, 0100664, 2, 99, "joe", "users",
     "2024-02-29 23:59 +0100", ""},
    {"crw-rw-rw- 1 root tty 5, 0 Aug  8 08:08 tty", ALL & ~NACRE_SFTP_LONGNAME_SIZE, 020666, 1, 0,
     "root", "tty", "Aug  8 08:08", "tty"},
    {"?????????? ? ? ? ? Jan 1 1970 unknown", 0, 0, 0, 0, "", "", "Jan 1 1970", "unknown"},
    {"-rw-r--r--   ? joe users 5 Jan  1  1970 n", ALL & ~NACRE_SFTP_LONGNAME_NLINK, 0100644, 0, 5,
     "joe", "users", "Jan  1  1970", "n"},
    {"-rw-r--r-- joe users 5 Jan  1  1970 no links", ALL & ~NACRE_SFTP_LONGNAME_NLINK, 0100644, 0,
     5, "joe", "users", "Jan  1  1970", "no links"},
    {"-rw-r--r-- 1 joe users 18446744073709551615 7. M\303\244rz 12:00 largest", ALL, 0100644, 1,
     UINT64_MAX, "joe", "users", "7. M\303\244rz 12:00", "largest"},
    {"-rw-r--r-- 1 joe users 5 Jan  1 12:00 9 Jan  2 13:00 in the name", ALL, 0100644, 1, 5, "joe",
     "users", "Jan  1 12:00", "9 Jan  2 13:00 in the name"},
};

static bool text_is(nacre_span s, const char *text)
{
    return s.n == strlen(text) && (s.n == 0 || memcmp(s.p, text, s.n) == 0);
}

static void lines_of_servers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        const struct good *g = &good[i];
        nacre_sftp_longname_parts p;
        int rc = nacre_sftp_longname_parse(nc_span_cstr(g->line), &p);
        if (rc != NACRE_OK || p.known != g->known || p.permissions != g->mode ||
            p.nlink != g->nlink || p.size != g->size || !text_is(p.user, g->user) ||
            !text_is(p.group, g->group) || !text_is(p.date, g->date) || !text_is(p.name, g->name)) {
            fail_msg("%s: rc %d known %x mode %o size %llu", g->line, rc, p.known, p.permissions,
                     (unsigned long long)p.size);
        }
    }
}

static void no_lines(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "a",
        "total 12",
        "-rw-r--r--",
        "-rw-r--r-- 1 joe users 5",
        "-rw-r--r-- 1 joe users 5 Jan",
        "-rw-r--r-- 1 joe users 5 Jan 1",
        "-rw-r--r-- 1 joe users 5 Jan 32 12:00 x",
        "-rw-r--r-- 1 joe users -5 Jan 1 12:00 x",
        "-rw-r--r-- 1 joe users 18446744073709551616 Jan 1 12:00 x",
        "-rw-r--r- 1 joe users 5 Jan 1 12:00 x",
        "-rw-r--r--++ 1 joe users 5 Jan 1 12:00 x",
        "xrw-r--r-- 1 joe users 5 Jan 1 12:00 x",
        "-wr-r--r-- 1 joe users 5 Jan 1 12:00 x",
        "01-02-24  12:34PM       <DIR>          windows",
        "-rw-r--r-- a b c d e f g h i j k l m n o p q r s t u v w x y z 5 Jan 1 12:00 x",
    };
    nacre_sftp_longname_parts p;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (nacre_sftp_longname_parse(nc_span_cstr(bad[i]), &p) != NACRE_SYNTAX || p.known != 0) {
            fail_msg("'%s' was taken", bad[i]);
        }
    }
    char zero[] = "-rw-r--r-- 1 joe users 5 Jan 1 12:00 a\0b";
    assert_int_equal(nacre_sftp_longname_parse(nc_span(zero, sizeof(zero) - 1), &p), NACRE_SYNTAX);
}

/* What we write ourselves is read again. */
static void our_own(void **state)
{
    char text[256];
    nacre_sftp_longname_parts p;
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_SIZE |
                                   NACRE_SFTP_ATTR_ACMODTIME | NACRE_SFTP_ATTR_UIDGID};
    (void)state;
    static const uint32_t types[] = {NACRE_SFTP_S_IFREG, NACRE_SFTP_S_IFDIR, NACRE_SFTP_S_IFLNK,
                                     NACRE_SFTP_S_IFIFO, NACRE_SFTP_S_IFSOCK};
    for (uint32_t mode = 0; mode < 010000; mode += 7) {
        a.permissions = types[mode % 5] | mode;
        a.size = (uint64_t)mode << 40;
        a.mtime = mode * 100000;
        size_t n = nacre_sftp_longname(text, sizeof(text), nc_span_cstr("name"), &a, mode % 9, NULL,
                                       "staff", mode, 0);
        assert_true(n < sizeof(text));
        assert_int_equal(nacre_sftp_longname_parse(nc_span(text, n), &p), NACRE_OK);
        assert_int_equal(p.permissions, a.permissions);
        assert_int_equal(p.size, a.size);
        assert_int_equal(p.nlink, mode % 9);
        assert_true(text_is(p.user, "0"));
        assert_true(text_is(p.group, "staff"));
        assert_true(text_is(p.name, "name"));
    }
}

/* Every beginning of a good line, in a block that ends where it ends. */
static void cut_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        for (size_t n = 0; n <= strlen(good[i].line); n++) {
            nacre_sftp_longname_parts p;
            uint8_t *copy = malloc(n ? n : 1);
            assert_non_null(copy);
            memcpy(copy, good[i].line, n);
            if (nacre_sftp_longname_parse(nc_span(copy, n), &p) == NACRE_OK) {
                assert_true(p.date.p >= copy && p.date.p + p.date.n <= copy + n);
                assert_true(p.name.p >= copy && p.name.p + p.name.n <= copy + n);
            }
            free(copy);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_servers),
        cmocka_unit_test(no_lines),
        cmocka_unit_test(our_own),
        cmocka_unit_test(cut_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
