/*
 * test_jail.c - the local directory as a jail, by openat2 and by the walk: what is inside works as
 * anywhere, and nothing outside is reached, also while somebody renames and links under our feet.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "io/local_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Stands in for the server machine: keeps what an operation answers. */
struct nacre_sftp_answer {
    char path[4096];
    bool saw_outside;
};

bool nacre_sftp_answer_path(nacre_sftp_answer *out, nacre_span path)
{
    memcpy(out->path, path.p, path.n);
    out->path[path.n] = '\0';
    return true;
}

bool nacre_sftp_answer_name(nacre_sftp_answer *out, const nacre_sftp_name *entry)
{
    out->saw_outside = out->saw_outside || nc_span_is(entry->name, "only-outside");
    return true;
}

static char top[] = "/tmp/nacre-jail-XXXXXX";
static nacre_local_files *files;
static nacre_sftp_call call;
static const nacre_sftp_server_ops *ops;

static nacre_span s(const char *text)
{
    return nc_span_cstr(text);
}

/* Everything is made by system calls from here, never through what is tested. */
static void path_of(char out[512], const char *name)
{
    (void)snprintf(out, 512, "%s/%s", top, name);
}

static void put_file(const char *name, const char *text)
{
    char p[512];
    path_of(p, name);
    int fd = open(p, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    (void)fchmod(fd, 0666);
    (void)close(fd);
}

static void put_dir(const char *name)
{
    char p[512];
    path_of(p, name);
    assert_int_equal(mkdir(p, 0777), 0);
    assert_int_equal(chmod(p, 0777), 0);
}

static void put_link(const char *name, const char *target)
{
    char p[512];
    path_of(p, name);
    assert_int_equal(symlink(target, p), 0);
}

static bool there(const char *name)
{
    char p[512];
    struct stat st;
    path_of(p, name);
    return lstat(p, &st) == 0;
}

static int begin(bool walk)
{
    char root[512], outside[512];
    memcpy(top + sizeof(top) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(top));
    assert_int_equal(chmod(top, 0777), 0);
    put_dir("jail");
    put_dir("outside");
    put_dir("outside/dir");
    put_dir("moved");
    put_file("outside/secret", "SECRET");
    put_file("outside/victim", "SECRET");
    put_file("outside/only-outside", "");
    put_file("moved/secret", "SECRET");
    put_dir("jail/d");
    put_dir("jail/d/dir");
    put_file("jail/d/secret", "inside");
    put_file("jail/d/victim", "inside");
    put_dir("jail/a");
    put_dir("jail/a/b");
    put_dir("jail/a/b/c");
    put_file("jail/a/secret", "inside");
    path_of(outside, "outside");
    put_link("jail/abs-out", outside);
    put_link("jail/rel-out", "../outside");
    put_link("jail/far-out", "../../../../../../../../../../etc");
    put_link("jail/file-out", "../outside/secret");
    put_link("jail/abs-in", "/d");
    put_link("jail/file-in", "/d/secret");
    put_link("jail/a/b/up-in", "../../d");
    put_link("jail/loop", "loop2");
    put_link("jail/loop2", "/loop");
    put_link("jail/dangles", "/a/made");
    path_of(root, "jail");
    nacre_local_files_options o;
    nacre_local_files_options_init(&o);
    o.root = root;
    assert_int_equal(nacre_local_files_new(&files, &o, NULL), NACRE_OK);
    files->jail.walk = files->jail.walk || walk;
    ops = nacre_local_files_ops();
    memset(&call, 0, sizeof(call));
    call.user = files;
    return 0;
}

static int setup_kernel(void **state)
{
    (void)state;
    return begin(false);
}

static int setup_walk(void **state)
{
    (void)state;
    return begin(true);
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    nacre_local_files_free(files);
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", top);
    return system(command);
}

/* ---- one at a time ---- */

static uint32_t read_text(const char *path, char out[16])
{
    void *f = NULL;
    nacre_room room = {(uint8_t *)out, 15};
    size_t got = 0;
    memset(out, 0, 16);
    uint32_t code = ops->open(&call, s(path), NACRE_FXF_READ, NULL, &f);
    if (code == NACRE_FX_OK) {
        code = ops->read(&call, f, 0, &room, 1, 15, &got);
        (void)ops->close(NULL, files, f);
    }
    return code;
}

static uint32_t write_text(const char *path, uint32_t pflags, const char *text)
{
    void *f = NULL;
    uint32_t code = ops->open(&call, s(path), NACRE_FXF_WRITE | pflags, NULL, &f);
    if (code == NACRE_FX_OK) {
        code = ops->write(&call, f, 0, s(text));
        (void)ops->close(NULL, files, f);
    }
    return code;
}

static void inside(void **state)
{
    char text[16];
    (void)state;
    static const char *const ways[] = {"d/secret",
                                       "/d/secret",
                                       "./d//secret",
                                       "file-in",
                                       "abs-in/secret",
                                       "a/b/up-in/secret",
                                       "/a/../d/dir/../secret",
                                       "../../d/secret",
                                       "/../d/secret",
                                       "a/b/c/../../../abs-in/./secret"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        assert_int_equal(read_text(ways[i], text), NACRE_FX_OK);
        assert_string_equal(text, "inside");
    }
    assert_int_equal(write_text("dangles", NACRE_FXF_CREAT, "new"), NACRE_FX_OK);
    assert_true(there("jail/a/made"));
    uint32_t excl = NACRE_FXF_CREAT | NACRE_FXF_EXCL;
    assert_int_equal(write_text("dangles", excl, "new"), NACRE_FX_FAILURE);
    assert_int_equal(write_text("d/secret/", NACRE_FXF_CREAT, "new"), NACRE_FX_FAILURE);
    assert_int_equal(read_text("d/secret/", text), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(read_text("d/secret/x", text), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(read_text("loop", text), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(read_text("loop/x", text), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(read_text("", text), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(read_text("none/../d/secret", text), NACRE_FX_NO_SUCH_FILE);
}

static void outside(void **state)
{
    char text[16], name[512], absolute[512];
    void *dir = NULL;
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = 0};
    nacre_sftp_attrs size = {.flags = NACRE_SFTP_ATTR_SIZE};
    nacre_sftp_statvfs v;
    (void)state;
    path_of(absolute, "outside");
    const char *const ways[] = {"..",
                                "../outside",
                                "/../outside",
                                "abs-out",
                                "rel-out",
                                "a/../../outside",
                                absolute,
                                "far-out",
                                "a/b/c/../../../../outside",
                                "abs-in/../../outside"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        (void)snprintf(name, sizeof(name), "%s/secret", ways[i]);
        assert_int_equal(read_text(name, text), NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(write_text(name, NACRE_FXF_TRUNC, "x"), NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(ops->stat(&call, s(name), &a), NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(ops->lstat(&call, s(name), &a), NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(ops->setstat(&call, s(name), &a), NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(ops->setstat(&call, s(name), &size), NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(ops->lsetstat(&call, s(name), &a), NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(ops->remove(&call, s(name)), NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(ops->rename(&call, s(name), s("took")), NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(ops->posix_rename(&call, s("d/victim"), s(name)) == NACRE_FX_OK,
                         strcmp(ways[i], "..") == 0);
        assert_int_equal(ops->hardlink(&call, s(name), s("took")),
                         strcmp(ways[i], "..") == 0 ? NACRE_FX_OK : NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(ops->statvfs(&call, s(name), &v),
                         strcmp(ways[i], "..") == 0 ? NACRE_FX_OK : NACRE_FX_NO_SUCH_FILE);
        (void)snprintf(name, sizeof(name), "%s/dir", ways[i]);
        assert_int_equal(ops->opendir(&call, s(name), &dir), NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(ops->rmdir(&call, s(name)), NACRE_FX_NO_SUCH_FILE);
    }
    assert_int_equal(read_text("file-out", text), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(write_text("file-out", NACRE_FXF_CREAT | NACRE_FXF_TRUNC, "x"),
                     NACRE_FX_NO_SUCH_FILE);
}

static void expect_path(uint32_t (*fn)(nacre_sftp_call *, nacre_span, nacre_sftp_answer *),
                        const char *path, const char *expected)
{
    nacre_sftp_answer answer = {{0}, false};
    uint32_t code = fn(&call, s(path), &answer);
    if (!expected) {
        assert_int_equal(code, NACRE_FX_NO_SUCH_FILE);
        return;
    }
    assert_int_equal(code, NACRE_FX_OK);
    assert_string_equal(answer.path, expected);
}

static void names(void **state)
{
    nacre_sftp_attrs a;
    (void)state;
    expect_path(ops->realpath, ".", "/");
    expect_path(ops->realpath, "..", "/");
    expect_path(ops->realpath, "/../../a/./b/..", "/a");
    expect_path(ops->realpath, "abs-in/dir", "/d/dir");
    expect_path(ops->realpath, "a/b/up-in/none", "/d/none");
    expect_path(ops->realpath, "dangles", "/a/made");
    expect_path(ops->realpath, "none/none", NULL);
    expect_path(ops->realpath, "loop", NULL);
    expect_path(ops->expand_path, "~", "/");
    expect_path(ops->expand_path, "~/a/../d", "/d");
    expect_path(ops->expand_path, "~nobody-at-all/x", NULL);
    expect_path(ops->home_directory, "", "/");
    expect_path(ops->home_directory, "nobody-at-all", NULL);
    expect_path(ops->readlink, "rel-out", "../outside");
    assert_int_equal(ops->lstat(&call, s("abs-in"), &a), NACRE_FX_OK);
    assert_int_equal(a.permissions & NACRE_SFTP_S_IFMT, NACRE_SFTP_S_IFLNK);
    assert_int_equal(ops->lstat(&call, s("abs-in/"), &a), NACRE_FX_OK);
    assert_int_equal(a.permissions & NACRE_SFTP_S_IFMT, NACRE_SFTP_S_IFDIR);
    assert_int_equal(ops->lstat(&call, s("rel-out/"), &a), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->lstat(&call, s("d/secret/"), &a), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->lstat(&call, s(".."), &a), NACRE_FX_OK);
    assert_int_equal(ops->mkdir(&call, s("new/"), NULL), NACRE_FX_OK);
    assert_int_equal(ops->mkdir(&call, s("/"), NULL), NACRE_FX_FAILURE);
    assert_int_equal(ops->rename(&call, s("new/"), s("abs-in/newer/")), NACRE_FX_OK);
    assert_true(there("jail/d/newer"));
    assert_int_equal(ops->rmdir(&call, s("a/b/up-in/newer/")), NACRE_FX_OK);
    assert_int_not_equal(ops->rmdir(&call, s("..")), NACRE_FX_OK);
    assert_int_not_equal(ops->rename(&call, s("/"), s("x")), NACRE_FX_OK);
    assert_int_equal(ops->hardlink(&call, s("d/secret"), s("a/linked")), NACRE_FX_OK);
    assert_int_equal(ops->symlink(&call, s("../outside"), s("a/text")), NACRE_FX_OK);
    expect_path(ops->readlink, "a/text", "../outside");
    assert_int_equal(ops->posix_rename(&call, s("a/linked"), s("d/victim")), NACRE_FX_OK);
    assert_int_equal(ops->remove(&call, s("abs-in")), NACRE_FX_OK);
    assert_true(there("jail/d/secret"));
}

static void attributes(void **state)
{
    char p[512];
    struct stat st;
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME |
                                   NACRE_SFTP_ATTR_SIZE | NACRE_SFTP_ATTR_UIDGID,
                          .size = 3,
                          .permissions = 0604,
                          .atime = 1000,
                          .mtime = 2000,
                          .uid = geteuid(),
                          .gid = getegid()};
    (void)state;
    assert_int_equal(ops->setstat(&call, s("file-in"), &a), NACRE_FX_OK);
    path_of(p, "jail/d/secret");
    assert_int_equal(stat(p, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0604);
    assert_int_equal(st.st_size, 3);
    assert_int_equal(st.st_mtime, 2000);
    a.flags = NACRE_SFTP_ATTR_ACMODTIME;
    a.mtime = 3000;
    assert_int_equal(ops->lsetstat(&call, s("file-out"), &a), NACRE_FX_OK);
    path_of(p, "jail/file-out");
    assert_int_equal(lstat(p, &st), 0);
    assert_int_equal(st.st_mtime, 3000);
    a.flags = NACRE_SFTP_ATTR_PERMISSIONS;
    a.permissions = 0711;
    assert_int_equal(ops->setstat(&call, s("/a/.."), &a), NACRE_FX_OK);
    path_of(p, "jail");
    assert_int_equal(stat(p, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0711);
}

/* Where there is no /proc to go by: in a root directory of its own. */
static void without_proc(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME,
                              .permissions = 0420,
                              .atime = 1000,
                              .mtime = 2000};
        nacre_sftp_attrs got;
        bool good = chroot(top) == 0 && chdir("/") == 0 &&
                    ops->setstat(&call, s("file-in"), &a) == NACRE_FX_OK &&
                    ops->stat(&call, s("d/secret"), &got) == NACRE_FX_OK &&
                    (got.permissions & 07777) == 0420 && got.mtime == 2000 &&
                    ops->setstat(&call, s("abs-in"), &a) == NACRE_FX_OK &&
                    ops->setstat(&call, s("file-out"), &a) == NACRE_FX_NO_SUCH_FILE;
        _exit(good ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void starts(void **state)
{
    char root[512], text[16];
    nacre_local_files *whole = files;
    nacre_local_files_options o;
    (void)state;
    path_of(root, "jail");
    nacre_local_files_options_init(&o);
    o.root = root;
    o.start = "a/b/up-in";
    assert_int_equal(nacre_local_files_new(&files, &o, NULL), NACRE_OK);
    files->jail.walk = whole->jail.walk;
    call.user = files;
    assert_int_equal(read_text("secret", text), NACRE_FX_OK);
    assert_int_equal(read_text("../a/secret", text), NACRE_FX_OK);
    expect_path(ops->realpath, ".", "/d");
    nacre_local_files_free(files);
    static const char *const bad[] = {"rel-out", "d/secret", "none", "../outside"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        o.start = bad[i];
        assert_int_equal(nacre_local_files_new(&files, &o, NULL), NACRE_IO);
    }
    o.start = NULL;
    o.root = "/nonexistent";
    assert_int_equal(nacre_local_files_new(&files, &o, NULL), NACRE_IO);
    files = whole;
    call.user = files;
}

/* Options that are not understood must never mean a server without a jail. */
static void odd_options(void **state)
{
    struct {
        nacre_local_files_options o;
        char later[64]; /* what another version of the library may know */
    } longer;
    nacre_local_files *f = NULL;
    nacre_error err = {0};
    nacre_sftp_attrs a;
    (void)state;
    memset(&longer, 0, sizeof(longer));
    nacre_local_files_options_init(&longer.o);
    longer.o.size = sizeof(longer);
    longer.o.root = top;
    longer.o.read_only = true;
    assert_int_equal(nacre_local_files_new(&f, &longer.o, &err), NACRE_OK);
    nacre_sftp_call c = {.user = f};
    assert_int_equal(ops->stat(&c, s("/etc/passwd"), &a), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ops->mkdir(&c, s("/new"), NULL), NACRE_FX_PERMISSION_DENIED);
    nacre_local_files_free(f);
    longer.o.size = 0; /* never initialized */
    assert_int_equal(nacre_local_files_new(&f, &longer.o, &err), NACRE_INVALID_ARGUMENT);
    assert_null(f);
}

/* Any path leads to the same place by both, or nowhere for the same reason. */
static void agree(void **state)
{
    static const char *const words[] = {
        "a",       "b",    "c",    "d",      "..",    ".",       "abs-in", "rel-out", "file-in",
        "abs-out", "loop", "none", "secret", "up-in", "dangles", "",       "..",      "far-out"};
    nc_beneath kernel = files->jail, walk = files->jail;
    uint32_t random = 1;
    (void)state;
    kernel.walk = false;
    walk.walk = true;
    if (files->jail.walk) {
        return; /* this kernel has one of the two only */
    }
    for (int i = 0; i < 20000; i++) {
        char path[512] = "";
        unsigned n = 1 + (unsigned)i % 9;
        for (unsigned k = 0; k < n; k++) {
            random = random * 1664525 + 1013904223;
            size_t have = strlen(path);
            (void)snprintf(path + have, sizeof(path) - have, "%s%s",
                           random & (1u << 24) || k > 0 ? "/" : "",
                           words[(random >> 16) % (sizeof(words) / sizeof(words[0]))]);
        }
        int flags = i % 3 == 0 ? O_PATH | O_NOFOLLOW : i % 3 == 1 ? O_PATH : O_RDONLY;
        errno = 0;
        int a = nc_beneath_open(&kernel, path, flags, 0);
        int why_a = a < 0 ? errno : 0;
        int b = nc_beneath_open(&walk, path, flags, 0);
        int why_b = b < 0 ? errno : 0;
        struct stat sa = {0}, sb = {0};
        if (why_a != why_b) {
            print_message("%s: %d and %d\n", path, why_a, why_b);
        }
        assert_int_equal(why_a, why_b);
        if (a >= 0) {
            assert_int_equal(fstat(a, &sa), 0);
            assert_int_equal(fstat(b, &sb), 0);
            assert_int_equal(sa.st_ino, sb.st_ino);
            (void)close(a);
            (void)close(b);
        }
    }
}

/* ---- races ---- */

typedef struct shared {
    volatile unsigned long swaps;
} shared;

static void swap(const char *a, const char *b)
{
    char pa[512], pb[512];
    path_of(pa, a);
    path_of(pb, b);
    const unsigned exchange = 2; /* RENAME_EXCHANGE */
    if (syscall(SYS_renameat2, AT_FDCWD, pa, AT_FDCWD, pb, exchange) != 0) {
        _exit(1);
    }
}

static void move(const char *from, const char *to)
{
    char pa[512], pb[512];
    path_of(pa, from);
    path_of(pb, to);
    (void)rename(pa, pb);
}

/* The directory d and a link out, in turns; a/b outside and inside, in turns. */
static void attack(shared *sh, pid_t victim)
{
    while (getppid() == victim) {
        swap("jail/d", "jail/rel-out");
        move("jail/a/b", "moved/b");
        swap("jail/d", "jail/rel-out");
        move("moved/b", "jail/a/b");
        swap("jail/d/secret", "jail/file-out");
        swap("jail/d/secret", "jail/file-out");
        sh->swaps++;
    }
}

/* One round of everything; adds up what worked and what did not. Returns what got out: 0. */
static int round_of_all(unsigned turn, unsigned long count[2])
{
    static const char *const reads[] = {"d/secret", "/d/../d/secret", "a/b/../secret",
                                        "a/b/c/../../secret", "abs-in/secret"};
    char text[16];
    nacre_sftp_answer listed = {{0}, false};
    nacre_sftp_attrs mode = {.flags = NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME,
                             .permissions = 0640 | (turn & 1),
                             .mtime = turn,
                             .atime = turn};
    nacre_sftp_attrs size = {.flags = NACRE_SFTP_ATTR_SIZE, .size = 6};
    nacre_sftp_attrs got;
    void *dir = NULL;
    for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
        count[read_text(reads[i], text) == NACRE_FX_OK]++;
        if (strcmp(text, "SECRET") == 0) {
            return 10 + (int)i;
        }
    }
    if (ops->opendir(&call, s("d"), &dir) == NACRE_FX_OK) {
        (void)ops->readdir(&call, dir, &listed);
        (void)ops->closedir(NULL, files, dir);
        count[1]++;
    }
    if (listed.saw_outside) {
        return 2;
    }
    if (ops->stat(&call, s("d/only-outside"), &got) == NACRE_FX_OK ||
        ops->lstat(&call, s("a/b/../../outside"), &got) == NACRE_FX_OK) {
        return 3;
    }
    count[ops->setstat(&call, s("d/secret"), &mode) == NACRE_FX_OK]++;
    count[ops->setstat(&call, s("d/secret"), &size) == NACRE_FX_OK]++;
    (void)ops->lsetstat(&call, s("d/victim"), &mode);
    (void)write_text("d/new", NACRE_FXF_CREAT, "x");
    (void)ops->remove(&call, s("d/new"));
    (void)ops->mkdir(&call, s("d/newdir"), NULL);
    (void)ops->rmdir(&call, s("d/newdir"));
    (void)ops->symlink(&call, s("x"), s("d/newlink"));
    (void)ops->remove(&call, s("d/newlink"));
    (void)ops->hardlink(&call, s("d/victim"), s("taken"));
    if (read_text("taken", text) == NACRE_FX_OK && strcmp(text, "SECRET") == 0) {
        return 4;
    }
    (void)ops->remove(&call, s("taken"));
    (void)ops->rename(&call, s("d/victim"), s("a/v"));
    (void)ops->posix_rename(&call, s("a/v"), s("d/victim"));
    (void)ops->mkdir(&call, s("a/b/../newdir"), NULL);
    (void)ops->rmdir(&call, s("a/b/../newdir"));
    return 0;
}

/* Changed outside? */
static int inspect(void)
{
    static const char *const gone[] = {"outside/new", "outside/newdir", "outside/newlink",
                                       "moved/newdir", "outside/v"};
    static const char *const kept[] = {"outside/secret", "outside/victim", "moved/secret"};
    char p[512], text[16] = "";
    struct stat st;
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        if (there(gone[i])) {
            return 30 + (int)i;
        }
    }
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        path_of(p, kept[i]);
        int fd = open(p, O_RDONLY);
        ssize_t n = read(fd, text, sizeof(text) - 1);
        bool same = n == 6 && memcmp(text, "SECRET", 6) == 0 && fstat(fd, &st) == 0 &&
                    (st.st_mode & 07777) == 0666 && st.st_nlink == 1 && st.st_mtime > 1000000;
        (void)close(fd);
        if (!same) {
            return 40 + (int)i;
        }
    }
    return 0;
}

/* In a process of its own: as nobody, or as who we are. */
static int race_in_child(shared *sh, bool as_nobody)
{
    unsigned long count[2] = {0, 0};
    int bad = 0;
    if (as_nobody && (setgid(65534) != 0 || setuid(65534) != 0)) {
        return 5;
    }
    pid_t parent = getpid();
    pid_t attacker = fork();
    if (attacker == 0) {
        attack(sh, parent);
        _exit(0);
    }
    /* Until everything has been met often, whatever the machine's speed. */
    for (unsigned turn = 1; bad == 0 && turn < 1000000; turn++) {
        bad = round_of_all(turn % 1000, count);
        bad = bad == 0 ? inspect() : bad;
        if (turn > 2000 && sh->swaps > 2000 && count[0] > 200 && count[1] > 200) {
            break;
        }
    }
    (void)kill(attacker, SIGKILL);
    (void)waitpid(attacker, NULL, 0);
    if (bad == 0 && (count[0] <= 200 || count[1] <= 200)) {
        bad = 6; /* there was no race: nothing was shown */
    }
    return bad;
}

static void race(bool as_nobody)
{
    shared *sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(sh != MAP_FAILED);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        _exit(race_in_child(sh, as_nobody));
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)munmap(sh, sizeof(*sh));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void races(void **state)
{
    (void)state;
    race(false);
}

static void races_as_nobody(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip(); /* races() was not root's already */
    }
    race(true);
}

#define BOTH(test)                                                                                 \
    cmocka_unit_test_setup_teardown(test, setup_kernel, teardown),                                 \
        cmocka_unit_test_setup_teardown(test, setup_walk, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agree, setup_kernel, teardown),
        cmocka_unit_test_setup_teardown(odd_options, setup_kernel, teardown),
        BOTH(inside),
        BOTH(outside),
        BOTH(names),
        BOTH(attributes),
        BOTH(without_proc),
        BOTH(starts),
        BOTH(races),
        BOTH(races_as_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
