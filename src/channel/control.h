/*
 * control.h - the messages of OpenSSH's connection sharing (PROTOCOL.mux): between programs of one user
 * that use one connection, over a unix socket. Bytes only; who reads and writes them is in src/client.
 *
 * A packet is uint32 length, uint32 type, body. File descriptors travel beside the bytes, one by one,
 * each with a byte of its own that belongs to no packet.
 */
#ifndef NC_CHANNEL_CONTROL_H
#define NC_CHANNEL_CONTROL_H

#include "base/error.h"
#include "wire/rd.h"
#include "wire/wr.h"

enum {
    NC_CTL_VERSION = 4,
    /* OpenSSH's own bound for what a client may send; a command with its environment fits. */
    NC_CTL_MAX_PACKET = 256 * 1024,
    /* Variables of one session; OpenSSH takes as many and drops the rest. */
    NC_CTL_MAX_ENV = 4096,
    NC_CTL_MAX_EXTENSIONS = 64 /* of a HELLO: one is known */
};
/* In place of a port: what stands in place of the host is the path of a unix socket. */
#define NC_CTL_PORT_PATH UINT32_C(0xfffffffe)
/* In place of an escape character: there is none. */
#define NC_CTL_NO_ESCAPE UINT32_C(0xffffffff)

typedef enum nc_ctl_type {
    NC_CTL_HELLO = 0x00000001,
    NC_CTL_C_NEW_SESSION = 0x10000002,
    NC_CTL_C_ALIVE = 0x10000004,
    NC_CTL_C_TERMINATE = 0x10000005,
    NC_CTL_C_OPEN_FORWARD = 0x10000006,
    NC_CTL_C_CLOSE_FORWARD = 0x10000007,
    NC_CTL_C_NEW_STDIO = 0x10000008,
    NC_CTL_C_STOP = 0x10000009,
    NC_CTL_C_PROXY = 0x1000000f,
    NC_CTL_C_INFO = 0x20000001 /* of masters that announce the extension "info" (OpenSSH 10.1) */
} nc_ctl_type;
/* Those of a master have the highest bit set, which no constant of an enum can have. */
#define NC_CTL_S_OK         UINT32_C(0x80000001)
#define NC_CTL_S_DENIED     UINT32_C(0x80000002)
#define NC_CTL_S_FAILURE    UINT32_C(0x80000003)
#define NC_CTL_S_EXIT       UINT32_C(0x80000004)
#define NC_CTL_S_ALIVE      UINT32_C(0x80000005)
#define NC_CTL_S_SESSION    UINT32_C(0x80000006)
#define NC_CTL_S_PORT       UINT32_C(0x80000007)
#define NC_CTL_S_TTY_FAILED UINT32_C(0x80000008)
#define NC_CTL_S_PROXY      UINT32_C(0x8000000f)
#define NC_CTL_S_INFO       UINT32_C(0x90000001)

enum { NC_CTL_LOCAL = 1, NC_CTL_REMOTE = 2, NC_CTL_DYNAMIC = 3 }; /* forwardings */

/* One message, read. Spans are borrowed from its bytes; none has a NUL inside. */
typedef struct nc_ctl_msg {
    uint32_t type;
    uint32_t id; /* of the request; 0 in HELLO, EXIT and TTY_FAILED */
    union {
        struct {
            uint32_t version;
            bool info; /* the extension */
        } hello;
        struct {
            bool tty, x11, agent, subsystem;
            uint32_t escape;
            nacre_span term, command;
            nacre_span env; /* strings NAME=value, see nc_ctl_next_env */
        } session;
        struct {
            nacre_span host;
            uint32_t port;
        } stdio;
        struct {
            uint32_t kind;
            nacre_span listen_host, connect_host;
            uint32_t listen_port, connect_port;
        } forward;
        struct {
            nacre_span text; /* DENIED and FAILURE: why; C_INFO: of what; S_INFO: it */
            bool good;       /* S_INFO */
        } text;
        uint32_t number; /* S_ALIVE: process; S_PORT: port; S_SESSION: session */
        struct {
            uint32_t session, status;
        } exit; /* EXIT; TTY_FAILED has no status */
    } u;
} nc_ctl_msg;

/*
 * Reads the body (type included) of a packet that a client, or a master, sent. NACRE_MALFORMED: a field
 * is missing or too much; NACRE_UNSUPPORTED: a type that is not of these, with type and id filled in as
 * far as there are any.
 */
int nc_ctl_read(nacre_span body, bool from_master, nc_ctl_msg *m,
                nacre_error *err) NACRE_MUST_CHECK;
/* Steps through session.env: true and the next one. */
bool nc_ctl_next_env(nacre_span *env, nacre_span *one);
/* How many descriptors follow a request. */
unsigned nc_ctl_descriptors(uint32_t type);
/* The other way: appends the whole packet, length in front. NACRE_NO_MEMORY, NACRE_LIMIT. */
int nc_ctl_write(nc_buf *out, const nc_ctl_msg *m) NACRE_MUST_CHECK;

#endif
