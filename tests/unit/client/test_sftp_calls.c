/*
 * test_sftp_calls.c - the blocking calls that are one request each: what they do to the tree, what they say when it
 * cannot be done, and answers that are none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mem_server.h"
#include "nacre/sftp_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mem_server server;
static nacre_sftp *s;

static int set_up(void **state)
{
    (void)state;
    mem_server_init(&server);
    mem_backend_set(mem_backend_add(&server.files, "/a", NACRE_SFTP_S_IFREG | 0644), "text", 4);
    mem_backend_add(&server.files, "/d", NACRE_SFTP_S_IFDIR | 0755);
    mem_backend_set(mem_backend_add(&server.files, "/d/b", NACRE_SFTP_S_IFREG | 0600), "b", 1);
    return mem_server_open(&server, NULL, &s);
}

static int tear_down(void **state)
{
    (void)state;
    mem_server_close(&server, s);
    mem_server_clear(&server);
    return 0;
}

static void attributes(void **state)
{
    nacre_sftp_attrs a;
    nacre_sftp_file *f = NULL;
    (void)state;
    assert_int_equal(nacre_sftp_chmod(s, "/a", 0751), NACRE_OK);
    assert_int_equal(nacre_sftp_utime(s, "/a", 11, 22), NACRE_OK);
    assert_int_equal(nacre_sftp_stat(s, "/a", &a), NACRE_OK);
    assert_int_equal(a.permissions & 07777, 0751);
    assert_int_equal(a.atime, 11);
    assert_int_equal(a.mtime, 22);
    a = (nacre_sftp_attrs){.flags = NACRE_SFTP_ATTR_UIDGID, .uid = 5, .gid = 6};
    assert_int_equal(nacre_sftp_lsetstat(s, "/a", &a), NACRE_OK);
    assert_int_equal(nacre_sftp_lstat(s, "/a", &a), NACRE_OK);
    assert_int_equal(a.uid, 5);
    assert_int_equal(a.mtime, 22);
    /* by an open file */
    assert_int_equal(nacre_sftp_file_open(s, "/a", NACRE_FXF_WRITE, 0, &f), NACRE_OK);
    a = (nacre_sftp_attrs){.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = 0600};
    assert_int_equal(nacre_sftp_file_setstat(f, &a), NACRE_OK);
    assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    assert_int_equal(nacre_sftp_stat(s, "/a", &a), NACRE_OK);
    assert_int_equal(a.permissions & 07777, 0600);
    /* of nothing */
    static const char *const none[] = {"/none", "/none/none", ""};
    for (size_t i = 0; i < 3; i++) {
        assert_int_not_equal(nacre_sftp_chmod(s, none[i], 0700), NACRE_OK);
        assert_int_not_equal(nacre_sftp_utime(s, none[i], 1, 1), NACRE_OK);
        assert_int_not_equal(nacre_sftp_setstat(s, none[i], &a), NACRE_OK);
        assert_int_not_equal(nacre_sftp_lsetstat(s, none[i], &a), NACRE_OK);
        assert_int_not_equal(nacre_sftp_lstat(s, none[i], &a), NACRE_OK);
        assert_true(nacre_sftp_error(s)->text[0] != '\0');
    }
    assert_int_equal(nacre_sftp_chmod(s, "/none", 0700), NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_status(s), NACRE_FX_NO_SUCH_FILE);
}

static void names(void **state)
{
    nacre_sftp_statvfs v;
    nacre_sftp_attrs a;
    char *text = NULL;
    (void)state;
    assert_int_equal(nacre_sftp_hardlink(s, "/a", "/h"), NACRE_OK);
    assert_int_equal(nacre_sftp_stat(s, "/h", &a), NACRE_OK);
    assert_int_equal(nacre_sftp_hardlink(s, "/a", "/h"), NACRE_SFTP_STATUS);
    /* an existing target stays what it was */
    assert_int_equal(nacre_sftp_rename_new(s, "/d/b", "/a"), NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_stat(s, "/a", &a), NACRE_OK);
    assert_int_equal(a.size, 4);
    assert_int_equal(nacre_sftp_rename_new(s, "/a", "/moved"), NACRE_OK);
    assert_int_equal(nacre_sftp_stat(s, "/a", &a), NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_stat(s, "/moved", &a), NACRE_OK);
    assert_int_equal(nacre_sftp_expand(s, "~/x", &text), NACRE_OK);
    assert_string_equal(text, "/home/me/x");
    nacre_sftp_string_free(s, text);
    assert_int_equal(nacre_sftp_statvfs_path(s, "/d", &v), NACRE_OK);
    assert_int_equal(v.bsize, 1);
    assert_int_equal(v.namemax, 255);
    assert_int_equal(nacre_sftp_statvfs_path(s, "/none", &v), NACRE_SFTP_STATUS);
}

static void what_the_server_offers(void **state)
{
    nacre_sftp_limits l;
    nacre_span name, data;
    size_t n = 0;
    (void)state;
    assert_int_equal(nacre_sftp_chmod(s, "/a", 0644), NACRE_OK); /* VERSION is there */
    while (nacre_sftp_extension_at(s, n, &name, &data)) {
        assert_true(name.n > 0);
        n++;
    }
    assert_in_range(n, 10, 100);
    assert_false(nacre_sftp_extension_at(s, SIZE_MAX, &name, &data));
    nacre_sftp_get_limits(s, &l);
    assert_true(l.max_read >= 32768 && l.max_write >= 32768 && l.max_packet >= 34000);
}

static void directories(void **state)
{
    nacre_sftp_dir *d = NULL;
    nacre_sftp_name entry;
    unsigned found = 0;
    (void)state;
    assert_int_equal(nacre_sftp_opendir(s, "/d", &d), NACRE_OK);
    int rc;
    while ((rc = nacre_sftp_readdir(d, &entry)) == NACRE_OK) {
        assert_int_equal(entry.name.p[entry.name.n], 0);
        found += strcmp((const char *)entry.name.p, "b") == 0 ? 1 : 0;
    }
    assert_int_equal(rc, NACRE_END);
    assert_int_equal(nacre_sftp_readdir(d, &entry), NACRE_END);
    assert_int_equal(found, 1);
    nacre_sftp_closedir(d);
    assert_int_equal(nacre_sftp_opendir(s, "/a", &d), NACRE_SFTP_STATUS);
    assert_null(d);
    assert_int_equal(nacre_sftp_opendir(s, "/none", &d), NACRE_SFTP_STATUS);
    nacre_sftp_closedir(NULL);
}

/* ---- answers that are none ---- */

static const char *lie;
static size_t lie_n;

static bool lies(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    (void)m;
    (void)r;
    if (type != NACRE_FXP_REALPATH && type != NACRE_FXP_READLINK && type != NACRE_FXP_EXTENDED) {
        return false;
    }
    nc_wr_u8(w, type == NACRE_FXP_EXTENDED ? NACRE_FXP_EXTENDED_REPLY : NACRE_FXP_NAME);
    nc_wr_u32(w, id);
    nc_wr_bytes(w, nc_span(lie, lie_n));
    return true;
}

static void a_name_that_is_none(void **state)
{
    static const char zero[] = "\0\0\0\1\0\0\0\3/\0x\0\0\0\1l\0\0\0\0";
    char *text = NULL;
    (void)state;
    lie = zero;
    lie_n = sizeof(zero) - 1;
    server.script = lies;
    assert_int_equal(nacre_sftp_readlink(s, "/a", &text), NACRE_SFTP_PROTOCOL);
    assert_null(text);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "holds no name"));
}

static void numbers_that_are_cut(void **state)
{
    static const char few[] = "\0\0\0\0\0\0\0\1";
    nacre_sftp_statvfs v;
    (void)state;
    assert_int_equal(nacre_sftp_chmod(s, "/a", 0644), NACRE_OK);
    lie = few;
    lie_n = sizeof(few) - 1;
    server.script = lies;
    assert_int_equal(nacre_sftp_statvfs_path(s, "/", &v), NACRE_SFTP_PROTOCOL);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "statvfs is cut off"));
    /* the session is over: nothing passes for done */
    assert_int_not_equal(nacre_sftp_chmod(s, "/a", 0600), NACRE_OK);
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(attributes),
        ROW(names),
        ROW(what_the_server_offers),
        ROW(directories),
        ROW(a_name_that_is_none),
        ROW(numbers_that_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
