/*
 * server_access.c - who may do what: the session's read-only rule and lists of requests, and what a
 * handle was opened for. Every operation passes here, those on handles too: OpenSSH (CVE-2017-15906) and
 * others have forgotten one and let read-only clients write.
 */
#include "sftp/server.h"

#include <string.h>

bool nc_server_op_there(const nacre_sftp_server_ops *ops, const nc_request_row *row)
{
    if (row->op == 0) {
        return true;
    }
    void (*fn)(void) = NULL;
    memcpy(&fn, (const uint8_t *)ops + row->op, sizeof(fn));
    return fn != NULL;
}

static uint64_t row_bit(const nc_request_row *row)
{
    return UINT64_C(1) << (row - nc_request_rows);
}

bool nc_server_permits(const nacre_sftp_server *s, const nc_request_row *row)
{
    if ((s->denied & row_bit(row)) || (row->writes && s->read_only)) {
        return false;
    }
    if (row->run != nc_server_run_check_handle && row->run != nc_server_run_check_name) {
        return true;
    }
    /* Hashes of small blocks are as good as the bytes: who may not read gets none. */
    const nc_request_row *rd = nc_server_find_row(NACRE_FXP_READ, nc_span(NULL, 0));
    const nc_request_row *op = nc_server_find_row(NACRE_FXP_OPEN, nc_span(NULL, 0));
    return nc_server_op_there(&s->ops, rd) && !(s->denied & (row_bit(rd) | row_bit(op)));
}

uint32_t nc_server_gate(const nacre_sftp_server *s, const nc_request_row *row)
{
    if (!nc_server_permits(s, row)) {
        return NACRE_FX_PERMISSION_DENIED;
    }
    return nc_server_op_there(&s->ops, row) ? NACRE_FX_OK : NACRE_FX_OP_UNSUPPORTED;
}

bool nc_server_permits_pflags(const nacre_sftp_server *s, uint32_t pflags)
{
    const uint32_t changes = NACRE_FXF_WRITE | NACRE_FXF_APPEND | NACRE_FXF_CREAT | NACRE_FXF_TRUNC;
    return !s->read_only || (pflags & changes) == 0;
}

uint32_t nc_server_check_handle(const nacre_sftp_server *s, nacre_span wire, nc_handle_kind kind,
                                uint32_t pflags, nc_handle **out, const char **text)
{
    *out = nc_handles_find(&s->handles, wire, kind);
    if (!*out) {
        *text = "Invalid handle";
        return NACRE_FX_FAILURE;
    }
    if (pflags & ~(*out)->pflags) {
        *text = pflags & NACRE_FXF_WRITE ? "Handle is not open for writing"
                                         : "Handle is not open for reading";
        return NACRE_FX_PERMISSION_DENIED;
    }
    return NACRE_FX_OK;
}

/* The application's extensions have the bits behind the rows; what has no bit follows "all" or "none". */
static uint64_t ext_bit(size_t index)
{
    size_t bit = nc_request_row_count + index;
    return UINT64_C(1) << (bit < 63 ? bit : 63);
}

uint64_t nc_server_name_bit(const nacre_sftp_server *s, nacre_span name)
{
    for (size_t i = 0; i < nc_request_row_count; i++) {
        if (nc_span_is(name, nc_request_rows[i].name)) {
            return row_bit(&nc_request_rows[i]);
        }
    }
    const struct nacre_sftp_server_ext *x = s->ops.extensions;
    for (size_t i = 0; x && x[i].name; i++) {
        if (nc_span_is(name, x[i].name)) {
            return ext_bit(i);
        }
    }
    return 0;
}

const struct nacre_sftp_server_ext *nc_server_find_ext(const nacre_sftp_server *s, nacre_span name,
                                                       bool *denied)
{
    const struct nacre_sftp_server_ext *x = s->ops.extended ? s->ops.extensions : NULL;
    *denied = false;
    for (size_t i = 0; x && x[i].name; i++) {
        if (nc_span_is(name, x[i].name)) {
            *denied = (s->denied & ext_bit(i)) || (x[i].writes && s->read_only);
            return *denied ? NULL : &x[i];
        }
    }
    return NULL;
}

const char *nacre_sftp_server_request_name(size_t n)
{
    return n < nc_request_row_count ? nc_request_rows[n].name : NULL;
}
