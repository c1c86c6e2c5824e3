/*
 * attributes.c - chmod, chown and chgrp.
 */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct change {
    uint32_t value;
    bool link_itself; /* -h */
} change;

bool whole_number(const char *text, int base, uint32_t *out)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, base);
    if (end == text || *end || errno || n < 0 || n > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

static int set_attrs(app *a, const char *path, const change *c, const nacre_sftp_attrs *attrs)
{
    if (c->link_itself && !nacre_sftp_has(a->s, NACRE_SFTP_EXT_LSETSTAT)) {
        return complain("Server does not support lsetstat@openssh.com extension");
    }
    int rc = c->link_itself ? nacre_sftp_lsetstat(a->s, path, attrs)
                            : nacre_sftp_setstat(a->s, path, attrs);
    return rc == NACRE_OK ? 0
                          : complain_about(a, "remote %ssetstat \"%s\"", c->link_itself ? "l" : "",
                                           shown(path));
}

static int change_mode(app *a, const char *path, const change *c)
{
    nacre_sftp_attrs attrs = {.flags = NACRE_SFTP_ATTR_PERMISSIONS, .permissions = c->value};
    tell(a, "Changing mode on %s\n", shown(path));
    return set_attrs(a, path, c, &attrs);
}

/* Version 3 sets owner and group together: the other one must be asked for. */
static int change_id(app *a, const char *path, const change *c, bool group)
{
    nacre_sftp_attrs now;
    int rc =
        c->link_itself ? nacre_sftp_lstat(a->s, path, &now) : nacre_sftp_stat(a->s, path, &now);
    if (rc != NACRE_OK) {
        return complain_about(a, "stat remote");
    }
    if (!(now.flags & NACRE_SFTP_ATTR_UIDGID)) {
        return complain("Can't get current ownership of remote file \"%s\"", shown(path));
    }
    nacre_sftp_attrs attrs = {.flags = NACRE_SFTP_ATTR_UIDGID, .uid = now.uid, .gid = now.gid};
    *(group ? &attrs.gid : &attrs.uid) = c->value;
    tell(a, "Changing %s on %s\n", group ? "group" : "owner", shown(path));
    return set_attrs(a, path, c, &attrs);
}

static int change_owner(app *a, const char *path, const change *c)
{
    return change_id(a, path, c, false);
}

static int change_group(app *a, const char *path, const change *c)
{
    return change_id(a, path, c, true);
}

static int change_all(app *a, const call *k, int base,
                      int (*fn)(app *a, const char *path, const change *c))
{
    change c = {.link_itself = has_flag(k, 'h')};
    matches found = {0};
    if (k->count < 1 || !whole_number(k->at[0].text, base, &c.value)) {
        return complain("You must supply a numeric argument to the %s command.", k->name);
    }
    if (k->count < 2) {
        return complain("You must specify a path after a %s command.", k->name);
    }
    int rc = 0;
    for (size_t i = 1; i < k->count && rc == 0; i++) {
        char *pattern = absolute_pattern(a, k->at[i].pattern);
        size_t before = found.count;
        rc = remote_matches(a, pattern, false, &found);
        if (rc == 0 && found.count == before) {
            matches_add(&found, absolute(a, k->at[i].text));
        }
        free(pattern);
    }
    for (size_t i = 0; i < found.count && !a->interrupted; i++) {
        rc |= fn(a, found.at[i].path, &c);
        if ((rc != 0 && a->stop_on_error) || session_over(a)) {
            break;
        }
    }
    rc = found.refused > 0 ? -1 : rc;
    matches_free(&found);
    return rc;
}

int chmod_command(app *a, const call *c)
{
    return change_all(a, c, 8, change_mode);
}

int chown_command(app *a, const call *c)
{
    return change_all(a, c, 10, change_owner);
}

int chgrp_command(app *a, const call *c)
{
    return change_all(a, c, 10, change_group);
}
