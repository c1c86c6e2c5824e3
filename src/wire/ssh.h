/*
 * ssh.h - the numbers of the protocol (RFC 4250, RFC 4256, RFC 4419, RFC 8308, OpenSSH PROTOCOL) and
 * the caps that hold for everything read from a peer, each with its reason.
 */
#ifndef NC_WIRE_SSH_H
#define NC_WIRE_SSH_H

enum {
    SSH_MSG_DISCONNECT = 1,
    SSH_MSG_IGNORE = 2,
    SSH_MSG_UNIMPLEMENTED = 3,
    SSH_MSG_DEBUG = 4,
    SSH_MSG_SERVICE_REQUEST = 5,
    SSH_MSG_SERVICE_ACCEPT = 6,
    SSH_MSG_EXT_INFO = 7,
    SSH_MSG_KEXINIT = 20,
    SSH_MSG_NEWKEYS = 21,
    /* 30..49 mean what the kex method says */
    SSH_MSG_KEXDH_INIT = 30, /* also KEX_ECDH_INIT (RFC 5656 4) and the hybrids' C_INIT */
    SSH_MSG_KEXDH_REPLY = 31,
    SSH_MSG_KEX_DH_GEX_REQUEST_OLD = 30,
    SSH_MSG_KEX_DH_GEX_GROUP = 31,
    SSH_MSG_KEX_DH_GEX_INIT = 32,
    SSH_MSG_KEX_DH_GEX_REPLY = 33,
    SSH_MSG_KEX_DH_GEX_REQUEST = 34,
    SSH_MSG_USERAUTH_REQUEST = 50,
    SSH_MSG_USERAUTH_FAILURE = 51,
    SSH_MSG_USERAUTH_SUCCESS = 52,
    SSH_MSG_USERAUTH_BANNER = 53,
    /* 60..79 mean what the userauth method says */
    SSH_MSG_USERAUTH_PK_OK = 60,
    SSH_MSG_USERAUTH_PASSWD_CHANGEREQ = 60,
    SSH_MSG_USERAUTH_INFO_REQUEST = 60,
    SSH_MSG_USERAUTH_INFO_RESPONSE = 61,
    SSH_MSG_GLOBAL_REQUEST = 80,
    SSH_MSG_REQUEST_SUCCESS = 81,
    SSH_MSG_REQUEST_FAILURE = 82,
    SSH_MSG_CHANNEL_OPEN = 90,
    SSH_MSG_CHANNEL_OPEN_CONFIRMATION = 91,
    SSH_MSG_CHANNEL_OPEN_FAILURE = 92,
    SSH_MSG_CHANNEL_WINDOW_ADJUST = 93,
    SSH_MSG_CHANNEL_DATA = 94,
    SSH_MSG_CHANNEL_EXTENDED_DATA = 95,
    SSH_MSG_CHANNEL_EOF = 96,
    SSH_MSG_CHANNEL_CLOSE = 97,
    SSH_MSG_CHANNEL_REQUEST = 98,
    SSH_MSG_CHANNEL_SUCCESS = 99,
    SSH_MSG_CHANNEL_FAILURE = 100,
    SSH_MSG_PING = 192, /* ping@openssh.com, PROTOCOL 1.9 */
    SSH_MSG_PONG = 193
};

enum { SSH_EXTENDED_DATA_STDERR = 1 };

enum {
    /* packet_length above it is refused before anything is allocated: OpenSSH's own cap. */
    NC_MAX_PACKET = 256 * 1024,
    /* One name-list; OpenSSH's KEXINIT lists are below 1 KiB. */
    NC_MAX_NAMELIST = 16 * 1024,
    /* An encoded public key: RSA 16384 bits with a certificate around it fits. */
    NC_MAX_KEY_BLOB = 64 * 1024,
    /* Magnitude of an RSA modulus or DH value: 16384 bits. */
    NC_MAX_MPINT = 2048,
    NC_MAX_USER = 1024,
    /* OpenSSH refuses longer passwords too: crypt(3) of megabytes is an attack. */
    NC_MAX_PASSWORD = 1024
};

#endif
