#include "memory_peer.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* NULL: the tree's own. */
const nacre_sftp_server_ops *other_ops;

void peer_open(peer *p, const nacre_memory_files_options *mo, nacre_sftp_server_options *so)
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
        const nacre_sftp_server_ops *ops = other_ops ? other_ops : nacre_memory_files_ops();
        p->rc = nacre_sftp_server_new(&p->s, &p->pipe.server_pipe, ops, p->files, so, NULL);
    }
}

void peer_close(peer *p)
{
    nacre_sftp_server_free(p->s);
    nacre_memory_files_free(p->files);
    nc_buf_clear(&p->out);
    mem_pipe_clear(&p->pipe);
}

nc_wr *begin(peer *p, uint8_t type)
{
    nc_buf_reset(&p->out);
    p->w = nc_wr_init(&p->out);
    nc_wr_u32(&p->w, 0);
    nc_wr_u8(&p->w, type);
    nc_wr_u32(&p->w, 7);
    return &p->w;
}

nc_wr *begin_ext(peer *p, const char *name)
{
    nc_wr *w = begin(p, NACRE_FXP_EXTENDED);
    nc_wr_cstr(w, name);
    return w;
}

/* Sends what was begun; the status of a STATUS, OK for any other reply. */
uint32_t ask(peer *p)
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

void init(peer *p)
{
    begin(p, NACRE_FXP_INIT);
    nc_put_u32(p->out.data + 5, 3);
    assert_int_equal(ask(p), NACRE_FX_OK);
}

void peer_ready(peer *p, const nacre_memory_files_options *mo)
{
    peer_open(p, mo, NULL);
    assert_int_equal(p->rc, NACRE_OK);
    init(p);
}

handle keep_handle(peer *p)
{
    handle h = {{0}, 0};
    nacre_span got = nc_rd_str(&p->r);
    if (p->type == NACRE_FXP_HANDLE) {
        memcpy(h.bytes, got.p, got.n);
        h.n = got.n;
    }
    return h;
}

void wr_handle(nc_wr *w, const handle *h)
{
    nc_wr_str(w, nc_span(h->bytes, h->n));
}

uint32_t open_file(peer *p, const char *path, uint32_t pflags, handle *h)
{
    nc_wr *w = begin(p, NACRE_FXP_OPEN);
    nc_wr_cstr(w, path);
    nc_wr_u32(w, pflags);
    nc_wr_u32(w, 0);
    uint32_t code = ask(p);
    *h = keep_handle(p);
    return code;
}

uint32_t put(peer *p, const handle *h, uint64_t offset, const char *text)
{
    nc_wr *w = begin(p, NACRE_FXP_WRITE);
    wr_handle(w, h);
    nc_wr_u64(w, offset);
    nc_wr_cstr(w, text);
    return ask(p);
}

uint32_t close_file(peer *p, const handle *h)
{
    wr_handle(begin(p, NACRE_FXP_CLOSE), h);
    return ask(p);
}

uint32_t one(peer *p, uint8_t type, const char *path)
{
    nc_wr *w = begin(p, type);
    nc_wr_cstr(w, path);
    nc_wr_u32(w, 0); /* attributes, where there are any */
    return ask(p);
}

uint32_t two(peer *p, uint8_t type, const char *a, const char *b)
{
    nc_wr *w = begin(p, type);
    nc_wr_cstr(w, a);
    nc_wr_cstr(w, b);
    return ask(p);
}

uint32_t two_ext(peer *p, const char *name, const char *a, const char *b)
{
    nc_wr *w = begin_ext(p, name);
    nc_wr_cstr(w, a);
    nc_wr_cstr(w, b);
    return ask(p);
}

uint32_t set_size(peer *p, const char *path, uint64_t size)
{
    nc_wr *w = begin(p, NACRE_FXP_SETSTAT);
    nc_wr_cstr(w, path);
    nc_wr_u32(w, NACRE_SFTP_ATTR_SIZE);
    nc_wr_u64(w, size);
    return ask(p);
}

const char *real_path(peer *p, const char *path)
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

void put_text(peer *p, const char *path, const char *text)
{
    assert_int_equal(nacre_memory_files_put(p->files, path, nc_span_cstr(text), 0644), NACRE_OK);
}

void holds(peer *p, const char *path, const void *bytes, size_t n)
{
    nacre_span got;
    assert_int_equal(nacre_memory_files_get(p->files, path, &got), NACRE_OK);
    assert_int_equal(got.n, n);
    if (n) {
        assert_memory_equal(got.p, bytes, n);
    }
}

uint32_t check(peer *p, const char *ext, const char *path, const handle *h, const char *algorithms,
               uint64_t offset, uint64_t length, uint32_t block)
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

uint32_t copy(peer *p, const handle *from, uint64_t a, uint64_t n, const handle *to, uint64_t b)
{
    nc_wr *w = begin_ext(p, "copy-data");
    wr_handle(w, from);
    nc_wr_u64(w, a);
    nc_wr_u64(w, n);
    wr_handle(w, to);
    nc_wr_u64(w, b);
    return ask(p);
}
