/*
 * sources.h - what is kept of a source of connections.
 */
#ifndef NC_SERVER_SOURCES_H
#define NC_SERVER_SOURCES_H

#include "nacre/sources.h"

#include "base/error.h"
#include "crypto/crypto.h"
#include "keys/pattern.h"

#define NC_NOT_IN_HEAP SIZE_MAX
#define NC_NO_TABLE    SIZE_MAX

/* A block of addresses that has connections which are not logged in, or a penalty, or both. */
typedef struct nc_source nc_source;
struct nc_source {
    nc_source *next; /* in the slot */
    nc_source *crowd_prev, *crowd_next;
    nc_ip at;
    uint64_t hash;
    uint64_t until_ms; /* the penalty's end; heap_at says if there is one */
    size_t heap_at;
    uint32_t waiting; /* not logged in */
    nacre_offence why;
    bool refused; /* it has been above the minimum: until its end */
};

typedef struct nc_source_table {
    nc_source **slots;
    size_t slot_count, count;
    nc_source **heap; /* those with a penalty */
    size_t heap_count, heap_cap;
    size_t max; /* in the heap */
    bool deny;
} nc_source_table;

struct nacre_sources {
    const nacre_allocator *alloc;
    nacre_source_rules rules;
    char *exempt;
    uint8_t secret[32];
    nc_source_table tables[2]; /* IPv4, IPv6 */
    nc_source *crowd;          /* those with connections that are not logged in */
    nacre_source_counts counts;
};

#endif
