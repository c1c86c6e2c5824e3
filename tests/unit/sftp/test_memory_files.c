/*
 * A tree of files in memory behind the server machine: its rules, its limits, what happens without
 * memory; and check-file and copy-data, which the machine makes of it.
 */
#include "base/mem.h"
#include "mem_pipe.h"
#include "nacre/memory_files.h"
#include "wire/rd.h"
#include "wire/wr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct peer {
    mem_pipe pipe;
    nacre_memory_files *files;
    nacre_sftp_server *s;
    int rc;
    nc_buf out; /* the request that is being written */
    nc_wr w;
    uint8_t got[400000];
    size_t len;
    uint8_t type; /* of the reply */
    nc_rd r;      /* behind its id */
} peer;

static void peer_open(peer *p, const nacre_memory_files_options *mo, nacre_sftp_server_options *so)
{
    nacre_sftp_server_options plain;
    memset(p, 0, sizeof(*p));
    nacre_sftp_server_options_init(&plain);
    so = so ? so : &plain;
    if (mo) {
        so->allocator = mo->allocator;
    }
    mem_pipe_init(&p->pipe, 1 << 20, 32768, true);
    nc_buf_init(&p->out, NULL, 1 << 20);
    p->rc = nacre_memory_files_new(&p->files, mo);
    if (p->rc == NACRE_OK) {
        p->rc = nacre_sftp_server_new(&p->s, &p->pipe.server_pipe, nacre_memory_files_ops(),
                                      p->files, so, NULL);
    }
}

static void peer_close(peer *p)
{
    nacre_sftp_server_free(p->s);
    nacre_memory_files_free(p->files);
    nc_buf_clear(&p->out);
    mem_pipe_clear(&p->pipe);
}

static nc_wr *begin(peer *p, uint8_t type)
{
    nc_buf_reset(&p->out);
    p->w = nc_wr_init(&p->out);
    nc_wr_u32(&p->w, 0);
    nc_wr_u8(&p->w, type);
    nc_wr_u32(&p->w, 7);
    return &p->w;
}

static nc_wr *begin_ext(peer *p, const char *name)
{
    nc_wr *w = begin(p, NACRE_FXP_EXTENDED);
    nc_wr_cstr(w, name);
    return w;
}

/* Sends what was begun; the status of a STATUS, OK for any other reply. */
static uint32_t ask(peer *p)
{
    p->type = 0;
    p->r = nc_rd_init(nc_span(NULL, 0));
    if (p->rc != NACRE_OK) {
        return UINT32_MAX;
    }
    assert_int_equal(nc_wr_err(&p->w), NACRE_OK);
    nc_put_u32(p->out.data, (uint32_t)(p->out.len - 4));
    p->rc = nacre_sftp_server_input(p->s, nc_buf_span(&p->out));
    while (p->rc == NACRE_OK && nacre_sftp_server_wants_step(p->s)) {
        p->rc = nacre_sftp_server_flush(p->s);
    }
    p->len = mem_way_take(&p->pipe.down, p->got, sizeof(p->got));
    p->pipe.down.credit += p->len;
    if (p->rc != NACRE_OK) {
        return UINT32_MAX;
    }
    assert_true(p->len >= 9);
    assert_int_equal(nc_get_u32(p->got), p->len - 4);
    p->type = p->got[4];
    p->r = nc_rd_init(nc_span(p->got + 9, p->len - 9));
    return p->type == NACRE_FXP_STATUS ? nc_rd_u32(&p->r) : NACRE_FX_OK;
}

static void init(peer *p)
{
    begin(p, NACRE_FXP_INIT);
    nc_put_u32(p->out.data + 5, 3);
    assert_int_equal(ask(p), NACRE_FX_OK);
}

static void peer_ready(peer *p, const nacre_memory_files_options *mo)
{
    peer_open(p, mo, NULL);
    assert_int_equal(p->rc, NACRE_OK);
    init(p);
}

typedef struct handle {
    uint8_t bytes[64];
    size_t n;
} handle;

static handle keep_handle(peer *p)
{
    handle h = {{0}, 0};
    nacre_span got = nc_rd_str(&p->r);
    if (p->type == NACRE_FXP_HANDLE) {
        memcpy(h.bytes, got.p, got.n);
        h.n = got.n;
    }
    return h;
}

static void wr_handle(nc_wr *w, const handle *h)
{
    nc_wr_str(w, nc_span(h->bytes, h->n));
}

static uint32_t open_file(peer *p, const char *path, uint32_t pflags, handle *h)
{
    nc_wr *w = begin(p, NACRE_FXP_OPEN);
    nc_wr_cstr(w, path);
    nc_wr_u32(w, pflags);
    nc_wr_u32(w, 0);
    uint32_t code = ask(p);
    *h = keep_handle(p);
    return code;
}

static uint32_t put(peer *p, const handle *h, uint64_t offset, const char *text)
{
    nc_wr *w = begin(p, NACRE_FXP_WRITE);
    wr_handle(w, h);
    nc_wr_u64(w, offset);
    nc_wr_cstr(w, text);
    return ask(p);
}

static uint32_t close_file(peer *p, const handle *h)
{
    wr_handle(begin(p, NACRE_FXP_CLOSE), h);
    return ask(p);
}

static uint32_t one(peer *p, uint8_t type, const char *path)
{
    nc_wr *w = begin(p, type);
    nc_wr_cstr(w, path);
    nc_wr_u32(w, 0); /* attributes, where there are any */
    return ask(p);
}

static uint32_t two(peer *p, uint8_t type, const char *a, const char *b)
{
    nc_wr *w = begin(p, type);
    nc_wr_cstr(w, a);
    nc_wr_cstr(w, b);
    return ask(p);
}

static uint32_t two_ext(peer *p, const char *name, const char *a, const char *b)
{
    nc_wr *w = begin_ext(p, name);
    nc_wr_cstr(w, a);
    nc_wr_cstr(w, b);
    return ask(p);
}

static uint32_t set_size(peer *p, const char *path, uint64_t size)
{
    nc_wr *w = begin(p, NACRE_FXP_SETSTAT);
    nc_wr_cstr(w, path);
    nc_wr_u32(w, NACRE_SFTP_ATTR_SIZE);
    nc_wr_u64(w, size);
    return ask(p);
}

static const char *real_path(peer *p, const char *path)
{
    static char text[300];
    text[0] = '\0';
    if (one(p, NACRE_FXP_REALPATH, path) == NACRE_FX_OK) {
        (void)nc_rd_u32(&p->r);
        nacre_span got = nc_rd_str(&p->r);
        assert_true(got.n < sizeof(text));
        memcpy(text, got.p, got.n);
        text[got.n] = '\0';
    }
    return text;
}

static void put_text(peer *p, const char *path, const char *text)
{
    assert_int_equal(nacre_memory_files_put(p->files, path, nc_span_cstr(text), 0644), NACRE_OK);
}

static void holds(peer *p, const char *path, const void *bytes, size_t n)
{
    nacre_span got;
    assert_int_equal(nacre_memory_files_get(p->files, path, &got), NACRE_OK);
    assert_int_equal(got.n, n);
    if (n) {
        assert_memory_equal(got.p, bytes, n);
    }
}

enum { CREATE = NACRE_FXF_WRITE | NACRE_FXF_CREAT, NEW = CREATE | NACRE_FXF_EXCL };

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
    nacre_span big = {calloc(1, 1 << 20), 1 << 20};
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

/* ---- check-file and copy-data ---------------------------------------------------------------------- */

static uint32_t check(peer *p, const char *ext, const char *path, const handle *h,
                      const char *algorithms, uint64_t offset, uint64_t length, uint32_t block)
{
    nc_wr *w = begin_ext(p, ext);
    if (h) {
        wr_handle(w, h);
    } else {
        nc_wr_cstr(w, path);
    }
    nc_wr_cstr(w, algorithms);
    nc_wr_u64(w, offset);
    nc_wr_u64(w, length);
    nc_wr_u32(w, block);
    return ask(p);
}

static void expect_hash(peer *p, const char *prefix, const char *algorithm, const char *hex)
{
    assert_int_equal(p->type, NACRE_FXP_EXTENDED_REPLY);
    if (prefix) {
        assert_true(nc_span_is(nc_rd_str(&p->r), prefix));
    }
    assert_true(nc_span_is(nc_rd_str(&p->r), algorithm));
    nacre_span rest = nc_rd_rest(&p->r);
    assert_int_equal(rest.n * 2, strlen(hex));
    for (size_t i = 0; i < rest.n; i++) {
        char two_digits[3];
        (void)snprintf(two_digits, sizeof(two_digits), "%02x", rest.p[i]);
        assert_memory_equal(two_digits, hex + 2 * i, 2);
    }
}

static void check_file(void **state)
{
    peer p;
    handle h, w;
    (void)state;
    peer_ready(&p, NULL);
    put_text(&p, "/abc", "abc");
    put_text(&p, "/empty", "");
    const char *name = "check-file-name", *by_handle = "check-file-handle";
    /* The words of FIPS 180-4's and RFC 1321's examples, "abc". */
    static const struct {
        const char *algorithm, *hex;
    } rows[] = {
        {"md5", "900150983cd24fb0d6963f7d28e17f72"},
        {"sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"sha224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
        {"sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"crc32", "352441c2"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(check(&p, name, "/abc", NULL, rows[i].algorithm, 0, 0, 0), NACRE_FX_OK);
        expect_hash(&p, NULL, rows[i].algorithm, rows[i].hex);
    }
    assert_int_equal(open_file(&p, "/abc", NACRE_FXF_READ, &h), NACRE_FX_OK);
    assert_int_equal(check(&p, "check-file", NULL, &h, "none,md5,sha1", 0, 3, 256), NACRE_FX_OK);
    expect_hash(&p, "check-file", "md5", rows[0].hex);
    assert_int_equal(check(&p, by_handle, NULL, &h, "crc32", 1, 1, 0), NACRE_FX_OK);
    expect_hash(&p, NULL, "crc32", "71beeff9"); /* "b" */
    /* Nothing: one hash without blocks, none with them. */
    assert_int_equal(check(&p, name, "/empty", NULL, "md5", 0, 0, 0), NACRE_FX_OK);
    expect_hash(&p, NULL, "md5", "d41d8cd98f00b204e9800998ecf8427e");
    assert_int_equal(check(&p, name, "/empty", NULL, "md5", 0, 0, 256), NACRE_FX_OK);
    expect_hash(&p, NULL, "md5", "");
    assert_int_equal(check(&p, by_handle, NULL, &h, "crc32", UINT64_MAX, UINT64_MAX, 0),
                     NACRE_FX_OK);
    expect_hash(&p, NULL, "crc32", "00000000");
    assert_int_equal(check(&p, name, "/abc", NULL, "none,sha3", 0, 0, 0), NACRE_FX_FAILURE);
    assert_int_equal(check(&p, name, "/abc", NULL, "md5", 0, 0, 255), NACRE_FX_FAILURE);
    assert_int_equal(check(&p, name, "/none", NULL, "md5", 0, 0, 0), NACRE_FX_NO_SUCH_FILE);
    assert_int_equal(open_file(&p, "/abc", NACRE_FXF_WRITE, &w), NACRE_FX_OK);
    assert_int_equal(check(&p, by_handle, NULL, &w, "md5", 0, 0, 0), NACRE_FX_PERMISSION_DENIED);
    nc_wr_cstr(begin_ext(&p, "check-file"), "cut");
    assert_int_equal(ask(&p), NACRE_FX_BAD_MESSAGE);
    peer_close(&p);
}

static void check_blocks(void **state)
{
    peer p;
    enum { SIZE = 5000 * 1024 + 17 };
    uint8_t *bytes = malloc(SIZE);
    (void)state;
    assert_non_null(bytes);
    memset(bytes, 'z', SIZE);
    peer_ready(&p, NULL);
    assert_int_equal(nacre_memory_files_put(p.files, "/big", nc_span(bytes, SIZE), 0600), NACRE_OK);
    free(bytes);
    assert_int_equal(check(&p, "check-file-name", "/big", NULL, "crc32", 0, 0, 100000),
                     NACRE_FX_OK);
    (void)nc_rd_str(&p.r);
    assert_int_equal(nc_rd_left(&p.r), 4 * ((SIZE + 99999) / 100000));
    assert_memory_equal(p.r.p, p.r.p + 4, 4);
    assert_memory_not_equal(p.r.p, p.r.p + 4 * (SIZE / 100000), 4);
    /* More hashes than a reply holds. */
    assert_int_equal(check(&p, "check-file-name", "/big", NULL, "sha512", 0, 0, 256),
                     NACRE_FX_FAILURE);
    /* One call does a part only, and says so; others wait their turn, and come. */
    nc_wr *w = begin_ext(&p, "check-file-name");
    nc_wr_cstr(w, "/big");
    nc_wr_cstr(w, "sha1");
    nc_wr_u64(w, 0);
    nc_wr_u64(w, 0);
    nc_wr_u32(w, 0);
    nc_put_u32(p.out.data, (uint32_t)(p.out.len - 4));
    assert_int_equal(nacre_sftp_server_input(p.s, nc_buf_span(&p.out)), NACRE_OK);
    assert_true(nacre_sftp_server_wants_step(p.s));
    assert_false(nacre_sftp_server_idle(p.s));
    assert_int_equal(mem_way_take(&p.pipe.down, p.got, sizeof(p.got)), 0);
    nc_wr_cstr(begin(&p, NACRE_FXP_STAT), "/big");
    nc_put_u32(p.out.data, (uint32_t)(p.out.len - 4));
    unsigned steps = 0;
    assert_int_equal(nacre_sftp_server_input(p.s, nc_buf_span(&p.out)), NACRE_OK);
    while (nacre_sftp_server_wants_step(p.s)) {
        steps++;
        assert_int_equal(nacre_sftp_server_flush(p.s), NACRE_OK);
    }
    p.len = mem_way_take(&p.pipe.down, p.got, sizeof(p.got));
    assert_int_equal(p.got[4], NACRE_FXP_EXTENDED_REPLY);
    assert_int_equal(p.got[4 + nc_get_u32(p.got) + 4], NACRE_FXP_ATTRS);
    assert_true(nacre_sftp_server_idle(p.s));
    /* In the middle of one the session ends: nothing leaks (the sanitizers and valgrind look). */
    assert_int_equal(check(&p, "check-file-name", "/big", NULL, "md5", 0, 10, 0), NACRE_FX_OK);
    assert_true(steps <= 4);
    peer_close(&p);
}

static uint32_t copy(peer *p, const handle *from, uint64_t a, uint64_t n, const handle *to,
                     uint64_t b)
{
    nc_wr *w = begin_ext(p, "copy-data");
    wr_handle(w, from);
    nc_wr_u64(w, a);
    nc_wr_u64(w, n);
    wr_handle(w, to);
    nc_wr_u64(w, b);
    return ask(p);
}

static void copy_data(void **state)
{
    peer p;
    handle from, same, to;
    enum { SIZE = 3 << 20 };
    uint8_t *bytes = malloc(SIZE);
    (void)state;
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++) {
        bytes[i] = (uint8_t)(i * 7 + i / 4096);
    }
    peer_ready(&p, NULL);
    assert_int_equal(nacre_memory_files_put(p.files, "/a", nc_span(bytes, SIZE), 0600), NACRE_OK);
    assert_int_equal(open_file(&p, "/a", NACRE_FXF_READ, &from), NACRE_FX_OK);
    assert_int_equal(open_file(&p, "/a", NACRE_FXF_WRITE, &same), NACRE_FX_OK);
    assert_int_equal(open_file(&p, "/b", CREATE, &to), NACRE_FX_OK);
    assert_int_equal(copy(&p, &from, 1, 0, &to, 0), NACRE_FX_OK);
    holds(&p, "/b", bytes + 1, SIZE - 1);
    assert_int_equal(copy(&p, &from, 0, 5, &to, 3), NACRE_FX_OK);
    assert_int_equal(copy(&p, &from, SIZE + 1, 0, &to, 3), NACRE_FX_OK);
    assert_int_equal(copy(&p, &from, 0, UINT64_C(1) << 62, &to, 0), NACRE_FX_OK);
    holds(&p, "/b", bytes, SIZE);
    assert_int_equal(copy(&p, &from, 0, 0, &to, UINT64_C(1) << 62), NACRE_FX_FAILURE);
    assert_int_equal(copy(&p, &from, 0, 0, &same, 0), NACRE_FX_FAILURE);
    assert_int_equal(copy(&p, &to, 0, 0, &same, 0), NACRE_FX_PERMISSION_DENIED);
    free(bytes);
    peer_close(&p);
}

static void denied(void **state)
{
    peer p;
    handle h;
    nacre_sftp_server_options so;
    (void)state;
    nacre_sftp_server_options_init(&so);
    so.deny = "read";
    peer_open(&p, NULL, &so);
    init(&p);
    put_text(&p, "/f", "secret");
    assert_int_equal(open_file(&p, "/f", NACRE_FXF_READ, &h), NACRE_FX_OK);
    const uint32_t no = NACRE_FX_PERMISSION_DENIED;
    assert_int_equal(check(&p, "check-file", NULL, &h, "md5", 0, 0, 0), no);
    assert_int_equal(check(&p, "check-file-name", "/f", NULL, "md5", 0, 0, 0), no);
    peer_close(&p);
    nacre_sftp_server_options_init(&so);
    so.read_only = true;
    peer_open(&p, NULL, &so);
    init(&p);
    put_text(&p, "/f", "abc");
    assert_int_equal(check(&p, "check-file-name", "/f", NULL, "crc32", 0, 0, 0), NACRE_FX_OK);
    expect_hash(&p, NULL, "crc32", "352441c2");
    peer_close(&p);
}

/* ---- without memory --------------------------------------------------------------------------------- */

typedef struct ration {
    size_t calls, fail_at;
    long live;
} ration;

static void *ration_alloc(void *user, size_t size)
{
    ration *r = user;
    if (++r->calls == r->fail_at) {
        return NULL;
    }
    r->live++;
    return malloc(size);
}

static void *ration_resize(void *user, void *p, size_t size)
{
    ration *r = user;
    if (++r->calls == r->fail_at) {
        return NULL;
    }
    r->live += p ? 0 : 1;
    return realloc(p, size);
}

static void ration_free(void *user, void *p)
{
    ration *r = user;
    r->live -= p ? 1 : 0;
    free(p);
}

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
    bool whole = false;
    (void)state;
    for (size_t n = 1; !whole && n < 10000; n++) {
        peer p;
        ration r = {0, n, 0};
        nacre_allocator a = {ration_alloc, ration_resize, ration_free, &r};
        nacre_memory_files_options mo;
        nacre_memory_files_options_init(&mo);
        mo.allocator = &a;
        peer_open(&p, &mo, NULL);
        if (p.rc == NACRE_OK) {
            little_of_everything(&p);
        }
        whole = r.calls < n;
        peer_close(&p);
        assert_int_equal(r.live, 0);
    }
    assert_true(whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths),
        cmocka_unit_test(renames),
        cmocka_unit_test(removed_while_open),
        cmocka_unit_test(listing),
        cmocka_unit_test(space),
        cmocka_unit_test(check_file),
        cmocka_unit_test(check_blocks),
        cmocka_unit_test(copy_data),
        cmocka_unit_test(denied),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
