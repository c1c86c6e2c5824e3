/* What forwardings say on the wire: the layouts of RFC 4254 and OpenSSH's PROTOCOL, and everything that is not them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those before it */
#include <cmocka.h>

#include "channel/forward.h"

#include <string.h>

static nc_buf b;

static int setup(void **state)
{
    (void)state;
    nc_buf_init(&b, NULL, NC_FWD_DATA_MAX);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    nc_buf_clear(&b);
    return 0;
}

/* One reader behind one face. */
typedef int (*read_fn)(nacre_span data);

static int read_tcp(nacre_span data)
{
    nc_fwd_tcp m;
    return nc_fwd_read_tcp(data, &m);
}

static int read_listen(nacre_span data)
{
    nc_fwd_listen m;
    return nc_fwd_read_listen(data, &m);
}

static int read_port(nacre_span data)
{
    uint16_t port;
    return nc_fwd_read_port(data, &port);
}

static int read_direct_path(nacre_span data)
{
    nc_fwd_path m;
    return nc_fwd_read_direct_path(data, &m);
}

static int read_path(nacre_span data)
{
    nc_fwd_path m;
    return nc_fwd_read_path(data, &m);
}

static int read_listen_path(nacre_span data)
{
    nc_fwd_path m;
    return nc_fwd_read_listen_path(data, &m);
}

static int read_x11_request(nacre_span data)
{
    nc_fwd_x11_request m;
    return nc_fwd_read_x11_request(data, &m);
}

static int read_x11(nacre_span data)
{
    nc_fwd_x11 m;
    return nc_fwd_read_x11(data, &m);
}

static void test_layouts(void **state)
{
    (void)state;
    nc_fwd_tcp tcp;
    nc_fwd_listen listen;
    nc_fwd_path path;
    nc_fwd_x11_request request = {true, "MIT-MAGIC-COOKIE-1", "00ff", 7};
    nc_fwd_x11_request again;
    nc_fwd_x11 x11;
    uint16_t port = 0;

    assert_int_equal(nc_fwd_write_tcp(&b, "there", 80, "::1", 65535), NACRE_OK);
    assert_memory_equal(b.data, "\0\0\0\5there\0\0\0\x50\0\0\0\3::1\0\0\xff\xff", b.len);
    assert_int_equal(b.len, 24);
    assert_int_equal(nc_fwd_read_tcp(nc_buf_span(&b), &tcp), NACRE_OK);
    assert_string_equal(tcp.host, "there");
    assert_string_equal(tcp.origin, "::1");
    assert_int_equal(tcp.port, 80);
    assert_int_equal(tcp.origin_port, 65535);

    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_listen(&b, "", 0), NACRE_OK);
    assert_memory_equal(b.data, "\0\0\0\0\0\0\0\0", 8);
    assert_int_equal(nc_fwd_read_listen(nc_buf_span(&b), &listen), NACRE_OK);
    assert_string_equal(listen.address, "");

    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_port(&b, 8080), NACRE_OK);
    assert_memory_equal(b.data, "\0\0\x1f\x90", 4);
    assert_int_equal(nc_fwd_read_port(nc_buf_span(&b), &port), NACRE_OK);
    assert_int_equal(port, 8080);

    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_direct_path(&b, "/s"), NACRE_OK);
    assert_int_equal(b.len, 6 + 4 + 4);
    assert_int_equal(nc_fwd_read_direct_path(nc_buf_span(&b), &path), NACRE_OK);
    assert_string_equal(path.path, "/s");
    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_path(&b, "/s"), NACRE_OK);
    assert_int_equal(b.len, 6 + 4);
    assert_int_equal(nc_fwd_read_path(nc_buf_span(&b), &path), NACRE_OK);
    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_listen_path(&b, "/s"), NACRE_OK);
    assert_int_equal(b.len, 6);
    assert_int_equal(nc_fwd_read_listen_path(nc_buf_span(&b), &path), NACRE_OK);

    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_x11_request(&b, &request), NACRE_OK);
    assert_int_equal(nc_fwd_read_x11_request(nc_buf_span(&b), &again), NACRE_OK);
    assert_true(again.single);
    assert_string_equal(again.cookie, "00ff");
    assert_string_equal(again.protocol, request.protocol);
    assert_int_equal(again.screen, 7);
    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_x11(&b, "192.0.2.1", 6000), NACRE_OK);
    assert_int_equal(nc_fwd_read_x11(nc_buf_span(&b), &x11), NACRE_OK);
    assert_string_equal(x11.origin, "192.0.2.1");
    assert_int_equal(x11.origin_port, 6000);
}

/* Octets as RFC 4254 and PROTOCOL write them, one good message for each reader. */
static const struct {
    read_fn read;
    const char *good;
    size_t n;
    int port_at; /* of a port; -1: none */
    int name_at; /* of the length of a name; -1: none */
} rows[] = {
    {read_tcp, "\0\0\0\5there\0\0\0\x50\0\0\0\3::1\0\0\xff\xff", 24, 9, 0},
    {read_tcp, "\0\0\0\5there\0\0\0\x50\0\0\0\3::1\0\0\xff\xff", 24, 20, 13},
    {read_listen, "\0\0\0\1*\0\0\0\0", 9, 5, 0},
    {read_port, "\0\0\x1f\x90", 4, 0, -1},
    {read_direct_path, "\0\0\0\2/s\0\0\0\0\0\0\0\0", 14, -1, 0},
    {read_path, "\0\0\0\2/s\0\0\0\0", 10, -1, 0},
    {read_listen_path, "\0\0\0\2/s", 6, -1, 0},
    {read_x11_request, "\1\0\0\0\1p\0\0\0\2ff\0\0\0\0", 16, -1, 1},
    {read_x11_request, "\1\0\0\0\1p\0\0\0\2ff\0\0\0\0", 16, -1, 6},
    {read_x11, "\0\0\0\3::1\0\0\x17\x70", 11, 7, 0},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void test_cut_and_longer(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t copy[64];
        assert_int_equal(rows[i].read(nc_span(rows[i].good, rows[i].n)), NACRE_OK);
        for (size_t n = 0; n < rows[i].n; n++) {
            assert_int_equal(rows[i].read(nc_span(rows[i].good, n)), NACRE_MALFORMED);
        }
        memcpy(copy, rows[i].good, rows[i].n);
        copy[rows[i].n] = 0;
        assert_int_equal(rows[i].read(nc_span(copy, rows[i].n + 1)), NACRE_MALFORMED);
    }
}

static void test_ports_and_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t copy[64];
        int at = rows[i].port_at;
        for (int k = 0; at >= 0 && k < 2; k++) {
            memcpy(copy, rows[i].good, rows[i].n);
            copy[at + k] = 1; /* 65536 and above */
            assert_int_equal(rows[i].read(nc_span(copy, rows[i].n)), NACRE_MALFORMED);
        }
        at = rows[i].name_at;
        static const uint8_t bad[] = {0, '\n', 27, 127};
        for (size_t k = 0; at >= 0 && k < sizeof(bad); k++) {
            memcpy(copy, rows[i].good, rows[i].n);
            copy[at + 4] = bad[k];
            assert_int_equal(rows[i].read(nc_span(copy, rows[i].n)), NACRE_MALFORMED);
        }
        static const uint8_t lengths[] = {0x7f, 0x80, 0xff};
        for (size_t k = 0; at >= 0 && k < sizeof(lengths); k++) {
            memcpy(copy, rows[i].good, rows[i].n);
            copy[at] = lengths[k];
            assert_int_equal(rows[i].read(nc_span(copy, rows[i].n)), NACRE_MALFORMED);
        }
    }
}

static void test_long_names(void **state)
{
    (void)state;
    char name[NC_FWD_HOST_MAX + 2];
    nc_fwd_tcp tcp;
    memset(name, 'a', sizeof(name));
    name[NC_FWD_HOST_MAX] = '\0';
    assert_int_equal(nc_fwd_write_tcp(&b, name, 1, name, 1), NACRE_OK);
    assert_int_equal(nc_fwd_read_tcp(nc_buf_span(&b), &tcp), NACRE_OK);
    assert_string_equal(tcp.host, name);
    name[NC_FWD_HOST_MAX] = 'a';
    name[NC_FWD_HOST_MAX + 1] = '\0';
    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_tcp(&b, name, 1, "", 1), NACRE_OK);
    assert_int_equal(nc_fwd_read_tcp(nc_buf_span(&b), &tcp), NACRE_MALFORMED);
    nc_buf_reset(&b);
    assert_int_equal(nc_fwd_write_listen_path(&b, name), NACRE_OK);
    assert_int_equal(read_listen_path(nc_buf_span(&b)), NACRE_MALFORMED);
    /* Above the cap of the buffer: nothing is written that cannot be read. */
    assert_int_equal(nc_fwd_write_tcp(&b, name, 1, name, 1), NACRE_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_layouts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_and_longer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ports_and_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_names, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
