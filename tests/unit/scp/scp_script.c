#include "scp_script.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(char *log, size_t size, const char *fmt, ...) NACRE_PRINTF(3, 4);

static void say(char *log, size_t size, const char *fmt, ...)
{
    size_t n = strlen(log);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(log + n, size - n, fmt, ap);
    va_end(ap);
}

uint8_t script_byte(const char *name, uint64_t offset)
{
    return (uint8_t)((uint8_t)name[0] + offset * 7 + offset / 251);
}

/* ---- the source --------------------------------------------------------------------------------------- */

static int script_next(void *user, nc_scp_record *out, nacre_error *why)
{
    script *s = user;
    if (s->next == s->count) {
        out->kind = NC_SCP_DONE;
        return NACRE_OK;
    }
    const script_thing *t = &s->things[s->next++];
    out->kind = t->kind;
    out->name = nc_span_cstr(t->name);
    out->st.mode = t->mode;
    out->st.size = t->size;
    out->st.has_times = t->has_times;
    out->st.mtime = t->mtime;
    out->st.atime = t->atime;
    out->item = (void *)(uintptr_t)t;
    s->now = t;
    s->done = 0;
    if (t->kind == NC_SCP_NOTE) {
        (void)nc_fail(why, NACRE_IO, "%s", t->note);
    }
    return NACRE_OK;
}

static int script_read(void *user, const nacre_room *rooms, size_t count, size_t want, size_t *got,
                       nacre_error *why)
{
    script *s = user;
    uint64_t end = s->now->size - s->now->missing;
    (void)why;
    *got = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < rooms[i].n && *got < want && s->done < end; k++) {
            rooms[i].p[k] = script_byte(s->now->name, s->done++);
            ++*got;
        }
    }
    return NACRE_OK;
}

static void script_over(void *user, const nc_scp_record *r, const nacre_error *why)
{
    script *s = user;
    const script_thing *t = r->item;
    say(s->log, sizeof(s->log), "%s %s\n", t->name, why->status == NACRE_OK ? "ok" : why->text);
    if (r->kind == NC_SCP_DIR && why->status != NACRE_OK) {
        for (int deep = 1; deep > 0; s->next++) {
            nc_scp_kind k = s->things[s->next].kind;
            deep += k == NC_SCP_DIR ? 1 : k == NC_SCP_LEAVE ? -1 : 0;
        }
    }
}

static void script_note(void *user, const char *text)
{
    script *s = user;
    say(s->log, sizeof(s->log), "note %s\n", text);
}

const nc_scp_source_ops script_source_ops = {script_next, script_read, script_over, script_note};

/* ---- the sink ----------------------------------------------------------------------------------------- */

static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; p && *p;) {
        size_t len = strcspn(p, " ");
        if (len == n && memcmp(p, name, n) == 0) {
            return true;
        }
        p += len + strspn(p + len, " ");
    }
    return false;
}

static void keep_name(journal *j, const nc_scp_record *r)
{
    size_t n = r->name.n < sizeof(j->name) - 1 ? r->name.n : sizeof(j->name) - 1;
    memcpy(j->name, r->name.p, n);
    j->name[n] = '\0';
}

static int announced(journal *j, const char *what, const nc_scp_record *r, nacre_error *why)
{
    keep_name(j, r);
    if (listed(j->refuse, j->name)) {
        return nc_fail(why, NACRE_IO, "%s: refused", j->name);
    }
    say(j->log, sizeof(j->log), "%s %s %04o %llu", what, j->name, (unsigned)r->st.mode,
        (unsigned long long)r->st.size);
    if (r->st.has_times) {
        say(j->log, sizeof(j->log), " %llu %llu", (unsigned long long)r->st.mtime,
            (unsigned long long)r->st.atime);
    }
    say(j->log, sizeof(j->log), "\n");
    j->size = r->st.size;
    j->done = 0;
    return NACRE_OK;
}

static int journal_file(void *user, const nc_scp_record *r, nacre_error *why)
{
    return announced(user, "file", r, why);
}

static int journal_enter(void *user, const nc_scp_record *r, nacre_error *why)
{
    return announced(user, "dir", r, why);
}

static int journal_write(void *user, nacre_span data, nacre_error *why)
{
    journal *j = user;
    for (size_t i = 0; i < data.n; i++) {
        j->bad = j->bad || data.p[i] != script_byte(j->name, j->done + i);
    }
    j->done += data.n;
    if (listed(j->cancel, j->name)) {
        return NACRE_CANCELLED;
    }
    return listed(j->full, j->name) ? nc_fail(why, NACRE_IO, "%s: full", j->name) : NACRE_OK;
}

static int journal_finish(void *user, bool whole, nacre_error *why)
{
    journal *j = user;
    say(j->log, sizeof(j->log), "%s %llu%s\n", whole ? "whole" : "broken",
        (unsigned long long)j->done, j->bad ? " bad" : "");
    (void)why;
    return NACRE_OK;
}

static int journal_leave(void *user, nacre_error *why)
{
    journal *j = user;
    (void)why;
    say(j->log, sizeof(j->log), "leave\n");
    return NACRE_OK;
}

static void journal_note(void *user, const char *text)
{
    journal *j = user;
    say(j->log, sizeof(j->log), "note %s\n", text);
}

const nc_scp_sink_ops journal_sink_ops = {journal_file,   journal_enter, journal_write,
                                          journal_finish, journal_leave, journal_note};

/* ---- output, memory ----------------------------------------------------------------------------------- */

static int collect(void *ctx, const void *p, size_t n, size_t *took)
{
    collector *c = ctx;
    size_t room = sizeof(c->bytes) - c->len;
    if (c->write_rc != NACRE_OK) {
        return c->write_rc;
    }
    n = n < c->budget ? n : c->budget;
    *took = n < room ? n : room;
    if (*took > 0) {
        memcpy(c->bytes + c->len, p, *took);
    }
    c->len += *took;
    c->budget -= *took;
    return NACRE_OK;
}

static int consumed(void *ctx, size_t n)
{
    collector *c = ctx;
    c->consumed += n;
    return c->credit_rc;
}

void collector_pipe(collector *c, nacre_pipe *out)
{
    memset(c, 0, sizeof(*c));
    c->budget = SIZE_MAX;
    *out = (nacre_pipe){c, NULL, NULL, collect, consumed};
}
