/*
 * sshsig: armor, blobs and allowed_signers, any text; and what was read is asked and verified.
 */
#include <string.h>

#include "fixed_key.h"
#include "fuzz.h"
#include "nacre/sshsig.h"

static void ask(nacre_sshsig *s, nacre_span allowed)
{
    nacre_sshsig_message *m = NULL;
    if (nacre_sshsig_message_new(&m, NULL, nacre_sshsig_hash(s), NULL) == NACRE_OK) {
        (void)!nacre_sshsig_verify(s, nacre_sshsig_namespace(s), m, NULL, NULL);
    }
    nacre_sshsig_message_free(m);
    nacre_signer_rules rules;
    nacre_signer_rules_init(&rules);
    (void)!nacre_allowed_signers_check(allowed, nacre_sshsig_key(s), &rules, NULL, NULL);
    nacre_sshsig_free(s);
}

static void signers(nacre_span text)
{
    const nacre_key *key = fuzz_fixed_key();
    nacre_signer_rules rules;
    nacre_error why;
    char *list = NULL;
    nacre_signer_rules_init(&rules);
    rules.principal = "mina@example.org";
    rules.sig_namespace = "file";
    rules.verify_time = 1700000000;
    if (nacre_allowed_signers_check(text, key, &rules, &list, &why) == NACRE_OK) {
        nacre_secret_free(NULL, list, strlen(list) + 1);
    }
    uint32_t number = 0;
    nacre_span rest = text;
    while (nacre_allowed_signers_next(&rest, &number, NULL, &rules, &list, &why) != NACRE_END) {
        nacre_secret_free(NULL, list, list ? strlen(list) + 1 : 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const nacre_span text = {data, size};
    nacre_sshsig *s = NULL;
    if (nacre_sshsig_read(&s, NULL, text, NULL) == NACRE_OK) {
        ask(s, text);
    }
    if (nacre_sshsig_from_blob(&s, NULL, text, NULL) == NACRE_OK) {
        ask(s, text);
    }
    signers(text);
    return 0;
}
