/*
 * check-file and copy-data, the requests that take long: what they answer, and in turns.
 */
#include "base/mem.h"
#include "memory_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- check-file and copy-data ---------------------------------------------------------------------- */

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

static uint32_t own_hashes(nacre_sftp_call *call, void *file, nacre_span path,
                           const char *algorithms, uint64_t offset, uint64_t length,
                           uint32_t block_size, nacre_sftp_answer *out)
{
    (void)call;
    assert_int_equal(offset, 1);
    assert_int_equal(length, 2);
    assert_int_equal(block_size, 300);
    if (strcmp(algorithms, "own") != 0) {
        return NACRE_FX_OP_UNSUPPORTED;
    }
    assert_true(file ? path.n == 0 : nc_span_is(path, "/abc"));
    return nacre_sftp_answer_hash(out, "own", nc_span("HASH", 4)) ? NACRE_FX_OK : NACRE_FX_FAILURE;
}

/* The application's own hashes; what it does not know is made from read. */
static void check_by_application(void **state)
{
    static nacre_sftp_server_ops ops;
    peer p;
    handle h;
    (void)state;
    ops = *nacre_memory_files_ops();
    ops.check_file = own_hashes;
    other_ops = &ops;
    peer_ready(&p, NULL);
    other_ops = NULL;
    put_text(&p, "/abc", "abc");
    assert_int_equal(open_file(&p, "/abc", NACRE_FXF_READ, &h), NACRE_FX_OK);
    assert_int_equal(check(&p, "check-file-name", "/abc", NULL, "own", 1, 2, 300), NACRE_FX_OK);
    expect_hash(&p, NULL, "own", "48415348");
    assert_int_equal(check(&p, "check-file", NULL, &h, "own", 1, 2, 300), NACRE_FX_OK);
    expect_hash(&p, "check-file", "own", "48415348");
    assert_int_equal(check(&p, "check-file-handle", NULL, &h, "crc32", 1, 2, 300), NACRE_FX_OK);
    expect_hash(&p, NULL, "crc32", "c2a92b38");
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
    nc_wr_u32(w, 13); /* in one piece with it: STAT of /big */
    nc_wr_u8(w, NACRE_FXP_STAT);
    nc_wr_u32(w, 8);
    nc_wr_cstr(w, "/big");
    assert_int_equal(nacre_sftp_server_input(p.s, nc_buf_span(&p.out)), NACRE_OK);
    assert_true(nacre_sftp_server_wants_step(p.s));
    assert_false(nacre_sftp_server_idle(p.s));
    assert_int_equal(mem_way_take(&p.pipe.down, p.got, sizeof(p.got)), 0);
    unsigned steps = 0;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_file),   cmocka_unit_test(check_by_application),
        cmocka_unit_test(check_blocks), cmocka_unit_test(copy_data),
        cmocka_unit_test(denied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
