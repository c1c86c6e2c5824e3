/*
 * replies.c - see replies.h. Knows nothing of packets: who owns a queue sends what is popped.
 */
#include "channel/replies.h"

#include <string.h>

static nc_reply *slot_at(const nc_replies *q, uint16_t i)
{
    return &q->slots[(q->head + i) % q->cap];
}

static int grow(nc_replies *q, const nacre_allocator *a, uint16_t max)
{
    uint32_t twice = q->cap == 0 ? 4 : (uint32_t)q->cap * 2;
    uint16_t cap = twice < max ? (uint16_t)twice : max;
    nc_reply *slots = nc_alloc_array(a, cap, sizeof(*slots));
    if (!slots) {
        return NACRE_NO_MEMORY;
    }
    for (uint16_t i = 0; i < q->count; i++) {
        slots[i] = *slot_at(q, i);
    }
    nc_free(a, q->slots);
    q->slots = slots;
    q->head = 0;
    q->cap = cap;
    return NACRE_OK;
}

int nc_replies_push(nc_replies *q, const nacre_allocator *a, uint32_t ticket,
                    nc_reply_verdict verdict, uint16_t max)
{
    if (q->count >= max) {
        return NACRE_LIMIT;
    }
    if (q->count == q->cap && grow(q, a, max) != NACRE_OK) {
        return NACRE_NO_MEMORY;
    }
    nc_reply *slot = slot_at(q, q->count);
    memset(slot, 0, sizeof(*slot));
    slot->ticket = ticket;
    slot->verdict = (uint8_t)verdict;
    q->count++;
    return NACRE_OK;
}

nc_reply *nc_replies_find(nc_replies *q, uint32_t ticket)
{
    for (uint16_t i = 0; i < q->count; i++) {
        nc_reply *slot = slot_at(q, i);
        if (slot->ticket == ticket && slot->verdict == NC_REPLY_OPEN) {
            return slot;
        }
    }
    return NULL;
}

int nc_replies_settle(nc_reply *slot, nc_link *l, nc_reply_verdict verdict, nacre_span data)
{
    int rc = NACRE_OK;
    if (verdict == NC_REPLY_YES && data.n > 0) {
        slot->data = nc_alloc(l->alloc, data.n);
        if (slot->data) {
            memcpy(slot->data, data.p, data.n);
            slot->n = data.n;
        } else {
            verdict = NC_REPLY_NO;
            rc = NACRE_NO_MEMORY;
        }
    }
    slot->verdict = (uint8_t)verdict;
    slot->ticket = 0;
    nc_link_ticket_done(l);
    return rc;
}

bool nc_replies_pop(nc_replies *q, nc_reply *out)
{
    if (q->count == 0 || slot_at(q, 0)->verdict == NC_REPLY_OPEN) {
        return false;
    }
    *out = *slot_at(q, 0);
    q->head = (uint16_t)((q->head + 1) % q->cap);
    q->count--;
    return true;
}

void nc_replies_clear(nc_replies *q, nc_link *l)
{
    for (uint16_t i = 0; i < q->count; i++) {
        nc_reply *slot = slot_at(q, i);
        if (slot->verdict == NC_REPLY_OPEN) {
            nc_link_ticket_done(l);
        }
        nc_wipe_free(l->alloc, slot->data, slot->n);
    }
    nc_free(l->alloc, q->slots);
    memset(q, 0, sizeof(*q));
}
