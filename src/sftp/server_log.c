/*
 * server_log.c - what the server says about its work, in the words of OpenSSH's sftp-server, so that
 * what reads such logs reads ours.
 */
#include "sftp/server.h"

#include <stdio.h>

void nc_server_log_path(const nc_run *run, const char *what, nacre_span path)
{
    bool notable = run->ticket->row->writes || run->ticket->row->type == NACRE_FXP_OPENDIR;
    nacre_log_level level = notable ? NACRE_LOG_INFO : NACRE_LOG_VERBOSE;
    nc_logf(&run->s->log, level, "%s \"%s\"", what, NC_ESC(path));
}

void nc_server_log_two(const nc_run *run, const char *what, nacre_span a, nacre_span b)
{
    nc_logf(&run->s->log, NACRE_LOG_INFO, "%s old \"%s\" new \"%s\"", what, NC_ESC(a), NC_ESC(b));
}

const char *nc_handle_name(const nc_handle *h)
{
    return h->name ? h->name : "?";
}

void nc_server_log_close(nacre_sftp_server *s, const nc_handle *h, const char *how)
{
    if (h->kind == NC_HANDLE_DIR) {
        nc_logf(&s->log, NACRE_LOG_INFO, "%sdir \"%s\"", how, nc_handle_name(h));
        return;
    }
    nc_logf(&s->log, NACRE_LOG_INFO, "%s \"%s\" bytes read %llu written %llu", how,
            nc_handle_name(h), (unsigned long long)h->bytes_read,
            (unsigned long long)h->bytes_written);
}

void nc_server_log_set(const nc_run *run, nacre_span path, const nacre_sftp_attrs *a)
{
    char text[160] = "";
    size_t n = 0;
    if (a->flags & NACRE_SFTP_ATTR_SIZE) {
        n += (size_t)snprintf(text, sizeof(text), " size %llu", (unsigned long long)a->size);
    }
    if (a->flags & NACRE_SFTP_ATTR_PERMISSIONS) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, " mode %04o", a->permissions & 07777);
    }
    if (a->flags & NACRE_SFTP_ATTR_ACMODTIME) {
        n += (size_t)snprintf(text + n, sizeof(text) - n, " modtime %u", a->mtime);
    }
    if (a->flags & NACRE_SFTP_ATTR_UIDGID) {
        (void)snprintf(text + n, sizeof(text) - n, " owner %u group %u", a->uid, a->gid);
    }
    nc_logf(&run->s->log, NACRE_LOG_INFO, "set \"%s\"%s", NC_ESC(path), text);
}

void nc_server_log_open(const nc_run *run, nacre_span path, uint32_t pflags,
                        const nacre_sftp_attrs *a)
{
    static const char *const names[] = {"READ", "WRITE", "APPEND", "CREATE", "TRUNCATE", "EXCL"};
    char text[64] = "";
    size_t n = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (pflags & (1u << i)) {
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? "," : "", names[i]);
        }
    }
    uint32_t mode = a->flags & NACRE_SFTP_ATTR_PERMISSIONS ? a->permissions & 07777 : 0666;
    nc_logf(&run->s->log, NACRE_LOG_INFO, "open \"%s\" flags %s mode 0%o", NC_ESC(path), text,
            mode);
}
