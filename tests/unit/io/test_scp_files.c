/* The local ends of the copy protocol: a tree that is read, and a place where things are made. */
#include "io/scp_files.h"

#include "io/new_file.h"
#include "support/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char top[64];
static int top_fd;

static nc_scp_record record(nc_scp_kind kind, const char *name, uint32_t mode, uint64_t size)
{
    nc_scp_record r = {.kind = kind, .st = {.mode = mode, .size = size}};
    r.name = nc_span_cstr(name);
    return r;
}

static void put_file(const char *path, const char *text, mode_t mode)
{
    int fd = openat(top_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void expect_file(const char *path, const char *text)
{
    char got[256] = "";
    int fd = openat(top_fd, path, O_RDONLY | O_NOFOLLOW);
    assert_true(fd >= 0);
    ssize_t n = read(fd, got, sizeof(got) - 1);
    assert_int_equal(n, strlen(text));
    assert_string_equal(got, text);
    close(fd);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(fstatat(top_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode & 07777;
}

/* How many names there are, so that no temporary one stays unseen. */
static int count_names(const char *path)
{
    int n = 0;
    DIR *d = fdopendir(openat(top_fd, path, O_RDONLY | O_DIRECTORY));
    assert_non_null(d);
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 ? 1 : 0;
    }
    closedir(d);
    return n;
}

static int empty_top(void **state)
{
    char command[256];
    (void)state;
    (void)snprintf(command, sizeof(command), "chmod -R u+rwX %s; rm -rf %s/* %s/.[!.]*", top, top,
                   top);
    return system(command) == 0 ? 0 : -1;
}

static nc_scp_place_options options(const char *target)
{
    nc_scp_place_options o = {.at = top_fd, .target = target, .umask = 022};
    return o;
}

static nc_scp_place *place_at(const nc_scp_place_options *o)
{
    nc_scp_place *p = NULL;
    nacre_error err = {.status = NACRE_OK};
    if (nc_scp_place_new(&p, o, &err) != NACRE_OK) {
        fail_msg("%s", err.text);
    }
    return p;
}

/* A file with that text: the first failure's status. */
static int receive(nc_scp_place *p, const nc_scp_record *r, const char *text, bool whole)
{
    nacre_error why = {.status = NACRE_OK};
    int rc = nc_scp_place_ops.file(p, r, &why);
    if (rc == NACRE_OK) {
        rc = nc_scp_place_ops.write(p, nc_span_cstr(text), &why);
        int end = nc_scp_place_ops.finish(p, whole && rc == NACRE_OK, &why);
        rc = rc == NACRE_OK ? end : rc;
    }
    assert_true(rc == NACRE_OK || why.text[0] != '\0');
    return rc;
}

static void test_modes(void **state)
{
    nc_scp_place_options o = options(".");
    nc_scp_record r = record(NC_SCP_FILE, "new", 06777, 3);
    (void)state;
    nc_scp_place *p = place_at(&o);
    assert_int_equal(receive(p, &r, "abc", true), NACRE_OK);
    assert_int_equal(mode_of("new"), 0755);
    put_file("old", "old text", 0640);
    r.name = nc_span_cstr("old");
    assert_int_equal(receive(p, &r, "new", true), NACRE_OK);
    expect_file("old", "new");
    assert_int_equal(mode_of("old"), 0640);
    nc_scp_place_free(p);
    o.preserve = true;
    p = place_at(&o);
    r.st.has_times = true;
    r.st.mtime = 1234567890;
    assert_int_equal(receive(p, &r, "", true), NACRE_OK);
    assert_int_equal(mode_of("old"), 0777);
    struct stat st;
    assert_int_equal(fstatat(top_fd, "old", &st, 0), 0);
    assert_int_equal(st.st_mtime, 1234567890);
    nc_scp_place_free(p);
    o.keep_special = true;
    p = place_at(&o);
    assert_int_equal(receive(p, &r, "", true), NACRE_OK);
    assert_int_equal(mode_of("old"), 06777);
    nc_scp_place_free(p);
}

static void test_what_is_not_whole_is_not_there(void **state)
{
    nc_scp_place_options o = options(".");
    nc_scp_record r = record(NC_SCP_FILE, "new", 0644, 3);
    nacre_error why = {.status = NACRE_OK};
    (void)state;
    put_file("old", "old text", 0640);
    nc_scp_place *p = place_at(&o);
    assert_int_equal(receive(p, &r, "ab", false), NACRE_OK);
    r.name = nc_span_cstr("old");
    assert_int_equal(receive(p, &r, "ab", false), NACRE_OK);
    assert_int_equal(count_names("."), 1);
    expect_file("old", "old text");
    assert_int_equal(nc_scp_place_ops.file(p, &r, &why), NACRE_OK);
    assert_int_equal(nc_scp_place_ops.write(p, nc_span_cstr("x"), &why), NACRE_OK);
    nc_scp_place_free(p); /* in the middle */
    assert_int_equal(count_names("."), 1);
    expect_file("old", "old text");
}

static void test_links_are_not_followed(void **state)
{
    nc_scp_place_options o = options("in");
    nc_scp_record r = record(NC_SCP_FILE, "link", 0644, 3),
                  d = record(NC_SCP_DIR, "dlink", 0755, 0);
    nacre_error why = {.status = NACRE_OK};
    (void)state;
    put_file("victim", "precious", 0600);
    assert_int_equal(mkdirat(top_fd, "in", 0755), 0);
    assert_int_equal(mkdirat(top_fd, "out", 0755), 0);
    assert_int_equal(symlinkat("../victim", top_fd, "in/link"), 0);
    assert_int_equal(symlinkat("../out", top_fd, "in/dlink"), 0);
    nc_scp_place *p = place_at(&o);
    assert_int_equal(receive(p, &r, "new", true), NACRE_OK);
    expect_file("victim", "precious");
    expect_file("in/link", "new");
    assert_int_equal(nc_scp_place_ops.enter(p, &d, &why), NACRE_IO);
    assert_int_equal(count_names("out"), 0);
    nc_scp_place_free(p);
}

/* Somebody renames the directory and puts a link in its place while files come. */
static void test_a_directory_that_is_swapped(void **state)
{
    nc_scp_place_options o = options("in");
    nc_scp_record d = record(NC_SCP_DIR, "d", 0755, 0), r = record(NC_SCP_FILE, "f", 0644, 3);
    nacre_error why = {.status = NACRE_OK};
    (void)state;
    assert_int_equal(mkdirat(top_fd, "in", 0755), 0);
    assert_int_equal(mkdirat(top_fd, "out", 0755), 0);
    nc_scp_place *p = place_at(&o);
    assert_int_equal(nc_scp_place_ops.enter(p, &d, &why), NACRE_OK);
    assert_int_equal(renameat(top_fd, "in/d", top_fd, "moved"), 0);
    assert_int_equal(symlinkat("../out", top_fd, "in/d"), 0);
    assert_int_equal(receive(p, &r, "abc", true), NACRE_OK);
    assert_int_equal(nc_scp_place_ops.leave(p, &why), NACRE_OK);
    assert_int_equal(count_names("out"), 0);
    expect_file("moved/f", "abc");
    nc_scp_place_free(p);
}

static void test_what_stands_in_the_way(void **state)
{
    nc_scp_place_options o = options(".");
    nc_scp_record r = record(NC_SCP_FILE, "fifo", 0644, 3), d = record(NC_SCP_DIR, "file", 0755, 0);
    nacre_error why = {.status = NACRE_OK};
    (void)state;
    assert_int_equal(mkfifoat(top_fd, "fifo", 0600), 0);
    assert_int_equal(mkdirat(top_fd, "dir", 0755), 0);
    put_file("file", "text", 0600);
    put_file("locked", "text", 0400);
    nc_scp_place *p = place_at(&o);
    assert_int_equal(receive(p, &r, "abc", true), NACRE_INVALID_ARGUMENT);
    r.name = nc_span_cstr("dir");
    assert_int_equal(receive(p, &r, "abc", true), NACRE_IO);
    assert_int_equal(nc_scp_place_ops.enter(p, &d, &why), NACRE_IO);
    assert_int_equal(why.detail, ENOTDIR);
    if (geteuid() != 0) {
        r.name = nc_span_cstr("locked");
        assert_int_equal(receive(p, &r, "abc", true), NACRE_IO);
    }
    expect_file("locked", "text");
    expect_file("file", "text");
    nc_scp_place_free(p);
    o.target = "fifo"; /* named by the person: a reader is missing */
    p = place_at(&o);
    assert_int_equal(receive(p, &r, "abc", true), NACRE_IO);
    nc_scp_place_free(p);
}

/* A group that the person is in no more: a new file could not be given to it, so the old one is written. */
static void test_groups_are_kept(void **state)
{
    nc_scp_place_options o = options("shared");
    nc_scp_record r = record(NC_SCP_FILE, "shared", 0644, 3);
    struct stat before, after;
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    put_file("shared", "old text", 0660);
    assert_int_equal(fchownat(top_fd, "shared", 12345, 54321, 0), 0);
    assert_int_equal(fchown(top_fd, 12345, 12345), 0);
    assert_int_equal(fchmod(top_fd, 0755), 0);
    assert_int_equal(setegid(12345), 0);
    assert_int_equal(seteuid(12345), 0);
    nc_scp_place *p = place_at(&o);
    assert_int_equal(fstatat(top_fd, "shared", &before, 0), 0);
    int rc = receive(p, &r, "new", true);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
    assert_int_equal(fstatat(top_fd, "shared", &after, 0), 0);
    nc_scp_place_free(p);
    assert_int_equal(rc, NACRE_OK);
    expect_file("shared", "new");
    assert_int_equal(after.st_gid, 54321);
    assert_int_equal(after.st_ino, before.st_ino);
    assert_int_equal(after.st_mode & 0777, 0660);
    /* A directory that gives its own group to what is made in it. */
    put_file("ours", "old text", 0660);
    assert_int_equal(fchown(top_fd, 0, 12345), 0);
    assert_int_equal(fchmod(top_fd, 02755), 0);
    assert_int_equal(fchownat(top_fd, "ours", 0, 0, 0), 0);
    o.target = "ours";
    r.name = nc_span_cstr("ours");
    p = place_at(&o);
    assert_int_equal(receive(p, &r, "new", true), NACRE_OK);
    assert_int_equal(fstatat(top_fd, "ours", &after, 0), 0);
    assert_int_equal(after.st_gid, 0);
    nc_scp_place_free(p);
    assert_int_equal(fchown(top_fd, 0, 0), 0);
    assert_int_equal(fchmod(top_fd, 0755), 0);
}

/* A file that is written itself and of which nothing came keeps what it has. */
static void test_nothing_came(void **state)
{
    nc_new_file f;
    nc_new_file_how how = {.path = "kept", .mode = 0644, .umask = -1};
    nacre_error err = {.status = NACRE_OK};
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    put_file("kept", "text", 0666);
    assert_int_equal(fchmod(top_fd, 0755), 0); /* somebody else's: no file can be made beside it */
    assert_int_equal(seteuid(12345), 0);
    int rc = nc_new_file_create(&f, top_fd, "kept", &how, &err);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, NACRE_OK);
    assert_int_equal(f.temporary[0], '\0');
    nc_new_file_abandon(&f);
    expect_file("kept", "text");
}

/* Who serves others on the same thread must not wait for a fifo's reader. */
static void test_waiting_for_a_reader(void **state)
{
    static char much[256 * 1024];
    nc_scp_place_options o = options("fifo");
    nc_scp_record r = record(NC_SCP_FILE, "x", 0644, sizeof(much));
    nacre_error why = {.status = NACRE_OK};
    (void)state;
    assert_int_equal(mkfifoat(top_fd, "fifo", 0600), 0);
    int reader = openat(top_fd, "fifo", O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    o.never_waits = true;
    nc_scp_place *p = place_at(&o);
    (void)alarm(60); /* it would wait for ever */
    assert_int_equal(nc_scp_place_ops.file(p, &r, &why), NACRE_OK);
    assert_int_equal(nc_scp_place_ops.write(p, nc_span(much, sizeof(much)), &why), NACRE_IO);
    assert_int_equal(why.detail, EAGAIN);
    (void)alarm(0);
    assert_int_equal(nc_scp_place_ops.finish(p, false, &why), NACRE_OK);
    nc_scp_place_free(p);
    close(reader);
}

/* Nor may it be killed by one who goes away. */
static void test_a_reader_that_leaves(void **state)
{
    nc_scp_place_options o = options("fifo");
    nc_scp_record r = record(NC_SCP_FILE, "x", 0644, 3);
    nacre_error why = {.status = NACRE_OK};
    (void)state;
    assert_int_equal(mkfifoat(top_fd, "fifo", 0600), 0);
    int reader = openat(top_fd, "fifo", O_RDONLY | O_NONBLOCK);
    nc_scp_place *p = place_at(&o);
    assert_int_equal(nc_scp_place_ops.file(p, &r, &why), NACRE_OK);
    close(reader);
    assert_int_equal(nc_scp_place_ops.write(p, nc_span_cstr("abc"), &why), NACRE_IO);
    assert_int_equal(why.detail, EPIPE);
    assert_int_equal(nc_scp_place_ops.finish(p, false, &why), NACRE_OK);
    nc_scp_place_free(p);
}

static void test_targets(void **state)
{
    static const struct {
        const char *target;
        bool to_directory;
        uint32_t detail; /* 0: it will do */
    } rows[] = {{".", true, 0},
                {"dir", true, 0},
                {"", true, 0},
                {"new", false, 0},
                {"new", true, ENOENT},
                {"file", true, ENOTDIR},
                {"file", false, 0},
                {"none/new", false, ENOENT},
                {"file/new", false, ENOTDIR},
                {"none/..", false, ENOENT},
                {"loop", false, ELOOP},
                {"dir/new", false, 0}};
    (void)state;
    assert_int_equal(mkdirat(top_fd, "dir", 0755), 0);
    assert_int_equal(symlinkat("loop", top_fd, "loop"), 0);
    put_file("file", "text", 0600);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nc_scp_place_options o = options(rows[i].target);
        nacre_error err = {.status = NACRE_OK};
        nc_scp_place *p = NULL;
        o.to_directory = rows[i].to_directory;
        int rc = nc_scp_place_new(&p, &o, &err);
        if ((rc != NACRE_OK) != (rows[i].detail != 0) || err.detail != rows[i].detail) {
            fail_msg("\"%s\": %s", rows[i].target, err.text);
        }
        nc_scp_place_free(p);
    }
    /* A file is not made under a name with a slash behind it, nor two under one name. */
    nc_scp_place_options o = options("new/");
    nc_scp_record r = record(NC_SCP_FILE, "x", 0644, 0);
    nc_scp_place *p = place_at(&o);
    assert_int_equal(receive(p, &r, "", true), NACRE_IO);
    nc_scp_place_free(p);
    o = options("new");
    p = place_at(&o);
    assert_int_equal(receive(p, &r, "1", true), NACRE_OK);
    assert_int_equal(receive(p, &r, "2", true), NACRE_IO);
    expect_file("new", "1");
    nc_scp_place_free(p);
    /* The target itself is followed when it is a link. */
    assert_int_equal(symlinkat("dir/real", top_fd, "alias"), 0);
    o = options("alias");
    p = place_at(&o);
    assert_int_equal(receive(p, &r, "3", true), NACRE_OK);
    expect_file("dir/real", "3");
    nc_scp_place_free(p);
}

static void test_directories_get_their_modes_last(void **state)
{
    nc_scp_place_options o = options(".");
    nc_scp_record d = record(NC_SCP_DIR, "d", 0555, 0), r = record(NC_SCP_FILE, "f", 0444, 1);
    nacre_error why = {.status = NACRE_OK};
    (void)state;
    d.st.has_times = true;
    d.st.mtime = 1234567890;
    nc_scp_place *p = place_at(&o);
    assert_int_equal(nc_scp_place_ops.enter(p, &d, &why), NACRE_OK);
    assert_int_equal(receive(p, &r, "x", true), NACRE_OK);
    assert_int_equal(nc_scp_place_ops.leave(p, &why), NACRE_OK);
    assert_int_equal(mode_of("d"), 0555);
    assert_int_equal(mode_of("d/f"), 0444);
    struct stat st;
    assert_int_equal(fstatat(top_fd, "d", &st, 0), 0);
    assert_int_equal(st.st_mtime, 1234567890);
    nc_scp_place_free(p);
}

/* ---- the tree ----------------------------------------------------------------------------------------- */

/* What it gives, a letter and a name each. */
static int walk(const nc_scp_tree_options *o, char *seen, size_t size)
{
    nc_scp_tree *t = NULL;
    seen[0] = '\0';
    int rc = nc_scp_tree_new(&t, o);
    for (int i = 0; rc == NACRE_OK && i < 100; i++) {
        nc_scp_record r;
        nacre_error why = {.status = NACRE_OK};
        memset(&r, 0, sizeof(r));
        rc = nc_scp_tree_ops.next(t, &r, &why);
        if (rc != NACRE_OK || r.kind == NC_SCP_DONE) {
            break;
        }
        size_t n = strlen(seen);
        (void)snprintf(seen + n, size - n, "%c%.*s%s|", "CDETN"[r.kind], (int)r.name.n,
                       r.name.n ? (const char *)r.name.p : "",
                       r.kind == NC_SCP_NOTE ? strrchr(why.text, ':') : "");
    }
    nc_scp_tree_free(t);
    return rc;
}

static void test_trees(void **state)
{
    static const char *const paths[] = {"d/", "d/f", "none", "fifo", "loop"};
    nc_scp_tree_options o = {.at = top_fd, .paths = paths, .count = 5, .max_depth = 8};
    char seen[1024];
    (void)state;
    assert_int_equal(mkdirat(top_fd, "d", 0755), 0);
    put_file("d/f", "12", 0600);
    assert_int_equal(mkfifoat(top_fd, "fifo", 0600), 0);
    assert_int_equal(mkdirat(top_fd, "loop", 0755), 0);
    assert_int_equal(symlinkat(".", top_fd, "loop/self"), 0);
    assert_int_equal(walk(&o, seen, sizeof(seen)), NACRE_OK);
    assert_string_equal(seen, "N: is a directory|Cf|N: No such file or directory|"
                              "N: not a regular file|N: is a directory|");
    o.recursive = true;
    assert_int_equal(walk(&o, seen, sizeof(seen)), NACRE_OK);
    assert_string_equal(seen, "Dd|Cf|E|Cf|N: No such file or directory|N: not a regular file|Dloop|"
                              "N: a link back to a directory around it|E|");
    o.max_depth = 0;
    assert_int_equal(walk(&o, seen, sizeof(seen)), NACRE_OK);
    assert_non_null(strstr(seen, "too many directories"));
}

/* ---- memory ------------------------------------------------------------------------------------------- */

static int receive_tree(const nacre_allocator *mem)
{
    nc_scp_place_options o = options(".");
    nc_scp_record d = record(NC_SCP_DIR, "d", 0755, 0), r = record(NC_SCP_FILE, "f", 0644, 1);
    nacre_error why = {.status = NACRE_OK};
    nc_scp_place *p = NULL;
    o.allocator = mem;
    int rc = nc_scp_place_new(&p, &o, &why);
    rc = rc == NACRE_OK ? nc_scp_place_ops.enter(p, &d, &why) : rc;
    rc = rc == NACRE_OK ? receive(p, &r, "x", true) : rc;
    rc = rc == NACRE_OK ? nc_scp_place_ops.leave(p, &why) : rc;
    nc_scp_place_free(p);
    return rc;
}

static void test_every_allocation_may_fail(void **state)
{
    static const char *const paths[] = {"d"};
    char seen[256];
    test_memory m;
    (void)state;
    for (test_memory_init(&m); test_memory_round(&m);) {
        test_memory_judge(&m, receive_tree(&m.hooks));
    }
    assert_true(m.refused > 0);
    expect_file("d/f", "x");
    assert_int_equal(count_names("d"), 1);
    for (test_memory_init(&m); test_memory_round(&m);) {
        nc_scp_tree_options o = {.allocator = &m.hooks,
                                 .at = top_fd,
                                 .paths = paths,
                                 .count = 1,
                                 .recursive = true,
                                 .max_depth = 8};
        test_memory_judge(&m, walk(&o, seen, sizeof(seen)));
    }
    assert_true(m.refused > 0);
    assert_string_equal(seen, "Dd|Cf|E|");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_modes, empty_top),
        cmocka_unit_test_teardown(test_what_is_not_whole_is_not_there, empty_top),
        cmocka_unit_test_teardown(test_links_are_not_followed, empty_top),
        cmocka_unit_test_teardown(test_a_directory_that_is_swapped, empty_top),
        cmocka_unit_test_teardown(test_what_stands_in_the_way, empty_top),
        cmocka_unit_test_teardown(test_groups_are_kept, empty_top),
        cmocka_unit_test_teardown(test_nothing_came, empty_top),
        cmocka_unit_test_teardown(test_waiting_for_a_reader, empty_top),
        cmocka_unit_test_teardown(test_a_reader_that_leaves, empty_top),
        cmocka_unit_test_teardown(test_targets, empty_top),
        cmocka_unit_test_teardown(test_directories_get_their_modes_last, empty_top),
        cmocka_unit_test_teardown(test_trees, empty_top),
        cmocka_unit_test_teardown(test_every_allocation_may_fail, empty_top),
    };
    (void)snprintf(top, sizeof(top), "/tmp/nacre-scp-XXXXXX");
    if (!mkdtemp(top)) {
        return 1;
    }
    top_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    close(top_fd);
    (void)rmdir(top);
    return rc;
}
