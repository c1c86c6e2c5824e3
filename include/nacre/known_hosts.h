/*
 * nacre/known_hosts.h - which host has which key (the known_hosts format of sshd(8)).
 *
 * The object holds the lines of any number of files and buffers, in order; nothing of them is lost:
 * comments and lines of unknown form are kept. Lookup understands plain, hashed, [host]:port,
 * wildcards, negation, several names, and the markers @revoked and @cert-authority.
 */
#ifndef NACRE_KNOWN_HOSTS_H
#define NACRE_KNOWN_HOSTS_H

#include "nacre/key.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_known_hosts nacre_known_hosts;

typedef enum nacre_host_match {
    NACRE_HOST_UNKNOWN = 0, /* no line for this host                                        */
    NACRE_HOST_MATCH,       /* this key stands in a line for this host                      */
    NACRE_HOST_CHANGED,     /* another key of the same type stands there                    */
    NACRE_HOST_OTHER_TYPE,  /* only keys of other types stand there                         */
    NACRE_HOST_REVOKED      /* this key stands in a line with @revoked                      */
} nacre_host_match;

/* Where the deciding line stands; for messages. */
typedef struct nacre_host_line {
    const char *source; /* file name or "" ; borrowed until the object is freed */
    uint32_t line;      /* 1 is the first; 0: none */
    const nacre_key
        *key; /* the key that stands there; borrowed until the object is freed or changed */
} nacre_host_line;

NACRE_API int nacre_known_hosts_new(nacre_known_hosts **out,
                                    const nacre_allocator *a) NACRE_MUST_CHECK;
NACRE_API void nacre_known_hosts_free(nacre_known_hosts *h);
/* Adds the lines of a buffer; source names it in messages. Bad lines are kept and skipped. */
NACRE_API int nacre_known_hosts_add_text(nacre_known_hosts *h, nacre_span text,
                                         const char *source) NACRE_MUST_CHECK;
/* Adds a file. NACRE_NOT_FOUND when it does not exist, NACRE_IO (err says why) when unreadable. */
NACRE_API int nacre_known_hosts_add_file(nacre_known_hosts *h, const char *path,
                                         nacre_error *err) NACRE_MUST_CHECK;
/*
 * port 0 or 22: the bare name; else "[host]:port" only, as it stands in the file. Names are compared
 * without case. A line with @revoked decides before all others; @cert-authority lines are for
 * certificates and never match a plain key. where: NULL ok. May be called from many threads at once.
 */
NACRE_API nacre_host_match nacre_known_hosts_check(const nacre_known_hosts *h, const char *host,
                                                   uint16_t port, const nacre_key *key,
                                                   nacre_host_line *where);
/*
 * The key types known for a host ("ssh-ed25519,..."), so that a client can prefer them. Returns the
 * length that the whole needs; "" when none.
 */
NACRE_API size_t nacre_known_hosts_types(const nacre_known_hosts *h, const char *host,
                                         uint16_t port, char *out, size_t size);
/*
 * Makes a line for a host (hash: HashKnownHosts) with its newline into out, as ssh writes it; the
 * length or NACRE_TOO_LARGE. Also adds it to the object, unless h is NULL.
 */
NACRE_API int nacre_known_hosts_add(nacre_known_hosts *h, const char *host, uint16_t port,
                                    const nacre_key *key, bool hash, char *out,
                                    size_t size) NACRE_MUST_CHECK;
/* One line as it stands, for programs that list, search or rewrite such files. */
typedef struct nacre_host_entry {
    const char *source;
    uint32_t line;
    nacre_span text;      /* the whole line without its line end */
    nacre_span marker;    /* "@revoked", "@cert-authority", an unknown one, or empty */
    nacre_span names;     /* the first field: patterns or "|1|..."; empty: comment or bad line */
    nacre_span comment;   /* behind the key */
    const nacre_key *key; /* NULL: no key of a supported type stands there */
} nacre_host_entry;

/* How many lines there are; and the index-th, from 0. Everything is borrowed until h changes. */
NACRE_API size_t nacre_known_hosts_count(const nacre_known_hosts *h);
NACRE_API int nacre_known_hosts_get(const nacre_known_hosts *h, size_t index,
                                    nacre_host_entry *out) NACRE_MUST_CHECK;
/* Whether the names of that line mean this host (markers do not count here). */
NACRE_API bool nacre_known_hosts_entry_is(const nacre_known_hosts *h, size_t index,
                                          const char *host, uint16_t port);

/*
 * Appends the line for a host to a file, whole or not at all (temporary file, fsync, rename; the
 * directory ~/.ssh is made with mode 0700 when it is missing). Never shortens what was there.
 */
NACRE_API int nacre_known_hosts_append_file(const char *path, const char *host, uint16_t port,
                                            const nacre_key *key, bool hash,
                                            nacre_error *err) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
