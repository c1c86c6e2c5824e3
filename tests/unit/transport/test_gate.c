/*
 * The message gate in every cell: role x phase x strict x 256 numbers, against rules written down here
 * in another form than the table's: as the RFCs state them, message by message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "transport/gate.h"
#include "wire/ssh.h"

static bool in(nc_phase p, const nc_phase *set, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (set[i] == p) {
            return true;
        }
    }
    return false;
}
#define IN(p, ...)                                                                                 \
    in(p, (const nc_phase[]){__VA_ARGS__},                                                         \
       sizeof((const nc_phase[]){__VA_ARGS__}) / sizeof(nc_phase))

static nc_verdict verdict_if(bool allowed)
{
    return allowed ? NC_GATE_ALLOW : NC_GATE_DISCONNECT;
}

static nc_verdict expected(nacre_role role, nc_phase p, bool strict, int n)
{
    bool client = role == NACRE_CLIENT;
    bool first = IN(p, NC_PHASE_FIRST_KEXINIT, NC_PHASE_FIRST_KEX);
    bool kexing = IN(p, NC_PHASE_FIRST_KEX, NC_PHASE_REKEY_AUTH, NC_PHASE_REKEY);
    bool quiet = IN(p, NC_PHASE_SERVICE, NC_PHASE_AUTH, NC_PHASE_CONNECTION);

    if (n == 0) {
        return NC_GATE_DISCONNECT;
    }
    if (p == NC_PHASE_PROXIED) { /* channels and global requests; no transport, no login */
        return verdict_if((n >= 80 && n <= 82) || (n >= 90 && n <= 100));
    }
    if (n == SSH_MSG_DISCONNECT) {
        return NC_GATE_ALLOW;
    }
    if (n >= SSH_MSG_IGNORE && n <= SSH_MSG_DEBUG) {
        return verdict_if(!(strict && first));
    }
    if (n == SSH_MSG_SERVICE_REQUEST) {
        return verdict_if(!client && IN(p, NC_PHASE_SERVICE, NC_PHASE_AUTH));
    }
    if (n == SSH_MSG_SERVICE_ACCEPT) {
        return verdict_if(client && p == NC_PHASE_SERVICE);
    }
    if (n == SSH_MSG_EXT_INFO) {
        return verdict_if(p == NC_PHASE_SERVICE || (client && p == NC_PHASE_AUTH));
    }
    if (n >= 8 && n <= 19) {
        return quiet ? NC_GATE_UNIMPLEMENTED : NC_GATE_DISCONNECT;
    }
    if (n == SSH_MSG_KEXINIT) {
        return verdict_if(p == NC_PHASE_FIRST_KEXINIT || quiet);
    }
    if (n == SSH_MSG_NEWKEYS) {
        return verdict_if(kexing);
    }
    if (n < 50) {
        bool to_server = n == 30 || n == 32 || n == 34;
        bool to_client = n == 31 || n == 33;
        return verdict_if(kexing && (client ? to_client : to_server));
    }
    if (n < 80) {
        if (n == SSH_MSG_USERAUTH_REQUEST) {
            return verdict_if(!client && IN(p, NC_PHASE_AUTH, NC_PHASE_CONNECTION));
        }
        if (n == 61) {
            return verdict_if(!client && p == NC_PHASE_AUTH);
        }
        return verdict_if(client && p == NC_PHASE_AUTH && ((n >= 51 && n <= 53) || n == 60));
    }
    if (n < 128) {
        bool assigned = (n >= 80 && n <= 82) || (n >= 90 && n <= 100);
        if (p != NC_PHASE_CONNECTION) {
            return NC_GATE_DISCONNECT;
        }
        return assigned ? NC_GATE_ALLOW : NC_GATE_UNIMPLEMENTED;
    }
    if (n == SSH_MSG_PING || n == SSH_MSG_PONG) {
        return verdict_if(!first);
    }
    return quiet ? NC_GATE_UNIMPLEMENTED : NC_GATE_DISCONNECT;
}

static void every_cell(void **state)
{
    (void)state;
    size_t cells = 0;
    for (int role = 0; role < 2; role++) {
        for (int p = 0; p < NC_PHASE_COUNT; p++) {
            for (int strict = 0; strict < 2; strict++) {
                for (int n = 0; n < 256; n++, cells++) {
                    nc_verdict got =
                        nc_gate((nacre_role)role, (nc_phase)p, strict != 0, (uint8_t)n);
                    nc_verdict want = expected((nacre_role)role, (nc_phase)p, strict != 0, n);
                    if (got != want) {
                        fail_msg("role %d, %s, strict %d, message %d (%s): %d instead of %d", role,
                                 nc_phase_name((nc_phase)p), strict, n, nc_message_name((uint8_t)n),
                                 (int)got, (int)want);
                    }
                }
            }
        }
    }
    assert_int_equal(cells, 2 * NC_PHASE_COUNT * 2 * 256);
}

/* The cells that broke others, by name. */
static void historic_holes_are_closed(void **state)
{
    (void)state;
    for (int p = 0; p < NC_PHASE_COUNT; p++) {
        /* CVE-2018-10933: a server that takes USERAUTH_SUCCESS */
        assert_int_equal(nc_gate(NACRE_SERVER, (nc_phase)p, true, SSH_MSG_USERAUTH_SUCCESS),
                         NC_GATE_DISCONNECT);
        /* a server that takes the client's half of group exchange */
        assert_int_equal(nc_gate(NACRE_SERVER, (nc_phase)p, true, 31), NC_GATE_DISCONNECT);
        assert_int_equal(nc_gate(NACRE_SERVER, (nc_phase)p, true, 33), NC_GATE_DISCONNECT);
        /* CVE-2025-32433, CVE-2018-7750: channels before login */
        if (p != NC_PHASE_CONNECTION && p != NC_PHASE_PROXIED) {
            for (int n = 80; n < 128; n++) {
                assert_int_equal(nc_gate(NACRE_SERVER, (nc_phase)p, true, (uint8_t)n),
                                 NC_GATE_DISCONNECT);
                assert_int_equal(nc_gate(NACRE_CLIENT, (nc_phase)p, true, (uint8_t)n),
                                 NC_GATE_DISCONNECT);
            }
        }
    }
    /* CVE-2023-48795: anything but key exchange before the first NEWKEYS */
    assert_int_equal(nc_gate(NACRE_CLIENT, NC_PHASE_FIRST_KEX, true, SSH_MSG_IGNORE),
                     NC_GATE_DISCONNECT);
    assert_int_equal(nc_gate(NACRE_CLIENT, NC_PHASE_FIRST_KEX, true, SSH_MSG_EXT_INFO),
                     NC_GATE_DISCONNECT);
    assert_int_equal(nc_gate(NACRE_SERVER, NC_PHASE_FIRST_KEX, false, SSH_MSG_EXT_INFO),
                     NC_GATE_DISCONNECT);
}

static void names_are_there(void **state)
{
    (void)state;
    assert_string_equal(nc_message_name(SSH_MSG_CHANNEL_DATA), "CHANNEL_DATA");
    assert_string_equal(nc_message_name(255), "unassigned");
    for (int p = 0; p < NC_PHASE_COUNT; p++) {
        assert_true(strlen(nc_phase_name((nc_phase)p)) > 1);
    }
    assert_string_equal(nc_phase_name(NC_PHASE_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell),
        cmocka_unit_test(historic_holes_are_closed),
        cmocka_unit_test(names_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
