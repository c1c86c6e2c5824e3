/*
 * engine.c - the client machine's life, its table of requests, and what the server offers.
 */
#include "sftp/engine.h"

#include <string.h>

enum {
    FIRST_SLOTS = 64,
    GENERATION_MASK = 0xFFFFF, /* 32 bits less the index */
    /* Extensions in VERSION; the packet's own cap bounds their bytes. OpenSSH sends eleven. */
    OUT_MAX = NACRE_SFTP_MAX_QUEUED + NC_SFTP_MAX_DATA + 512
};

int nc_engine_fail(nacre_sftp_engine *e, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    nacre_blame by = status == NACRE_SFTP_PROTOCOL ? NACRE_BY_PEER : NACRE_BY_US;
    nc_vfail(&e->error, status, by, fmt, ap);
    va_end(ap);
    e->state = NC_ENGINE_FAILED;
    return status;
}

int nacre_sftp_engine_new(nacre_sftp_engine **out, const nacre_allocator *alloc,
                          const nacre_pipe *pipe)
{
    if (!out || !pipe || !pipe->write || (pipe->reserve && !pipe->commit)) {
        return NACRE_INVALID_ARGUMENT;
    }
    *out = NULL;
    nacre_sftp_engine *e = nc_zalloc(alloc, sizeof(*e));
    if (!e) {
        return NACRE_NO_MEMORY;
    }
    e->alloc = alloc;
    nc_sftp_out_init(&e->out, alloc, pipe, OUT_MAX);
    nc_buf_init(&e->in, alloc, 4 + NC_SFTP_MAX_REPLY);
    nc_buf_init(&e->extensions, alloc, NC_SFTP_MAX_REPLY);
    e->free_first = NC_SFTP_SLOT_NONE;
    e->free_last = NC_SFTP_SLOT_NONE;
    e->limits.max_packet = NC_SFTP_MAX_PACKET;
    e->limits.max_read = NACRE_SFTP_DEFAULT_DATA;
    e->limits.max_write = NACRE_SFTP_DEFAULT_DATA;
    *out = e;
    return NACRE_OK;
}

void nacre_sftp_engine_free(nacre_sftp_engine *e)
{
    if (!e) {
        return;
    }
    nc_sftp_out_clear(&e->out);
    nc_buf_clear(&e->in);
    nc_buf_clear(&e->extensions);
    nc_free(e->alloc, e->slots);
    nc_wipe_free(e->alloc, e, sizeof(*e));
}

int nacre_sftp_engine_start(nacre_sftp_engine *e)
{
    if (e->state != NC_ENGINE_NEW) {
        return NACRE_WRONG_STATE;
    }
    nc_wr w = nc_wr_init(&e->out.queue.buf);
    nc_wr_u32(&w, 5);
    nc_wr_u8(&w, NACRE_FXP_INIT);
    nc_wr_u32(&w, NACRE_SFTP_VERSION);
    if (nc_wr_err(&w) != NACRE_OK) {
        nc_queue_consume(&e->out.queue, SIZE_MAX);
        return nc_wr_err(&w);
    }
    e->state = NC_ENGINE_INIT_SENT;
    return NACRE_OK;
}

int nacre_sftp_engine_flush(nacre_sftp_engine *e)
{
    if (e->state == NC_ENGINE_FAILED) {
        return e->error.status;
    }
    int rc = nc_sftp_out_flush(&e->out);
    if (rc != NACRE_OK) {
        return nc_engine_fail(e, rc, "SFTP requests could not be sent: %s", nacre_status_text(rc));
    }
    return NACRE_OK;
}

bool nacre_sftp_engine_wants_write(const nacre_sftp_engine *e)
{
    return e->state != NC_ENGINE_FAILED && nc_sftp_out_queued(&e->out) > 0;
}

const nacre_error *nacre_sftp_engine_error(const nacre_sftp_engine *e)
{
    return &e->error;
}

bool nacre_sftp_engine_ready(const nacre_sftp_engine *e)
{
    return e->state == NC_ENGINE_READY;
}

size_t nacre_sftp_engine_outstanding(const nacre_sftp_engine *e)
{
    return e->outstanding;
}

void nc_engine_be_eager(nacre_sftp_engine *e)
{
    e->eager = true;
}

/* ---- the table of requests ------------------------------------------------------------------------ */

static void append_free(nacre_sftp_engine *e, size_t index)
{
    e->slots[index].id = 0;
    e->slots[index].next_free = NC_SFTP_SLOT_NONE;
    if (e->free_last == NC_SFTP_SLOT_NONE) {
        e->free_first = (uint16_t)index;
    } else {
        e->slots[e->free_last].next_free = (uint16_t)index;
    }
    e->free_last = (uint16_t)index;
}

int nc_engine_prepare_slot(nacre_sftp_engine *e)
{
    if (e->free_first != NC_SFTP_SLOT_NONE) {
        return NACRE_OK;
    }
    if (e->slot_count >= NACRE_SFTP_MAX_REQUESTS) {
        return NACRE_AGAIN;
    }
    size_t count = e->slot_count ? e->slot_count * 2 : FIRST_SLOTS;
    nc_sftp_slot *slots = nc_alloc_array(e->alloc, count, sizeof(*slots));
    if (!slots) {
        return NACRE_NO_MEMORY;
    }
    memset(slots, 0, count * sizeof(*slots));
    if (e->slot_count) {
        memcpy(slots, e->slots, e->slot_count * sizeof(*slots));
    }
    if (e->data_slot) {
        e->data_slot = slots + (e->data_slot - e->slots);
    }
    nc_free(e->alloc, e->slots);
    e->slots = slots;
    size_t first_new = e->slot_count;
    e->slot_count = count;
    for (size_t i = first_new; i < count; i++) {
        append_free(e, i);
    }
    return NACRE_OK;
}

uint32_t nc_engine_next_id(const nacre_sftp_engine *e)
{
    uint32_t index = e->free_first;
    uint32_t generation = (e->slots[index].generation + 1) & GENERATION_MASK;
    if (generation == 0) {
        generation = 1; /* id 0 is nobody's */
    }
    return generation << NC_SFTP_SLOT_BITS | index;
}

nc_sftp_slot *nc_engine_take_slot(nacre_sftp_engine *e, uint8_t type, uint8_t replies)
{
    uint32_t id = nc_engine_next_id(e);
    nc_sftp_slot *slot = &e->slots[e->free_first];
    e->free_first = slot->next_free;
    if (e->free_first == NC_SFTP_SLOT_NONE) {
        e->free_last = NC_SFTP_SLOT_NONE;
    }
    memset(slot, 0, sizeof(*slot));
    slot->id = id;
    slot->generation = id >> NC_SFTP_SLOT_BITS;
    slot->type = type;
    slot->ext = NACRE_SFTP_EXT_COUNT;
    slot->replies = replies;
    e->outstanding++;
    return slot;
}

nc_sftp_slot *nc_engine_find_slot(nacre_sftp_engine *e, uint32_t id)
{
    size_t index = id & ((1u << NC_SFTP_SLOT_BITS) - 1);
    if (id == 0 || index >= e->slot_count || e->slots[index].id != id) {
        return NULL;
    }
    return &e->slots[index];
}

void nc_engine_release_slot(nacre_sftp_engine *e, nc_sftp_slot *slot)
{
    append_free(e, (size_t)(slot - e->slots));
    e->outstanding--;
}

int nacre_sftp_engine_set_user(nacre_sftp_engine *e, uint32_t id, void *user)
{
    nc_sftp_slot *slot = nc_engine_find_slot(e, id);
    if (!slot) {
        return NACRE_NOT_FOUND;
    }
    slot->user = user;
    return NACRE_OK;
}

int nacre_sftp_engine_forget(nacre_sftp_engine *e, uint32_t id)
{
    nc_sftp_slot *slot = nc_engine_find_slot(e, id);
    if (!slot) {
        return NACRE_NOT_FOUND;
    }
    slot->forgotten = true;
    slot->user = NULL;
    return NACRE_OK;
}

/* ---- what the server offers ----------------------------------------------------------------------- */

int nc_engine_set_extensions(nacre_sftp_engine *e, nacre_span pairs)
{
    int rc = nc_buf_append(&e->extensions, pairs.p, pairs.n);
    for (int ext = 0; rc == NACRE_OK && ext < NACRE_SFTP_EXT_COUNT; ext++) {
        nacre_span version;
        bool there =
            nacre_sftp_engine_extension(e, nc_sftp_ext_name((nacre_sftp_ext)ext), &version);
        /* Another version may mean another layout: then it is as good as not offered. */
        const char *ours = nc_sftp_ext_version((nacre_sftp_ext)ext);
        e->offered[ext] = there && (!ours[0] || nc_span_is(version, ours));
    }
    return rc;
}

bool nacre_sftp_engine_has(const nacre_sftp_engine *e, nacre_sftp_ext ext)
{
    if (ext == NACRE_SFTP_EXT_CHECK_FILE) {
        return e->offered[NACRE_SFTP_EXT_CHECK_FILE] ||
               e->offered[NACRE_SFTP_EXT_CHECK_FILE_HANDLE] ||
               e->offered[NACRE_SFTP_EXT_CHECK_FILE_NAME];
    }
    return (unsigned)ext < NACRE_SFTP_EXT_COUNT && e->offered[ext];
}

bool nacre_sftp_engine_extension_at(const nacre_sftp_engine *e, size_t index, nacre_span *name,
                                    nacre_span *data)
{
    nacre_span rest = nc_buf_span(&e->extensions);
    while (nacre_sftp_attrs_next(&rest, name, data)) {
        if (index-- == 0) {
            return true;
        }
    }
    return false;
}

bool nacre_sftp_engine_extension(const nacre_sftp_engine *e, const char *name, nacre_span *data)
{
    nacre_span rest = nc_buf_span(&e->extensions);
    nacre_span found;
    nacre_span value;
    while (nacre_sftp_attrs_next(&rest, &found, &value)) {
        if (nc_span_is(found, name)) {
            if (data) {
                *data = value;
            }
            return true;
        }
    }
    return false;
}

/* 0 is "no limit named": what we had stays. Above what we do ourselves our own limit holds. */
static uint64_t cut_limit(uint64_t named, uint64_t had, uint64_t most)
{
    if (named == 0) {
        return had;
    }
    return named < most ? named : most;
}

void nc_engine_set_limits(nacre_sftp_engine *e, const nacre_sftp_limits *limits)
{
    e->limits.max_packet = cut_limit(limits->max_packet, e->limits.max_packet, NC_SFTP_MAX_PACKET);
    e->limits.max_read = cut_limit(limits->max_read, e->limits.max_read, NC_SFTP_MAX_DATA);
    e->limits.max_write = cut_limit(limits->max_write, e->limits.max_write, NC_SFTP_MAX_DATA);
    /* Some servers name a packet smaller than their data and header together; 1 KiB is the header's. */
    uint64_t fits = e->limits.max_packet > 2048 ? e->limits.max_packet - 1024 : 1024;
    e->limits.max_read = cut_limit(fits, fits, e->limits.max_read);
    e->limits.max_write = cut_limit(fits, fits, e->limits.max_write);
    e->limits.max_handles = limits->max_handles;
}

void nacre_sftp_engine_limits(const nacre_sftp_engine *e, nacre_sftp_limits *out)
{
    *out = e->limits;
}

void nacre_sftp_engine_set_draft_symlink(nacre_sftp_engine *e, bool draft)
{
    e->draft_symlink = draft;
}
