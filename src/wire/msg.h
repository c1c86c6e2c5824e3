/*
 * msg.h - every SSH message with a fixed layout, as data.
 *
 * One table row per message (messages.def) gives its fields in wire order. From it come a struct
 * (nc_msg_<name>), a descriptor, and so one decoder and one encoder for all of them, and one test
 * that sends every message truncated, oversized and absurd. Fields are borrowed spans; "rest" takes
 * whatever is left (type-specific data that another decoder reads).
 */
#ifndef NC_WIRE_MSG_H
#define NC_WIRE_MSG_H

#include "wire/rd.h"
#include "wire/ssh.h"
#include "wire/wr.h"

/* C types of the field kinds. */
typedef bool nc_field_bool;
typedef uint32_t nc_field_u32;
typedef nacre_span nc_field_str;      /* string */
typedef nacre_span nc_field_namelist; /* name-list, at most NC_MAX_NAMELIST */
typedef nacre_span nc_field_mpint;    /* magnitude, at most NC_MAX_MPINT */
typedef nacre_span nc_field_rest;
typedef nacre_span nc_field_cookie; /* 16 raw bytes */

typedef enum nc_field_kind {
    NC_KIND_none,
    NC_KIND_bool,
    NC_KIND_u32,
    NC_KIND_str,
    NC_KIND_namelist,
    NC_KIND_mpint,
    NC_KIND_rest,
    NC_KIND_cookie
} nc_field_kind;

#define NC_MSG_BEGIN(name, number)    typedef struct nc_msg_##name {
#define NC_MSG_FIELD(msg, kind, name) nc_field_##kind name;
#define NC_MSG_EMPTY(msg)             uint8_t nothing;
#define NC_MSG_END(name)                                                                           \
    }                                                                                              \
    nc_msg_##name;
#include "wire/messages.def"

typedef struct nc_msg_field {
    nc_field_kind kind;
    size_t offset; /* into the struct */
    const char *name;
} nc_msg_field;

typedef struct nc_msg_desc {
    const char *name;
    int number;  /* message number; -1: a part of a message, without a number byte */
    size_t size; /* of the struct */
    const nc_msg_field *fields;
    size_t count;
} nc_msg_desc;

#define NC_MSG_BEGIN(name, number) extern const nc_msg_desc nc_desc_##name;
#include "wire/messages.def"

/* NULL-terminated: every descriptor, for tests and for the packet log. */
extern const nc_msg_desc *const nc_msg_all[];

/*
 * Decodes the fields that follow the number byte (the reader stands behind it). All fields must be
 * there and nothing may be left. NACRE_OK or NACRE_MALFORMED; on failure the struct is all zero.
 */
int nc_msg_decode(const nc_msg_desc *d, nc_rd *r, void *msg) NACRE_MUST_CHECK;
/* Writes the number byte and the fields. */
void nc_msg_encode(const nc_msg_desc *d, nc_wr *w, const void *msg);

#define NC_DECODE(name, r, msg) nc_msg_decode(&nc_desc_##name, (r), (msg))
#define NC_ENCODE(name, w, msg) nc_msg_encode(&nc_desc_##name, (w), (msg))

#endif
