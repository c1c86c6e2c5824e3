#include "keydata.h"

#include "keys/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

nacre_span keydata_cstr(const char *s)
{
    nacre_span span = {(const uint8_t *)s, s ? strlen(s) : 0};
    return span;
}

nacre_span keydata_passphrase(void)
{
    return keydata_cstr("nacre");
}

nacre_span keydata_read(const char *name)
{
    char path[1024];
    const char *dir = getenv("NACRE_TEST_DATA");
    snprintf(path, sizeof(path), "%s/keys/%s", dir ? dir : "tests/data", name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        fail_msg("%s is missing", path);
    }
    uint8_t *p = calloc(1, 65536);
    assert_non_null(p);
    nacre_span s = {p, fread(p, 1, 65535, f)};
    fclose(f);
    assert_true(s.n > 0);
    return s;
}

void keydata_free(nacre_span s)
{
    union {
        const uint8_t *in;
        void *out;
    } u = {s.p};
    free(u.out);
}

nacre_key *keydata_public(const char *name)
{
    char file[128];
    snprintf(file, sizeof(file), "%s.pub", name);
    nacre_span text = keydata_read(file);
    nacre_key *k = NULL;
    nacre_error err;
    int rc = nacre_key_from_public_line(&k, NULL, text, &err);
    if (rc != NACRE_OK) {
        fail_msg("%s: %s", file, err.text);
    }
    keydata_free(text);
    return k;
}

nacre_key *keydata_private(const char *name)
{
    nacre_span text = keydata_read(name);
    nacre_key *k = NULL;
    nacre_error err;
    int rc = nacre_key_from_private(&k, NULL, text, keydata_passphrase(), &err);
    if (rc != NACRE_OK) {
        fail_msg("%s: %d %s", name, rc, err.text);
    }
    keydata_free(text);
    return k;
}

nacre_key *keydata_security_key(const nc_pk *device, const char *application, uint8_t flags,
                                bool private_half)
{
    nc_buf storage;
    nc_pk_parts parts;
    nc_pk *pk = NULL;
    nacre_key *k = NULL;
    nc_buf_init(&storage, NULL, 1 << 16);
    assert_int_equal(nc_pk_get_parts(device, &storage, false, &parts), NACRE_OK);
    parts.type = parts.type == NC_PK_P256 ? NC_PK_SK_P256 : NC_PK_SK_ED25519;
    parts.application = keydata_cstr(application);
    parts.key_handle = keydata_cstr("handle");
    parts.sk_flags = flags;
    assert_int_equal(nc_pk_from_parts(&pk, NULL, &parts, private_half, NULL), NACRE_OK);
    assert_int_equal(nc_key_from_pk(&k, NULL, pk, keydata_cstr("token")), NACRE_OK);
    nc_buf_clear(&storage);
    return k;
}
