/*
 * control.c - see control.h. One table says what each message consists of; reading and writing both go
 * by it.
 */
#include "channel/control.h"

#include <inttypes.h>
#include <string.h>

typedef enum shape {
    HELLO,   /* version, extensions */
    NOTHING, /* the request id alone */
    SESSION,
    STDIO,
    FORWARD,
    TEXT,       /* id, string */
    TOLD,       /* id, bool, string */
    NUMBER,     /* id, uint32 */
    EXIT,       /* session, status; no id */
    TTY_FAILED, /* session; no id */
} shape;

static const struct {
    uint32_t type;
    shape shape;
    uint8_t descriptors;
    const char *name;
} messages[] = {
    {NC_CTL_HELLO, HELLO, 0, "HELLO"},
    {NC_CTL_C_NEW_SESSION, SESSION, 3, "NEW_SESSION"},
    {NC_CTL_C_ALIVE, NOTHING, 0, "ALIVE_CHECK"},
    {NC_CTL_C_TERMINATE, NOTHING, 0, "TERMINATE"},
    {NC_CTL_C_OPEN_FORWARD, FORWARD, 0, "OPEN_FWD"},
    {NC_CTL_C_CLOSE_FORWARD, FORWARD, 0, "CLOSE_FWD"},
    {NC_CTL_C_NEW_STDIO, STDIO, 2, "NEW_STDIO_FWD"},
    {NC_CTL_C_STOP, NOTHING, 0, "STOP_LISTENING"},
    {NC_CTL_C_PROXY, NOTHING, 0, "PROXY"},
    {NC_CTL_C_INFO, TEXT, 0, "EXT_INFO"},
    {NC_CTL_S_OK, NOTHING, 0, "OK"},
    {NC_CTL_S_DENIED, TEXT, 0, "PERMISSION_DENIED"},
    {NC_CTL_S_FAILURE, TEXT, 0, "FAILURE"},
    {NC_CTL_S_EXIT, EXIT, 0, "EXIT_MESSAGE"},
    {NC_CTL_S_ALIVE, NUMBER, 0, "ALIVE"},
    {NC_CTL_S_SESSION, NUMBER, 0, "SESSION_OPENED"},
    {NC_CTL_S_PORT, NUMBER, 0, "REMOTE_PORT"},
    {NC_CTL_S_TTY_FAILED, TTY_FAILED, 0, "TTY_ALLOC_FAIL"},
    {NC_CTL_S_PROXY, NOTHING, 0, "PROXY"},
    {NC_CTL_S_INFO, TOLD, 0, "EXT_INFO"},
};
enum { MESSAGES = sizeof(messages) / sizeof(messages[0]) };

static size_t find(uint32_t type)
{
    size_t i = 0;
    while (i < MESSAGES && messages[i].type != type) {
        i++;
    }
    return i;
}

unsigned nc_ctl_descriptors(uint32_t type)
{
    size_t i = find(type);
    return i < MESSAGES ? messages[i].descriptors : 0;
}

/* ---- reading ---- */

/* A string that will be a C string: a NUL inside would cut it where the eye sees none. */
static nacre_span text(nc_rd *r)
{
    nacre_span s = nc_rd_str(r);
    if (s.n > 0 && memchr(s.p, '\0', s.n)) {
        nc_rd_fail(r);
    }
    return s;
}

/* What RFC 4251 calls a bool is a uint32 here. */
static bool flag(nc_rd *r)
{
    return nc_rd_u32(r) != 0;
}

static void read_hello(nc_rd *r, nc_ctl_msg *m)
{
    m->u.hello.version = nc_rd_u32(r);
    for (int i = 0; nc_rd_left(r) > 0 && nc_rd_err(r) == NACRE_OK; i++) {
        nacre_span name = nc_rd_str(r);
        (void)nc_rd_str(r);
        m->u.hello.info = m->u.hello.info || nc_span_is(name, "info");
        if (i == NC_CTL_MAX_EXTENSIONS) {
            nc_rd_fail(r);
        }
    }
}

static void read_session(nc_rd *r, nc_ctl_msg *m)
{
    (void)nc_rd_str(r); /* reserved */
    m->u.session.tty = flag(r);
    m->u.session.x11 = flag(r);
    m->u.session.agent = flag(r);
    m->u.session.subsystem = flag(r);
    m->u.session.escape = nc_rd_u32(r);
    m->u.session.term = text(r);
    m->u.session.command = text(r);
    nacre_span env = nc_rd_rest(r);
    nc_rd each = nc_rd_init(env);
    for (int i = 0; nc_rd_left(&each) > 0 && nc_rd_err(&each) == NACRE_OK; i++) {
        (void)text(&each);
        if (i == NC_CTL_MAX_ENV) {
            nc_rd_fail(&each);
        }
    }
    if (nc_rd_err(&each) != NACRE_OK) {
        nc_rd_fail(r);
    }
    m->u.session.env = env;
}

static uint32_t port(nc_rd *r)
{
    uint32_t v = nc_rd_u32(r);
    if (v > UINT16_MAX && v != NC_CTL_PORT_PATH) {
        nc_rd_fail(r);
    }
    return v;
}

static void read_forward(nc_rd *r, nc_ctl_msg *m)
{
    m->u.forward.kind = nc_rd_u32(r);
    m->u.forward.listen_host = text(r);
    m->u.forward.listen_port = port(r);
    m->u.forward.connect_host = text(r);
    m->u.forward.connect_port = port(r);
}

static void read_stdio(nc_rd *r, nc_ctl_msg *m)
{
    (void)nc_rd_str(r); /* reserved */
    m->u.stdio.host = text(r);
    m->u.stdio.port = port(r);
}

static void read_fields(nc_rd *r, shape s, nc_ctl_msg *m)
{
    bool no_id = s == HELLO || s == EXIT || s == TTY_FAILED;
    m->id = no_id ? 0 : nc_rd_u32(r);
    switch (s) {
    case HELLO:
        read_hello(r, m);
        break;
    case NOTHING:
        break;
    case SESSION:
        read_session(r, m);
        break;
    case STDIO:
        read_stdio(r, m);
        break;
    case FORWARD:
        read_forward(r, m);
        break;
    case TOLD:
        m->u.text.good = flag(r);
        m->u.text.text = nc_rd_str(r);
        break;
    case TEXT:
        m->u.text.text = text(r);
        break;
    case NUMBER:
        m->u.number = nc_rd_u32(r);
        break;
    case EXIT:
        m->u.exit.session = nc_rd_u32(r);
        m->u.exit.status = nc_rd_u32(r);
        break;
    case TTY_FAILED:
        m->u.exit.session = nc_rd_u32(r);
        break;
    }
}

int nc_ctl_read(nacre_span body, bool from_master, nc_ctl_msg *m, nacre_error *err)
{
    nc_rd r = nc_rd_init(body);
    memset(m, 0, sizeof(*m));
    m->type = nc_rd_u32(&r);
    if (nc_rd_err(&r) != NACRE_OK) {
        return nc_fail(err, NACRE_MALFORMED, "a control message of %zu bytes has no type", body.n);
    }
    size_t i = find(m->type);
    bool masters = m->type >= NC_CTL_S_OK;
    if (i == MESSAGES || (m->type != NC_CTL_HELLO && masters != from_master)) {
        m->id = nc_rd_left(&r) >= 4 ? nc_rd_u32(&r) : 0;
        return nc_fail(err, NACRE_UNSUPPORTED,
                       "control message 0x%08" PRIx32 " is none that a %s sends", m->type,
                       from_master ? "master" : "client");
    }
    read_fields(&r, messages[i].shape, m);
    if (nc_rd_end(&r) != NACRE_OK) {
        return nc_fail(err, NACRE_MALFORMED,
                       "control message %s cannot be read: a field is missing, cut off or too many",
                       messages[i].name);
    }
    return NACRE_OK;
}

bool nc_ctl_next_env(nacre_span *env, nacre_span *one)
{
    nc_rd r = nc_rd_init(*env);
    *one = nc_rd_str(&r);
    *env = nc_rd_rest(&r);
    return nc_rd_err(&r) == NACRE_OK;
}

/* ---- writing ---- */

static void write_session(nc_wr *w, const nc_ctl_msg *m)
{
    nc_wr_str(w, nc_span(NULL, 0));
    nc_wr_u32(w, m->u.session.tty);
    nc_wr_u32(w, m->u.session.x11);
    nc_wr_u32(w, m->u.session.agent);
    nc_wr_u32(w, m->u.session.subsystem);
    nc_wr_u32(w, m->u.session.escape);
    nc_wr_str(w, m->u.session.term);
    nc_wr_str(w, m->u.session.command);
    nc_wr_bytes(w, m->u.session.env);
}

static void write_forward(nc_wr *w, const nc_ctl_msg *m)
{
    nc_wr_u32(w, m->u.forward.kind);
    nc_wr_str(w, m->u.forward.listen_host);
    nc_wr_u32(w, m->u.forward.listen_port);
    nc_wr_str(w, m->u.forward.connect_host);
    nc_wr_u32(w, m->u.forward.connect_port);
}

static void write_hello(nc_wr *w, const nc_ctl_msg *m)
{
    nc_wr_u32(w, m->u.hello.version);
    if (m->u.hello.info) {
        nc_wr_cstr(w, "info");
        nc_wr_cstr(w, "0");
    }
}

static void write_fields(nc_wr *w, shape s, const nc_ctl_msg *m)
{
    if (s != HELLO && s != EXIT && s != TTY_FAILED) {
        nc_wr_u32(w, m->id);
    }
    switch (s) {
    case HELLO:
        write_hello(w, m);
        break;
    case NOTHING:
        break;
    case SESSION:
        write_session(w, m);
        break;
    case STDIO:
        nc_wr_str(w, nc_span(NULL, 0));
        nc_wr_str(w, m->u.stdio.host);
        nc_wr_u32(w, m->u.stdio.port);
        break;
    case FORWARD:
        write_forward(w, m);
        break;
    case TOLD:
        nc_wr_u32(w, m->u.text.good);
        nc_wr_str(w, m->u.text.text);
        break;
    case TEXT:
        nc_wr_str(w, m->u.text.text);
        break;
    case NUMBER:
        nc_wr_u32(w, m->u.number);
        break;
    case EXIT:
        nc_wr_u32(w, m->u.exit.session);
        nc_wr_u32(w, m->u.exit.status);
        break;
    case TTY_FAILED:
        nc_wr_u32(w, m->u.exit.session);
        break;
    }
}

int nc_ctl_write(nc_buf *out, const nc_ctl_msg *m)
{
    size_t before = out->len;
    size_t i = find(m->type);
    if (i == MESSAGES) {
        return NACRE_INVALID_ARGUMENT;
    }
    nc_wr w = nc_wr_init(out);
    size_t mark = nc_wr_begin_str(&w);
    nc_wr_u32(&w, m->type);
    write_fields(&w, messages[i].shape, m);
    nc_wr_end_str(&w, mark);
    int rc = nc_wr_err(&w);
    if (rc == NACRE_OK && out->len - before > NC_CTL_MAX_PACKET) {
        rc = NACRE_LIMIT;
    }
    if (rc != NACRE_OK) {
        nc_buf_truncate(out, before);
    }
    return rc;
}
