/*
 * server_check.c - check-file: hashes of what a file holds, in blocks or as a whole, by
 * draft-ietf-secsh-filexfer-extensions-00 section 3. Made from the application's open, read and close,
 * unless it has hashes of its own.
 */
#include "sftp/server.h"

#include <string.h>

/* In the order of VERSION's list: what a client should prefer comes first. */
static const nc_check_alg algs[] = {
    {"sha256", NC_SHA256, 32}, {"sha512", NC_SHA512, 64}, {"sha384", NC_SHA384, 48},
    {"sha224", NC_SHA224, 28}, {"sha1", NC_SHA1, 20},     {"md5", NC_MD5, 16},
    {"crc32", -1, 4},
};

const char *nc_check_algorithms(void)
{
    return "sha256,sha512,sha384,sha224,sha1,md5,crc32";
}

static const nc_check_alg *choose(nacre_span list)
{
    nacre_span name;
    while (nc_namelist_next(&list, &name)) {
        for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
            if (nc_span_is(name, algs[i].name)) {
                return &algs[i];
            }
        }
    }
    return NULL;
}

void nc_check_put_reply(nc_wr *w, int ext, nacre_span algorithm, nacre_span hashes)
{
    /* Whoever asks by the older drafts' one name gets their reply, which begins with it. */
    if (ext == NACRE_SFTP_EXT_CHECK_FILE) {
        nc_wr_cstr(w, nc_sftp_ext_name(NACRE_SFTP_EXT_CHECK_FILE));
    }
    nc_wr_str(w, algorithm);
    nc_wr_bytes(w, hashes);
}

/* ISO 3309, reflected, four bits at a time. */
static uint32_t crc32(uint32_t crc, nacre_span data)
{
    static const uint32_t of[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                    0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                    0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    crc = ~crc;
    for (size_t i = 0; i < data.n; i++) {
        crc ^= data.p[i];
        crc = crc >> 4 ^ of[crc & 15];
        crc = crc >> 4 ^ of[crc & 15];
    }
    return ~crc;
}

/* ---- hashing -------------------------------------------------------------------------------------- */

static bool end_block(nacre_sftp_server *s)
{
    nc_job *j = &s->job;
    uint8_t hash[NC_MAX_HASH];
    int rc = NACRE_OK;
    if (j->hasher) {
        rc = nc_hasher_final(j->hasher, hash);
    } else {
        nc_put_u32(hash, j->crc);
        j->crc = 0;
    }
    j->block_left = j->block;
    rc = rc == NACRE_OK ? nc_buf_append(&j->hashes, hash, j->alg->len) : rc;
    if (rc != NACRE_OK) {
        nc_job_finish(j, NACRE_FX_FAILURE, rc == NACRE_LIMIT ? "Too many blocks" : NULL);
    }
    return rc == NACRE_OK;
}

static void all_hashed(nacre_sftp_server *s)
{
    nc_job *j = &s->job;
    /* Without blocks even nothing has a hash. */
    if (j->block == 0 || j->block_left < j->block) {
        if (!end_block(s)) {
            return;
        }
    }
    nc_job_finish(j, NACRE_FX_OK, NULL);
}

void nc_check_end_of_file(nacre_sftp_server *s)
{
    all_hashed(s);
}

void nc_check_take(nacre_sftp_server *s, nacre_span data)
{
    nc_job *j = &s->job;
    int rc = NACRE_OK;
    if (j->hasher) {
        rc = nc_hasher_update(j->hasher, data);
    } else {
        j->crc = crc32(j->crc, data);
    }
    if (rc != NACRE_OK) {
        nc_job_finish(j, NACRE_FX_FAILURE, NULL);
        return;
    }
    j->from_offset += data.n;
    j->left -= j->to_end ? 0 : data.n;
    j->block_left -= j->block ? (uint32_t)data.n : 0;
    if (j->block > 0 && j->block_left == 0 && !end_block(s)) {
        return;
    }
    if (!j->to_end && j->left == 0) {
        all_hashed(s);
    }
}

static size_t next_piece(const nc_job *j)
{
    size_t want = NC_CHECK_CHUNK;
    want = !j->to_end && j->left < want ? (size_t)j->left : want;
    return j->block > 0 && j->block_left < want ? j->block_left : want;
}

void nc_check_step(nacre_sftp_server *s)
{
    nc_job *j = &s->job;
    size_t got = 0;
    size_t want = next_piece(j);
    nacre_room room = {j->chunk, want};
    nacre_sftp_call call = nc_job_call(s);
    if (want > UINT64_MAX - j->from_offset) {
        all_hashed(s); /* no file reaches there */
        return;
    }
    j->ticket->want = (uint32_t)want;
    uint32_t code = s->ops.read(&call, j->file, j->from_offset, &room, 1, want, &got);
    if (code == NACRE_SFTP_LATER) {
        nc_job_park(s);
    } else if (code == NACRE_FX_EOF || (code == NACRE_FX_OK && got == 0)) {
        all_hashed(s);
    } else if (code != NACRE_FX_OK || got > want) {
        nc_job_finish(j, code != NACRE_FX_OK ? code : NACRE_FX_FAILURE, call.message);
    } else {
        s->budget -= got < s->budget ? got : s->budget;
        nc_check_take(s, nc_span(j->chunk, got));
    }
}

/* ---- the requests --------------------------------------------------------------------------------- */

typedef struct fields {
    nacre_span algorithms;
    uint64_t offset, length;
    uint32_t block;
} fields;

static uint32_t rd_fields(nc_run *run, fields *f)
{
    f->algorithms = nc_rd_str(&run->r);
    f->offset = nc_rd_u64(&run->r);
    f->length = nc_rd_u64(&run->r);
    f->block = nc_rd_u32(&run->r);
    if (nc_rd_err(&run->r) != NACRE_OK || nc_sftp_has_nul(f->algorithms)) {
        return NACRE_FX_BAD_MESSAGE;
    }
    if (f->block > 0 && f->block < NC_CHECK_LEAST_BLOCK) {
        run->call.message = "Block size too small";
        return NACRE_FX_FAILURE;
    }
    return NACRE_FX_OK;
}

/* What the application has of its own. OP_UNSUPPORTED: nothing, read on. */
static uint32_t ask_application(nc_run *run, void *file, nacre_span path, const fields *f)
{
    nacre_sftp_server *s = run->s;
    if (!s->ops.check_file) {
        return NACRE_FX_OP_UNSUPPORTED;
    }
    char *list = nc_strndup(s->alloc, f->algorithms);
    if (!list) {
        return NACRE_FX_FAILURE;
    }
    run->answer.w = nc_server_reply_begin(&s->reply, NACRE_FXP_EXTENDED_REPLY, run->ticket->id);
    run->answer.kind = NC_ANSWER_HASHES;
    run->answer.ext = run->ticket->row->ext;
    uint32_t code = s->ops.check_file(&run->call, file, path, list, f->offset, f->length, f->block,
                                      &run->answer);
    nc_free(s->alloc, list);
    if (code == NACRE_FX_OK && (run->answer.failed || run->answer.count != 1)) {
        code = NACRE_FX_FAILURE;
    }
    if (code == NACRE_FX_OP_UNSUPPORTED) {
        memset(&run->answer, 0, sizeof(run->answer));
    }
    return code;
}

static uint32_t begin(nc_run *run, const fields *f)
{
    nacre_sftp_server *s = run->s;
    nc_job *j = &s->job;
    const nc_check_alg *alg = choose(f->algorithms);
    if (!alg) {
        run->call.message = "No supported hash algorithm";
        return NACRE_FX_FAILURE;
    }
    memset(j, 0, sizeof(*j));
    nc_buf_init(&j->hashes, s->alloc, NC_SFTP_MAX_PACKET - 128); /* a reply's, less its head */
    j->alg = alg;
    j->ticket = run->ticket;
    j->from_offset = f->offset;
    j->left = f->length;
    j->to_end = f->length == 0;
    j->block = j->block_left = f->block;
    j->chunk = nc_alloc(s->alloc, NC_CHECK_CHUNK);
    int rc = j->chunk ? NACRE_OK : NACRE_NO_MEMORY;
    if (rc == NACRE_OK && alg->hash >= 0) {
        rc = nc_hasher_new(&j->hasher, s->alloc, nc_hash_get((nc_hash_id)alg->hash));
    }
    if (rc != NACRE_OK) {
        nc_server_job_drop(s);
        return NACRE_FX_FAILURE;
    }
    j->kind = NC_JOB_CHECK;
    return NC_JOB_BEGUN;
}

uint32_t nc_server_run_check_handle(nc_run *run)
{
    nacre_sftp_server *s = run->s;
    nc_handle *h = NULL;
    fields f;
    nacre_span wire = nc_rd_str(&run->r);
    uint32_t code = rd_fields(run, &f);
    if (code != NACRE_FX_OK) {
        return code;
    }
    code = nc_server_check_handle(s, wire, NC_HANDLE_FILE, NACRE_FXF_READ, &h, &run->call.message);
    if (code != NACRE_FX_OK) {
        return code;
    }
    nc_logf(&s->log, NACRE_LOG_INFO, "check-file \"%s\"", nc_handle_name(h));
    code = ask_application(run, h->object, nc_span(NULL, 0), &f);
    if (code != NACRE_FX_OP_UNSUPPORTED) {
        return code;
    }
    code = begin(run, &f);
    s->job.file = code == NC_JOB_BEGUN ? h->object : NULL;
    return code;
}

static uint32_t open_by_name(nc_run *run, nacre_span path)
{
    static const nacre_sftp_attrs none;
    nacre_sftp_server *s = run->s;
    nc_job *j = &s->job;
    j->own_file = true;
    uint32_t code = s->ops.open(&run->call, path, NACRE_FXF_READ, &none, &j->file);
    if (code == NACRE_SFTP_LATER) {
        j->opening = true;
        j->file = NULL;
        nc_job_park(s);
        return NC_JOB_BEGUN;
    }
    if (code == NACRE_FX_OK) {
        return NC_JOB_BEGUN;
    }
    j->own_file = false;
    nc_server_job_drop(s);
    return code;
}

uint32_t nc_server_run_check_name(nc_run *run)
{
    fields f;
    nacre_span path;
    uint32_t code = nc_server_rd_path(run, &path);
    code = code == NACRE_FX_OK ? rd_fields(run, &f) : code;
    if (code != NACRE_FX_OK) {
        return code;
    }
    nc_server_log_path(run, "check-file", path);
    code = ask_application(run, NULL, path, &f);
    if (code != NACRE_FX_OP_UNSUPPORTED) {
        return code;
    }
    code = begin(run, &f);
    return code == NC_JOB_BEGUN ? open_by_name(run, path) : code;
}
