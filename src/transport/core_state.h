/*
 * core_state.h - the state of a transport, and what its files call in each other. Private to
 * src/transport.
 */
#ifndef NC_TRANSPORT_CORE_STATE_H
#define NC_TRANSPORT_CORE_STATE_H

#include "transport/core.h"
#include "transport/gate.h"
#include "transport/kex.h"
#include "transport/packetizer.h"
#include "transport/version.h"

enum {
    /* One per algorithm and a few to spare. */
    NC_MAX_HOST_KEYS = 32,
    /*
     * Control messages held while a key exchange runs. Bulk data is never held (room is 0), so this
     * is requests, opens, window adjusts: a thousand channels with a command each fit.
     */
    NC_MAX_HELD = 2 * 1024 * 1024,
    /* Of these, answers to pings: a peer that floods while it delays its KEXINIT (CVE-2025-26466). */
    NC_MAX_HELD_PONGS = 64 * 1024,
    /* One EXT_INFO's bytes; OpenSSH's is below 1 KiB. */
    NC_MAX_EXTENSIONS = 32 * 1024,
    /* Pairs that we look at in it. */
    NC_MAX_EXTENSION_COUNT = 128,
    /* EXT_INFO during authentication: OpenSSH's after the first request, RFC 8308's before SUCCESS. */
    NC_MAX_AUTH_EXT_INFO = 2,
    /* Answers that a stranger provokes and does not read: a login has no use for more. */
    NC_MAX_OUTPUT_BEFORE_LOGIN = 256 * 1024,
    /*
     * Key exchanges that the peer begins before login: each costs us a signature and an agreement, and nobody's login
     * lasts for a gigabyte. Peers that count packets or time begin one or two.
     */
    NC_MAX_EARLY_REKEYS = 16,
    /* Held memory kept after a key exchange. */
    NC_HELD_KEEP = 4096,
    /* Of the first line that came instead of a version line: enough to tell what speaks there. */
    NC_MAX_FIRST_LINE = 64,
    /* What reserve lends at once while compression forbids writing in place. */
    NC_MAX_SCRATCH = 256 * 1024
};

/* RFC 4344 3.1: new keys after so many packets at the latest. */
#define NC_MOST_KEY_PACKETS ((uint64_t)1 << 31)

struct nc_core {
    nc_link link; /* first: nc_link_ops get the core back from it */
    nc_random random;
    nacre_config config; /* strings below own what it points to */
    char *software, *comments, *banner, *auth_methods, *signature, *hostbased;
    uint8_t *moduli;
    nc_proposal proposal;
    nc_packetizer *packetizer;
    nc_service userauth, connection;
    nacre_key *host_keys[NC_MAX_HOST_KEYS];
    size_t host_key_count;

    /* the end */
    nacre_error error; /* sticky */
    bool over;
    bool end_told; /* services know, and the last event was given */
    bool input_ended;

    /* there is no transport: bare packets of ssh-connection, with nobody to prove anything to */
    bool proxied;

    /* version exchange */
    bool started; /* our line and KEXINIT are out */
    bool peer_version_known;
    char our_version[NC_MAX_VERSION_LINE + 1];
    char peer_version[NC_MAX_VERSION_LINE + 1];
    char peer_software[NC_MAX_VERSION_LINE + 1];
    uint32_t banner_lines;
    uint8_t first_line[NC_MAX_FIRST_LINE]; /* that was not empty */
    size_t first_line_len;

    /* key exchange */
    nc_kex kex;
    bool strict; /* both offered strict kex in their first KEXINIT */
    bool strict_known;
    bool input_keyed, output_keyed; /* the first NEWKEYS has passed */
    bool peer_ext_info;
    bool rekey_wanted;
    uint8_t session_id[NC_MAX_HASH];
    nacre_key *host_key;   /* in use, pinned */
    nc_buf host_signature; /* client: over the first exchange */
    nacre_negotiated negotiated;
    nc_choice choice[2]; /* in use: for input, for output */
    uint32_t key_exchanges;
    uint32_t early_rekeys; /* begun by the peer before login */
    uint64_t keyed_at;     /* when the last exchange ended */
    uint64_t created_at;

    /* services */
    bool service_accepted;
    bool userauth_due; /* client: requested; starts once the input at hand is read */
    bool authenticated;
    bool success_queued; /* server: USERAUTH_SUCCESS has been given to us */
    bool connection_started;
    bool delayed_compression; /* zlib@openssh.com may be on */
    char *user;

    /* EXT_INFO */
    nc_buf extensions;  /* pairs of strings of the peer's last one */
    bool ext_info_slot; /* the very next packet may be EXT_INFO */
    uint32_t auth_ext_infos;
    uint32_t pings_open;
    uint32_t probe_place; /* of our own among them, counted from the oldest, 1; 0: none */
    uint64_t probe_ms;    /* when it left */

    /* sending */
    bool packet_open;
    bool packet_held;     /* ... and it goes to held */
    size_t packet_start;  /* where its payload begins in its writer's buffer */
    nc_wr *packet_writer; /* the packetizer's, or held_writer */
    nc_buf held;          /* uint32 length, payload; in order */
    nc_wr held_writer;
    size_t held_pongs; /* bytes */
    nc_buf nowhere;    /* of the writer that goes nowhere, once the connection is over */
    nc_wr dead_writer;
    nc_buf scratch; /* reserve under compression: head, data */
    size_t scratch_head, scratch_max;
    bool scratch_open;
};

static inline nc_core *nc_core_of(const nc_link *l)
{
    return (nc_core *)(uintptr_t)l;
}

/* core_config.c */
int nc_core_config(nc_core *c, const nacre_config *cfg, nacre_error *err) NACRE_MUST_CHECK;
void nc_core_config_clear(nc_core *c);

/* core.c */
nc_phase nc_core_phase(const nc_core *c);
bool nc_core_may_parse(const nc_core *c);

/* core_link.c */
extern const nc_link_ops nc_core_link_ops;
/* Around the held queue: for the transport's own messages, which go during key exchange. */
nc_wr *nc_core_begin_now(nc_core *c);
int nc_core_end_now(nc_core *c);
int nc_core_send_now(nc_core *c, const nc_msg_desc *d, const void *msg);
int nc_core_flush_held(nc_core *c);
/* Ends the connection without an error of ours: NACRE_CLOSED, or what the peer said. */
int nc_core_finish(nc_core *c, int status, nacre_blame by, uint32_t reason, const char *fmt, ...)
    NACRE_PRINTF(5, 6);
/* Makes a failing status that nobody reported a failure of the connection. */
int nc_core_checked(nc_core *c, int rc, const char *doing);

/* core_msg.c: messages of RFC 4253 11 and 10, pings */
int nc_core_probe(nc_core *c) NACRE_MUST_CHECK; /* the ping of nc_link_ops */
int nc_core_own_packet(nc_core *c, const nc_packet *pkt, nacre_event *ev);
int nc_core_send_unimplemented(nc_core *c, uint32_t seq);
void nc_core_send_disconnect(nc_core *c, uint32_t reason, const char *text);
int nc_core_request_userauth(nc_core *c);
int nc_core_start_connection(nc_core *c);

/* ext_info.c (RFC 8308) */
int nc_core_send_ext_info(nc_core *c, bool first);
int nc_core_on_ext_info(nc_core *c, nc_rd *r);

/* timers.c */
uint64_t nc_core_timer(const nc_core *c);
int nc_core_run_timers(nc_core *c);
bool nc_core_rekey_due(const nc_core *c);
/* Fails when a sequence number came round under the same keys. */
int nc_core_check_sequence(nc_core *c);

#endif
