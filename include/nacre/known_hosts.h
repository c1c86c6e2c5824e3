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
    NACRE_HOST_REVOKED, /* this key, or the CA of this certificate, stands in a line with @revoked */
    NACRE_HOST_AUTHORITY /* a certificate whose CA stands in a @cert-authority line for this host: the
                             * certificate itself is yet to be checked (nacre_cert_check) */
} nacre_host_match;

/* Where the deciding line stands; for messages. */
typedef struct nacre_host_line {
    const char *source; /* file name or "" ; borrowed until the object is freed */
    uint32_t line;      /* 1 is the first; 0: none */
    const nacre_key
        *key; /* the key that stands there; borrowed until the object is freed or changed */
} nacre_host_line;

/* Without any lines. *out is owned; a must outlive it (NULL: the C library's). */
NACRE_API int nacre_known_hosts_new(nacre_known_hosts **out,
                                    const nacre_allocator *a) NACRE_MUST_CHECK;
NACRE_API void nacre_known_hosts_free(nacre_known_hosts *h); /* NULL ok */
/* Adds the lines of a buffer; source names it in messages. Bad lines are kept and skipped. */
NACRE_API int nacre_known_hosts_add_text(nacre_known_hosts *h, nacre_span text,
                                         const char *source) NACRE_MUST_CHECK;
/* Adds a file. NACRE_NOT_FOUND when it does not exist, NACRE_IO (err says why) when unreadable. */
NACRE_API int nacre_known_hosts_add_file(nacre_known_hosts *h, const char *path,
                                         nacre_error *err) NACRE_MUST_CHECK;
/*
 * port 0 or 22: the bare name; else "[host]:port" only, as it stands in the file. Names are compared
 * without case. A line with @revoked decides before all others: it speaks of a plain key, of the key in a
 * certificate and of its CA. @cert-authority lines are for certificates and never match a plain key; a
 * certificate is only looked for there, so that where it is UNKNOWN its plain key may be asked about next
 * (nacre_key_plain). where: NULL ok. May be called from many threads at once.
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
/* Whether a @cert-authority line means this host, so that certificates are worth asking for. */
NACRE_API bool nacre_known_hosts_has_authority(const nacre_known_hosts *h, const char *host,
                                               uint16_t port);
/*
 * Makes a line for a host (hash: HashKnownHosts) with its newline into out, as ssh writes it; the
 * length or NACRE_TOO_LARGE. Also adds it to the object, unless h is NULL.
 */
NACRE_API int nacre_known_hosts_add(nacre_known_hosts *h, const char *host, uint16_t port,
                                    const nacre_key *key, bool hash, char *out,
                                    size_t size) NACRE_MUST_CHECK;

/* ---- lines as they are ------------------------------------------------------------------------- */

typedef enum nacre_host_line_kind {
    NACRE_HOST_LINE_COMMENT = 0, /* or empty */
    NACRE_HOST_LINE_KEY, /* has names, a key type and a key (which may be of a type that we lack) */
    NACRE_HOST_LINE_INVALID /* anything else: decides nothing, is kept */
} nacre_host_line_kind;

/* One line as it stands, for programs that list, search or rewrite such files. */
typedef struct nacre_host_entry {
    const char *source;
    uint32_t line;
    nacre_span text;      /* the whole line without its line end */
    nacre_span marker;    /* "@revoked", "@cert-authority", an unknown one, or empty */
    nacre_span names;     /* the first field: patterns or "|1|..."; empty: comment or bad line */
    nacre_span comment;   /* behind the key */
    const nacre_key *key; /* NULL: no key of a supported type stands there */
    nacre_host_line_kind kind;
    bool hashed; /* names is one hashed name */
} nacre_host_entry;

/* How many lines there are; and the index-th, from 0. Everything is borrowed until h changes. */
NACRE_API size_t nacre_known_hosts_count(const nacre_known_hosts *h);
NACRE_API int nacre_known_hosts_get(const nacre_known_hosts *h, size_t index,
                                    nacre_host_entry *out) NACRE_MUST_CHECK;
/* Whether the names of that line mean this host (markers do not count here). */
NACRE_API bool nacre_known_hosts_entry_is(const nacre_known_hosts *h, size_t index,
                                          const char *host, uint16_t port);

/* ---- editing ------------------------------------------------------------------------------------
 *
 * Edits change the object; nacre_known_hosts_text makes text of it, and nacre_known_hosts_update_file does
 * both on a file. What is not edited stays byte for byte, comments, order and unknown lines included.
 * Indexes behind an edited line move; line numbers stay those of the text that was read (0: added since).
 * Whoever edits on the way through all lines, forwards or backwards, pays for each line once.
 */

/* Removes a line. NACRE_NOT_FOUND. */
NACRE_API int nacre_known_hosts_remove(nacre_known_hosts *h, size_t index) NACRE_MUST_CHECK;
/* Puts lines (one or more, with or without the last newline) in the place of one. On failure nothing changes. */
NACRE_API int nacre_known_hosts_replace(nacre_known_hosts *h, size_t index,
                                        nacre_span lines) NACRE_MUST_CHECK;
/*
 * Hides the names of a line, as ssh-keygen -H does: a line of each name, hashed with a salt of its own.
 * *lines (NULL ok): how many stand there now. NACRE_UNSUPPORTED, and no change: lines that are hashed
 * already, that have a marker, "*", "?" or "!", and what is no key line.
 */
NACRE_API int nacre_known_hosts_hash(nacre_known_hosts *h, size_t index,
                                     size_t *lines) NACRE_MUST_CHECK;
/*
 * All lines as text; source, when given: those of this source. *text is owned (nacre_secret_free with h's
 * allocator).
 */
NACRE_API int nacre_known_hosts_text(const nacre_known_hosts *h, const char *source, uint8_t **text,
                                     size_t *n) NACRE_MUST_CHECK;

/* ---- files --------------------------------------------------------------------------------------
 *
 * A file is replaced whole or not at all: a temporary file beside it, fsync, rename; its mode stays, a new
 * one has 0600. Through a symbolic link its target is replaced. Writers of this library wait for each
 * other, and a change by another program meanwhile is seen and the edit made again on what stands there
 * then. The directory is made (mode 0700) when it is missing.
 */

enum {
    NACRE_HOSTS_BACKUP = 1,    /* what stood there is kept as <path>.old, as ssh-keygen leaves it */
    NACRE_HOSTS_MUST_EXIST = 2 /* NACRE_NOT_FOUND instead of a new file */
};

/*
 * Reads a file, has edit change its lines, and writes them back if they changed. edit may be called more
 * than once, each time with the lines as they stand in the file; what it returns other than NACRE_OK
 * ends it, and nothing is written. Only regular files.
 */
typedef int (*nacre_hosts_edit_fn)(void *user, nacre_known_hosts *h);
NACRE_API int nacre_known_hosts_update_file(const char *path, nacre_hosts_edit_fn edit, void *user,
                                            unsigned flags, nacre_error *err) NACRE_MUST_CHECK;
/*
 * Appends the line for a host to a file. Never shortens what was there. A device (/dev/null) is written to.
 */
NACRE_API int nacre_known_hosts_append_file(const char *path, const char *host, uint16_t port,
                                            const nacre_key *key, bool hash,
                                            nacre_error *err) NACRE_MUST_CHECK;

/* What was seen in a file that ssh-keygen -R or -H would speak of. */
typedef enum nacre_hosts_fact {
    NACRE_HOSTS_FOUND,   /* remove: a line of this host, removed  ("# Host X found: line N") */
    NACRE_HOSTS_KEPT,    /* remove: a line of this host with a marker: stays */
    NACRE_HOSTS_HASHED,  /* hash: names of this line were in clear */
    NACRE_HOSTS_PATTERN, /* hash: stays in clear, because it is a pattern */
    NACRE_HOSTS_INVALID  /* the line is none: nothing of the file is changed */
} nacre_hosts_fact;
typedef struct nacre_hosts_note {
    nacre_hosts_fact fact;
    uint32_t line;
    char names[68]; /* the line's first field, cut, escaped */
} nacre_hosts_note;
typedef void (*nacre_hosts_note_fn)(void *user, const nacre_hosts_note *note);

/* How often each fact was there. */
typedef struct nacre_hosts_report {
    uint32_t found, kept, hashed, patterns, invalid;
} nacre_hosts_report;

/*
 * ssh-keygen -R: removes a host's lines from a file, but for those with markers. host as for check; "[h]:22"
 * with port 22 looks for exactly that. NACRE_OK also when none was there (report->found is 0, the file is
 * not touched); NACRE_SYNTAX when a line is invalid, as ssh-keygen: nothing changes. note (NULL ok) is
 * called at the end, for each line in order, whether it went well or not. report NULL ok.
 */
NACRE_API int nacre_known_hosts_remove_host(const char *path, const char *host, uint16_t port,
                                            unsigned flags, nacre_hosts_note_fn note, void *user,
                                            nacre_hosts_report *report,
                                            nacre_error *err) NACRE_MUST_CHECK;
/* ssh-keygen -H: hashes all names of a file. Likewise. A file without names in clear is not touched. */
NACRE_API int nacre_known_hosts_hash_file(const char *path, unsigned flags,
                                          nacre_hosts_note_fn note, void *user,
                                          nacre_hosts_report *report,
                                          nacre_error *err) NACRE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
