/*
 * handles.c - the server's open handles. On the wire a handle is its place, the place's generation and
 * a tag of the session, so that a stale, guessed or foreign handle finds nothing.
 */
#include "sftp/server.h"

#include <string.h>

enum { FIRST_HANDLES = 16 };

void nc_handles_init(nc_handles *h, const nacre_allocator *a, uint32_t max)
{
    memset(h, 0, sizeof(*h));
    h->alloc = a;
    h->max = max;
    h->first_free = UINT32_MAX;
}

void nc_handles_clear(nc_handles *h)
{
    for (uint32_t i = 0; i < h->count; i++) {
        nc_free(h->alloc, h->entries[i].name);
    }
    nc_free(h->alloc, h->entries);
    h->entries = NULL;
    h->count = 0;
    h->open = 0;
    h->first_free = UINT32_MAX;
}

int nc_handles_prepare(nc_handles *h)
{
    if (h->first_free != UINT32_MAX) {
        return NACRE_OK;
    }
    if (h->count >= h->max) {
        return NACRE_LIMIT;
    }
    uint32_t count = h->count ? h->count : FIRST_HANDLES / 2;
    count = count > h->max / 2 ? h->max : count * 2;
    nc_handle *entries = nc_alloc_array(h->alloc, count, sizeof(*entries));
    if (!entries) {
        return NACRE_NO_MEMORY;
    }
    memset(entries, 0, count * sizeof(*entries));
    if (h->count) {
        memcpy(entries, h->entries, h->count * sizeof(*entries));
    }
    for (uint32_t i = h->count; i < count; i++) {
        entries[i].next_free = i + 1 < count ? i + 1 : UINT32_MAX;
    }
    nc_free(h->alloc, h->entries);
    h->first_free = h->count;
    h->entries = entries;
    h->count = count;
    return NACRE_OK;
}

nc_handle *nc_handles_open(nc_handles *h, nc_handle_kind kind, void *object, uint32_t pflags)
{
    nc_handle *e = &h->entries[h->first_free];
    h->first_free = e->next_free;
    uint32_t generation = e->generation + 1;
    memset(e, 0, sizeof(*e));
    e->generation = generation;
    e->kind = kind;
    e->object = object;
    e->pflags = pflags;
    h->open++;
    return e;
}

void nc_handles_wire(const nc_handles *h, const nc_handle *handle, uint8_t out[NC_HANDLE_WIRE])
{
    nc_put_u32(out, (uint32_t)(handle - h->entries));
    nc_put_u32(out + 4, handle->generation);
    memcpy(out + 8, h->tag, sizeof(h->tag));
}

nc_handle *nc_handles_find(const nc_handles *h, nacre_span wire, nc_handle_kind kind)
{
    if (wire.n != NC_HANDLE_WIRE) {
        return NULL;
    }
    uint32_t index = nc_get_u32(wire.p);
    if (index >= h->count || h->entries[index].kind == NC_HANDLE_FREE) {
        return NULL;
    }
    uint8_t expected[NC_HANDLE_WIRE];
    nc_handles_wire(h, &h->entries[index], expected);
    if (!nc_ct_equal(expected, wire.p, NC_HANDLE_WIRE)) {
        return NULL;
    }
    nc_handle *e = &h->entries[index];
    return kind == NC_HANDLE_FREE || e->kind == kind ? e : NULL;
}

void nc_handles_release(nc_handles *h, nc_handle *handle)
{
    nc_free(h->alloc, handle->name);
    handle->name = NULL;
    handle->object = NULL;
    handle->kind = NC_HANDLE_FREE;
    handle->next_free = h->first_free;
    h->first_free = (uint32_t)(handle - h->entries);
    h->open--;
}
