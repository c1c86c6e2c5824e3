/*
 * msg.c - one decoder and one encoder, driven by the tables of messages.def.
 */
#include "wire/msg.h"

#include <string.h>

/* The rows of messages.def, once as field tables and once as descriptors. */
#define NC_MSG_BEGIN(name, number)    static const nc_msg_field fields_##name[] = {
#define NC_MSG_FIELD(msg, kind, name) {NC_KIND_##kind, offsetof(nc_msg_##msg, name), #name},
#define NC_MSG_EMPTY(msg)             {NC_KIND_none, 0, ""},
#define NC_MSG_END(name)                                                                           \
    }                                                                                              \
    ;
#include "wire/messages.def"

#define NC_MSG_BEGIN(name, number)                                                                 \
    const nc_msg_desc nc_desc_##name = {#name, number, sizeof(nc_msg_##name), fields_##name,       \
                                        sizeof(fields_##name) / sizeof(fields_##name[0])};
#include "wire/messages.def"

const nc_msg_desc *const nc_msg_all[] = {
#define NC_MSG_BEGIN(name, number) &nc_desc_##name,
#include "wire/messages.def"
    NULL,
};

static void decode_field(nc_field_kind kind, nc_rd *r, void *out)
{
    switch (kind) {
    case NC_KIND_none:
        break;
    case NC_KIND_bool:
        *(bool *)out = nc_rd_bool(r);
        break;
    case NC_KIND_u32:
        *(uint32_t *)out = nc_rd_u32(r);
        break;
    case NC_KIND_str:
        *(nacre_span *)out = nc_rd_str(r);
        break;
    case NC_KIND_namelist:
        *(nacre_span *)out = nc_rd_namelist(r, NC_MAX_NAMELIST);
        break;
    case NC_KIND_mpint:
        *(nacre_span *)out = nc_rd_mpint(r, NC_MAX_MPINT);
        break;
    case NC_KIND_rest:
        *(nacre_span *)out = nc_rd_rest(r);
        break;
    case NC_KIND_cookie:
        *(nacre_span *)out = nc_rd_bytes(r, 16);
        break;
    }
}

static void encode_field(nc_field_kind kind, nc_wr *w, const void *in)
{
    switch (kind) {
    case NC_KIND_none:
        break;
    case NC_KIND_bool:
        nc_wr_bool(w, *(const bool *)in);
        break;
    case NC_KIND_u32:
        nc_wr_u32(w, *(const uint32_t *)in);
        break;
    case NC_KIND_str:
    case NC_KIND_namelist:
        nc_wr_str(w, *(const nacre_span *)in);
        break;
    case NC_KIND_mpint:
        nc_wr_mpint(w, *(const nacre_span *)in);
        break;
    case NC_KIND_rest:
    case NC_KIND_cookie:
        nc_wr_bytes(w, *(const nacre_span *)in);
        break;
    }
}

int nc_msg_decode(const nc_msg_desc *d, nc_rd *r, void *msg)
{
    memset(msg, 0, d->size);
    for (size_t i = 0; i < d->count; i++) {
        decode_field(d->fields[i].kind, r, (uint8_t *)msg + d->fields[i].offset);
    }
    int rc = nc_rd_end(r);
    if (rc != NACRE_OK) {
        memset(msg, 0, d->size);
    }
    return rc;
}

void nc_msg_encode(const nc_msg_desc *d, nc_wr *w, const void *msg)
{
    if (d->number >= 0) {
        nc_wr_u8(w, (uint8_t)d->number);
    }
    for (size_t i = 0; i < d->count; i++) {
        encode_field(d->fields[i].kind, w, (const uint8_t *)msg + d->fields[i].offset);
    }
}
