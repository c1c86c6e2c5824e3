/*
 * server_job.h - the one request that may take long: copy-data and check-file are worked on in pieces,
 * a bounded amount of each input or flush, so that other sessions on the same thread have their turn.
 * While a job is there no other request is worked on.
 */
#ifndef NC_SFTP_SERVER_JOB_H
#define NC_SFTP_SERVER_JOB_H

#include "crypto/crypto.h"
#include "nacre/sftp_server.h"
#include "wire/wr.h"

struct nc_ticket;
struct nc_handle;
struct nc_run;

/* What a handler returns when it has begun a job: no status, and not LATER either. */
#define NC_JOB_BEGUN UINT32_C(0xFFFFFFFE)

enum {
    NC_JOB_BUDGET = 4 * 1024 * 1024, /* bytes read or copied in one input or flush */
    NC_CHECK_CHUNK = 64 * 1024,
    NC_CHECK_LEAST_BLOCK = 256 /* filexfer-extensions 3 */
};

typedef struct nc_check_alg {
    const char *name;
    int hash; /* nc_hash_id; -1: CRC-32 */
    size_t len;
} nc_check_alg;

typedef struct nc_job {
    enum { NC_JOB_NONE, NC_JOB_COPY, NC_JOB_CHECK } kind;
    bool parked; /* the application will answer later */
    bool done;   /* code says how; the reply is due */
    bool to_end; /* left counts nothing */
    uint32_t code;
    char note[128]; /* the application's text for a failure; "": none */
    struct nc_ticket *ticket;
    struct nc_handle *from, *to; /* COPY; they stay while the job does: CLOSE must wait */
    uint64_t from_offset, to_offset, left;

    /* CHECK */
    const nc_check_alg *alg;
    void *file;
    bool own_file; /* opened by name, for this */
    bool opening;
    nc_hasher *hasher;
    uint32_t crc;
    uint32_t block, block_left; /* block 0: all is one */
    uint8_t *chunk;
    nc_buf hashes;
} nc_job;

/* Works while there is budget; a finished job is replied to. */
int nc_server_job_step(nacre_sftp_server *s) NACRE_MUST_CHECK;
void nc_server_job_drop(nacre_sftp_server *s);
bool nc_server_job_runnable(const nacre_sftp_server *s);
/* The late answers to the job's ticket. */
int nc_server_job_answered(nacre_sftp_server *s, uint32_t code, const char *text);
int nc_server_job_opened(nacre_sftp_server *s, void *file);
int nc_server_job_data(nacre_sftp_server *s, nacre_span data);

/* Ends the job with a status; an application's text is copied. */
void nc_job_finish(nc_job *j, uint32_t code, const char *text);
/* The call for an operation of the job, and what follows from LATER. */
nacre_sftp_call nc_job_call(nacre_sftp_server *s);
void nc_job_park(nacre_sftp_server *s);

/* server_check.c */
uint32_t nc_server_run_check_handle(struct nc_run *run);
uint32_t nc_server_run_check_name(struct nc_run *run);
void nc_check_step(nacre_sftp_server *s);
void nc_check_take(nacre_sftp_server *s, nacre_span data);
void nc_check_end_of_file(nacre_sftp_server *s);
/* The reply behind its id: what check-file's own name begins with, the algorithm, the hashes. */
void nc_check_put_reply(nc_wr *w, int ext, nacre_span algorithm, nacre_span hashes);
/* "sha256,..." as VERSION announces it. */
const char *nc_check_algorithms(void);

#endif
