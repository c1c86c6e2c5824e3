/*
 * nacre/sources.h - who may connect: what a server counts by source address. At most so many connections that are
 * not logged in, of one source and of all (MaxStartups, PerSourceMaxStartups), and a time of refusal for sources
 * that misbehave (PerSourcePenalties of sshd_config(5)).
 *
 * A source is an address, or the block of addresses around it. nacre_server does all of this by itself; servers that
 * accept for themselves, a process per connection for instance, call it: nacre_sources_ask, then nacre_sources_enter
 * for a connection that is served, nacre_sources_leave when it is logged in or gone, and nacre_sources_penalize when
 * it went without having logged in. Peers without an address (Unix sockets, pipes) count in the whole only.
 * Nothing here is thread-safe, and nothing reads a clock: now_ms is any monotonic time.
 */
#ifndef NACRE_SOURCES_H
#define NACRE_SOURCES_H

#include "nacre/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Why a connection that did not log in counts against its source. */
typedef enum nacre_offence {
    NACRE_OFFENCE_NONE = 0,
    NACRE_OFFENCE_CRASH,     /* the process that served it crashed */
    NACRE_OFFENCE_AUTH_FAIL, /* it tried to log in, and failed */
    NACRE_OFFENCE_NO_AUTH,   /* it went without a try */
    NACRE_OFFENCE_GRACE,     /* it was not logged in when its time was over */
    NACRE_OFFENCE_REFUSED,   /* it was refused by configuration (RefuseConnection) */
    NACRE_OFFENCES
} nacre_offence;
/* "authfail" as sshd_config(5) spells it; "none" for anything else. */
NACRE_API const char *nacre_offence_name(nacre_offence offence);

/* May it connect? Zero is a no. */
typedef enum nacre_admission {
    NACRE_ADMIT_NOT_STARTUPS = 0, /* too many that are not logged in */
    NACRE_ADMIT_NOT_SOURCE,       /* too many of this source */
    NACRE_ADMIT_NOT_PENALTY,      /* the source is refused for a time */
    NACRE_ADMIT_NOT_OVERFLOW,     /* more sources misbehave than are kept, and all are refused */
    NACRE_ADMIT,
    /*
     * There are too many, but another source has at least two more of them than this one: yes, if the caller drops
     * the oldest connection for which nacre_sources_crowded says yes. So one source cannot keep the others out.
     */
    NACRE_ADMIT_INSTEAD
} nacre_admission;

typedef struct nacre_source_rules {
    size_t size; /* set by nacre_source_rules_init */
    /* MaxStartups: from begin on rate % are refused, rising to all at full. nacre_server has its own. */
    uint32_t startups_begin, startups_rate, startups_full; /* default 10, 30, 100 */
    uint32_t per_source;     /* PerSourceMaxStartups; 0 (default): no limit of its own */
    uint32_t block4, block6; /* PerSourceNetBlockSize, bits: default 32 and 128 */
    bool no_instead;         /* never NACRE_ADMIT_INSTEAD */
    /* PerSourcePenalties */
    bool penalties;                      /* default true */
    uint32_t penalty_ms[NACRE_OFFENCES]; /* 90 s, 5 s, 1 s, 10 s, 10 s; 0: none */
    uint32_t penalty_min_ms;             /* refused from here on; default 15 s */
    uint32_t penalty_max_ms;             /* they add up to this; default 10 min */
    uint32_t max_sources4,
        max_sources6; /* sources kept in mind for their penalties; default 65536 */
    bool deny_overflow4,
        deny_overflow6; /* above that all are refused; else the mildest are forgotten */
    /* PerSourcePenaltyExemptList: comma list of addresses, blocks, patterns; copied. NULL: none. */
    const char *exempt;
} nacre_source_rules;
NACRE_API void nacre_source_rules_init(nacre_source_rules *r);

/*
 * MaxStartups' random early drop, for callers who count themselves: shall a connection be refused when
 * waiting others are not authenticated yet? dice: any random number.
 */
NACRE_API bool nacre_startups_refuse(uint32_t waiting, uint32_t begin, uint32_t rate, uint32_t full,
                                     uint32_t dice);
typedef struct nacre_sources nacre_sources;

/* allocator: NULL for malloc's. NACRE_INVALID_ARGUMENT: rules that contradict themselves. */
NACRE_API int nacre_sources_new(nacre_sources **out, const nacre_source_rules *rules,
                                const nacre_allocator *allocator,
                                nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_sources_free(nacre_sources *s);

/* dice: any random number, for the early drop. Counts a refusal; counts nothing else. */
NACRE_API nacre_admission nacre_sources_ask(nacre_sources *s, const nacre_endpoint *peer,
                                            uint64_t now_ms, uint32_t dice) NACRE_MUST_CHECK;
/* One more that is not logged in. NACRE_NO_MEMORY: it is not counted, and must not be served. */
NACRE_API int nacre_sources_enter(nacre_sources *s, const nacre_endpoint *peer) NACRE_MUST_CHECK;
/* One less: once for each that entered. */
NACRE_API void nacre_sources_leave(nacre_sources *s, const nacre_endpoint *peer);
/* Has the peer's source the most connections that are not logged in? See NACRE_ADMIT_INSTEAD. */
NACRE_API bool nacre_sources_crowded(const nacre_sources *s, const nacre_endpoint *peer);
/*
 * Adds to the source's penalty. Returns how long it is refused from now on in ms; 0: not at all, or not yet.
 * When there is no memory to note it, the counters say so.
 */
NACRE_API uint32_t nacre_sources_penalize(nacre_sources *s, const nacre_endpoint *peer,
                                          nacre_offence offence, uint64_t now_ms);
/* How long the source is refused, and why: the offence that brought it above the minimum (NULL ok). */
NACRE_API uint32_t nacre_sources_refused_for(const nacre_sources *s, const nacre_endpoint *peer,
                                             uint64_t now_ms, nacre_offence *why);

typedef struct nacre_source_counts {
    size_t size;                 /* set by the caller to sizeof */
    uint32_t waiting;            /* not logged in, now */
    uint32_t sources4, sources6; /* in mind for their penalties, now */
    uint64_t admitted;           /* asked, and let in */
    uint64_t refused_startups, refused_source, refused_penalty, refused_overflow;
    uint64_t instead;                  /* let in for another one that was dropped */
    uint64_t offences[NACRE_OFFENCES]; /* noted, by kind */
    uint64_t forgotten;                /* penalties that made room for others */
    uint64_t unnoted;                  /* penalties that there was no memory for */
} nacre_source_counts;
/* Fills what counts->size has room for. */
NACRE_API void nacre_sources_counts(const nacre_sources *s, nacre_source_counts *counts);

#ifdef __cplusplus
}
#endif
#endif
