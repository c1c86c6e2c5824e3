/*
 * args.c - see args.h.
 */
#include "args.h"

#include "nacre/ssh_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* scp(1)'s own bounds. */
enum { LIMIT_MAX = 100 * 1024 * 1024, REQUESTS_MAX = 256 * 1024, BUFFER_MAX = 256 * 1024 };

typedef struct parse {
    scp_args *a;
    char *why;
    size_t size;
    bool no_memory;
} parse;

static args_result wrong(parse *p, const char *what, const char *value)
{
    char shown[256];
    (void)nacre_escape(shown, sizeof(shown), (nacre_span){(const uint8_t *)value, strlen(value)});
    (void)snprintf(p->why, p->size, "%s \"%s\"", what, shown);
    return ARGS_WRONG;
}

/* taken: malloc'd, or NULL for want of memory. */
static void add(parse *p, char ***list, size_t *count, char *taken)
{
    char **bigger = taken ? realloc(*list, (*count + 1) * sizeof(**list)) : NULL;
    if (!bigger) {
        free(taken);
        p->no_memory = true;
        return;
    }
    *list = bigger;
    bigger[(*count)++] = taken;
}

static char *joined(const char *a, const char *b, const char *c)
{
    size_t n = strlen(a) + strlen(b) + strlen(c) + 1;
    char *text = malloc(n);
    if (text) {
        (void)snprintf(text, n, "%s%s%s", a, b, c);
    }
    return text;
}

static void option(parse *p, const char *keyword, const char *value, const char *quote)
{
    char *text = joined(keyword, quote, value);
    char *all = text ? joined(text, quote, "") : NULL;
    free(text);
    add(p, &p->a->o, &p->a->o_count, all);
}

static void word(parse *p, const char *text)
{
    add(p, &p->a->ssh, &p->a->ssh_count, strdup(text));
}

/* For the program of -S the option as it was given. */
static void pass(parse *p, int letter, const char *value)
{
    char flag[3] = {'-', (char)letter, '\0'};
    word(p, flag);
    if (value) {
        word(p, value);
    }
}

static bool number(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || n == 0 || n > max) {
        return false;
    }
    *out = n;
    return true;
}

static args_result sftp_option(parse *p, const char *value)
{
    uint64_t n;
    if (strncmp(value, "nrequests=", 10) == 0) {
        if (!number(value + 10, REQUESTS_MAX, &n)) {
            return wrong(p, "Invalid number of requests", value + 10);
        }
        p->a->requests = (uint32_t)n;
        return ARGS_GOOD;
    }
    if (strncmp(value, "buffer=", 7) == 0) {
        if (nacre_parse_bytes(value + 7, &n) != NACRE_OK || n == 0 || n > BUFFER_MAX) {
            return wrong(p, "Invalid buffer size", value + 7);
        }
        p->a->buffer = (uint32_t)n;
        return ARGS_GOOD;
    }
    return wrong(p, "Invalid -X option", value);
}

/* Options of ssh; false: not one of them. */
static bool ssh_option(parse *p, int letter, const char *value)
{
    switch (letter) {
    case '4':
    case '6':
        option(p, "AddressFamily=", letter == '4' ? "inet" : "inet6", "");
        break;
    case 'B':
        p->a->batch = true;
        option(p, "BatchMode=", "yes", "");
        word(p, "-oBatchMode=yes");
        return true;
    case 'C':
        option(p, "Compression=", "yes", "");
        break;
    case 'c':
        option(p, "Ciphers=", value, "");
        break;
    case 'F':
        p->a->config_file = value;
        break;
    case 'i':
        option(p, "IdentityFile=", value, "\"");
        break;
    case 'J':
        option(p, "ProxyJump=", value, "");
        break;
    case 'o':
        option(p, "", value, "");
        break;
    case 'q':
        p->a->quiet = true;
        p->a->verbose = -1;
        break;
    case 'v':
        p->a->verbose = p->a->verbose < 0 ? 1 : p->a->verbose < 3 ? p->a->verbose + 1 : 3;
        break;
    default:
        return false;
    }
    pass(p, letter, value);
    return true;
}

static bool flag(scp_args *a, int letter)
{
    switch (letter) {
    case '2':
        return true;
    case '3':
        a->direct = false;
        return true;
    case 'd':
        a->to_directory = true;
        return true;
    case 'O':
        a->legacy = true;
        return true;
    case 'p':
        a->preserve = true;
        return true;
    case 'R':
        a->direct = true;
        return true;
    case 'r':
        a->recursive = true;
        return true;
    case 's':
        a->legacy = false;
        return true;
    case 'T':
        a->any_name = true;
        return true;
    default:
        return false;
    }
}

static args_result one(parse *p, int letter, const char *value)
{
    uint64_t n;
    if (flag(p->a, letter) || ssh_option(p, letter, value)) {
        return ARGS_GOOD;
    }
    switch (letter) {
    case '1':
        return wrong(p, "SSH protocol 1 is not supported:", "-1");
    case 'A':
        p->a->agent = true;
        word(p, "-A");
        return ARGS_GOOD;
    case 'D':
        p->a->server = value;
        return ARGS_GOOD;
    case 'l':
        if (!number(value, LIMIT_MAX, &n)) {
            return ARGS_USAGE;
        }
        p->a->rate = n * 1024 / 8;
        return ARGS_GOOD;
    case 'P':
        if (!number(value, 65535, &n)) {
            return wrong(p, "bad port", value);
        }
        p->a->port = (uint16_t)n;
        return ARGS_GOOD;
    case 'S':
        p->a->program = strcasecmp(value, "none") == 0 ? NULL : value;
        return ARGS_GOOD;
    case 'X':
        return sftp_option(p, value);
    default:
        return ARGS_USAGE;
    }
}

args_result args_parse(scp_args *out, int argc, char **argv, char *why, size_t size)
{
    parse p = {out, why, size, false};
    int letter;
    memset(out, 0, sizeof(*out));
    *why = '\0';
    optind = 0; /* glibc: begin anew, permuting as scp does */
    while ((letter = getopt(argc, argv, "12346ABCTdOpqRrsvD:F:J:P:S:c:i:l:o:X:")) != -1) {
        args_result r = one(&p, letter, optarg);
        if (r != ARGS_GOOD) {
            return r;
        }
    }
    if (out->agent && !out->program) {
        return wrong(&p, "forwarding of an agent is not supported yet, but with -S:", "-A");
    }
    if (p.no_memory) {
        (void)snprintf(why, size, "out of memory");
        return ARGS_WRONG;
    }
    out->operands = argv + optind;
    out->operand_count = (size_t)(argc - optind);
    out->to_directory = out->to_directory || out->operand_count > 2;
    return out->operand_count < 2 ? ARGS_USAGE : ARGS_GOOD;
}

static void clear_list(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i]);
    }
    free(list);
}

void args_clear(scp_args *a)
{
    clear_list(a->o, a->o_count);
    clear_list(a->ssh, a->ssh_count);
    memset(a, 0, sizeof(*a));
}
