#include "fake_link.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static const uint8_t session_id[32] = {0x53, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xFE};

/* ---- the link ------------------------------------------------------------------------------------- */

static nc_wr *fake_begin(nc_link *l, size_t hint)
{
    rig *r = (rig *)l;
    (void)hint;
    nc_buf_init(&r->open, NULL, NC_MAX_PACKET);
    r->writer = nc_wr_init(&r->open);
    return &r->writer;
}

static int fake_end(nc_link *l)
{
    rig *r = (rig *)l;
    int rc = r->status != NACRE_OK ? r->status : nc_wr_err(&r->writer);
    if (rc != NACRE_OK || r->sent_count == FAKE_PACKETS) {
        nc_buf_clear(&r->open);
        return rc != NACRE_OK ? rc : NACRE_LIMIT;
    }
    r->sent[r->sent_count++] = r->open;
    memset(&r->open, 0, sizeof(r->open));
    return NACRE_OK;
}

static void fake_abandon(nc_link *l)
{
    nc_buf_clear(&((rig *)l)->open);
}

static int fake_vfail(nc_link *l, int status, nacre_blame by, const char *fmt, va_list ap)
    NACRE_PRINTF(4, 0);
static int fake_vfail(nc_link *l, int status, nacre_blame by, const char *fmt, va_list ap)
{
    rig *r = (rig *)l;
    if (r->status == NACRE_OK) {
        r->status = status;
        r->by = by;
        vsnprintf(r->text, sizeof(r->text), fmt, ap);
    }
    return r->status;
}

static int fake_authenticated(nc_link *l, nacre_span user)
{
    rig *r = (rig *)l;
    r->authenticated++;
    r->sent_at_login = r->sent_count;
    snprintf(r->user, sizeof(r->user), "%.*s", (int)user.n, (const char *)user.p);
    return NACRE_OK;
}

static bool fake_extension(const nc_link *l, const char *name, nacre_span *value)
{
    const rig *r = (const rig *)l;
    const char *found = strcmp(name, "server-sig-algs") == 0                   ? r->server_sig_algs
                        : strcmp(name, "publickey-hostbound@openssh.com") == 0 ? r->hostbound
                                                                               : NULL;
    *value = nc_span_cstr(found);
    return found != NULL;
}

static const nc_link_ops fake_ops = {
    .begin = fake_begin,
    .end = fake_end,
    .abandon = fake_abandon,
    .vfail = fake_vfail,
    .authenticated = fake_authenticated,
    .peer_extension = fake_extension,
};

static void keep_log(void *user, nacre_log_level level, const char *line)
{
    rig *r = user;
    size_t used = strlen(r->log);
    (void)level;
    snprintf(r->log + used, sizeof(r->log) - used, "%s\n", line);
}

/* ---- the rig -------------------------------------------------------------------------------------- */

void rig_init(rig *r, nacre_role role)
{
    memset(r, 0, sizeof(*r));
    test_memory_init(&r->memory);
    r->config.role = role;
    r->config.min_rsa_bits = 2048;
    r->config.max_auth_tries = role == NACRE_SERVER ? 6 : 0;
    r->link.ops = &fake_ops;
    r->link.alloc = &r->memory.hooks;
    r->link.log.fn = keep_log;
    r->link.log.user = r;
    r->link.log.level = NACRE_LOG_TRACE;
    r->link.role = role;
    r->link.session_id = nc_span(session_id, sizeof(session_id));
    r->link.host_key = SPAN("the blob of the server's host key");
    r->link.peer_software = "";
    r->link.config = &r->config;
}

int rig_open(rig *r)
{
    int rc = nc_auth_new(&r->auth, &r->link);
    if (rc == NACRE_OK) {
        r->service = nc_auth_service(r->auth);
    }
    return rc;
}

void rig_start(rig *r)
{
    assert_int_equal(rig_open(r), NACRE_OK);
    assert_int_equal(r->service.start(r->service.ctx), NACRE_OK);
}

void rig_clear(rig *r)
{
    if (r->auth) {
        r->service.closing(r->service.ctx);
        assert_int_equal(r->link.open_tickets, 0);
    }
    nc_auth_free(r->auth);
    nc_buf_clear(&r->open);
    for (size_t i = 0; i < r->sent_count; i++) {
        nc_buf_clear(&r->sent[i]);
    }
    free(r->held);
    memset(r, 0, sizeof(*r));
}

static void forget_held(rig *r)
{
    free(r->held);
    r->held = NULL;
    memset(&r->ev, 0, sizeof(r->ev));
}

int rig_poll(rig *r)
{
    forget_held(r);
    return r->service.poll(r->service.ctx, &r->ev);
}

int rig_step(rig *r, nacre_span packet)
{
    int rc = rig_poll(r);
    if (rc != NACRE_AGAIN) {
        return rc;
    }
    assert_true(packet.n > 0);
    r->held = malloc(packet.n);
    assert_non_null(r->held);
    memcpy(r->held, packet.p, packet.n);
    nc_rd rd = nc_rd_init(nc_span(r->held, packet.n));
    uint8_t number = nc_rd_u8(&rd);
    return r->service.packet(r->service.ctx, number, &rd, &r->ev);
}

nacre_span rig_take(rig *r)
{
    if (r->taken == r->sent_count) {
        return nc_span(NULL, 0);
    }
    return nc_buf_span(&r->sent[r->taken++]);
}

int rig_answer(rig *r, const nacre_answer *ans)
{
    return r->service.answer(r->service.ctx, r->ev.ticket, ans);
}

int rig_verdict(rig *r, bool accept)
{
    nacre_answer ans;
    memset(&ans, 0, sizeof(ans));
    ans.accept = accept;
    return rig_answer(r, &ans);
}

nacre_span pack(nc_buf *b, const char *format, ...)
{
    va_list ap;
    nc_buf_clear(b);
    nc_buf_init(b, NULL, 2 * 1024 * 1024);
    nc_wr w = nc_wr_init(b);
    va_start(ap, format);
    for (; *format; format++) {
        switch (*format) {
        case 'y':
            nc_wr_u8(&w, (uint8_t)va_arg(ap, int));
            break;
        case 'o':
            nc_wr_bool(&w, va_arg(ap, int) != 0);
            break;
        case 'u':
            nc_wr_u32(&w, va_arg(ap, uint32_t));
            break;
        case 's':
            nc_wr_cstr(&w, va_arg(ap, const char *));
            break;
        case 'S':
            nc_wr_str(&w, va_arg(ap, nacre_span));
            break;
        default:
            nc_wr_bytes(&w, va_arg(ap, nacre_span));
            break;
        }
    }
    va_end(ap);
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
    return nc_buf_span(b);
}
