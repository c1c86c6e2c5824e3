#!/usr/bin/python3
"""The floors below io do no I/O: their object code may call only the C functions listed here, and of
libcrypto, libsodium and zlib whatever does not itself open files or sockets. Reads nm's output."""
import re
import subprocess
import sys

ALLOWED = set("""
malloc realloc free memcpy memmove memset memcmp memchr memrchr memmem strlen strcmp strncmp strchr strrchr strcspn
strcasecmp strncasecmp strnlen strstr snprintf vsnprintf strtoul strtoull qsort bsearch abort
__stack_chk_fail __assert_fail _GLOBAL_OFFSET_TABLE_ __tls_get_addr
__memcpy_chk __memmove_chk __memset_chk __snprintf_chk __vsnprintf_chk __explicit_bzero_chk explicit_bzero
__isoc23_strtoul __isoc23_strtoull __ctype_b_loc __ctype_tolower_loc tolower toupper
deflate deflateInit_ deflateInit2_ deflateEnd deflateBound deflateReset inflate inflateInit_ inflateInit2_ inflateEnd inflateReset
gmtime_r timegm
""".split())
# Calls of libcrypto that reach files, sockets, the environment or the clock.
FORBIDDEN_CRYPTO = re.compile(r"^(BIO_new_file|BIO_s_file|BIO_s_socket|BIO_new_socket|BIO_new_fp|RAND_load_file|"
                              r"RAND_write_file|CONF_|OPENSSL_config|X509_STORE|DSO_|ENGINE_|UI_)")
SANITIZER = re.compile(r"^(__asan|__ubsan|__lsan|__sanitizer|__gcov|__llvm|__msan|__tsan|__odr_asan)")
# Randomness is handed in; RAND_priv_bytes is what src/crypto/random.c takes when no hook is given.
RANDOM = re.compile(r"^(RAND_(?!priv_bytes$)|randombytes|arc4random|getrandom|getentropy)")
CRYPTO = re.compile(r"^(EVP|BN|EC|ECDSA|RSA|DSA|DH|OSSL|OPENSSL|CRYPTO|RAND|PEM|BIO|ERR|OBJ|HMAC|i2d|d2i|"
                    r"X509|PKCS\d*|ASN1|PBE2?PARAM|PBKDF2PARAM|SCRYPT_PARAMS|AES|SHA|MD5|sodium|crypto)_|^(SHA\d+|HMAC|MD5|SHA1)$|^sodium_")

libraries = sys.argv[1:]
defined, undefined = set(), {}
for library in libraries:
    text = subprocess.run(["nm", library], check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[0] in ("U", "w"):
            undefined.setdefault(fields[1], library)
        elif len(fields) == 3:
            defined.add(fields[2])

bad = []
for name, library in sorted(undefined.items()):
    if name in defined or name in ALLOWED or SANITIZER.match(name):
        continue
    if RANDOM.match(name):
        bad.append(f"{library}: {name}")
        continue
    if CRYPTO.match(name):
        if FORBIDDEN_CRYPTO.match(name) or "nc_crypto" not in library:
            bad.append(f"{library}: {name}")
        continue
    bad.append(f"{library}: {name}")

print("\n".join(bad) or f"{len(libraries)} floors call nothing of the operating system")
sys.exit(1 if bad or not defined else 0)
