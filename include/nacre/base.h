/*
 * nacre/base.h - what every other public header needs: status codes, spans, the hooks by which a
 * program lends nacre memory, randomness and a place to log, and the error object.
 *
 * Conventions, in every header of this library:
 *   - A function that can fail returns int: NACRE_OK (0) or a negative nacre_status.
 *   - Arguments are borrowed for the call unless the comment says "takes" or "keeps".
 *   - "returns owned" means that the caller frees; "returns borrowed until X" that it must not.
 *   - Every _free accepts NULL. Option structs begin with their size and are filled by *_init.
 */
#ifndef NACRE_BASE_H
#define NACRE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define NACRE_API               __attribute__((visibility("default")))
#define NACRE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define NACRE_MUST_CHECK        __attribute__((warn_unused_result))
#else
#define NACRE_API
#define NACRE_PRINTF(fmt, args)
#define NACRE_MUST_CHECK
#endif

/* A view of bytes that somebody else owns. Not zero-terminated. */
typedef struct nacre_span {
    const uint8_t *p;
    size_t n;
} nacre_span;

/* The same, writable: room lent to the caller. */
typedef struct nacre_room {
    uint8_t *p;
    size_t n;
} nacre_room;

/*
 * The status table: symbol, number, class, SSH disconnect reason (RFC 4253 11.1; 0: none is sent),
 * default text. Numbers are never reused.
 */
#define NACRE_STATUS_TABLE(X)                                                                      \
    X(OK, 0, OK, 0, "success")                                                                     \
    X(AGAIN, -1, AGAIN, 0, "nothing to do until more input, room or time arrives")                 \
    X(INVALID_ARGUMENT, -2, USAGE, 0, "invalid argument")                                          \
    X(WRONG_STATE, -3, USAGE, 0, "not possible in the present state")                              \
    X(UNKNOWN_NAME, -4, USAGE, 0, "unknown name")                                                  \
    X(TOO_LARGE, -5, USAGE, 0, "too large")                                                        \
    X(NOT_FOUND, -6, USAGE, 0, "not found")                                                        \
    X(UNSUPPORTED, -7, USAGE, 0, "not supported")                                                  \
    X(EXISTS, -8, USAGE, 0, "exists already")                                                      \
    X(SYNTAX, -9, USAGE, 0, "syntax error")                                                        \
    X(NO_MEMORY, -10, MEMORY, 11, "out of memory")                                                 \
    X(LIMIT, -11, MEMORY, 11, "a limit was reached")                                               \
    X(PROTOCOL, -20, PEER, 2, "protocol error")                                                    \
    X(MALFORMED, -21, PEER, 2, "malformed message")                                                \
    X(VERSION, -22, PEER, 8, "not an SSH-2 peer")                                                  \
    X(NO_COMMON_ALGORITHM, -23, PEER, 3, "no common algorithm")                                    \
    X(INTEGRITY, -24, PEER, 5, "message integrity check failed")                                   \
    X(OUT_OF_PLACE, -25, PEER, 2, "message not allowed here")                                      \
    X(OVERSIZED, -26, PEER, 2, "message larger than allowed")                                      \
    X(WINDOW, -27, PEER, 2, "window overrun")                                                      \
    X(COMPRESSION, -28, PEER, 6, "compressed data is bad")                                         \
    X(STRICT_KEX, -29, PEER, 3, "strict key exchange violated")                                    \
    X(PEER_DISCONNECTED, -30, CLOSED, 0, "the peer disconnected")                                  \
    X(KEX_FAILED, -31, PEER, 3, "key exchange failed")                                             \
    X(SERVICE, -32, PEER, 7, "service not available")                                              \
    X(CRYPTO, -40, CRYPTO, 3, "a cryptographic operation failed")                                  \
    X(RANDOM, -41, CRYPTO, 3, "no randomness")                                                     \
    X(BAD_SIGNATURE, -42, CRYPTO, 3, "bad signature")                                              \
    X(BAD_KEY, -43, CRYPTO, 3, "unacceptable key")                                                 \
    X(HOST_KEY_UNKNOWN, -50, TRUST, 9, "host key is not known")                                    \
    X(HOST_KEY_CHANGED, -51, TRUST, 9, "host key has changed")                                     \
    X(HOST_KEY_OTHER_TYPE, -52, TRUST, 9, "host is known by a key of another type")                \
    X(HOST_KEY_REJECTED, -53, TRUST, 9, "host key rejected")                                       \
    X(HOST_KEY_REVOKED, -54, TRUST, 9, "host key is revoked")                                      \
    X(KEY_REVOKED, -55, TRUST, 9, "key is revoked")                                                \
    X(CERT_REFUSED, -56, TRUST, 9, "the certificate is not good for this")                         \
    X(AUTH_FAILED, -60, AUTH, 14, "authentication failed")                                         \
    X(AUTH_PARTIAL, -61, AUTH, 0, "authentication goes on with another method")                    \
    X(AUTH_LIMIT, -62, AUTH, 2, "too many authentication attempts")                                \
    X(LOGIN_TIMEOUT, -63, AUTH, 2, "login took too long")                                          \
    X(KEY_FORMAT, -70, KEYFILE, 0, "not a key file of a known format")                             \
    X(KEY_CIPHER, -71, KEYFILE, 0, "key file is encrypted with an unknown cipher")                 \
    X(KEY_KDF, -72, KEYFILE, 0, "key file uses an unknown key derivation")                         \
    X(WRONG_PASSPHRASE, -73, KEYFILE, 0, "wrong passphrase")                                       \
    X(NEED_PASSPHRASE, -74, KEYFILE, 0, "the key needs a passphrase")                              \
    X(NOT_PRIVATE, -75, KEYFILE, 0, "a public key where a private one is needed")                  \
    X(KEY_PERMISSIONS, -76, KEYFILE, 0, "private key file is accessible by others")                \
    X(KEY_NEEDS_AGENT, -77, KEYFILE, 0, "the key signs only in its security key, by an agent")     \
    X(AGENT_REFUSED, -120, AUTH, 0, "the agent refused")                                           \
    X(AGENT_PROTOCOL, -121, PEER, 0, "the agent sent nonsense")                                    \
    X(CLOSED, -80, CLOSED, 0, "closed")                                                            \
    X(END, -81, CLOSED, 0, "end of input")                                                         \
    X(CHANNEL_REFUSED, -82, CLOSED, 0, "channel open refused")                                     \
    X(REQUEST_REFUSED, -83, CLOSED, 0, "request refused")                                          \
    X(CANCELLED, -84, CLOSED, 0, "cancelled")                                                      \
    X(TIMEOUT, -85, CLOSED, 0, "timed out")                                                        \
    X(KEEPALIVE, -86, CLOSED, 0, "the peer no longer answers")                                     \
    X(IO, -90, OS, 0, "input/output error")                                                        \
    X(RESOLVE, -91, OS, 0, "host name not resolved")                                               \
    X(CONNECT, -92, OS, 0, "connection failed")                                                    \
    X(SFTP_STATUS, -100, SFTP, 0, "the server refused the file operation")                         \
    X(SFTP_PROTOCOL, -101, SFTP, 0, "bad SFTP message")                                            \
    X(INCOMPLETE, -102, SFTP, 0, "transfer incomplete")                                            \
    X(MISMATCH, -103, SFTP, 0, "what is there is not the beginning of the file")                   \
    X(SOME_FAILED, -104, SFTP, 0, "some files were not copied")                                    \
    X(SCP_REFUSED, -110, SFTP, 0, "the other scp reported an error")                               \
    X(SCP_PROTOCOL, -111, SFTP, 0, "bad scp message")

typedef enum nacre_status {
#define NACRE_STATUS_ENUM(sym, num, cls, disc, text) NACRE_##sym = (num),
    NACRE_STATUS_TABLE(NACRE_STATUS_ENUM)
#undef NACRE_STATUS_ENUM
} nacre_status;

/* What kind of trouble a status is; stable, for programs that react to kinds. */
typedef enum nacre_class {
    NACRE_CLASS_OK,
    NACRE_CLASS_AGAIN,
    NACRE_CLASS_USAGE,
    NACRE_CLASS_MEMORY,
    NACRE_CLASS_PEER,
    NACRE_CLASS_CRYPTO,
    NACRE_CLASS_TRUST,
    NACRE_CLASS_AUTH,
    NACRE_CLASS_KEYFILE,
    NACRE_CLASS_CLOSED,
    NACRE_CLASS_OS,
    NACRE_CLASS_SFTP
} nacre_class;

/* Default text, symbol ("NACRE_AGAIN") and class of a status; any int is accepted. Static strings. */
NACRE_API const char *nacre_status_text(int status);
NACRE_API const char *nacre_status_symbol(int status);
NACRE_API nacre_class nacre_status_class(int status);

typedef enum nacre_blame { NACRE_BY_US = 0, NACRE_BY_PEER = 1 } nacre_blame;

/*
 * What went wrong, in detail. A plain struct: copy it freely. text is one sentence (or a few) for a
 * person: what was wrong, where, what to do. Bytes that came from the peer are escaped in it, so that
 * it can be shown on a terminal.
 *
 * A function of the library that takes one to fill clears it first, so it need not be initialised and
 * says nothing of earlier calls; status is NACRE_OK after success. NULL is good where nobody wants to know.
 */
typedef struct nacre_error {
    int status;     /* a nacre_status; NACRE_OK: no error                              */
    nacre_blame by; /* who broke the rule                                              */
    uint32_t
        disconnect_reason; /* RFC 4253 11.1 reason sent or received; 0: none                  */
    /* errno for class OS, SSH_FX_* for SFTP_STATUS, the code of RFC 4819 from nacre_publickey_*, else 0 */
    uint32_t detail;
    char text[960]; /* always terminated; "" when there is nothing to add              */
} nacre_error;

/*
 * Memory. All allocation of the library goes through one of these (libcrypto's and libsodium's own
 * apart). NULL wherever one is asked for means malloc, realloc and free. A function may fail by
 * returning NULL; the call then fails with NACRE_NO_MEMORY and changes nothing. The struct is kept
 * by reference for as long as any object made with it lives.
 */
typedef struct nacre_allocator {
    void *(*alloc)(void *user, size_t size);
    void *(*resize)(void *user, void *p, size_t size); /* as realloc; p may be NULL */
    void (*release)(void *user, void *p);              /* as free; p may be NULL    */
    void *user;
} nacre_allocator;

/* Fills out with n bytes fit for keys; 0 on success. NULL hook: libcrypto's RAND_priv_bytes. */
typedef int (*nacre_random_fn)(void *user, uint8_t *out, size_t n);

typedef enum nacre_log_level {
    NACRE_LOG_QUIET = 0,
    NACRE_LOG_ERROR,
    NACRE_LOG_INFO,
    NACRE_LOG_VERBOSE, /* what ssh -v shows: phases, algorithms, methods tried */
    NACRE_LOG_DEBUG,   /* -vv: messages                                        */
    NACRE_LOG_TRACE    /* -vvv: packets, windows                               */
} nacre_log_level;

/* One line, no newline, no secret, peer text escaped. May be called while an engine steps. */
typedef void (*nacre_log_fn)(void *user, nacre_log_level level, const char *line);

/* The library's version, "0.1.0"; also as number: major << 16 | minor << 8 | patch. */
#define NACRE_VERSION_MAJOR 0
#define NACRE_VERSION_MINOR 1
#define NACRE_VERSION_PATCH 0
NACRE_API const char *nacre_version(void);
NACRE_API uint32_t nacre_version_number(void);

/*
 * Writes text of unknown origin for a terminal or a log: printable ASCII and well-formed UTF-8
 * (no C1 controls) as they are, everything else as \ooo. Always terminates; returns the length that
 * the whole needs, like snprintf.
 */
NACRE_API size_t nacre_escape(char *out, size_t size, nacre_span text);

#ifdef __cplusplus
}
#endif
#endif
