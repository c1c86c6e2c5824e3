/*
 * gate.c - the table. One row per assigned message; everything else is settled by its range.
 */
#include "transport/gate.h"

#include "wire/ssh.h"

/*
 * For each message number: its name, and the phases in which each role may receive it. C is what a
 * client may receive, S what a server may. Phases are bits; the sets below give them words.
 */
enum {
    P_KEXINIT = 1 << NC_PHASE_FIRST_KEXINIT,
    P_KEX = 1 << NC_PHASE_FIRST_KEX,
    P_SERVICE = 1 << NC_PHASE_SERVICE,
    P_AUTH = 1 << NC_PHASE_AUTH,
    P_CONN = 1 << NC_PHASE_CONNECTION,
    P_REKEY_AUTH = 1 << NC_PHASE_REKEY_AUTH,
    P_REKEY = 1 << NC_PHASE_REKEY,
    P_PROXIED = 1 << NC_PHASE_PROXIED,

    NEVER = 0,
    ALWAYS = ((1 << NC_PHASE_COUNT) - 1) & ~P_PROXIED,
    P_OPEN = P_CONN | P_PROXIED, /* where channels are */
    ANY_REKEY = P_REKEY_AUTH | P_REKEY,
    ANY_KEX = P_KEX | ANY_REKEY,
    ANY_QUIET = P_SERVICE | P_AUTH | P_CONN, /* encrypted, no key exchange of the peer under way */
    /* Strict kex (PROTOCOL 1.10) takes these away from the first exchange; see nc_gate. */
    FIRST = P_KEXINIT | P_KEX
};

typedef struct gate_row {
    const char *name;
    uint16_t client; /* phases in which a client may receive it */
    uint16_t server;
} gate_row;

#define ROW(name, client, server) [SSH_MSG_##name] = {#name, client, server}

/* By number; what nobody assigned has no name. */
static const gate_row gate_rows[256] = {
    /* RFC 4253 11: at any time, but for strict kex */
    ROW(DISCONNECT, ALWAYS, ALWAYS),
    ROW(IGNORE, ALWAYS, ALWAYS),
    ROW(UNIMPLEMENTED, ALWAYS, ALWAYS),
    ROW(DEBUG, ALWAYS, ALWAYS),
    /* Some clients ask again before each attempt to log in (paramiko before 3.2), as OpenSSH lets them. */
    ROW(SERVICE_REQUEST, NEVER, P_SERVICE | P_AUTH),
    ROW(SERVICE_ACCEPT, P_SERVICE, NEVER),
    /* RFC 8308 2.4: after NEWKEYS, and from a server once more before SUCCESS; core checks which. */
    ROW(EXT_INFO, P_SERVICE | P_AUTH, P_SERVICE),
    ROW(KEXINIT, P_KEXINIT | ANY_QUIET, P_KEXINIT | ANY_QUIET),
    ROW(NEWKEYS, ANY_KEX, ANY_KEX),
    /* 30..34: the kex method knows which of them it expects now */
    [30] = {"KEX_30", NEVER, ANY_KEX},
    [31] = {"KEX_31", ANY_KEX, NEVER},
    [32] = {"KEX_32", NEVER, ANY_KEX},
    [33] = {"KEX_33", ANY_KEX, NEVER},
    [34] = {"KEX_34", NEVER, ANY_KEX},
    ROW(USERAUTH_REQUEST, NEVER, P_AUTH | P_CONN), /* after success: ignored (RFC 4252 5.1) */
    ROW(USERAUTH_FAILURE, P_AUTH, NEVER),
    ROW(USERAUTH_SUCCESS, P_AUTH, NEVER),
    ROW(USERAUTH_BANNER, P_AUTH, NEVER),
    [60] = {"USERAUTH_60", P_AUTH, NEVER},
    [61] = {"USERAUTH_61", NEVER, P_AUTH},
    ROW(GLOBAL_REQUEST, P_OPEN, P_OPEN),
    ROW(REQUEST_SUCCESS, P_OPEN, P_OPEN),
    ROW(REQUEST_FAILURE, P_OPEN, P_OPEN),
    ROW(CHANNEL_OPEN, P_OPEN, P_OPEN),
    ROW(CHANNEL_OPEN_CONFIRMATION, P_OPEN, P_OPEN),
    ROW(CHANNEL_OPEN_FAILURE, P_OPEN, P_OPEN),
    ROW(CHANNEL_WINDOW_ADJUST, P_OPEN, P_OPEN),
    ROW(CHANNEL_DATA, P_OPEN, P_OPEN),
    ROW(CHANNEL_EXTENDED_DATA, P_OPEN, P_OPEN),
    ROW(CHANNEL_EOF, P_OPEN, P_OPEN),
    ROW(CHANNEL_CLOSE, P_OPEN, P_OPEN),
    ROW(CHANNEL_REQUEST, P_OPEN, P_OPEN),
    ROW(CHANNEL_SUCCESS, P_OPEN, P_OPEN),
    ROW(CHANNEL_FAILURE, P_OPEN, P_OPEN),
    ROW(PING, ANY_QUIET | ANY_REKEY, ANY_QUIET | ANY_REKEY),
    ROW(PONG, ANY_QUIET | ANY_REKEY, ANY_QUIET | ANY_REKEY),
};

static const gate_row *find_row(uint8_t number)
{
    const gate_row *row = &gate_rows[number];
    return row->name ? row : NULL;
}

/* Numbers whose range belongs to a protocol step that is strict about strangers. */
static bool in_owned_range(uint8_t number)
{
    bool kex = number >= 20 && number <= 49;
    bool auth = number >= 50 && number <= 79;
    return kex || auth;
}

nc_verdict nc_gate(nacre_role our_role, nc_phase phase, bool strict, uint8_t number)
{
    const gate_row *row = find_row(number);
    unsigned now = 1u << phase;
    if (!row) {
        bool quiet = (now & ANY_QUIET) != 0;
        /* 0 is reserved; 80..127 before login are attacks, not extensions. */
        bool early = number == 0 || (number >= 80 && number < 128 && phase != NC_PHASE_CONNECTION);
        return quiet && !early && !in_owned_range(number) ? NC_GATE_UNIMPLEMENTED
                                                          : NC_GATE_DISCONNECT;
    }
    unsigned allowed = our_role == NACRE_CLIENT ? row->client : row->server;
    bool chatter =
        number == SSH_MSG_IGNORE || number == SSH_MSG_UNIMPLEMENTED || number == SSH_MSG_DEBUG;
    if (strict && chatter) {
        allowed &= ~(unsigned)FIRST;
    }
    return (allowed & now) ? NC_GATE_ALLOW : NC_GATE_DISCONNECT;
}

const char *nc_phase_name(nc_phase phase)
{
    static const char *const names[NC_PHASE_COUNT] = {
        "before key exchange",
        "during the first key exchange",
        "before a service was requested",
        "during authentication",
        "during the connection",
        "during key re-exchange before login",
        "during key re-exchange",
        "on a shared connection",
    };
    return phase < NC_PHASE_COUNT ? names[phase] : "?";
}

const char *nc_message_name(uint8_t number)
{
    const gate_row *row = find_row(number);
    return row ? row->name : "unassigned";
}
