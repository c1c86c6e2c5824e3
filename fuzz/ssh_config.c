/*
 * ssh_config: any text, in both passes, with hooks that answer from the input in place of shell and resolver; then
 * everything that can be asked of it. The first byte chooses answers, the rest is the configuration.
 */
#include <stdio.h>
#include <string.h>

#include "fuzz.h"
#include "nacre/ssh_config.h"

static int run(void *user, const char *command, bool *matches, nacre_error *err)
{
    const uint8_t *choice = user;
    (void)err;
    *matches = (strlen(command) ^ *choice) & 1;
    return NACRE_OK;
}

static int resolve(void *user, const char *name, int family, bool numeric, char *canonical,
                   size_t size)
{
    const uint8_t *choice = user;
    (void)family;
    (void)snprintf(canonical, size, "%s", *choice & 2 ? "canonical.example." : name);
    return (*choice & (numeric ? 4 : 8)) ? NACRE_OK : NACRE_RESOLVE;
}

static void warn(void *user, const char *text)
{
    (void)user;
    (void)text;
}

static void line(void *user, const char *keyword, const char *value)
{
    size_t *n = user;
    *n += strlen(keyword) + strlen(value);
}

static void ask(nacre_ssh_config *c)
{
    nacre_error err;
    nacre_destination hop;
    size_t n = 0;
    const char *keyword, *value;
    char out[4096];
    (void)!nacre_ssh_config_supported(c, &err);
    (void)!nacre_ssh_config_show(c, line, &n, &err);
    for (size_t i = 0; nacre_ssh_config_at(c, i, &keyword, &value); i++) {
        (void)!nacre_ssh_config_expand(c, keyword, value, NULL, out, sizeof(out), &err);
        (void)!nacre_parse_jump(value, &hop, &err);
        (void)!nacre_parse_destination(value, &hop, &err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nacre_ssh_config *c = NULL;
    nacre_ssh_hooks hooks;
    nacre_error err;
    uint8_t choice = size ? data[0] : 0;
    nacre_ssh_source source = {.text = {data + (size ? 1 : 0), size ? size - 1 : 0},
                               .name = "input"};
    nacre_ssh_hooks_init(&hooks);
    hooks.exec = run;
    hooks.resolve = resolve;
    hooks.warning = warn;
    hooks.user = &choice;
    if (nacre_ssh_config_new(&c, NULL, choice & 16 ? "127.1" : "host", NULL) != NACRE_OK) {
        return 0;
    }
    nacre_ssh_config_hooks(c, &hooks);
    if (nacre_ssh_config_command(c, choice & 32 ? "uptime" : NULL) == NACRE_OK &&
        nacre_ssh_config_read(c, &source, 1, &err) == NACRE_OK) {
        ask(c);
    }
    nacre_ssh_config_free(c);
    return 0;
}
