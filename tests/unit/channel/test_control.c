/* The messages of connection sharing: every one written and read, cut at every byte, made too long, absurd. */
#include "channel/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static nacre_span text(const char *s)
{
    return nc_span_cstr(s);
}

static nc_ctl_msg of(uint32_t type)
{
    nc_ctl_msg m = {.type = type, .id = type == NC_CTL_HELLO ? 0 : 7};
    return m;
}

/* One of each kind. */
static size_t samples(nc_ctl_msg *out, nacre_span env)
{
    static const uint32_t bare[] = {NC_CTL_C_ALIVE, NC_CTL_C_TERMINATE, NC_CTL_C_STOP,
                                    NC_CTL_C_PROXY, NC_CTL_S_OK,        NC_CTL_S_PROXY};
    static const uint32_t numbers[] = {NC_CTL_S_ALIVE, NC_CTL_S_SESSION, NC_CTL_S_PORT};
    static const uint32_t texts[] = {NC_CTL_C_INFO, NC_CTL_S_DENIED, NC_CTL_S_FAILURE,
                                     NC_CTL_S_INFO};
    size_t n = 0;
    for (size_t i = 0; i < sizeof(bare) / sizeof(bare[0]); i++) {
        out[n++] = of(bare[i]);
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        out[n] = of(numbers[i]);
        out[n++].u.number = 4711;
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        out[n] = of(texts[i]);
        out[n++].u.text.text = text("because");
    }
    out[n] = of(NC_CTL_HELLO);
    out[n].u.hello.info = true;
    out[n++].u.hello.version = NC_CTL_VERSION;
    out[n] = of(NC_CTL_S_EXIT);
    out[n].id = 0;
    out[n++].u.exit.session = 3;
    out[n] = of(NC_CTL_S_TTY_FAILED);
    out[n++].id = 0;
    for (int i = 0; i < 2; i++) {
        out[n] = of(i ? NC_CTL_C_OPEN_FORWARD : NC_CTL_C_CLOSE_FORWARD);
        out[n].u.forward.kind = NC_CTL_REMOTE;
        out[n].u.forward.listen_host = text("/a/path");
        out[n].u.forward.listen_port = NC_CTL_PORT_PATH;
        out[n].u.forward.connect_host = text("host");
        out[n++].u.forward.connect_port = 80;
    }
    out[n] = of(NC_CTL_C_NEW_STDIO);
    out[n].u.stdio.host = text("host");
    out[n++].u.stdio.port = 22;
    out[n] = of(NC_CTL_C_NEW_SESSION);
    out[n].u.session.tty = out[n].u.session.agent = true;
    out[n].u.session.escape = '~';
    out[n].u.session.term = text("xterm");
    out[n].u.session.command = text("uname -a");
    out[n++].u.session.env = env;
    return n;
}

static void put_env(nc_buf *b)
{
    nc_buf_init(b, NULL, 4096);
    nc_wr w = nc_wr_init(b);
    nc_wr_cstr(&w, "LANG=C");
    nc_wr_cstr(&w, "A=b=c");
    assert_int_equal(nc_wr_err(&w), NACRE_OK);
}

static void there_and_back(void **state)
{
    nc_buf env, b;
    nc_ctl_msg all[32], m;
    (void)state;
    put_env(&env);
    nc_buf_init(&b, NULL, NC_CTL_MAX_PACKET + 4);
    size_t n = samples(all, nc_buf_span(&env));
    for (size_t i = 0; i < n; i++) {
        bool master = all[i].type >= NC_CTL_S_OK;
        nc_buf_reset(&b);
        assert_int_equal(nc_ctl_write(&b, &all[i]), NACRE_OK);
        assert_int_equal(nc_get_u32(b.data), b.len - 4);
        assert_int_equal(nc_ctl_read(nc_span(b.data + 4, b.len - 4), master, &m, NULL), NACRE_OK);
        assert_int_equal(m.type, all[i].type);
        assert_int_equal(m.id, all[i].id);
        /* the other side's are none */
        if (m.type != NC_CTL_HELLO) {
            assert_int_equal(nc_ctl_read(nc_span(b.data + 4, b.len - 4), !master, &m, NULL),
                             NACRE_UNSUPPORTED);
        }
        /* cut at every byte; an environment may end between two variables */
        for (size_t cut = 4; cut < b.len; cut++) {
            int rc = nc_ctl_read(nc_span(b.data + 4, cut - 4), master, &m, NULL);
            bool between = all[i].type == NC_CTL_C_NEW_SESSION &&
                           (cut == b.len - env.len || cut == b.len - 4 - strlen("A=b=c"));
            bool greeting = all[i].type == NC_CTL_HELLO && cut == 12;
            assert_int_equal(rc, between || greeting ? NACRE_OK : NACRE_MALFORMED);
        }
        /* one byte more */
        assert_int_equal(nc_buf_append(&b, "x", 1), NACRE_OK);
        assert_int_equal(nc_ctl_read(nc_span(b.data + 4, b.len - 4), master, &m, NULL),
                         NACRE_MALFORMED);
    }
    nc_buf_clear(&b);
    nc_buf_clear(&env);
}

static void fields_arrive(void **state)
{
    nc_buf env, b;
    nc_ctl_msg all[32], m;
    nacre_span rest, one;
    (void)state;
    put_env(&env);
    nc_buf_init(&b, NULL, 4096);
    size_t n = samples(all, nc_buf_span(&env));
    assert_int_equal(nc_ctl_write(&b, &all[n - 1]), NACRE_OK);
    assert_int_equal(nc_ctl_read(nc_span(b.data + 4, b.len - 4), false, &m, NULL), NACRE_OK);
    assert_true(m.u.session.tty && m.u.session.agent);
    assert_false(m.u.session.x11 || m.u.session.subsystem);
    assert_int_equal(m.u.session.escape, '~');
    assert_true(nc_span_is(m.u.session.command, "uname -a"));
    rest = m.u.session.env;
    assert_true(nc_ctl_next_env(&rest, &one));
    assert_true(nc_span_is(one, "LANG=C"));
    assert_true(nc_ctl_next_env(&rest, &one));
    assert_true(nc_span_is(one, "A=b=c"));
    assert_int_equal(rest.n, 0);
    assert_false(nc_ctl_next_env(&rest, &one));
    assert_int_equal(nc_ctl_descriptors(NC_CTL_C_NEW_SESSION), 3);
    assert_int_equal(nc_ctl_descriptors(NC_CTL_C_NEW_STDIO), 2);
    assert_int_equal(nc_ctl_descriptors(NC_CTL_C_ALIVE), 0);
    assert_int_equal(nc_ctl_descriptors(0xdeadbeef), 0);
    nc_buf_clear(&b);
    nc_buf_clear(&env);
}

static int read_back(const nc_ctl_msg *m)
{
    nc_buf b;
    nc_ctl_msg got;
    nc_buf_init(&b, NULL, NC_CTL_MAX_PACKET + 4);
    assert_int_equal(nc_ctl_write(&b, m), NACRE_OK);
    int rc = nc_ctl_read(nc_span(b.data + 4, b.len - 4), m->type >= NC_CTL_S_OK, &got, NULL);
    nc_buf_clear(&b);
    return rc;
}

static void absurd_ones(void **state)
{
    nc_ctl_msg m;
    nc_buf b;
    nacre_error why;
    (void)state;
    /* a NUL where a C string will be */
    m = of(NC_CTL_C_NEW_SESSION);
    m.u.session.command = nc_span("rm\0ls", 5);
    assert_int_equal(read_back(&m), NACRE_MALFORMED);
    m = of(NC_CTL_C_NEW_SESSION);
    m.u.session.term = nc_span("\0", 1);
    assert_int_equal(read_back(&m), NACRE_MALFORMED);
    m = of(NC_CTL_C_OPEN_FORWARD);
    m.u.forward.listen_host = nc_span("/tmp/a\0b", 8);
    assert_int_equal(read_back(&m), NACRE_MALFORMED);
    /* ports that are none, and the two that just are */
    m = of(NC_CTL_C_NEW_STDIO);
    m.u.stdio.port = 65536;
    assert_int_equal(read_back(&m), NACRE_MALFORMED);
    m.u.stdio.port = UINT32_MAX;
    assert_int_equal(read_back(&m), NACRE_MALFORMED);
    m.u.stdio.port = 65535;
    assert_int_equal(read_back(&m), NACRE_OK);
    m.u.stdio.port = NC_CTL_PORT_PATH;
    assert_int_equal(read_back(&m), NACRE_OK);
    /* nothing, less than a type, and a type nobody knows, with and without an id */
    assert_int_equal(nc_ctl_read(nc_span(NULL, 0), false, &m, NULL), NACRE_MALFORMED);
    assert_int_equal(nc_ctl_read(nc_span("\0\0\0", 3), false, &m, NULL), NACRE_MALFORMED);
    nc_error_clear(&why);
    assert_int_equal(nc_ctl_read(nc_span("\x10\0\0\x63\0\0\0\x05", 8), false, &m, &why),
                     NACRE_UNSUPPORTED);
    assert_int_equal(m.id, 5);
    assert_non_null(strstr(why.text, "0x10000063"));
    assert_int_equal(nc_ctl_read(nc_span("\x10\0\0\x63", 4), false, &m, NULL), NACRE_UNSUPPORTED);
    m = of(0x10000063);
    nc_buf_init(&b, NULL, 100);
    assert_int_equal(nc_ctl_write(&b, &m), NACRE_INVALID_ARGUMENT);
    nc_buf_clear(&b);
}

static void too_many(void **state)
{
    nc_ctl_msg m, got;
    nc_buf env, b;
    (void)state;
    nc_buf_init(&env, NULL, NC_CTL_MAX_PACKET);
    nc_buf_init(&b, NULL, 2 * NC_CTL_MAX_PACKET);
    nc_wr w = nc_wr_init(&env);
    for (int i = 0; i <= NC_CTL_MAX_ENV; i++) {
        nc_wr_cstr(&w, "A=1");
    }
    m = of(NC_CTL_C_NEW_SESSION);
    m.u.session.env = nc_buf_span(&env);
    assert_int_equal(read_back(&m), NACRE_MALFORMED);
    m.u.session.env.n -= 7;
    assert_int_equal(read_back(&m), NACRE_OK);
    /* a greeting of extensions without end */
    nc_buf_reset(&b);
    w = nc_wr_init(&b);
    nc_wr_u32(&w, NC_CTL_HELLO);
    nc_wr_u32(&w, NC_CTL_VERSION);
    for (int i = 0; i <= NC_CTL_MAX_EXTENSIONS; i++) {
        nc_wr_cstr(&w, "x@example.org");
        nc_wr_cstr(&w, "");
    }
    assert_int_equal(nc_ctl_read(nc_buf_span(&b), true, &got, NULL), NACRE_MALFORMED);
    assert_int_equal(nc_ctl_read(nc_span(b.data, b.len - 21), true, &got, NULL), NACRE_OK);
    /* what is longer than a packet may be is not written, nor anything of it */
    nc_buf_reset(&b);
    assert_int_equal(nc_buf_append(&b, "kept", 4), NACRE_OK);
    m = of(NC_CTL_S_FAILURE);
    uint8_t *big = test_malloc(NC_CTL_MAX_PACKET);
    memset(big, 'x', NC_CTL_MAX_PACKET);
    m.u.text.text = nc_span(big, NC_CTL_MAX_PACKET);
    assert_int_equal(nc_ctl_write(&b, &m), NACRE_LIMIT);
    assert_int_equal(b.len, 4);
    test_free(big);
    nc_buf_clear(&b);
    nc_buf_clear(&env);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(fields_arrive),
        cmocka_unit_test(absurd_ones),
        cmocka_unit_test(too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
