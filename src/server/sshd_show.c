/*
 * sshd_show.c - a configuration as sshd -T prints it: a line for every value, which read again comes to
 * the same.
 */
#include "server/sshd_config.h"

#include "nacre/transport.h"

#include <stdio.h>
#include <string.h>

static void say(const nc_conf_row *row, const char *value, nc_conf_line_fn line, void *user)
{
    char text[4608], name[64];
    size_t n = 0;
    for (; row->name[n] && n + 1 < sizeof(name); n++) {
        char ch = row->name[n];
        name[n] = ch >= 'A' && ch <= 'Z' ? (char)(ch + 32) : ch;
    }
    name[n] = '\0';
    (void)snprintf(text, sizeof(text), "%s %s", name, value);
    line(user, text);
}

void nc_conf_print_choice(const nacre_sshd_config *c, const nc_conf_row *row, nc_conf_line_fn line,
                          void *user)
{
    for (const nc_conf_choice *o = row->choices; o->name; o++) {
        if (o->value == *(const int *)nc_conf_field(c, row)) {
            say(row, o->name, line, user);
            return;
        }
    }
}

void nc_conf_print_number(const nacre_sshd_config *c, const nc_conf_row *row, nc_conf_line_fn line,
                          void *user)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%lu",
                   (unsigned long)*(const uint32_t *)nc_conf_field(c, row));
    say(row, text, line, user);
}

void nc_conf_print_text(const nacre_sshd_config *c, const nc_conf_row *row, nc_conf_line_fn line,
                        void *user)
{
    const char *text = *(char *const *)nc_conf_field(c, row);
    say(row, text ? text : "none", line, user);
}

/* The names that a list comes to; one that comes to nothing is shown as it stands. */
void nc_conf_print_algorithms(const nacre_sshd_config *c, const nc_conf_row *row,
                              nc_conf_line_fn line, void *user)
{
    char names[4096];
    const char *text = *(char *const *)nc_conf_field(c, row);
    int n =
        nacre_algorithms_resolve((nacre_algorithm_kind)row->min, text, names, sizeof(names), NULL);
    say(row, n > 0 ? names : text ? text : "none", line, user);
}

void nc_conf_print_list(const nacre_sshd_config *c, const nc_conf_row *row, nc_conf_line_fn line,
                        void *user)
{
    const nacre_sshd_list *list = nc_conf_field(c, row);
    for (size_t i = 0; i < list->count; i++) {
        say(row, list->items[i], line, user);
    }
}

void nc_conf_print_ports(const nacre_sshd_config *c, const nc_conf_row *row, nc_conf_line_fn line,
                         void *user)
{
    char text[16];
    for (size_t i = 0; i < c->s.port_count; i++) {
        (void)snprintf(text, sizeof(text), "%u", c->s.ports[i]);
        say(row, text, line, user);
    }
}

void nc_conf_print_listen(const nacre_sshd_config *c, const nc_conf_row *row, nc_conf_line_fn line,
                          void *user)
{
    char text[300];
    const nacre_sshd_settings *s = &c->s;
    for (size_t i = 0; i < s->listen_count; i++) {
        for (size_t p = 0; p < (s->listen[i].port ? 1 : s->port_count); p++) {
            uint16_t port = s->listen[i].port ? s->listen[i].port : s->ports[p];
            bool v6 = strchr(s->listen[i].address, ':') != NULL;
            (void)snprintf(text, sizeof(text), v6 ? "[%s]:%u" : "%s:%u", s->listen[i].address,
                           port);
            say(row, text, line, user);
        }
    }
}

void nc_conf_print_rekey(const nacre_sshd_config *c, const nc_conf_row *row, nc_conf_line_fn line,
                         void *user)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%llu %lu", (unsigned long long)c->s.rekey_bytes,
                   (unsigned long)c->s.rekey_seconds);
    say(row, text, line, user);
}

void nc_conf_print_startups(const nacre_sshd_config *c, const nc_conf_row *row,
                            nc_conf_line_fn line, void *user)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%lu:%lu:%lu", (unsigned long)c->s.startups_begin,
                   (unsigned long)c->s.startups_rate, (unsigned long)c->s.startups_full);
    say(row, text, line, user);
}

void nc_conf_print_per_source(const nacre_sshd_config *c, const nc_conf_row *row,
                              nc_conf_line_fn line, void *user)
{
    char text[16] = "none";
    if (c->s.sources.per_source > 0) {
        (void)snprintf(text, sizeof(text), "%lu", (unsigned long)c->s.sources.per_source);
    }
    say(row, text, line, user);
}

void nc_conf_print_net_blocks(const nacre_sshd_config *c, const nc_conf_row *row,
                              nc_conf_line_fn line, void *user)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%u:%u", (unsigned)c->s.sources.block4,
                   (unsigned)c->s.sources.block6);
    say(row, text, line, user);
}

void nc_conf_print_penalties(const nacre_sshd_config *c, const nc_conf_row *row,
                             nc_conf_line_fn line, void *user)
{
    char text[512];
    nc_conf_penalties_text(&c->s.sources, text, sizeof(text));
    say(row, text, line, user);
}

void nc_conf_print_subsystems(const nacre_sshd_config *c, const nc_conf_row *row,
                              nc_conf_line_fn line, void *user)
{
    char text[4400];
    for (size_t i = 0; i < c->s.subsystem_count; i++) {
        (void)snprintf(text, sizeof(text), "%s %s", c->s.subsystems[i].name,
                       c->s.subsystems[i].command);
        say(row, text, line, user);
    }
}

/* One line, whatever is in it. */
void nc_conf_print_line(const nacre_sshd_config *c, const nc_conf_row *row, nc_conf_line_fn line,
                        void *user)
{
    const nacre_sshd_list *list = nc_conf_field(c, row);
    char text[4400] = "";
    size_t n = 0;
    for (size_t i = 0; i < list->count && n < sizeof(text); i++) {
        int put = snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "", list->items[i]);
        n += put > 0 ? (size_t)put : 0;
    }
    say(row, n > 0 ? text : "none", line, user);
}

/* The same, where nothing said means that anything goes. */
void nc_conf_print_any_line(const nacre_sshd_config *c, const nc_conf_row *row,
                            nc_conf_line_fn line, void *user)
{
    const nacre_sshd_list *list = nc_conf_field(c, row);
    if (list->count == 0) {
        say(row, "any", line, user);
    } else {
        nc_conf_print_line(c, row, line, user);
    }
}

void nc_conf_print_none_line(const nacre_sshd_config *c, const nc_conf_row *row,
                             nc_conf_line_fn line, void *user)
{
    const nacre_sshd_list *list = nc_conf_field(c, row);
    if (list->count == 0) {
        say(row, "none", line, user);
    } else {
        nc_conf_print_line(c, row, line, user);
    }
}

void nc_conf_print_time_or_none(const nacre_sshd_config *c, const nc_conf_row *row,
                                nc_conf_line_fn line, void *user)
{
    if (*(const uint32_t *)nc_conf_field(c, row) == 0) {
        say(row, "none", line, user);
    } else {
        nc_conf_print_number(c, row, line, user);
    }
}

void nc_conf_print_mask(const nacre_sshd_config *c, const nc_conf_row *row, nc_conf_line_fn line,
                        void *user)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "0%lo",
                   (unsigned long)*(const uint32_t *)nc_conf_field(c, row));
    say(row, text, line, user);
}

void nc_conf_print_pubkey_options(const nacre_sshd_config *c, const nc_conf_row *row,
                                  nc_conf_line_fn line, void *user)
{
    static const char *const texts[] = {"none", "touch-required", "verify-required",
                                        "touch-required verify-required"};
    say(row, texts[c->s.pubkey_auth_options & 3], line, user);
}

void nc_conf_print_user_environment(const nacre_sshd_config *c, const nc_conf_row *row,
                                    nc_conf_line_fn line, void *user)
{
    const char *pattern = c->s.permit_user_environment_pattern;
    say(row, pattern ? pattern : c->s.permit_user_environment ? "yes" : "no", line, user);
}
