/*
 * nacre/sftp_batch.h - many small requests in one go: all are on the way together, so that a thousand
 * stats cost a few round trips instead of a thousand.
 *
 *     nacre_sftp_batch *b;
 *     nacre_sftp_batch_new(&b, s);
 *     for (...) nacre_sftp_batch_stat(b, path[i], &index);
 *     nacre_sftp_batch_run(b);
 *     for (...) nacre_sftp_batch_result(b, i)->status ...
 *
 * A batch keeps the order in which requests were added; a server may work on several at once, so one
 * request must not rely on another of the same batch.
 */
#ifndef NACRE_SFTP_BATCH_H
#define NACRE_SFTP_BATCH_H

#include "nacre/sftp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nacre_sftp_batch nacre_sftp_batch;

typedef struct nacre_sftp_result {
    /* NACRE_OK, NACRE_SFTP_STATUS, or why there is no answer; NACRE_AGAIN until it was sent */
    int status;
    uint32_t code; /* NACRE_FX_* */
    const char
        *message; /* a sentence with the path in it; "" for success. Borrowed from the batch */
    nacre_sftp_attrs attrs; /* stat, lstat; without extended pairs */
    const char *path;       /* readlink, realpath: the answer; else NULL. Borrowed from the batch */
} nacre_sftp_result;

NACRE_API int nacre_sftp_batch_new(nacre_sftp_batch **out, nacre_sftp *s) NACRE_MUST_CHECK;
/* Before its session is closed. NULL ok. */
NACRE_API void nacre_sftp_batch_free(nacre_sftp_batch *b);

/* Each adds a request, which leaves with nacre_sftp_batch_run; *index (NULL ok) names its result. Paths
 * are copied. They fail with NACRE_NO_MEMORY, or NACRE_INVALID_ARGUMENT for an empty path, alone. */
NACRE_API int nacre_sftp_batch_stat(nacre_sftp_batch *b, const char *path,
                                    size_t *index) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_batch_lstat(nacre_sftp_batch *b, const char *path,
                                     size_t *index) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_batch_setstat(nacre_sftp_batch *b, const char *path,
                                       const nacre_sftp_attrs *attrs,
                                       size_t *index) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_batch_mkdir(nacre_sftp_batch *b, const char *path, uint32_t mode,
                                     size_t *index) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_batch_rmdir(nacre_sftp_batch *b, const char *path,
                                     size_t *index) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_batch_remove(nacre_sftp_batch *b, const char *path,
                                      size_t *index) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_batch_rename(nacre_sftp_batch *b, const char *from, const char *to,
                                      size_t *index) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_batch_symlink(nacre_sftp_batch *b, const char *target, const char *link,
                                       size_t *index) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_batch_readlink(nacre_sftp_batch *b, const char *path,
                                        size_t *index) NACRE_MUST_CHECK;
NACRE_API int nacre_sftp_batch_realpath(nacre_sftp_batch *b, const char *path,
                                        size_t *index) NACRE_MUST_CHECK;

/*
 * Sends what was added since the last run and waits for every answer. NACRE_OK when all were answered,
 * whatever the answers: *refused (NULL ok) counts those that are not NACRE_OK. Else why the waiting ended
 * (NACRE_TIMEOUT, NACRE_CANCELLED, a broken connection); results that did not come have that status.
 */
NACRE_API int nacre_sftp_batch_run(nacre_sftp_batch *b, size_t *refused) NACRE_MUST_CHECK;
/* NULL when index is beyond the last. Borrowed until the next request is added, or the batch is freed. */
NACRE_API const nacre_sftp_result *nacre_sftp_batch_result(const nacre_sftp_batch *b, size_t index);

#ifdef __cplusplus
}
#endif
#endif
