/*
 * test_local_files.c - the local directory behind an SFTP server, operation by operation.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "io/local_path.h"
#include "nacre/local_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Stands in for the server machine: keeps what an operation answers. */
struct nacre_sftp_answer {
    char path[4096];
    char names[32][64];
    size_t count, room;
};

bool nacre_sftp_answer_path(nacre_sftp_answer *out, nacre_span path)
{
    assert_true(path.n < sizeof(out->path));
    memcpy(out->path, path.p, path.n);
    out->path[path.n] = '\0';
    return true;
}

bool nacre_sftp_answer_name(nacre_sftp_answer *out, const nacre_sftp_name *entry)
{
    if (out->count == out->room) {
        return false;
    }
    assert_true(entry->longname.n > entry->name.n);
    assert_true(entry->name.n < 64);
    memcpy(out->names[out->count], entry->name.p, entry->name.n);
    out->names[out->count++][entry->name.n] = '\0';
    return true;
}

static char dir[] = "/tmp/nacre-files-XXXXXX";
static char real[4096];
static nacre_local_files *files;
static nacre_sftp_call call;
static const nacre_sftp_server_ops *ops;

static nacre_span s(const char *text)
{
    return nc_span_cstr(text);
}

static int setup(void **state)
{
    (void)state;
    (void)memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    assert_non_null(realpath(dir, real));
    nacre_local_files_options o;
    nacre_local_files_options_init(&o);
    o.start = dir;
    assert_int_equal(nacre_local_files_new(&files, &o, NULL), NACRE_OK);
    ops = nacre_local_files_ops();
    memset(&call, 0, sizeof(call));
    call.user = files;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    nacre_local_files_free(files);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

static void make(const char *name, const char *text)
{
    void *f = NULL;
    assert_int_equal(
        ops->open(&call, s(name), NACRE_FXF_WRITE | NACRE_FXF_CREAT | NACRE_FXF_TRUNC, NULL, &f),
        NACRE_FX_OK);
    assert_int_equal(ops->write(&call, f, 0, s(text)), NACRE_FX_OK);
    assert_int_equal(ops->close(&call, files, f), NACRE_FX_OK);
}

static void assert_holds(const char *name, const char *text)
{
    void *f = NULL;
    uint8_t a[3], b[100];
    nacre_room rooms[2] = {{a, 3}, {b, 100}};
    size_t got = 0;
    assert_int_equal(ops->open(&call, s(name), NACRE_FXF_READ, NULL, &f), NACRE_FX_OK);
    assert_int_equal(ops->read(&call, f, 0, rooms, 2, 103, &got), NACRE_FX_OK);
    assert_int_equal(got, strlen(text));
    assert_memory_equal(a, text, got < 3 ? got : 3);
    if (got > 3) {
        assert_memory_equal(b, text + 3, got - 3);
    }
    assert_int_equal(ops->read(&call, f, 0, rooms, 2, 2, &got), NACRE_FX_OK);
    assert_int_equal(got, 2);
    assert_int_equal(ops->read(&call, f, strlen(text), rooms, 2, 10, &got), NACRE_FX_EOF);
    assert_int_equal(ops->read(&call, f, UINT64_MAX, rooms, 2, 10, &got), NACRE_FX_BAD_MESSAGE);
    assert_int_equal(ops->close(NULL, files, f), NACRE_FX_OK);
}

static void test_files(void **state)
{
    (void)state;
    void *f = NULL;
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = 0100640};
    make("one", "hello, world");
    assert_holds("one", "hello, world");
    assert_int_equal(ops->open(&call, s("none"), NACRE_FXF_READ, NULL, &f), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->open(&call, s("one/x"), NACRE_FXF_READ, NULL, &f), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->open(&call, s(""), NACRE_FXF_READ, NULL, &f), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->open(&call, nc_span("one\0x", 5), NACRE_FXF_READ, NULL, &f),
                     NACRE_FX_NO_SUCH_FILE);
    uint32_t excl = NACRE_FXF_WRITE | NACRE_FXF_CREAT | NACRE_FXF_EXCL;
    assert_int_equal(ops->open(&call, s("one"), excl, NULL, &f), NACRE_FX_FAILURE);
    assert_non_null(call.message);
    assert_int_equal(ops->open(&call, s("two"), excl, &a, &f), NACRE_FX_OK);
    nacre_sftp_attrs got;
    assert_int_equal(ops->fstat(&call, f, &got), NACRE_FX_OK);
    assert_int_equal(got.permissions, 0100640);
    assert_int_equal(ops->write(&call, f, UINT64_MAX, s("x")), NACRE_FX_FAILURE);
    assert_int_equal(ops->write(&call, f, INT64_MAX, s("xx")), NACRE_FX_FAILURE);
    assert_int_equal(ops->fsync(&call, f), NACRE_FX_OK);
    assert_int_equal(ops->close(&call, files, f), NACRE_FX_OK);
    uint32_t app = NACRE_FXF_WRITE | NACRE_FXF_APPEND;
    assert_int_equal(ops->open(&call, s("one"), app, NULL, &f), NACRE_FX_OK);
    assert_int_equal(ops->write(&call, f, 0, s("!")), NACRE_FX_OK);
    assert_int_equal(ops->close(&call, files, f), NACRE_FX_OK);
    assert_holds("one", "hello, world!");
}

static void test_attributes(void **state)
{
    (void)state;
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_SIZE | NACRE_SFTP_ATTR_PERMISSIONS |
                                   NACRE_SFTP_ATTR_ACMODTIME,
                          .size = 5,
                          .permissions = 0600,
                          .atime = 1,
                          .mtime = 4000000000u};
    nacre_sftp_attrs got;
    make("f", "hello, world");
    assert_int_equal(ops->symlink(&call, s("f"), s("l")), NACRE_FX_OK);
    assert_int_equal(ops->setstat(&call, s("l"), &a), NACRE_FX_OK);
    assert_int_equal(ops->stat(&call, s("l"), &got), NACRE_FX_OK);
    assert_int_equal(got.size, 5);
    assert_int_equal(got.permissions, 0100600);
    assert_int_equal(got.mtime, 4000000000u);
    assert_int_equal(ops->lstat(&call, s("l"), &got), NACRE_FX_OK);
    assert_int_equal(got.permissions & NACRE_SFTP_S_IFMT, NACRE_SFTP_S_IFLNK);
    assert_int_equal(ops->lsetstat(&call, s("l"), &a), NACRE_FX_BAD_MESSAGE);
    a.flags = NACRE_SFTP_ATTR_ACMODTIME;
    a.mtime = 77;
    assert_int_equal(ops->lsetstat(&call, s("l"), &a), NACRE_FX_OK);
    assert_int_equal(ops->lstat(&call, s("l"), &got), NACRE_FX_OK);
    assert_int_equal(got.mtime, 77);
    a.flags = NACRE_SFTP_ATTR_SIZE;
    a.size = UINT64_MAX;
    assert_int_equal(ops->setstat(&call, s("f"), &a), NACRE_FX_FAILURE);
    a.flags = 0;
    assert_int_equal(ops->setstat(&call, s("f"), &a), NACRE_FX_OK);
    assert_int_equal(ops->stat(&call, s("f"), &got), NACRE_FX_OK);
    assert_int_equal(got.size, 5);
}

static void test_names(void **state)
{
    (void)state;
    nacre_sftp_answer out = {.room = 32};
    char want[4200];
    make("a", "aa");
    make("b", "bb");
    assert_int_equal(ops->rename(&call, s("a"), s("b")), NACRE_FX_FAILURE);
    assert_holds("a", "aa");
    assert_holds("b", "bb");
    assert_int_equal(ops->rename(&call, s("a"), s("c")), NACRE_FX_OK);
    assert_int_equal(ops->rename(&call, s("a"), s("d")), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->posix_rename(&call, s("c"), s("b")), NACRE_FX_OK);
    assert_holds("b", "aa");
    assert_int_equal(ops->hardlink(&call, s("b"), s("h")), NACRE_FX_OK);
    assert_int_equal(ops->hardlink(&call, s("b"), s("h")), NACRE_FX_FAILURE);
    assert_int_equal(ops->mkdir(&call, s("sub"), NULL), NACRE_FX_OK);
    assert_int_equal(ops->mkdir(&call, s("sub"), NULL), NACRE_FX_FAILURE);
    assert_int_equal(ops->remove(&call, s("sub")), NACRE_FX_FAILURE);
    assert_int_equal(ops->symlink(&call, s("../b"), s("sub/up")), NACRE_FX_OK);
    assert_int_equal(ops->readlink(&call, s("sub/up"), &out), NACRE_FX_OK);
    assert_string_equal(out.path, "../b");
    assert_int_equal(ops->readlink(&call, s("b"), &out), NACRE_FX_BAD_MESSAGE);
    assert_int_equal(ops->rmdir(&call, s("sub")), NACRE_FX_FAILURE);
    assert_int_equal(ops->realpath(&call, s("sub/./up"), &out), NACRE_FX_OK);
    (void)snprintf(want, sizeof(want), "%s/b", real);
    assert_string_equal(out.path, want);
    assert_int_equal(ops->realpath(&call, s("."), &out), NACRE_FX_OK);
    assert_string_equal(out.path, real);
    assert_int_equal(ops->realpath(&call, s("/../..//tmp/../"), &out), NACRE_FX_OK);
    assert_string_equal(out.path, "/");
    assert_int_equal(ops->realpath(&call, s("none"), &out), NACRE_FX_OK); /* the last may lack */
    assert_int_equal(ops->realpath(&call, s("none/x"), &out), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->symlink(&call, s("loop"), s("loop")), NACRE_FX_OK);
    assert_int_equal(ops->realpath(&call, s("loop"), &out), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->expand_path(&call, s("~root/x"), &out), NACRE_FX_OK);
    assert_int_equal(ops->expand_path(&call, s("~no-such-user"), &out), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->home_directory(&call, s("root"), &out), NACRE_FX_OK);
    assert_int_equal(out.path[0], '/');
    char name[32];
    assert_int_equal(ops->name_of_id(&call, 0, false, name, sizeof(name)), 4);
    assert_memory_equal(name, "root", 4);
    assert_int_equal(ops->name_of_id(&call, 0, false, name, 3), 0);
}

static void test_listing_in_pieces(void **state)
{
    (void)state;
    void *d = NULL;
    char name[16];
    for (int i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "f%d", i);
        make(name, "x");
    }
    assert_int_equal(ops->opendir(&call, s("f1"), &d), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->opendir(&call, s("."), &d), NACRE_FX_OK);
    size_t total = 0;
    for (;;) {
        nacre_sftp_answer out = {.room = 3};
        assert_int_equal(ops->readdir(&call, d, &out), NACRE_FX_OK);
        total += out.count;
        if (out.count == 0) {
            break;
        }
    }
    assert_int_equal(total, 22); /* with "." and "..", none lost at a boundary */
    assert_int_equal(ops->closedir(NULL, files, d), NACRE_FX_OK);
}

static void test_copy_and_statvfs(void **state)
{
    (void)state;
    void *a = NULL, *b = NULL;
    uint64_t n = 0;
    nacre_sftp_statvfs v;
    make("src", "0123456789");
    uint32_t rw = NACRE_FXF_READ | NACRE_FXF_WRITE | NACRE_FXF_CREAT;
    assert_int_equal(ops->open(&call, s("src"), NACRE_FXF_READ, NULL, &a), NACRE_FX_OK);
    assert_int_equal(ops->open(&call, s("dst"), rw, NULL, &b), NACRE_FX_OK);
    assert_int_equal(ops->copy_data(&call, a, 2, 3, b, 0, &n), NACRE_FX_OK);
    assert_int_equal(n, 3);
    n = 0;
    assert_holds("dst", "234");
    assert_int_equal(ops->copy_data(&call, a, 5, 0, b, 3, &n), NACRE_FX_OK);
    assert_int_equal(n, 5);
    n = 0;
    assert_int_equal(ops->copy_data(&call, a, 10, 0, b, 8, &n), NACRE_FX_OK);
    assert_int_equal(n, 0);
    assert_holds("dst", "23456789");
    assert_int_equal(ops->copy_data(&call, a, 0, 0, a, 0, &n), NACRE_FX_FAILURE);
    assert_int_equal(ops->copy_data(&call, a, UINT64_MAX, 0, b, 0, &n), NACRE_FX_BAD_MESSAGE);
    assert_int_equal(ops->statvfs(&call, s("."), &v), NACRE_FX_OK);
    assert_true(v.bsize > 0 && v.namemax > 0);
    assert_int_equal(ops->statvfs(&call, s("none"), &v), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->close(&call, files, a), NACRE_FX_OK);
    assert_int_equal(ops->close(&call, files, b), NACRE_FX_OK);
}

static void test_read_only(void **state)
{
    (void)state;
    nacre_local_files *mine = files;
    nacre_local_files_options o;
    nacre_sftp_attrs a = {0};
    uint64_t n = 0;
    void *f = NULL;
    make("f", "x");
    nacre_local_files_options_init(&o);
    o.start = dir;
    o.read_only = true;
    assert_int_equal(nacre_local_files_new(&files, &o, NULL), NACRE_OK);
    call.user = files;
    const uint32_t no = NACRE_FX_PERMISSION_DENIED;
    assert_int_equal(ops->open(&call, s("n"), NACRE_FXF_READ | NACRE_FXF_CREAT, NULL, &f), no);
    assert_int_equal(ops->open(&call, s("f"), NACRE_FXF_READ | NACRE_FXF_TRUNC, NULL, &f), no);
    assert_int_equal(ops->open(&call, s("f"), NACRE_FXF_WRITE, NULL, &f), no);
    assert_int_equal(ops->setstat(&call, s("f"), &a), no);
    assert_int_equal(ops->lsetstat(&call, s("f"), &a), no);
    assert_int_equal(ops->remove(&call, s("f")), no);
    assert_int_equal(ops->mkdir(&call, s("d"), NULL), no);
    assert_int_equal(ops->rmdir(&call, s("d")), no);
    assert_int_equal(ops->rename(&call, s("f"), s("g")), no);
    assert_int_equal(ops->posix_rename(&call, s("f"), s("g")), no);
    assert_int_equal(ops->hardlink(&call, s("f"), s("g")), no);
    assert_int_equal(ops->symlink(&call, s("f"), s("g")), no);
    assert_int_equal(ops->open(&call, s("f"), NACRE_FXF_READ, NULL, &f), NACRE_FX_OK);
    assert_int_equal(ops->fsetstat(&call, f, &a), no);
    assert_int_equal(ops->write(&call, f, 0, s("x")), no);
    assert_int_equal(ops->copy_data(&call, f, 0, 0, f, 0, &n), no);
    assert_int_equal(ops->close(&call, files, f), NACRE_FX_OK);
    nacre_local_files_free(files);
    files = mine;
    o.start = "/nonexistent";
    nacre_local_files *none = NULL;
    assert_int_equal(nacre_local_files_new(&none, &o, NULL), NACRE_IO);
    assert_null(none);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(test_files),     WITH_DIR(test_attributes),
        WITH_DIR(test_names),     WITH_DIR(test_listing_in_pieces),
        WITH_DIR(test_read_only), WITH_DIR(test_copy_and_statvfs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
