/*
 * A tree of files in memory behind the server machine: its rules, its limits, what happens without
 * memory.
 */
#include "base/mem.h"
#include "memory_peer.h"
#include "support/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- rules ---------------------------------------------------------------------------------------- */

static void paths(void **state)
{
    peer p;
    (void)state;
    peer_ready(&p, NULL);
    put_text(&p, "/a/b/c/f", "text");
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "../b/./c", "/a/b/l"), NACRE_FX_OK);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "/none", "/dangles"), NACRE_FX_OK);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "loop2", "/loop"), NACRE_FX_OK);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "/loop/x", "/loop2"), NACRE_FX_OK);
    assert_string_equal(real_path(&p, "a/b/l/f"), "/a/b/c/f");
    assert_string_equal(real_path(&p, "/../a//b/l/../."), "/a/b");
    assert_string_equal(real_path(&p, ".."), "/");
    assert_string_equal(real_path(&p, "dangles"), "/none");
    assert_string_equal(real_path(&p, "none/none"), "");
    assert_string_equal(real_path(&p, "loop"), "");
    assert_string_equal(real_path(&p, "a/b/c/f/"), "");
    assert_string_equal(real_path(&p, "a/b/c/f/.."), "");
    assert_int_equal(one(&p, NACRE_FXP_STAT, "/a/b/l/f"), NACRE_FX_OK);
    assert_int_equal(one(&p, NACRE_FXP_STAT, "/loop/f"), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(one(&p, NACRE_FXP_STAT, "/dangles"), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(one(&p, NACRE_FXP_LSTAT, "/dangles"), NACRE_FX_OK);
    assert_int_equal(one(&p, NACRE_FXP_REMOVE, "/a/b"), NACRE_FX_FAILURE);
    assert_int_equal(one(&p, NACRE_FXP_RMDIR, "/a/b"), NACRE_FX_FAILURE);
    assert_int_equal(one(&p, NACRE_FXP_RMDIR, "/"), NACRE_FX_FAILURE);
    assert_int_equal(one(&p, NACRE_FXP_RMDIR, "/a/b/c/.."), NACRE_FX_FAILURE);
    assert_int_equal(one(&p, NACRE_FXP_MKDIR, "/new/"), NACRE_FX_OK);
    assert_int_equal(one(&p, NACRE_FXP_MKDIR, "/new"), NACRE_FX_FAILURE);
    assert_int_equal(one(&p, NACRE_FXP_RMDIR, "/new"), NACRE_FX_OK);
    char name[400];
    memset(name, 'n', 256);
    name[256] = '\0';
    assert_int_equal(one(&p, NACRE_FXP_MKDIR, name), NACRE_FX_BAD_MESSAGE);
    assert_int_equal(one(&p, NACRE_FXP_MKDIR, name + 1), NACRE_FX_OK);
    handle h;
    assert_int_equal(open_file(&p, "/dangles", CREATE, &h), NACRE_FX_OK);
    assert_int_equal(one(&p, NACRE_FXP_STAT, "/none"), NACRE_FX_OK);
    assert_int_equal(open_file(&p, "/dangles", NEW, &h), NACRE_FX_FAILURE);
    assert_int_equal(open_file(&p, "/a", NACRE_FXF_READ, &h), NACRE_FX_FAILURE);
    peer_close(&p);
}

static void renames(void **state)
{
    peer p;
    (void)state;
    peer_ready(&p, NULL);
    put_text(&p, "/d/f", "f");
    put_text(&p, "/e/g", "g");
    assert_int_equal(nacre_memory_files_mkdir(p.files, "/empty", 0700), NACRE_OK);
    assert_int_equal(two(&p, NACRE_FXP_RENAME, "/d/f", "/e/g"), NACRE_FX_FAILURE);
    assert_int_equal(two(&p, NACRE_FXP_RENAME, "/d", "/d/x"), NACRE_FX_BAD_MESSAGE);
    assert_int_equal(two(&p, NACRE_FXP_RENAME, "/", "/x"), NACRE_FX_FAILURE);
    assert_int_equal(two(&p, NACRE_FXP_RENAME, "/none", "/x"), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(two(&p, NACRE_FXP_RENAME, "/d/f", "/x/"), NACRE_FX_NO_SUCH_FILE);
    const char *posix = "posix-rename@openssh.com";
    assert_int_equal(two_ext(&p, posix, "/d", "/e"), NACRE_FX_FAILURE);
    assert_int_equal(two_ext(&p, posix, "/d", "/e/g"), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(two_ext(&p, posix, "/e/g", "/empty"), NACRE_FX_FAILURE);
    assert_int_equal(two_ext(&p, posix, "/d", "/empty"), NACRE_FX_OK);
    assert_int_equal(two_ext(&p, posix, "/empty/f", "/e/g"), NACRE_FX_OK);
    holds(&p, "/e/g", "f", 1);
    assert_int_equal(two(&p, NACRE_FXP_RENAME, "/e", "/empty/e"), NACRE_FX_OK);
    holds(&p, "/empty/e/../e/g", "f", 1);
    assert_string_equal(real_path(&p, "/empty/e/g/../../e"), "");
    assert_string_equal(real_path(&p, "/empty/e/.."), "/empty");
    const char *hard = "hardlink@openssh.com";
    assert_int_equal(two_ext(&p, hard, "/empty/e/g", "/h"), NACRE_FX_OK);
    assert_int_equal(two_ext(&p, hard, "/empty/e/g", "/h"), NACRE_FX_FAILURE);
    assert_int_equal(two_ext(&p, hard, "/empty", "/h2"), NACRE_FX_PERMISSION_DENIED);
    assert_int_equal(two_ext(&p, posix, "/h", "/empty/e/g"), NACRE_FX_OK);
    assert_int_equal(one(&p, NACRE_FXP_REMOVE, "/h"), NACRE_FX_OK);
    holds(&p, "/empty/e/g", "f", 1);
    peer_close(&p);
}

/* Open files and directories outlive their names. */
static void removed_while_open(void **state)
{
    peer p;
    handle f, d;
    (void)state;
    peer_ready(&p, NULL);
    put_text(&p, "/d/f", "text");
    assert_int_equal(open_file(&p, "/d/f", NACRE_FXF_READ | NACRE_FXF_WRITE, &f), NACRE_FX_OK);
    assert_int_equal(one(&p, NACRE_FXP_OPENDIR, "/d"), NACRE_FX_OK);
    d = keep_handle(&p);
    assert_int_equal(one(&p, NACRE_FXP_REMOVE, "/d/f"), NACRE_FX_OK);
    assert_int_equal(one(&p, NACRE_FXP_RMDIR, "/d"), NACRE_FX_OK);
    assert_int_equal(put(&p, &f, 4, " more"), NACRE_FX_OK);
    nc_wr *w = begin(&p, NACRE_FXP_READ);
    wr_handle(w, &f);
    nc_wr_u64(w, 0);
    nc_wr_u32(w, 100);
    assert_int_equal(ask(&p), NACRE_FX_OK);
    assert_true(nc_span_is(nc_rd_str(&p.r), "text more"));
    wr_handle(begin(&p, NACRE_FXP_READDIR), &d);
    assert_int_equal(ask(&p), NACRE_FX_EOF);
    assert_int_equal(close_file(&p, &f), NACRE_FX_OK);
    peer_close(&p); /* with d open */
}

static size_t count_names(peer *p, const handle *d)
{
    size_t n = 0;
    for (;;) {
        wr_handle(begin(p, NACRE_FXP_READDIR), d);
        if (ask(p) != NACRE_FX_OK) {
            return n;
        }
        n += nc_rd_u32(&p->r);
        /* In the middle: what was not listed yet goes, something that sorts behind comes. */
        (void)one(p, NACRE_FXP_REMOVE, "/n299");
        put_text(p, "/zz", "");
    }
}

static void listing(void **state)
{
    peer p;
    handle d;
    char name[16];
    (void)state;
    peer_ready(&p, NULL);
    for (int i = 0; i < 300; i++) {
        (void)snprintf(name, sizeof(name), "/n%03d", i);
        put_text(&p, name, "");
    }
    assert_int_equal(one(&p, NACRE_FXP_OPENDIR, "/"), NACRE_FX_OK);
    d = keep_handle(&p);
    assert_int_equal(count_names(&p, &d), 302); /* with "." and "..", without n299, with zz */
    peer_close(&p);
}

/* ---- attributes ------------------------------------------------------------------------------------- */

/* Mode, owner and time of modification, as one number each in a row; false: no attributes came. */
static bool got_attrs(peer *p, uint32_t wanted[4])
{
    nacre_sftp_attrs a;
    size_t used = 0;
    bool good = p->type == NACRE_FXP_ATTRS &&
                nacre_sftp_attrs_decode(nc_rd_rest(&p->r), &used, &a) == NACRE_OK;
    if (good) {
        wanted[0] = a.permissions;
        wanted[1] = a.uid;
        wanted[2] = a.gid;
        wanted[3] = a.mtime;
    }
    return good;
}

static void wr_attrs(nc_wr *w, uint32_t mode, uint32_t owner, uint32_t group, uint32_t time)
{
    nc_wr_u32(w, NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_UIDGID | NACRE_SFTP_ATTR_ACMODTIME);
    nc_wr_u32(w, owner);
    nc_wr_u32(w, group);
    nc_wr_u32(w, mode);
    nc_wr_u32(w, time);
    nc_wr_u32(w, time);
}

static void has(peer *p, uint8_t type, const char *path, uint32_t mode, uint32_t owner,
                uint32_t time)
{
    uint32_t got[4] = {0};
    assert_int_equal(one(p, type, path), NACRE_FX_OK);
    assert_true(got_attrs(p, got));
    assert_int_equal(got[0], mode);
    assert_int_equal(got[1], owner);
    assert_int_equal(got[3], time);
}

static void attributes(void **state)
{
    peer p;
    handle f;
    uint32_t got[4] = {0};
    (void)state;
    peer_ready(&p, NULL);
    put_text(&p, "/d/f", "text");
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "/d/f", "/l"), NACRE_FX_OK);
    /* by path: through the link; type bits are not the client's to give */
    nc_wr *w = begin(&p, NACRE_FXP_SETSTAT);
    nc_wr_cstr(w, "/l");
    wr_attrs(w, 0140000 | 04751, 5, 6, 7);
    assert_int_equal(ask(&p), NACRE_FX_OK);
    has(&p, NACRE_FXP_STAT, "/l", NACRE_SFTP_S_IFREG | 04751, 5, 7);
    has(&p, NACRE_FXP_LSTAT, "/l", NACRE_SFTP_S_IFLNK | 0777, 0, 0);
    /* of the link itself */
    w = begin_ext(&p, "lsetstat@openssh.com");
    nc_wr_cstr(w, "/l");
    wr_attrs(w, 0700, 8, 8, 9);
    assert_int_equal(ask(&p), NACRE_FX_OK);
    has(&p, NACRE_FXP_LSTAT, "/l", NACRE_SFTP_S_IFLNK | 0700, 8, 9);
    has(&p, NACRE_FXP_STAT, "/l", NACRE_SFTP_S_IFREG | 04751, 5, 7);
    w = begin_ext(&p, "lsetstat@openssh.com");
    nc_wr_cstr(w, "/l");
    nc_wr_u32(w, NACRE_SFTP_ATTR_SIZE);
    nc_wr_u64(w, 1);
    assert_int_equal(ask(&p), NACRE_FX_BAD_MESSAGE);
    w = begin_ext(&p, "lsetstat@openssh.com");
    nc_wr_cstr(w, "/none");
    nc_wr_u32(w, 0);
    assert_int_equal(ask(&p), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(set_size(&p, "/d", 0), NACRE_FX_FAILURE);
    assert_int_equal(set_size(&p, "/none", 0), NACRE_FX_NO_SUCH_FILE);
    /* by handle, also when the name is gone */
    assert_int_equal(open_file(&p, "/d/f", NACRE_FXF_READ | NACRE_FXF_WRITE, &f), NACRE_FX_OK);
    assert_int_equal(one(&p, NACRE_FXP_REMOVE, "/d/f"), NACRE_FX_OK);
    w = begin(&p, NACRE_FXP_FSETSTAT);
    wr_handle(w, &f);
    wr_attrs(w, 0600, 1, 2, 3);
    assert_int_equal(ask(&p), NACRE_FX_OK);
    wr_handle(begin(&p, NACRE_FXP_FSTAT), &f);
    assert_int_equal(ask(&p), NACRE_FX_OK);
    assert_true(got_attrs(&p, got));
    assert_int_equal(got[0], NACRE_SFTP_S_IFREG | 0600);
    assert_int_equal(got[2], 2);
    assert_int_equal(got[3], 3);
    wr_handle(begin_ext(&p, "fsync@openssh.com"), &f);
    assert_int_equal(ask(&p), NACRE_FX_OK);
    wr_handle(begin_ext(&p, "fstatvfs@openssh.com"), &f);
    assert_int_equal(ask(&p), NACRE_FX_OK);
    assert_int_equal(nc_rd_u64(&p.r), 4096);
    assert_int_equal(close_file(&p, &f), NACRE_FX_OK);
    wr_handle(begin(&p, NACRE_FXP_FSTAT), &f);
    assert_int_equal(ask(&p), NACRE_FX_FAILURE);
    wr_handle(begin_ext(&p, "fstatvfs@openssh.com"), &f);
    assert_int_equal(ask(&p), NACRE_FX_FAILURE);
    peer_close(&p);
}

/* The mode that OPEN and MKDIR ask for; what TRUNC leaves. */
static void made_with(void **state)
{
    peer p;
    handle f;
    (void)state;
    peer_ready(&p, NULL);
    nc_wr *w = begin(&p, NACRE_FXP_OPEN);
    nc_wr_cstr(w, "/f");
    nc_wr_u32(w, CREATE);
    nc_wr_u32(w, NACRE_SFTP_ATTR_PERMISSIONS);
    nc_wr_u32(w, 0100640);
    assert_int_equal(ask(&p), NACRE_FX_OK);
    f = keep_handle(&p);
    assert_int_equal(put(&p, &f, 0, "some text"), NACRE_FX_OK);
    assert_int_equal(close_file(&p, &f), NACRE_FX_OK);
    has(&p, NACRE_FXP_STAT, "/f", NACRE_SFTP_S_IFREG | 0640, 0, 0);
    assert_int_equal(open_file(&p, "/f", CREATE | NACRE_FXF_TRUNC, &f), NACRE_FX_OK);
    holds(&p, "/f", NULL, 0);
    has(&p, NACRE_FXP_STAT, "/f", NACRE_SFTP_S_IFREG | 0640, 0, 0);
    peer_close(&p);
}

/* ---- names of all kinds -------------------------------------------------------------------------------- */

static bool answers(peer *p, uint32_t code, const char *path)
{
    return code == NACRE_FX_OK && p->type == NACRE_FXP_NAME && nc_rd_u32(&p->r) == 1 &&
           nc_span_is(nc_rd_str(&p->r), path);
}

static uint32_t ask_ext(peer *p, const char *name, const char *text)
{
    nc_wr_cstr(begin_ext(p, name), text);
    return ask(p);
}

static void names(void **state)
{
    peer p;
    static const char expand[] = "expand-path@openssh.com";
    (void)state;
    peer_ready(&p, NULL);
    put_text(&p, "/d/f", "text");
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "../d", "/l"), NACRE_FX_OK);
    assert_true(answers(&p, one(&p, NACRE_FXP_READLINK, "/l"), "../d"));
    assert_int_equal(one(&p, NACRE_FXP_READLINK, "/d/f"), NACRE_FX_BAD_MESSAGE);
    assert_int_equal(one(&p, NACRE_FXP_READLINK, "/d"), NACRE_FX_BAD_MESSAGE);
    assert_int_equal(one(&p, NACRE_FXP_READLINK, "/none"), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "x", "/l"), NACRE_FX_FAILURE);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "", "/m"), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "x", "/none/m"), NACRE_FX_NO_SUCH_FILE);
    assert_true(answers(&p, ask_ext(&p, expand, "~"), "/"));
    assert_true(answers(&p, ask_ext(&p, expand, "~/l/f"), "/d/f"));
    assert_true(answers(&p, ask_ext(&p, expand, "l"), "/d"));
    assert_int_equal(ask_ext(&p, expand, "~root"), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(ask_ext(&p, expand, "~/none/none"), NACRE_FX_NO_SUCH_FILE);
    assert_true(answers(&p, ask_ext(&p, "home-directory", "anybody"), "/"));
    nc_wr *w = begin_ext(&p, "users-groups-by-id@openssh.com");
    nc_wr_u32(w, 8);
    nc_wr_u32(w, 0);
    nc_wr_u32(w, 1);
    nc_wr_u32(w, 4);
    nc_wr_u32(w, 0);
    assert_int_equal(ask(&p), NACRE_FX_OK);
    static const char known[] = "\0\0\0\x0c\0\0\0\4root\0\0\0\0\0\0\0\x08\0\0\0\4root";
    assert_true(nc_span_eq(nc_rd_rest(&p.r), nc_span(known, sizeof(known) - 1)));
    assert_int_equal(ask_ext(&p, "users-groups-by-id@openssh.com", "abc"), NACRE_FX_BAD_MESSAGE);
    peer_close(&p);
}

/* What is asked for at once has an end: of numbers, of a link's words, and of the path that is told. */
static void as_long_as_may_be(void **state)
{
    enum { IDS = 4096, TARGET = 4095, LEVEL = 250, LEVELS = 66, HALF = 33 };
    static uint8_t numbers[4 * IDS + 4];
    static char target[TARGET + 2], whole[LEVELS * LEVEL + 1], path[HALF * LEVEL + 4];
    peer p;
    (void)state;
    peer_ready(&p, NULL);
    for (size_t more = 0; more < 2; more++) {
        nc_wr *w = begin_ext(&p, "users-groups-by-id@openssh.com");
        nc_wr_str(w, nc_span(numbers, 4 * (IDS / 2)));
        nc_wr_str(w, nc_span(numbers, 4 * (IDS / 2 + more)));
        assert_int_equal(ask(&p), more ? NACRE_FX_FAILURE : NACRE_FX_OK);
    }
    memset(target, 'x', TARGET + 1);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, target, "/link"), NACRE_FX_BAD_MESSAGE);
    assert_int_equal(one(&p, NACRE_FXP_LSTAT, "/link"), NACRE_FX_NO_SUCH_FILE);
    target[TARGET] = '\0';
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, target, "/link"), NACRE_FX_OK);
    /* Through links to a place whose own name is longer than any path: 66 levels of 250 bytes. */
    memset(whole, 'n', sizeof(whole) - 1);
    for (size_t i = 0; i < LEVELS; i++) {
        whole[i * LEVEL] = '/';
    }
    assert_int_equal(nacre_memory_files_mkdir(p.files, whole, 0700), NACRE_OK);
    const char *from = "/", *links[] = {"/1", "/2", "/3"};
    for (size_t i = 0; i < 3; i++) { /* eleven levels each */
        (void)snprintf(target, sizeof(target), "%s%.*s", i ? from : "", 11 * LEVEL, whole);
        assert_int_equal(two(&p, NACRE_FXP_SYMLINK, target, links[i]), NACRE_FX_OK);
        from = links[i];
    }
    (void)snprintf(path, sizeof(path), "/3%.*s", (HALF - 1) * LEVEL, whole);
    assert_int_equal(one(&p, NACRE_FXP_REALPATH, path), NACRE_FX_OK);
    assert_int_equal(nc_rd_u32(&p.r), 1);
    assert_int_equal(nc_rd_str(&p.r).n, (LEVELS - 1) * LEVEL);
    (void)snprintf(path, sizeof(path), "/3%.*s", HALF * LEVEL, whole);
    assert_int_equal(one(&p, NACRE_FXP_REALPATH, path), NACRE_FX_FAILURE);
    assert_int_equal(one(&p, NACRE_FXP_STAT, path), NACRE_FX_OK); /* it is there all the same */
    (void)snprintf(path, sizeof(path), "/3%.*s", (HALF - 1) * LEVEL, whole);
    (void)strcat(path, "/none");
    assert_int_equal(one(&p, NACRE_FXP_REALPATH, path), NACRE_FX_OK);
    memset(path + strlen(path) - 4, 'm', LEVEL - 1); /* nor is what is not there yet */
    path[2 + HALF * LEVEL] = '\0';
    assert_int_equal(one(&p, NACRE_FXP_REALPATH, path), NACRE_FX_FAILURE);
    peer_close(&p);
}

/* What the program around it may not put. */
static void not_put(void **state)
{
    peer p;
    char name[260];
    nacre_span bytes = nc_span_cstr("x"), got;
    (void)state;
    peer_ready(&p, NULL);
    put_text(&p, "/f", "text");
    assert_int_equal(nacre_memory_files_mkdir(p.files, "/d", 0700), NACRE_OK);
    assert_int_equal(nacre_memory_files_mkdir(p.files, "/d", 0700), NACRE_OK);
    assert_int_equal(nacre_memory_files_mkdir(p.files, "/f", 0700), NACRE_EXISTS);
    assert_int_equal(nacre_memory_files_mkdir(p.files, "/f/g", 0700), NACRE_EXISTS);
    assert_int_equal(nacre_memory_files_put(p.files, "/d", bytes, 0600), NACRE_EXISTS);
    assert_int_equal(nacre_memory_files_put(p.files, "/f/g", bytes, 0600), NACRE_EXISTS);
    assert_int_equal(nacre_memory_files_put(p.files, "/g/", bytes, 0600), NACRE_EXISTS);
    memset(name, 'n', sizeof(name));
    name[0] = '/';
    name[257] = '\0';
    assert_int_equal(nacre_memory_files_put(p.files, name, bytes, 0600), NACRE_TOO_LARGE);
    assert_int_equal(nacre_memory_files_mkdir(p.files, name, 0700), NACRE_TOO_LARGE);
    name[256] = '\0';
    assert_int_equal(nacre_memory_files_put(p.files, name, bytes, 0600), NACRE_OK);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "/loop/x", "/loop"), NACRE_FX_OK);
    assert_int_equal(nacre_memory_files_put(p.files, "/loop", bytes, 0600), NACRE_NOT_FOUND);
    assert_int_equal(nacre_memory_files_mkdir(p.files, "/loop/d", 0700), NACRE_NOT_FOUND);
    assert_int_equal(nacre_memory_files_get(p.files, "/d", &got), NACRE_NOT_FOUND);
    assert_int_equal(nacre_memory_files_get(p.files, "/none", &got), NACRE_NOT_FOUND);
    assert_int_equal(nacre_memory_files_get(p.files, "/f/g", &got), NACRE_NOT_FOUND);
    holds(&p, "/f", "text", 4);
    peer_close(&p);
}

/* ---- limits --------------------------------------------------------------------------------------- */

static void space(void **state)
{
    peer p;
    handle h;
    nacre_memory_files_options mo;
    (void)state;
    nacre_memory_files_options_init(&mo);
    mo.max_bytes = 1 << 20;
    mo.max_files = 4; /* the root is one */
    peer_ready(&p, &mo);
    assert_int_equal(open_file(&p, "/f", CREATE | NACRE_FXF_READ, &h), NACRE_FX_OK);
    assert_int_equal(put(&p, &h, UINT64_C(1) << 60, "x"), NACRE_FX_FAILURE);
    assert_int_equal(put(&p, &h, UINT64_MAX - 1, "x"), NACRE_FX_FAILURE);
    assert_int_equal(put(&p, &h, 1 << 20, "x"), NACRE_FX_FAILURE);
    assert_int_equal(set_size(&p, "/f", UINT64_C(1) << 62), NACRE_FX_FAILURE);
    holds(&p, "/f", NULL, 0);
    /* Holes cost nothing: what is left is all but two pages. */
    assert_int_equal(put(&p, &h, (1 << 20) - 1, "x"), NACRE_FX_OK);
    assert_int_equal(put(&p, &h, 4095, "yz"), NACRE_FX_OK);
    nc_wr_cstr(begin_ext(&p, "statvfs@openssh.com"), "/");
    assert_int_equal(ask(&p), NACRE_FX_OK);
    assert_int_equal(nc_rd_u64(&p.r), 4096);
    (void)nc_rd_u64(&p.r);
    assert_int_equal(nc_rd_u64(&p.r), 256);
    assert_int_equal(nc_rd_u64(&p.r), 253);
    nacre_span all;
    assert_int_equal(nacre_memory_files_get(p.files, "/f", &all), NACRE_OK);
    assert_int_equal(all.n, 1 << 20);
    for (size_t i = 0; i < all.n; i++) {
        uint8_t c = i == 4095 ? 'y' : i == 4096 ? 'z' : i == all.n - 1 ? 'x' : 0;
        assert_int_equal(all.p[i], c);
    }
    /* Cut and grown again: zeros, not what was there. */
    assert_int_equal(set_size(&p, "/f", 4095), NACRE_FX_OK);
    assert_int_equal(set_size(&p, "/f", 5000), NACRE_FX_OK);
    uint8_t zeros[5000] = {0};
    holds(&p, "/f", zeros, 5000);
    nacre_span big = {calloc(1, (1 << 20) + 1), (1 << 20) + 1};
    assert_int_equal(nacre_memory_files_put(p.files, "/more/g", big, 0600), NACRE_LIMIT);
    assert_int_equal(one(&p, NACRE_FXP_STAT, "/more"), NACRE_FX_NO_SUCH_FILE); /* in no case */
    big.n--;
    assert_int_equal(nacre_memory_files_put(p.files, "/g", big, 0600), NACRE_LIMIT);
    free((void *)(uintptr_t)big.p);
    assert_int_equal(one(&p, NACRE_FXP_REMOVE, "/g"), NACRE_FX_OK);
    /* Files, and names of one file. */
    assert_int_equal(one(&p, NACRE_FXP_MKDIR, "/d"), NACRE_FX_OK);
    assert_int_equal(two_ext(&p, "hardlink@openssh.com", "/f", "/h1"), NACRE_FX_OK);
    assert_int_equal(two_ext(&p, "hardlink@openssh.com", "/f", "/h2"), NACRE_FX_OK);
    assert_int_equal(two_ext(&p, "hardlink@openssh.com", "/f", "/h3"), NACRE_FX_FAILURE);
    assert_int_equal(one(&p, NACRE_FXP_MKDIR, "/d2"), NACRE_FX_FAILURE);
    assert_int_equal(two(&p, NACRE_FXP_RENAME, "/h1", "/h3"), NACRE_FX_OK);
    assert_int_equal(one(&p, NACRE_FXP_REMOVE, "/h3"), NACRE_FX_OK);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "x", "/l"), NACRE_FX_OK);
    peer_close(&p);
}

/* What links say counts as what files hold, when it is more than a few words. */
static void space_of_links(void **state)
{
    enum { PAGES = 8, LONG = 4000 };
    peer p;
    char target[LONG + 1], name[16];
    nacre_memory_files_options mo;
    (void)state;
    memset(target, 'x', LONG);
    target[LONG] = '\0';
    nacre_memory_files_options_init(&mo);
    mo.max_bytes = PAGES * 4096;
    peer_ready(&p, &mo);
    for (int i = 0; i < PAGES; i++) {
        (void)snprintf(name, sizeof(name), "/l%d", i);
        assert_int_equal(two(&p, NACRE_FXP_SYMLINK, target, name), NACRE_FX_OK);
    }
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, target, "/more"), NACRE_FX_FAILURE);
    assert_int_equal(one(&p, NACRE_FXP_LSTAT, "/more"), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, "few words", "/few"), NACRE_FX_OK);
    assert_int_equal(one(&p, NACRE_FXP_REMOVE, "/l0"), NACRE_FX_OK);
    assert_int_equal(two(&p, NACRE_FXP_SYMLINK, target, "/more"), NACRE_FX_OK);
    peer_close(&p);
}

/* ---- without memory --------------------------------------------------------------------------------- */

static void little_of_everything(peer *p)
{
    handle h = {{0}, 0}, g = {{0}, 0};
    begin(p, NACRE_FXP_INIT);
    nc_put_u32(p->out.data + 5, 3);
    (void)ask(p);
    (void)one(p, NACRE_FXP_MKDIR, "/d");
    (void)open_file(p, "/d/f", CREATE | NACRE_FXF_READ, &h);
    (void)put(p, &h, 10000, "text");
    (void)put(p, &h, 0, "text");
    (void)two(p, NACRE_FXP_SYMLINK, "/d", "/l");
    (void)two(p, NACRE_FXP_RENAME, "/l/f", "/l/g");
    (void)two_ext(p, "hardlink@openssh.com", "/l/g", "/h");
    (void)open_file(p, "/c", CREATE, &g);
    (void)copy(p, &h, 0, 0, &g, 0);
    (void)check(p, "check-file-name", "/d/g", NULL, "sha256", 0, 0, 256);
    (void)check(p, "check-file", NULL, &h, "crc32", 0, 0, 0);
    (void)one(p, NACRE_FXP_OPENDIR, "/d");
    g = keep_handle(p);
    wr_handle(begin(p, NACRE_FXP_READDIR), &g);
    (void)ask(p);
    (void)real_path(p, "/l/g");
    (void)one(p, NACRE_FXP_REMOVE, "/h");
    nacre_span bytes;
    (void)!nacre_memory_files_get(p->files, "/c", &bytes);
    (void)!nacre_memory_files_put(p->files, "/x/y", nc_span("z", 1), 0600);
}

static void no_memory(void **state)
{
    test_memory m;
    (void)state;
    for (test_memory_init(&m); test_memory_round(&m);) {
        peer p;
        nacre_memory_files_options mo;
        nacre_memory_files_options_init(&mo);
        mo.allocator = &m.hooks;
        peer_open(&p, &mo, NULL);
        if (p.rc == NACRE_OK) {
            little_of_everything(&p);
        }
        peer_close(&p);
    }
    assert_true(m.round > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(renames),
        cmocka_unit_test(removed_while_open),
        cmocka_unit_test(listing),
        cmocka_unit_test(attributes),
        cmocka_unit_test(made_with),
        cmocka_unit_test(names),
        cmocka_unit_test(as_long_as_may_be),
        cmocka_unit_test(not_put),
        cmocka_unit_test(space),
        cmocka_unit_test(space_of_links),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
