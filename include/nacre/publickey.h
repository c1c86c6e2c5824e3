/*
 * nacre/publickey.h - the public key subsystem (RFC 4819): a user's keys on a server, listed, added and
 * removed over a connection, without knowing where the server keeps them.
 *
 *     nacre_publickey *p;
 *     if (nacre_publickey_open(&p, client, 0, &err) == NACRE_OK) {
 *         rc = nacre_publickey_add(p, key, NULL, 0, false);
 *         nacre_publickey_close(p);
 *     }
 *
 * The client's calls block and drive the connection, as all of nacre_client. What the server refuses is
 * an error with the server's own words (escaped) and its code in nacre_error.detail: NACRE_NOT_FOUND,
 * NACRE_EXISTS, NACRE_UNSUPPORTED, NACRE_LIMIT (its storage is full), NACRE_REQUEST_REFUSED. A server
 * that breaks the protocol ends the session: NACRE_MALFORMED, NACRE_PROTOCOL, NACRE_OVERSIZED.
 *
 * The server's side is a machine without I/O, for programs that run as a Subsystem or serve a channel.
 * Protocol version 2 is spoken, the only one of the RFC.
 */
#ifndef NACRE_PUBLICKEY_H
#define NACRE_PUBLICKEY_H

#include "nacre/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* RFC 4819 3.3 */
typedef enum nacre_publickey_code {
    NACRE_PUBLICKEY_SUCCESS = 0,
    NACRE_PUBLICKEY_ACCESS_DENIED = 1,
    NACRE_PUBLICKEY_STORAGE_EXCEEDED = 2,
    NACRE_PUBLICKEY_VERSION_NOT_SUPPORTED = 3,
    NACRE_PUBLICKEY_KEY_NOT_FOUND = 4,
    NACRE_PUBLICKEY_KEY_NOT_SUPPORTED = 5,
    NACRE_PUBLICKEY_KEY_ALREADY_PRESENT = 6,
    NACRE_PUBLICKEY_GENERAL_FAILURE = 7,
    NACRE_PUBLICKEY_REQUEST_NOT_SUPPORTED = 8,
    NACRE_PUBLICKEY_ATTRIBUTE_NOT_SUPPORTED = 9
} nacre_publickey_code;

/*
 * Something about a key, RFC 4819 4.1: "comment", "comment-language", "command-override", "subsystem",
 * "x11", "shell", "exec", "agent", "env", "from", "port-forward", "reverse-forward", or a private
 * "name@domain". critical (add only): a server that does not know it must refuse the key.
 */
typedef struct nacre_publickey_attribute {
    nacre_span name, value;
    bool critical;
} nacre_publickey_attribute;

typedef struct nacre_publickey_entry {
    nacre_span algorithm; /* "ssh-ed25519" */
    nacre_span blob;      /* see nacre_key_from_blob: a server may name types that we do not know */
    const nacre_publickey_attribute *attributes;
    size_t attribute_count; /* at most 64 */
} nacre_publickey_entry;

/* ---- client ------------------------------------------------------------------------------------------ */

typedef struct nacre_publickey nacre_publickey;

/*
 * Opens a session on c, which must outlive it, starts the subsystem "publickey" and agrees on the
 * version. timeout_ms: of this and every later call; 0: the client's. NACRE_REQUEST_REFUSED: the server
 * has no such subsystem (most have none). *out is owned.
 */
NACRE_API int nacre_publickey_open(nacre_publickey **out, nacre_client *c, uint32_t timeout_ms,
                                   nacre_error *err) NACRE_MUST_CHECK;
NACRE_API void nacre_publickey_close(nacre_publickey *p); /* NULL ok */
/* Adds a key; overwrite: also when it is there, with the new attributes in place of the old. */
NACRE_API int nacre_publickey_add(nacre_publickey *p, const nacre_key *key,
                                  const nacre_publickey_attribute *attributes, size_t count,
                                  bool overwrite) NACRE_MUST_CHECK;
NACRE_API int nacre_publickey_remove(nacre_publickey *p, const nacre_key *key) NACRE_MUST_CHECK;
/*
 * Every key of the user, one call of fn each; what it is shown lives until it returns. It must not use
 * p or its client. Returning false ends the list early, which closes the session, and the call returns
 * NACRE_CANCELLED. NACRE_LIMIT after 65536 keys.
 */
typedef bool (*nacre_publickey_entry_fn)(void *user, const nacre_publickey_entry *entry);
NACRE_API int nacre_publickey_list(nacre_publickey *p, nacre_publickey_entry_fn fn,
                                   void *user) NACRE_MUST_CHECK;
/* The attributes that the server knows; compulsory: it has them for every key, asked for or not. */
typedef bool (*nacre_publickey_attribute_fn)(void *user, nacre_span name, bool compulsory);
NACRE_API int nacre_publickey_attributes(nacre_publickey *p, nacre_publickey_attribute_fn fn,
                                         void *user) NACRE_MUST_CHECK;
/* Of the last call that failed; detail is a nacre_publickey_code. Borrowed until the next call. */
NACRE_API const nacre_error *nacre_publickey_error(const nacre_publickey *p);

/* ---- server -------------------------------------------------------------------------------------------- */

typedef struct nacre_publickey_server nacre_publickey_server;

typedef struct nacre_publickey_supported {
    const char *name;
    bool compulsory;
} nacre_publickey_supported;

/*
 * Whose keys they are is settled: they are the user's who logged in. Each function answers at once with
 * a nacre_publickey_code; text (of size bytes, "" at first) may be filled with words for the client. A
 * NULL function: REQUEST_NOT_SUPPORTED. None may call the machine.
 */
typedef struct nacre_publickey_ops {
    /* Only attributes of the table below arrive; a critical one that is not in it is refused before. The
     * blob begins with the algorithm's type. It may be no key at all: look (nacre_key_from_blob). */
    uint32_t (*add)(void *user, const nacre_publickey_entry *entry, bool overwrite, char *text,
                    size_t size);
    uint32_t (*remove)(void *user, nacre_span algorithm, nacre_span blob, char *text, size_t size);
    /* The index-th key, from 0, borrowed until the next call; false: there are no more. */
    bool (*entry)(void *user, size_t index, nacre_publickey_entry *out);
    const nacre_publickey_supported *attributes;
    size_t attribute_count;
} nacre_publickey_ops;

/* Keeps ops and user by reference. Its version packet is output at once. *out is owned. */
NACRE_API int nacre_publickey_server_new(nacre_publickey_server **out, const nacre_allocator *alloc,
                                         const nacre_publickey_ops *ops,
                                         void *user) NACRE_MUST_CHECK;
NACRE_API void nacre_publickey_server_free(nacre_publickey_server *s); /* NULL ok */
/*
 * Bytes from the client; all are taken. NACRE_LIMIT: more than it may send before its requests are
 * answered, so do not read from it while output waits. Errors are sticky; drain output all the same.
 */
NACRE_API int nacre_publickey_server_input(nacre_publickey_server *s,
                                           nacre_span in) NACRE_MUST_CHECK;
/* What is to be sent; borrowed until the next call on s. sent(n) goes on with a list that is long. */
NACRE_API nacre_span nacre_publickey_server_output(const nacre_publickey_server *s);
NACRE_API int nacre_publickey_server_sent(nacre_publickey_server *s, size_t n);
/* The sticky error, or status NACRE_OK. */
NACRE_API const nacre_error *nacre_publickey_server_error(const nacre_publickey_server *s);

#ifdef __cplusplus
}
#endif
#endif
