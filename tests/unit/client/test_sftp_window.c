/*
 * test_sftp_window.c - the receive window of an SFTP session: as asked for, or by who the server is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/sftp_session.h"
#include "client_server.h"

enum { MIB = 1024 * 1024, OURS = 8 * MIB, OTHERS = 2 * MIB };

static void by_server(void **state)
{
    (void)state;
    static const struct {
        const char *version;
        uint32_t window;
    } rows[] = {
        {"SSH-2.0-nacre_0.1.0", OURS},
        {"SSH-2.0-nacre_9", OURS},
        {"SSH-2.0-OpenSSH_9.2p1 Debian-2", OTHERS},
        {"SSH-2.0-nacre", OTHERS},
        {"SSH-2.0-nacreous_1.0", OTHERS},
        {"SSH-2.0-x nacre_0.1.0", OTHERS},
        {"SSH-2.0-", OTHERS},
        {"", OTHERS},
    };
    nacre_sftp_options o;
    nacre_sftp_options_init(&o);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        o.window = 0;
        assert_int_equal(nc_sftp_window(&o, rows[i].version), rows[i].window);
        o.window = 1;
        assert_int_equal(nc_sftp_window(&o, rows[i].version), 1);
        o.window = UINT32_MAX;
        assert_int_equal(nc_sftp_window(&o, rows[i].version), UINT32_MAX);
    }
}

/* What the server is told in CHANNEL_OPEN; it gives no answer, so the session cannot begin. */
static uint32_t announced(uint32_t window, uint32_t config_window)
{
    stage s;
    nacre_sftp *sftp = NULL;
    nacre_sftp_options o;
    nacre_channel_info info;
    stage_init(&s);
    s.open_unanswered = true;
    s.cfg.transport.window = config_window;
    stage_login(&s);
    nacre_sftp_options_init(&o);
    o.timeout_ms = 50;
    o.window = window;
    assert_int_equal(nacre_sftp_open(&sftp, s.c, &o, NULL), NACRE_TIMEOUT);
    assert_null(sftp);
    assert_int_equal(s.opens, 1);
    nacre_channel_get_info(s.last, &info);
    stage_close(&s);
    stage_clear(&s);
    return info.window_out;
}

static void on_the_wire(void **state)
{
    (void)state;
    assert_int_equal(announced(0, 0), OURS);
    assert_int_equal(announced(300000, 0), 300000);
    assert_int_equal(announced(1, 0), 1);
    /* Of the connection's other channels, not of this one. */
    assert_int_equal(announced(0, 64 * 1024), OURS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_server),
        cmocka_unit_test(on_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
