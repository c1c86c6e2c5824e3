/*
 * The two SFTP machines against each other: every operation and extension, over kind and unkind pipes.
 */
#include "sftp_loop.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const loop_setup kinds[] = {
    {CUT_ALL, 2 << 20, 32768, true, NULL, NULL}, {CUT_ALL, 2 << 20, 32768, false, NULL, NULL},
    {CUT_BYTE, 1 << 20, 100, true, NULL, NULL},  {CUT_RANDOM, 1 << 20, 7, true, NULL, NULL},
    {CUT_RANDOM, 64, 10, true, NULL, NULL},      {CUT_ALL, 5, 2, true, NULL, NULL},
    {CUT_RANDOM, 4096, 1000, false, NULL, NULL},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

#define ASK(l, fn, ...)                                                                            \
    ({                                                                                             \
        uint32_t id_;                                                                              \
        int rc_ = fn((l)->client, __VA_ARGS__, &id_);                                              \
        loop_wait((l), rc_, id_);                                                                  \
    })

static void ok(const loop_reply *r)
{
    if (r->type != NACRE_SFTP_EVENT_STATUS || r->code != NACRE_FX_OK) {
        fail_msg("type %d code %u message %s", (int)r->type, r->code, r->message);
    }
}

static void refused(const loop_reply *r, uint32_t code)
{
    assert_int_equal(r->type, NACRE_SFTP_EVENT_STATUS);
    assert_int_equal(r->code, code);
}

static nacre_span open_file(loop *l, const char *path, uint32_t pflags, uint8_t keep[256])
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = 0640};
    const loop_reply *r = ASK(l, nacre_sftp_req_open, SPAN(path), pflags, &a);
    if (r->type != NACRE_SFTP_EVENT_HANDLE) {
        fail_msg("open %s: code %u %s", path, r->code, r->message);
    }
    memcpy(keep, r->handle, r->handle_len);
    return nc_span(keep, r->handle_len);
}

static void put_bytes(loop *l, nacre_span h, uint64_t at, const void *p, size_t n)
{
    const uint8_t *b = p;
    while (n > 0) {
        size_t took;
        uint32_t id;
        int rc = nacre_sftp_req_write(l->client, h, at, nc_span(b, n), &took, &id);
        if (rc == NACRE_AGAIN) {
            assert_true(loop_pump(l));
            continue;
        }
        ok(loop_wait(l, rc, id));
        b += took;
        at += took;
        n -= took;
    }
}

static void check_attrs_ops(loop *l, nacre_span h)
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS | NACRE_SFTP_ATTR_ACMODTIME,
                          .permissions = 0600,
                          .atime = 11,
                          .mtime = 22};
    ok(ASK(l, nacre_sftp_req_setstat, SPAN("/f"), &a));
    const loop_reply *r = ASK(l, nacre_sftp_req_stat, SPAN("/f"));
    assert_int_equal(r->type, NACRE_SFTP_EVENT_ATTRS);
    assert_int_equal(r->attrs.permissions, NACRE_SFTP_S_IFREG | 0600);
    assert_int_equal(r->attrs.mtime, 22);
    assert_int_equal(r->attrs.size, 11);
    a.flags = NACRE_SFTP_ATTR_SIZE | NACRE_SFTP_ATTR_UIDGID;
    a.size = 5;
    a.uid = 7;
    a.gid = 8;
    ok(ASK(l, nacre_sftp_req_fsetstat, h, &a));
    r = ASK(l, nacre_sftp_req_fstat, h);
    assert_int_equal(r->attrs.size, 5);
    assert_int_equal(r->attrs.uid, 7);
    assert_int_equal(r->attrs.gid, 8);
}

static void check_links(loop *l)
{
    ok(ASK(l, nacre_sftp_req_symlink, SPAN("/f"), SPAN("/l")));
    const loop_reply *r = ASK(l, nacre_sftp_req_readlink, SPAN("/l"));
    assert_int_equal(r->type, NACRE_SFTP_EVENT_NAMES);
    assert_string_equal(r->names, "/f");
    r = ASK(l, nacre_sftp_req_lstat, SPAN("/l"));
    assert_int_equal(r->attrs.permissions & NACRE_SFTP_S_IFMT, NACRE_SFTP_S_IFLNK);
    r = ASK(l, nacre_sftp_req_stat, SPAN("/l"));
    assert_int_equal(r->attrs.permissions & NACRE_SFTP_S_IFMT, NACRE_SFTP_S_IFREG);
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_ACMODTIME, .atime = 1, .mtime = 77};
    ok(ASK(l, nacre_sftp_req_lsetstat, SPAN("/l"), &a));
    assert_int_equal(mem_backend_find(&l->backend, "/l")->attrs.mtime, 77);
    nacre_sftp_engine_set_draft_symlink(l->client, true);
    ok(ASK(l, nacre_sftp_req_symlink, SPAN("/l2"), SPAN("/f")));
    assert_non_null(mem_backend_find(&l->backend, "/f"));
    refused(ASK(l, nacre_sftp_req_readlink, SPAN("/f")), NACRE_FX_NO_SUCH_FILE);
    ok(ASK(l, nacre_sftp_req_remove, SPAN("/l")));
    refused(ASK(l, nacre_sftp_req_remove, SPAN("/l")), NACRE_FX_NO_SUCH_FILE);
}

static void check_dirs(loop *l)
{
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = 0700};
    ok(ASK(l, nacre_sftp_req_mkdir, SPAN("/d"), &a));
    refused(ASK(l, nacre_sftp_req_mkdir, SPAN("/d"), NULL), NACRE_FX_FAILURE);
    mem_backend_add(&l->backend, "/d/one", NACRE_SFTP_S_IFREG | 0644);
    mem_backend_add(&l->backend, "/d/two", NACRE_SFTP_S_IFREG | 0644);
    refused(ASK(l, nacre_sftp_req_rmdir, SPAN("/d")), NACRE_FX_FAILURE);
    const loop_reply *r = ASK(l, nacre_sftp_req_opendir, SPAN("/d"));
    assert_int_equal(r->type, NACRE_SFTP_EVENT_HANDLE);
    uint8_t keep[256];
    memcpy(keep, r->handle, r->handle_len);
    nacre_span h = nc_span(keep, r->handle_len);
    r = ASK(l, nacre_sftp_req_readdir, h);
    assert_string_equal(r->names, "one,two");
    assert_string_equal(r->longname, "-rw-r--r--   ? 1000     100             0 Jan  1  1970 two");
    refused(ASK(l, nacre_sftp_req_readdir, h), NACRE_FX_EOF);
    refused(ASK(l, nacre_sftp_req_fstat, h), NACRE_FX_FAILURE);
    ok(ASK(l, nacre_sftp_req_close, h));
    refused(ASK(l, nacre_sftp_req_close, h), NACRE_FX_FAILURE);
    ok(ASK(l, nacre_sftp_req_remove, SPAN("/d/one")));
    ok(ASK(l, nacre_sftp_req_remove, SPAN("/d/two")));
    ok(ASK(l, nacre_sftp_req_rmdir, SPAN("/d")));
    refused(ASK(l, nacre_sftp_req_opendir, SPAN("/d")), NACRE_FX_NO_SUCH_FILE);
}

static void check_names(loop *l)
{
    mem_backend_add(&l->backend, "/a", NACRE_SFTP_S_IFREG | 0644);
    mem_backend_add(&l->backend, "/b", NACRE_SFTP_S_IFREG | 0644);
    refused(ASK(l, nacre_sftp_req_rename, SPAN("/a"), SPAN("/b")), NACRE_FX_FAILURE);
    ok(ASK(l, nacre_sftp_req_rename, SPAN("/a"), SPAN("/c")));
    ok(ASK(l, nacre_sftp_req_posix_rename, SPAN("/c"), SPAN("/b")));
    ok(ASK(l, nacre_sftp_req_hardlink, SPAN("/b"), SPAN("/h")));
    assert_non_null(mem_backend_find(&l->backend, "/h"));
    assert_null(mem_backend_find(&l->backend, "/c"));
    assert_string_equal(ASK(l, nacre_sftp_req_realpath, SPAN("."))->names, "/home/me");
    assert_string_equal(ASK(l, nacre_sftp_req_realpath, SPAN(""))->names, "/home/me");
    assert_string_equal(ASK(l, nacre_sftp_req_expand_path, SPAN("~/x"))->names, "/home/me/x");
    assert_string_equal(ASK(l, nacre_sftp_req_home_directory, SPAN("you"))->names, "/home/you");
}

static void check_extensions(loop *l, nacre_span h)
{
    const loop_reply *r = ASK(l, nacre_sftp_req_statvfs, SPAN("/"));
    assert_int_equal(r->type, NACRE_SFTP_EVENT_STATVFS);
    assert_int_equal(r->statvfs.bsize, 1);
    assert_int_equal(r->statvfs.flag, NACRE_SFTP_ST_NOSUID);
    assert_int_equal(r->statvfs.namemax, 255);
    assert_int_equal(ASK(l, nacre_sftp_req_fstatvfs, h)->statvfs.frsize, 2);
    ok(ASK(l, nacre_sftp_req_fsync, h));
    assert_int_equal(l->backend.fsyncs, 1);
    const uint32_t uids[] = {0, 5};
    const uint32_t gids[] = {100};
    r = ASK(l, nacre_sftp_req_users_groups, uids, 2, gids, 1);
    static const uint8_t expected[] = "\0\0\0\x0C\0\0\0\4root\0\0\0\0\0\0\0\x09\0\0\0\5users";
    assert_int_equal(r->type, NACRE_SFTP_EVENT_EXTENDED);
    assert_int_equal(r->len, sizeof(expected) - 1);
    assert_memory_equal(r->bytes, expected, r->len);
    r = ASK(l, nacre_sftp_req_extended, "echo@test", SPAN("hello"));
    assert_int_equal(r->type, NACRE_SFTP_EVENT_EXTENDED);
    assert_memory_equal(r->bytes, "hello", 5);
    ok(ASK(l, nacre_sftp_req_extended, "touch@test", SPAN("")));
    refused(ASK(l, nacre_sftp_req_extended, "nobody@test", SPAN("")), NACRE_FX_OP_UNSUPPORTED);
    uint32_t id;
    int rc = nacre_sftp_req_limits(l->client, &id);
    r = loop_wait(l, rc, id);
    assert_int_equal(r->type, NACRE_SFTP_EVENT_LIMITS);
    nacre_sftp_limits limits;
    nacre_sftp_engine_limits(l->client, &limits);
    assert_int_equal(limits.max_packet, 262144);
    assert_int_equal(limits.max_read, 261120);
    assert_int_equal(limits.max_write, 261120);
    assert_int_equal(limits.max_handles, 1024);
}

static void check_copy(loop *l, nacre_span from)
{
    uint8_t keep[256];
    nacre_span to = open_file(l, "/copy", NACRE_FXF_WRITE | NACRE_FXF_CREAT, keep);
    ok(ASK(l, nacre_sftp_req_copy_data, from, 1, 3, to, 2));
    mem_node *n = mem_backend_find(&l->backend, "/copy");
    assert_int_equal(n->size, 5);
    assert_memory_equal(n->data, "\0\0ell", 5);
    refused(ASK(l, nacre_sftp_req_copy_data, from, 0, 0, from, 2), NACRE_FX_FAILURE);
    refused(ASK(l, nacre_sftp_req_copy_data, to, 0, 0, from, 2), NACRE_FX_PERMISSION_DENIED);
    refused(ASK(l, nacre_sftp_req_read, to, 0, 10, NULL), NACRE_FX_PERMISSION_DENIED);
    ok(ASK(l, nacre_sftp_req_close, to));
}

static void every_operation(void **state)
{
    for (size_t i = 0; i < 2 * KINDS; i++) {
        loop l;
        uint8_t keep[256];
        assert_int_equal(loop_open(&l, kinds[i / 2]), NACRE_OK);
        l.backend.later = i % 2 == 1;
        for (int x = 0; x < NACRE_SFTP_EXT_CHECK_FILE; x++) {
            assert_true(nacre_sftp_engine_has(l.client, (nacre_sftp_ext)x));
        }
        assert_true(nacre_sftp_engine_extension(l.client, "touch@test", NULL));
        assert_false(nacre_sftp_engine_extension(l.client, "touch", NULL));
        nacre_span h =
            open_file(&l, "/f", NACRE_FXF_READ | NACRE_FXF_WRITE | NACRE_FXF_CREAT, keep);
        put_bytes(&l, h, 0, "hello world", 11);
        const loop_reply *r = ASK(&l, nacre_sftp_req_read, h, 6, 100, NULL);
        assert_int_equal(r->type, NACRE_SFTP_EVENT_DATA);
        assert_int_equal(r->len, 5);
        assert_memory_equal(r->bytes, "world", 5);
        refused(ASK(&l, nacre_sftp_req_read, h, 11, 1, NULL), NACRE_FX_EOF);
        refused(ASK(&l, nacre_sftp_req_open, SPAN("/none"), NACRE_FXF_READ, NULL),
                NACRE_FX_NO_SUCH_FILE);
        assert_string_equal(l.reply.message, "No such file");
        check_attrs_ops(&l, h);
        check_links(&l);
        check_dirs(&l);
        check_names(&l);
        l.backend.later = false;
        check_copy(&l, h);
        check_extensions(&l, h);
        ok(ASK(&l, nacre_sftp_req_close, h));
        assert_int_equal(l.backend.open_now, 0);
        assert_int_equal(l.client_rc, NACRE_OK);
        assert_int_equal(l.server_rc, NACRE_OK);
        assert_true(nacre_sftp_server_idle(l.server));
        assert_int_equal(nacre_sftp_engine_outstanding(l.client), 0);
        assert_int_equal(nacre_sftp_engine_end(l.client), NACRE_OK);
        loop_close(&l);
    }
    (void)state;
}

/* ---- large transfers ------------------------------------------------------------------------------ */

typedef struct transfer {
    uint8_t handle[256];
    nacre_span h;
    size_t size, asked, done;
    uint64_t hash; /* position-dependent sum: pieces come in any order */
    unsigned failures;
} transfer;

static uint64_t mix(uint64_t at, uint8_t byte)
{
    return (at * 0x9E3779B97F4A7C15u + byte) ^ ((uint64_t)byte << 32 | at >> 3);
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static void on_get(loop *l, const nacre_sftp_event *ev)
{
    transfer *t = l->user;
    if (ev->type != NACRE_SFTP_EVENT_DATA) {
        t->failures++;
        return;
    }
    for (size_t i = 0; i < ev->u.data.bytes.n; i++) {
        t->hash += mix(ev->u.data.position + i, ev->u.data.bytes.p[i]);
    }
    t->done += ev->u.data.bytes.n;
    if (ev->done && ev->u.data.offset + ev->u.data.bytes.n != ev->u.data.total) {
        t->failures++;
    }
}

static void get_all(loop *l, transfer *t)
{
    l->on_event = on_get;
    l->user = t;
    while (t->done < t->size && t->failures == 0) {
        while (t->asked < t->size && nacre_sftp_engine_outstanding(l->client) < 64) {
            size_t asked;
            uint32_t id;
            int rc =
                nacre_sftp_req_read(l->client, t->h, t->asked, t->size - t->asked, &asked, &id);
            if (rc == NACRE_AGAIN) {
                break;
            }
            assert_int_equal(rc, NACRE_OK);
            t->asked += asked;
        }
        assert_true(loop_pump(l));
    }
    l->on_event = NULL;
    assert_int_equal(t->failures, 0);
    assert_int_equal(t->done, t->size);
}

static void on_put(loop *l, const nacre_sftp_event *ev)
{
    transfer *t = l->user;
    t->failures += ev->type != NACRE_SFTP_EVENT_STATUS || ev->u.status.code != NACRE_FX_OK;
    t->done++;
}

static bool put_one(loop *l, transfer *t)
{
    nacre_room rooms[16];
    size_t count = 16;
    size_t granted;
    uint32_t id;
    int rc = nacre_sftp_reserve_write(l->client, t->h, t->asked, t->size - t->asked, rooms, &count,
                                      &granted);
    if (rc == NACRE_AGAIN) {
        return false;
    }
    assert_int_equal(rc, NACRE_OK);
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < rooms[i].n; k++) {
            rooms[i].p[k] = byte_at(t->asked + n + k);
        }
        n += rooms[i].n;
    }
    assert_int_equal(n, granted);
    /* Now and then the source gives less than there is room for. */
    if (n > 1 && loop_random(l) % 5 == 0) {
        n -= 1 + loop_random(l) % (n - 1);
    }
    assert_int_equal(nacre_sftp_commit_write(l->client, n, &id), NACRE_OK);
    assert_int_not_equal(id, 0);
    t->asked += n;
    return true;
}

static void put_all(loop *l, transfer *t)
{
    l->on_event = on_put;
    l->user = t;
    while (t->asked < t->size || nacre_sftp_engine_outstanding(l->client) > 0) {
        while (t->asked < t->size && put_one(l, t)) {
        }
        assert_true(loop_pump(l));
    }
    l->on_event = NULL;
    assert_int_equal(t->failures, 0);
}

static void round_trip(loop_setup setup, size_t size, bool later, bool ask_limits)
{
    loop l;
    transfer put = {.size = size};
    transfer get = {.size = size};
    uint32_t id;
    assert_int_equal(loop_open(&l, setup), NACRE_OK);
    l.backend.later = later;
    if (ask_limits) {
        assert_int_equal(nacre_sftp_req_limits(l.client, &id), NACRE_OK);
        assert_int_equal(loop_wait(&l, NACRE_OK, id)->type, NACRE_SFTP_EVENT_LIMITS);
    }
    put.h = open_file(&l, "/big", NACRE_FXF_WRITE | NACRE_FXF_CREAT | NACRE_FXF_TRUNC, put.handle);
    put_all(&l, &put);
    ok(ASK(&l, nacre_sftp_req_close, put.h));
    mem_node *n = mem_backend_find(&l.backend, "/big");
    assert_int_equal(n->size, size);
    uint64_t hash = 0;
    for (size_t i = 0; i < size; i++) {
        if (n->data[i] != byte_at(i)) {
            fail_msg("byte %zu differs", i);
        }
        hash += mix(i, n->data[i]);
    }
    get.h = open_file(&l, "/big", NACRE_FXF_READ, get.handle);
    get_all(&l, &get);
    assert_true(get.hash == hash);
    if (later && setup.window >= 4096) {
        assert_true(l.backend.late_most > 1); /* several READs were parked at once */
    }
    nacre_sftp_server_stats stats;
    nacre_sftp_server_get_stats(l.server, &stats);
    assert_int_equal(stats.bytes_read, size);
    assert_int_equal(stats.bytes_written, size);
    loop_close(&l);
}

static void large_files(void **state)
{
    (void)state;
    loop_setup wide = {CUT_ALL, 2 << 20, 32768, true, NULL, NULL};
    loop_setup plain = {CUT_ALL, 2 << 20, 32768, false, NULL, NULL};
    round_trip(wide, 64 << 20, false, true);
    round_trip(wide, 8 << 20, false, false);
    round_trip(plain, 8 << 20, false, true);
    round_trip(wide, 8 << 20, true, true);
}

static void small_windows(void **state)
{
    (void)state;
    static const size_t windows[] = {1, 100, 4096, 24 * 1024, 32 * 1024 + 17, 300000};
    for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
        loop_setup s = {CUT_RANDOM, windows[i], 1000, true, NULL, NULL};
        size_t size = windows[i] < 200 ? 5000 : 600000;
        round_trip(s, size, false, true);
        s.lend = false;
        round_trip(s, size, false, i % 2);
        round_trip(s, size < 70000 ? 70000 : size, true, false);
    }
}

/* ---- rules ---------------------------------------------------------------------------------------- */

static void read_only(void **state)
{
    loop l;
    nacre_sftp_server_options o;
    uint8_t keep[256];
    (void)state;
    nacre_sftp_server_options_init(&o);
    o.read_only = true;
    loop_setup s = {CUT_ALL, 1 << 20, 32768, true, NULL, &o};
    assert_int_equal(loop_open(&l, s), NACRE_OK);
    mem_backend_set(mem_backend_add(&l.backend, "/f", NACRE_SFTP_S_IFREG | 0644), "abc", 3);
    static const uint32_t changes[] = {NACRE_FXF_WRITE,
                                       NACRE_FXF_READ | NACRE_FXF_WRITE,
                                       NACRE_FXF_READ | NACRE_FXF_CREAT,
                                       NACRE_FXF_READ | NACRE_FXF_TRUNC,
                                       NACRE_FXF_APPEND,
                                       NACRE_FXF_CREAT};
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        refused(ASK(&l, nacre_sftp_req_open, SPAN("/f"), changes[i], NULL),
                NACRE_FX_PERMISSION_DENIED);
        refused(ASK(&l, nacre_sftp_req_open, SPAN("/new"), changes[i], NULL),
                NACRE_FX_PERMISSION_DENIED);
    }
    assert_null(mem_backend_find(&l.backend, "/new"));
    nacre_span h = open_file(&l, "/f", NACRE_FXF_READ, keep);
    nacre_sftp_attrs a = {.flags = NACRE_SFTP_ATTR_PERMISSIONS};
    size_t took;
    const uint32_t no = NACRE_FX_PERMISSION_DENIED;
    refused(ASK(&l, nacre_sftp_req_setstat, SPAN("/f"), &a), no);
    refused(ASK(&l, nacre_sftp_req_fsetstat, h, &a), no);
    refused(ASK(&l, nacre_sftp_req_write, h, 0, SPAN("x"), &took), no);
    refused(ASK(&l, nacre_sftp_req_remove, SPAN("/f")), no);
    refused(ASK(&l, nacre_sftp_req_mkdir, SPAN("/d"), NULL), no);
    refused(ASK(&l, nacre_sftp_req_rmdir, SPAN("/")), no);
    refused(ASK(&l, nacre_sftp_req_rename, SPAN("/f"), SPAN("/g")), no);
    refused(ASK(&l, nacre_sftp_req_symlink, SPAN("/f"), SPAN("/g")), no);
    static const char *const exts[] = {"posix-rename@openssh.com",
                                       "hardlink@openssh.com",
                                       "fsync@openssh.com",
                                       "lsetstat@openssh.com",
                                       "copy-data",
                                       "touch@test"};
    for (size_t i = 0; i < sizeof(exts) / sizeof(exts[0]); i++) {
        assert_false(nacre_sftp_engine_extension(l.client, exts[i], NULL));
        refused(ASK(&l, nacre_sftp_req_extended, exts[i], SPAN("\0\0\0\0")), no);
    }
    uint32_t id;
    assert_int_equal(nacre_sftp_req_fsync(l.client, h, &id), NACRE_UNSUPPORTED);
    assert_int_equal(ASK(&l, nacre_sftp_req_read, h, 0, 9, NULL)->len, 3);
    assert_int_equal(ASK(&l, nacre_sftp_req_stat, SPAN("/f"))->attrs.permissions & 07777, 0644);
    loop_close(&l);
}

static void lists(void **state)
{
    loop l;
    nacre_sftp_server_options o;
    (void)state;
    nacre_sftp_server_options_init(&o);
    o.allow = "open,stat,realpath,limits,statvfs";
    o.deny = "statvfs,open";
    loop_setup s = {CUT_ALL, 1 << 20, 32768, true, NULL, &o};
    assert_int_equal(loop_open(&l, s), NACRE_OK);
    assert_int_equal(ASK(&l, nacre_sftp_req_stat, SPAN("/"))->type, NACRE_SFTP_EVENT_ATTRS);
    refused(ASK(&l, nacre_sftp_req_lstat, SPAN("/")), NACRE_FX_PERMISSION_DENIED);
    refused(ASK(&l, nacre_sftp_req_open, SPAN("/"), 1, NULL), NACRE_FX_PERMISSION_DENIED);
    refused(ASK(&l, nacre_sftp_req_extended, "echo@test", SPAN("")), NACRE_FX_PERMISSION_DENIED);
    assert_true(nacre_sftp_engine_has(l.client, NACRE_SFTP_EXT_LIMITS));
    assert_false(nacre_sftp_engine_has(l.client, NACRE_SFTP_EXT_STATVFS));
    loop_close(&l);
    o.allow = NULL;
    o.deny = "write,wirte";
    assert_int_equal(loop_open(&l, s), NACRE_UNKNOWN_NAME);
    loop_close(&l);
    size_t n = 0;
    while (nacre_sftp_server_request_name(n)) {
        n++;
    }
    assert_int_equal(n, 32);
}

static void missing_operations(void **state)
{
    mem_pipe p;
    nacre_sftp_server *s;
    nacre_sftp_server_ops none = {.size = sizeof(none)};
    uint8_t out[256];
    (void)state;
    mem_pipe_init(&p, 4096, 100, true);
    assert_int_equal(nacre_sftp_server_new(&s, &p.server_pipe, &none, NULL, NULL, NULL), NACRE_OK);
    assert_int_equal(nacre_sftp_server_input(s, nc_span("\0\0\0\5\1\0\0\0\3", 9)), NACRE_OK);
    size_t n = mem_way_take(&p.down, out, sizeof(out));
    /* VERSION with limits@openssh.com alone: it needs no operation. */
    assert_int_equal(n, 9 + 4 + 18 + 4 + 1);
    for (uint8_t type = NACRE_FXP_OPEN; type < 30; type++) {
        uint8_t rq[9] = {0, 0, 0, 5, type, 0, 0, 0, 1};
        assert_int_equal(nacre_sftp_server_input(s, nc_span(rq, 9)), NACRE_OK);
        n = mem_way_take(&p.down, out, sizeof(out));
        assert_true(n > 13);
        assert_int_equal(out[4], NACRE_FXP_STATUS);
        uint8_t expected = type == NACRE_FXP_CLOSE || type == NACRE_FXP_WRITE
                               ? NACRE_FX_BAD_MESSAGE
                               : NACRE_FX_OP_UNSUPPORTED;
        assert_int_equal(out[12], expected);
    }
    nacre_sftp_server_free(s);
    mem_pipe_clear(&p);
}

static void failing_write(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        loop l;
        uint8_t keep[256];
        uint8_t data[20000] = {1};
        size_t took;
        loop_setup s = {CUT_RANDOM, 1 << 20, 500, true, NULL, NULL};
        assert_int_equal(loop_open(&l, s), NACRE_OK);
        nacre_span h = open_file(&l, "/f", NACRE_FXF_WRITE | NACRE_FXF_CREAT, keep);
        l.backend.later = later;
        l.backend.fail_writes_at = 2;
        const loop_reply *r =
            ASK(&l, nacre_sftp_req_write, h, 0, nc_span(data, sizeof(data)), &took);
        refused(r, NACRE_FX_FAILURE);
        assert_string_equal(r->message, "No space left on device");
        assert_int_equal(l.backend.writes, 2); /* nothing after the failure */
        l.backend.later = false;
        ok(ASK(&l, nacre_sftp_req_close, h));
        loop_close(&l);
    }
}

static void long_directory(void **state)
{
    loop l;
    loop_setup s = {CUT_RANDOM, 1 << 20, 32768, true, NULL, NULL};
    (void)state;
    assert_int_equal(loop_open(&l, s), NACRE_OK);
    for (int i = 0; i < 250; i++) {
        char name[32];
        snprintf(name, sizeof(name), "/n%03d", i);
        mem_backend_add(&l.backend, name, NACRE_SFTP_S_IFREG | 0644);
    }
    const loop_reply *r = ASK(&l, nacre_sftp_req_opendir, SPAN("/"));
    uint8_t keep[256];
    memcpy(keep, r->handle, r->handle_len);
    nacre_span h = nc_span(keep, r->handle_len);
    size_t total = 0;
    int replies = 0;
    for (;;) {
        r = ASK(&l, nacre_sftp_req_readdir, h);
        if (r->type != NACRE_SFTP_EVENT_NAMES) {
            break;
        }
        total += r->name_count;
        replies++;
    }
    refused(r, NACRE_FX_EOF);
    assert_int_equal(total, 250);
    assert_int_equal(replies, 3);
    loop_close(&l); /* the handle is closed by the end of the session */
}

/* check-file out of OPEN and READ that are answered at once, or later. */
static void check_file(void **state)
{
    (void)state;
    for (int later = 0; later < 2; later++) {
        loop l;
        uint8_t keep[256], text[3000];
        nacre_sftp_check whole = {"sha3,crc32", 0, 0, 0}, blocks = {"md5", 0, 2000, 1000};
        loop_setup s = {CUT_RANDOM, 1 << 20, 32768, true, NULL, NULL};
        assert_int_equal(loop_open(&l, s), NACRE_OK);
        memset(text, 'x', sizeof(text));
        mem_backend_set(mem_backend_add(&l.backend, "/f", NACRE_SFTP_S_IFREG | 0644), text, 3000);
        nacre_span h = open_file(&l, "/f", NACRE_FXF_READ, keep);
        l.backend.later = later;
        const loop_reply *r = ASK(&l, nacre_sftp_req_check_file_name, SPAN("/f"), &whole);
        assert_int_equal(r->type, NACRE_SFTP_EVENT_HASHES);
        assert_string_equal(r->message, "crc32");
        assert_memory_equal(r->bytes, "\x98\xee\x17\xe7", r->len);
        assert_int_equal(r->len, 4);
        r = ASK(&l, nacre_sftp_req_check_file, h, &blocks);
        assert_int_equal(r->len, 32);
        assert_memory_equal(r->bytes, r->bytes + 16, 16);
        refused(ASK(&l, nacre_sftp_req_check_file_name, SPAN("/none"), &whole),
                NACRE_FX_NO_SUCH_FILE);
        assert_int_equal(l.backend.open_now, 1);
        /* The session ends while one is under way. */
        uint32_t id;
        assert_int_equal(nacre_sftp_req_check_file_name(l.client, SPAN("/f"), &whole, &id),
                         NACRE_OK);
        assert_int_equal(nacre_sftp_engine_flush(l.client), NACRE_OK);
        uint8_t bytes[300];
        size_t n = mem_way_take(&l.pipe.up, bytes, sizeof(bytes));
        assert_int_equal(nacre_sftp_server_input(l.server, nc_span(bytes, n)), NACRE_OK);
        nacre_sftp_server_free(l.server);
        l.server = NULL;
        assert_int_equal(l.backend.ends, 1);
        loop_close(&l);
    }
}

static void session_end(void **state)
{
    loop l;
    uint8_t keep[256];
    loop_setup s = {CUT_ALL, 1 << 20, 32768, true, NULL, NULL};
    (void)state;
    assert_int_equal(loop_open(&l, s), NACRE_OK);
    (void)open_file(&l, "/f", NACRE_FXF_WRITE | NACRE_FXF_CREAT, keep);
    (void)ASK(&l, nacre_sftp_req_opendir, SPAN("/"));
    assert_int_equal(l.backend.open_now, 2);
    nacre_sftp_server_free(l.server);
    l.server = NULL;
    assert_int_equal(l.backend.open_now, 0);
    assert_int_equal(l.backend.starts, 1);
    assert_int_equal(l.backend.ends, 1);
    loop_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation), cmocka_unit_test(large_files),
        cmocka_unit_test(small_windows),   cmocka_unit_test(read_only),
        cmocka_unit_test(lists),           cmocka_unit_test(missing_operations),
        cmocka_unit_test(failing_write),   cmocka_unit_test(long_directory),
        cmocka_unit_test(session_end),     cmocka_unit_test(check_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
