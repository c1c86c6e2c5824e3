/*
 * X11 forwarding as bytes: names of displays, x11-req, and the first message of a connection.
 */
#include "channel/x11.h"
#include "nacre/x11.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- displays ---- */

static void test_displays(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *path;
        unsigned number, screen;
    } rows[] = {
        {":0", "", "", 0, 0},
        {":10.1", "", "", 10, 1},
        {"unix:3", "", "", 3, 0},
        {"localhost:10.0", "localhost", "", 10, 0},
        {"192.0.2.1:59535.2", "192.0.2.1", "", 59535, 2},
        {"[2001:db8::1]:1", "2001:db8::1", "", 1, 0},
        {"::1:4", "::1", "", 4, 0},
        {"/tmp/launch-x/org.xquartz:0", "", "/tmp/launch-x/org.xquartz:0", 0, 0},
        {"/tmp/socket", "", "/tmp/socket", 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        nacre_x11_display d;
        assert_int_equal(nacre_x11_display_parse(rows[i].text, &d, NULL), NACRE_OK);
        assert_string_equal(d.host, rows[i].host);
        assert_string_equal(d.path, rows[i].path);
        assert_int_equal(d.number, rows[i].number);
        assert_int_equal(d.screen, rows[i].screen);
    }
}

static void test_no_displays(void **state)
{
    (void)state;
    char long_host[400], long_path[200];
    memset(long_host, 'h', sizeof(long_host));
    memcpy(long_host + sizeof(long_host) - 3, ":0", 3);
    memset(long_path, '/', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    const char *const bad[] = {
        "",           "0",       "host",    ":",          "host:",    ":x",        ":0.",
        ":0.x",       ":0.0.0",  ":0 ",     ":-1",        ":59536",   ":99999999", ":0.65536",
        "-q:0",       "a;id:0",  "$(id):0", "a b:0",      "a\nadd:0", "`id`:0",    "/tmp/s:0x",
        "host:0/../", long_host, long_path, ":4294967296"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        nacre_x11_display d;
        nacre_error why;
        assert_int_equal(nacre_x11_display_parse(bad[i], &d, &why), NACRE_SYNTAX);
        assert_non_null(strstr(why.text, "is no X display"));
        assert_int_equal(d.number, 0);
    }
}

/* ---- x11-req ---- */

static void test_request(void **state)
{
    (void)state;
    static const uint8_t cookie[] = {0, 1, 0xab, 0xff};
    nc_buf b;
    nc_fwd_x11_request r;
    nacre_x11_request whole;
    nc_buf_init(&b, NULL, 4096);
    assert_int_equal(
        nc_x11_req_write(&b, true, "MIT-MAGIC-COOKIE-1", nc_span(cookie, sizeof(cookie)), 7),
        NACRE_OK);
    assert_int_equal(nc_x11_req_read(nc_buf_span(&b), &r), NACRE_OK);
    assert_true(r.single);
    assert_int_equal(r.screen, 7);
    assert_string_equal(r.protocol, "MIT-MAGIC-COOKIE-1");
    assert_string_equal(r.cookie, "0001abff");
    assert_int_equal(nacre_x11_request_parse(nc_buf_span(&b), &whole), NACRE_OK);
    assert_string_equal(whole.cookie, "0001abff");
    assert_string_equal(whole.protocol, "MIT-MAGIC-COOKIE-1");
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(nc_x11_req_read(nc_span(b.data, n), &r), NACRE_MALFORMED);
    }
    assert_int_equal(nc_buf_append(&b, "", 1), NACRE_OK);
    assert_int_equal(nc_x11_req_read(nc_buf_span(&b), &r), NACRE_MALFORMED);
    nc_buf_clear(&b);
}

/* What the fields have no room for is not cut: nothing is written. */
static void test_request_too_large(void **state)
{
    (void)state;
    static const uint8_t cookie[NC_X11_DATA_MAX + 1];
    char name[NC_FWD_X11_MAX + 2] = {0};
    nc_fwd_x11_request r;
    nc_buf b;
    nc_buf_init(&b, NULL, 4096);
    memset(name, 'M', NC_FWD_X11_MAX + 1);
    assert_int_equal(nc_x11_req_write(&b, true, name, nc_span(cookie, 16), 0), NACRE_TOO_LARGE);
    name[NC_X11_NAME_MAX] = '\0';
    assert_int_equal(nc_x11_req_write(&b, true, name, nc_span(cookie, 16), 0), NACRE_TOO_LARGE);
    assert_int_equal(nc_x11_req_write(&b, true, "MIT;", nc_span(cookie, 16), 0), NACRE_SYNTAX);
    assert_int_equal(nc_x11_req_write(&b, true, "", nc_span(cookie, 16), 0), NACRE_SYNTAX);
    assert_int_equal(nc_x11_req_write(&b, true, "MIT", nc_span(cookie, sizeof(cookie)), 0),
                     NACRE_TOO_LARGE);
    assert_int_equal(b.len, 0);
    name[NC_X11_NAME_MAX - 1] = '\0';
    assert_int_equal(nc_x11_req_write(&b, true, name, nc_span(cookie, NC_X11_DATA_MAX), 0),
                     NACRE_OK);
    assert_int_equal(nc_x11_req_read(nc_buf_span(&b), &r), NACRE_OK);
    assert_string_equal(r.protocol, name);
    assert_int_equal(strlen(r.cookie), 2 * NC_X11_DATA_MAX);
    nc_buf_clear(&b);
}

static int read_words(const char *protocol, const char *cookie, uint32_t screen)
{
    uint8_t bytes[4096];
    size_t at = 0, lengths[2] = {strlen(protocol), strlen(cookie)};
    const char *const words[2] = {protocol, cookie};
    nacre_x11_request r;
    bytes[at++] = 0;
    for (int i = 0; i < 2; i++) {
        for (int s = 24; s >= 0; s -= 8) {
            bytes[at++] = (uint8_t)(lengths[i] >> s);
        }
        memcpy(bytes + at, words[i], lengths[i]);
        at += lengths[i];
    }
    for (int s = 24; s >= 0; s -= 8) {
        bytes[at++] = (uint8_t)(screen >> s);
    }
    return nacre_x11_request_parse(nc_span(bytes, at), &r);
}

/* What is told to xauth must not be more than it seems (CVE-2016-3115). */
static void test_request_with_commands(void **state)
{
    (void)state;
    char long_cookie[257], long_name[65];
    memset(long_cookie, 'a', sizeof(long_cookie) - 1);
    long_cookie[sizeof(long_cookie) - 1] = '\0';
    memset(long_name, 'N', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    assert_int_equal(read_words("MIT-MAGIC-COOKIE-1", "00ff", 0), NACRE_OK);
    assert_int_equal(read_words("X", "0A", 65535), NACRE_OK);
    assert_int_equal(read_words("X", long_cookie + 2, 0), NACRE_OK);
    assert_int_equal(read_words("X", long_cookie, 0), NACRE_MALFORMED);
    assert_int_equal(read_words(long_name, "00", 0), NACRE_MALFORMED);
    assert_int_equal(read_words("", "00", 0), NACRE_MALFORMED);
    assert_int_equal(read_words("-x", "00", 0), NACRE_MALFORMED);
    assert_int_equal(read_words("MIT COOKIE", "00", 0), NACRE_MALFORMED);
    assert_int_equal(read_words("MIT\nsource /etc/passwd", "00", 0), NACRE_MALFORMED);
    assert_int_equal(read_words("MIT", "00\nsource /etc/passwd", 0), NACRE_MALFORMED);
    assert_int_equal(read_words("MIT", "0", 0), NACRE_MALFORMED);
    assert_int_equal(read_words("MIT", "", 0), NACRE_MALFORMED);
    assert_int_equal(read_words("MIT", "0g", 0), NACRE_MALFORMED);
    assert_int_equal(read_words("MIT", "00", 65536), NACRE_MALFORMED);
}

static void test_hex(void **state)
{
    (void)state;
    uint8_t out[2];
    size_t n;
    assert_int_equal(nc_x11_unhex(nc_span_cstr("aBcd"), out, 2, &n), NACRE_OK);
    assert_int_equal(n, 2);
    assert_int_equal(out[0], 0xab);
    assert_int_equal(out[1], 0xcd);
    assert_int_equal(nc_x11_unhex(nc_span_cstr("aabbcc"), out, 2, &n), NACRE_TOO_LARGE);
    assert_int_equal(nc_x11_unhex(nc_span_cstr("abc"), out, 2, &n), NACRE_SYNTAX);
    assert_int_equal(nc_x11_unhex(nc_span_cstr("zz"), out, 2, &n), NACRE_SYNTAX);
}

/* ---- the first message ---- */

static size_t make_setup(bool big, const char *name, const char *data, size_t data_len,
                         uint8_t *out)
{
    size_t n = strlen(name), at = 12;
    memset(out, 0, 12 + 4 + n + data_len + 4);
    out[0] = big ? 'B' : 'l';
    out[big ? 3 : 2] = 11;
    out[big ? 7 : 6] = (uint8_t)n;
    out[big ? 9 : 8] = (uint8_t)data_len;
    memcpy(out + at, name, n);
    at += (n + 3) & ~(size_t)3;
    memcpy(out + at, data, data_len);
    return at + ((data_len + 3) & ~(size_t)3);
}

static const char fake[] = "0123456789abcdef", real[] = "REALREALREALREALREAL!";
static const char magic[] = "MIT-MAGIC-COOKIE-1";

static void one_setup(bool big)
{
    uint8_t in[256], out[NC_X11_SETUP_MAX], want[256];
    size_t n = make_setup(big, magic, fake, 16, in), took;
    for (size_t step = 1; step <= n; step++) {
        nc_x11_setup s;
        size_t at = 0;
        int rc = NACRE_AGAIN;
        memset(&s, 0, sizeof(s));
        in[n] = 'x'; /* the next message */
        while (rc == NACRE_AGAIN) {
            size_t some = n + 1 - at < step ? n + 1 - at : step;
            rc = nc_x11_setup_add(&s, nc_span(in + at, some), &took);
            at += took;
        }
        assert_int_equal(rc, NACRE_OK);
        assert_int_equal(at, n);
        nacre_span name, data;
        nc_x11_setup_read(&s, &name, &data);
        assert_true(nc_span_is(name, magic));
        assert_int_equal(data.n, 16);
        assert_memory_equal(data.p, fake, 16);
        size_t got = nc_x11_setup_write(&s, name, nc_span(real, 21), out);
        assert_int_equal(got, make_setup(big, magic, real, 21, want));
        assert_memory_equal(out, want, got);
        got = nc_x11_setup_write(&s, nc_span(NULL, 0), nc_span(NULL, 0), out);
        assert_int_equal(got, 12);
    }
}

static void test_setup(void **state)
{
    (void)state;
    one_setup(true);
    one_setup(false);
}

static void test_setup_that_is_none(void **state)
{
    (void)state;
    uint8_t in[1024];
    size_t took;
    nc_x11_setup s;
    for (int c = 0; c < 256; c++) {
        uint8_t byte = (uint8_t)c;
        memset(&s, 0, sizeof(s));
        assert_int_equal(nc_x11_setup_add(&s, nc_span(&byte, 1), &took),
                         c == 'B' || c == 'l' ? NACRE_AGAIN : NACRE_MALFORMED);
    }
    for (int at = 6; at <= 8; at += 2) { /* a name or data that is longer than any */
        memset(in, 0xff, sizeof(in));
        in[0] = 'B';
        in[at == 6 ? 8 : 6] = in[at == 6 ? 9 : 7] = 0;
        memset(&s, 0, sizeof(s));
        assert_int_equal(nc_x11_setup_add(&s, nc_span(in, sizeof(in)), &took), NACRE_MALFORMED);
        assert_true(s.have <= sizeof(s.bytes));
    }
    memset(&s, 0, sizeof(s));
    assert_int_equal(nc_x11_setup_add(&s, nc_span(NULL, 0), &took), NACRE_AGAIN);
    memset(in, 'q', sizeof(in)); /* the largest that is taken */
    memset(in, 0, 12);
    in[0] = 'B';
    in[7] = NC_X11_NAME_MAX;
    in[9] = NC_X11_DATA_MAX;
    memset(&s, 0, sizeof(s));
    assert_int_equal(nc_x11_setup_add(&s, nc_span(in, sizeof(in)), &took), NACRE_OK);
    assert_int_equal(took, 12 + 64 + 128);
}

static void test_refusal(void **state)
{
    (void)state;
    uint8_t in[256], out[NC_X11_REFUSAL_MAX];
    char text[400];
    size_t took;
    nc_x11_setup s;
    memset(&s, 0, sizeof(s));
    size_t n = make_setup(true, magic, fake, 16, in);
    assert_int_equal(nc_x11_setup_add(&s, nc_span(in, n), &took), NACRE_OK);
    assert_int_equal(nc_x11_refusal(&s, "no way", out), 16);
    assert_memory_equal(out, "\0\6\0\13\0\0\0\2no way\0\0", 16);
    memset(&s, 0, sizeof(s));
    n = make_setup(false, magic, fake, 16, in);
    assert_int_equal(nc_x11_setup_add(&s, nc_span(in, n), &took), NACRE_OK);
    assert_int_equal(nc_x11_refusal(&s, "no way", out), 16);
    assert_memory_equal(out, "\0\6\13\0\0\0\2\0no way\0\0", 16);
    memset(text, 't', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_true(nc_x11_refusal(&s, text, out) <= sizeof(out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_displays),
        cmocka_unit_test(test_no_displays),
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_request_too_large),
        cmocka_unit_test(test_request_with_commands),
        cmocka_unit_test(test_hex),
        cmocka_unit_test(test_setup),
        cmocka_unit_test(test_setup_that_is_none),
        cmocka_unit_test(test_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
