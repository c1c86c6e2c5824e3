/*
 * sshd_config: any text that includes nothing, matched with a connection, printed and read again; its programs
 * cut into arguments.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "nacre/sshd_config.h"

/* Files are not for a fuzzer to open. */
static bool has_include(const uint8_t *data, size_t size)
{
    static const char word[] = "include";
    for (size_t i = 0; i + sizeof(word) - 1 <= size; i++) {
        size_t n = 0;
        while (n < sizeof(word) - 1 && (data[i + n] | 0x20) == (uint8_t)word[n]) {
            n++;
        }
        if (n == sizeof(word) - 1) {
            return true;
        }
    }
    return false;
}

static void take_line(void *user, const char *text)
{
    size_t *lines = user;
    *lines += text[0] ? 1 : 0;
}

static void use(const nacre_sshd_config *c)
{
    const nacre_sshd_settings *s = nacre_sshd_config_settings(c);
    nacre_sshd_tokens tokens;
    nacre_sshd_command *command = NULL;
    nacre_error why;
    char path[256];
    size_t lines = 0;
    nacre_sshd_config_dump(c, take_line, &lines);
    if (lines == 0) {
        abort();
    }
    (void)!nacre_sshd_config_user_allowed(c, "alice", NULL, 0, "192.0.2.1", &why);
    (void)nacre_sshd_config_may(c);
    (void)nacre_sshd_config_permits(c, false, "host.example", 22);
    (void)nacre_sshd_config_permits(c, true, "localhost", 8080);
    (void)nacre_sshd_config_user_env(c, "LANG=C");
    for (size_t i = 0; i < s->authorized_keys_files.count; i++) {
        (void)!nacre_sshd_expand_path(s->authorized_keys_files.items[i], "alice", "/home/alice", 7,
                                      path, sizeof(path));
    }
    nacre_sshd_tokens_init(&tokens);
    tokens.user = "alice";
    tokens.key_id = "%u \"x";
    if (s->authorized_keys_command) {
        (void)!nacre_sshd_command_new(&command, NULL, s->authorized_keys_command, &tokens, &why);
        nacre_sshd_command_free(command);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const groups[] = {"users", "staff"};
    nacre_sshd_config *c = NULL, *own = NULL;
    nacre_sshd_facts facts;
    nacre_error why;
    const nacre_span text = {data, size};
    if (has_include(data, size) || nacre_sshd_config_new(&c, NULL) != NACRE_OK) {
        return 0;
    }
    nacre_sshd_facts_init(&facts);
    facts.user = "alice";
    facts.groups = groups;
    facts.group_count = 2;
    facts.address = "192.0.2.1";
    facts.local_address = "::1";
    facts.local_port = 22;
    if (nacre_sshd_config_text(c, text, "input", &why) == NACRE_OK &&
        nacre_sshd_config_finish(c, &why) == NACRE_OK) {
        use(c);
        /* What was taken is taken again; blocks that add up can pass a limit. */
        int rc = nacre_sshd_config_match(&own, c, &facts, &why);
        if (rc != NACRE_OK && rc != NACRE_LIMIT) {
            abort();
        }
        if (rc == NACRE_OK) {
            use(own);
        }
    }
    nacre_sshd_config_free(own);
    nacre_sshd_config_free(c);
    return 0;
}
