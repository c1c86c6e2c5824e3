/*
 * sftp_file_at.c - reading and writing at named offsets: all requests of a call are on the way together,
 * and the call ends when all of them are answered.
 */
#include "client/sftp_file.h"

#include <string.h>

enum {
    /* Pieces that are fetched at a time. */
    MAX_READERS = 256,
    LEAST_SHARE = 32 * 1024
};

typedef struct memory {
    uint8_t *to;
    const uint8_t *from;
    uint64_t offset; /* of the first byte in the file */
    size_t n;
} memory;

static int into_memory(void *user, uint64_t offset, nacre_span bytes, nacre_error *err)
{
    memory *m = user;
    uint64_t at = offset - m->offset;
    if (offset < m->offset || at > m->n || bytes.n > m->n - at) {
        return nc_fail(err, NACRE_SFTP_PROTOCOL, "the server sent bytes nobody asked for");
    }
    memcpy(m->to + at, bytes.p, bytes.n);
    return NACRE_OK;
}

static int from_memory(void *user, uint64_t offset, const nacre_room *rooms, size_t count,
                       size_t want, size_t *got, nacre_error *err)
{
    (void)err;
    memory *m = user;
    size_t at = (size_t)(offset - m->offset);
    size_t done = 0;
    for (size_t i = 0; i < count && done < want && at + done < m->n; i++) {
        size_t n = m->n - at - done;
        n = n < rooms[i].n ? n : rooms[i].n;
        memcpy(rooms[i].p, m->from + at + done, n);
        done += n;
    }
    *got = done;
    return NACRE_OK;
}

static int check_range(nacre_sftp_file *f, uint64_t offset, size_t n)
{
    return offset > UINT64_MAX - n ? nc_sftp_fail(f->s, NACRE_TOO_LARGE, "%s: no file is that long",
                                                  NC_ESC(nc_span_cstr(f->path)))
                                   : NACRE_OK;
}

static void aim(nc_sftp_reader *r, nacre_sftp_file *f, memory *m)
{
    nc_sftp_reader_init(r, f->s, nc_file_handle(f), f->path, into_memory, m);
    r->flow.next = m->offset;
    r->flow.end = m->offset + m->n;
    r->depth = r->flow.max_requests; /* the caller wants just these bytes */
}

static size_t bytes_got(const nc_sftp_reader *r, const memory *m)
{
    uint64_t end = r->flow.end < r->top ? r->flow.end : r->top;
    return end > m->offset ? (size_t)(end - m->offset) : 0;
}

int nacre_sftp_file_pread(nacre_sftp_file *f, uint64_t offset, void *p, size_t n, size_t *got)
{
    memory m = {.to = p, .offset = offset, .n = n};
    nc_sftp_reader r;
    *got = 0;
    int rc = nacre_sftp_file_flush(f);
    rc = rc == NACRE_OK ? check_range(f, offset, n) : rc;
    if (rc != NACRE_OK || n == 0) {
        return rc;
    }
    aim(&r, f, &m);
    rc = nc_sftp_flow_run(&r.flow);
    if (rc != NACRE_OK) {
        return rc;
    }
    *got = bytes_got(&r, &m);
    return *got > 0 ? NACRE_OK : NACRE_END;
}

int nacre_sftp_file_pwrite(nacre_sftp_file *f, uint64_t offset, const void *p, size_t n)
{
    memory m = {.from = p, .offset = offset, .n = n};
    nc_sftp_writer w;
    int rc = nacre_sftp_file_flush(f);
    rc = rc == NACRE_OK ? check_range(f, offset, n) : rc;
    if (rc != NACRE_OK || n == 0) {
        return rc;
    }
    nc_ahead_drop(f);
    nc_sftp_writer_init(&w, f->s, nc_file_handle(f), f->path, from_memory, &m);
    w.flow.next = offset;
    w.flow.end = offset + n;
    w.size = offset + n;
    rc = nc_sftp_flow_run(&w.flow);
    if (rc == NACRE_OK && (f->pflags & NACRE_FXF_APPEND)) {
        f->end += n; /* the server put it there, whatever we said */
    }
    return rc;
}

/* ---- several places ----------------------------------------------------------------------------------- */

typedef struct slot {
    nc_sftp_reader r;
    memory m;
    nacre_sftp_piece *piece; /* NULL: free */
} slot;

typedef struct scatter {
    nacre_sftp_file *f;
    nacre_sftp_piece *pieces;
    size_t count, next;
    slot *slots;
    size_t slot_count;
    size_t running;
    uint64_t moved;     /* by flows that are over */
    nacre_error *error; /* of the flow that failed */
    uint32_t code;
} scatter;

static void start_piece(scatter *sc, slot *k)
{
    nacre_sftp_piece *piece = &sc->pieces[sc->next++];
    nacre_sftp *s = sc->f->s;
    uint64_t share = s->read_ahead / sc->slot_count;
    k->piece = piece;
    k->m = (memory){.to = piece->p, .offset = piece->offset, .n = piece->n};
    aim(&k->r, sc->f, &k->m);
    k->r.flow.cap = share > LEAST_SHARE ? share : LEAST_SHARE;
    nc_sftp_flow_start(&k->r.flow);
    sc->running++;
}

static void fill_slots(scatter *sc)
{
    for (size_t i = 0; i < sc->slot_count && sc->next < sc->count; i++) {
        while (sc->next < sc->count && sc->pieces[sc->next].n == 0) {
            sc->next++;
        }
        if (!sc->slots[i].piece && sc->next < sc->count) {
            start_piece(sc, &sc->slots[i]);
        }
    }
}

/* True when the caller has something to do: all is over, one failed, or a slot can be filled anew. */
static bool pieces_over(void *user)
{
    scatter *sc = user;
    bool freed = false;
    for (size_t i = 0; i < sc->slot_count; i++) {
        slot *k = &sc->slots[i];
        if (!k->piece || !nc_sftp_flow_over(&k->r.flow)) {
            continue;
        }
        if (k->r.flow.error.status != NACRE_OK) {
            sc->error = &k->r.flow.error;
            sc->code = k->r.flow.code;
            return true;
        }
        nc_sftp_flow_stop(&k->r.flow);
        k->piece->got = bytes_got(&k->r, &k->m);
        sc->moved += k->piece->got;
        k->piece = NULL;
        sc->running--;
        freed = true;
    }
    return sc->running == 0 || (freed && sc->next < sc->count);
}

static uint64_t moved(const scatter *sc)
{
    uint64_t n = sc->moved;
    for (size_t i = 0; i < sc->slot_count; i++) {
        n += sc->slots[i].piece ? sc->slots[i].r.flow.moved : 0;
    }
    return n;
}

static int run(scatter *sc)
{
    nacre_sftp *s = sc->f->s;
    int rc = NACRE_OK;
    fill_slots(sc);
    while (rc == NACRE_OK && sc->running > 0) {
        uint64_t before = moved(sc);
        rc = nc_sftp_wait(s, pieces_over, sc, s->timeout_ms);
        if (rc == NACRE_TIMEOUT && moved(sc) > before) {
            rc = NACRE_OK; /* only a time without any progress counts */
        } else if (rc != NACRE_OK) {
            rc = nc_file_fail(sc->f, "read", rc);
        } else if (sc->error) {
            s->error = *sc->error;
            s->status = sc->code;
            nc_sftp_tidy(s);
            rc = s->error.status;
        } else {
            fill_slots(sc);
        }
    }
    return rc;
}

int nacre_sftp_file_readv(nacre_sftp_file *f, nacre_sftp_piece *pieces, size_t count)
{
    int rc = nacre_sftp_file_flush(f);
    for (size_t i = 0; i < count && rc == NACRE_OK; i++) {
        pieces[i].got = 0;
        rc = check_range(f, pieces[i].offset, pieces[i].n);
    }
    if (rc != NACRE_OK || count == 0) {
        return rc;
    }
    scatter sc = {.f = f, .pieces = pieces, .count = count};
    sc.slot_count = count < MAX_READERS ? count : MAX_READERS;
    sc.slots = nc_alloc_array(f->s->alloc, sc.slot_count, sizeof(*sc.slots));
    if (!sc.slots) {
        return nc_sftp_fail(f->s, NACRE_NO_MEMORY, "no memory to read %s",
                            NC_ESC(nc_span_cstr(f->path)));
    }
    memset(sc.slots, 0, sc.slot_count * sizeof(*sc.slots));
    rc = run(&sc);
    for (size_t i = 0; i < sc.slot_count; i++) {
        if (sc.slots[i].piece) {
            nc_sftp_flow_stop(&sc.slots[i].r.flow);
        }
    }
    nc_free(f->s->alloc, sc.slots);
    return rc;
}
