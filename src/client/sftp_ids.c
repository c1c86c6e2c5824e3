/*
 * sftp_ids.c - names of users and groups, from a server that knows its own (users-groups-by-id).
 */
#include "client/sftp_session.h"
#include "wire/rd.h"

#include <string.h>

enum {
    IDS = 1024 /* in one request: with long names their answer is still far from a packet's bound */
};

/* As many names as were asked for. What holds a zero byte is nobody's name. */
static int take_names(nacre_sftp *s, nacre_span row, char **names, size_t count)
{
    nc_rd r = nc_rd_init(row);
    for (size_t i = 0; i < count; i++) {
        nacre_span name = nc_rd_str(&r);
        if (nc_rd_err(&r) != NACRE_OK) {
            return nc_sftp_fail(s, NACRE_SFTP_PROTOCOL,
                                "the server named fewer ids than it was asked for");
        }
        if (name.n > 0 && memchr(name.p, 0, name.n)) {
            name.n = 0;
        }
        names[i] = nc_strndup(s->alloc, name);
        if (!names[i]) {
            return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for names");
        }
    }
    return NACRE_OK;
}

/* One request: some users, some groups. */
static int ask_some(nacre_sftp *s, const uint32_t *uids, size_t n_uids, char **users,
                    const uint32_t *gids, size_t n_gids, char **groups)
{
    nc_sftp_request q = {.type = NACRE_FXP_EXTENDED,
                         .ext = NACRE_SFTP_EXT_USERS_GROUPS,
                         .path = "names of users",
                         .uids = uids,
                         .n_uids = n_uids,
                         .gids = gids,
                         .n_gids = n_gids};
    nc_sftp_op op;
    nc_sftp_op_init(&op, s);
    int rc = nc_sftp_ask(s, &q, &op);
    if (rc == NACRE_OK) {
        nc_rd r = nc_rd_init(nc_span(op.names, op.names_len));
        nacre_span user_row = nc_rd_str(&r);
        nacre_span group_row = nc_rd_str(&r);
        if (nc_rd_err(&r) != NACRE_OK) {
            rc = nc_sftp_fail(s, NACRE_SFTP_PROTOCOL, "the server's names of users are cut off");
        }
        rc = rc == NACRE_OK ? take_names(s, user_row, users, n_uids) : rc;
        rc = rc == NACRE_OK ? take_names(s, group_row, groups, n_gids) : rc;
    }
    nc_sftp_op_clear(&op);
    return rc;
}

static size_t some(size_t done, size_t count)
{
    return count - done < IDS ? count - done : IDS;
}

int nacre_sftp_names_of_ids(nacre_sftp *s, const uint32_t *uids, size_t n_uids,
                            const uint32_t *gids, size_t n_gids, nacre_sftp_id_names *out)
{
    memset(out, 0, sizeof(*out));
    int rc = nc_sftp_begin(s);
    if (rc != NACRE_OK) {
        return rc;
    }
    out->users = nc_alloc_array(s->alloc, n_uids + 1, sizeof(*out->users));
    out->groups = nc_alloc_array(s->alloc, n_gids + 1, sizeof(*out->groups));
    if (!out->users || !out->groups) {
        nacre_sftp_id_names_free(s, out);
        return nc_sftp_fail(s, NACRE_NO_MEMORY, "no memory for names");
    }
    memset(out->users, 0, (n_uids + 1) * sizeof(*out->users));
    memset(out->groups, 0, (n_gids + 1) * sizeof(*out->groups));
    out->n_users = n_uids;
    out->n_groups = n_gids;
    size_t u = 0;
    size_t g = 0;
    do {
        size_t us = some(u, n_uids);
        size_t gs = some(g, n_gids);
        rc = ask_some(s, us ? uids + u : NULL, us, out->users + u, gs ? gids + g : NULL, gs,
                      out->groups + g);
        u += us;
        g += gs;
    } while (rc == NACRE_OK && (u < n_uids || g < n_gids));
    if (rc != NACRE_OK) {
        nacre_sftp_id_names_free(s, out);
    }
    return rc;
}

void nacre_sftp_id_names_free(nacre_sftp *s, nacre_sftp_id_names *names)
{
    for (size_t i = 0; i < names->n_users; i++) {
        nc_free(s->alloc, names->users[i]);
    }
    for (size_t i = 0; i < names->n_groups; i++) {
        nc_free(s->alloc, names->groups[i]);
    }
    nc_free(s->alloc, names->users);
    nc_free(s->alloc, names->groups);
    memset(names, 0, sizeof(*names));
}
