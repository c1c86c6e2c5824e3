/*
 * client.h - the client of the public key subsystem (RFC 4819) as a machine: requests and bytes in,
 * bytes and news out. One request at a time.
 */
#ifndef NC_PUBLICKEY_CLIENT_H
#define NC_PUBLICKEY_CLIENT_H

#include "publickey/frame.h"

enum {
    /* Keys of one user: a list without end is a server's way to hold us. */
    NC_PKS_MAX_KEYS = 65536,
    NC_PKS_MAX_KNOWN = 1024 /* attributes that a server says it knows */
};

typedef enum nc_pks_state {
    NC_PKS_GREETING, /* the server's version is awaited */
    NC_PKS_IDLE,
    NC_PKS_CHANGING, /* add or remove: its status is awaited */
    NC_PKS_LISTING,
    NC_PKS_ASKING, /* listattributes */
    NC_PKS_BROKEN
} nc_pks_state;

typedef struct nc_pks_client {
    nc_pks_pipe pipe;
    nc_pks_state state;
    uint32_t seen;     /* answers to the present request */
    nacre_error error; /* what broke it, or what the server refused last */
    nacre_publickey_attribute attributes[NC_PKS_MAX_ATTRIBUTES];
} nc_pks_client;

typedef enum nc_pks_news {
    NC_PKS_READY, /* the version is agreed on */
    NC_PKS_ENTRY, /* entry */
    NC_PKS_KNOWN, /* known, compulsory */
    NC_PKS_OVER   /* the request is over: status NACRE_OK, or what client->error says */
} nc_pks_news;

typedef struct nc_pks_event {
    nc_pks_news news;
    nacre_publickey_entry entry;
    nacre_span known;
    bool compulsory;
    int status;
} nc_pks_event;

/* Its version packet is output. */
int nc_pks_client_init(nc_pks_client *c, const nacre_allocator *alloc) NACRE_MUST_CHECK;
void nc_pks_client_clear(nc_pks_client *c);
/* NACRE_WRONG_STATE while another one runs; NACRE_TOO_LARGE. */
int nc_pks_client_add(nc_pks_client *c, const nacre_publickey_entry *e,
                      bool overwrite) NACRE_MUST_CHECK;
int nc_pks_client_remove(nc_pks_client *c, nacre_span algorithm, nacre_span blob) NACRE_MUST_CHECK;
int nc_pks_client_list(nc_pks_client *c) NACRE_MUST_CHECK;
int nc_pks_client_known(nc_pks_client *c) NACRE_MUST_CHECK;
/* Bytes of the server. Errors here and below are sticky. */
int nc_pks_client_input(nc_pks_client *c, nacre_span in) NACRE_MUST_CHECK;
/* NACRE_AGAIN: more bytes are wanted. What the event points to lives until the next call. */
int nc_pks_client_next(nc_pks_client *c, nc_pks_event *ev) NACRE_MUST_CHECK;

#endif
