/*
 * test_sftp_comfort.c - what is put together from requests: yes and no questions, the working directory,
 * trees, links made absolute, owners, hashes, names of numbers, batches, extensions of nobody.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/sftp_session.h"
#include "mem_server.h"
#include "nacre/sftp_batch.h"
#include "nacre/sftp_file.h"
#include "support/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mem_server server;
static nacre_sftp *s;

static void add(const char *path, uint32_t mode, const char *text)
{
    mem_backend_set(mem_backend_add(&server.files, path, mode), text, strlen(text));
}

static int set_up(void **state)
{
    (void)state;
    mem_server_init(&server);
    add("/home", NACRE_SFTP_S_IFDIR | 0755, "");
    add("/home/sub", NACRE_SFTP_S_IFDIR | 0755, "");
    add("/home/sub/deep", NACRE_SFTP_S_IFDIR | 0755, "");
    add("/home/sub/deep/c", NACRE_SFTP_S_IFREG | 0644, "ccc");
    add("/home/sub/b", NACRE_SFTP_S_IFREG | 0644, "bb");
    add("/home/a", NACRE_SFTP_S_IFREG | 0640, "a");
    add("/home/link", NACRE_SFTP_S_IFLNK | 0777, "/home/a");
    add("/home/dangling", NACRE_SFTP_S_IFLNK | 0777, "nowhere");
    return mem_server_open(&server, NULL, &s);
}

static int tear_down(void **state)
{
    (void)state;
    mem_server_close(&server, s);
    mem_server_clear(&server);
    return 0;
}

#define ASK(fn, path, expected)                                                                    \
    do {                                                                                           \
        bool answer_ = !(expected);                                                                \
        assert_int_equal(fn(s, path, &answer_), NACRE_OK);                                         \
        assert_int_equal(answer_, expected);                                                       \
        assert_int_equal(nacre_sftp_error(s)->status, NACRE_OK);                                   \
    } while (0)

static bool denied(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    (void)m;
    (void)r;
    if (type != NACRE_FXP_STAT && type != NACRE_FXP_LSTAT) {
        return false;
    }
    mem_server_status(w, id, NACRE_FX_PERMISSION_DENIED);
    return true;
}

static void yes_no_or_an_error(void **state)
{
    bool yes;
    (void)state;
    ASK(nacre_sftp_exists, "/home/a", true);
    ASK(nacre_sftp_exists, "/home/none", false);
    ASK(nacre_sftp_exists, "/home/dangling", false);
    ASK(nacre_sftp_lexists, "/home/dangling", true);
    ASK(nacre_sftp_lexists, "/home/none", false);
    ASK(nacre_sftp_isdir, "/home/sub", true);
    ASK(nacre_sftp_isdir, "/home/a", false);
    ASK(nacre_sftp_isdir, "/none", false);
    ASK(nacre_sftp_isfile, "/home/a", true);
    ASK(nacre_sftp_isfile, "/home/link", true);
    ASK(nacre_sftp_isfile, "/home/sub", false);
    ASK(nacre_sftp_isfile, "/none", false);
    server.script = denied;
    assert_int_equal(nacre_sftp_exists(s, "/home/a", &yes), NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_isdir(s, "/home/a", &yes), NACRE_SFTP_STATUS);
    assert_false(yes);
    assert_int_equal(nacre_sftp_status(s), NACRE_FX_PERMISSION_DENIED);
}

/* Servers that send no type: only opening tells. */
static bool no_types(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    (void)m;
    (void)r;
    if (type != NACRE_FXP_STAT) {
        return false;
    }
    nc_wr_u8(w, NACRE_FXP_ATTRS);
    nc_wr_u32(w, id);
    nc_wr_u32(w, 0);
    return true;
}

static void types_without_types(void **state)
{
    (void)state;
    server.script = no_types;
    ASK(nacre_sftp_isdir, "/home/sub", true);
    ASK(nacre_sftp_isdir, "/home/a", false);
    ASK(nacre_sftp_isfile, "/home/a", true);
    ASK(nacre_sftp_isfile, "/home/sub", false);
}

static void going_about(void **state)
{
    nacre_sftp_attrs a;
    nacre_sftp_list list;
    char *text = NULL;
    (void)state;
    assert_string_equal(nacre_sftp_getcwd(s), "/home");
    assert_int_equal(nacre_sftp_cd_back(s), NACRE_WRONG_STATE);
    assert_int_equal(nacre_sftp_cd(s, "sub"), NACRE_OK);
    assert_string_equal(nacre_sftp_getcwd(s), "/home/sub");
    assert_int_equal(nacre_sftp_stat(s, "b", &a), NACRE_OK);
    assert_int_equal(a.size, 2);
    assert_int_equal(nacre_sftp_cd(s, "deep"), NACRE_OK);
    assert_int_equal(nacre_sftp_stat(s, "c", &a), NACRE_OK);
    assert_int_equal(nacre_sftp_chdir(s, ".."), NACRE_OK);
    assert_string_equal(nacre_sftp_getcwd(s), "/home/sub");
    assert_int_equal(nacre_sftp_chdir(s, "b"), NACRE_NOT_FOUND);
    assert_int_equal(nacre_sftp_chdir(s, "none"), NACRE_NOT_FOUND);
    assert_string_equal(nacre_sftp_getcwd(s), "/home/sub");
    assert_int_equal(nacre_sftp_symlink(s, "b", "to-b"), NACRE_OK);
    assert_non_null(mem_backend_find(&server.files, "/home/sub/to-b"));
    assert_int_equal(nacre_sftp_readlink(s, "to-b", &text), NACRE_OK);
    assert_string_equal(text, "b");
    nacre_sftp_string_free(s, text);
    assert_int_equal(nacre_sftp_rename(s, "b", "B"), NACRE_OK);
    assert_non_null(mem_backend_find(&server.files, "/home/sub/B"));
    assert_int_equal(nacre_sftp_listdir_sorted(s, ".", &list), NACRE_SFTP_STATUS); /* no "." here */
    assert_int_equal(nacre_sftp_listdir_sorted(s, "/home/sub", &list), NACRE_OK);
    assert_int_equal(list.count, 3);
    assert_string_equal((const char *)list.entries[0].name.p, "B");
    assert_string_equal((const char *)list.entries[1].name.p, "deep");
    assert_string_equal((const char *)list.entries[2].name.p, "to-b");
    nacre_sftp_list_free(&list);
    assert_int_equal(nacre_sftp_realpath(s, "x", &text), NACRE_OK);
    assert_string_equal(text, "/home/sub/x");
    nacre_sftp_string_free(s, text);
    assert_int_equal(nacre_sftp_cd_back(s), NACRE_OK);
    assert_string_equal(nacre_sftp_getcwd(s), "/home/sub");
    assert_int_equal(nacre_sftp_cd_back(s), NACRE_OK);
    assert_string_equal(nacre_sftp_getcwd(s), "/home");
    assert_int_equal(nacre_sftp_cd_back(s), NACRE_WRONG_STATE);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(nacre_sftp_cd(s, i % 2 ? "/home" : "/home/sub"), NACRE_OK);
    }
    assert_int_equal(nacre_sftp_cd(s, "/home"), NACRE_LIMIT);
    assert_int_equal(nacre_sftp_chdir(s, NULL), NACRE_OK);
    assert_string_equal(nacre_sftp_getcwd(s), "/home");
}

static void making_trees(void **state)
{
    (void)state;
    unsigned before = server.seen[NACRE_FXP_MKDIR];
    assert_int_equal(nacre_sftp_makedirs(s, "/home/sub/x/y//z/", 0755), NACRE_OK);
    assert_non_null(mem_backend_find(&server.files, "/home/sub/x/y"));
    assert_int_equal(server.seen[NACRE_FXP_MKDIR] - before, 3);
    assert_int_equal(nacre_sftp_makedirs(s, "/home/sub/deep", 0755), NACRE_OK);
    assert_int_equal(server.seen[NACRE_FXP_MKDIR] - before, 3);
    assert_int_equal(nacre_sftp_makedirs(s, "/home/a/b/c", 0755), NACRE_EXISTS);
    assert_int_equal(nacre_sftp_makedirs(s, "/home/a", 0755), NACRE_EXISTS);
    assert_int_equal(nacre_sftp_makedirs(s, "", 0755), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_makedirs(s, "/", 0755), NACRE_OK);
    assert_int_equal(nacre_sftp_chdir(s, "sub"), NACRE_OK);
    assert_int_equal(nacre_sftp_makedirs(s, "r/s", 0755), NACRE_OK);
    assert_non_null(mem_backend_find(&server.files, "/home/sub/r/s"));
}

static void links_made_absolute(void **state)
{
    char *text = NULL;
    (void)state;
    assert_int_equal(nacre_sftp_readlink_absolute(s, "/home/link", &text), NACRE_OK);
    assert_string_equal(text, "/home/a");
    nacre_sftp_string_free(s, text);
    assert_int_equal(nacre_sftp_readlink_absolute(s, "/home/dangling", &text), NACRE_OK);
    assert_string_equal(text, "/home/nowhere");
    nacre_sftp_string_free(s, text);
    assert_int_equal(nacre_sftp_chdir(s, "/home"), NACRE_OK);
    assert_int_equal(nacre_sftp_readlink_absolute(s, "dangling", &text), NACRE_OK);
    assert_string_equal(text, "/home/nowhere");
    nacre_sftp_string_free(s, text);
    assert_int_equal(nacre_sftp_readlink_absolute(s, "/home/a", &text), NACRE_SFTP_STATUS);
    assert_null(text);
}

static void the_order_of_a_symlinks_arguments(void **state)
{
    (void)state;
    assert_false(nc_sftp_draft_symlink(""));
    assert_false(nc_sftp_draft_symlink("SSH-2.0-OpenSSH_9.2"));
    assert_false(nc_sftp_draft_symlink("SSH-2.0-nacre_0.1"));
    assert_false(nc_sftp_draft_symlink("SSH-2.0-paramiko_3.0"));
    assert_true(nc_sftp_draft_symlink("SSH-2.0-AsyncSSH_2.14.0"));
    assert_true(nc_sftp_draft_symlink("SSH-2.0-Twisted_24.3.0"));
}

static void owners(void **state)
{
    mem_node *a = mem_backend_find(&server.files, "/home/a");
    (void)state;
    assert_int_equal(nacre_sftp_chown(s, "/home/a", 7, NACRE_SFTP_KEEP_ID), NACRE_OK);
    assert_int_equal(a->attrs.uid, 7);
    assert_int_equal(a->attrs.gid, 100);
    assert_int_equal(nacre_sftp_chown(s, "/home/a", NACRE_SFTP_KEEP_ID, 8), NACRE_OK);
    assert_int_equal(a->attrs.uid, 7);
    assert_int_equal(a->attrs.gid, 8);
    unsigned before = server.seen[NACRE_FXP_SETSTAT];
    assert_int_equal(nacre_sftp_chown(s, "/home/a", NACRE_SFTP_KEEP_ID, NACRE_SFTP_KEEP_ID),
                     NACRE_OK);
    assert_int_equal(server.seen[NACRE_FXP_SETSTAT], before);
    assert_int_equal(nacre_sftp_chown(s, "/none", 1, NACRE_SFTP_KEEP_ID), NACRE_SFTP_STATUS);
    server.script = no_types;
    assert_int_equal(nacre_sftp_chown(s, "/home/a", 1, NACRE_SFTP_KEEP_ID), NACRE_UNSUPPORTED);
    server.script = NULL;
    uint64_t size = 9;
    assert_int_equal(nacre_sftp_truncate(s, "/home/sub/deep/c", 1, &size), NACRE_OK);
    assert_int_equal(size, 1);
}

/* ---- walks -------------------------------------------------------------------------------------------- */

static char seen[4096];

static int saw(const char *kind, const char *path)
{
    size_t n = strlen(seen);
    snprintf(seen + n, sizeof(seen) - n, "%s%s ", kind, path);
    return 0;
}

static int saw_file(void *user, const char *path, const nacre_sftp_attrs *a)
{
    assert_true(a->flags & NACRE_SFTP_ATTR_SIZE);
    saw("f:", path);
    return user && strstr(path, user) ? 1 : 0;
}

static int saw_dir(void *user, const char *path, const nacre_sftp_attrs *a)
{
    (void)user;
    (void)a;
    return saw("d:", path);
}

static int saw_other(void *user, const char *path, const nacre_sftp_attrs *a)
{
    (void)user;
    (void)a;
    return saw("o:", path);
}

/* A directory in each directory, for ever; one of its names is no name when said is set. */
static bool endless(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    (void)r;
    if (type == NACRE_FXP_OPENDIR) {
        nc_wr_u8(w, NACRE_FXP_HANDLE);
        nc_wr_u32(w, id);
        nc_wr_str(w, nc_span_cstr("h"));
        m->files.writes = 0;
        return true;
    }
    if (type == NACRE_FXP_CLOSE) {
        mem_server_status(w, id, NACRE_FX_OK);
        return true;
    }
    if (type != NACRE_FXP_READDIR) {
        return false;
    }
    if (m->files.writes++ > 0) {
        mem_server_status(w, id, NACRE_FX_EOF);
        return true;
    }
    nc_wr_u8(w, NACRE_FXP_NAME);
    nc_wr_u32(w, id);
    nc_wr_u32(w, 1);
    nc_wr_str(w, nc_span_cstr(m->said ? "../up" : "d"));
    nc_wr_str(w, nc_span_cstr(""));
    nc_wr_u32(w, NACRE_SFTP_ATTR_PERMISSIONS);
    nc_wr_u32(w, NACRE_SFTP_S_IFDIR | 0755);
    return true;
}

static void walks(void **state)
{
    (void)state;
    seen[0] = '\0';
    assert_int_equal(nacre_sftp_walktree(s, "/home", saw_file, saw_dir, saw_other, NULL, true),
                     NACRE_OK);
    assert_string_equal(seen, "f:/home/a o:/home/dangling o:/home/link d:/home/sub f:/home/sub/b "
                              "d:/home/sub/deep f:/home/sub/deep/c ");
    seen[0] = '\0';
    assert_int_equal(nacre_sftp_walktree(s, "/home", saw_file, saw_dir, NULL, NULL, false),
                     NACRE_OK);
    assert_string_equal(seen, "f:/home/a d:/home/sub ");
    seen[0] = '\0';
    char until[] = "/b";
    assert_int_equal(nacre_sftp_walktree(s, "/home", saw_file, NULL, NULL, until, true),
                     NACRE_CANCELLED);
    assert_string_equal(seen, "f:/home/a f:/home/sub/b ");
    assert_int_equal(nacre_sftp_walktree(s, "/none", saw_file, NULL, NULL, NULL, true),
                     NACRE_SFTP_STATUS);
    server.script = endless;
    assert_int_equal(nacre_sftp_walktree(s, "/", NULL, NULL, NULL, NULL, true), NACRE_LIMIT);
    server.said = 1;
    assert_int_equal(nacre_sftp_walktree(s, "/", NULL, NULL, NULL, NULL, true),
                     NACRE_SFTP_PROTOCOL);
    assert_non_null(strstr(nacre_sftp_error(s)->text, "../up"));
}

/* ---- extensions --------------------------------------------------------------------------------------- */

static void extensions(void **state)
{
    static const uint32_t uids[] = {0, 5};
    static const uint32_t gids[] = {100};
    static uint32_t many[3000];
    nacre_sftp_id_names names;
    nacre_sftp_statvfs v;
    uint8_t *reply = NULL;
    size_t n = 0;
    char *text = NULL;
    (void)state;
    assert_int_equal(nacre_sftp_home(s, "joe", &text), NACRE_OK);
    assert_string_equal(text, "/home/joe");
    nacre_sftp_string_free(s, text);
    assert_int_equal(nacre_sftp_home(s, "", &text), NACRE_OK);
    nacre_sftp_string_free(s, text);
    assert_int_equal(nacre_sftp_names_of_ids(s, uids, 2, gids, 1, &names), NACRE_OK);
    assert_string_equal(names.users[0], "root");
    assert_string_equal(names.users[1], "");
    assert_string_equal(names.groups[0], "users");
    nacre_sftp_id_names_free(s, &names);
    many[2999] = 100;
    assert_int_equal(nacre_sftp_names_of_ids(s, uids, 1, many, 3000, &names), NACRE_OK);
    assert_int_equal(names.n_groups, 3000);
    assert_string_equal(names.groups[2998], "root");
    assert_string_equal(names.groups[2999], "users");
    nacre_sftp_id_names_free(s, &names);
    assert_int_equal(nacre_sftp_extended(s, "echo@test", nc_span_cstr("hi there"), &reply, &n),
                     NACRE_OK);
    assert_int_equal(n, 8);
    assert_memory_equal(reply, "hi there", 8);
    nacre_sftp_string_free(s, (char *)reply);
    assert_int_equal(nacre_sftp_extended(s, "touch@test", nc_span_cstr(""), &reply, &n), NACRE_OK);
    assert_null(reply);
    assert_int_equal(nacre_sftp_extended(s, "none@test", nc_span_cstr(""), &reply, &n),
                     NACRE_SFTP_STATUS);
    assert_int_equal(nacre_sftp_status(s), NACRE_FX_OP_UNSUPPORTED);
    nacre_sftp_file *from = NULL;
    nacre_sftp_file *to = NULL;
    assert_int_equal(nacre_sftp_file_fopen(s, "/home/sub/deep/c", "r+", NULL, &from), NACRE_OK);
    assert_int_equal(nacre_sftp_file_fopen(s, "/home/copy", "w", NULL, &to), NACRE_OK);
    assert_int_equal(nacre_sftp_file_write(from, "xyz", 3), NACRE_OK); /* counts, though not sent */
    assert_int_equal(nacre_sftp_file_copy_data(from, 1, 0, to, 2), NACRE_OK);
    assert_int_equal(nacre_sftp_file_statvfs(from, &v), NACRE_OK);
    assert_int_equal(nacre_sftp_file_close(from), NACRE_OK);
    assert_int_equal(nacre_sftp_file_close(to), NACRE_OK);
    mem_node *copy = mem_backend_find(&server.files, "/home/copy");
    assert_int_equal(copy->size, 4);
    assert_memory_equal(copy->data + 2, "yz", 2);
}

static bool few_names(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    (void)r;
    if (type != NACRE_FXP_EXTENDED) {
        return false;
    }
    static const uint8_t cut[] = {0, 0, 0, 5, 0, 0, 0, 1, 'a', 0, 0, 0, 0};
    nc_wr_u8(w, NACRE_FXP_EXTENDED_REPLY);
    nc_wr_u32(w, id);
    nc_wr_bytes(w, nc_span(cut, m->said));
    return true;
}

static void names_that_lack(void **state)
{
    static const uint32_t ids[] = {1, 2};
    nacre_sftp_id_names names;
    (void)state;
    server.script = few_names;
    for (server.said = 0; server.said <= 13; server.said++) {
        assert_int_equal(nacre_sftp_names_of_ids(s, ids, 2, NULL, 0, &names), NACRE_SFTP_PROTOCOL);
        assert_null(names.users);
    }
    server.said = 13;
    assert_int_equal(nacre_sftp_names_of_ids(s, ids, 1, NULL, 0, &names), NACRE_OK);
    assert_string_equal(names.users[0], "a");
    nacre_sftp_id_names_free(s, &names);
}

/* ---- hashes ------------------------------------------------------------------------------------------- */

/* A server that knows check-file by some names: bit 1 name, 2 handle, 4 the plain one; 8: its reply
 * begins with "check-file"; 16: the hash is cut; 32: another hash; 64: two hashes. */
static bool hashing(mem_server *m, uint8_t type, uint32_t id, nc_rd r, nc_wr *w)
{
    static const char *const names[] = {"check-file-name", "check-file-handle", "check-file"};
    if (type == NACRE_FXP_INIT) {
        nc_wr_u8(w, NACRE_FXP_VERSION);
        nc_wr_u32(w, 3);
        nc_wr_str(w, nc_span_cstr("check-file"));
        nc_wr_str(w, nc_span_cstr("md5,sha1"));
        return true;
    }
    if (type == NACRE_FXP_OPEN) {
        nc_wr_u8(w, NACRE_FXP_HANDLE);
        nc_wr_u32(w, id);
        nc_wr_str(w, nc_span_cstr("h"));
        return true;
    }
    if (type == NACRE_FXP_CLOSE) {
        mem_server_status(w, id, NACRE_FX_OK);
        return true;
    }
    if (type != NACRE_FXP_EXTENDED) {
        return false;
    }
    nacre_span name = nc_rd_str(&r);
    for (unsigned i = 0; i < 3; i++) {
        if (!nc_span_is(name, names[i]) || !(m->said & (1u << i))) {
            continue;
        }
        nc_wr_u8(w, NACRE_FXP_EXTENDED_REPLY);
        nc_wr_u32(w, id);
        if (m->said & 8) {
            nc_wr_str(w, nc_span_cstr("check-file"));
        }
        nc_wr_str(w, nc_span_cstr(m->said & 32 ? "sha512" : "md5"));
        nc_wr_bytes(w, nc_span("0123456789abcdef0123456789abcdef", m->said & 16   ? 15
                                                                   : m->said & 64 ? 32
                                                                                  : 16));
        return true;
    }
    mem_server_status(w, id, NACRE_FX_OP_UNSUPPORTED);
    return true;
}

static void reopen(unsigned knows)
{
    mem_server_close(&server, s);
    server.script = hashing;
    assert_int_equal(mem_server_open(&server, NULL, &s), NACRE_OK);
    server.said = knows;
}

static void hashes(void **state)
{
    nacre_sftp_hash h;
    nacre_sftp_file *f = NULL;
    (void)state;
    for (unsigned knows = 1; knows < 16; knows++) {
        bool any = (knows & 7) != 0;
        reopen(knows);
        for (int twice = 0; twice < 2; twice++) {
            unsigned before = server.seen[NACRE_FXP_EXTENDED];
            int rc = nacre_sftp_check_file(s, "/home/a", "sha256,md5", 0, 0, 0, &h);
            assert_int_equal(rc, any ? NACRE_OK : NACRE_UNSUPPORTED);
            if (any) {
                assert_string_equal(h.algorithm, "md5");
                assert_int_equal(h.n, 16);
                assert_memory_equal(h.bytes, "0123456789abcdef", 16);
                nacre_sftp_hash_free(s, &h);
            }
            /* The second time it is known what the server takes. */
            assert_true(!twice || server.seen[NACRE_FXP_EXTENDED] - before <= (any ? 1u : 0u));
        }
        assert_int_equal(nacre_sftp_file_fopen(s, "/home/a", "r", NULL, &f), NACRE_OK);
        int rc = nacre_sftp_file_check(f, "md5", 0, 0, 0, &h);
        assert_int_equal(rc, knows & 6 ? NACRE_OK : NACRE_UNSUPPORTED);
        nacre_sftp_hash_free(s, &h);
        assert_int_equal(nacre_sftp_file_close(f), NACRE_OK);
    }
    static const unsigned liars[] = {1 | 16, 1 | 32, 1 | 64};
    for (size_t i = 0; i < 3; i++) {
        reopen(liars[i]);
        assert_int_equal(nacre_sftp_check_file(s, "/home/a", "md5,sha1", 0, 0, 0, &h),
                         NACRE_SFTP_PROTOCOL);
        assert_null(h.bytes);
    }
    assert_int_equal(nacre_sftp_check_file(s, "/home/a", "md5,sha1", 0, 512, 256, &h), NACRE_OK);
    assert_int_equal(h.n, 32);
    nacre_sftp_hash_free(s, &h);
    assert_int_equal(nacre_sftp_check_file(s, "/home/a", "md5,sha1", 0, 256, 256, &h),
                     NACRE_SFTP_PROTOCOL);
    assert_int_equal(nacre_sftp_check_file(s, "/home/a", "md5", 0, 0, 255, &h),
                     NACRE_INVALID_ARGUMENT);
}

/* ---- batches ------------------------------------------------------------------------------------------ */

static void a_batch(void **state)
{
    enum { MANY = 1500 };
    nacre_sftp_batch *b = NULL;
    size_t at[8];
    size_t refused = 0;
    (void)state;
    assert_int_equal(nacre_sftp_batch_new(&b, s), NACRE_OK);
    assert_int_equal(nacre_sftp_batch_run(b, &refused), NACRE_OK); /* of nothing */
    assert_int_equal(nacre_sftp_batch_stat(b, "", NULL), NACRE_INVALID_ARGUMENT);
    assert_int_equal(nacre_sftp_batch_stat(b, "/home/a", &at[0]), NACRE_OK);
    assert_int_equal(nacre_sftp_batch_lstat(b, "/home/link", &at[1]), NACRE_OK);
    assert_int_equal(nacre_sftp_batch_readlink(b, "/home/link", &at[2]), NACRE_OK);
    assert_int_equal(nacre_sftp_batch_realpath(b, "sub/..", &at[3]), NACRE_OK);
    assert_int_equal(nacre_sftp_batch_mkdir(b, "/home/new", 0700, &at[4]), NACRE_OK);
    assert_int_equal(nacre_sftp_batch_remove(b, "/home/none", &at[5]), NACRE_OK);
    assert_int_equal(nacre_sftp_batch_symlink(b, "t", "/home/l", &at[6]), NACRE_OK);
    assert_int_equal(nacre_sftp_batch_rename(b, "/home/sub/b", "/home/sub/bb", &at[7]), NACRE_OK);
    assert_int_equal(nacre_sftp_batch_result(b, at[0])->status, NACRE_AGAIN);
    assert_int_equal(nacre_sftp_batch_run(b, &refused), NACRE_OK);
    assert_int_equal(refused, 1);
    const nacre_sftp_result *r = nacre_sftp_batch_result(b, at[5]);
    assert_int_equal(r->status, NACRE_SFTP_STATUS);
    assert_int_equal(r->code, NACRE_FX_NO_SUCH_FILE);
    assert_non_null(strstr(r->message, "/home/none"));
    assert_int_equal(nacre_sftp_batch_result(b, at[0])->attrs.size, 1);
    assert_string_equal(nacre_sftp_batch_result(b, at[0])->message, "");
    assert_string_equal(nacre_sftp_batch_result(b, at[2])->path, "/home/a");
    assert_string_equal(nacre_sftp_batch_result(b, at[3])->path, "/home");
    assert_non_null(mem_backend_find(&server.files, "/home/new"));
    assert_non_null(mem_backend_find(&server.files, "/home/l"));
    assert_non_null(mem_backend_find(&server.files, "/home/sub/bb"));
    assert_null(nacre_sftp_batch_result(b, 8));
    assert_int_equal(nacre_sftp_chdir(s, "/home"), NACRE_OK); /* batches honour it, too */
    nacre_sftp_attrs mode = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = 0600};
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(i % 3 == 0   ? nacre_sftp_batch_stat(b, "a", NULL)
                         : i % 3 == 1 ? nacre_sftp_batch_stat(b, "none", NULL)
                                      : nacre_sftp_batch_setstat(b, "a", &mode, NULL),
                         NACRE_OK);
    }
    assert_int_equal(nacre_sftp_batch_rmdir(b, "new", &at[0]), NACRE_OK);
    assert_int_equal(nacre_sftp_batch_run(b, &refused), NACRE_OK);
    assert_int_equal(refused, MANY / 3);
    assert_int_equal(nacre_sftp_batch_result(b, at[0])->status, NACRE_OK);
    assert_null(mem_backend_find(&server.files, "/home/new"));
    nacre_sftp_batch_free(b);
    nacre_sftp_batch_free(NULL);
}

static void a_batch_cut_off(void **state)
{
    (void)state;
    for (unsigned after = 1; after < 40; after += 6) {
        nacre_sftp_batch *b = NULL;
        size_t refused = 0;
        mem_server_close(&server, s);
        server.die_after = after;
        assert_int_equal(mem_server_open(&server, NULL, &s), after > 1 ? NACRE_OK : NACRE_CLOSED);
        if (!s) {
            continue;
        }
        assert_int_equal(nacre_sftp_batch_new(&b, s), NACRE_OK);
        for (size_t i = 0; i < 300; i++) {
            assert_int_equal(nacre_sftp_batch_stat(b, "/home/a", NULL), NACRE_OK);
        }
        assert_int_equal(nacre_sftp_batch_run(b, &refused), NACRE_CLOSED);
        assert_true(refused > 0 && refused <= 300);
        for (size_t i = 0; i < 300; i++) {
            int rc = nacre_sftp_batch_result(b, i)->status;
            assert_true(rc == NACRE_OK || rc == NACRE_CLOSED);
        }
        nacre_sftp_batch_free(b);
    }
    server.die_after = 0;
}

/* ---- memory ------------------------------------------------------------------------------------------- */

static int short_session(nacre_sftp *session)
{
    static const uint32_t ids[] = {0};
    nacre_sftp_batch *b = NULL;
    nacre_sftp_id_names names;
    nacre_sftp_hash h;
    char *text = NULL;
    size_t refused = 0;
    int rc = nacre_sftp_cd(session, "sub");
    rc = rc == NACRE_OK ? nacre_sftp_makedirs(session, "p/q", 0755) : rc;
    rc = rc == NACRE_OK ? nacre_sftp_readlink_absolute(session, "../dangling", &text) : rc;
    nacre_sftp_string_free(session, text);
    rc = rc == NACRE_SFTP_STATUS ? NACRE_OK : rc; /* the tree knows no ".." */
    rc = rc == NACRE_OK ? nacre_sftp_walktree(session, "/home", NULL, NULL, NULL, NULL, true) : rc;
    rc = rc == NACRE_OK ? nacre_sftp_cd_back(session) : rc;
    rc = rc == NACRE_OK ? nacre_sftp_names_of_ids(session, ids, 1, ids, 1, &names) : rc;
    if (rc == NACRE_OK) {
        nacre_sftp_id_names_free(session, &names);
    }
    int hashed = rc == NACRE_OK ? nacre_sftp_check_file(session, "a", "md5", 0, 0, 0, &h)
                                : NACRE_UNSUPPORTED;
    if (hashed == NACRE_OK) {
        nacre_sftp_hash_free(session, &h);
    }
    rc = rc == NACRE_OK && hashed == NACRE_NO_MEMORY ? hashed : rc;
    rc = rc == NACRE_OK ? nacre_sftp_batch_new(&b, session) : rc;
    for (size_t i = 0; i < 70 && rc == NACRE_OK; i++) {
        rc = nacre_sftp_batch_realpath(b, "a", NULL);
    }
    rc = rc == NACRE_OK ? nacre_sftp_batch_run(b, &refused) : rc;
    for (size_t i = 0; i < 70 && rc == NACRE_OK; i++) {
        rc = nacre_sftp_batch_result(b, i)->status;
    }
    nacre_sftp_batch_free(b);
    return rc;
}

static void failing_memory(void **state)
{
    test_memory m;
    (void)state;
    for (test_memory_init(&m); test_memory_round(&m);) {
        nacre_sftp_options o;
        nacre_sftp *session = NULL;
        mem_server_close(&server, s);
        nacre_sftp_options_init(&o);
        o.allocator = &m.hooks;
        int rc = mem_server_open(&server, &o, &session);
        if (rc == NACRE_OK) {
            rc = short_session(session);
            mem_server_close(&server, session);
        }
        test_memory_judge(&m, rc);
        assert_int_equal(mem_server_open(&server, NULL, &s), NACRE_OK);
    }
    assert_true(m.refused > 50);
}

#define ROW(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(yes_no_or_an_error),
        ROW(types_without_types),
        ROW(going_about),
        ROW(making_trees),
        ROW(links_made_absolute),
        ROW(owners),
        ROW(walks),
        ROW(extensions),
        ROW(names_that_lack),
        ROW(hashes),
        ROW(a_batch),
        ROW(a_batch_cut_off),
        ROW(failing_memory),
        ROW(the_order_of_a_symlinks_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
