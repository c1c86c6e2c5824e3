/*
 * sftp_args.c - see sftp_args.h.
 */
#include "sftp_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

typedef struct named {
    const char *name;
    int value;
} named;

static const named levels[] = {{"QUIET", 0},  {"FATAL", 1},   {"ERROR", 2},
                               {"INFO", 3},   {"VERBOSE", 4}, {"DEBUG", 5},
                               {"DEBUG1", 5}, {"DEBUG2", 6},  {"DEBUG3", 7}};
static const named facilities[] = {
    {"DAEMON", LOG_DAEMON},     {"USER", LOG_USER},     {"AUTH", LOG_AUTH},
    {"AUTHPRIV", LOG_AUTHPRIV}, {"LOCAL0", LOG_LOCAL0}, {"LOCAL1", LOG_LOCAL1},
    {"LOCAL2", LOG_LOCAL2},     {"LOCAL3", LOG_LOCAL3}, {"LOCAL4", LOG_LOCAL4},
    {"LOCAL5", LOG_LOCAL5},     {"LOCAL6", LOG_LOCAL6}, {"LOCAL7", LOG_LOCAL7}};

static int value_of(const named *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcasecmp(rows[i].name, name) == 0) {
            return rows[i].value;
        }
    }
    return -1;
}

int log_level_of(const char *name)
{
    return value_of(levels, sizeof(levels) / sizeof(levels[0]), name);
}

int log_facility_of(const char *name)
{
    return value_of(facilities, sizeof(facilities) / sizeof(facilities[0]), name);
}

static bool take_flag(sftp_args *a, char option)
{
    switch (option) {
    case 'R':
        a->read_only = true;
        return true;
    case 'e':
        a->to_stderr = true;
        return true;
    case 'h':
        a->help = true;
        return true;
    case 'V':
        a->version = true;
        return true;
    default:
        return false;
    }
}

static const char *take_umask(sftp_args *a, const char *value)
{
    char *end = NULL;
    unsigned long mask = strtoul(value, &end, 8);
    if (*value < '0' || *value > '7' || *end || mask > 0777) {
        return "the umask is no octal number up to 777";
    }
    a->umask = (int)mask;
    return NULL;
}

static const char *take_value(sftp_args *a, char option, const char *value)
{
    switch (option) {
    case 'd':
        a->start = value;
        return NULL;
    case 'p':
        a->allow = value;
        return NULL;
    case 'P':
        a->deny = value;
        return NULL;
    case 'Q':
        a->query = value;
        return NULL;
    case 'l':
        a->level = log_level_of(value);
        return a->level < 0 ? "there is no such log level" : NULL;
    case 'f':
        a->facility = log_facility_of(value);
        return a->facility < 0 ? "there is no such log facility" : NULL;
    default:
        return take_umask(a, value);
    }
}

bool sftp_args_parse(sftp_args *a, int argc, char *const *argv, const char **wrong)
{
    memset(a, 0, sizeof(*a));
    a->umask = a->level = a->facility = -1;
    *wrong = NULL;
    for (int i = 1; i < argc; i++) {
        const char *p = argv[i];
        if (p[0] != '-' || p[1] == '\0') {
            *wrong = "there are only options";
            return false;
        }
        for (p++; *p; p++) {
            if (take_flag(a, *p)) {
                continue;
            }
            if (!strchr("dpPQlfu", *p)) {
                *wrong = "there is no such option";
                return false;
            }
            const char *value = p[1] ? p + 1 : ++i < argc ? argv[i] : NULL;
            *wrong = value ? take_value(a, *p, value) : "an option lacks its value";
            if (*wrong) {
                return false;
            }
            break;
        }
    }
    return true;
}

bool sftp_args_start(const char *pattern, const char *user, const char *home, char *out,
                     size_t size)
{
    size_t n = 0;
    for (const char *p = pattern; *p; p++) {
        char one[2] = {*p, '\0'};
        const char *text = one;
        if (*p == '%') {
            p++;
            text = *p == 'u' ? user : *p == 'd' ? home : *p == '%' ? "%" : NULL;
        }
        size_t len = text ? strlen(text) : size;
        if (len >= size - n) {
            return false;
        }
        memcpy(out + n, text, len);
        n += len;
    }
    out[n] = '\0';
    return true;
}
