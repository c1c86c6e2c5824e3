/*
 * agent_script.h - an agent that says what a test wants it to say, behind a stream in memory; and an
 * allocator whose N-th allocation fails.
 */
#ifndef NC_TESTS_AGENT_SCRIPT_H
#define NC_TESTS_AGENT_SCRIPT_H

#include "base/buf.h"
#include "keys/agent_wire.h"
#include "nacre/net.h"

typedef struct script {
    nc_buf replies; /* what it will say, with lengths */
    size_t at;
    nc_buf heard; /* what it was asked */
    size_t piece; /* bytes of one read; 0: all there is */
    int at_end;   /* what read returns when there is no more; NACRE_OK: the end */
    bool closed;
} script;

void script_init(script *s);
void script_clear(script *s);
nacre_agent_stream script_stream(script *s);
/* Another message that it will say; returns a writer to be filled, end with script_end. */
nc_wr script_begin(script *s, uint8_t type);
void script_end(script *s, nc_wr *w);
/* A message of one byte. */
void script_say(script *s, uint8_t type);
/* IDENTITIES_ANSWER with count, and those keys (NULL in between: a type that nobody knows). */
void script_say_keys(script *s, uint32_t count, nacre_key *const *keys, size_t n);
void script_say_signature(script *s, const nacre_key *key, const char *algorithm, nacre_span data);

nacre_key *test_key(const char *type); /* made once for the program; borrowed */
void test_keys_free(void);

#endif
