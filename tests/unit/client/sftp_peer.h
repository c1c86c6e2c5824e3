/*
 * sftp_peer.h - an SFTP server in memory that says what a test wants it to say, and a session with it that
 * needs no thread, no socket and no clock: whatever the client has sent is answered at once, together,
 * which is one round trip. So round trips can be counted, and every failure comes at the same place again.
 */
#ifndef TEST_SFTP_PEER_H
#define TEST_SFTP_PEER_H

#include "client/sftp_session.h"

enum { PEER_FILES = 300, PEER_HANDLES = 300 };

typedef struct peer_file {
    char name[80];
    uint8_t *data;
    size_t size;
    uint32_t mode; /* with type bits */
    uint32_t atime, mtime;
} peer_file;

typedef struct peer_handle {
    char name[80]; /* "": closed */
    uint32_t pflags;
} peer_handle;

typedef struct sftp_peer {
    peer_file files[PEER_FILES];
    peer_handle handles[PEER_HANDLES];
    nc_buf in, out;
    bool cancelled;

    /* how it behaves */
    bool limits; /* announces 255 KiB */
    bool posix_rename, fsync, copy_data;
    const char *check; /* the one name of check-file that it announces and knows */
    const char *hash;  /* that it makes: "sha256", "md5" */
    bool bad_hash;
    size_t most; /* bytes of a READ reply at most; 0: as asked */
    bool lies;   /* about sizes: told_size */
    uint64_t told_size;
    unsigned shuffle; /* replies of a round trip come in another order: a seed; 0: in order */
    unsigned fail_at; /* this request is refused (the first is 1); 0: none */
    uint32_t fail_code;
    uint8_t refuse; /* requests of this type are refused by refuse_code */
    uint32_t refuse_code;
    const char *link, *link_to; /* the first is another name of the second: a hard link */
    size_t disk;                /* a WRITE beyond this size is refused; 0: no end */
    size_t lose_from;           /* a WRITE at or beyond is acknowledged and forgotten; 0: none */
    size_t cut_after;           /* bytes of replies until the connection is gone; SIZE_MAX: never */
    bool silent;                /* answers nothing any more */

    /* what happened */
    unsigned requests, trips;
    unsigned count[256]; /* by type */
    unsigned most_reads; /* in one round trip */
    bool broken_promise; /* the client used a handle or did something that it must not */
} sftp_peer;

void sftp_peer_init(sftp_peer *p);
void sftp_peer_clear(sftp_peer *p);
peer_file *sftp_peer_find(sftp_peer *p, const char *name);
/* A regular file; replaces. */
peer_file *sftp_peer_put(sftp_peer *p, const char *name, const void *data, size_t n, uint32_t mode);
unsigned sftp_peer_files(const sftp_peer *p);
unsigned sftp_peer_open_handles(const sftp_peer *p);
/* A session; whoever runs it drives the peer. alloc NULL: the C library's. */
int sftp_peer_session(sftp_peer *p, const nacre_allocator *alloc, nacre_sftp **out);

#endif
