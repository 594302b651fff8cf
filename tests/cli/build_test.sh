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
source import.c 'CAIRN_MODULE(m); CAIRN_TYPE(T); int puts(const char *); CAIRN_METHOD(T, f, CAIRN_PUBLIC) { puts("x"); }'
source foreign.c 'CAIRN_MODULE(m); CAIRN_TYPE(T); __attribute__((import_module("env"), import_name("x"))) void x(void);
CAIRN_METHOD(T, f, CAIRN_PUBLIC) { x(); }'

refuses 1 "no type" "$folder/empty.c" -o "$folder/m.wasm"
refuses 1 "error" "$folder/other.c" -o "$folder/m.wasm"
refuses 1 "line 4" "$folder/kind.c" -o "$folder/m.wasm"
refuses 1 "puts" "$folder/import.c" -o "$folder/m.wasm"
refuses 1 "env.x" "$folder/foreign.c" -o "$folder/m.wasm"
refuses 1 "No such file" "$folder/missing.c" -o "$folder/m.wasm"
refuses 2 "-o X.wasm" "$folder/empty.c"
refuses 2 "usage\|arguments\|SRC" -o "$folder/m.wasm"
refuses 2 "8192" "$folder/empty.c" -o "$folder/m.wasm" --stack 100000
CAIRN_CLANG=/nowhere/clang refuses 1 "install clang" "$folder/empty.c" -o "$folder/m.wasm"
CAIRN_INCLUDE=/nowhere refuses 1 "guest.h was not found" "$folder/empty.c" -o "$folder/m.wasm"

# The same bytes as the build's own, a summary for people, another for programs.
"$CAIRN" build functions/retwis/retwis.c -o "$folder/retwis.wasm" >"$folder/out"
cmp "$folder/retwis.wasm" "$CAIRN_GUESTS/retwis.wasm" || fail "cairn build and tools/guest differ"
grep -q "module retwis" "$folder/out" || fail "no summary"
grep -q "^User.timeline() *public, read-only, deterministic$" "$folder/out" || fail "no methods: $(cat "$folder/out")"
"$CAIRN" build functions/bank/bank.c -o "$folder/bank.wasm" --json | python3 -c '
import json, sys
it = json.load(sys.stdin)
assert it["module"] == "bank" and it["reusable"], it
assert [m["name"] for m in it["types"][0]["methods"] if not m["public"]] == ["credit", "refund"], it'

# A failed build leaves the old module as it is.
cp "$folder/bank.wasm" "$folder/kept"
! "$CAIRN" build "$folder/empty.c" -o "$folder/bank.wasm" >/dev/null 2>&1 || fail "took an empty module"
cmp "$folder/bank.wasm" "$folder/kept" || fail "a failed build changed the module"

# Several sources with their declarations in a header; C++; flags of one's own.
source decls.h 'CAIRN_MODULE(two); CAIRN_TYPE(T); CAIRN_VALUE(T, a); CAIRN_LIST(T, b);'
printf '#include "decls.h"\nCAIRN_METHOD(T, f, CAIRN_PUBLIC) { cairn_set_int(T_a, VALUE); }\n' >"$folder/one.c"
printf '#include "decls.h"\nCAIRN_METHOD(T, g, CAIRN_PUBLIC) { cairn_result_int(cairn_get_int(T_a, 0)); }\n' >"$folder/two.c"
"$CAIRN" build "$folder/one.c" "$folder/two.c" -o "$folder/two.wasm" --flags "-DVALUE=7 -Os" --stack 64 >"$folder/out"
grep -q "T.g()" "$folder/out" || fail "not both methods: $(cat "$folder/out")"
source plus.cc 'CAIRN_MODULE(plus); CAIRN_TYPE(T); CAIRN_VALUE(T, a);
template <class X> static X twice(X x) { return x + x; }
CAIRN_METHOD(T, f, CAIRN_PUBLIC) { cairn_set_int(T_a, twice(cairn_arg_int(0))); }'
"$CAIRN" build "$folder/plus.cc" -o "$folder/plus.wasm" >"$folder/out" || fail "C++ does not build"
echo "cairn build does what it should"
