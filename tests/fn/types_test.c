/* Catches a parser of cairn.types that takes what the format refuses (docs/formats/types-section.md), refuses what it
 * allows, or declares something else than what stands there. */
#include "fn/types.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define EACH                                                                                      \
    " limit-cpu=1 limit-memory=64 limit-calls=1 limit-result=1 limit-write-set=1 limit-journal=1" \
    " limit-transaction=1 limit-transaction-objects=1 limit-transaction-time=1"
#define HEAD "abi 1\nmodule m\ntype T\n"

struct row {
    const char *label, *text;
    enum cairn_code want;
    const char *says; /* part of the message */
};

static const struct row rows[] = {
    {"the least", "abi 1\nmodule m\ntype T", CAIRN_OK, NULL},
    {"a last newline", HEAD, CAIRN_OK, NULL},
    {"empty lines", "\n\nabi 1\n\nmodule m\ntype T\n\n", CAIRN_OK, NULL},
    {"any order", "method T f public\nfield T 0 a value\ntype T\nmodule m\nabi 1\n", CAIRN_OK, NULL},
    {"all kinds", HEAD "field T 0 a value\nfield T 1 b list\nfield T 2 c map\n", CAIRN_OK, NULL},
    {"all attributes",
     HEAD "method T a public\nmethod T b internal read-only\nmethod T c public deterministic\n"
          "method T d public deterministic read-only\n",
     CAIRN_OK, NULL},
    {"largest number", HEAD "field T 1023 a value\n", CAIRN_OK, NULL},
    {"same names in two types",
     HEAD "type U\nfield T 0 a value\nfield U 0 a list\nmethod T f public\n"
          "method U f internal\n",
     CAIRN_OK, NULL},
    {"field and method of one name", HEAD "field T 0 a value\nmethod T a public\n", CAIRN_OK, NULL},
    {"lines said twice", HEAD HEAD "field T 0 a value\nfield T 0 a value\nmethod T f public\nmethod T f public\n",
     CAIRN_OK, NULL},

    {"nothing", "", CAIRN_EMODULE, "which ABI"},
    {"no abi", "module m\ntype T\n", CAIRN_EMODULE, "which ABI"},
    {"no module", "abi 1\ntype T\n", CAIRN_EMODULE, "does not name"},
    {"no type", "abi 1\nmodule m\n", CAIRN_EMODULE, "no type"},
    {"abi 0", "abi 0\nmodule m\ntype T\n", CAIRN_EVERSION, "ABI 0"},
    {"abi 2", "abi 2\nmodule m\ntype T\n", CAIRN_OK, NULL},
    {"abi 3", "abi 3\nmodule m\ntype T\n", CAIRN_EVERSION, "ABI 3"},
    {"abi 3 behind abi 1", HEAD "abi 3\n", CAIRN_EVERSION, "ABI 3"},
    {"abi 2 behind abi 1", HEAD "abi 2\n", CAIRN_EMODULE, "another ABI"},
    {"abi 1 behind abi 2", "abi 2\nabi 1\nmodule m\ntype T\n", CAIRN_EMODULE, "another ABI"},
    {"all attributes", HEAD "method T f public read-only deterministic transaction uncached\n", CAIRN_OK, NULL},
    {"retries", HEAD "method T f public retries=3,100,5000\n", CAIRN_OK, NULL},
    {"retries twice", HEAD "method T f public retries=3,100,5000 retries=3,100,5000\n", CAIRN_EMODULE, "line 4"},
    {"retries without an attempt", HEAD "method T f public retries=0,100,5000\n", CAIRN_EMODULE, "line 4"},
    {"too many retries", HEAD "method T f public retries=1001,100,5000\n", CAIRN_EMODULE, "line 4"},
    {"retries with a first pause above the longest", HEAD "method T f public retries=3,100,50\n", CAIRN_EMODULE,
     "line 4"},
    {"retries cut off", HEAD "method T f public retries=3,100\n", CAIRN_EMODULE, "line 4"},
    {"retries with more behind", HEAD "method T f public retries=3,100,5000,1\n", CAIRN_EMODULE, "line 4"},
    {"retries that are no numbers", HEAD "method T f public retries=3,x,5000\n", CAIRN_EMODULE, "line 4"},
    {"an attribute twice", HEAD "method T f public uncached uncached\n", CAIRN_EMODULE, "line 4"},
    {"an ordered map", "abi 2\nmodule m\ntype T\nfield T 0 a ordered\n", CAIRN_OK, NULL},
    {"an ordered map with abi 1", HEAD "field T 0 a ordered\n", CAIRN_EMODULE, "guest ABI 2"},
    {"an ordered map before abi 1", "field T 0 a ordered\nmodule m\ntype T\nabi 1\n", CAIRN_EMODULE, "guest ABI 2"},
    {"abi 01", "abi 01\nmodule m\ntype T\n", CAIRN_EMODULE, "line 1"},
    {"abi -1", "abi -1\nmodule m\ntype T\n", CAIRN_EMODULE, "line 1"},
    {"abi of many digits", "abi 4294967297\nmodule m\ntype T\n", CAIRN_EMODULE, "line 1"},
    {"abi alone", "abi\nmodule m\ntype T\n", CAIRN_EMODULE, "line 1"},
    {"two modules", HEAD "module n\n", CAIRN_EMODULE, "line 4"},
    {"module name with a dot", "abi 1\nmodule m.n\ntype T\n", CAIRN_EMODULE, "line 2"},
    {"module name beginning with a digit", "abi 1\nmodule 1m\ntype T\n", CAIRN_EMODULE, "line 2"},
    {"module without a name", "abi 1\nmodule \ntype T\n", CAIRN_EMODULE, "line 2"},
    {"type of two words", "abi 1\nmodule m\ntype T U\n", CAIRN_EMODULE, "line 3"},
    {"type name of 65 bytes", HEAD "type Txxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
     CAIRN_EMODULE, "line 4"},
    {"unknown word", HEAD "tpye U\n", CAIRN_EMODULE, "unknown declaration"},
    {"capital letters", HEAD "Type U\n", CAIRN_EMODULE, "unknown declaration"},
    {"a tab", HEAD "type\tU\n", CAIRN_EMODULE, "unknown declaration"},
    {"a carriage return", "abi 1\r\nmodule m\ntype T\n", CAIRN_EMODULE, "line 1"},
    {"two spaces", HEAD "type  U\n", CAIRN_EMODULE, "line 4"},
    {"space at the beginning", HEAD " type U\n", CAIRN_EMODULE, "unknown declaration"},
    {"space at the end", HEAD "type U \n", CAIRN_EMODULE, "line 4"},
    {"field of no type", HEAD "field U 0 a value\n", CAIRN_EMODULE, "no such type"},
    {"field of no kind", HEAD "field T 0 a set\n", CAIRN_EMODULE, "line 4"},
    {"field without kind", HEAD "field T 0 a\n", CAIRN_EMODULE, "line 4"},
    {"field with more", HEAD "field T 0 a value x\n", CAIRN_EMODULE, "line 4"},
    {"field number too large", HEAD "field T 1024 a value\n", CAIRN_EMODULE, "0 to 1023"},
    {"field number of letters", HEAD "field T x a value\n", CAIRN_EMODULE, "0 to 1023"},
    {"field number 00", HEAD "field T 00 a value\n", CAIRN_EMODULE, "0 to 1023"},
    {"field name twice", HEAD "field T 0 a value\nfield T 1 a value\n", CAIRN_EMODULE, "of that name"},
    {"field number twice", HEAD "field T 0 a value\nfield T 0 b value\n", CAIRN_EMODULE, "of that number"},
    {"field of two kinds", HEAD "field T 0 a value\nfield T 0 a list\n", CAIRN_EMODULE, "of that name"},
    {"method of no type", HEAD "method U f public\n", CAIRN_EMODULE, "no such type"},
    {"method without visibility", HEAD "method T f\n", CAIRN_EMODULE, "line 4"},
    {"method with attribute first", HEAD "method T f read-only public\n", CAIRN_EMODULE, "line 4"},
    {"method public and internal", HEAD "method T f public internal\n", CAIRN_EMODULE, "line 4"},
    {"attribute twice", HEAD "method T f public read-only read-only\n", CAIRN_EMODULE, "line 4"},
    {"unknown attribute", HEAD "method T f public fast\n", CAIRN_EMODULE, "line 4"},
    {"too many words", HEAD "method T f public a b c d e f g h i j k l m n o p q r s t\n", CAIRN_EMODULE,
     "too many words"},
    {"limits", HEAD "method T f public limit-cpu=20 read-only limit-memory=128 limit-calls=1\n", CAIRN_OK, NULL},
    {"all limits of all",
     HEAD "limits T" EACH "\nmethod T f public read-only deterministic transaction uncached" EACH " retries=1,1,1\n",
     CAIRN_OK, NULL},
    {"a limit twice", HEAD "method T f public limit-cpu=20 limit-cpu=20\n", CAIRN_EMODULE, "line 4"},
    {"a limit of nothing", HEAD "method T f public limit-cpu=0\n", CAIRN_EMODULE, "line 4"},
    {"a limit without a number", HEAD "method T f public limit-cpu=\n", CAIRN_EMODULE, "line 4"},
    {"a limit with a unit", HEAD "method T f public limit-cpu=20ms\n", CAIRN_EMODULE, "line 4"},
    {"a limit that begins with 0", HEAD "method T f public limit-cpu=020\n", CAIRN_EMODULE, "line 4"},
    {"a limit of a day", HEAD "method T f public limit-cpu=86400000\n", CAIRN_OK, NULL},
    {"a limit of more than a day", HEAD "method T f public limit-cpu=86400001\n", CAIRN_EMODULE, "line 4"},
    {"a limit of many digits", HEAD "method T f public limit-calls=18446744073709551617\n", CAIRN_EMODULE, "line 4"},
    {"an unknown limit", HEAD "method T f public limit-speed=1\n", CAIRN_EMODULE, "line 4"},
    {"limits of a type twice, the same", HEAD "limits T limit-cpu=20\nlimits T limit-cpu=20\n", CAIRN_OK, NULL},
    {"limits of a type twice", HEAD "limits T limit-cpu=20\nlimits T limit-cpu=21\n", CAIRN_EMODULE, "other limits"},
    {"a type without a cache", HEAD "uncached T\nmethod T f public uncached\n", CAIRN_OK, NULL},
    {"no type without a cache", HEAD "uncached U\n", CAIRN_EMODULE, "no such type"},
    {"without a cache, and more", HEAD "uncached T f\n", CAIRN_EMODULE, "line 4"},
    {"limits of no type", HEAD "limits U limit-cpu=20\n", CAIRN_EMODULE, "no such type"},
    {"limits of nothing", HEAD "limits T\n", CAIRN_EMODULE, "line 4"},
    {"limits that are none", HEAD "limits T read-only\n", CAIRN_EMODULE, "line 4"},
    {"method with two limits", HEAD "method T f public limit-cpu=1\nmethod T f public limit-cpu=2\n", CAIRN_EMODULE,
     "of that name"},
    {"method declared in two ways", HEAD "method T f public\nmethod T f internal\n", CAIRN_EMODULE, "of that name"},
    {"binary", HEAD "\x01\xff\x7f\n", CAIRN_EMODULE, "'?"},
};

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cairn_types types = {0};
        struct cairn_err err = {0};
        enum cairn_code code = cairn_types_parse(cairn_str(rows[i].text), &types, &err);

        if (code != rows[i].want || (rows[i].says && !strstr(err.text, rows[i].says)))
            fail_msg("%s: %s, '%s'", rows[i].label, cairn_code_name(code), err.text);
        if (code != CAIRN_OK)
            assert_null(types.types); /* outputs only on success */
        cairn_types_done(&types);
    }
}

/* A type may say of all its methods what each may say of itself. */
static void of_a_whole_type(void **state)
{
    static const char text[] =
        "abi 2\nmodule m\ntype A\nmethod A before public read-only\nuncached A\nmethod A behind public "
        "uncached\ntype B\nmethod B f public\n";
    struct cairn_types types;
    struct cairn_err err;

    (void)state;
    assert_int_equal(cairn_types_parse(cairn_str(text), &types, &err), CAIRN_OK);
    assert_true(types.types[0].methods[0].uncached && types.types[0].methods[1].uncached);
    assert_false(types.types[1].methods[0].uncached);
    cairn_types_done(&types);
}

static void contents(void **state)
{
    static const char text[] = "abi 1\0module shop\0type Item\0type Cart\0field Cart 7 items map\0"
                               "field Cart 3 log list\0method Cart add public\0"
                               "method Cart total internal deterministic read-only";
    struct cairn_types types;
    struct cairn_err err;
    struct cairn_type_decl *cart;
    struct cairn_method_decl *total;

    (void)state;
    assert_int_equal(cairn_types_parse(cairn_bytes(text, sizeof text), &types, &err), CAIRN_OK); /* NUL separates too */
    assert_string_equal(types.module, "shop");
    assert_int_equal(types.type_count, 2);
    assert_string_equal(types.types[0].name, "Item");
    assert_int_equal(types.types[0].field_count + types.types[0].method_count, 0);
    cart = cairn_types_type(&types, cairn_str("Cart"));
    assert_ptr_equal(cart, &types.types[1]);
    assert_int_equal(cart->field_count, 2);
    assert_string_equal(cart->fields[0].name, "items");
    assert_int_equal(cart->fields[0].number, 7);
    assert_int_equal(cart->fields[0].kind, CAIRN_FIELD_MAP);
    assert_int_equal(cart->fields[1].kind, CAIRN_FIELD_LIST);
    assert_int_equal(cart->method_count, 2);
    assert_true(cart->methods[0].is_public && !cart->methods[0].read_only && !cart->methods[0].deterministic);
    total = cairn_types_method(cart, cairn_str("total"));
    assert_true(total && !total->is_public && total->read_only && total->deterministic);
    assert_null(cairn_types_method(cart, cairn_str("tota")));
    assert_null(cairn_types_type(&types, cairn_str("cart")));
    cairn_types_done(&types);
}

static enum cairn_code parse_buf(const struct cairn_buf *text)
{
    struct cairn_types types = {0};
    struct cairn_err err;
    enum cairn_code code = cairn_types_parse(cairn_buf_bytes(text), &types, &err);

    cairn_types_done(&types);
    return code;
}

static void bounds(void **state)
{
    struct cairn_buf text = {0};

    (void)state;
    cairn_buf_str(&text, "abi 1\nmodule m\n");
    for (int i = 0; i < CAIRN_MODULE_TYPES_MAX; i++)
        cairn_buf_printf(&text, "type T%d\n", i);
    assert_int_equal(parse_buf(&text), CAIRN_OK);
    cairn_buf_str(&text, "type More\n");
    assert_int_equal(parse_buf(&text), CAIRN_EMODULE);

    text.size = 0;
    cairn_buf_str(&text, HEAD);
    for (int i = 0; i <= CAIRN_FIELD_NUMBER_MAX; i++)
        cairn_buf_printf(&text, "field T %d f%d value\n", i, i);
    for (int i = 0; i < CAIRN_TYPE_METHODS_MAX; i++)
        cairn_buf_printf(&text, "method T m%d public\n", i);
    assert_int_equal(parse_buf(&text), CAIRN_OK);
    cairn_buf_str(&text, "method T more public\n");
    assert_int_equal(parse_buf(&text), CAIRN_EMODULE);

    text.size = 0;
    cairn_buf_str(&text, HEAD);
    while (text.size < CAIRN_TYPES_BYTES_MAX)
        cairn_buf_u8(&text, '\n');
    assert_int_equal(parse_buf(&text), CAIRN_OK);
    cairn_buf_u8(&text, '\n');
    assert_int_equal(parse_buf(&text), CAIRN_EMODULE);
    cairn_buf_done(&text);
}

static void names(void **state)
{
    char longest[66];

    (void)state;
    memset(longest, 'x', sizeof longest);
    assert_true(cairn_name_valid(cairn_bytes(longest, 64)));
    assert_false(cairn_name_valid(cairn_bytes(longest, 65)));
    assert_false(cairn_name_valid(cairn_bytes(NULL, 0)));
    assert_true(cairn_name_valid(cairn_str("A")));
    assert_true(cairn_name_valid(cairn_str("z_9")));
    assert_false(cairn_name_valid(cairn_str("_a")));
    assert_false(cairn_name_valid(cairn_str("9a")));
    assert_false(cairn_name_valid(cairn_str("a-b")));
    assert_false(cairn_name_valid(cairn_bytes("a\0b", 3)));
    assert_false(cairn_name_valid(cairn_str("\xc3\xa4")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),  cmocka_unit_test(contents), cmocka_unit_test(of_a_whole_type),
        cmocka_unit_test(bounds), cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
