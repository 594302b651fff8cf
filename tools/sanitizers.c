/* Defaults of the sanitizers, linked into every program of a sanitized build, so that a test run by hand behaves like
 * one run by `make check`; ASAN_OPTIONS and its like still override them.
 *
 * Wasmtime turns faults of its guests into traps: SIGSEGV, SIGBUS, SIGILL and SIGFPE stay its own.  Fibers run on
 * stacks that the sanitizer has not made, so returned frames are not kept on a fake stack.  Wasmtime makes its
 * traps in the signal handler, which ThreadSanitizer would call unsafe. */

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:allow_user_segv_handler=1:"
           "detect_stack_use_after_return=0:strict_string_checks=1";
}

const char *__ubsan_default_options(void)
{
    return "print_stacktrace=1:halt_on_error=1";
}

const char *__tsan_default_options(void)
{
    return "handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:halt_on_error=1:second_deadlock_stack=1:"
           "report_signal_unsafe=0";
}
