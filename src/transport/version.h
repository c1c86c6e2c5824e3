/*
 * version.h - the version exchange (RFC 4253 4.2) and what is known of peers by their software
 * version. Pure: lines in, verdict out.
 */
#ifndef NC_TRANSPORT_VERSION_H
#define NC_TRANSPORT_VERSION_H

#include "base/error.h"
#include "nacre/transport.h"

enum {
    NC_MAX_VERSION_LINE = 255, /* RFC 4253 4.2, CR LF included */
    NC_MAX_BANNER_LINE = 8192, /* of a line before it: OpenSSH's cap */
    NC_MAX_BANNER_LINES = 1024 /* and how many of them */
};

typedef enum nc_line_kind { NC_LINE_BANNER, NC_LINE_VERSION } nc_line_kind;

/*
 * Judges one line without its CR LF. A server gets no banner lines: what does not begin with "SSH-" is
 * an error there. NACRE_VERSION with a sentence for SSH-1 peers, overlong or garbled lines.
 */
int nc_version_judge(nacre_role our_role, nacre_span line, nc_line_kind *kind,
                     nacre_error *err) NACRE_MUST_CHECK;
/* The softwareversion part of a version line ("SSH-2.0-" and comments taken off). */
nacre_span nc_version_software(nacre_span line);
/* Checks our own software string: printable US-ASCII without space and minus (RFC 4253 4.2). */
bool nc_version_software_valid(const char *software);
/* What may stand behind it. */
bool nc_version_comments_valid(const char *comments);

/* What a peer needs to be treated differently for; bits of a table in version.c. */
enum {
    NC_QUIRK_NO_REKEY = 1 << 0,       /* hangs or drops when we start a key exchange */
    NC_QUIRK_GEX_OLD_LIMITS = 1 << 1, /* fails on group exchange above 4096 bits */
    NC_QUIRK_HIDES_RSA_SHA2 = 1 << 2, /* takes rsa-sha2-*, but server-sig-algs lacks them */
    NC_QUIRK_SMALL_PACKETS = 1 << 3,  /* chokes on packets above 32 KiB */
    NC_QUIRK_NO_EXT_INFO = 1 << 4,    /* drops the connection on EXT_INFO */
    NC_QUIRK_LATE_REPLIES = 1 << 5,   /* answers channel requests after its CLOSE */
    NC_QUIRK_ANY_PACKET = 1 << 6,     /* sends more data in a packet than we allowed */
    NC_QUIRK_NO_UTF8_MODE = 1 << 7,   /* refuses pty-req with the mode IUTF8 in it (RFC 8160) */
    NC_QUIRK_NO_HOST_KEYS = 1 << 8,   /* ends the connection on hostkeys-00@openssh.com */
    NC_QUIRKS = 9                     /* how many */
};
/* All rows that fit, together. */
uint32_t nc_version_quirks(nacre_span software);
/* What the log calls the n-th bit, 0 to NC_QUIRKS - 1. */
const char *nc_version_quirk_name(unsigned n);

#endif
