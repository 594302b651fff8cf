#!/usr/bin/env bash
# Catches a `cairn build` that makes something else than tools/guest does, leaves a half-made module behind, hides why it
# failed, or takes what a node would refuse.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export CAIRN_INCLUDE=include

fail() {
    echo "$*" >&2
    exit 1
}

# refuses STATUS TEXT ARGUMENT...: exits with STATUS, says TEXT, and leaves no module.
refuses() {
    local want=$1 text=$2 status=0
    shift 2
    "$CAIRN" build "$@" >"$folder/out" 2>&1 || status=$?
    [ "$status" = "$want" ] || fail "cairn build $*: status $status, wanted $want: $(cat "$folder/out")"
    grep -q -- "$text" "$folder/out" || fail "cairn build $*: does not say '$text': $(cat "$folder/out")"
    [ -z "$(ls "$folder" | grep 'wasm' || true)" ] || fail "cairn build $*: left $(ls "$folder")"
}

source() {
    printf '#include <cairn/guest.h>\n%s\n' "$2" >"$folder/$1"
}

source empty.c 'CAIRN_MODULE(m);'
source other.c 'CAIRN_MODULE(m); CAIRN_TYPE(T); CAIRN_VALUE(T, a); CAIRN_VALUE(T, a2) CAIRN_LIST(T, b);'
source kind.c 'CAIRN_MODULE(m); CAIRN_TYPE(T); CAIRN_METHOD(T, f, CAIRN_READ_ONLY) {}'
source access.c 'CAIRN_MODULE(m); CAIRN_TYPE(T); CAIRN_METHOD(T, f) {}'
source module.c 'CAIRN_TYPE(T); CAIRN_METHOD(T, f, CAIRN_PUBLIC) {}'
source name.c 'CAIRN_MODULE(my-shop); CAIRN_TYPE(T); CAIRN_METHOD(T, f, CAIRN_PUBLIC) {}'
source malloc.c 'CAIRN_MODULE(m); CAIRN_TYPE(T); CAIRN_METHOD(T, f, CAIRN_PUBLIC) { cairn_arg(malloc(3)); }'
source import.c 'CAIRN_MODULE(m); CAIRN_TYPE(T); int puts(const char *); CAIRN_METHOD(T, f, CAIRN_PUBLIC) { puts("x"); }'
source foreign.c 'CAIRN_MODULE(m); CAIRN_TYPE(T); __attribute__((import_module("env"), import_name("x"))) void x(void);
CAIRN_METHOD(T, f, CAIRN_PUBLIC) { x(); }'

mkfifo "$folder/pipe" # it stands for /dev/null, which the module would take the place of
refuses 2 "is a device or a pipe" "$folder/empty.c" -o "$folder/pipe"
[ -p "$folder/pipe" ] || fail "the pipe is gone"
refuses 2 "is a folder" "$folder/empty.c" -o "$folder"
refuses 1 "no type" "$folder/empty.c" -o "$folder/m.wasm"
refuses 1 "error" "$folder/other.c" -o "$folder/m.wasm"
refuses 1 "CAIRN_PUBLIC or CAIRN_INTERNAL" "$folder/kind.c" -o "$folder/m.wasm"
refuses 1 "CAIRN_PUBLIC or CAIRN_INTERNAL" "$folder/access.c" -o "$folder/m.wasm"
refuses 1 "one is missing" "$folder/module.c" -o "$folder/m.wasm"
refuses 1 "other characters than letters" "$folder/name.c" -o "$folder/m.wasm"
refuses 1 "malloc.c:2:.*declaration of function 'malloc'" "$folder/malloc.c" -o "$folder/m.wasm"
refuses 1 "puts" "$folder/import.c" -o "$folder/m.wasm"
refuses 1 "env.x" "$folder/foreign.c" -o "$folder/m.wasm"
refuses 1 "No such file" "$folder/missing.c" -o "$folder/m.wasm"
refuses 2 "-o X.wasm" "$folder/empty.c"
refuses 2 "usage\|arguments\|SRC" -o "$folder/m.wasm"
refuses 2 "8192" "$folder/empty.c" -o "$folder/m.wasm" --stack 100000
CAIRN_CLANG=/nowhere/clang refuses 1 "install clang" "$folder/empty.c" -o "$folder/m.wasm"
CAIRN_INCLUDE=/nowhere refuses 1 "guest.h was not found" "$folder/empty.c" -o "$folder/m.wasm"

# What a node refuses, also what shows only when it compiles: memory over the limit, tail calls, wasm64.
source large.c 'CAIRN_MODULE(m); CAIRN_TYPE(T); static char large[20 << 20];
CAIRN_METHOD(T, m, CAIRN_PUBLIC) { large[cairn_arg_int(0)] = 1; cairn_result_int(large[cairn_arg_int(1)]); }'
source tail.c 'CAIRN_MODULE(m); CAIRN_TYPE(T);
static int __attribute__((noinline)) f(int n) { volatile int a = n; return n ? f(a - 1) : 0; }
CAIRN_METHOD(T, m, CAIRN_PUBLIC) { cairn_result_int(f((int)cairn_arg_int(0))); }'
refuses 1 "the limit is 16384 KiB" "$folder/large.c" -o "$folder/m.wasm"
refuses 1 "a node would refuse it" "$folder/tail.c" -o "$folder/m.wasm" --flags -mtail-call
refuses 1 "a node would refuse it" "$folder/tail.c" -o "$folder/m.wasm" --flags --target=wasm64
"$CAIRN" build "$folder/large.c" -o "$folder/m.wasm" --limit-memory 32 >"$folder/out" || fail "32 MiB are refused"
rm "$folder/m.wasm"

# The same bytes as the build's own, a summary for people, another for programs.
"$CAIRN" build functions/retwis/retwis.c -o "$folder/retwis.wasm" >"$folder/out"
cmp "$folder/retwis.wasm" "$CAIRN_GUESTS/retwis.wasm" || fail "cairn build and tools/guest differ"
grep -Eq "^[^ ]*/retwis.wasm: module retwis, [0-9.]+ KiB, type User \\(12 methods\\)$" "$folder/out" ||
    fail "not the summary: $(cat "$folder/out")"
[ "$(wc -l <"$folder/out")" = 1 ] || fail "more than a line: $(cat "$folder/out")"
"$CAIRN" build functions/retwis/retwis.c -o "$folder/retwis.wasm" --verbose >"$folder/out" 2>"$folder/err"
grep -q "^  User.timeline() *public, read-only, deterministic$" "$folder/out" || fail "no methods: $(cat "$folder/out")"
grep -q -- "--target=wasm32" "$folder/err" || fail "does not say what is run: $(cat "$folder/err")"
"$CAIRN" build functions/bank/bank.c -o "$folder/bank.wasm" --json | python3 -c '
import json, sys
it = json.load(sys.stdin)
assert it["module"] == "bank" and it["reusable"], it
assert [m["name"] for m in it["types"][0]["methods"] if not m["public"]] == ["credit", "refund"], it'

# A failed build leaves the old module as it is.
cp "$folder/bank.wasm" "$folder/kept"
! "$CAIRN" build "$folder/empty.c" -o "$folder/bank.wasm" >/dev/null 2>&1 || fail "took an empty module"
cmp "$folder/bank.wasm" "$folder/kept" || fail "a failed build changed the module"

# Nor is a source written over.
cp functions/bank/bank.c "$folder/kept"
cp functions/bank/bank.c "$folder/bank.c"
! "$CAIRN" build "$folder/bank.c" -o "$folder/bank.c" >/dev/null 2>&1 || fail "took a source for the output"
cmp "$folder/bank.c" "$folder/kept" || fail "a source was written over"

# Several sources with their declarations in a header; C++; flags of one's own.
source decls.h 'CAIRN_MODULE(two); CAIRN_TYPE(T); CAIRN_VALUE(T, a); CAIRN_LIST(T, b);'
printf '#include "decls.h"\nCAIRN_METHOD(T, f, CAIRN_PUBLIC) { cairn_set_int(T_a, VALUE); }\n' >"$folder/one.c"
printf '#include "decls.h"\nCAIRN_METHOD(T, g, CAIRN_PUBLIC) { cairn_result_int(cairn_get_int(T_a, 0)); }\n' >"$folder/two.c"
"$CAIRN" build "$folder/one.c" "$folder/two.c" -o "$folder/two.wasm" --flags "-DVALUE=7 -Os" --stack 64 >"$folder/out"
grep -q "type T (2 methods)$" "$folder/out" || fail "not both methods: $(cat "$folder/out")"
source types.c 'CAIRN_MODULE(m); CAIRN_TYPE(A); CAIRN_TYPE(B); CAIRN_METHOD(B, g, CAIRN_PUBLIC) {}'
"$CAIRN" build "$folder/types.c" -o "$folder/types.wasm" >"$folder/out"
grep -q ", types A (0 methods), B (1 method)$" "$folder/out" || fail "not both types: $(cat "$folder/out")"
source plus.cc 'CAIRN_MODULE(plus); CAIRN_TYPE(T); CAIRN_VALUE(T, a);
template <class X> static X twice(X x) { return x + x; }
CAIRN_METHOD(T, f, CAIRN_PUBLIC) { cairn_set_int(T_a, twice(cairn_arg_int(0))); }'
"$CAIRN" build "$folder/plus.cc" -o "$folder/plus.wasm" >"$folder/out" || fail "C++ does not build"
echo "cairn build does what it should"
