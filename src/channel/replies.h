/*
 * replies.h - the peer's requests that are not answered yet, in the order in which they came.
 *
 * Replies to requests carry no number: the n-th reply belongs to the n-th request that wanted one
 * (RFC 4254 4 and 5.4). The application may answer in any order, so a verdict waits here until all
 * before it are out. Used once per channel, and once for global requests.
 */
#ifndef NC_CHANNEL_REPLIES_H
#define NC_CHANNEL_REPLIES_H

#include "transport/link.h"

typedef enum nc_reply_verdict { NC_REPLY_OPEN = 0, NC_REPLY_NO, NC_REPLY_YES } nc_reply_verdict;

typedef struct nc_reply {
    uint8_t *data; /* owned; goes with a global request's success */
    size_t n;
    uint32_t ticket; /* 0: answered by ourselves */
    uint8_t verdict;
} nc_reply;

typedef struct nc_replies {
    nc_reply *slots; /* ring; NULL until the first request that wants a reply */
    uint16_t head, count, cap;
} nc_replies;

/* Appends; NACRE_LIMIT above max entries, NACRE_NO_MEMORY. */
int nc_replies_push(nc_replies *q, const nacre_allocator *a, uint32_t ticket,
                    nc_reply_verdict verdict, uint16_t max) NACRE_MUST_CHECK;
/* The open question with this ticket, or NULL. */
nc_reply *nc_replies_find(nc_replies *q, uint32_t ticket);
/*
 * Writes an open question's verdict down, with a copy of data. The ticket is done, also when there is
 * no memory for the copy: then the verdict is NO.
 */
int nc_replies_settle(nc_reply *slot, nc_link *l, nc_reply_verdict verdict, nacre_span data);
/* Takes the oldest entry if it has a verdict; its data is the caller's. */
bool nc_replies_pop(nc_replies *q, nc_reply *out);
/* Forgets everything; open tickets become void. */
void nc_replies_clear(nc_replies *q, nc_link *l);

#endif
