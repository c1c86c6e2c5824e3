/*
 * paths.c - paths as text: steps, joining, the same place below another root; modes as people write them.
 */
#include "nacre/paths.h"

#include <string.h>

/* ---- steps -------------------------------------------------------------------------------------------- */

size_t nacre_path_advance(const char *path, size_t *state)
{
    size_t at = *state;
    if (at == 0 && path[0] == '/') {
        *state = 1;
        return 1;
    }
    while (path[at] == '/') {
        at++;
    }
    if (path[at] == '\0') {
        return 0;
    }
    while (path[at] != '\0' && path[at] != '/') {
        at++;
    }
    *state = at;
    return at;
}

/* Length without slashes at its end; of "/" itself 1. */
static size_t without_slashes(const char *path, size_t n)
{
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    return n;
}

/* *state: 0 at the beginning, then the length of the last step, SIZE_MAX when it was the shortest. */
size_t nacre_path_retreat(const char *path, size_t *state)
{
    if (*state == SIZE_MAX) {
        return 0;
    }
    size_t n = *state;
    if (n == 0) {
        n = without_slashes(path, strlen(path));
    } else {
        while (n > 0 && path[n - 1] != '/') {
            n--;
        }
        n = without_slashes(path, n);
    }
    *state = n == 0 || (n == 1 && path[0] == '/') ? SIZE_MAX : n;
    return n;
}

/* ---- joining ------------------------------------------------------------------------------------------ */

static int put(char *out, size_t size, size_t *len, const char *p, size_t n)
{
    if (n >= size - *len) {
        return NACRE_TOO_LARGE;
    }
    memcpy(out + *len, p, n);
    *len += n;
    out[*len] = '\0';
    return NACRE_OK;
}

int nacre_path_join(const char *dir, const char *name, char *out, size_t size)
{
    size_t len = 0;
    size_t n = strlen(dir);
    if (size == 0) {
        return NACRE_TOO_LARGE;
    }
    out[0] = '\0';
    int rc = NACRE_OK;
    if (name[0] != '/' && n > 0) {
        rc = put(out, size, &len, dir, n);
        if (rc == NACRE_OK && dir[n - 1] != '/' && name[0] != '\0') {
            rc = put(out, size, &len, "/", 1);
        }
    }
    rc = rc == NACRE_OK ? put(out, size, &len, name, strlen(name)) : rc;
    if (rc != NACRE_OK) {
        out[0] = '\0';
    }
    return rc;
}

/* Takes the last step of out away again; root is what must stay. */
static int step_up(char *out, size_t *len, size_t root)
{
    if (*len == root) {
        return NACRE_INVALID_ARGUMENT;
    }
    while (*len > root && out[*len - 1] != '/') {
        --*len;
    }
    if (*len > root) {
        --*len;
    }
    out[*len] = '\0';
    return NACRE_OK;
}

static int step_down(char *out, size_t size, size_t *len, const char *name, size_t n)
{
    int rc = *len > 0 && out[*len - 1] == '/' ? NACRE_OK : put(out, size, len, "/", 1);
    return rc == NACRE_OK ? put(out, size, len, name, n) : rc;
}

int nacre_path_reparent(const char *root, const char *path, char *out, size_t size)
{
    size_t len = 0;
    if (size == 0) {
        return NACRE_TOO_LARGE;
    }
    out[0] = '\0';
    int rc = root[0] ? put(out, size, &len, root, without_slashes(root, strlen(root)))
                     : NACRE_INVALID_ARGUMENT;
    size_t base = len;
    const char *p = path;
    while (rc == NACRE_OK && *p) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.') {
            rc = step_up(out, &len, base);
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            rc = step_down(out, size, &len, p, n);
        }
        p += n;
        p += *p == '/';
    }
    if (rc != NACRE_OK) {
        out[0] = '\0';
    }
    return rc;
}

/* ---- modes -------------------------------------------------------------------------------------------- */

int nacre_mode_from_decimal(uint32_t decimal, uint32_t *mode)
{
    uint32_t out = 0;
    for (unsigned shift = 0; decimal > 0; shift += 3, decimal /= 10) {
        uint32_t digit = decimal % 10;
        if (digit > 7 || shift > 27) {
            return NACRE_INVALID_ARGUMENT;
        }
        out |= digit << shift;
    }
    *mode = out;
    return NACRE_OK;
}

uint32_t nacre_mode_to_decimal(uint32_t mode)
{
    uint32_t out = 0;
    uint32_t unit = 1;
    for (uint32_t left = mode & 07777777; left > 0; left >>= 3, unit *= 10) {
        out += (left & 7) * unit;
    }
    return out;
}
